//! The freezer: all processes of a container stopped where they are, and let go on.
//!
//! Cgroup v1 has a controller for it (freezer-subsystem.rst), where a process that is busy in the kernel may keep a cgroup
//! `FREEZING`; cgroup2 has it in every directory (cgroup-v2.rst, `cgroup.freeze`). Whoever gives up lets all go on:
//! a container is frozen as a whole or not at all. How long to wait is the caller's: it is asked before each look.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, errno_of, file};

/// Waits a moment; an error is the end of all waiting.
pub(crate) type Wait<'call> = &'call mut dyn FnMut() -> Result<()>;

/// After so many looks a v1 cgroup that stays `FREEZING` is let go for a moment: what blocks it is often a process that
/// waits for one that is frozen already.
const SHAKE: u32 = 50;

/// The directory that freezes a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Freezer {
    V1(PathBuf),
    V2(PathBuf),
}

impl Freezer {
    /// The v1 controller if there is one, or else the cgroup2.
    pub(crate) fn of(paths: &[(String, PathBuf)]) -> Option<Self> {
        let of = |name: &str| paths.iter().find(|(controller, _)| controller == name);
        let v1 = of("freezer").map(|(_, path)| Self::V1(path.clone()));
        v1.or_else(|| of("").map(|(_, path)| Self::V2(path.clone())))
    }

    /// Stops all members. On failure none stays frozen.
    pub(crate) fn freeze(&self, wait: Wait<'_>) -> Result<()> {
        let frozen = match self {
            Self::V1(path) => freeze_v1(path, wait),
            Self::V2(path) => set(path, "cgroup.freeze", "1").and_then(|()| until(path, true, wait)),
        };
        frozen.inspect_err(|_| {
            // The first error is the one worth telling.
            let _ = self.let_go();
        })
    }

    /// Lets all members go on, and sees that they do: below a cgroup that is frozen itself they cannot.
    pub(crate) fn thaw(&self, wait: Wait<'_>) -> Result<()> {
        self.let_go()?;
        match self {
            Self::V1(path) if state(path)? != "THAWED" => {
                Err(Error::new(Kind::Cgroup, format!("thaw {}: a cgroup above it is frozen", path.display())))
            }
            Self::V1(_) => Ok(()),
            Self::V2(path) => until(path, false, wait),
        }
    }

    /// The word alone.
    fn let_go(&self) -> Result<()> {
        match self {
            Self::V1(path) => set(path, "freezer.state", "THAWED"),
            Self::V2(path) => set(path, "cgroup.freeze", "0"),
        }
    }
}

fn freeze_v1(path: &Path, wait: Wait<'_>) -> Result<()> {
    for look in 1_u32.. {
        if look.is_multiple_of(SHAKE) {
            set(path, "freezer.state", "THAWED")?;
            wait()?;
        }
        // Written each time: a process that was born meanwhile is frozen, too.
        set(path, "freezer.state", "FROZEN")?;
        match state(path)?.as_str() {
            "FROZEN" => return Ok(()),
            "FREEZING" => wait()?,
            other => return Err(Error::new(Kind::Cgroup, format!("freeze {}: {other:?}", path.display()))),
        }
    }
    Ok(())
}

/// Until `cgroup.events` says so.
fn until(path: &Path, frozen: bool, wait: Wait<'_>) -> Result<()> {
    while frozen_by_events(&read(path, "cgroup.events")?) != frozen {
        wait()?;
    }
    Ok(())
}

/// `frozen 1` in `cgroup.events`.
fn frozen_by_events(text: &str) -> bool {
    text.lines().any(|line| line == "frozen 1")
}

fn state(path: &Path) -> Result<String> {
    Ok(read(path, "freezer.state")?.trim_end().to_owned())
}

fn read(path: &Path, name: &str) -> Result<String> {
    let file = path.join(name);
    fs::read_to_string(&file)
        .map_err(|error| Error::os(Kind::Cgroup, format!("read {}", file.display()), errno_of(&error)))
}

fn set(path: &Path, name: &str, value: &str) -> Result<()> {
    let file = path.join(name);
    file::write_value(&file, value).map_err(|errno| {
        let denied = [Errno::EACCES, Errno::EPERM, Errno::EROFS].contains(&errno);
        let kind = if denied { Kind::Permission } else { Kind::Cgroup };
        Error::os(kind, format!("write {value:?} to {}", file.display()), errno as i32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("riverrun-freezer-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn give_up(looks: u32) -> impl FnMut() -> Result<()> {
        let mut left = looks;
        move || {
            left -= 1;
            if left == 0 { Err(Error::new(Kind::Timeout, "timed out")) } else { Ok(()) }
        }
    }

    #[test]
    fn the_v1_controller_is_preferred_to_the_cgroup2_beside_it() {
        let own = |name: &str, path: &str| (name.to_owned(), PathBuf::from(path));
        let hybrid = [own("", "/u/c"), own("freezer", "/f/c")];
        assert_eq!(Freezer::of(&hybrid), Some(Freezer::V1("/f/c".into())));
        assert_eq!(Freezer::of(&hybrid[..1]), Some(Freezer::V2("/u/c".into())));
        assert_eq!(Freezer::of(&[own("memory", "/m/c")]), None);
    }

    #[test]
    fn whoever_gives_up_on_v2_leaves_nothing_frozen() {
        let path = scratch("v2");
        fs::write(path.join("cgroup.freeze"), "0").unwrap();
        fs::write(path.join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        let freezer = Freezer::V2(path.clone());
        assert_eq!(freezer.freeze(&mut give_up(3)).unwrap_err().kind(), Kind::Timeout);
        assert_eq!(fs::read_to_string(path.join("cgroup.freeze")).unwrap(), "0");
        fs::write(path.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        freezer.freeze(&mut give_up(3)).unwrap();
        assert_eq!(fs::read_to_string(path.join("cgroup.freeze")).unwrap(), "1");
        // One that is frozen from above stays as it is, and that is told.
        assert_eq!(freezer.thaw(&mut give_up(3)).unwrap_err().kind(), Kind::Timeout);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_freezer_that_is_gone_is_an_error_that_names_it() {
        let freezer = Freezer::V1("/nosuch/cgroup".into());
        let error = freezer.freeze(&mut give_up(3)).unwrap_err();
        assert!(error.to_string().contains("/nosuch/cgroup/freezer.state"), "{error}");
    }
}
