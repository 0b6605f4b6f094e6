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
	"unsafe"
)

// EventType is what happened.
type EventType int

// The types.
const (
	// EventNone: what made the descriptor readable turned out to be nothing.
	EventNone     EventType = C.RR_EV_NONE
	EventExit     EventType = C.RR_EV_EXIT
	EventOOM      EventType = C.RR_EV_OOM
	EventOOMKill  EventType = C.RR_EV_OOM_KILL
	EventStats    EventType = C.RR_EV_STATS
	EventPressure EventType = C.RR_EV_PRESSURE
	EventState    EventType = C.RR_EV_STATE
	// EventEnd: nothing more will come.
	EventEnd EventType = C.RR_EV_END
)

// Event is one thing that happened to a container.
type Event struct {
	Type  EventType
	Pid   int
	At    time.Time
	Count uint64
	// Exit is of an EventExit, OOMKilled whether the kernel had killed for lack of memory.
	Exit      Exit
	OOMKilled bool
	// Status is of an EventState.
	Status Status
	// Trigger is of an EventPressure: which of the options'.
	Trigger int
	// Stats is of an EventStats.
	Stats json.RawMessage
}

// Resource is one that processes wait for.
type Resource uint32

// The resources.
const (
	PressureCPU    Resource = C.RR_PRESSURE_CPU
	PressureMemory Resource = C.RR_PRESSURE_MEMORY
	PressureIO     Resource = C.RR_PRESSURE_IO
)

// Pressure is worth an event: so long a stall within so long a window.
type Pressure struct {
	Resource Resource
	// Full: all processes wait, not only some.
	Full          bool
	Stall, Window time.Duration
}

// EventsOptions say what is told beside the exit. The zero value tells of memory that runs out, too, where the container's is
// counted; asked for by OOM, it is an error where it is not.
type EventsOptions struct {
	OOM, State bool
	// StatsInterval between two EventStats; 0: none.
	StatsInterval time.Duration
	Pressure      []Pressure
}

// EventStream is made by Container.Events. One goroutine uses it at a time.
type EventStream struct {
	handle *C.rr_event_stream
	once   sync.Once
}

// Events listens to the container from now on. Out of memory comes before the exit, EventEnd last.
func (c *Container) Events(options EventsOptions) (*EventStream, error) {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(c)
	o := (*C.rr_events_options)(m.zeroed(C.sizeof_rr_events_options))
	C.rr_events_options_init(o, C.sizeof_rr_events_options)
	wanted := flags(
		flag{options.OOM, C.RR_WANT_OOM}, flag{options.State, C.RR_WANT_STATE}, flag{options.StatsInterval > 0, C.RR_WANT_STATS},
	)
	if wanted != 0 {
		o.mask = wanted | C.RR_WANT_EXIT
	}
	o.stats_interval_ms = C.uint32_t(options.StatsInterval.Milliseconds())
	if len(options.Pressure) > 0 {
		block := m.zeroed(C.size_t(len(options.Pressure)) * C.sizeof_rr_pressure)
		for i, p := range options.Pressure {
			unsafe.Slice((*C.rr_pressure)(block), len(options.Pressure))[i] = C.rr_pressure{
				resource: C.uint32_t(p.Resource), full: C.uint32_t(flags(flag{p.Full, 1})),
				stall_us: C.uint32_t(p.Stall.Microseconds()), window_us: C.uint32_t(p.Window.Microseconds()),
			}
		}
		o.pressure, o.n_pressure = (*C.rr_pressure)(block), C.size_t(len(options.Pressure))
	}
	out := (**C.rr_event_stream)(m.zeroed(C.sizeof_size_t))
	if err := check(nil, func(err **C.rr_error) C.rr_code { return C.rr_events(c.handle, o, out, err) }); err != nil {
		return nil, err
	}
	stream := &EventStream{handle: *out}
	runtime.SetFinalizer(stream, func(s *EventStream) { s.Close() })
	return stream, nil
}

// Close ends the stream.
func (s *EventStream) Close() error {
	s.once.Do(func() {
		runtime.SetFinalizer(s, nil)
		C.rr_event_stream_close(s.handle)
		s.handle = nil
	})
	return nil
}

