// Package runc is containerd's go-runc with the library in the place of a spawned program: the same names, types and methods, so
// that an engine swaps an import.
//
//	import runc "github.com/riverrun/riverrun/bindings/go/gorunc"
//
// What callers of go-runc rely upon holds: a container's first process goes to the nearest subreaper, and so does one that is
// executed with Detach; a context ends a call. What differs: errors are the library's (errors.Is with riverrun.ErrNotFound and its
// like, the message without an "exit status" before it); without an IO the streams lead nowhere; Started gets the pid of the
// process itself.
package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// with calls f with the runtime that r describes.
func (r *Runc) with(f func(*riverrun.Runtime) error) error {
	log, err := r.openLog()
	if err != nil {
		return err
	}
	defer log.close()
	runtime, err := riverrun.New(riverrun.Options{
		Root: r.Root, SystemdCgroup: r.SystemdCgroup, Rootless: r.Rootless, Log: log.line, LogLevel: log.level(r.Debug),
	})
	if err == nil {
		defer runtime.Close()
		err = f(runtime)
	}
	if err != nil {
		log.line(riverrun.LogError, err.Error(), nil)
	}
	return err
}

// on calls f with a container that is there.
func (r *Runc) on(id string, f func(*riverrun.Container) error) error {
	return r.with(func(runtime *riverrun.Runtime) error {
		container, err := runtime.Open(id)
		if err != nil {
			return err
		}
		defer container.Close()
		return f(container)
	})
}

// List are the containers of the state root.
func (r *Runc) List(context.Context) (all []*Container, err error) {
	return all, r.with(func(runtime *riverrun.Runtime) error {
		list, err := runtime.List()
		for _, entry := range list {
			all = append(all, described(entry))
		}
		return err
	})
}

// State is what a container is doing.
func (r *Runc) State(_ context.Context, id string) (state *Container, err error) {
	return state, r.on(id, func(container *riverrun.Container) error {
		document, err := container.StateDocument()
		if err == nil {
			state = described(document)
		}
		return err
	})
}

func described(d riverrun.StateDocument) *Container {
	return &Container{
		ID: d.ID, Pid: d.Pid, Status: d.Status, Bundle: d.Bundle, Rootfs: d.Rootfs, Created: d.Created, Annotations: d.Annotations,
	}
}

// creation is what the library is told of CreateOpts.
func creation(bundle string, opts *CreateOpts, s *streams) (riverrun.CreateOptions, error) {
	options := riverrun.CreateOptions{Bundle: bundle, Detached: true, IO: s.io}
	if opts == nil {
		return options, nil
	}
	options.NoPivot, options.NoNewKeyring = opts.NoPivot, opts.NoNewKeyring
	if err := s.extras(opts.ExtraFiles); err != nil {
		return options, err
	}
	options.IO = s.io
	return options, absolute(&options.PidFile, opts.PidFile)
}

func absolute(to *string, path string) (err error) {
	if path != "" {
		*to, err = filepath.Abs(path)
	}
	return err
}

func orEmpty(opts *CreateOpts) *CreateOpts {
	if opts == nil {
		return &CreateOpts{}
	}
	return opts
}

// Create makes all of a container but the execution of its program.
func (r *Runc) Create(ctx context.Context, id, bundle string, opts *CreateOpts) error {
	o := orEmpty(opts)
	return r.with(func(runtime *riverrun.Runtime) error {
		streams := lend(o.IO, o.ConsoleSocket)
		options, err := creation(bundle, opts, streams)
		if err != nil {
			return err
		}
		container, err := runtime.Create(ctx, id, options)
		if err != nil {
			return err
		}
		defer container.Close()
		return streams.taken(o.IO, container.Pipes)
	})
}

// Start lets a created container execute its program.
func (r *Runc) Start(ctx context.Context, id string) error {
	return r.on(id, func(container *riverrun.Container) error { return container.Start(ctx) })
}

// Run creates, starts, waits for and deletes a container, and returns its exit status, with an ExitError if it is not 0. With Detach
// it returns when the program runs.
func (r *Runc) Run(ctx context.Context, id, bundle string, opts *CreateOpts) (int, error) {
	o := orEmpty(opts)
	if o.Started != nil {
		defer close(o.Started)
	}
	status := -1
	err := r.with(func(runtime *riverrun.Runtime) error {
		streams := lend(o.IO, o.ConsoleSocket)
		options, err := creation(bundle, opts, streams)
		if err != nil {
			return err
		}
		options.Detached = o.Detach
		container, err := runtime.Run(ctx, id, options)
		if err != nil {
			return err
		}
		defer container.Close()
		if err := streams.taken(o.IO, container.Pipes); err != nil {
			return err
		}
		status, err = finish(ctx, container, o.Detach, o.Started, streams)
		return err
	})
	return status, err
}

// finish waits for a container's end in the foreground, and deletes it.
func finish(ctx context.Context, container *riverrun.Container, detach bool, started chan<- int, s *streams) (int, error) {
	process, err := container.InitProcess()
	if err != nil {
		return -1, err
	}
	if started != nil {
		started <- process.Pid()
	}
	if detach {
		leave(process)
		return 0, nil
	}
	defer process.Close()
	status, err := wait(ctx, process, s)
	// Nobody is left who would delete it. What is left of a wait that was ended is killed.
	if undone := container.Delete(context.Background(), riverrun.DeleteForce); err == nil {
		err = undone
	}
	if err == nil && status != 0 {
		err = fmt.Errorf("container %s did not terminate successfully: %w", container.ID, &ExitError{Status: status})
	}
	return status, err
}

