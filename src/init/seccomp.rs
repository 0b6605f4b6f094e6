//! The seccomp filter: compiled by the runtime, loaded here.
//!
//! Runs in: the init program, at the moment that the plan chose; from then on under the filter itself. What is called
//! afterwards is listed in `../seccomp/plan.rs`: a call more here is a name more there.

use crate::channel::{Channel, Doing, Outcome};
use crate::sys::{Fd, call};
use crate::wire::{Class, Filter, Instruction, ToInit, ToRuntime};

/// linux/seccomp.h
const SECCOMP_SET_MODE_FILTER: u32 = 1;

/// struct sock_fprog.
#[repr(C)]
struct Program {
    len: u16,
    instructions: *const Instruction,
}

/// seccomp(2); then the runtime fetches the listener, if there is one, and ours is closed: as long as it is open, calls
/// that nobody answers wait.
pub(crate) fn load(filter: &Filter, channel: &Channel) -> Outcome {
    let program = Program { len: filter.program.len() as u16, instructions: filter.program.as_ptr() };
    if filter.listener {
        crate::floor::reserve();
    }
    let fd = call!(__NR_seccomp, SECCOMP_SET_MODE_FILTER, filter.flags, &raw const program);
    let fd = fd.doing(Class::Seccomp, "load", "seccomp filter")?;
    if filter.listener {
        let listener = Fd::own(fd);
        let told = channel.write(&ToRuntime::Listening { fd: listener.number() });
        told.doing(Class::Seccomp, "announce", "the seccomp listener")?;
        channel.expect(ToInit::Listened)?;
    }
    Ok(())
}
