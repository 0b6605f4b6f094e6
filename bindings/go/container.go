package riverrun

// #include <riverrun.h>
import "C"

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Status is where a container is in its life.
type Status int

// The statuses.
const (
	Creating Status = C.RR_CREATING
	Created  Status = C.RR_CREATED
	Running  Status = C.RR_RUNNING
	Stopped  Status = C.RR_STOPPED
	Paused   Status = C.RR_PAUSED
)

func (s Status) String() string {
	names := [...]string{"creating", "created", "running", "stopped", "paused"}
	if s < 0 || int(s) >= len(names) {
		return "unknown"
	}
	return names[s]
}

// State is what a container is doing, observed at the call.
type State struct {
	Status Status
	// Pid of the first process in the host's pid namespace; 0 when it has ended.
	Pid int
	// StartTime is when it began, in clock ticks since boot; with Pid it names a process for good.
	StartTime uint64
	Created   time.Time
}

// StateDocument is what the command line's state and list print.
type StateDocument struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"`
}

// Container is made by Runtime's Create, Run and Open. Closing it stops and deletes nothing.
type Container struct {
	// ID in its state root.
	ID string
	// Pipes are the host's ends of the pipes that were asked for.
	Pipes Pipes

	handle *C.rr_container
	log    *logging
	once   sync.Once
}

func newContainer(handle *C.rr_container, id string, log *logging, pipes Pipes) *Container {
	made := &Container{ID: id, Pipes: pipes, handle: handle, log: log}
	runtime.SetFinalizer(made, func(c *Container) { c.Close() })
	return made
}

// Close gives the handle back; the pipes stay open.
func (c *Container) Close() error {
	c.once.Do(func() {
		runtime.SetFinalizer(c, nil)
		C.rr_container_unref(c.handle)
		c.handle = nil
	})
	return nil
}

// limited makes a call with this container that a context may end.
func (c *Container) limited(ctx context.Context, call func(*C.rr_container, *C.rr_call, **C.rr_error) C.rr_code) error {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(c)
	return limited(ctx, &m, func(limits *C.rr_call, err **C.rr_error) C.rr_code { return call(c.handle, limits, err) })
}

// Start lets a created container execute its program.
func (c *Container) Start(ctx context.Context) error {
	return c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code { return C.rr_start(h, call, err) })
}

// Kill sends a signal to the first process.
func (c *Container) Kill(ctx context.Context, signal syscall.Signal) error {
	return c.kill(ctx, signal, 0)
}

// KillAll sends a signal to every process.
func (c *Container) KillAll(ctx context.Context, signal syscall.Signal) error {
	return c.kill(ctx, signal, C.RR_KILL_ALL)
}

func (c *Container) kill(ctx context.Context, signal syscall.Signal, flags C.uint64_t) error {
	return c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code {
		return C.rr_kill(h, C.int(signal), flags, call, err)
	})
}

// DeleteFlag changes what Delete does.
type DeleteFlag uint64

// DeleteForce kills what still runs; a container that is gone is no error.
const DeleteForce DeleteFlag = C.RR_DELETE_FORCE

// Delete takes a stopped container away.
func (c *Container) Delete(ctx context.Context, flags ...DeleteFlag) error {
	var all C.uint64_t
	for _, flag := range flags {
		all |= C.uint64_t(flag)
	}
	return c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code {
		return C.rr_delete(h, all, call, err)
	})
}

// InitProcess is the first process.
func (c *Container) InitProcess() (*Process, error) {
	var m memory
	defer m.free()
	out := (**C.rr_process)(m.zeroed(C.sizeof_size_t))
	err := check(nil, func(err **C.rr_error) C.rr_code { return C.rr_init_process(c.handle, out, err) })
	runtime.KeepAlive(c)
	if err != nil {
		return nil, err
	}
	return newProcess(*out, Pipes{}), nil
}

// ExecOptions say how a further process is executed.
type ExecOptions struct {
	// Process is a process object of the runtime specification, as JSON.
	Process json.RawMessage
	// Args, instead of Process, run as root in / with a plain PATH.
	Args []string
	IO   IO
	// Cgroups are sub-cgroups for the process: [CONTROLLER[,CONTROLLER]:]PATH.
	Cgroups      []string
	PidFile      string
	IgnorePaused bool
	NoNewKeyring bool
}

