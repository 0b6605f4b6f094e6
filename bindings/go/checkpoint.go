package riverrun

// #include <riverrun.h>
import "C"

import (
	"context"
	"os"
	"runtime"
)

// ManageCgroups is what CRIU does about cgroups.
type ManageCgroups uint32

// The ways; the zero value is CgroupsSoft.
const (
	CgroupsIgnore ManageCgroups = C.RR_CRIU_CGROUPS_IGNORE
	CgroupsSoft   ManageCgroups = C.RR_CRIU_CGROUPS_SOFT
	CgroupsFull   ManageCgroups = C.RR_CRIU_CGROUPS_FULL
	CgroupsStrict ManageCgroups = C.RR_CRIU_CGROUPS_STRICT
)

// NetworkLock is how connections are kept still while nobody holds them.
type NetworkLock uint32

// The ways; the zero value is what CRIU does by itself.
const (
	LockIptables NetworkLock = C.RR_CRIU_LOCK_IPTABLES
	LockNftables NetworkLock = C.RR_CRIU_LOCK_NFTABLES
	LockSkip     NetworkLock = C.RR_CRIU_LOCK_SKIP
)

// Directory of the host: by its path, or open. The zero Directory is none.
type Directory struct {
	Path string
	// File stays the caller's.
	File *os.File
}

func (d *Directory) lend(m *memory, path **C.char, plus1 *C.int32_t) {
	*path = m.optional(d.Path)
	if d.File != nil {
		*plus1 = C.int32_t(number(d.File)) + 1
	}
}

// CRIUOptions are what a checkpoint and a restore share: a restore needs those that the checkpoint was made with.
type CRIUOptions struct {
	// TCPEstablished keeps TCP connections, ExtUnixSockets leaves the ends of unix sockets outside alone, ShellJob keeps a terminal
	// from outside, LazyPages brings memory over when it is touched, AutoDedup frees what becomes superfluous in a parent.
	TCPEstablished, ExtUnixSockets, ShellJob, FileLocks, LazyPages, AutoDedup bool
	ManageCgroups                                                             ManageCgroups
	NetworkLock                                                               NetworkLock
	// Program is CRIU's; empty: the first criu in the usual directories.
	Program string
}

func (o *CRIUOptions) flags() C.uint64_t {
	return flags(
		flag{o.TCPEstablished, C.RR_CRIU_TCP_ESTABLISHED}, flag{o.ExtUnixSockets, C.RR_CRIU_EXT_UNIX_SK},
		flag{o.ShellJob, C.RR_CRIU_SHELL_JOB}, flag{o.FileLocks, C.RR_CRIU_FILE_LOCKS},
		flag{o.LazyPages, C.RR_CRIU_LAZY_PAGES}, flag{o.AutoDedup, C.RR_CRIU_AUTO_DEDUP},
	)
}

type flag struct {
	set bool
	bit C.uint64_t
}

func flags(all ...flag) C.uint64_t {
	var bits C.uint64_t
	for _, one := range all {
		if one.set {
			bits |= one.bit
		}
	}
	return bits
}

// CheckpointOptions say how a container is checkpointed; Images is needed.
type CheckpointOptions struct {
	// Images is where the images go; a path that is not there is made, for its owner alone.
	Images Directory
	// Work is where CRIU's log goes; none: to the images.
	Work Directory
	// Parent is the images of an earlier PreDump, relative to Images.
	Parent string
	// LeaveRunning lets the container go on afterwards, PreDump writes memory alone.
	LeaveRunning, PreDump, TCPSkipInFlight, LinkRemap bool
	// PageServer is the address that memory is sent to, PageServerPort its port.
	PageServer     string
	PageServerPort uint16
	// Status gets a zero byte once memory can be asked for, with LazyPages.
	Status *os.File
	CRIU   CRIUOptions
}

// Checkpoint writes the processes as images, from which Restore makes them again. Unless it is to go on, the container has stopped
// afterwards. On failure it runs on.
func (c *Container) Checkpoint(ctx context.Context, options CheckpointOptions) error {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(options)
	o := (*C.rr_checkpoint_options)(m.zeroed(C.sizeof_rr_checkpoint_options))
	C.rr_checkpoint_options_init(o, C.sizeof_rr_checkpoint_options)
	o.flags = options.CRIU.flags() | flags(
		flag{options.LeaveRunning, C.RR_CHECKPOINT_LEAVE_RUNNING}, flag{options.PreDump, C.RR_CHECKPOINT_PRE_DUMP},
		flag{options.TCPSkipInFlight, C.RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT}, flag{options.LinkRemap, C.RR_CHECKPOINT_LINK_REMAP},
	)
	options.Images.lend(&m, &o.images, &o.images_fd_plus1)
	options.Work.lend(&m, &o.work, &o.work_fd_plus1)
	o.parent, o.criu = m.optional(options.Parent), m.optional(options.CRIU.Program)
	o.page_server, o.page_server_port = m.optional(options.PageServer), C.uint32_t(options.PageServerPort)
	if options.Status != nil {
		o.status_fd_plus1 = C.int32_t(number(options.Status)) + 1
	}
	o.manage_cgroups, o.network_lock = C.uint32_t(options.CRIU.ManageCgroups), C.uint32_t(options.CRIU.NetworkLock)
	return c.limited(ctx, func(h *C.rr_container, call *C.rr_call, err **C.rr_error) C.rr_code {
		o.call = call
		return C.rr_checkpoint(h, o, err)
	})
}

// RestoreOptions say how a container is restored, beside how it is created; Images is needed.
type RestoreOptions struct {
	Images Directory
	// Work is where CRIU's log goes; none: to the images.
	Work Directory
	// TCPClose closes established TCP connections instead of keeping them.
	TCPClose bool
	// LSMProfile is TYPE:NAME, the label instead of the one that the processes had; LSMMountContext that of mounts.
	LSMProfile, LSMMountContext string
	CRIU                        CRIUOptions
}

// Restore makes a container of the images of a checkpoint: its processes go on where they were. On failure nothing is left behind.
func (r *Runtime) Restore(ctx context.Context, id string, options CreateOptions, restore RestoreOptions) (*Container, error) {
	var m memory
	defer m.free()
	defer runtime.KeepAlive(restore)
	o := (*C.rr_restore_options)(m.zeroed(C.sizeof_rr_restore_options))
	C.rr_restore_options_init(o, C.sizeof_rr_restore_options)
	o.flags = restore.CRIU.flags() | flags(flag{restore.TCPClose, C.RR_RESTORE_TCP_CLOSE})
	restore.Images.lend(&m, &o.images, &o.images_fd_plus1)
	restore.Work.lend(&m, &o.work, &o.work_fd_plus1)
	o.lsm_profile, o.lsm_mount_context = m.optional(restore.LSMProfile), m.optional(restore.LSMMountContext)
	o.criu = m.optional(restore.CRIU.Program)
	o.manage_cgroups, o.network_lock = C.uint32_t(restore.CRIU.ManageCgroups), C.uint32_t(restore.CRIU.NetworkLock)
	return r.make(ctx, id, options, func(h *C.rr_context, id *C.char, c *C.rr_create_options, out **C.rr_container, err **C.rr_error) C.rr_code {
		return C.rr_restore(h, id, c, o, out, err)
	})
}
