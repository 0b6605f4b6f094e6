package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/pkg/shutdown"
	"github.com/containerd/containerd/runtime/v2/runc/options"
	"github.com/containerd/containerd/runtime/v2/shim"
	api "github.com/containerd/containerd/runtime/v2/task"
	"github.com/containerd/ttrpc"
	"github.com/containerd/typeurl"
	"github.com/gogo/protobuf/types"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

var empty = &types.Empty{}

// service is the task API over the containers of this shim: one, or those of a pod.
type service struct {
	namespace string
	end       shutdown.Service
	publisher shim.Publisher
	events    chan interface{}
	// ended is closed when nothing is published any more.
	ended chan struct{}

	mu         sync.Mutex
	containers map[string]*container
}

func newService(ctx context.Context, namespace string, publisher shim.Publisher, end shutdown.Service) *service {
	s := &service{
		namespace: namespace, end: end, publisher: publisher,
		events: make(chan interface{}, 128), ended: make(chan struct{}), containers: map[string]*container{},
	}
	go s.publish()
	end.RegisterCallback(func(context.Context) error {
		close(s.ended)
		if address, err := shim.ReadAddress("address"); err == nil {
			return shim.RemoveSocket(address)
		}
		return nil
	})
	return s
}

func (s *service) RegisterTTRPC(server *ttrpc.Server) error {
	api.RegisterTaskService(server, s)
	return nil
}

func (s *service) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil && c.first != nil {
		return c, nil
	}
	return nil, errdefs.ToGRPCf(errdefs.ErrNotFound, "container %s is not of this shim", id)
}

// live finds a container that is more than images.
func (s *service) live(id string) (*container, *riverrun.Container, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, nil, err
	}
	handle, err := c.live()
	return c, handle, errdefs.ToGRPC(err)
}

func (s *service) process(id, exec string) (*container, *process, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.process(exec)
	return c, p, errdefs.ToGRPC(err)
}

func (s *service) Create(ctx context.Context, r *api.CreateTaskRequest) (*api.CreateTaskResponse, error) {
	s.mu.Lock()
	if s.containers[r.ID] != nil {
		s.mu.Unlock()
		return nil, errdefs.ToGRPCf(errdefs.ErrAlreadyExists, "container %s", r.ID)
	}
	s.containers[r.ID] = &container{} // It has no process yet, so nobody finds it.
	s.mu.Unlock()
	c, err := newContainer(ctx, s.namespace, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.containers, r.ID)
		return nil, outward("OCI runtime create failed", err)
	}
	s.containers[r.ID] = c
	s.send(&eventstypes.TaskCreate{
		ContainerID: r.ID, Bundle: r.Bundle, Rootfs: r.Rootfs, Checkpoint: r.Checkpoint, Pid: uint32(c.first.pid),
		IO: &eventstypes.TaskIO{Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Terminal: r.Terminal},
	})
	if c.handle != nil {
		go s.watch(c, c.handle)
	}
	return &api.CreateTaskResponse{Pid: uint32(c.first.pid)}, nil
}

func (s *service) Start(ctx context.Context, r *api.StartRequest) (*api.StartResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	// Whoever tells the exit takes this lock, too: the start is told before.
	p.mu.Lock()
	defer p.mu.Unlock()
	if p == c.first {
		if err := s.startFirst(ctx, c); err != nil {
			return nil, err
		}
		p.started = true
		s.send(&eventstypes.TaskStart{ContainerID: c.id, Pid: uint32(p.pid)})
		return &api.StartResponse{Pid: uint32(p.pid)}, nil
	}
	if err := p.execute(ctx, c); err != nil {
		return nil, outward("OCI runtime exec failed", err)
	}
	s.send(&eventstypes.TaskExecStarted{ContainerID: c.id, ExecID: p.exec, Pid: uint32(p.pid)})
	go s.await(c, p)
	return &api.StartResponse{Pid: uint32(p.pid)}, nil
}

// startFirst starts a container; one that is images is made of them, and runs.
func (s *service) startFirst(ctx context.Context, c *container) error {
	if handle, err := c.live(); err == nil {
		return outward("OCI runtime start failed", handle.Start(ctx))
	}
	if err := c.create(ctx); err != nil {
		return outward("OCI runtime restore failed", err)
	}
	go s.watch(c, c.handle)
	return nil
}

func (s *service) Exec(_ context.Context, r *api.ExecProcessRequest) (*types.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.add(r); err != nil {
		return nil, errdefs.ToGRPC(err)
	}
	s.send(&eventstypes.TaskExecAdded{ContainerID: c.id, ExecID: r.ExecID})
	return empty, nil
}

func (s *service) Delete(ctx context.Context, r *api.DeleteRequest) (*api.DeleteResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if p != c.first {
		if err := c.remove(p); err != nil {
			return nil, errdefs.ToGRPC(err)
		}
	} else if err := c.delete(ctx); err != nil {
		return nil, outward("failed to delete task", err)
	}
	status, at := p.end()
	if p == c.first {
		s.mu.Lock()
		delete(s.containers, c.id)
		s.mu.Unlock()
		s.send(&eventstypes.TaskDelete{ContainerID: c.id, Pid: uint32(p.pid), ExitStatus: status, ExitedAt: at})
	}
	return &api.DeleteResponse{Pid: uint32(p.pid), ExitStatus: status, ExitedAt: at}, nil
}

