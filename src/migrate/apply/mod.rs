//! Moves bytes: `stream.rs`, frames over a socket; `images.rs`, the files of a round; `send_tree.rs` and
//! `receive_tree.rs`, a root filesystem.
#![forbid(unsafe_code)]

pub(crate) mod images;
pub(crate) mod receive_tree;
pub(crate) mod send_tree;
pub(crate) mod stream;