// Next waits for the next event. While it waits it holds no thread.
func (s *EventStream) Next(ctx context.Context) (Event, error) {
	defer runtime.KeepAlive(s)
	if err := parked(ctx, C.rr_event_stream_fd(s.handle), "wait for an event"); err != nil {
		return Event{}, err
	}
	var m memory
	defer m.free()
	told := (*C.rr_event)(m.zeroed(C.sizeof_rr_event))
	told.size = C.sizeof_rr_event
	err := check(ctx, func(err **C.rr_error) C.rr_code { return C.rr_event_stream_next(s.handle, nil, told, err) })
	if err != nil {
		return Event{}, err
	}
	event := Event{
		Type: EventType(told._type), Pid: int(told.pid), At: time.Unix(0, int64(told.time_ns)), Count: uint64(told.count),
		OOMKilled: told.exit_flags&C.RR_EXIT_OOM_KILLED != 0, Status: Status(told.status),
		Trigger: int(told.index),
	}
	event.Exit = Exit{
		Code: int(told.exit_code), Signal: syscall.Signal(told.exit_sig), Core: told.exit_flags&C.RR_EXIT_CORE != 0,
		StatusLost: told.exit_flags&C.RR_EXIT_STATUS_LOST != 0, At: event.At,
	}
	if told.json != nil {
		event.Stats = json.RawMessage(C.GoStringN(told.json, C.int(told.json_len)))
	}
	return event, nil
}

// Pause freezes all processes; it returns once they stand still.
func (c *Container) Pause(ctx context.Context) error {
	return c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code { return C.rr_pause(h, call, err) })
}

// Resume lets the processes of a paused container go on.
func (c *Container) Resume(ctx context.Context) error {
	return c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code { return C.rr_resume(h, call, err) })
}

// UpdateOptions are for Intel's resctrl.
type UpdateOptions struct {
	L3CacheSchema, MemBwSchema string
}

// Update changes limits: a linux.resources object of the runtime specification as JSON, in which what is left out stays.
func (c *Container) Update(ctx context.Context, resources json.RawMessage, options UpdateOptions) error {
	var m memory
	defer m.free()
	o := (*C.rr_update_options)(m.zeroed(C.sizeof_rr_update_options))
	C.rr_update_options_init(o, C.sizeof_rr_update_options)
	o.l3_cache_schema, o.mem_bw_schema = m.optional(options.L3CacheSchema), m.optional(options.MemBwSchema)
	return c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code {
		o.call = call
		return C.rr_update(h, (*C.char)(m.bytes(resources)), C.size_t(len(resources)), o, err)
	})
}

// Stats are a few numbers of what the kernel counts, cheap enough to ask of thousands. Limits are math.MaxUint64 where there is
// none.
type Stats struct {
	CPU, CPUUser, CPUKernel  time.Duration
	MemoryUsage, MemoryLimit uint64
	MemoryOOMKill            uint64
	Pids, PidsLimit          uint64
	ReadBytes, WrittenBytes  uint64
}

// Stats reads them.
func (c *Container) Stats() (Stats, error) {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(c)
	info := (*C.rr_stats_info)(m.zeroed(C.sizeof_rr_stats_info))
	info.size = C.sizeof_rr_stats_info
	if err := check(nil, func(err **C.rr_error) C.rr_code { return C.rr_stats(c.handle, nil, info, err) }); err != nil {
		return Stats{}, err
	}
	return Stats{
		CPU: time.Duration(info.cpu_total), CPUUser: time.Duration(info.cpu_user), CPUKernel: time.Duration(info.cpu_kernel),
		MemoryUsage: uint64(info.memory_usage), MemoryLimit: uint64(info.memory_limit), MemoryOOMKill: uint64(info.memory_oom_kill),
		Pids: uint64(info.pids_current), PidsLimit: uint64(info.pids_limit),
		ReadBytes: uint64(info.io_read_bytes), WrittenBytes: uint64(info.io_write_bytes),
	}, nil
}

// StatsDocument is everything that the kernel counts: the data of what the command line's events --stats prints.
func (c *Container) StatsDocument() (json.RawMessage, error) {
	defer runtime.KeepAlive(c)
	return buffer(func(buf *C.rr_buf, err **C.rr_error) C.rr_code { return C.rr_stats_json(c.handle, buf, err) })
}

// TakeSeccompListener is the listener of a filter that notifies, of a container that was created to keep them here.
func (c *Container) TakeSeccompListener() (*os.File, error) {
	return c.descriptor("seccomp", func(fd *C.int, err **C.rr_error) C.rr_code { return C.rr_take_seccomp_fd(c.handle, fd, err) })
}