func (s *service) State(_ context.Context, r *api.StateRequest) (*api.StateResponse, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	status, at := p.end()
	state, err := p.status(c)
	if err != nil {
		return nil, outward("read the state", err)
	}
	id := c.id
	if p.exec != "" {
		id = p.exec
	}
	return &api.StateResponse{
		ID: id, ExecID: p.exec, Bundle: c.bundle, Pid: uint32(p.number()), Status: state, ExitStatus: status, ExitedAt: at,
		Stdin: p.paths.stdin, Stdout: p.paths.stdout, Stderr: p.paths.stderr, Terminal: p.paths.terminal,
	}, nil
}

func (s *service) Pause(ctx context.Context, r *api.PauseRequest) (*types.Empty, error) {
	c, handle, err := s.live(r.ID)
	if err != nil {
		return nil, err
	}
	if err := handle.Pause(ctx); err != nil {
		return nil, outward("OCI runtime pause failed", err)
	}
	s.send(&eventstypes.TaskPaused{ContainerID: c.id})
	return empty, nil
}

func (s *service) Resume(ctx context.Context, r *api.ResumeRequest) (*types.Empty, error) {
	c, handle, err := s.live(r.ID)
	if err != nil {
		return nil, err
	}
	if err := handle.Resume(ctx); err != nil {
		return nil, outward("OCI runtime resume failed", err)
	}
	s.send(&eventstypes.TaskResumed{ContainerID: c.id})
	return empty, nil
}

func (s *service) Kill(ctx context.Context, r *api.KillRequest) (*types.Empty, error) {
	c, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	return empty, p.kill(ctx, c, syscall.Signal(r.Signal), r.All)
}

func (s *service) Pids(_ context.Context, r *api.PidsRequest) (*api.PidsResponse, error) {
	c, handle, err := s.live(r.ID)
	if err != nil {
		return nil, err
	}
	pids, err := handle.Pids()
	if err != nil {
		return nil, outward("list the processes", err)
	}
	executed := c.executed()
	response := &api.PidsResponse{}
	for _, pid := range pids {
		info := &task.ProcessInfo{Pid: uint32(pid)}
		if id, ok := executed[pid]; ok {
			if info.Info, err = typeurl.MarshalAny(&options.ProcessDetails{ExecID: id}); err != nil {
				return nil, err
			}
		}
		response.Processes = append(response.Processes, info)
	}
	return response, nil
}

func (s *service) ResizePty(_ context.Context, r *api.ResizePtyRequest) (*types.Empty, error) {
	_, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	return empty, outward("resize the terminal", p.resize(uint16(r.Height), uint16(r.Width)))
}

func (s *service) CloseIO(_ context.Context, r *api.CloseIORequest) (*types.Empty, error) {
	_, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	if r.Stdin {
		p.closeStdin()
	}
	return empty, nil
}

func (s *service) Checkpoint(ctx context.Context, r *api.CheckpointTaskRequest) (*types.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.checkpoint(ctx, r); err != nil {
		return nil, outward("OCI runtime checkpoint failed", err)
	}
	s.send(&eventstypes.TaskCheckpointed{ContainerID: c.id, Checkpoint: r.Path})
	return empty, nil
}

func (s *service) Update(ctx context.Context, r *api.UpdateTaskRequest) (*types.Empty, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	return empty, outward("OCI runtime update failed", c.update(ctx, r.Resources))
}

func (s *service) Wait(ctx context.Context, r *api.WaitRequest) (*api.WaitResponse, error) {
	_, p, err := s.process(r.ID, r.ExecID)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return nil, errdefs.ToGRPC(ctx.Err())
	}
	status, at := p.end()
	return &api.WaitResponse{ExitStatus: status, ExitedAt: at}, nil
}

func (s *service) Stats(_ context.Context, r *api.StatsRequest) (*api.StatsResponse, error) {
	c, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	metrics, err := c.metrics()
	if err != nil {
		return nil, outward("read the statistics", err)
	}
	encoded, err := typeurl.MarshalAny(metrics)
	if err != nil {
		return nil, fmt.Errorf("encode the statistics: %w", err)
	}
	return &api.StatsResponse{Stats: encoded}, nil
}

func (s *service) Connect(_ context.Context, r *api.ConnectRequest) (*api.ConnectResponse, error) {
	response := &api.ConnectResponse{ShimPid: uint32(os.Getpid())}
	if c, err := s.container(r.ID); err == nil {
		response.TaskPid = uint32(c.first.number())
	}
	return response, nil
}

// Shutdown ends the shim with its last container.
func (s *service) Shutdown(context.Context, *api.ShutdownRequest) (*types.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.containers) == 0 {
		s.end.Shutdown()
	}
	return empty, nil
}
