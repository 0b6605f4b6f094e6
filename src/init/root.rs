//! Paths below the root filesystem: claims of the configuration and of a hostile image, turned into descriptors.
//!
//! Runs in: the init program, in its own mount namespace, before pivot_root, as root there. Every lookup is one
//! openat2(2) with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS` from the root's descriptor (CVE-2021-30465 and its kin),
//! and what is acted upon is the descriptor, never the path again.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::sys::{self, EEXIST, ELOOP, ENOENT, Fd, Text, call};
use crate::wire::{Class, Failure};

/// The root filesystem's mount.
pub(crate) struct Root {
    fd: Fd,
    /// The last directory asked for was missing: the next one, likely a sibling, will be, too.
    missing: Cell<bool>,
    /// Whether links were followed to what was opened or made last.
    followed: Cell<bool>,
    /// Where a tmpfs was mounted just now, and its root once somebody asked for it: nobody else can reach it, let alone
    /// move it.
    fresh: RefCell<Option<(String, Option<Fd>)>>,
}

const IN_ROOT: u32 = k::RESOLVE_IN_ROOT | k::RESOLVE_NO_MAGICLINKS;
/// As many links as the kernel follows (path_resolution(7)).
const LINKS: u32 = 40;

impl Root {
    pub(crate) const fn new(fd: Fd) -> Self {
        Self { fd, missing: Cell::new(false), followed: Cell::new(false), fresh: RefCell::new(None) }
    }

    pub(crate) const fn fd(&self) -> &Fd {
        &self.fd
    }

    /// That it is this file, and not another that has taken its place.
    pub(crate) fn is(&self, device: u64, inode: u64) -> Outcome {
        let stat = sys::stat(&self.fd).doing(Class::Rootfs, "look at", "root filesystem")?;
        // The number of a device as stat(2) packs it (makedev(3)).
        let (major, minor) = (u64::from(stat.file.0), u64::from(stat.file.1));
        let packed =
            (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff;
        if (packed, stat.file.2) == (device, inode) {
            return Ok(());
        }
        let object = String::from("root filesystem: its descriptor is of another directory");
        Err(Failure { class: Class::UnsafePath, verb: String::from("open"), object, errno: 0 })
    }

    /// Opens what `path` leads to; links in it are followed inside the root.
    pub(crate) fn open(&self, path: &str, flags: u32) -> sys::Result<Fd> {
        sys::open_at2(self.fd.number(), &Text::new(path), flags, 0, IN_ROOT)
    }

    /// Opens `path` if no part of it is a link.
    pub(crate) fn open_real(&self, path: &str, flags: u32) -> sys::Result<Fd> {
        sys::open_at2(self.fd.number(), &Text::new(path), flags, 0, IN_ROOT | k::RESOLVE_NO_SYMLINKS)
    }

    /// The same as [`Self::open`], and remembers whether there were links.
    fn look(&self, path: &str, flags: u32) -> sys::Result<Fd> {
        let real = self.open_real(path, flags);
        self.followed.set(real == Err(ELOOP));
        if real == Err(ELOOP) { self.open(path, flags) } else { real }
    }

    /// Whether a link of the image may have led to what [`Self::make_directory`] or [`Self::make_file`] answered with.
    pub(crate) fn followed_links(&self) -> bool {
        self.followed.get()
    }

    /// A filesystem was mounted on `path`, which no link leads to unless [`Self::followed_links`] says so; `fresh`: one
    /// that nobody has but us.
    pub(crate) fn mounted_fresh(&self, path: &str, fresh: bool) {
        if !self.followed_links() && split(path).is_ok_and(|(parent, _)| self.is_fresh(parent)) {
            // Right below: it covers nothing of the one that we know.
            return;
        }
        let fresh = fresh && !self.followed_links();
        *self.fresh.borrow_mut() = fresh.then(|| (String::from(path), None));
    }

    /// Something else was done to the tree.
    pub(crate) fn forget_fresh(&self) {
        *self.fresh.borrow_mut() = None;
    }

    fn is_fresh(&self, path: &str) -> bool {
        self.fresh.borrow().as_ref().is_some_and(|(fresh, _)| fresh == path)
    }

    /// Opens the directory `path`, making what is missing of it, and says whether it was there.
    pub(crate) fn make_directory(&self, path: &str) -> sys::Result<(Fd, bool)> {
        let likely_missing = self.missing.get() || split(path).is_ok_and(|(parent, _)| self.is_fresh(parent));
        if likely_missing
            && let Ok(made) = self.make_last(path)
        {
            return Ok((made, false));
        }
        let found = self.look(path, k::O_PATH | k::O_DIRECTORY);
        self.missing.set(found == Err(ENOENT));
        match found {
            Err(ENOENT) => self.make_last(path).or_else(|_| self.walk(path)).map(|fd| (fd, false)),
            found => found.map(|fd| (fd, true)),
        }
    }

    /// Opens the file `path`, making an empty one if there is nothing. A link to something missing is followed inside
    /// the root, so that its target is what is made.
    pub(crate) fn make_file(&self, path: &str) -> sys::Result<Fd> {
        let mut path = String::from(path);
        let mut linked = false;
        for _ in 0..LINKS {
            match self.look(&path, k::O_PATH) {
                Err(ENOENT) => {}
                found => {
                    self.followed.set(linked || self.followed.get());
                    return found;
                }
            }
            let (parent, name) = self.parent_of(&path)?;
            let name = Text::new(name);
            // O_EXCL and O_NOFOLLOW: what appears here meanwhile is not ours to open (CVE-2024-45310).
            match sys::open_at(parent.number(), &name, k::O_CREAT | k::O_EXCL | k::O_NOFOLLOW, 0o644) {
                Ok(_) | Err(EEXIST) => {}
                Err(errno) => return Err(errno),
            }
            if let Ok(target) = read_link(&parent, &name) {
                linked = true;
                let directory =
                    path.trim_end_matches('/').rsplit_once('/').map_or("", |(directory, _)| directory);
                path = if target.starts_with('/') { target } else { alloc::format!("{directory}/{target}") };
            }
        }
        Err(ELOOP)
    }

    /// The directory that holds `path`, made if missing, and the last name of the path.
    pub(crate) fn parent_of<'p>(&self, path: &'p str) -> sys::Result<(Fd, &'p str)> {
        let (parent, name) = split(path)?;
        Ok((self.make_directory(parent)?.0, name))
    }

