package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/errdefs"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// paths are where a process's streams lead, as containerd names them; empty: nowhere.
type paths struct {
	stdin, stdout, stderr string
	terminal              bool
}

// process is a container's first, or one that is executed in it.
type process struct {
	exec  string // containerd's name for it, "" for the first
	paths paths
	// document is the process object of one that will be executed.
	document []byte
	// ended is closed when the process has ended, or could not begin.
	ended chan struct{}

	mu         sync.Mutex
	handle     *riverrun.Process
	streams    *streams
	pid        int
	started    bool
	rows, cols uint16
	over       bool
	exitStatus uint32
	exitedAt   time.Time
}

func newProcess(exec string, paths paths, document []byte) *process {
	return &process{exec: exec, paths: paths, document: document, ended: make(chan struct{})}
}

// begin takes over what was made, and starts to move its streams.
func (p *process) begin(handle *riverrun.Process, streams *streams) error {
	if err := streams.start(handle); err != nil {
		return err
	}
	p.handle, p.streams, p.pid = handle, streams, handle.Pid()
	return nil
}

// execute runs a process that was added. With the lock held.
func (p *process) execute(ctx context.Context, c *container) error {
	if p.started {
		return fmt.Errorf("process %s was started before: %w", p.exec, errdefs.ErrFailedPrecondition)
	}
	p.started = true
	streams, err := openStreams(ctx, c, p)
	if err != nil {
		p.fail()
		return err
	}
	container, err := c.live()
	if err != nil {
		streams.close()
		p.fail()
		return err
	}
	handle, err := container.Exec(ctx, riverrun.ExecOptions{Process: p.document, IO: streams.io})
	if err == nil {
		if err = p.begin(handle, streams); err != nil {
			_ = handle.Signal(syscall.SIGKILL)
		}
	}
	if err != nil {
		streams.close()
		p.fail()
	}
	return err
}

// fail is the end of a process that did not begin.
func (p *process) fail() { p.setEnd(riverrun.Exit{StatusLost: true}) }

// setEnd keeps how the process ended, once. With the lock held.
func (p *process) setEnd(exit riverrun.Exit) {
	if p.over {
		return
	}
	p.over, p.exitStatus, p.exitedAt = true, uint32(exit.ShellStatus()), exit.At
	if exit.StatusLost {
		p.exitStatus, p.exitedAt = 255, time.Now()
	}
	close(p.ended)
}

func (p *process) end() (uint32, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exitStatus, p.exitedAt
}

func (p *process) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

func (p *process) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started && !p.over
}

// status is the process's as containerd calls it; what holds for the container holds for all in it.
func (p *process) status(c *container) (task.Status, error) {
	p.mu.Lock()
	over, started := p.over, p.started
	p.mu.Unlock()
	if over {
		return task.StatusStopped, nil
	}
	if !started {
		return task.StatusCreated, nil
	}
	handle, err := c.live()
	if err != nil {
		return task.StatusUnknown, err
	}
	now, err := handle.State()
	switch {
	case err != nil && !errors.Is(err, riverrun.ErrNotFound):
		return task.StatusUnknown, err
	case now.Status == riverrun.Paused:
		return task.StatusPaused, nil
	}
	// That it has ended is said by its exit, which is on its way.
	return task.StatusRunning, nil
}

func (p *process) kill(ctx context.Context, c *container, signal syscall.Signal, all bool) error {
	p.mu.Lock()
	handle, over := p.handle, p.over
	p.mu.Unlock()
	container, err := c.live()
	if err != nil || (handle == nil && !over) {
		return errdefs.ToGRPC(fmt.Errorf("process not created: %w", errdefs.ErrFailedPrecondition))
	}
	switch {
	case p.exec == "" && all:
		err = container.KillAll(ctx, signal)
	case over:
		return finished()
	case p.exec == "":
		err = container.Kill(ctx, signal)
	default:
		err = handle.Signal(signal)
	}
	if errors.Is(err, riverrun.ErrNotRunning) {
		return finished()
	}
	return outward("send the signal", err)
}

func (p *process) resize(rows, cols uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows, p.cols = rows, cols
	if p.handle == nil || !p.paths.terminal || p.over {
		return nil
	}
	return p.handle.Resize(rows, cols)
}

func (p *process) closeStdin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != nil {
		p.streams.closeStdin()
	}
}

// release gives back what a process that has ended held.
func (p *process) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != nil {
		p.streams.finish(patience)
	}
	if p.handle != nil {
		p.handle.Close()
	}
}
