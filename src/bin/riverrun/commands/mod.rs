//! The verbs, one a file: read what was typed, call the library, print what it says. Anything longer has a module of
//! its own beside this folder.
#![forbid(unsafe_code)]

pub(crate) mod checkpoint;
pub(crate) mod completion;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod features;
pub(crate) mod help;
pub(crate) mod info;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod pause;
pub(crate) mod ps;
pub(crate) mod receive;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod spec;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod update;
