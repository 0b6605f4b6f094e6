//! The files of a root filesystem, from the other side, into a directory that is new. No path leaves it: each is looked
//! up from its root without following a link.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::stream::{Stream, too_much};
use crate::error::{Error, Kind, Result};
use crate::migrate::plan::frame::{Entry, Frame, Message, Meta, unexpected};
use crate::sys::Errno;
use crate::sys::tree::{Place, Stat};

/// What an entry takes beside its bytes, about: a stranger's millions of empty files count, too.
const ENTRY: u64 = 512;

/// Receives until the tree ends; `first` has been heard already.
pub(crate) fn receive(
    stream: &mut Stream<'_>,
    root: BorrowedFd<'_>,
    first: Frame,
    left: &mut u64,
) -> Result<()> {
    let mut frame = first;
    loop {
        match frame {
            Frame::Message(Message::TreeEnd) => return Ok(()),
            Frame::Message(Message::Remove(path)) => {
                let place = Place::find(root, &path);
                place.and_then(|place| place.remove()).map_err(|errno| failed("remove", &path, errno))?;
            }
            Frame::Message(Message::Entry { path, meta, entry }) => {
                *left = left.checked_sub(ENTRY).ok_or_else(too_much)?;
                let file = make(root, &path, &meta, &entry).map_err(|errno| failed("make", &path, errno))?;
                if let (Some(file), Entry::File(size)) = (file, &entry) {
                    stream
                        .receive_file(&mut File::from(file), *size, left)
                        .map_err(|error| error.during(format!("receive {}", text(&path))))?;
                }
                if !matches!(entry, Entry::Link(_)) {
                    let place =
                        Place::find(root, &path).and_then(|place| place.set(&stat(&meta), &meta.xattrs));
                    place.map_err(|errno| failed("set the attributes of", &path, errno))?;
                }
            }
            other => return Err(unexpected(&other)),
        }
        frame = stream.hear()?;
    }
}

