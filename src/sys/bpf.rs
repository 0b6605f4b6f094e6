//! bpf(2), as far as the device programs of cgroups need it: load, attach, look, detach.

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Errno, Result};

/// `struct bpf_insn`. On little and big endian machines the fields of `registers` are the kernel's bit-fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    /// The destination in the low four bits, the source in the others.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const PROG_QUERY: i32 = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

// The beginnings of `union bpf_attr`: the kernel takes the rest for zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

fn call<T>(command: i32, attributes: &mut T) -> Result<i32> {
    let size = size_of::<T>();
    let attributes = std::ptr::from_mut(attributes);
    // SAFETY: the attributes are a live repr(C) struct of that size, laid out as the command's part of union bpf_attr;
    // what it points to outlives the call, which keeps no pointer.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size) };
    Errno::result(answer).map(|answer| i32::try_from(answer).unwrap_or_default())
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: bpf(2) has just returned it to us, close-on-exec, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`.
pub(crate) fn load_device_program(program: &[Instruction]) -> Result<OwnedFd> {
    // The verifier gives up with EAGAIN where a signal comes in between (kernel: bpf_check).
    const TRIES: u32 = 30;
    let mut name = [0; 16];
    name[..8].copy_from_slice(b"riverrun");
    for attempt in 1.. {
        let mut attributes = Load {
            kind: PROG_TYPE_CGROUP_DEVICE,
            count: u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
            instructions: program.as_ptr() as u64,
            license: c"Apache".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel: 0,
            flags: 0,
            name,
        };
        match call(PROG_LOAD, &mut attributes) {
            Err(Errno::EAGAIN) if attempt < TRIES => {}
            loaded => return loaded.map(owned),
        }
    }
    Err(Errno::EAGAIN)
}

/// Attaches it to a cgroup, beside others or in the place of one (KERNEL(5.6)).
pub(crate) fn attach(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result {
    let mut attributes = Attach {
        target: number(cgroup),
        program: number(program),
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 },
        replaced: replaced.map_or(0, number),
    };
    call(PROG_ATTACH, &mut attributes).map(drop)
}

/// Detaches it.
pub(crate) fn detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result {
    let mut attributes = Attach {
        target: number(cgroup),
        program: number(program),
        kind: CGROUP_DEVICE,
        flags: 0,
        replaced: 0,
    };
    call(PROG_DETACH, &mut attributes).map(drop)
}

/// The ids of the device programs that are attached to the cgroup itself.
pub(crate) fn attached(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>> {
    // The kernel's BPF_CGROUP_MAX_PROGS is 64.
    let mut ids = vec![0_u32; 128];
    let mut attributes = Query {
        target: number(cgroup),
        kind: CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: 128,
        padding: 0,
    };
    call(PROG_QUERY, &mut attributes)?;
    ids.truncate(attributes.count as usize);
    Ok(ids)
}

/// A program by its id.
pub(crate) fn by_id(id: u32) -> Result<OwnedFd> {
    call(PROG_GET_FD_BY_ID, &mut ById { id, next: 0, flags: 0 }).map(owned)
}
