//! Which mounts of a container are the host's: CRIU must be told of each, by a name under which a restore gives it the
//! place on the host. The names are runc's, so that either restores what the other has checkpointed. Pure.
//!
//! * A bind mount has the name of its destination in the configuration.
//! * What an rbind brought along has the name of its mount point. runc knows no such thing; where they come from is
//!   kept in a file of ours beside the images.
//! * A file that is masked is `/dev/null` of the host.
//! * Device nodes are bound in a user namespace, and have the name of their path.
//! * Cgroups without a cgroup namespace are a bind mount a hierarchy, of cgroup v1; all others CRIU mounts itself.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::wire::Step;

/// One line of a process's table of mounts (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    /// In its filesystem.
    pub(crate) root: String,
    pub(crate) point: String,
    pub(crate) idmapped: bool,
}

impl Mounted {
    /// All lines; one that cannot be read is left out.
    pub(crate) fn parse(mountinfo: &str) -> Vec<Self> {
        mountinfo.lines().filter_map(Self::line).collect()
    }

    fn line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (id, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (root, point, options) = (words.nth(1)?, words.next()?, words.next()?);
        let idmapped = options.split(',').any(|option| option == "idmapped");
        Some(Self { id, parent, root: plain(root), point: plain(point), idmapped })
    }
}

/// Blanks and the like are written as `\040`.
fn plain(text: &str) -> String {
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// A mount that the host's side of a container made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What the images call it.
    pub(crate) name: String,
    /// Where it is, as the configuration says: links in the root filesystem may lead elsewhere.
    pub(crate) path: String,
    /// On the host.
    pub(crate) source: PathBuf,
    pub(crate) recursive: bool,
    /// There may be a directory, or nothing, which is not mounted over by the host's.
    pub(crate) masked: bool,
}

/// The claims of a plan's steps.
pub(crate) fn claims(steps: &[Step]) -> Vec<Claim> {
    let plain = |path: &str, source: &str| Claim {
        name: path.to_owned(),
        path: path.to_owned(),
        source: PathBuf::from(source),
        recursive: false,
        masked: false,
    };
    let mut claims = Vec::new();
    for step in steps {
        match step {
            Step::Bind(bind) => {
                claims.push(Claim { recursive: bind.recursive, ..plain(&bind.target, &bind.source) });
            }
            Step::MountCgroupV1(cgroup) => {
                let one = |(name, source): &(String, String)| {
                    plain(&format!("{}/{name}", cgroup.tmpfs.target), source)
                };
                claims.extend(cgroup.binds.iter().map(one));
            }
            Step::Device(device) if device.bind => claims.push(plain(&device.path, &device.path)),
            Step::Mask { path } => {
                claims.push(Claim { name: "/dev/null".into(), masked: true, ..plain(path, "/dev/null") });
            }
            _ => {}
        }
    }
    claims
}

/// Makes the mount points that a root filesystem lacks which the container was not created in: CRIU mounts, and makes no
/// directories. What is on another mount came with that. A source that `is_directory` is not bound on a file.
pub(crate) fn mount_points(steps: &[Step], is_directory: impl Fn(&Path) -> bool) -> Vec<Step> {
    let mut places: Vec<&Path> = Vec::new();
    let mut made = Vec::new();
    for step in steps {
        let (path, file) = match step {
            Step::Mount(filesystem) => (&filesystem.target, false),
            Step::MountCgroupV1(cgroup) => (&cgroup.tmpfs.target, false),
            Step::Bind(bind) => (&bind.target, !is_directory(Path::new(&bind.source))),
            Step::Device(device) if device.bind => (&device.path, true),
            _ => continue,
        };
        let place = Path::new(path);
        if !places.iter().any(|above| place.starts_with(above)) {
            let path = path.clone();
            made.push(if file { Step::MakeFile { path } } else { Step::MakeDirectory { path } });
        }
        places.push(place);
    }
    made
}

/// Where the submounts of rbinds come from: name to place on the host.
pub(crate) type Submounts = BTreeMap<String, PathBuf>;

/// What a dump is told: (mount point, name), and what a restore will ask for beside the configuration. `found` is the
/// mount that each claim led to.
pub(crate) fn external(
    claims: &[(Claim, Option<u64>)],
    mounts: &[Mounted],
) -> Result<(Vec<(String, String)>, Submounts)> {
    let by_id = |id: u64| mounts.iter().find(|mount| mount.id == id);
    let mut external: Vec<(String, String)> = Vec::new();
    let mut submounts = Submounts::new();
    for (claim, found) in claims {
        let Some(mount) = found.and_then(by_id) else { continue };
        if claim.masked && mount.root != "/null" {
            continue;
        }
        if mount.idmapped {
            let message = format!("mounts: {}: CRIU cannot restore a mount with ids of its own", claim.path);
            return Err(Error::new(Kind::Unsupported, message));
        }
        external.push((mount.point.clone(), claim.name.clone()));
    }
    let taken: Vec<String> = external.iter().map(|(point, _)| point.clone()).collect();
    for (claim, found) in claims.iter().filter(|(claim, _)| claim.recursive) {
        let Some(top) = found.and_then(by_id) else { continue };
        for below in mounts.iter().filter(|mount| mount.id != top.id && is_below(mount, top, mounts)) {
            let inner = Path::new(&below.point).strip_prefix(&top.point).ok();
            let Some(inner) = inner.filter(|_| !taken.contains(&below.point)) else { continue };
            external.push((below.point.clone(), below.point.clone()));
            submounts.insert(below.point.clone(), claim.source.join(inner));
        }
    }
    external.sort();
    external.dedup();
    Ok((external, submounts))
}

