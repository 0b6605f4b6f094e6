package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	apitypes "github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/errdefs"
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
	options    *options.Options
	// images of a checkpoint: it is made of them when it is started.
	images string
	// rootfs is what was mounted for it, if anything was.
	rootfs string
	// sharesPids: the end of its first process is not that of the others.
	sharesPids bool
	first      *process

	mu     sync.Mutex
	handle *riverrun.Container // nil as long as it is only images
	execs  map[string]*process
}

func newContainer(ctx context.Context, namespace string, r *api.CreateTaskRequest) (_ *container, err error) {
	read, err := readOptions(r.Options)
	if err != nil {
		return nil, err
	}
	c := &container{id: r.ID, bundle: r.Bundle, options: read, images: r.Checkpoint, execs: map[string]*process{}}
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
	if c.images != "" {
		return c, nil
	}
	return c, c.create(ctx)
}

// create makes the container, or makes it again of its images.
func (c *container) create(ctx context.Context) error {
	streams, err := openStreams(ctx, c, c.first)
	if err != nil {
		return err
	}
	options := riverrun.CreateOptions{
		Bundle: c.bundle, IO: streams.io, PidFile: filepath.Join(c.bundle, pidFile),
		NoPivot: c.options.NoPivotRoot, NoNewKeyring: c.options.NoNewKeyring,
	}
	var handle *riverrun.Container
	if c.images != "" {
		handle, err = c.runtime.Restore(ctx, c.id, options, riverrun.RestoreOptions{
			Images: riverrun.Directory{Path: c.images}, Work: riverrun.Directory{Path: c.criuWork()},
			CRIU: riverrun.CRIUOptions{Program: c.criu()},
		})
	} else {
		handle, err = c.runtime.Create(ctx, c.id, options)
	}
	if err != nil {
		streams.close()
		return err
	}
	first, err := handle.InitProcess()
	if err == nil {
		err = c.first.begin(first, streams)
	}
	if err != nil {
		_ = handle.Delete(context.Background(), riverrun.DeleteForce)
		handle.Close()
		streams.close()
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handle = handle
	return nil
}

func (c *container) criuWork() string {
	if c.options.CriuWorkPath != "" {
		return c.options.CriuWorkPath
	}
	return filepath.Join(c.bundle, "work")
}

// criu is CRIU's program: as with runc, the first in PATH.
func (c *container) criu() string {
	if c.options.CriuPath != "" {
		return c.options.CriuPath
	}
	found, _ := exec.LookPath("criu")
	return found
}

// live is the container where there is one already.
func (c *container) live() (*riverrun.Container, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handle == nil {
		return nil, fmt.Errorf("container %s is not restored yet: %w", c.id, errdefs.ErrFailedPrecondition)
	}
	return c.handle, nil
}

func (c *container) checkpoint(ctx context.Context, r *api.CheckpointTaskRequest) error {
	handle, err := c.live()
	if err != nil {
		return err
	}
	wanted, err := readCheckpoint(r.Options)
	if err != nil {
		return err
	}
	for _, empty := range wanted.EmptyNamespaces {
		if empty != "network" { // That one always is.
			return fmt.Errorf("checkpoint with an empty %s namespace: %w", empty, errdefs.ErrNotImplemented)
		}
	}
	modes := map[string]riverrun.ManageCgroups{
		"": riverrun.CgroupsSoft, "ignore": riverrun.CgroupsIgnore, "soft": riverrun.CgroupsSoft, "full": riverrun.CgroupsFull,
		"strict": riverrun.CgroupsStrict,
	}
	mode, ok := modes[wanted.CgroupsMode]
	if !ok {
		return fmt.Errorf("cgroups mode %q: %w", wanted.CgroupsMode, errdefs.ErrInvalidArgument)
	}
	work := wanted.WorkPath
	if work == "" {
		work = filepath.Join(c.criuWork(), "criu-work")
		if err := os.MkdirAll(work, 0o700); err != nil {
			return err
		}
		defer os.RemoveAll(work)
	}
	return handle.Checkpoint(ctx, riverrun.CheckpointOptions{
		Images: riverrun.Directory{Path: r.Path}, Work: riverrun.Directory{Path: work}, LeaveRunning: !wanted.Exit,
		CRIU: riverrun.CRIUOptions{
			TCPEstablished: wanted.OpenTcp, ExtUnixSockets: wanted.ExternalUnixSockets, ShellJob: wanted.Terminal,
			FileLocks: wanted.FileLocks, ManageCgroups: mode, Program: c.criu(),
		},
	})
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
	if handle, err := c.live(); err == nil {
		if err := handle.Delete(ctx); err != nil && !errors.Is(err, riverrun.ErrNotFound) {
			return err
		}
		select {
		case <-c.first.ended:
		case <-time.After(patience):
		}
	}
	c.first.release()
	return c.unmount()
}

func (c *container) update(ctx context.Context, resources *types.Any) error {
	if resources == nil {
		return fmt.Errorf("no resources: %w", errdefs.ErrInvalidArgument)
	}
	handle, err := c.live()
	if err != nil {
		return err
	}
	return handle.Update(ctx, resources.Value, riverrun.UpdateOptions{})
}
