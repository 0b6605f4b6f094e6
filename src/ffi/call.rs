//! `rr_call`: what every slow call takes, a deadline and a descriptor that ends it. Both are per call; there
//! is no global timeout.

use super::arg::{descriptor, invalid};
use super::sized::{self, Sized};
use crate::{Call, Result};
use std::time::Duration;

/// How long a call may take and what ends it early. NULL in its place, or all zero, waits for ever.
///
/// A call that is ended leaves nothing half-made behind. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_call {
    /// `sizeof(rr_call)`.
    pub size: usize,
    /// Milliseconds until `RR_E_TIMEOUT`; 0: no deadline. Negative: `RR_E_INVALID_ARGUMENT`.
    pub timeout_ms: i32,
    /// A descriptor plus one; 0: none. The call ends with `RR_E_CANCELLED` once the descriptor is readable.
    /// An eventfd serves, written to by any thread or signal handler. Borrowed for the call, and nothing is
    /// read from it.
    pub cancel_fd_plus1: i32,
}

// SAFETY: repr(C), size first, integers only.
unsafe impl Sized for rr_call {
    const NAME: &'static str = "call";
}

/// # Safety
/// Rules 3 and 5 of `ffi`'s list.
pub(super) unsafe fn read_call<'call>(call: *const rr_call) -> Result<Call<'call>> {
    // SAFETY: rule 3 is passed on.
    let call = unsafe { sized::read(call)? };
    let timeout = match u64::try_from(call.timeout_ms) {
        Ok(0) => None,
        Ok(ms) => Some(Duration::from_millis(ms)),
        Err(_) => return Err(invalid("timeout_ms", "it is negative")),
    };
    let cancel = match call.cancel_fd_plus1 {
        0 => None,
        // SAFETY: rule 5 is passed on.
        plus1 => Some(unsafe { descriptor(plus1.wrapping_sub(1), "cancel_fd_plus1")? }),
    };
    Ok(Call { timeout, cancel })
}
