package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	apitypes "github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/log"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/runtime/v2/runc/options"
	api "github.com/containerd/containerd/runtime/v2/task"
	"github.com/gogo/protobuf/types"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// patience is how long a deletion waits for what still comes of output, and for the end that it brings about.
const patience = 2 * time.Second

// container is one of this shim's, with its processes.
type container struct {
	id, bundle string
	runtime    *riverrun.Runtime
	handle     *riverrun.Container
	options    *options.Options
	// rootfs is what was mounted for it, if anything was.
	rootfs string
	// sharesPids: the end of its first process is not that of the others.
	sharesPids bool
	first      *process

	mu    sync.Mutex
	execs map[string]*process
}

func newContainer(ctx context.Context, namespace string, r *api.CreateTaskRequest) (_ *container, err error) {
	if r.Checkpoint != "" {
		return nil, fmt.Errorf("restore: %w", errdefs.ErrNotImplemented)
	}
	read, err := readOptions(r.Options)
	if err != nil {
		return nil, err
	}
	c := &container{id: r.ID, bundle: r.Bundle, options: read, execs: map[string]*process{}}
	if c.sharesPids, err = sharesPids(r.Bundle); err != nil {
		return nil, err
	}
	if err := c.mount(r.Rootfs); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.unmount()
		}
	}()
	made := runtimeOptions(namespace, read)
	if err := keepOptions(r.Bundle, made); err != nil {
		return nil, err
	}
	if c.runtime, err = riverrun.New(made); err != nil {
		return nil, err
	}
	c.first = newProcess("", paths{r.Stdin, r.Stdout, r.Stderr, r.Terminal}, nil)
	return c, c.create(ctx)
}

func (c *container) create(ctx context.Context) error {
	streams, err := openStreams(ctx, c, c.first)
	if err != nil {
		return err
	}
	c.handle, err = c.runtime.Create(ctx, c.id, riverrun.CreateOptions{
		Bundle: c.bundle, IO: streams.io, PidFile: filepath.Join(c.bundle, pidFile),
		NoPivot: c.options.NoPivotRoot, NoNewKeyring: c.options.NoNewKeyring,
	})
	if err != nil {
		streams.close()
		return err
	}
	first, err := c.handle.InitProcess()
	if err == nil {
		err = c.first.begin(first, streams)
	}
	if err != nil {
		_ = c.handle.Delete(context.Background(), riverrun.DeleteForce)
		streams.close()
	}
	return err
}

func (c *container) mount(mounts []*apitypes.Mount) error {
	if len(mounts) == 0 {
		return nil
	}
	c.rootfs = filepath.Join(c.bundle, "rootfs")
	if err := os.Mkdir(c.rootfs, 0o711); err != nil && !os.IsExist(err) {
		return err
	}
	for _, wanted := range mounts {
		m := mount.Mount{Type: wanted.Type, Source: wanted.Source, Options: wanted.Options}
		if err := m.Mount(c.rootfs); err != nil {
			c.unmount()
			return fmt.Errorf("mount %s on the root filesystem: %w", wanted.Source, err)
		}
	}
	return nil
}

func (c *container) unmount() error {
	if c.rootfs == "" {
		return nil
	}
	return mount.UnmountAll(c.rootfs, 0)
}

// sharesPids says whether a bundle's container has no pid namespace of its own.
func sharesPids(bundle string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return false, err
	}
	var spec struct {
		Linux struct {
			Namespaces []struct{ Type, Path string }
		}
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		return false, fmt.Errorf("config.json: %w", err)
	}
	for _, namespace := range spec.Linux.Namespaces {
		if namespace.Type == "pid" && namespace.Path == "" {
			return false, nil
		}
	}
	return true, nil
}

