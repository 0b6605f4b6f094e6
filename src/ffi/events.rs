//! `rr_event_stream`: what happens to a container, behind one descriptor for the host's own loop.

use super::arg::{invalid, known_bits, require, reserved, slice, unsupported};
use super::call::{read_call, rr_call};
use super::code::rr_code;
use super::container::rr_container;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle::{self, Handle};
use super::process::{RR_EXIT_CORE, RR_EXIT_STATUS_LOST};
use super::sized::{self, Sized};
use crate::{Event, EventStream, EventsOptions, Pressure, Resource, Result};
use std::ffi::{CString, c_char, c_int};
use std::os::fd::AsRawFd;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Event: nothing after all; go on waiting. Since 0.1.
pub const RR_EV_NONE: i32 = 0;
/// Event: the container's first process has ended; `exit_code`, `exit_sig` and `exit_flags` say how. Since 0.1.
pub const RR_EV_EXIT: i32 = 1;
/// Event: memory ran out, `count` times since the last such event. Since 0.1.
pub const RR_EV_OOM: i32 = 2;
/// Event: processes were killed because of it, `count` of them since the last such event. Since 0.1.
pub const RR_EV_OOM_KILL: i32 = 3;
/// Event: the time for statistics has come; `json` has them, as `rr_stats_json` makes them. Since 0.1.
pub const RR_EV_STATS: i32 = 4;
/// Event: processes waited for a resource, as the trigger of the options says whose number is in `index`. Since 0.1.
pub const RR_EV_PRESSURE: i32 = 5;
/// Event: the container was paused (`status` is `RR_PAUSED`) or goes on, whoever did it. Its start is no event, for that is
/// the return of `rr_start`; its end is `RR_EV_EXIT`. Since 0.1.
pub const RR_EV_STATE: i32 = 6;
/// Event: nothing more will come. Since 0.1.
pub const RR_EV_END: i32 = 7;

/// In `mask`: wants `RR_EV_EXIT`. Since 0.1.
pub const RR_WANT_EXIT: u64 = 1 << 1;
/// In `mask`: wants `RR_EV_OOM` and `RR_EV_OOM_KILL`. Since 0.1.
pub const RR_WANT_OOM: u64 = 1 << 2;
/// In `mask`: wants `RR_EV_STATS`. Since 0.1.
pub const RR_WANT_STATS: u64 = 1 << 4;
/// In `mask`: wants `RR_EV_STATE`. Since 0.1.
pub const RR_WANT_STATE: u64 = 1 << 6;

/// The first process was ended by SIGKILL, and processes of the container had been killed for lack of memory. Since 0.1.
pub const RR_EXIT_OOM_KILLED: u64 = 1 << 0;

/// Pressure: waiting for a CPU. Since 0.1.
pub const RR_PRESSURE_CPU: u32 = 1;
/// Pressure: waiting for memory. Since 0.1.
pub const RR_PRESSURE_MEMORY: u32 = 2;
/// Pressure: waiting for block devices. Since 0.1.
pub const RR_PRESSURE_IO: u32 = 3;

/// Stalls that are worth an event (the kernel's psi.rst): `stall_us` of waiting within `window_us`. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_pressure {
    /// `RR_PRESSURE_*`.
    pub resource: u32,
    /// 0: some processes wait; 1: all do.
    pub full: u32,
    /// Microseconds, at least 1.
    pub stall_us: u32,
    /// Microseconds: 500000 to 10000000; without CAP_SYS_RESOURCE a multiple of 2000000 (KERNEL 6.5).
    pub window_us: u32,
}

/// Which events are wanted. NULL in its place, or all zero: exit and OOM. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_events_options {
    /// `sizeof(rr_events_options)`.
    pub size: usize,
    /// `RR_WANT_*`; 0: exit, and OOM if the container's memory is counted. What is asked for here and cannot be told
    /// is an error.
    pub mask: u64,
    /// Milliseconds between two `RR_EV_STATS`; 0: 5000.
    pub stats_interval_ms: u32,
    /// 0.
    pub reserved0: u32,
    /// Triggers for `RR_EV_PRESSURE`; copied.
    pub pressure: *const rr_pressure,
    /// How many.
    pub n_pressure: usize,
}

// SAFETY: repr(C), size first, integers and a pointer.
unsafe impl Sized for rr_events_options {
    const NAME: &'static str = "o";
}