func (o *ExecOptions) document() ([]byte, error) {
	if o.Process != nil {
		return o.Process, nil
	}
	return json.Marshal(map[string]any{
		"args": o.Args, "cwd": "/", "user": map[string]int{"uid": 0, "gid": 0},
		"env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	})
}

// Exec executes one more process.
func (c *Container) Exec(ctx context.Context, options ExecOptions) (*Process, error) {
	document, err := options.document()
	if err != nil {
		return nil, err
	}
	var m memory
	defer m.free()
	o := (*C.rr_exec_options)(m.zeroed(C.sizeof_rr_exec_options))
	C.rr_exec_options_init(o, C.sizeof_rr_exec_options)
	if options.IgnorePaused {
		o.flags |= C.RR_EXEC_IGNORE_PAUSED
	}
	if options.NoNewKeyring {
		o.flags |= C.RR_EXEC_NO_NEW_KEYRING
	}
	o.process, o.process_len = (*C.char)(m.bytes(document)), C.size_t(len(document))
	if len(options.Cgroups) > 0 {
		o.cgroups, o.n_cgroups = m.texts(options.Cgroups), C.size_t(len(options.Cgroups))
	}
	o.pid_file, o.io = m.optional(options.PidFile), options.IO.lend(&m)
	out := (**C.rr_process)(m.zeroed(C.sizeof_size_t))
	err = limited(ctx, &m, func(call *C.rr_call, err **C.rr_error) C.rr_code {
		o.call = call
		return C.rr_exec(c.handle, o, out, err)
	})
	runtime.KeepAlive(c)
	runtime.KeepAlive(options.IO)
	if err != nil {
		return nil, err
	}
	return newProcess(*out, pipes(o.io)), nil
}

// State is what it is doing now.
func (c *Container) State() (State, error) {
	var m memory
	defer m.free()
	info := (*C.rr_state_info)(m.zeroed(C.sizeof_rr_state_info))
	info.size = C.sizeof_rr_state_info
	err := check(nil, func(err **C.rr_error) C.rr_code { return C.rr_state(c.handle, info, err) })
	runtime.KeepAlive(c)
	if err != nil {
		return State{}, err
	}
	return State{Status(info.status), int(info.pid), uint64(info.start_time), time.Unix(0, int64(info.created_ns))}, nil
}

// StateDocument is what the command line's state prints.
func (c *Container) StateDocument() (StateDocument, error) {
	var document StateDocument
	bytes, err := buffer(func(buf *C.rr_buf, err **C.rr_error) C.rr_code { return C.rr_state_json(c.handle, buf, err) })
	runtime.KeepAlive(c)
	if err != nil {
		return document, err
	}
	return document, json.Unmarshal(bytes, &document)
}

// Pids are all processes, by their pids in the host's pid namespace.
func (c *Container) Pids() ([]int, error) {
	defer runtime.KeepAlive(c)
	for room := 64; ; {
		pids, count, err := c.pids(room)
		if err != nil || count <= room {
			return pids, err
		}
		room = count * 2
	}
}

func (c *Container) pids(room int) ([]int, int, error) {
	var m memory
	defer m.free()
	found := (*C.pid_t)(m.zeroed(C.size_t(room) * C.sizeof_pid_t))
	count := (*C.size_t)(m.zeroed(C.sizeof_size_t))
	err := check(nil, func(err **C.rr_error) C.rr_code { return C.rr_pids(c.handle, found, C.size_t(room), count, err) })
	if err != nil {
		return nil, 0, err
	}
	return numbers(found, min(int(*count), room)), int(*count), nil
}

// Namespace opens a namespace of the container.
func (c *Container) Namespace(kind Namespace) (*os.File, error) {
	return c.descriptor("namespace", func(fd *C.int, err **C.rr_error) C.rr_code {
		return C.rr_open_ns(c.handle, C.int(kind), fd, err)
	})
}

// Cgroup opens the directory of the container's cgroup.
func (c *Container) Cgroup() (*os.File, error) {
	return c.descriptor("cgroup", func(fd *C.int, err **C.rr_error) C.rr_code { return C.rr_open_cgroup(c.handle, fd, err) })
}

// NotifySocket is a datagram socket that hears what the program says by sd_notify(3), of a container that was created with Notify; to
// be made before Start.
func (c *Container) NotifySocket() (*os.File, error) {
	return c.descriptor("notify", func(fd *C.int, err **C.rr_error) C.rr_code { return C.rr_open_notify(c.handle, fd, err) })
}

func (c *Container) descriptor(name string, open func(*C.int, **C.rr_error) C.rr_code) (*os.File, error) {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(c)
	fd := (*C.int)(m.zeroed(C.sizeof_int))
	if err := check(nil, func(err **C.rr_error) C.rr_code { return open(fd, err) }); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(*fd), name), nil
}

// Namespace is a kind of namespace.
type Namespace int

// The kinds.
const (
	MountNamespace  Namespace = C.RR_NS_MOUNT
	PidNamespace    Namespace = C.RR_NS_PID
	NetNamespace    Namespace = C.RR_NS_NET
	IpcNamespace    Namespace = C.RR_NS_IPC
	UtsNamespace    Namespace = C.RR_NS_UTS
	UserNamespace   Namespace = C.RR_NS_USER
	CgroupNamespace Namespace = C.RR_NS_CGROUP
	TimeNamespace   Namespace = C.RR_NS_TIME
)
