//! CRIU's options, from the configuration, the container as it is and what the caller wishes. Pure.
//!
//! What CRIU is not told it takes for the container's own, and either refuses it or restores a copy of it. So everything
//! that is the host's is named here: mounts, namespaces that others made, streams. runc's names where it has them.
#![forbid(unsafe_code)]

use std::path::{Component, Path};

use super::mounts::{self, Claim, Mounted, Submounts};
use super::options::{CheckpointOptions, CriuOptions, ManageCgroups, RestoreOptions};
use super::rpc::{CgroupRoot, ExtMountMap, InheritFd, JoinNamespace, Opts, PageServerInfo, Version, kind};
use crate::error::{Error, Kind, Result};

/// The file beside the images that says what the three streams were.
pub(crate) const DESCRIPTORS: &str = "descriptors.json";
/// The file beside the images with what runc's have no place for.
pub(crate) const OWN: &str = "riverrun.json";
/// The log of a dump, and of a restore.
pub(crate) const DUMP_LOG: &str = "dump.log";
pub(crate) const RESTORE_LOG: &str = "restore.log";
/// CRIU's most telling level short of its own debugging.
const LOG_LEVEL: i32 = 4;

const NETWORK: u64 = libc::CLONE_NEWNET as u64;
const PID: u64 = libc::CLONE_NEWPID as u64;
const CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;

/// The versions of CRIU that have what is asked for; before 3.0 it has no such thing as a version to ask for.
mod since {
    pub(super) const ANY: i32 = 30_000;
    pub(super) const NETWORK_NAMESPACE: i32 = 31_100;
    pub(super) const FREEZER_V2: i32 = 31_400;
    pub(super) const PID_NAMESPACE: i32 = 31_500;
    pub(super) const LABELS: i32 = 31_600;
    pub(super) const NETWORK_LOCK: i32 = 31_700;
}

/// Where CRIU finds its descriptors. The directories and the status it opens by /proc, as those of whoever made the
/// socket that it is asked through; all others are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// In the host process.
    pub(crate) images: i32,
    pub(crate) work: i32,
    pub(crate) status: i32,
    /// In CRIU.
    pub(crate) socket: i32,
    /// Namespaces, or a socket for memory, in their order.
    pub(crate) others: i32,
}

impl Numbers {
    /// CRIU's own are above those of the container's process.
    pub(crate) const fn new(images: i32, work: i32, status: i32, keep_below: i32) -> Self {
        Self { images, work, status, socket: keep_below, others: keep_below + 1 }
    }
}

/// A namespace that others made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// `CLONE_NEW*`.
    pub(crate) flag: u64,
    /// Its inode.
    pub(crate) inode: u64,
    pub(crate) path: String,
    /// The name of its kind below /proc/PID/ns.
    pub(crate) file: &'static str,
}

/// The container, as a dump finds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) pid: i32,
    pub(crate) rootfs: String,
    /// The cgroup that is frozen meanwhile, of v1 or of cgroup2.
    pub(crate) freezer: Option<(String, bool)>,
    pub(crate) mounts: Vec<Mounted>,
    /// Each claim with the mount that it leads to.
    pub(crate) claims: Vec<(Claim, Option<u64>)>,
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) config_file: Option<String>,
    /// Memory goes through a socket that CRIU has: the first of its descriptors beside that which it is asked through.
    pub(crate) page_socket: bool,
}

/// A dump, decided.
#[derive(Debug)]
pub(crate) struct Dump {
    pub(crate) kind: i32,
    pub(crate) opts: Opts,
    pub(crate) submounts: Submounts,
}

/// One number for comparing, as CRIU makes it.
pub(crate) fn number(version: Version) -> i32 {
    version.major * 10_000 + version.minor * 100 + version.sublevel.unwrap_or(0)
}