/// What happened. Set `size` to `sizeof(rr_event)` before the call; only so much is written. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_event {
    /// `sizeof(rr_event)`, set by the caller.
    pub size: usize,
    /// `RR_EV_*`; a later version may have more: pass them over.
    pub r#type: i32,
    /// The container's first process, as the host sees it.
    pub pid: libc::pid_t,
    /// When it was seen: nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// OOM, OOM_KILL: how often, how many.
    pub count: u64,
    /// EXIT: the code, when `exit_sig` is 0.
    pub exit_code: i32,
    /// EXIT: the signal that ended it.
    pub exit_sig: i32,
    /// EXIT: `RR_EXIT_*`.
    pub exit_flags: u64,
    /// STATE: `RR_PAUSED`, or `RR_RUNNING` or `RR_CREATED` when it goes on.
    pub status: i32,
    /// PRESSURE: which trigger of the options.
    pub index: u32,
    /// STATS: text that ends with a 0, borrowed until the next `rr_event_stream_next` on this stream; else NULL.
    pub json: *const c_char,
    /// Its length.
    pub json_len: usize,
}

// SAFETY: repr(C), size first, integers and a pointer.
unsafe impl Sized for rr_event {
    const NAME: &'static str = "out";
}

/// The events of one container, from `rr_events` on. Any number of threads may use one; each event is had by one of them.
/// A host that watches many containers puts their descriptors into one epoll. Since 0.1.
#[derive(Debug)]
pub struct rr_event_stream {
    maker: u32,
    stream: EventStream,
    /// What was lent last.
    json: Mutex<CString>,
}

impl Handle for rr_event_stream {
    const NAME: &'static str = "ev";
    fn maker(&self) -> u32 {
        self.maker
    }
}

/// # Safety
/// Rule 4 of `ffi`'s list, for `pressure`.
unsafe fn options(o: &rr_events_options) -> Result<EventsOptions> {
    known_bits(o.mask, RR_WANT_EXIT | RR_WANT_OOM | RR_WANT_STATS | RR_WANT_STATE)?;
    reserved(o.reserved0)?;
    // SAFETY: rule 4 is passed on.
    let pressure = unsafe { slice(o.pressure, o.n_pressure, "pressure")? };
    let wants = |bit| o.mask & bit != 0;
    Ok(EventsOptions {
        exit: wants(RR_WANT_EXIT) || o.mask == 0,
        oom: wants(RR_WANT_OOM),
        oom_if_told: o.mask == 0,
        state: wants(RR_WANT_STATE),
        stats: wants(RR_WANT_STATS).then(|| Duration::from_millis(o.stats_interval_ms.into())),
        pressure: pressure.iter().map(trigger).collect::<Result<_>>()?,
    })
}

fn trigger(wanted: &rr_pressure) -> Result<Pressure> {
    let resource = match wanted.resource {
        RR_PRESSURE_CPU => Resource::Cpu,
        RR_PRESSURE_MEMORY => Resource::Memory,
        RR_PRESSURE_IO => Resource::Io,
        other => return Err(unsupported("pressure", format!("resource {other} is not known here"))),
    };
    if wanted.full > 1 {
        return Err(unsupported("pressure", format!("full is {}", wanted.full)));
    }
    if wanted.stall_us == 0 {
        return Err(invalid("pressure", "stall_us is 0"));
    }
    let micros = |value: u32| Duration::from_micros(value.into());
    Ok(Pressure {
        resource,
        full: wanted.full == 1,
        stall: micros(wanted.stall_us),
        window: micros(wanted.window_us),
    })
}

/// Fills the struct with its defaults. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_events_options_init(o: *mut rr_events_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(o, size) };
}

