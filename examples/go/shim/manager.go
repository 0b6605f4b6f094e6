package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/runtime/v2/shim"
	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/types"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// manager answers containerd's two calls of the program itself: start one that serves, and clean up after one that died.
type manager struct{}

func (manager) Name() string { return name }

// groups are the annotations whose value several containers have in common that share a shim: a pod's.
var groups = []string{"io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"}

// Start makes the socket, starts the serving shim on it, and gives the socket's address. A pod's shim that is there already is
// told of the next container by containerd itself.
func (manager) Start(ctx context.Context, id string, opts shim.StartOpts) (string, error) {
	group, err := groupOf(id)
	if err != nil {
		return "", err
	}
	address, err := shim.SocketAddress(ctx, opts.Address, group)
	if err != nil {
		return "", err
	}
	socket, err := shim.NewSocket(address)
	if err != nil && shim.SocketEaddrinuse(err) {
		if shim.CanConnect(address) {
			return address, shim.WriteAddress("address", address)
		}
		// Of a shim that was killed.
		if err := shim.RemoveSocket(address); err != nil {
			return "", fmt.Errorf("remove a dead shim's socket: %w", err)
		}
		socket, err = shim.NewSocket(address)
	}
	if err != nil {
		return "", fmt.Errorf("make the shim's socket: %w", err)
	}
	defer socket.Close()
	// The file stays: it is the child's listener.
	socket.SetUnlinkOnClose(false)
	if err := serve(ctx, id, address, opts, socket); err != nil {
		_ = shim.RemoveSocket(address)
		return "", err
	}
	return address, nil
}

type filer interface{ File() (*os.File, error) }

func serve(ctx context.Context, id, address string, opts shim.StartOpts, socket filer) error {
	listener, err := socket.File()
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := shim.WriteAddress("address", address); err != nil {
		return err
	}
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"-namespace", namespace, "-id", id, "-address", opts.Address}
	if opts.Debug {
		args = append(args, "-debug")
	}
	serving := exec.Command(self, args...)
	serving.ExtraFiles = []*os.File{listener}
	serving.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := serving.Start(); err != nil {
		return err
	}
	err = place(serving.Process.Pid)
	if err != nil {
		_ = serving.Process.Kill()
		_, _ = serving.Process.Wait()
	}
	return err
}

// place gives the serving shim its OOM score and, where containerd asks for that, its cgroup.
func place(pid int) error {
	if err := shim.AdjustOOMScore(pid); err != nil {
		return err
	}
	// containerd closes it when it has said all.
	data, err := io.ReadAll(os.Stdin)
	if err != nil || len(data) == 0 {
		return err
	}
	var message types.Any
	if err := proto.Unmarshal(data, &message); err != nil {
		return fmt.Errorf("read the runtime's options: %w", err)
	}
	options, err := readOptions(&message)
	if err != nil || options.ShimCgroup == "" {
		return err
	}
	return joinCgroup(options.ShimCgroup, pid)
}

// joinCgroup moves a process in every hierarchy that has such a cgroup.
func joinCgroup(cgroup string, pid int) error {
	moved := false
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		lists, err := filepath.Glob(filepath.Join(hierarchy, cgroup, "cgroup.procs"))
		if err != nil {
			return err
		}
		for _, list := range lists {
			if err := os.WriteFile(list, []byte(strconv.Itoa(pid)), 0); err != nil {
				return err
			}
			moved = true
		}
	}
	if !moved {
		return fmt.Errorf("shim cgroup %s: there is none", cgroup)
	}
	return nil
}

func groupOf(id string) (string, error) {
	config, err := os.ReadFile("config.json")
	if err != nil {
		return "", err
	}
	var spec struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(config, &spec); err != nil {
		return "", fmt.Errorf("config.json: %w", err)
	}
	for _, name := range groups {
		if group, ok := spec.Annotations[name]; ok {
			return group, nil
		}
	}
	return id, nil
}

// Stop cleans up after a shim that is gone: containerd calls it beside the bundle.
func (manager) Stop(ctx context.Context, id string) (shim.StopStatus, error) {
	status := shim.StopStatus{ExitStatus: 128 + int(syscall.SIGKILL), ExitedAt: time.Now()}
	bundle := ctx.Value(shim.OptsKey{}).(shim.Opts).BundlePath
	if bundle == "" {
		bundle = "."
	}
	if text, err := os.ReadFile(filepath.Join(bundle, pidFile)); err == nil {
		status.Pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	kept, err := keptOptions(bundle)
	if errors.Is(err, os.ErrNotExist) {
		return status, nil // It died before there was anything.
	} else if err != nil {
		return status, err
	}
	runtime, err := riverrun.New(kept)
	if err != nil {
		return status, err
	}
	defer runtime.Close()
	container, err := runtime.Open(id)
	if err == nil {
		defer container.Close()
		err = container.Delete(ctx, riverrun.DeleteForce)
	}
	if err != nil && !errors.Is(err, riverrun.ErrNotFound) {
		return status, err
	}
	return status, mount.UnmountAll(filepath.Join(bundle, "rootfs"), 0)
}
