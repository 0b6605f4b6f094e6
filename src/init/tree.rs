//! Sources of bind mounts: opened here, or by the runtime's helper where the root of a user namespace is kept out; and
//! the ids of a mount's own.
//!
//! Runs in: the init program, in the container's mount namespace. The helper is the same program in a process of the
//! runtime's user namespace that joined the mount namespace alone: it may open what its runtime may, and what it opens
//! there keeps the flags that are locked for the container, which a tree from the host's mount namespace would lose.

use alloc::format;

use linux_raw_sys::general as k;

use crate::channel::{Channel, Doing, Outcome};
use crate::sys::{self, EACCES, EINVAL, ENOSYS, Fd, Text, call};
use crate::wire::{Bind, Class, Failure, Idmap, OpenedBy, ToInit, ToRuntime, Tree};

/// open_tree(2): a detached copy of a mount, or of the tree below it.
pub(crate) fn clone(dir: i32, path: &Text, recursive: bool) -> sys::Result<Fd> {
    let tree = if recursive { k::AT_RECURSIVE } else { 0 };
    let flags = k::OPEN_TREE_CLONE | k::OPEN_TREE_CLOEXEC | k::AT_EMPTY_PATH | tree;
    call!(__NR_open_tree, dir, path.as_ptr(), flags).map(Fd::own)
}

/// The source of a bind mount, the step of this number, with the ids that it is to have.
pub(crate) fn source(channel: &Channel, step: u32, bind: &Bind, object: &str) -> Outcome<Fd> {
    if bind.opened_by == OpenedBy::Runtime {
        return ask(channel, step);
    }
    match clone(k::AT_FDCWD, &Text::new(&bind.source), bind.recursive) {
        Err(EACCES) if bind.opened_by == OpenedBy::EitherOne => ask(channel, step),
        opened => {
            let tree = opened.doing(Class::Mount, "bind", object)?;
            map_ids(&tree, bind.idmap.as_ref(), object)?;
            Ok(tree)
        }
    }
}

/// Lets the runtime open the source of a step.
pub(crate) fn ask(channel: &Channel, step: u32) -> Outcome<Fd> {
    channel.send(&ToRuntime::Ask { step }, None);
    let mut opened = channel.expect_with(ToInit::Opened, 1)?;
    opened.pop().ok_or_else(|| Failure {
        class: Class::Protocol,
        verb: "receive".into(),
        object: "a tree".into(),
        errno: 0,
    })
}

/// The helper's work: opens what it is asked for until nobody asks any more.
pub(crate) fn serve(channel: &Channel, trees: &[Tree]) -> Outcome {
    loop {
        let word = channel.recv::<ToInit>()?;
        let Some(tree) = trees.iter().find(|tree| word == ToInit::Open { step: tree.step }) else {
            let object = "another message".into();
            return Err(Failure { class: Class::Protocol, verb: "serve".into(), object, errno: 0 });
        };
        let object = format!("{} on {}", tree.source, tree.target);
        let opened = clone(k::AT_FDCWD, &Text::new(&tree.source), tree.recursive);
        let opened = opened.doing(Class::Mount, "bind", &object)?;
        map_ids(&opened, tree.idmap.as_ref(), &object)?;
        channel.send(&ToRuntime::Opened, Some(&opened));
    }
}

/// mount_setattr(2) with MOUNT_ATTR_IDMAP, KERNEL(5.12), on a mount that nobody has seen yet.
pub(crate) fn map_ids(mount: &Fd, idmap: Option<&Idmap>, object: &str) -> Outcome {
    let Some(idmap) = idmap else { return Ok(()) };
    let change = k::mount_attr {
        attr_set: u64::from(k::MOUNT_ATTR_IDMAP),
        attr_clr: 0,
        propagation: 0,
        userns_fd: idmap.userns as u64,
    };
    let tree = if idmap.recursive { k::AT_RECURSIVE } else { 0 };
    let (empty, flags) = (Text::new(""), k::AT_EMPTY_PATH | tree);
    let size = size_of::<k::mount_attr>();
    let done = call!(__NR_mount_setattr, mount.number(), empty.as_ptr(), flags, &raw const change, size);
    let why = match done {
        Ok(_) => return Ok(()),
        Err(EINVAL) => ": the filesystem cannot do that",
        Err(ENOSYS) => ": the kernel cannot do that",
        Err(_) => "",
    };
    done.map(drop).doing(Class::Mount, "map ids (uidMappings, gidMappings) of", &format!("{object}{why}"))
}
