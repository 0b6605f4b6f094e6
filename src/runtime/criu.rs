//! A CRIU that was started for one call: through the init program, by a vfork-style clone and with nothing of the host's
//! but the descriptors that it is given; in a session of its own, whose leader it is.
//!
//! It ends with the handle on it. What it has made by then and not handed over is the caller's to find by its cgroups.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::deadline::Deadline;
use super::io::Streams;
use super::options::Call;
use super::spawn::{Birth, Released, Spawned};
use crate::cgroup::Manager;
use crate::cgroup::apply::{Entrances, Made};
use crate::cgroup::plan::CgroupPlan;
use crate::checkpoint::apply::{Partner, Patience, Swrk};
use crate::checkpoint::plan::Numbers;
use crate::checkpoint::rpc::{Opts, Request, Response, Version, kind};
use crate::checkpoint::{ImageDirectory, log, pages};
use crate::error::{Error, Kind, Result};
use crate::sys::{errno_of, file, pidfd, process};
use crate::wire::{BUILD_ID, Execute, InitPlan, Step};

/// Where programs of the host are, for CRIU and for those that it starts (iptables, nft).
const DIRECTORIES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A directory that is open, and what errors call it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl Opened {
    /// Opens it; with `make` a path that leads nowhere becomes a directory that is its owner's alone.
    pub(super) fn open(directory: &ImageDirectory<'_>, make: bool) -> Result<Self> {
        let error = |path: &Path, errno| {
            Error::os(Kind::InvalidArgument, format!("open image directory {}", path.display()), errno)
        };
        match directory {
            ImageDirectory::Fd(fd) => {
                let fd =
                    fd.try_clone_to_owned().map_err(|e| error(Path::new("by descriptor"), errno_of(&e)))?;
                let link = format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
                let path = fs::read_link(&link).unwrap_or_else(|_| PathBuf::from(link));
                Ok(Self { fd, path })
            }
            ImageDirectory::Path(path) => {
                if make {
                    use std::os::unix::fs::DirBuilderExt;
                    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
                    made.map_err(|e| error(path, errno_of(&e)))?;
                }
                let fd = file::open_directory(path).map_err(|errno| error(path, errno as i32))?;
                Ok(Self { fd, path: std::path::absolute(path).unwrap_or_else(|_| path.clone()) })
            }
        }
    }

    /// The whole of a file in it; `None` if it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let error =
            |errno| Error::os(Kind::System, format!("read {}", self.path.join(name).display()), errno);
        let opened = match file::open_readable_in(self.fd.as_fd(), name) {
            Err(crate::sys::Errno::ENOENT) => return Ok(None),
            opened => opened.map_err(|errno| error(errno as i32))?,
        };
        let mut bytes = Vec::new();
        fs::File::from(opened).read_to_end(&mut bytes).map_err(|e| error(errno_of(&e)))?;
        Ok(Some(bytes))
    }

    /// That no file of pages was cut off. With lazy pages they are elsewhere, and one that is missing CRIU misses itself.
    pub(super) fn whole(&self) -> Result<()> {
        let processes = self.read("pstree.img")?.as_deref().and_then(pages::processes);
        for pid in processes.into_iter().flatten() {
            let map = self.read(&format!("pagemap-{pid}.img"))?;
            let Some((number, pages)) = map.as_deref().and_then(pages::wanted) else { continue };
            let name = format!("pages-{number}.img");
            let Ok(opened) = file::open_readable_in(self.fd.as_fd(), &name) else { continue };
            let there = fs::File::from(opened).metadata().map_or(u64::MAX, |there| there.len());
            let wanted = pages.saturating_mul(process::page_size());
            if there < wanted {
                let path = self.path.join(name);
                let message = format!("it has {there} bytes and should have {wanted}");
                return Err(Error::new(Kind::Criu, message).during(format!("read {}", path.display())));
            }
        }
        Ok(())
    }

    /// The beginning and the end of a file that may be of any length.
    fn read_ends(&self, name: &str) -> Vec<u8> {
        const MOST: u64 = 1 << 20;
        let Ok(opened) = file::open_readable_in(self.fd.as_fd(), name) else { return Vec::new() };
        let mut file = fs::File::from(opened);
        let mut text = Vec::new();
        let _ = file.by_ref().take(MOST).read_to_end(&mut text);
        let end = file.seek(SeekFrom::End(0)).unwrap_or(0);
        if end > MOST && file.seek(SeekFrom::Start(end.saturating_sub(MOST).max(MOST))).is_ok() {
            let _ = file.take(MOST).read_to_end(&mut text);
        }
        text
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        file::replace(self.fd.as_fd(), name, bytes, 0o600).map_err(|errno| {
            Error::os(Kind::System, format!("write {}", self.path.join(name).display()), errno as i32)
        })
    }
}

