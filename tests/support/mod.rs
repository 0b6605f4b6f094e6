//! What root tests share: a bundle with a busybox, a state root of their own, the proof that nothing is left.
//! Not a framework: each test calls the library or the command line itself.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]
#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// The applets that tests use in the container.
const APPLETS: [&str; 14] = [
    "sh", "true", "false", "cat", "echo", "sleep", "id", "env", "ls", "mount", "pwd", "kill", "test",
    "hostname",
];

/// Says why a test does nothing, and whether it does.
pub(crate) fn skipped(name: &str) -> bool {
    let reason = if !nix::unistd::geteuid().is_root() {
        "needs root"
    } else if !Path::new("/bin/busybox").exists() {
        "needs /bin/busybox (Debian: busybox-static)"
    } else {
        return false;
    };
    eprintln!("skipped {name}: {reason}");
    true
}

/// The same for a test that runs on every layout of cgroups.
pub(crate) fn skipped_anywhere(name: &str) -> bool {
    let reason = if !nix::unistd::geteuid().is_root() {
        "needs root"
    } else if !Path::new("/bin/busybox").exists() {
        "needs /bin/busybox (Debian: busybox-static)"
    } else {
        return false;
    };
    eprintln!("skipped {name}: {reason}");
    true
}

/// The cgroup directory of a process that has a v1 controller, or the cgroup2's.
pub(crate) fn cgroup_of(pid: i32, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let below = |mark: &str| text.lines().find_map(|line| line.split_once(mark)).map(|(_, path)| path);
    match below(&format!(":{controller}:/")) {
        Some(path) => Path::new("/sys/fs/cgroup").join(controller).join(path),
        None => Path::new("/sys/fs/cgroup").join(below("0::/").unwrap()),
    }
}

/// Sets a limit of the cgroup of a process as root would by hand, on either layout: controller, v1 file, v2 file.
pub(crate) fn limit(pid: i32, (controller, v1, v2): (&str, &str, &str), value: u64) {
    let directory = cgroup_of(pid, controller);
    let file = if directory.join(v1).exists() { v1 } else { v2 };
    fs::write(directory.join(file), value.to_string())
        .unwrap_or_else(|error| panic!("write {file}: {error}"));
}

/// Little memory and no swap.
pub(crate) fn limit_memory(pid: i32, bytes: u64) {
    limit(pid, ("memory", "memory.limit_in_bytes", "memory.max"), bytes);
    let directory = cgroup_of(pid, "memory");
    // Where swap is not counted there is no file.
    let _ = fs::write(directory.join("memory.memsw.limit_in_bytes"), bytes.to_string());
    let _ = fs::write(directory.join("memory.swap.max"), "0");
}

/// A directory with a bundle and a state root; removed in the end, with the containers that a failed test left.
pub(crate) struct World {
    pub(crate) directory: PathBuf,
    pub(crate) bundle: PathBuf,
    pub(crate) root: PathBuf,
    prefix: String,
}

impl World {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("rrt-{name}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(&prefix);
        let (bundle, root) = (directory.join("bundle"), directory.join("state"));
        fs::create_dir_all(bundle.join("rootfs/bin")).unwrap();
        fs::copy("/bin/busybox", bundle.join("rootfs/bin/busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", bundle.join("rootfs/bin").join(applet)).unwrap();
        }
        Self { directory, bundle, root, prefix }
    }

    /// A container id that is this world's.
    pub(crate) fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Writes the default configuration, without a terminal, with these arguments and a change.
    pub(crate) fn config(&self, args: &[&str], change: impl FnOnce(&mut Value)) {
        let mut config: Value = serde_json::from_str(&riverrun::default_config(None)).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(args);
        change(&mut config);
        fs::write(self.bundle.join("config.json"), config.to_string()).unwrap();
    }

    pub(crate) fn context(&self) -> riverrun::Context {
        let root = Some(self.root.clone());
        riverrun::Context::new(riverrun::ContextOptions { root, ..Default::default() }).unwrap()
    }

