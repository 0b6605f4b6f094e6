//! Moves bytes: `stream.rs`, frames over a socket; `work.rs` and `images.rs`, the files of a round; `pages.rs`, memory to and
//! from a CRIU; `send_tree.rs` and `receive_tree.rs`, a root filesystem.
#![forbid(unsafe_code)]

pub(crate) mod images;
pub(crate) mod pages;
pub(crate) mod receive_tree;
pub(crate) mod send_tree;
pub(crate) mod stream;
pub(crate) mod work;
