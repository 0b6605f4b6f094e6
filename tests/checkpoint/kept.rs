//! What the processes had open is as it was: an offset, locks, sockets, a terminal.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use riverrun::{Call, CheckpointOptions, CriuOptions, ImageDirectory, RestoreOptions};
use serde_json::json;

use crate::scene::{COUNT, LIMIT, Scene, compile, until};
use crate::terminal::{nonblocking, read_until, received};

#[test]
fn an_open_file_goes_on_at_its_offset() {
    let script = "exec 3>/lines; i=0; while :; do i=$((i+1)); echo $i >&3; echo $i >/count.new; \
                  mv /count.new /count; sleep 0.02; done";
    let Some(scene) = Scene::doing("offset", script, |_| ()) else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    scene.restore(&after, &[]);
    scene.counts();
    scene.delete(&after);
    let text = fs::read_to_string(scene.world.bundle.join("rootfs/lines")).unwrap();
    let lines: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines, (1..=lines.len() as u64).collect::<Vec<_>>(), "nothing twice, nothing lost");
    scene.world.assert_nothing_left();
}

#[test]
fn a_file_whose_name_is_gone_is_kept_by_another() {
    let script = format!(
        "exec 3>/gone; /bin/busybox ln /gone /other; /bin/busybox rm /gone; echo one >&3; ({COUNT}) & \
                          while [ ! -e /go ]; do sleep 0.05; done; echo two >&3; wait"
    );
    let Some(scene) = Scene::doing("remap", &script, |_| ()) else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    let rootfs = scene.world.bundle.join("rootfs");
    let text = scene.fails(&scene.with_images("checkpoint", &before, &[]));
    assert!(text.contains("link-remap"), "{text}");
    scene.counts();
    scene.checkpoint(&before, &["--link-remap"]);
    scene.restore(&after, &[]);
    scene.counts();
    fs::write(rootfs.join("go"), "").unwrap();
    until("it writes on", || fs::read_to_string(rootfs.join("other")).is_ok_and(|text| text == "one\ntwo\n"));
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn cgroups_are_treated_as_each_mode_says() {
    let Some(scene) = Scene::new("modes") else { return };
    let mut id = scene.world.id("0");
    scene.start(&id);
    for (number, mode) in ["soft", "full", "ignore"].into_iter().enumerate() {
        let next = scene.world.id(&format!("{}", number + 1));
        let _ = fs::remove_dir_all(&scene.images);
        scene.checkpoint(&id, &["--manage-cgroups-mode", mode]);
        scene.restore(&next, &["--manage-cgroups-mode", mode]);
        scene.counts();
        let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", scene.pid(&next))).unwrap();
        assert!(cgroups.lines().all(|line| line.ends_with(&next)), "{mode}: {cgroups}");
        id = next;
    }
    // Ours are there before CRIU is, as runc's are.
    let next = scene.world.id("strict");
    let _ = fs::remove_dir_all(&scene.images);
    scene.checkpoint(&id, &["--manage-cgroups-mode", "strict"]);
    let restore = ["--detach", "--manage-cgroups-mode", "strict"];
    let text = scene.fails(&scene.with_images("restore", &next, &restore));
    assert!(text.contains("Abort restore of existing cgroups"), "{text}");
    scene.world.assert_nothing_left();
    scene.restore(&id, &[]);
    scene.counts();
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

/// Holds a lock of flock(2) on one file and one of fcntl(2) on another.
const HOLDER: &str = r#"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
int main(void) {
  struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int whole = open("/flock", O_RDWR | O_CREAT, 0644), posix = open("/posix", O_RDWR | O_CREAT, 0644);
  if (flock(whole, LOCK_EX) || fcntl(posix, F_SETLK, &all)) return 1;
  close(open("/held", O_RDWR | O_CREAT, 0644));
  for (;;) pause();
}
"#;

#[test]
fn file_locks_are_held_again() {
    let Some(scene) = Scene::doing("locks", &format!("/bin/holder & {COUNT}"), |_| ()) else { return };
    let rootfs = scene.world.bundle.join("rootfs");
    if !compile("locks", HOLDER, &rootfs.join("bin/holder")) {
        return;
    }
    let held = || {
        let (whole, posix) =
            (File::options().write(true).open(rootfs.join("flock")).unwrap(), rootfs.join("posix"));
        let whole = matches!(whole.try_lock(), Err(fs::TryLockError::WouldBlock));
        let posix = File::options().write(true).open(posix).unwrap();
        let mut all = libc::flock {
            l_type: libc::F_WRLCK as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        // SAFETY: F_GETLK fills the struct that it is given.
        assert_eq!(unsafe { libc::fcntl(posix.as_raw_fd(), libc::F_GETLK, &raw mut all) }, 0);
        (whole, i32::from(all.l_type) == libc::F_WRLCK)
    };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    until("the locks are held", || rootfs.join("held").exists());
    assert_eq!(held(), (true, true));
    // Without the option CRIU says so, and all is as before.
    let text = scene.fails(&scene.with_images("checkpoint", &before, &[]));
    assert!(text.contains("Some file locks are hold by dumping tasks"), "{text}");
    scene.counts();
    assert_eq!(held(), (true, true));
    scene.checkpoint(&before, &["--file-locks"]);
    assert_eq!(held(), (false, false));
    scene.restore(&after, &["--file-locks"]);
    scene.counts();
    assert_eq!(held(), (true, true));
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn a_datagram_socket_of_the_host_is_connected_again() {
    // What a program does that logs: it has one socket that leads to the host's. CRIU connects it by the name that the host
    // gave, so the container must see it under that.
    let socket = std::env::temp_dir().join(format!("rrt-log-{}", std::process::id()));
    let script = format!(
        "/bin/busybox ln -s {} /dev/log; ({COUNT}) & i=0; \
         while :; do i=$((i+1)); echo $i; sleep 0.05; done | /bin/busybox logger",
        socket.display()
    );
    let _ = fs::remove_file(&socket);
    let log = UnixDatagram::bind(&socket).unwrap();
    log.set_read_timeout(Some(LIMIT)).unwrap();
    let scene = Scene::doing("unix", &script, |config| {
        let mount = json!({"destination": socket, "type": "bind", "source": socket, "options": ["bind"]});
        config["mounts"].as_array_mut().unwrap().push(mount);
        // CRIU looks for the other end in the container's network namespace.
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "network");
    });
    let Some(scene) = scene else { return };
    let arrives = || {
        // What is in the queue from before does not count.
        log.set_nonblocking(true).unwrap();
        let mut packet = [0; 512];
        while log.recv(&mut packet).is_ok() {}
        log.set_nonblocking(false).unwrap();
        let length = log.recv(&mut packet).unwrap();
        String::from_utf8_lossy(&packet[..length])
            .trim_end_matches('\0')
            .rsplit(' ')
            .next()
            .unwrap()
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    let count = arrives();
    let text = scene.fails(&scene.with_images("checkpoint", &before, &[]));
    assert!(text.contains("--ext-unix-sk"), "{text}");
    assert!(arrives() > count);
    scene.checkpoint(&before, &["--ext-unix-sk"]);
    scene.restore(&after, &["--ext-unix-sk"]);
    scene.counts();
    assert!(arrives() > count);
    scene.delete(&after);
    scene.world.assert_nothing_left();
    fs::remove_file(&socket).unwrap();
}

/// Keeps for rust: checkpointed_container_goes_on.
#[test]
fn a_session_on_a_terminal_goes_on() {
    let scene = Scene::doing("terminal", "", |config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["args"] = json!(["sh"]);
        config["process"]["env"] = json!(["PATH=/bin", "PS1=> "]);
    });
    let Some(scene) = scene else { return };
    let context = scene.world.context();
    let container = context.run(&scene.world.id("a"), scene.world.options()).unwrap();
    let process = container.init_process().unwrap();
    let mut master = nonblocking(process.console().unwrap());
    master.write_all(b"word=kept; echo so $((40+2))\n").unwrap();
    read_until(&mut master, "so 42");
    let criu = || CriuOptions { criu: Some(scene.criu()), ..CriuOptions::default() };
    let images = || ImageDirectory::Path(scene.images.clone());
    let call = || Call { timeout: Some(Duration::from_secs(60)), cancel: None };
    let options = CheckpointOptions { images: images(), criu: criu(), ..CheckpointOptions::default() };
    container.checkpoint(&options, call()).unwrap_or_else(|error| panic!("{error}{}", scene.logs()));
    drop((master, process));
    container.delete(true, call()).unwrap();
    // The terminal to a socket, as engines have it.
    let socket = scene.world.directory.join("console");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut create = scene.world.options();
    create.io.console_socket = Some(socket);
    create.call = call();
    let restore = RestoreOptions { images: images(), criu: criu(), ..RestoreOptions::default() };
    let container = context
        .restore(&scene.world.id("b"), create, &restore)
        .unwrap_or_else(|error| panic!("{error}{}", scene.logs()));
    let (peer, _) = listener.accept().unwrap();
    let master = received(&peer);
    let mut master = nonblocking(std::os::fd::AsFd::as_fd(&master));
    master.write_all(b"echo it was $word\n").unwrap();
    read_until(&mut master, "it was kept");
    master.write_all(b"exit 7\n").unwrap();
    let exit = container.init_process().unwrap().wait(call()).unwrap();
    assert_eq!(exit.shell_status(), 7);
    container.delete(false, call()).unwrap();
    scene.world.assert_nothing_left();
}
