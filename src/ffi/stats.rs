//! `rr_stats`: what the kernel counts for a container, as JSON for a tool and as flat numbers for an engine that asks many
//! containers again and again.

use super::arg::{invalid, require, unsupported};
use super::buf::rr_buf;
use super::code::rr_code;
use super::container::rr_container;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle;
use super::sized::{self, Sized};
use crate::{Result, StatsSet, Usage};

/// Statistics: processor time. Since 0.1.
pub const RR_STATS_CPU: u64 = 1 << 0;
/// Statistics: memory, and how often it ran out. Since 0.1.
pub const RR_STATS_MEMORY: u64 = 1 << 1;
/// Statistics: processes and threads. Since 0.1.
pub const RR_STATS_PIDS: u64 = 1 << 2;
/// Statistics: block devices. Since 0.1.
pub const RR_STATS_IO: u64 = 1 << 3;
/// Statistics: stalls (the kernel's psi.rst). Since 0.1.
pub const RR_STATS_PRESSURE: u64 = 1 << 4;
/// Statistics: RDMA resources. Since 0.1.
pub const RR_STATS_RDMA: u64 = 1 << 5;
/// Statistics: processor time by CPU, which cgroup v1 alone counts. Since 0.1.
pub const RR_STATS_PERCPU: u64 = 1 << 6;

const _: () = assert!(
    RR_STATS_CPU == StatsSet::CPU.bits()
        && RR_STATS_MEMORY == StatsSet::MEMORY.bits()
        && RR_STATS_PIDS == StatsSet::PIDS.bits()
        && RR_STATS_IO == StatsSet::IO.bits()
        && RR_STATS_PRESSURE == StatsSet::PRESSURE.bits()
        && RR_STATS_RDMA == StatsSet::RDMA.bits()
        && RR_STATS_PERCPU == StatsSet::PERCPU.bits()
);

/// Which numbers `rr_stats` reads. NULL in its place reads all groups but the times by CPU. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_stats_options {
    /// `sizeof(rr_stats_options)`.
    pub size: usize,
    /// `RR_STATS_*`: a group that is not asked for costs nothing. 0: all but `RR_STATS_PERCPU`.
    pub what: u64,
    /// Room for the nanoseconds by CPU; NULL with `percpu_cap` 0. Needed with `RR_STATS_PERCPU` only.
    pub percpu: *mut u64,
    /// How many fit there.
    pub percpu_cap: usize,
}

// SAFETY: repr(C), size first, integers and a pointer.
unsafe impl Sized for rr_stats_options {
    const NAME: &'static str = "o";
}

/// What the kernel counts for a container. Set `size` to `sizeof(rr_stats_info)` before the call; only so much is written.
/// Times are nanoseconds, sizes bytes, and what this kernel does not count is 0. The files are those of the
/// kernel's cgroup-v2.rst, or cgroup-v1. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_stats_info {
    /// `sizeof(rr_stats_info)`, set by the caller.
    pub size: usize,
    /// The `RR_STATS_*` groups that were read: asked for, and counted here.
    pub present: u64,
    /// When: nanoseconds since 1970 UTC.
    pub taken_ns: i64,
    /// Processor time.
    pub cpu_total: u64,
    /// In programs.
    pub cpu_user: u64,
    /// In the kernel.
    pub cpu_kernel: u64,
    /// Periods of the CPU quota that have passed.
    pub cpu_periods: u64,
    /// Those in which the quota was used up.
    pub cpu_throttled_periods: u64,
    /// Time not had because of it.
    pub cpu_throttled: u64,
    /// Memory in use, cached files included.
    pub memory_usage: u64,
    /// Its limit; `UINT64_MAX` for none.
    pub memory_limit: u64,
    /// The most in use so far (on v2 KERNEL 5.19).
    pub memory_max: u64,
    /// How often the limit was hit.
    pub memory_failcnt: u64,
    /// Of the memory, what is not of files.
    pub memory_anon: u64,
    /// What is of files.
    pub memory_file: u64,
    /// Of that, what was not used lately: `memory_usage` less this is what kubelet calls the working set.
    pub memory_inactive_file: u64,
    /// The kernel's own.
    pub memory_kernel: u64,
    /// On swap.
    pub memory_swap: u64,
    /// Page faults.
    pub memory_pgfault: u64,
    /// Those that had to read.
    pub memory_pgmajfault: u64,
    /// How often memory ran out (v2).
    pub memory_oom: u64,
    /// Processes killed because of it.
    pub memory_oom_kill: u64,
    /// Processes and threads.
    pub pids_current: u64,
    /// Their limit; `UINT64_MAX` for none.
    pub pids_limit: u64,
    /// Read from all block devices.
    pub io_read_bytes: u64,
    /// Written to them.
    pub io_write_bytes: u64,
    /// Read operations.
    pub io_reads: u64,
    /// Write operations.
    pub io_writes: u64,
    /// Time in which some processes waited for a CPU.
    pub cpu_some: u64,
    /// Time in which all waited for one.
    pub cpu_full: u64,
    /// Time in which some waited for memory.
    pub memory_some: u64,
    /// Time in which all waited for memory.
    pub memory_full: u64,
    /// Time in which some waited for I/O.
    pub io_some: u64,
    /// Time in which all waited for I/O.
    pub io_full: u64,
    /// HCA handles of all devices.
    pub rdma_handles: u64,
    /// HCA objects of all devices.
    pub rdma_objects: u64,
    /// How many CPUs there are times of; no more than `percpu_cap` of the options were written.
    pub n_percpu: usize,
}