/// What can be said before anything is asked.
pub(crate) fn check(wanted: &CheckpointOptions<'_>) -> Result<()> {
    let invalid = |message: &str| Err(Error::new(Kind::InvalidArgument, message));
    if let Some(parent) = &wanted.parent
        && (parent.is_absolute() || parent.components().any(|part| matches!(part, Component::Prefix(_))))
    {
        return invalid("--parent-path must be relative");
    }
    if wanted.pre_dump && wanted.criu.lazy_pages {
        return invalid("a pre-dump cannot have lazy pages");
    }
    if wanted.status_fd.is_some() && !wanted.criu.lazy_pages {
        return invalid("a status descriptor is for lazy pages");
    }
    Ok(())
}

fn at_least(version: Version, since: i32, what: &str) -> Result<()> {
    if number(version) >= since {
        return Ok(());
    }
    let Version { major, minor, .. } = version;
    let (wanted, wanted_minor) = (since / 10_000, since / 100 % 100);
    Err(Error::new(
        Kind::Unsupported,
        format!("{what} needs CRIU {wanted}.{wanted_minor}; the host's is {major}.{minor}"),
    ))
}

/// The part that a dump and a restore share.
fn common(wanted: &CriuOptions, version: Version, numbers: Numbers, log: &str) -> Result<Opts> {
    at_least(version, since::ANY, "checkpoint and restore")?;
    if wanted.network_lock.is_some() {
        at_least(version, since::NETWORK_LOCK, "--network-lock")?;
    }
    let cgroups = wanted.manage_cgroups.unwrap_or(ManageCgroups::Soft);
    Ok(Opts {
        images_dir_fd: numbers.images,
        work_dir_fd: Some(numbers.work),
        log_level: Some(LOG_LEVEL),
        log_file: Some(log.to_owned()),
        notify_scripts: Some(true),
        tcp_established: Some(wanted.tcp_established),
        ext_unix_sk: Some(wanted.ext_unix_sk),
        shell_job: Some(wanted.shell_job),
        file_locks: Some(wanted.file_locks),
        lazy_pages: Some(wanted.lazy_pages),
        auto_dedup: Some(wanted.auto_dedup),
        manage_cgroups: Some(cgroups != ManageCgroups::Ignore),
        manage_cgroups_mode: Some(cgroups as i32),
        orphan_pts_master: Some(true),
        // Network devices and addresses are whoever's who brought them.
        empty_ns: u32::try_from(wanted.empty_ns | NETWORK).ok(),
        network_lock: wanted.network_lock.map(|lock| lock as i32),
        ..Opts::default()
    })
}

/// The name of an external namespace in images.
fn key(flag: u64) -> &'static str {
    if flag == NETWORK { "extRootNetNS" } else { "extRootPidNS" }
}

fn external_namespace(flag: u64, version: Version) -> Result<()> {
    if flag == NETWORK {
        at_least(version, since::NETWORK_NAMESPACE, "a network namespace that others made")
    } else {
        at_least(version, since::PID_NAMESPACE, "a pid namespace that others made")
    }
}

