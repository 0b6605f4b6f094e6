// Package riverrun runs OCI containers by the C library of the same name, in this process: no program is spawned but the
// containers' own.
//
//	ctx := context.Background()
//	rt, err := riverrun.New(riverrun.Options{})
//	web, err := rt.Run(ctx, "web", riverrun.CreateOptions{Bundle: "/bundles/web"})
//	init, err := web.InitProcess()
//	exit, err := init.Wait(ctx)
//	err = web.Delete(ctx, riverrun.DeleteForce)
//
// `make install` puts it beside the library, for modules and for a GOPATH (PREFIX is where that was, /usr/local if not said):
//
//	go mod edit -require github.com/riverrun/riverrun/bindings/go@v0.0.0 \
//	  -replace github.com/riverrun/riverrun/bindings/go=PREFIX/share/gocode/src/github.com/riverrun/riverrun/bindings/go
//	GO111MODULE=off GOPATH=PREFIX/share/gocode go build
//
// It needs cgo, and pkg-config has to find riverrun.pc (PKG_CONFIG_PATH=PREFIX/lib/pkgconfig where that is no place of its own).
//
// The contract is riverrun.h: what is said there of ownership, threads, blocking and errors holds here. Every call may be made
// from any goroutine. A call that takes a context.Context ends early when the context does, and leaves nothing half-made;
// Wait parks its goroutine in the runtime's poller and holds no thread. A goroutine that changed what its thread hands down
// (credentials, namespaces, affinity) has to be locked to it while it creates a container.
//
// Handles are given back by Close, and by the garbage collector at the latest. Closing one stops and deletes nothing.
package riverrun

/*
#cgo pkg-config: riverrun
#include <riverrun.h>
*/
import "C"

import (
	"encoding/json"
	"unsafe"
)

// Version is the version of the library at run time.
func Version() string { return C.GoString(C.rr_version_string()) }

// HeaderVersion is the version of riverrun.h that this package was compiled with.
func HeaderVersion() uint32 { return C.RR_VERSION_NUMBER }

// HasFeature says whether the library at run time has an ability, by its name in riverrun.h.
func HasFeature(name string) bool {
	var m memory
	defer m.free()
	return bool(C.rr_has_feature(m.text(name)))
}

// Spec is a default config.json, as the command line's spec writes it.
func Spec(rootless bool) (json.RawMessage, error) {
	var flags C.uint64_t
	if rootless {
		flags = C.RR_SPEC_ROOTLESS
	}
	return buffer(func(buf *C.rr_buf, err **C.rr_error) C.rr_code { return C.rr_spec_json(flags, buf, err) })
}

// Features is the features document of the runtime specification.
func Features() (json.RawMessage, error) {
	return buffer(func(buf *C.rr_buf, err **C.rr_error) C.rr_code { return C.rr_features_json(buf, err) })
}

// CheckConfig says why no container can be created from the bytes of a config.json, as far as that can be said without looking
// at the host.
func CheckConfig(config []byte) error {
	var m memory
	defer m.free()
	return check(nil, func(err **C.rr_error) C.rr_code {
		return C.rr_config_check((*C.char)(m.bytes(config)), C.size_t(len(config)), err)
	})
}

// buffer takes the bytes of a function that fills an rr_buf.
func buffer(fill func(*C.rr_buf, **C.rr_error) C.rr_code) ([]byte, error) {
	var m memory
	defer m.free()
	buf := (*C.rr_buf)(m.zeroed(C.sizeof_rr_buf))
	if err := check(nil, func(err **C.rr_error) C.rr_code { return fill(buf, err) }); err != nil {
		return nil, err
	}
	defer C.rr_buf_free(buf)
	return C.GoBytes(unsafe.Pointer(buf.data), C.int(buf.len)), nil
}