// process finds one by containerd's name for it.
func (c *container) process(exec string) (*process, error) {
	if exec == "" {
		return c.first, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.execs[exec]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("process %s: %w", exec, errdefs.ErrNotFound)
}

// add keeps a process that will be executed.
func (c *container) add(r *api.ExecProcessRequest) error {
	document, err := withTerminal(r.Spec, r.Terminal)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.execs[r.ExecID] != nil {
		return fmt.Errorf("process %s: %w", r.ExecID, errdefs.ErrAlreadyExists)
	}
	c.execs[r.ExecID] = newProcess(r.ExecID, paths{r.Stdin, r.Stdout, r.Stderr, r.Terminal}, document)
	return nil
}

// withTerminal is the process document with what the request says of a terminal.
func withTerminal(document *types.Any, terminal bool) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(document.GetValue(), &fields); err != nil {
		return nil, fmt.Errorf("the process: %v: %w", err, errdefs.ErrInvalidArgument)
	}
	fields["terminal"] = json.RawMessage(fmt.Sprint(terminal))
	return json.Marshal(fields)
}

func (c *container) executed() map[int]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	pids := map[int]string{}
	for id, p := range c.execs {
		if pid := p.number(); pid > 0 {
			pids[pid] = id
		}
	}
	return pids
}

// remove forgets a process that has ended or never began.
func (c *container) remove(p *process) error {
	if p.runs() {
		return fmt.Errorf("cannot delete a running process: %w", errdefs.ErrFailedPrecondition)
	}
	p.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.execs, p.exec)
	return nil
}

// delete takes the container away: it has stopped or was never started.
func (c *container) delete(ctx context.Context) error {
	if err := c.handle.Delete(ctx); err != nil && !errors.Is(err, riverrun.ErrNotFound) {
		return err
	}
	select {
	case <-c.first.ended:
	case <-time.After(patience):
	}
	c.first.release()
	err := c.unmount()
	c.handle.Close()
	c.runtime.Close()
	return err
}

func (c *container) update(ctx context.Context, resources *types.Any) error {
	if resources == nil {
		return fmt.Errorf("no resources: %w", errdefs.ErrInvalidArgument)
	}
	return c.handle.Update(ctx, resources.Value, riverrun.UpdateOptions{})
}

// watch tells what happens to a container until its first process has ended.
func (s *service) watch(c *container) {
	stream, err := c.handle.Events(riverrun.EventsOptions{})
	if err != nil {
		log.L.WithError(err).Warn("no events of the container but its end")
		s.await(c, c.first)
		return
	}
	defer stream.Close()
	var ran, killed, told uint64
	for {
		event, err := stream.Next(context.Background())
		if err != nil {
			log.L.WithError(err).Error("listen to the container")
			s.await(c, c.first)
			return
		}
		switch event.Type {
		case riverrun.EventOOM:
			ran += event.Count
		case riverrun.EventOOMKill:
			killed += event.Count
		case riverrun.EventExit:
			s.exited(c, c.first, event.Exit)
		case riverrun.EventEnd:
			return
		}
		// Memory that ran out and the process that was killed for it are one event of containerd's.
		for ; told < ran || told < killed; told++ {
			s.send(&eventstypes.TaskOOM{ContainerID: c.id})
		}
	}
}

// await tells the end of a process.
func (s *service) await(c *container, p *process) {
	exit, err := p.handle.Wait(context.Background())
	if err != nil {
		log.L.WithError(err).Error("wait for a process")
		exit.StatusLost = true
	}
	s.exited(c, p, exit)
}

func (s *service) exited(c *container, p *process, exit riverrun.Exit) {
	if p == c.first && c.sharesPids {
		if err := c.handle.KillAll(context.Background(), syscall.SIGKILL); err != nil && !errors.Is(err, riverrun.ErrNotFound) {
			log.L.WithError(err).Warn("kill what the first process left")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setEnd(exit)
	id := c.id
	if p.exec != "" {
		id = p.exec
	}
	s.send(&eventstypes.TaskExit{ContainerID: c.id, ID: id, Pid: uint32(p.pid), ExitStatus: p.exitStatus, ExitedAt: p.exitedAt})
}