    pub(crate) fn options(&self) -> riverrun::CreateOptions<'static> {
        let io = riverrun::Io { stdin: riverrun::Stdio::Null, ..Default::default() };
        riverrun::CreateOptions { bundle: Some(self.bundle.clone()), io, ..Default::default() }
    }

    /// The command line with this state root.
    pub(crate) fn riverrun(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riverrun"));
        command.arg("--root").arg(&self.root).args(arguments).current_dir(&self.bundle).stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.riverrun(arguments).output().unwrap()
    }

    /// Nothing of this world's containers is there any more: no state, cgroup, mount or process.
    pub(crate) fn assert_nothing_left(&self) {
        let states =
            fs::read_dir(&self.root).map(|entries| entries.flatten().map(|e| e.file_name()).collect());
        assert_eq!(
            states.unwrap_or_else(|_| Vec::new()),
            Vec::<std::ffi::OsString>::new(),
            "state directories"
        );
        assert_eq!(cgroups(&self.prefix), Vec::<PathBuf>::new(), "cgroups");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&self.prefix), "mounts: {mounts}");
        assert_eq!(processes(&self.bundle), Vec::<i32>::new(), "processes with their root in the bundle");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let _ = self.output(&["delete", "--force", &entry.file_name().to_string_lossy()]);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Cgroup directories whose name begins so, anywhere two levels down.
fn cgroups(prefix: &str) -> Vec<PathBuf> {
    fn below(path: &Path, depth: u32, prefix: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(prefix) {
                    found.push(entry.path());
                } else if depth > 0 {
                    below(&entry.path(), depth - 1, prefix, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    below(Path::new("/sys/fs/cgroup"), 4, prefix, &mut found);
    found
}

/// Processes whose root or executable is below `bundle`, zombies apart; and init programs that wait for nobody.
fn processes(bundle: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let links =
            ["root", "exe", "cwd"].map(|name| fs::read_link(entry.path().join(name)).unwrap_or_default());
        if links.iter().any(|link| link.starts_with(bundle)) {
            found.push(pid);
        }
    }
    found
}

/// A seccomp filter in a command: these system calls answer ENOSYS, in it and in all that it starts.
pub(crate) fn without_syscalls(command: &mut Command, syscalls: &[libc::c_long]) {
    refusing_syscalls(command, syscalls, libc::ENOSYS);
}

/// The same with another answer.
pub(crate) fn refusing_syscalls(command: &mut Command, syscalls: &[libc::c_long], errno: i32) {
    use std::os::unix::process::CommandExt;
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, offset 0: seccomp_data.nr
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ERRNO: u32 = 0x0005_0000;
    const ALLOW: u32 = 0x7fff_0000;
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = vec![instruction(LOAD_NUMBER, 0, 0, 0)];
    for number in syscalls {
        filter.push(instruction(JUMP_IF_EQUAL, 0, 1, u32::try_from(*number).unwrap()));
        filter.push(instruction(RETURN, 0, 0, ERRNO | u32::try_from(errno).unwrap()));
    }
    filter.push(instruction(RETURN, 0, 0, ALLOW));
    // SAFETY: prctl(2) only, on memory that the closure owns.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
            // no_new_privs lets an ordinary user load a filter, and costs root's containers nothing.
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// How often a test does what it does often: `RIVERRUN_CYCLES`, or 100.
pub(crate) fn cycles() -> usize {
    std::env::var("RIVERRUN_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// How many device programs the kernel has, of whatever cgroup.
pub(crate) fn device_programs() -> usize {
    const NEXT_ID: libc::c_long = 11; // BPF_PROG_GET_NEXT_ID
    const BY_ID: libc::c_long = 13; // BPF_PROG_GET_FD_BY_ID
    let mut count = 0;
    // start_id or prog_id, next_id, open_flags
    let mut attributes = [0_u32; 3];
    // SAFETY: bpf(2) reads and writes twelve bytes of an array of twelve.
    let bpf = |command: libc::c_long, attributes: &mut [u32; 3]| unsafe {
        libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), 12)
    };
    while bpf(NEXT_ID, &mut attributes) == 0 {
        let id = attributes[1];
        let program = bpf(BY_ID, &mut [id, 0, 0]);
        if program >= 0 {
            let text = fs::read_to_string(format!("/proc/self/fdinfo/{program}")).unwrap_or_default();
            // BPF_PROG_TYPE_CGROUP_DEVICE
            count += usize::from(text.lines().any(|line| line == "prog_type:\t15"));
            // SAFETY: the kernel gave it to us, and nobody else has it.
            unsafe { libc::close(program as i32) };
        }
        attributes = [id, 0, 0];
    }
    count
}