// SAFETY: repr(C), size first, integers only.
unsafe impl Sized for rr_stats_info {
    const NAME: &'static str = "out";
}

fn flat(usage: &Usage) -> rr_stats_info {
    rr_stats_info {
        size: 0,
        present: usage.present.bits(),
        taken_ns: usage.taken_ns,
        cpu_total: usage.cpu_total,
        cpu_user: usage.cpu_user,
        cpu_kernel: usage.cpu_kernel,
        cpu_periods: usage.cpu_periods,
        cpu_throttled_periods: usage.cpu_throttled_periods,
        cpu_throttled: usage.cpu_throttled,
        memory_usage: usage.memory_usage,
        memory_limit: usage.memory_limit,
        memory_max: usage.memory_max,
        memory_failcnt: usage.memory_failcnt,
        memory_anon: usage.memory_anon,
        memory_file: usage.memory_file,
        memory_inactive_file: usage.memory_inactive_file,
        memory_kernel: usage.memory_kernel,
        memory_swap: usage.memory_swap,
        memory_pgfault: usage.memory_pgfault,
        memory_pgmajfault: usage.memory_pgmajfault,
        memory_oom: usage.memory_oom,
        memory_oom_kill: usage.memory_oom_kill,
        pids_current: usage.pids_current,
        pids_limit: usage.pids_limit,
        io_read_bytes: usage.io_read_bytes,
        io_write_bytes: usage.io_write_bytes,
        io_reads: usage.io_reads,
        io_writes: usage.io_writes,
        cpu_some: usage.cpu_some,
        cpu_full: usage.cpu_full,
        memory_some: usage.memory_some,
        memory_full: usage.memory_full,
        io_some: usage.io_some,
        io_full: usage.io_full,
        rdma_handles: usage.rdma_handles,
        rdma_objects: usage.rdma_objects,
        n_percpu: usage.percpu.len(),
    }
}

fn groups(options: &rr_stats_options) -> Result<StatsSet> {
    let what = match options.what {
        0 => StatsSet::MOST,
        bits => StatsSet::from_bits(bits)
            .ok_or_else(|| unsupported("what", format!("unknown bits in {bits:#x}")))?,
    };
    if options.percpu.is_null() && options.percpu_cap > 0 {
        let text = format!("it is NULL, and room for {} was announced", options.percpu_cap);
        return Err(invalid("percpu", text));
    }
    Ok(what)
}

/// Fills the struct with its defaults. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_stats_options_init(o: *mut rr_stats_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(o, size) };
}

/// What the kernel counts for a container, as flat numbers: a few small files are read, nothing is parsed but them, and
/// whether the container runs is not asked. A handle that is kept remembers where the files are.
///
/// `o` may be NULL; `out->size` must be set. Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_UNSUPPORTED` (unknown bits),
/// `RR_E_NOT_FOUND` (it was deleted), `RR_E_CGROUP` (it has no cgroups, or they are gone), `RR_E_PERMISSION`,
/// `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_stats(
    c: *mut rr_container,
    o: *const rr_stats_options,
    out: *mut rr_stats_info,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(out, "out")?;
        // SAFETY: not NULL, and readable for its size (rule 3).
        let size = unsafe { sized::size_at(out)? };
        // SAFETY: rule 3 is passed on.
        let options = unsafe { sized::read(o)? };
        let usage = c.container.usage(groups(&options)?)?;
        let fitting = usage.percpu.len().min(options.percpu_cap);
        if fitting > 0 {
            // SAFETY: `percpu` is not NULL, `groups` asked, and writable for `percpu_cap` values (rule 3), of
            // which these are no more; the source is ours.
            unsafe { std::ptr::copy_nonoverlapping(usage.percpu.as_ptr(), options.percpu, fitting) };
        }
        // SAFETY: rule 3 is passed on, and `size` was checked.
        unsafe { sized::write(out, size, &flat(&usage)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Everything that the kernel counts for a container, as the JSON that is the `data` of what the command line's
/// `events --stats` prints: runc's names and units.
///
/// On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_RUNNING` (it has stopped), `RR_E_NOT_FOUND`, `RR_E_CGROUP`,
/// `RR_E_PERMISSION`, `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_stats_json(
    c: *mut rr_container,
    out: *mut rr_buf,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(out, "out")?;
        let json = c.container.stats()?.to_json();
        // SAFETY: not NULL, so writable for one rr_buf (rule 3).
        unsafe { out.write(rr_buf::new(json)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}
