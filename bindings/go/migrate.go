package riverrun

/*
#include <riverrun.h>
#include <stdint.h>

extern void riverrunMigration(uintptr_t data, rr_migration_event *event);

static void riverrun_migration(void *data, const rr_migration_event *event) {
  riverrunMigration((uintptr_t)data, (rr_migration_event *)event);
}
static void riverrun_set_progress(rr_migrate_options *options, uintptr_t handle) {
  options->progress = riverrun_migration;
  options->progress_data = (void *)handle;
}
*/
import "C"

import (
	"context"
	"os"
	"runtime"
	"runtime/cgo"
	"time"
)

// MigrationStep is what has happened of a migration.
type MigrationStep int

// The steps; a later version of the library may have more.
const (
	MigrationAccepted MigrationStep = C.RR_MIGRATION_ACCEPTED
	MigrationFiles    MigrationStep = C.RR_MIGRATION_FILES
	MigrationRound    MigrationStep = C.RR_MIGRATION_ROUND
	MigrationNoRounds MigrationStep = C.RR_MIGRATION_NO_ROUNDS
	MigrationFrozen   MigrationStep = C.RR_MIGRATION_FROZEN
	MigrationImages   MigrationStep = C.RR_MIGRATION_IMAGES
	MigrationRestored MigrationStep = C.RR_MIGRATION_RESTORED
	MigrationRunning  MigrationStep = C.RR_MIGRATION_RUNNING
)

// MigrationEvent is a step with what belongs to it.
type MigrationEvent struct {
	Step MigrationStep
	// Round is the number of MigrationRound, from 1 on.
	Round int
	// Files, Bytes on the stream, and how long it took to send them.
	Files, Bytes uint64
	Sending      time.Duration
	// Memory is bytes of memory that no round before had.
	Memory uint64
	// Frozen: the files are those that have changed since the first time.
	Frozen bool
	// Pid and Downtime of MigrationRunning: it runs there, and the rest of its memory is still here.
	Pid      int
	Downtime time.Duration
	// Reason why memory is not sent in rounds.
	Reason string
}

// MigrateOptions say how a container is sent away. The zero value: the target has its files, and memory goes in rounds.
type MigrateOptions struct {
	// CopyRootfs sends all files of the root filesystem.
	CopyRootfs bool
	// NoRounds freezes the container at once; Rounds is the most that there may be, 0: the library's default.
	NoRounds bool
	Rounds   int
	// PageServer: memory goes straight into the target's images, and is never written here.
	PageServer bool
	// Lazy: the container runs at the target before its memory is there. If this host dies meanwhile, it is lost.
	Lazy bool
	// Patience is how long the other side may say nothing; 0: the library's default.
	Patience time.Duration
	// Work is a directory in which images are kept until all is over; empty: that for temporary files.
	Work                       string
	TCPSkipInFlight, LinkRemap bool
	// CRIU but for LazyPages and AutoDedup; it holds for the target as well.
	CRIU CRIUOptions
	// Progress is told what happens, during the call. What it takes while the container is frozen is downtime.
	Progress func(MigrationEvent)
}

// Migrated is a migration that has succeeded.
type Migrated struct {
	// Pid of the first process, in the target's pid namespace.
	Pid    int
	Rounds int
	// Bytes on the stream, both ways.
	Bytes           uint64
	Downtime, Total time.Duration
}

//export riverrunMigration
func riverrunMigration(data C.uintptr_t, event *C.rr_migration_event) {
	told := MigrationEvent{
		Step: MigrationStep(event._type), Round: int(event.round), Files: uint64(event.files), Bytes: uint64(event.bytes),
		Sending: time.Duration(event.sending_ns), Memory: uint64(event.memory), Frozen: event.frozen != 0,
		Pid: int(event.pid), Downtime: time.Duration(event.downtime_ns),
	}
	if event.reason != nil {
		told.Reason = C.GoString(event.reason)
	}
	cgo.Handle(data).Value().(func(MigrationEvent))(told)
}

