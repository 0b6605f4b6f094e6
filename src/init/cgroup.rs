//! Cgroup v1: joining, and what the container sees of it.
//!
//! Runs in: the init program, in its own mount namespace, before pivot_root. The `tasks` files were opened by the
//! runtime, whose privilege they carry into a user namespace.

use alloc::format;

use linux_raw_sys::general as k;

use crate::channel::{Channel, Doing, Outcome};
use crate::mount;
use crate::root::Root;
use crate::sys::{self, ENOSYS, Fd, Text, call};
use crate::wire::{CgroupV1, Class, ToInit};

/// Writes itself to the `tasks` files: this is the only thread, so the kernel takes no lock over all processes.
pub(crate) fn join(channel: &Channel, count: u32) -> Outcome {
    for tasks in channel.expect_with(ToInit::Cgroups, count as usize)? {
        sys::write(&tasks, b"0").doing(Class::Cgroup, "join", "cgroup")?;
    }
    Ok(())
}

/// A tmpfs, in it the directories and links, all attributes by one call at the end. Nobody else is in this namespace,
/// so names below a tmpfs that was made just now are what we made them.
pub(crate) fn mount_v1(root: &Root, wanted: &CgroupV1) -> Outcome {
    let path = &wanted.tmpfs.target;
    mount::filesystem(root, &wanted.tmpfs)?;
    let tmpfs = root.open(path, k::O_PATH | k::O_DIRECTORY).doing(Class::Mount, "open", path)?;
    for (name, source) in &wanted.binds {
        bind(&tmpfs, name, source).doing(Class::Mount, "bind", &format!("{source} on {path}/{name}"))?;
    }
    for (name, target) in &wanted.links {
        let (text, target) = (Text::new(name), Text::new(target));
        call!(__NR_symlinkat, target.as_ptr(), tmpfs.number(), text.as_ptr()).doing(
            Class::Mount,
            "make link",
            &format!("{path}/{name}"),
        )?;
    }
    match mount::set_attributes(&tmpfs, true, wanted.attributes, 0, 0) {
        Err(ENOSYS) => classic(&tmpfs, wanted),
        set => set.map(drop),
    }
    .doing(Class::Mount, "change attributes of", path)
}

/// mount(2): one call, where a detached copy takes four and a mount namespace of its own.
fn bind(tmpfs: &Fd, name: &str, source: &str) -> sys::Result<()> {
    call!(__NR_mkdirat, tmpfs.number(), Text::new(name).as_ptr(), 0o755)?;
    mount::classic(source, &below(tmpfs, name), "", u64::from(k::MS_BIND), "").map(drop)
}

/// KERNEL(5.12): without mount_setattr(2), each on its own.
fn classic(tmpfs: &Fd, wanted: &CgroupV1) -> sys::Result<()> {
    let flags = mount::classic_flags(wanted.attributes) | u64::from(k::MS_REMOUNT | k::MS_BIND);
    for (name, _) in &wanted.binds {
        mount::classic("", &below(tmpfs, name), "", flags, "")?;
    }
    mount::classic("", &below(tmpfs, ""), "", flags, "").map(drop)
}

/// A name in the tmpfs, for mount(2).
fn below(tmpfs: &Fd, name: &str) -> Text {
    let mut path = format!("/proc/self/fd/{}", tmpfs.number());
    if !name.is_empty() {
        path.push('/');
        path.push_str(name);
    }
    Text::new(&path)
}