/// How it is started.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) program: Option<&'a Path>,
    /// `CLONE_NEW*`.
    pub(super) namespaces: u64,
    /// What the init program does before.
    pub(super) steps: Vec<Step>,
    /// Where it is born, and with it whatever it makes; `None`: where we are.
    pub(super) cgroups: Option<Cgroups<'a>>,
    /// The descriptors of the container's process, if there will be one.
    pub(super) streams: Streams,
    /// Theirs and the status descriptor's must stay open in this process while CRIU works.
    pub(super) images: &'a Opened,
    pub(super) work: &'a Opened,
    pub(super) status: Option<BorrowedFd<'a>>,
    /// Namespaces of others, or sockets for memory, in their order.
    pub(super) others: &'a [OwnedFd],
}

/// Cgroups that are made for it.
#[derive(Debug)]
pub(super) struct Cgroups<'a> {
    pub(super) manager: &'a dyn Manager,
    pub(super) plan: &'a CgroupPlan,
    pub(super) made: &'a mut Made,
}

impl Start<'_> {
    pub(super) fn numbers(&self) -> Numbers {
        let (images, work) = (self.images.fd.as_raw_fd(), self.work.fd.as_raw_fd());
        let status = self.status.map_or(-1, |status| status.as_raw_fd());
        Numbers::new(images, work, status, self.streams.keep_below)
    }
}

/// It runs, and waits for requests.
#[derive(Debug)]
pub(super) struct Criu {
    process: Session,
    /// Closed first: a CRIU in the middle of something gives it up then.
    swrk: Option<Swrk>,
}

/// A process of CRIU's program, the leader of a session of its own; it and its group end with the handle.
#[derive(Debug)]
pub(super) struct Session(Released);

impl Session {
    /// What the init program does to become it: these arguments, and the descriptors below a number.
    pub(super) fn steps(args: Vec<String>, keep_below: i32) -> [Step; 2] {
        let env = vec![format!("PATH={DIRECTORIES}")];
        let execute = Execute { args, env, home_of: None, listener: None, keep_below };
        [Step::NewSession, Step::Execute(execute)]
    }

    /// How it is born: as a child of ours with nothing of a container's.
    pub(super) fn birth<'a>(
        context: &'a Context,
        namespaces: u64,
        entrances: &'a Entrances,
    ) -> Result<Birth<'a>> {
        Ok(Birth {
            program: context.init_program()?,
            namespaces,
            entrances,
            oom_score_adj: None,
            affinity: &[],
            unmapped: false,
            orphan: false,
            context,
        })
    }

    /// Executes the program.
    pub(super) fn execute(spawned: Spawned, deadline: &Deadline<'_>) -> Result<Self> {
        let nothing = &mut |_, _: &_| Err(Error::new(Kind::Internal, "CRIU's init program asks for nothing"));
        spawned.ready(deadline, nothing)?.execute(deadline, &[], None).map(Self)
    }

    pub(super) fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Readable once it has ended.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.0.pidfd.as_fd()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        process::kill_group(self.pid());
        let _ = pidfd::send_signal(self.pidfd(), libc::SIGKILL);
        process::reap_group(self.pid());
        pidfd::reap(&self.0.pidfd);
    }
}

impl Criu {
    pub(super) fn start(context: &Context, start: Start<'_>, deadline: &Deadline<'_>) -> Result<Self> {
        let program = find(start.program)?;
        let (swrk, theirs) = Swrk::pair()?;
        let numbers = start.numbers();
        let Start { mut steps, mut streams, mut cgroups, .. } = start;
        let entrances = match &mut cgroups {
            Some(cgroups) => cgroups.manager.make(cgroups.plan, cgroups.made)?,
            None => Entrances::default(),
        };
        streams.add(theirs.as_fd(), numbers.socket);
        for (number, namespace) in (numbers.others..).zip(start.others) {
            streams.add(namespace.as_fd(), number);
        }
        let count = i32::try_from(start.others.len()).unwrap_or_default();
        let keep_below = numbers.others + count;
        let path = program.to_string_lossy().into_owned();
        let args = vec![path, "swrk".to_owned(), numbers.socket.to_string()];
        steps.extend(Session::steps(args, keep_below));
        let birth = Session::birth(context, start.namespaces, &entrances)?;
        let plan = InitPlan { build_id: BUILD_ID.to_owned(), steps };
        let mut spawned = Spawned::new(&birth, &plan, streams, keep_below)?;
        drop(theirs);
        if let Some(cgroups) = &mut cgroups {
            let tasks = cgroups.manager.enter(cgroups.plan, spawned.pid(), cgroups.made)?;
            spawned = spawned.join(&tasks);
        }
        let process = Session::execute(spawned, deadline)
            .map_err(|error| error.during(format!("start {}", program.display())))?;
        Ok(Self { process, swrk: Some(swrk) })
    }