    /// The usual case: only the last name is missing, and no link is there. Any error means that it is another.
    fn make_last(&self, path: &str) -> sys::Result<Fd> {
        let (parent, name) = split(path)?;
        if let Some((fresh, known)) = self.fresh.borrow_mut().as_mut()
            && fresh == parent
        {
            let directory = match known {
                Some(directory) => directory,
                None => known.insert(self.look(parent, k::O_PATH | k::O_DIRECTORY)?),
            };
            self.followed.set(false);
            return make_in(directory, name);
        }
        make_in(&self.look(parent, k::O_PATH | k::O_DIRECTORY)?, name)
    }

    /// Goes down `path` name by name, making directories. A link to something missing is followed inside the root,
    /// so that its target is what is made.
    fn walk(&self, path: &str) -> sys::Result<Fd> {
        let mut rest: Vec<String> = names(path).rev().map(ToString::to_string).collect();
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        self.followed.set(true);
        let mut here = self.open("/", k::O_PATH | k::O_DIRECTORY)?;
        while let Some(name) = rest.pop() {
            if name == ".." {
                done.pop();
                here = self.open(&join(&done), k::O_PATH | k::O_DIRECTORY)?;
                continue;
            }
            done.push(name);
            match self.open(&join(&done), k::O_PATH | k::O_DIRECTORY) {
                Ok(next) => here = next,
                Err(ENOENT) => {
                    let name = Text::new(done.last().map_or("", String::as_str));
                    match call!(__NR_mkdirat, here.number(), name.as_ptr(), 0o755) {
                        Ok(_) => here = self.open(&join(&done), k::O_PATH | k::O_DIRECTORY)?,
                        Err(EEXIST) => {
                            // Either somebody was faster, or a dangling link is in the way.
                            links += 1;
                            if links > LINKS {
                                return Err(ELOOP);
                            }
                            let again = done.pop().unwrap_or_default();
                            match read_link(&here, &name) {
                                Ok(target) => {
                                    if target.starts_with('/') {
                                        done.clear();
                                        here = self.open("/", k::O_PATH | k::O_DIRECTORY)?;
                                    }
                                    rest.extend(names(&target).rev().map(ToString::to_string));
                                }
                                Err(_) => rest.push(again),
                            }
                        }
                        Err(errno) => return Err(errno),
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(here)
    }
}

/// mkdirat(2), and the new directory.
fn make_in(parent: &Fd, name: &str) -> sys::Result<Fd> {
    let name = Text::new(name);
    call!(__NR_mkdirat, parent.number(), name.as_ptr(), 0o755)?;
    sys::open_at(parent.number(), &name, k::O_PATH | k::O_DIRECTORY | k::O_NOFOLLOW, 0)
}

/// Parent and last name.
pub(crate) fn split(path: &str) -> sys::Result<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() || name == "." || name == ".." {
        return Err(sys::EINVAL);
    }
    Ok((if parent.is_empty() { "/" } else { parent }, name))
}

fn names(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".")
}

fn join(names: &[String]) -> String {
    let mut path = String::from("/");
    path.push_str(&names.join("/"));
    path
}

fn read_link(dir: &Fd, name: &Text) -> sys::Result<String> {
    String::from_utf8(read_link_bytes(dir, name)?).map_err(|_| sys::EINVAL)
}

/// readlinkat(2).
pub(crate) fn read_link_bytes(dir: &Fd, name: &Text) -> sys::Result<Vec<u8>> {
    let mut buffer = [0_u8; 4096];
    let n = call!(__NR_readlinkat, dir.number(), name.as_ptr(), buffer.as_mut_ptr(), buffer.len())?;
    Ok(buffer[..n].to_vec())
}
