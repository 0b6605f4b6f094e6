package riverrun

/*
#include <riverrun.h>
#include <stdint.h>

extern void riverrunLog(uintptr_t data, int level, char *msg, size_t len, char *fields);

static void riverrun_log(void *data, int level, const char *msg, size_t len, const char *fields) {
  riverrunLog((uintptr_t)data, level, (char *)msg, len, (char *)fields);
}
static void riverrun_set_log(rr_context_options *options, uintptr_t handle) {
  options->log = riverrun_log;
  options->log_data = (void *)handle;
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"runtime/cgo"
	"sync"
)

// Level is how grave a log line is.
type Level int

// The levels, the gravest first.
const (
	LogError Level = C.RR_LOG_ERROR
	LogWarn  Level = C.RR_LOG_WARN
	LogInfo  Level = C.RR_LOG_INFO
	LogDebug Level = C.RR_LOG_DEBUG
)

// LogFunc receives a line and further facts as a JSON object, or nothing. It runs during the call that logs.
type LogFunc func(level Level, line string, fields json.RawMessage)

// Options of a Runtime. The zero value is the default of everything.
type Options struct {
	// Root is the state root; empty: /run/riverrun, or the user's own.
	Root string
	// SystemdCgroup lets systemd manage the cgroups.
	SystemdCgroup bool
	// Rootless: nil finds out, true goes on where cgroups may not be written, false makes every cgroup error one.
	Rootless *bool
	Log      LogFunc
	// LogLevel is the least grave level that Log is called for; 0: LogInfo.
	LogLevel Level
	// InitPath is an installed riverrun-init, for hosts where a memfd may not be executed.
	InitPath string
}

// Runtime is a state root with its policy and its log. Any number of goroutines may use one.
type Runtime struct {
	handle *C.rr_context
	log    *logging
	once   sync.Once
}

// logging is what the library's log reaches, as long as anything was made with it.
type logging struct {
	handle cgo.Handle
}

//export riverrunLog
func riverrunLog(data C.uintptr_t, level C.int, msg *C.char, length C.size_t, fields *C.char) {
	log := cgo.Handle(data).Value().(LogFunc)
	var facts json.RawMessage
	if fields != nil {
		facts = json.RawMessage(C.GoString(fields))
	}
	log(Level(level), C.GoStringN(msg, C.int(length)), facts)
}

// New makes a Runtime. It only looks: nothing is written before the first container.
func New(options Options) (*Runtime, error) {
	var m memory
	defer m.free()
	c := (*C.rr_context_options)(m.zeroed(C.sizeof_rr_context_options))
	C.rr_context_options_init(c, C.sizeof_rr_context_options)
	c.root, c.init_path = m.optional(options.Root), m.optional(options.InitPath)
	if options.SystemdCgroup {
		c.flags |= C.RR_CTX_SYSTEMD_CGROUP
	}
	if options.Rootless != nil && *options.Rootless {
		c.flags |= C.RR_CTX_ROOTLESS
	} else if options.Rootless != nil {
		c.flags |= C.RR_CTX_ROOTFUL
	}
	made := &Runtime{}
	if options.Log != nil {
		made.log = &logging{handle: cgo.NewHandle(options.Log)}
		runtime.SetFinalizer(made.log, func(l *logging) { l.handle.Delete() })
		C.riverrun_set_log(c, C.uintptr_t(made.log.handle))
		c.log_level = C.int32_t(options.LogLevel)
	}
	out := (**C.rr_context)(m.zeroed(C.sizeof_size_t))
	if err := check(nil, func(err **C.rr_error) C.rr_code { return C.rr_context_new(c, out, err) }); err != nil {
		return nil, err
	}
	made.handle = *out
	runtime.SetFinalizer(made, func(r *Runtime) { r.Close() })
	return made, nil
}

// Close gives the runtime back. Containers that were made with it go on working.
func (r *Runtime) Close() error {
	r.once.Do(func() {
		runtime.SetFinalizer(r, nil)
		C.rr_context_unref(r.handle)
		r.handle = nil
	})
	return nil
}

// CreateOptions say how a container is created; a Bundle or a Config is needed.
type CreateOptions struct {
	// Bundle is the directory that holds config.json.
	Bundle string
	// Config is the bytes of a config.json, instead of the bundle's.
	Config []byte
	IO     IO
	// PidFile receives the first process's pid.
	PidFile      string
	NoPivot      bool
	NoNewKeyring bool
	// Rootfs is an open directory, instead of the config's root.path; it stays the caller's.
	Rootfs *os.File
	// Detached: the first process is no child of this process, but the nearest subreaper's. How it ended is known only where the
	// kernel keeps it.
	Detached bool
	// Notify gives the program a socket to say on that it is ready; the other side is Container.NotifySocket's.
	Notify bool
	// KeepSeccompListener is for Container.TakeSeccompListener.
	KeepSeccompListener bool
}

// Create makes all of a container but the execution of its program, for which Start gives the word. On failure nothing is left
// behind.
func (r *Runtime) Create(ctx context.Context, id string, options CreateOptions) (*Container, error) {
	return r.make(ctx, id, options, func(h *C.rr_context, id *C.char, o *C.rr_create_options, out **C.rr_container, err **C.rr_error) C.rr_code {
		return C.rr_create(h, id, o, out, err)
	})
}

// Run is Create and Start in one, and a step cheaper.
func (r *Runtime) Run(ctx context.Context, id string, options CreateOptions) (*Container, error) {
	return r.make(ctx, id, options, func(h *C.rr_context, id *C.char, o *C.rr_create_options, out **C.rr_container, err **C.rr_error) C.rr_code {
		return C.rr_run(h, id, o, out, err)
	})
}

type creation func(*C.rr_context, *C.char, *C.rr_create_options, **C.rr_container, **C.rr_error) C.rr_code

func (r *Runtime) make(ctx context.Context, id string, options CreateOptions, create creation) (*Container, error) {
	var m memory
	defer m.free()
	c := (*C.rr_create_options)(m.zeroed(C.sizeof_rr_create_options))
	C.rr_create_options_init(c, C.sizeof_rr_create_options)
	c.bundle, c.pid_file = m.optional(options.Bundle), m.optional(options.PidFile)
	if options.Config != nil {
		c.config, c.config_len = (*C.char)(m.bytes(options.Config)), C.size_t(len(options.Config))
	}
	c.flags = flags(
		flag{options.NoPivot, C.RR_CREATE_NO_PIVOT}, flag{options.NoNewKeyring, C.RR_CREATE_NO_NEW_KEYRING},
		flag{options.Detached, C.RR_CREATE_DETACHED}, flag{options.KeepSeccompListener, C.RR_CREATE_WANT_SECCOMP_FD},
		flag{options.Notify, C.RR_CREATE_NOTIFY},
	)
	if options.Rootfs != nil {
		c.rootfs_fd_plus1 = C.int32_t(number(options.Rootfs)) + 1
	}
	c.io = options.IO.lend(&m)
	out := (**C.rr_container)(m.zeroed(C.sizeof_size_t))
	err := limited(ctx, &m, func(call *C.rr_call, err **C.rr_error) C.rr_code {
		c.call = call
		return create(r.handle, m.text(id), c, out, err)
	})
	runtime.KeepAlive(r)
	runtime.KeepAlive(options)
	if err != nil {
		return nil, err
	}
	return newContainer(*out, id, r.log, pipes(c.io)), nil
}

// Open finds a container of this state root, whoever made it.
func (r *Runtime) Open(id string) (*Container, error) {
	var m memory
	defer m.free()
	out := (**C.rr_container)(m.zeroed(C.sizeof_size_t))
	err := check(nil, func(err **C.rr_error) C.rr_code { return C.rr_open(r.handle, m.text(id), out, err) })
	runtime.KeepAlive(r)
	if err != nil {
		return nil, err
	}
	return newContainer(*out, id, r.log, Pipes{}), nil
}

// List is the containers of this state root.
func (r *Runtime) List() ([]StateDocument, error) {
	bytes, err := buffer(func(buf *C.rr_buf, err **C.rr_error) C.rr_code { return C.rr_list_json(r.handle, buf, err) })
	runtime.KeepAlive(r)
	if err != nil {
		return nil, err
	}
	var list []StateDocument
	return list, json.Unmarshal(bytes, &list)
}