// Migrate sends the running container to whoever receives it at the other end of socket, a connected stream socket that stays the
// caller's to close, and deletes it here once it runs there. Until the target is told to run it every error leaves it running here;
// one whose Details say "undecided" of "migration" leaves it paused, and only a look at the target tells what to do with it.
func (c *Container) Migrate(ctx context.Context, socket *os.File, options MigrateOptions) (Migrated, error) {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(socket)
	o := (*C.rr_migrate_options)(m.zeroed(C.sizeof_rr_migrate_options))
	C.rr_migrate_options_init(o, C.sizeof_rr_migrate_options)
	o.flags = options.CRIU.flags() | flags(
		flag{options.CopyRootfs, C.RR_MIGRATE_COPY_ROOTFS}, flag{options.NoRounds, C.RR_MIGRATE_NO_ROUNDS},
		flag{options.PageServer, C.RR_MIGRATE_PAGE_SERVER}, flag{options.Lazy, C.RR_MIGRATE_LAZY},
		flag{options.TCPSkipInFlight, C.RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT}, flag{options.LinkRemap, C.RR_CHECKPOINT_LINK_REMAP},
	)
	o.rounds, o.patience_ms = C.uint32_t(options.Rounds), milliseconds(options.Patience)
	o.work, o.criu = m.optional(options.Work), m.optional(options.CRIU.Program)
	o.manage_cgroups, o.network_lock = C.uint32_t(options.CRIU.ManageCgroups), C.uint32_t(options.CRIU.NetworkLock)
	if options.Progress != nil {
		handle := cgo.NewHandle(options.Progress)
		defer handle.Delete()
		C.riverrun_set_progress(o, C.uintptr_t(handle))
	}
	out := (*C.rr_migrated)(m.zeroed(C.sizeof_rr_migrated))
	out.size = C.sizeof_rr_migrated
	err := c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code {
		o.call = call
		return C.rr_migrate(h, C.int(number(socket)), o, out, err)
	})
	if err != nil {
		return Migrated{}, err
	}
	return Migrated{
		Pid: int(out.pid), Rounds: int(out.rounds), Bytes: uint64(out.bytes),
		Downtime: time.Duration(out.downtime_ns), Total: time.Duration(out.total_ns),
	}, nil
}

// ReceiveOptions say how a container is received, beside how it is created. The zero value is the default of everything.
type ReceiveOptions struct {
	// Limit is the most bytes of files and images that are stored; 0: any number.
	Limit uint64
	// Patience is how long the other side may say nothing; 0: the library's default.
	Patience time.Duration
	// Work is a directory in which images are kept until all is over; empty: that for temporary files.
	Work          string
	ManageCgroups ManageCgroups
	NetworkLock   NetworkLock
	// Program is CRIU's; empty: the first criu in the usual directories.
	Program string
}

// Receive takes a container from whoever migrates it at the other end of socket, a connected stream socket that stays the caller's to
// close. An empty id is the source's. In CreateOptions neither a Bundle nor a Config is needed; a Bundle is made if the source sends
// the root filesystem. Whoever can write to the socket is as good as root. On failure nothing is left behind.
func (r *Runtime) Receive(ctx context.Context, socket *os.File, id string, options CreateOptions, receive ReceiveOptions) (*Container, error) {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(socket)
	o := (*C.rr_receive_options)(m.zeroed(C.sizeof_rr_receive_options))
	C.rr_receive_options_init(o, C.sizeof_rr_receive_options)
	o.limit, o.patience_ms = C.uint64_t(receive.Limit), milliseconds(receive.Patience)
	o.manage_cgroups, o.network_lock = C.uint32_t(receive.ManageCgroups), C.uint32_t(receive.NetworkLock)
	o.work, o.criu = m.optional(receive.Work), m.optional(receive.Program)
	made, err := r.make(ctx, id, options, func(h *C.rr_context, name *C.char, c *C.rr_create_options, out **C.rr_container, err **C.rr_error) C.rr_code {
		if id == "" {
			name = nil
		}
		return C.rr_receive(h, C.int(number(socket)), name, c, o, out, err)
	})
	if err != nil || id != "" {
		return made, err
	}
	// It runs, whatever becomes of the question for its name.
	if document, err := made.StateDocument(); err == nil {
		made.ID = document.ID
	}
	return made, nil
}

// milliseconds is a duration as the library takes it, in which 0 is the default: the shortest one is a millisecond.
func milliseconds(d time.Duration) C.uint32_t {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	if ms > 1<<32-1 {
		ms = 1<<32 - 1
	}
	return C.uint32_t(ms)
}