fn text(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

fn failed(verb: &str, path: &[u8], errno: Errno) -> Error {
    Error::os(Kind::Rootfs, format!("{verb} {} in the new root filesystem", text(path)), errno as i32)
}

/// Makes the entry in place of whatever is there; a file is still to be filled.
fn make(root: BorrowedFd<'_>, path: &[u8], meta: &Meta, entry: &Entry) -> Result<Option<OwnedFd>, Errno> {
    let place = Place::find(root, path)?;
    let there = match place.stat() {
        Err(Errno::ENOENT) => None,
        there => Some(there?),
    };
    let stays = matches!(entry, Entry::Directory) && there.is_some_and(|there| there.is_directory());
    if stays {
        return Ok(None);
    }
    if there.is_some() {
        place.remove()?;
    }
    match entry {
        Entry::Directory => place.make_directory()?,
        Entry::File(_) => return place.make_file().map(Some),
        Entry::Symlink(target) => place.make_link(target)?,
        Entry::Link(first) => place.make_name_of(&Place::find(root, first)?)?,
        Entry::Node(number) => place.make_node(meta.mode, *number)?,
    }
    Ok(None)
}

fn stat(meta: &Meta) -> Stat {
    Stat {
        device: 0,
        inode: 0,
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        links: 1,
        size: 0,
        number: 0,
        modified: meta.modified,
        changed: (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::*;
    use crate::migrate::apply::send_tree::{Inodes, Tree};
    use crate::sys::{file, socket};

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("riverrun-tree-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("from")).unwrap();
        fs::create_dir_all(path.join("to")).unwrap();
        path
    }

    fn ends() -> (Stream<'static>, Stream<'static>) {
        let (a, b) = socket::pair().unwrap();
        let stream = |fd: OwnedFd| Stream::new(fd, Duration::from_secs(20), (None, None)).unwrap();
        (stream(a), stream(b))
    }

    fn copy(tree: &mut Tree, to: &Path, left: u64) -> (Result<u64>, Result<()>) {
        let (mut ours, mut theirs) = ends();
        let root = file::open_directory(to).unwrap();
        std::thread::scope(|scope| {
            let receiver = scope.spawn(move || {
                let mut left = left;
                let first = theirs.hear()?;
                let outcome = receive(&mut theirs, root.as_fd(), first, &mut left);
                if let Err(error) = &outcome {
                    theirs.give_up(error);
                }
                outcome
            });
            let sent = tree.send(&mut ours, &Inodes::new());
            drop(ours);
            (sent, receiver.join().unwrap())
        })
    }

    fn same(a: &Path, b: &Path) -> bool {
        let status =
            std::process::Command::new("diff").args(["-r", "--no-dereference"]).args([a, b]).status();
        status.unwrap().success()
    }

    #[test]
    fn a_tree_and_its_changes_arrive() {
        let scratch = scratch("arrive");
        let (from, to) = (scratch.join("from"), scratch.join("to"));
        fs::create_dir_all(from.join("etc/deep/er")).unwrap();
        fs::write(from.join("etc/word"), "hello").unwrap();
        fs::set_permissions(from.join("etc/word"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(from.join("etc/word"), from.join("etc/deep/second")).unwrap();
        fs::write(from.join("etc/empty"), "").unwrap();
        symlink("../../../etc/passwd", from.join("etc/up")).unwrap();
        let sparse = File::create(from.join("sparse")).unwrap();
        sparse.set_len(64 << 20).unwrap();
        std::os::unix::fs::FileExt::write_at(&sparse, b"end", (32 << 20) + 1).unwrap();
        let mut tree = Tree::open(&from).unwrap();
        let (sent, received) = copy(&mut tree, &to, u64::MAX);
        received.unwrap();
        assert_eq!(sent.unwrap(), 9);
        assert!(same(&from, &to));
        let there = fs::metadata(to.join("etc/word")).unwrap();
        assert_eq!((there.mode() & 0o7777, there.nlink()), (0o4751, 2));
        assert_eq!(there.mtime(), fs::metadata(from.join("etc/word")).unwrap().mtime());
        assert!(fs::metadata(to.join("sparse")).unwrap().blocks() < 1024, "it has its holes");
        // Changes: a file in place of a directory, a directory in place of a file, a name less.
        fs::remove_dir_all(from.join("etc/deep")).unwrap();
        fs::write(from.join("etc/deep"), "flat").unwrap();
        fs::remove_file(from.join("etc/empty")).unwrap();
        fs::create_dir(from.join("etc/empty")).unwrap();
        fs::write(from.join("etc/word"), "other").unwrap();
        let (sent, received) = copy(&mut tree, &to, u64::MAX);
        received.unwrap();
        sent.unwrap();
        assert!(same(&from, &to));
        assert_eq!(fs::metadata(to.join("etc/word")).unwrap().nlink(), 1);
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_limit_ends_it_on_both_sides() {
        let scratch = scratch("limit");
        let (from, to) = (scratch.join("from"), scratch.join("to"));
        // More than both ends of the socket hold: the sender cannot be done before it hears of it.
        fs::write(from.join("big"), vec![1; 64 << 20]).unwrap();
        let (sent, received) = copy(&mut Tree::open(&from).unwrap(), &to, 1 << 20);
        assert!(received.unwrap_err().to_string().contains("more than the limit"));
        let error = sent.unwrap_err().to_string();
        assert!(
            error.contains("the other side gives up") && error.contains("more than the limit"),
            "{error}"
        );
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_link_that_came_first_is_not_followed() {
        let scratch = scratch("link");
        let to = scratch.join("to");
        let (mut ours, mut theirs) = ends();
        let meta = Meta { mode: 0o120_777, ..Meta::default() };
        let up = Entry::Symlink(b"../from".to_vec());
        ours.say(&Message::Entry { path: b"up".to_vec(), meta, entry: up }).unwrap();
        let meta = Meta { mode: 0o100_600, ..Meta::default() };
        ours.say(&Message::Entry { path: b"up/x".to_vec(), meta, entry: Entry::File(0) }).unwrap();
        let root = file::open_directory(&to).unwrap();
        let first = theirs.hear().unwrap();
        let error = receive(&mut theirs, root.as_fd(), first, &mut u64::MAX.clone()).unwrap_err();
        assert!(error.to_string().contains("make /up/x"), "{error}");
        assert_eq!(fs::read_dir(scratch.join("from")).unwrap().count(), 0);
        fs::remove_dir_all(scratch).unwrap();
    }
}
