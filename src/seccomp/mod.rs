//! linux.seccomp: from the profile to a classic BPF program, and the listener's way to its agent.
//!
//! The compiler is our own, and the reasons are in `ARCHITECTURE.md`: no C library in programs that link this one, and
//! no cache, since it takes less time than to look one up.
#![forbid(unsafe_code)]

pub(crate) mod apply;
mod compile;
mod numbers;
pub(crate) mod plan;
mod profile;

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod properties;
