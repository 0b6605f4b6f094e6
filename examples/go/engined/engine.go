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

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// engine holds what this process made or found. Everything that lasts is in the runtime's state root and in the output files.
type engine struct {
	runtime *riverrun.Runtime
	data    string
	feed    *feed

	mu         sync.Mutex
	containers map[string]*riverrun.Container
}

func newEngine(data string) (*engine, error) {
	for _, directory := range []string{"output", "state"} {
		if err := os.MkdirAll(filepath.Join(data, directory), 0o700); err != nil {
			return nil, err
		}
	}
	runtime, err := riverrun.New(riverrun.Options{Root: filepath.Join(data, "state")})
	if err != nil {
		return nil, err
	}
	e := &engine{runtime: runtime, data: data, feed: newFeed(), containers: map[string]*riverrun.Container{}}
	return e, e.adopt()
}

// adopt finds the containers of an engine before this one and watches them.
func (e *engine) adopt() error {
	list, err := e.runtime.List()
	if err != nil {
		return err
	}
	for _, entry := range list {
		container, err := e.runtime.Open(entry.ID)
		if errors.Is(err, riverrun.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		e.containers[entry.ID] = container
		if entry.Status != "stopped" {
			go e.watch(container)
		}
	}
	return nil
}

// creation is the body of POST /containers.
type creation struct {
	ID     string          `json:"id"`
	Bundle string          `json:"bundle,omitempty"`
	Config json.RawMessage `json:"config,omitempty"`
}

func (e *engine) create(ctx context.Context, request creation) error {
	output, err := e.newOutput(request.ID)
	if err != nil {
		return err
	}
	defer output.Close()
	container, err := e.runtime.Create(ctx, request.ID, riverrun.CreateOptions{
		Bundle: request.Bundle,
		Config: request.Config,
		IO:     riverrun.IO{Stdin: riverrun.Null, Stdout: riverrun.File(output), Stderr: riverrun.File(output)},
	})
	if err != nil {
		_ = os.Remove(output.Name())
		return err
	}
	e.mu.Lock()
	e.containers[request.ID] = container
	e.mu.Unlock()
	e.feed.tell(event{Type: "create", ID: request.ID})
	go e.watch(container)
	return nil
}

// newOutput makes the file of a container that there is not yet: that is what keeps two creates of one id apart.
func (e *engine) newOutput(id string) (*os.File, error) {
	if id == "" || id == "." || id == ".." || filepath.Base(id) != id {
		return nil, riverrun.ErrInvalidID
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | os.O_APPEND
	output, err := os.OpenFile(e.output(id), flags, 0o600)
	if !errors.Is(err, os.ErrExist) {
		return output, err
	}
	// What an engine left that was killed before it could take it away.
	if _, err := e.runtime.Open(id); !errors.Is(err, riverrun.ErrNotFound) {
		return nil, riverrun.ErrExists
	}
	if err := os.Remove(e.output(id)); err != nil {
		return nil, err
	}
	return os.OpenFile(e.output(id), flags, 0o600)
}

// watch tells the end of a container's first process. A goroutine that waits holds no thread.
func (e *engine) watch(container *riverrun.Container) {
	first, err := container.InitProcess()
	if err != nil {
		return
	}
	defer first.Close()
	exit, err := first.Wait(context.Background())
	if err != nil {
		e.feed.tell(event{Type: "error", ID: container.ID, Text: err.Error()})
		return
	}
	status := exit.ShellStatus()
	e.feed.tell(event{Type: "exit", ID: container.ID, Status: &status})
}

func (e *engine) container(id string) (*riverrun.Container, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if container := e.containers[id]; container != nil {
		return container, nil
	}
	return nil, riverrun.ErrNotFound
}

func (e *engine) start(ctx context.Context, id string) error {
	container, err := e.container(id)
	if err != nil {
		return err
	}
	if err := container.Start(ctx); err != nil {
		return err
	}
	e.feed.tell(event{Type: "start", ID: id})
	return nil
}

// execution is the body of POST /containers/ID/exec, and result what comes back.
type execution struct {
	Args []string `json:"args"`
}
type result struct {
	Status int    `json:"status"`
	Output string `json:"output"`
}

func (e *engine) exec(ctx context.Context, id string, request execution) (result, error) {
	container, err := e.container(id)
	if err != nil {
		return result{}, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return result{}, err
	}
	defer reader.Close()
	process, err := container.Exec(ctx, riverrun.ExecOptions{
		Args: request.Args,
		IO:   riverrun.IO{Stdin: riverrun.Null, Stdout: riverrun.File(writer), Stderr: riverrun.File(writer)},
	})
	writer.Close()
	if err != nil {
		return result{}, err
	}
	defer process.Close()
	output := readUntilEnd(ctx, reader)
	exit, err := process.Wait(ctx)
	if err != nil {
		_ = process.Signal(syscall.SIGKILL)
		return result{}, err
	}
	return result{exit.ShellStatus(), string(output)}, nil
}

// stop asks with SIGTERM, and after grace insists with SIGKILL.
func (e *engine) stop(ctx context.Context, id string, grace time.Duration) error {
	container, err := e.container(id)
	if err != nil {
		return err
	}
	first, err := container.InitProcess()
	if err != nil {
		return err
	}
	defer first.Close()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := container.Kill(ctx, signal); errors.Is(err, riverrun.ErrNotRunning) {
			return nil
		} else if err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, grace)
		_, err := first.Wait(limited)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		grace = time.Minute
	}
	return fmt.Errorf("stop %s: it survives SIGKILL", id)
}

func (e *engine) delete(ctx context.Context, id string, force bool) error {
	container, err := e.container(id)
	if err != nil {
		return err
	}
	var flags []riverrun.DeleteFlag
	if force {
		flags = append(flags, riverrun.DeleteForce)
	}
	if err := container.Delete(ctx, flags...); err != nil {
		return err
	}
	e.mu.Lock()
	delete(e.containers, id)
	e.mu.Unlock()
	container.Close()
	e.feed.tell(event{Type: "delete", ID: id})
	return os.Remove(e.output(id))
}

func (e *engine) output(id string) string { return filepath.Join(e.data, "output", filepath.Base(id)) }