/// What a dump of the container is asked for.
pub(crate) fn dump(
    wanted: &CheckpointOptions<'_>,
    found: &Found,
    version: Version,
    numbers: Numbers,
) -> Result<Dump> {
    let mut opts = common(&wanted.criu, version, numbers, DUMP_LOG)?;
    opts.pid = Some(found.pid);
    opts.root = Some(found.rootfs.clone());
    opts.leave_running = Some(wanted.leave_running);
    opts.tcp_skip_in_flight = Some(wanted.tcp_skip_in_flight);
    opts.link_remap = Some(wanted.link_remap);
    opts.config_file.clone_from(&found.config_file);
    opts.status_fd = wanted.status_fd.map(|_| numbers.status);
    if let Some((freezer, unified)) = &found.freezer
        && (!unified || number(version) >= since::FREEZER_V2)
    {
        opts.freeze_cgroup = Some(freezer.clone());
    }
    if let Some((address, port)) = &wanted.page_server {
        opts.ps =
            Some(PageServerInfo { address: Some(address.clone()), port: Some(i32::from(*port)), fd: None });
    }
    // With lazy pages it hears of one by a file alone: [`with_page_socket`].
    if found.page_socket && !wanted.criu.lazy_pages {
        opts.ps = Some(PageServerInfo { fd: Some(numbers.others), ..PageServerInfo::default() });
    }
    for one in found.foreign.iter().filter(|one| one.flag & (NETWORK | PID) != 0) {
        external_namespace(one.flag, version)?;
        opts.external.push(format!("{}[{}]:{}", one.file, one.inode, key(one.flag)));
    }
    if wanted.parent.is_some() || wanted.pre_dump {
        opts.track_mem = Some(true);
        opts.parent_img = wanted.parent.as_ref().map(|parent| parent.to_string_lossy().into_owned());
    }
    let (external, submounts) = mounts::external(&found.claims, &found.mounts)?;
    if !wanted.pre_dump {
        opts.ext_mnt = external.into_iter().map(|(key, val)| ExtMountMap { key, val }).collect();
    }
    Ok(Dump { kind: if wanted.pre_dump { kind::PRE_DUMP } else { kind::DUMP }, opts, submounts })
}

/// What a restore goes by, beside its options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) rootfs: String,
    pub(crate) claims: Vec<Claim>,
    pub(crate) submounts: Submounts,
    pub(crate) foreign: Vec<Foreign>,
    /// What the three streams were.
    pub(crate) streams: Vec<String>,
    /// Controller (none: cgroup2) and path below its mount: where the processes go.
    pub(crate) cgroups: Vec<(Option<String>, String)>,
    pub(crate) config_file: Option<String>,
}

/// What a restore is asked for.
pub(crate) fn restore(
    wanted: &RestoreOptions<'_>,
    image: &Image,
    version: Version,
    numbers: Numbers,
) -> Result<Opts> {
    let mut opts = common(&wanted.criu, version, numbers, RESTORE_LOG)?;
    if wanted.lsm_profile.is_some() || wanted.lsm_mount_context.is_some() {
        at_least(version, since::LABELS, "--lsm-profile, --lsm-mount-context")?;
    }
    opts.root = Some(image.rootfs.clone());
    // A child of whoever called us, so that its end can be waited for.
    opts.rst_sibling = Some(true);
    opts.tcp_close = Some(wanted.tcp_close);
    opts.lsm_profile.clone_from(&wanted.lsm_profile);
    opts.lsm_mount_context.clone_from(&wanted.lsm_mount_context);
    opts.config_file.clone_from(&image.config_file);
    let sources = mounts::sources(&image.claims, &image.submounts);
    opts.ext_mnt = sources.into_iter().map(|(key, val)| ExtMountMap { key, val }).collect();
    opts.cg_root = image
        .cgroups
        .iter()
        .map(|(ctrl, path)| CgroupRoot { ctrl: ctrl.clone(), path: path.clone() })
        .collect();
    for (fd, was) in (0..).zip(&image.streams) {
        if was.starts_with("pipe:") || was.starts_with("socket:") {
            opts.inherit_fd.push(InheritFd { key: was.clone(), fd });
        }
    }
    for (number, one) in (numbers.others..).zip(&image.foreign) {
        match one.flag {
            NETWORK | PID => {
                external_namespace(one.flag, version)?;
                opts.inherit_fd.push(InheritFd { key: key(one.flag).to_owned(), fd: number });
            }
            CGROUP => {
                let message = format!("restore into the cgroup namespace {}: CRIU cannot", one.path);
                return Err(Error::new(Kind::Unsupported, message));
            }
            _ => opts.join_ns.push(JoinNamespace { ns: one.file.to_owned(), ns_file: one.path.clone() }),
        }
    }
    Ok(opts)
}