fn is_below(mount: &Mounted, top: &Mounted, mounts: &[Mounted]) -> bool {
    let mut at = mount;
    // A mount is no deeper than there are mounts.
    for _ in 0..mounts.len() {
        if at.parent == top.id {
            return true;
        }
        match mounts.iter().find(|above| above.id == at.parent && above.id != at.id) {
            Some(above) => at = above,
            None => return false,
        }
    }
    false
}

/// What a restore is told: name and place on the host.
pub(crate) fn sources(claims: &[Claim], submounts: &Submounts) -> Vec<(String, String)> {
    let own = claims.iter().map(|claim| (claim.name.clone(), claim.source.to_string_lossy().into_owned()));
    let brought =
        submounts.iter().map(|(name, source)| (name.clone(), source.to_string_lossy().into_owned()));
    let mut sources: Vec<(String, String)> = own.chain(brought).collect();
    sources.sort();
    sources.dedup();
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Bind;

    const MOUNTINFO: &str = "\
        20 10 8:1 /rootfs / rw - ext4 /dev/sda rw\n\
        21 20 0:5 / /proc rw - proc proc rw\n\
        22 21 0:6 /null /proc/kcore ro - devtmpfs udev rw\n\
        23 20 8:1 /a\\040b /var/data rw - ext4 /dev/sda rw\n\
        24 23 0:7 / /var/data/sub rw - tmpfs tmpfs rw\n\
        25 24 0:8 / /var/data/sub/deep rw - tmpfs tmpfs rw\n\
        26 20 8:1 /x /ids rw,idmapped - ext4 /dev/sda rw\n";

    fn bind(target: &str, source: &str, recursive: bool) -> Step {
        Step::Bind(Bind { target: target.into(), source: source.into(), recursive, ..Bind::default() })
    }

    #[test]
    fn mountinfo_is_read_with_its_blanks() {
        let mounts = Mounted::parse(MOUNTINFO);
        assert_eq!(mounts.len(), 7);
        assert_eq!((mounts[3].root.as_str(), mounts[3].point.as_str()), ("/a b", "/var/data"));
        assert!(mounts[6].idmapped);
        assert!(Mounted::parse("nonsense\n1 2\n").is_empty());
    }

    #[test]
    fn a_tree_is_told_mount_by_mount_and_a_link_by_where_it_leads() {
        let steps = [bind("/data", "/srv/tree", true), Step::Mask { path: "/proc/kcore".into() }];
        // /data is a link to /var/data.
        let found = claims(&steps).into_iter().zip([Some(23), Some(22)]).collect::<Vec<_>>();
        let (external, submounts) = external(&found, &Mounted::parse(MOUNTINFO)).unwrap();
        let pairs = [
            ("/proc/kcore", "/dev/null"),
            ("/var/data", "/data"),
            ("/var/data/sub", "/var/data/sub"),
            ("/var/data/sub/deep", "/var/data/sub/deep"),
        ];
        assert_eq!(external, pairs.map(|(point, name)| (point.to_owned(), name.to_owned())));
        assert_eq!(submounts["/var/data/sub/deep"], Path::new("/srv/tree/sub/deep"));
        let claims: Vec<Claim> = found.into_iter().map(|(claim, _)| claim).collect();
        let sources = sources(&claims, &submounts);
        assert!(sources.contains(&("/data".into(), "/srv/tree".into())));
        assert!(sources.contains(&("/var/data/sub".into(), "/srv/tree/sub".into())));
    }

    #[test]
    fn only_mount_points_of_the_root_filesystem_are_made() {
        let mount = |target: &str| {
            Step::Mount(crate::wire::Filesystem { target: target.into(), ..Default::default() })
        };
        let steps = [
            mount("/dev"),
            bind("/dev/shm", "/srv/shm", false),
            bind("/etc/hosts", "/srv/hosts", false),
            bind("/data", "/srv/tree", true),
            bind("/devices", "/srv/tree", true),
        ];
        let directory = |path: &str| Step::MakeDirectory { path: path.into() };
        let expected = [
            directory("/dev"),
            Step::MakeFile { path: "/etc/hosts".into() },
            directory("/data"),
            directory("/devices"),
        ];
        assert_eq!(mount_points(&steps, |source| source == Path::new("/srv/tree")), expected);
    }

    #[test]
    fn ids_of_a_mount_are_not_lost_silently() {
        let found: Vec<_> = claims(&[bind("/ids", "/x", false)]).into_iter().zip([Some(26)]).collect();
        let error = external(&found, &Mounted::parse(MOUNTINFO)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
    }

    #[test]
    fn a_masked_directory_is_the_containers_own() {
        let found: Vec<_> =
            claims(&[Step::Mask { path: "/proc/acpi".into() }]).into_iter().zip([Some(24)]).collect();
        assert!(external(&found, &Mounted::parse(MOUNTINFO)).unwrap().0.is_empty());
    }
}
