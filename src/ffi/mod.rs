//! The C door: every `rr_*` function of `include/riverrun.h`, one C noun a file.
//!
//! It exists so that an engine in any language links the runtime instead of spawning a program. It decides
//! nothing and acts on nothing: each function turns C's arguments into the crate's public types, calls one
//! method, and turns the result back. It is *not* a second API: whatever C can do, `crate::Container` and its
//! friends can do, and the other way round.
//!
//! The documentation of each item is written for the reader of the header, which cbindgen makes from these
//! files (`make header`); what a Rust reader needs beyond it is here.
//!
//! # Safety
//!
//! The rules that every caller of an `rr_*` function keeps; SAFETY notes below name them by number.
//!
//! 1. A handle (`rr_context`, `rr_container`, `rr_process`, `rr_event_stream`, `rr_error`) is NULL or came from this library and
//!    has not been given to its last `_unref` or `_free`; no other thread gives it away during the call.
//! 2. `err` is NULL or points to a writable `rr_error *`.
//! 3. An out-parameter is NULL or points to writable memory for one value of its type; a sized struct's
//!    memory is at least as long as its `size` says.
//! 4. A `const char *` is NULL or NUL-terminated; with a length beside it, it is NULL or readable for that
//!    many bytes. Neither changes during the call.
//! 5. A descriptor is open, or -1, and nobody closes it during the call.
//! 6. A callback does not unwind or longjmp, and it and its `data` may be used from any thread that calls the
//!    library.
//!
//! NULL is always checked, sizes and bits always too; what cannot be checked is in the list.
//!
//! # Panics
//!
//! None leaves. `guard::attempt` catches each at the boundary and makes it `RR_E_INTERNAL`; the reasons for
//! its hook are there.
#![allow(non_camel_case_types, reason = "these are the names that C sees")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the docs of items are C's; the rules are the six above, for all functions"
)]

mod arg;
mod buf;
mod call;
mod checkpoint;
mod code;
mod container;
mod context;
mod create;
mod error;
mod events;
mod exec;
mod guard;
mod handle;
mod hook;
mod inside;
mod io;
mod log;
mod migrate;
mod process;
mod sized;
mod spec;
mod state;
mod stats;
mod update;
mod version;

pub use buf::{rr_buf, rr_buf_free};
pub use call::rr_call;
pub use checkpoint::*;
pub use code::*;
pub use container::*;
pub use context::*;
pub use create::*;
pub use error::*;
pub use events::*;
pub use exec::*;
pub use hook::*;
pub use inside::*;
pub use io::*;
pub use log::*;
pub use migrate::*;
pub use process::*;
pub use spec::*;
pub use state::*;
pub use stats::*;
pub use update::*;
pub use version::*;
