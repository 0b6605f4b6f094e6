//! list: all containers of a state root. One that vanishes meanwhile is not there; one that is broken is told apart.
#![forbid(unsafe_code)]

use std::fs;
use std::io;

use super::context::{Context, valid_id};
use super::state::State;
use crate::error::{Error, Kind, Result};
use crate::sys::errno_of;

/// The containers of a state root.
#[derive(Debug, Default)]
pub struct Listing {
    /// Sorted by id.
    pub containers: Vec<State>,
    /// Ids whose state cannot be read, and why.
    pub broken: Vec<(String, Error)>,
}

impl Listing {
    /// What `list --format json` prints: one line without its newline, `null` for none.
    #[must_use]
    pub fn to_json(&self) -> String {
        if self.containers.is_empty() {
            return String::from("null");
        }
        let entries: Vec<String> = self.containers.iter().map(State::to_json_line).collect();
        format!("[{}]", entries.join(","))
    }
}

impl Context {
    /// All containers of the state root.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the state root is not there, [`Kind::System`] if it cannot be read.
    pub fn list(&self) -> Result<Listing> {
        let error = |error: io::Error| {
            let kind = if error.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::System };
            Error::os(kind, format!("open {}", self.root().display()), errno_of(&error))
        };
        let mut ids: Vec<String> = fs::read_dir(self.root())
            .map_err(error)?
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|id| valid_id(id).is_ok())
            .collect();
        ids.sort();
        let mut listing = Listing::default();
        for id in ids {
            match self.open(&id).and_then(|container| container.state()) {
                Ok(state) => listing.containers.push(state),
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => listing.broken.push((id, error)),
            }
        }
        Ok(listing)
    }
}