/// Begins to listen to a container, made here or elsewhere. What happened before is not told; of a container that this
/// context started and that has ended, the end is.
///
/// `o` may be NULL. On success `*out` is the caller's (`rr_event_stream_close`); it needs `c` no longer. Any
/// thread, does not block. Since 0.1; the kernel's cgroup-v2.rst (`memory.events`, `cgroup.events`), psi.rst,
/// cgroup-v1/memory.rst (OOM control).
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, a trigger that the kernel does not take), `RR_E_UNSUPPORTED`
/// (unknown bits, no PSI), `RR_E_NOT_RUNNING` (it has ended, and this context did not start it),
/// `RR_E_NOT_FOUND`, `RR_E_CGROUP` (its cgroups cannot tell), `RR_E_FORKED`, `RR_E_SYSTEM` (no descriptors
/// left).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_events(
    c: *mut rr_container,
    o: *const rr_events_options,
    out: *mut *mut rr_event_stream,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(out, "out")?;
        // SAFETY: rule 3 is passed on.
        let read = unsafe { sized::read(o)? };
        // SAFETY: rule 4 is passed on.
        let options = unsafe { options(&read)? };
        let stream = c.container.events(&options)?;
        let stream = rr_event_stream { maker: process::id(), stream, json: Mutex::default() };
        // SAFETY: not NULL, so writable for one pointer (rule 3).
        unsafe { out.write(handle::into_raw(stream)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// The stream's descriptor, for poll or epoll: readable means that `rr_event_stream_next` will not wait. It stays readable
/// as long as there is something to be had, and for ever after the end.
///
/// Borrowed: it closes with the stream. -1 for NULL and in a forked child. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_event_stream_fd(ev: *const rr_event_stream) -> c_int {
    // SAFETY: rule 1 is passed on.
    attempt(|| unsafe { handle::borrow(ev) }.map(|ev| ev.stream.fd().as_raw_fd())).unwrap_or(-1)
}

/// Takes the next event; waits for one if there is none, as long as `call` says.
///
/// When the descriptor was readable it does not wait, but what made it so may turn out to be nothing:
/// `RR_EV_NONE`. The OOM events of a container come before its `RR_EV_EXIT`, `RR_EV_END` comes last, whatever was asked
/// for, and then every time. `call` may be NULL; `out->size` must be set. Any thread. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`,
/// `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_event_stream_next(
    ev: *mut rr_event_stream,
    call: *const rr_call,
    out: *mut rr_event,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let ev = unsafe { handle::borrow(ev)? };
        require(out, "out")?;
        // SAFETY: not NULL, and readable for its size (rule 3).
        let size = unsafe { sized::size_at(out)? };
        // SAFETY: rules 3 and 5 are passed on.
        let call = unsafe { read_call(call)? };
        let event = ev.flat(&ev.stream.next(call)?);
        // SAFETY: rule 3 is passed on, and `size` was checked.
        unsafe { sized::write(out, size, &event) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

impl rr_event_stream {
    fn flat(&self, event: &Event) -> rr_event {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut flat = rr_event {
            pid: self.stream.pid(),
            time_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            ..rr_event::zeroed()
        };
        match event {
            Event::Exit { exit, oom_killed } => {
                flat.r#type = RR_EV_EXIT;
                (flat.exit_code, flat.exit_sig, flat.time_ns) = (exit.code, exit.signal, exit.exited_ns);
                let flag = |is, bit| if is { bit } else { 0 };
                flat.exit_flags = flag(*oom_killed, RR_EXIT_OOM_KILLED)
                    | flag(exit.core_dumped, RR_EXIT_CORE)
                    | flag(exit.status_lost, RR_EXIT_STATUS_LOST);
            }
            Event::Oom(count) => (flat.r#type, flat.count) = (RR_EV_OOM, *count),
            Event::OomKill(count) => (flat.r#type, flat.count) = (RR_EV_OOM_KILL, *count),
            Event::State(status) => (flat.r#type, flat.status) = (RR_EV_STATE, *status as i32),
            Event::Pressure(index) => {
                (flat.r#type, flat.index) = (RR_EV_PRESSURE, u32::try_from(*index).unwrap_or(u32::MAX));
            }
            Event::Stats(stats) => {
                flat.r#type = RR_EV_STATS;
                (flat.json, flat.json_len) = self.lend(stats.to_json());
            }
            Event::End => flat.r#type = RR_EV_END,
            _ => {}
        }
        flat
    }

    /// Keeps the text until the next call.
    fn lend(&self, text: String) -> (*const c_char, usize) {
        let mut json = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        // JSON escapes control characters: there is no NUL in it.
        *json = CString::new(text).unwrap_or_default();
        (json.as_ptr(), json.as_bytes().len())
    }
}

/// Ends a stream and closes all that it held.
///
/// NULL is fine. Any thread, once per stream, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_event_stream_close(ev: *mut rr_event_stream) {
    // SAFETY: rule 1 is passed on.
    unsafe { handle::release(ev) };
}
