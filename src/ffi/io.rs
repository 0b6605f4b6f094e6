//! `rr_io`: streams, terminal and further descriptors of a process, for create and exec alike. What C lends
//! is duplicated or only named; what the library makes (the host's ends of pipes) is written back and from
//! then on C's.

use super::arg::{descriptor, duplicate, invalid, path, reserved, slice, unsupported};
use super::sized::{self, Sized};
use crate::{Error, FdMap, Io, Kind, Process, Result, Stdio, WindowSize};
use std::ffi::c_char;
use std::os::fd::{IntoRawFd, OwnedFd};

/// Stream: the host's own. Since 0.1.
pub const RR_STDIO_INHERIT: u32 = 0;
/// Stream: `/dev/null`. Since 0.1.
pub const RR_STDIO_NULL: u32 = 1;
/// Stream: the descriptor in `fd`, which stays the caller's. Since 0.1.
pub const RR_STDIO_FD: u32 = 2;
/// Stream: a new pipe; the host's end is written to `fd` when the call succeeds and is the caller's,
/// close-on-exec. Since 0.1.
pub const RR_STDIO_PIPE: u32 = 3;

/// Where one standard stream of a process leads. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_stdio {
    /// `RR_STDIO_*`.
    pub kind: u32,
    /// `RR_STDIO_FD`: in, borrowed for the call. `RR_STDIO_PIPE`: out, to be closed by the caller. Otherwise
    /// ignored.
    pub fd: i32,
}

/// One more descriptor for the process. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_fd_map {
    /// Its number in the host, borrowed for the call; it stays open there.
    pub host_fd: i32,
    /// Its number in the process, 3 or more.
    pub container_fd: i32,
}

/// Streams, terminal and further descriptors of a process. NULL in its place: the host's own three streams,
/// nothing more. Fill it with `rr_io_init`. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_io {
    /// Set by `rr_io_init`.
    pub size: usize,
    /// Standard input. The three are ignored when the process has a terminal.
    pub r#in: rr_stdio,
    /// Standard output.
    pub out: rr_stdio,
    /// Standard error.
    pub err: rr_stdio,
    /// The path of a listening unix socket that receives the terminal's master by `SCM_RIGHTS`; NULL: take it
    /// with `rr_process_console_fd`.
    pub console_socket: *const c_char,
    /// Lines: with `cols` the terminal's first size, where `process.consoleSize` names none; both 0: the
    /// kernel's.
    pub rows: u16,
    /// Characters a line; see `rows`.
    pub cols: u16,
    /// Zero.
    pub reserved0: u32,
    /// `n_fds` further descriptors; NULL with 0.
    pub fds: *const rr_fd_map,
    /// How many.
    pub n_fds: usize,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_io {
    const NAME: &'static str = "io";
}

/// Fills an `rr_io` with the default of everything: pass `sizeof(rr_io)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_io_init(io: *mut rr_io, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(io, size) };
}

/// The streams that C wants a pipe for, and where to write its end.
pub(super) struct Pipes {
    wanted: [bool; 3],
    target: *mut rr_io,
}

/// # Safety
/// Rules 3, 4 and 5 of `ffi`'s list.
pub(super) unsafe fn read_io(source: *mut rr_io) -> Result<(Io, Pipes)> {
    // SAFETY: rule 3 is passed on.
    let io = unsafe { sized::read(source)? };
    reserved(io.reserved0)?;
    let window = WindowSize { rows: io.rows, cols: io.cols };
    // SAFETY: rule 4 is passed on.
    let maps = unsafe { slice(io.fds, io.n_fds, "fds")? };
    let values = Io {
        // SAFETY: rule 5 is passed on.
        stdin: unsafe { stream(io.r#in, "in.fd")? },
        // SAFETY: rule 5 is passed on.
        stdout: unsafe { stream(io.out, "out.fd")? },
        // SAFETY: rule 5 is passed on.
        stderr: unsafe { stream(io.err, "err.fd")? },
        // SAFETY: rule 4 is passed on.
        console_socket: unsafe { path(io.console_socket) },
        window: (window != WindowSize::default()).then_some(window),
        // SAFETY: rule 5 is passed on.
        fds: maps.iter().map(|map| unsafe { fd_map(*map) }).collect::<Result<_>>()?,
    };
    let wanted = [io.r#in, io.out, io.err].map(|stream| stream.kind == RR_STDIO_PIPE);
    Ok((values, Pipes { wanted, target: source }))
}

/// # Safety
/// Rule 5 of `ffi`'s list.
unsafe fn stream(stream: rr_stdio, name: &str) -> Result<Stdio> {
    match stream.kind {
        RR_STDIO_INHERIT => Ok(Stdio::Inherit),
        RR_STDIO_NULL => Ok(Stdio::Null),
        RR_STDIO_PIPE => Ok(Stdio::Pipe),
        // SAFETY: rule 5 is passed on.
        RR_STDIO_FD => unsafe { duplicate(stream.fd, name) }.map(Stdio::Fd),
        other => Err(unsupported(name, format!("no kind of stream has the number {other}"))),
    }
}

/// # Safety
/// Rule 5 of `ffi`'s list.
unsafe fn fd_map(map: rr_fd_map) -> Result<FdMap> {
    // SAFETY: rule 5 is passed on.
    unsafe { descriptor(map.host_fd, "fds")? };
    if map.container_fd < 3 {
        return Err(invalid("fds", format!("container_fd {} is one of the three streams", map.container_fd)));
    }
    Ok(FdMap { host: map.host_fd, container: map.container_fd })
}

impl Pipes {
    /// Whether any was asked for.
    pub(super) fn any(&self) -> bool {
        self.wanted.contains(&true)
    }

    /// Gives the host's ends to C, all or none.
    ///
    /// # Safety
    /// Rule 3 of `ffi`'s list, for the struct that was read.
    pub(super) unsafe fn hand_over(self, process: &Process) -> Result<()> {
        let mut ends: [Option<OwnedFd>; 3] = [None, None, None];
        for (stream, end) in ends.iter_mut().enumerate().filter(|(stream, _)| self.wanted[*stream]) {
            *end = process.take_pipe(stream);
            // A process with a terminal has no pipes, though they were asked for.
            if end.is_none() && process.console().is_none() {
                return Err(Error::new(
                    Kind::Internal,
                    format!("take pipe of stream {stream}: it is not there"),
                ));
            }
        }
        for (stream, end) in ends.into_iter().enumerate() {
            if !self.wanted[stream] {
                continue;
            }
            let number = end.map_or(-1, IntoRawFd::into_raw_fd);
            // SAFETY: a kind of PIPE was read at this place, so the caller's struct reaches this far
            // (sized::read), and it is writable (rule 3).
            let field = unsafe { self.fd_field(stream) };
            // SAFETY: as above.
            unsafe { field.write(number) };
        }
        Ok(())
    }

    /// # Safety
    /// The caller's struct holds the stream.
    unsafe fn fd_field(&self, stream: usize) -> *mut i32 {
        let target = self.target;
        match stream {
            // SAFETY: only the address of a field of a live struct is taken.
            0 => unsafe { &raw mut (*target).r#in.fd },
            // SAFETY: as above.
            1 => unsafe { &raw mut (*target).out.fd },
            // SAFETY: as above.
            _ => unsafe { &raw mut (*target).err.fd },
        }
    }
}
