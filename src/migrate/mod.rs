//! Migration: a running container goes to another host over one stream, and at no time do two copies of it run.
//!
//! `plan/` is pure: the messages and their bytes, which names a stranger may use, when another round of memory is worth
//! its time. `apply/` moves bytes: the stream, image directories, trees of files. The order of things, which is what
//! keeps it at one copy, is `runtime/migrate/source.rs` and `runtime/migrate/target.rs`:
//!
//! ```text
//! source                                       target
//!   HELLO, Offer        ───────────────────►     checks; makes its directories
//!                       ◄───────────────────     HELLO, Accepted
//!   files of the rootfs, rounds of memory, while the container runs; each is answered: Stored
//!   freezes, dumps; the rest of the files, images
//!   Restore             ───────────────────►     restores; nothing runs yet
//!                       ◄───────────────────     Ready
//!   freezes the cgroup as well: whatever happens to this process now, the container does not go on by itself
//!   Go                  ───────────────────►     lets it run: from here on the container is the target's
//!                       ◄───────────────────     Running
//!   kills its own, deletes
//! ```
//!
//! `Failed`, from either side and at any time, is the end of it: the target takes back what it made, the source goes on.
//! If the stream ends before `Go`, both do so by themselves. After `Go` only the target knows: a source that hears
//! nothing leaves its container paused and says so.
//!
//! With a page server the memory of a round is not in its images: it goes between `Pages` and `PagesEnd`, in bytes that are
//! CRIU's own, and both sides speak at once. Lazily they do so from `Restore` on: processes need memory while they are restored.
//! The source freezes and says `Go` when it hears `Ready`, and serves on after `Running`, until it hears `Arrived`; only
//! then the container is not its own any more, and after `Failed` it goes on from where it was frozen.
#![forbid(unsafe_code)]

pub(crate) mod apply;
pub(crate) mod plan;