/// The file with CRIU's own options: what the annotation names (nothing: none at all), or the first that is there.
pub(crate) fn config_file(annotation: Option<&str>, there: impl Fn(&Path) -> bool) -> Option<String> {
    const USUAL: [&str; 2] = ["/etc/criu/riverrun.conf", "/etc/criu/runc.conf"];
    match annotation {
        Some("") => None,
        Some(path) => Some(path.to_owned()),
        None => USUAL.iter().find(|path| there(Path::new(path))).map(|path| (*path).to_owned()),
    }
}

/// The same with the directory that a restoring CRIU works in, as a path: it has a mount namespace of its own, in which
/// it could mount nothing below a directory that the host opened.
pub(crate) fn with_work_directory(own: Option<&str>, work: &str) -> Result<String> {
    if work.contains('\n') {
        let message = format!("use work path {work:?}: CRIU cannot read a name with a line break");
        return Err(Error::new(Kind::InvalidArgument, message));
    }
    let quoted = work.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("{}\nwork-dir \"{quoted}\"\n", own.unwrap_or_default()))
}

/// The same with a socket for those who ask for pages.
pub(crate) fn with_page_socket(own: Option<&str>, numbers: Numbers) -> String {
    format!("{}\nps-socket {}\n", own.unwrap_or_default(), numbers.others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::options::NetworkLock;

    const VERSION: Version = Version { major: 4, minor: 2, sublevel: Some(1) };
    const NUMBERS: Numbers = Numbers::new(8, 9, -1, 3);

    fn foreign(flag: u64, file: &'static str) -> Foreign {
        Foreign { flag, inode: 7, path: format!("/run/{file}"), file }
    }

    #[test]
    fn an_old_criu_is_refused_by_what_it_lacks() {
        let old = Version { major: 3, minor: 10, sublevel: None };
        let found = Found { foreign: vec![foreign(NETWORK, "net")], ..Found::default() };
        let error = dump(&CheckpointOptions::default(), &found, old, NUMBERS).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().ends_with("needs CRIU 3.11; the host's is 3.10"), "{error}");
        let labels = RestoreOptions { lsm_profile: Some("apparmor:x".into()), ..RestoreOptions::default() };
        assert!(restore(&labels, &Image::default(), old, NUMBERS).is_err());
        assert!(restore(&labels, &Image::default(), VERSION, NUMBERS).is_ok());
    }

    #[test]
    fn namespaces_of_others_have_runcs_names() {
        let namespaces = vec![foreign(NETWORK, "net"), foreign(PID, "pid")];
        let found = Found { foreign: namespaces.clone(), ..Found::default() };
        let opts = dump(&CheckpointOptions::default(), &found, VERSION, NUMBERS).unwrap().opts;
        assert_eq!(opts.external, ["net[7]:extRootNetNS", "pid[7]:extRootPidNS"]);
        let image = Image { foreign: namespaces, ..Image::default() };
        let opts = restore(&RestoreOptions::default(), &image, VERSION, NUMBERS).unwrap();
        let keys: Vec<_> = opts.inherit_fd.iter().map(|fd| (fd.key.as_str(), fd.fd)).collect();
        assert_eq!(keys, [("extRootNetNS", 4), ("extRootPidNS", 5)]);
    }

    #[test]
    fn only_streams_that_lead_outside_are_given_anew() {
        let streams = ["/dev/null", "pipe:[9]", "socket:[8]"].map(str::to_owned).to_vec();
        let image = Image { streams, ..Image::default() };
        let opts = restore(&RestoreOptions::default(), &image, VERSION, NUMBERS).unwrap();
        let keys: Vec<_> = opts.inherit_fd.iter().map(|fd| (fd.key.as_str(), fd.fd)).collect();
        assert_eq!(keys, [("pipe:[9]", 1), ("socket:[8]", 2)]);
    }

    #[test]
    fn a_pre_dump_tracks_memory_and_tells_no_mounts() {
        let wanted =
            CheckpointOptions { pre_dump: true, parent: Some("../1".into()), ..CheckpointOptions::default() };
        let dump = dump(&wanted, &Found::default(), VERSION, NUMBERS).unwrap();
        assert_eq!((dump.kind, dump.opts.track_mem), (kind::PRE_DUMP, Some(true)));
        assert_eq!(dump.opts.parent_img.as_deref(), Some("../1"));
        let absolute = CheckpointOptions { parent: Some("/1".into()), ..CheckpointOptions::default() };
        assert_eq!(check(&absolute).unwrap_err().to_string(), "--parent-path must be relative");
    }

    #[test]
    fn memory_through_a_socket_has_its_number() {
        let found = Found { page_socket: true, ..Found::default() };
        let opts = dump(&CheckpointOptions::default(), &found, VERSION, NUMBERS).unwrap().opts;
        assert_eq!(opts.ps.and_then(|ps| ps.fd), Some(4));
        let criu = CriuOptions { lazy_pages: true, ..CriuOptions::default() };
        let lazy = CheckpointOptions { criu, ..CheckpointOptions::default() };
        assert_eq!(dump(&lazy, &found, VERSION, NUMBERS).unwrap().opts.ps, None);
        assert_eq!(with_page_socket(Some("tcp-close"), NUMBERS), "tcp-close\nps-socket 4\n");
    }

    #[test]
    fn what_is_wished_is_asked_for() {
        let criu = CriuOptions {
            shell_job: true,
            file_locks: true,
            auto_dedup: true,
            manage_cgroups: Some(ManageCgroups::Strict),
            network_lock: Some(NetworkLock::Nftables),
            ..CriuOptions::default()
        };
        let wanted = CheckpointOptions {
            tcp_skip_in_flight: true,
            link_remap: true,
            criu: criu.clone(),
            ..CheckpointOptions::default()
        };
        let asked = |opts: &Opts| {
            let (cgroups, mode) = (opts.manage_cgroups, opts.manage_cgroups_mode);
            [opts.shell_job, opts.file_locks, opts.auto_dedup, cgroups].iter().all(|it| *it == Some(true))
                && (mode, opts.network_lock) == (Some(5), Some(2))
        };
        let opts = dump(&wanted, &Found::default(), VERSION, NUMBERS).unwrap().opts;
        assert!(asked(&opts), "{opts:?}");
        assert_eq!((opts.tcp_skip_in_flight, opts.link_remap), (Some(true), Some(true)));
        let wanted = RestoreOptions {
            lsm_profile: Some("apparmor:x".into()),
            lsm_mount_context: Some("u:object_r:t:s0".into()),
            criu,
            ..RestoreOptions::default()
        };
        let opts = restore(&wanted, &Image::default(), VERSION, NUMBERS).unwrap();
        assert!(asked(&opts), "{opts:?}");
        assert_eq!(opts.lsm_profile.as_deref(), Some("apparmor:x"));
        assert_eq!(opts.lsm_mount_context.as_deref(), Some("u:object_r:t:s0"));
    }

    #[test]
    fn a_work_path_is_quoted() {
        let text = with_work_directory(Some("tcp-close"), "/a \"b").unwrap();
        assert_eq!(text, "tcp-close\nwork-dir \"/a \\\"b\"\n");
        assert!(with_work_directory(None, "/a\nb").is_err());
    }

    #[test]
    fn the_annotation_names_the_file_or_none() {
        let runc = |path: &Path| path == Path::new("/etc/criu/runc.conf");
        assert_eq!(config_file(None, runc).as_deref(), Some("/etc/criu/runc.conf"));
        assert_eq!(config_file(Some(""), runc), None);
        assert_eq!(config_file(Some("/x"), |_| false).as_deref(), Some("/x"));
    }
}
