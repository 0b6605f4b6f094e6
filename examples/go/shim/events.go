package main

import (
	"context"
	"errors"
	"syscall"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/log"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/runtime"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// watch tells what happens to a container until its first process has ended.
func (s *service) watch(c *container, handle *riverrun.Container) {
	stream, err := handle.Events(riverrun.EventsOptions{})
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
	if handle, err := c.live(); err == nil && p == c.first && c.sharesPids {
		if err := handle.KillAll(context.Background(), syscall.SIGKILL); err != nil && !errors.Is(err, riverrun.ErrNotFound) {
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

// send puts an event into the queue; whoever has to keep an order holds a lock meanwhile.
func (s *service) send(event interface{}) {
	select {
	case s.events <- event:
	case <-s.ended:
	}
}

func (s *service) publish() {
	ctx := namespaces.WithNamespace(context.Background(), s.namespace)
	publish := func(event interface{}) {
		if err := s.publisher.Publish(ctx, topic(event), event); err != nil {
			log.L.WithError(err).Error("publish an event")
		}
	}
	for {
		select {
		case event := <-s.events:
			publish(event)
		case <-s.ended:
			for len(s.events) > 0 {
				publish(<-s.events)
			}
			s.publisher.Close()
			return
		}
	}
}

func topic(event interface{}) string {
	switch event.(type) {
	case *eventstypes.TaskCreate:
		return runtime.TaskCreateEventTopic
	case *eventstypes.TaskStart:
		return runtime.TaskStartEventTopic
	case *eventstypes.TaskOOM:
		return runtime.TaskOOMEventTopic
	case *eventstypes.TaskExit:
		return runtime.TaskExitEventTopic
	case *eventstypes.TaskDelete:
		return runtime.TaskDeleteEventTopic
	case *eventstypes.TaskExecAdded:
		return runtime.TaskExecAddedEventTopic
	case *eventstypes.TaskExecStarted:
		return runtime.TaskExecStartedEventTopic
	case *eventstypes.TaskPaused:
		return runtime.TaskPausedEventTopic
	case *eventstypes.TaskResumed:
		return runtime.TaskResumedEventTopic
	case *eventstypes.TaskCheckpointed:
		return runtime.TaskCheckpointedEventTopic
	}
	return runtime.TaskUnknownTopic
}