    fn patience<'a>(&'a self, deadline: &Deadline<'a>) -> Patience<'a> {
        Patience { until: deadline.until(), cancel: deadline.cancel(), criu: self.process.pidfd() }
    }

    pub(super) fn pid(&self) -> i32 {
        self.process.pid()
    }

    fn swrk(&self) -> Result<&Swrk> {
        self.swrk.as_ref().ok_or_else(|| Error::new(Kind::Internal, "CRIU has ended"))
    }

    pub(super) fn version(&self, deadline: &Deadline<'_>) -> Result<Version> {
        self.swrk()?.version(self.patience(deadline))
    }

    /// An error if the kernel, or this CRIU, cannot do what is named.
    pub(super) fn require(&self, mem_track: bool, lazy_pages: bool, deadline: &Deadline<'_>) -> Result<()> {
        if !mem_track && !lazy_pages {
            return Ok(());
        }
        let features = self.swrk()?.features(self.patience(deadline))?;
        let missing = |what: &str| {
            Err(Error::new(Kind::Unsupported, format!("CRIU is missing features: {what}, on this kernel")))
        };
        if mem_track && features.mem_track != Some(true) {
            return missing("tracking of changed memory");
        }
        if lazy_pages && features.lazy_pages != Some(true) {
            return missing("lazy pages");
        }
        Ok(())
    }

    /// One request to its end.
    pub(super) fn ask(
        &self,
        asked: i32,
        opts: Opts,
        deadline: &Deadline<'_>,
        partner: &mut dyn Partner,
    ) -> Result<Response> {
        let request = Request { kind: asked, opts: Some(opts), ..Request::default() };
        self.swrk()?.ask(&request, self.patience(deadline), partner)
    }
}

impl Drop for Criu {
    fn drop(&mut self) {
        drop(self.swrk.take());
        // One that has answered is about to end by itself; what it still has to tidy up takes no second.
        let soon = Call { timeout: Some(std::time::Duration::from_secs(1)), cancel: None };
        let _ = Deadline::new(soon).readable(self.process.pidfd(), "end CRIU");
    }
}

/// That CRIU and the kernel can do what is named, before anything is done; `place` is where CRIU may write.
pub(super) fn require(
    context: &Context,
    program: Option<&Path>,
    place: &Path,
    (mem_track, lazy_pages): (bool, bool),
    deadline: &Deadline<'_>,
) -> Result<()> {
    let place = Opened::open(&ImageDirectory::Path(place.to_owned()), false)?;
    let start = Start {
        program,
        namespaces: 0,
        steps: Vec::new(),
        cgroups: None,
        streams: Streams::open(&mut super::options::Io::default(), true)?,
        images: &place,
        work: &place,
        status: None,
        others: &[],
    };
    Criu::start(context, start, deadline)?.require(mem_track, lazy_pages, deadline)
}

/// A request that did not succeed: runc's words for it, then what the log says, then where that is.
pub(super) fn refused(asked: i32, response: &Response, work: &Opened, log_name: &str) -> Error {
    let verb = match asked {
        kind::RESTORE => "RESTORE",
        kind::PRE_DUMP => "PRE_DUMP",
        _ => "DUMP",
    };
    let errno = response.cr_errno.unwrap_or(0);
    let error = Error::new(Kind::Criu, format!("criu failed: type {verb} errno {errno}"));
    with_log(error, response.cr_errmsg.as_deref(), work, log_name)
}

/// Adds what CRIU's log says.
pub(super) fn with_log(error: Error, message: Option<&str>, work: &Opened, log_name: &str) -> Error {
    let text = work.read_ends(log_name);
    let mut lines = log::decisive(&String::from_utf8_lossy(&text));
    if lines.is_empty() {
        lines.extend(message.map(|message| message.trim().to_owned()));
    }
    let path = work.path.join(log_name).to_string_lossy().into_owned();
    let said = if lines.is_empty() { "nothing".to_owned() } else { lines.join("; ") };
    error.followed_by(format!("{said} (see {path})")).detailed("criu-log", path)
}

/// CRIU's program.
pub(super) fn find(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    DIRECTORIES
        .split(':')
        .map(|directory| Path::new(directory).join("criu"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Error::new(
                Kind::Criu,
                "find criu: it is in none of the usual directories; checkpoint and restore need it (https://criu.org)",
            )
        })
}
