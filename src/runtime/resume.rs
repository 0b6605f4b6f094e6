//! resume: the processes of a paused container go on.
#![forbid(unsafe_code)]

use super::context::{Container, loaded};
use super::options::Call;
use super::pause::{freezer, within};
use crate::error::{Error, Kind, Result};
use crate::state::directory::Directory;
use crate::state::status::{Status, observe};
use crate::wording;

impl Container {
    /// Lets the processes of a paused container go on. Without a timeout it gives up after ten seconds.
    ///
    /// # Errors
    /// [`Kind::NotPaused`] in any other state; [`Kind::Cgroup`] or [`Kind::Timeout`] if a cgroup above the container's is
    /// frozen.
    pub fn resume(&self, call: Call<'_>) -> Result<()> {
        let doing = "resume container";
        let deadline = within(call, doing)?;
        let directory = Directory::open(self.context.root(), &self.id)?;
        deadline.lock(&directory)?;
        let state = loaded(&directory)?;
        if observe(&directory, &state) != Status::Paused {
            return Err(Error::new(Kind::NotPaused, wording::NOT_PAUSED));
        }
        freezer(&state, doing)?.thaw(&mut || deadline.pause(doing))
    }
}