func wait(ctx context.Context, process *riverrun.Process, s *streams) (int, error) {
	exit, err := process.Wait(ctx)
	if err != nil {
		return -1, err
	}
	s.moved()
	if exit.StatusLost {
		return -1, errors.New("the exit status is lost: another part of this process reaped the process")
	}
	return exit.ShellStatus(), nil
}

// Exec executes one more process in a container, and waits for it unless opts say Detach.
func (r *Runc) Exec(ctx context.Context, id string, spec specs.Process, opts *ExecOpts) error {
	if opts == nil {
		opts = &ExecOpts{}
	}
	if opts.Started != nil {
		defer close(opts.Started)
	}
	document, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return r.on(id, func(container *riverrun.Container) error {
		streams := lend(opts.IO, opts.ConsoleSocket)
		options := riverrun.ExecOptions{Process: document, IO: streams.io}
		if err := absolute(&options.PidFile, opts.PidFile); err != nil {
			return err
		}
		process, err := container.Exec(ctx, options)
		if err != nil {
			return err
		}
		if err := streams.taken(opts.IO, process.Pipes); err != nil {
			return err
		}
		if opts.Started != nil {
			opts.Started <- process.Pid()
		}
		if opts.Detach {
			leave(process)
			return nil
		}
		defer process.Close()
		status, err := wait(ctx, process, streams)
		if cause := ctx.Err(); err != nil && cause != nil {
			_ = process.Signal(syscall.SIGKILL) // As the end of a spawned runtime in the foreground would be.
		}
		if err == nil && status != 0 {
			err = fmt.Errorf("process in container %s did not terminate successfully: %w", id, &ExitError{Status: status})
		}
		return err
	})
}

// leave lets a process go. If it is a child of this process: whoever reaps orphans expects its end, as after a spawned runtime;
// everybody else is spared a zombie.
func leave(process *riverrun.Process) {
	var subreaper int32
	_, _, _ = unix.Syscall(unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0)
	if subreaper != 0 || unix.Getpid() == 1 {
		process.Close()
		return
	}
	go func() {
		_, _ = process.Wait(context.Background())
		process.Close()
	}()
}

// Delete takes a container away.
func (r *Runc) Delete(ctx context.Context, id string, opts *DeleteOpts) error {
	force := opts != nil && opts.Force
	err := r.on(id, func(container *riverrun.Container) error {
		if force {
			return container.Delete(ctx, riverrun.DeleteForce)
		}
		return container.Delete(ctx)
	})
	if force && errors.Is(err, riverrun.ErrNotFound) {
		return nil
	}
	return err
}

// Kill sends a signal to the first process, or to all.
func (r *Runc) Kill(ctx context.Context, id string, sig int, opts *KillOpts) error {
	return r.on(id, func(container *riverrun.Container) error {
		if opts != nil && opts.All {
			return container.KillAll(ctx, syscall.Signal(sig))
		}
		return container.Kill(ctx, syscall.Signal(sig))
	})
}

// Pause stops all processes.
func (r *Runc) Pause(ctx context.Context, id string) error {
	return r.on(id, func(container *riverrun.Container) error { return container.Pause(ctx) })
}

// Resume lets them go on.
func (r *Runc) Resume(ctx context.Context, id string) error {
	return r.on(id, func(container *riverrun.Container) error { return container.Resume(ctx) })
}

// Ps are the pids of all processes.
func (r *Runc) Ps(_ context.Context, id string) (pids []int, err error) {
	return pids, r.on(id, func(container *riverrun.Container) (err error) {
		pids, err = container.Pids()
		return err
	})
}

// Top is what ps(1) shows of them, by its options or -ef.
func (r *Runc) Top(ctx context.Context, id, psOptions string) (*TopResults, error) {
	pids, err := r.Ps(ctx, id)
	if err != nil {
		return nil, err
	}
	options := strings.Fields(psOptions)
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	output, err := exec.CommandContext(ctx, "ps", options...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ps: %w: %s", err, output)
	}
	lines := strings.Split(string(output), "\n")
	column := -1
	for i, name := range strings.Fields(lines[0]) {
		if name == "PID" {
			column = i
		}
	}
	if column < 0 {
		return nil, errors.New("couldn't find PID field in ps output")
	}
	members := map[string]bool{}
	for _, pid := range pids {
		members[strconv.Itoa(pid)] = true
	}
	kept := lines[:1]
	for _, line := range lines[1:] {
		if fields := strings.Fields(line); len(fields) > column && members[fields[column]] {
			kept = append(kept, line)
		}
	}
	return ParsePSOutput([]byte(strings.Join(kept, "\n")))
}

// Update changes limits.
func (r *Runc) Update(ctx context.Context, id string, resources *specs.LinuxResources) error {
	document, err := json.Marshal(resources)
	if err != nil {
		return err
	}
	return r.on(id, func(container *riverrun.Container) error {
		return container.Update(ctx, document, riverrun.UpdateOptions{})
	})
}

// Version is the library's, and the specification's that it keeps.
func (r *Runc) Version(context.Context) (Version, error) {
	var features struct {
		Max string `json:"ociVersionMax"`
	}
	document, err := riverrun.Features()
	if err == nil {
		err = json.Unmarshal(document, &features)
	}
	return Version{Runc: riverrun.Version(), Spec: features.Max}, err
}

// Features is the features document, for specs-go/features.Features of runtime-spec 1.1 and later.
func (r *Runc) Features(context.Context) (json.RawMessage, error) { return riverrun.Features() }
