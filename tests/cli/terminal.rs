//! `run` and `exec` with a terminal in the foreground, driven through a pty: what is typed arrives, nothing printed is
//! lost, the size follows, and the caller's terminal is as it was in the end.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use serde_json::json;

use super::sandbox::{LIMIT, Sandbox, Watched, until};

/// The program on a terminal of its own, with somebody who types and reads.
struct Session {
    child: Watched,
    master: fs::File,
    slave: OwnedFd,
    before: Termios,
    chunks: Receiver<Vec<u8>>,
    seen: String,
}

impl Session {
    fn begin(mut command: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave)).process_group(0);
        let before = tcgetattr(&pty.slave).unwrap();
        let child = Watched::spawn(&mut command);
        drop(command);
        let master = fs::File::from(pty.master);
        let mut reader = master.try_clone().unwrap();
        let (sender, chunks) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, master, slave: pty.slave, before, chunks, seen: String::new() }
    }

    fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until `text` has been printed; what came before it is forgotten.
    fn reads(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            match self.chunks.recv_timeout(Duration::from_millis(100)) {
                Ok(chunk) => self.seen += &String::from_utf8_lossy(&chunk),
                Err(RecvTimeoutError::Timeout) if start.elapsed() < LIMIT => {}
                Err(_) => panic!("{text:?} was not printed: {:?}", self.seen),
            }
        }
    }

    fn resizes(&self, ws_row: u16, ws_col: u16) {
        let size = rustix::termios::Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).unwrap();
        self.signals(Signal::SIGWINCH);
    }

    fn signals(&self, signal: Signal) {
        self.child.signal(signal);
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(self.slave.as_fd()).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    /// Waits for the end; the terminal must be as it was. Returns the status and what was printed last.
    fn ends(mut self) -> (i32, String) {
        let status = self.child.wait();
        let after = tcgetattr(&self.slave).unwrap();
        assert!(after == self.before, "the terminal is not as it was: {after:?}");
        // With the last of the terminal's other side its reader ends.
        drop(self.slave);
        while let Ok(chunk) = self.chunks.recv_timeout(LIMIT) {
            self.seen += &String::from_utf8_lossy(&chunk);
        }
        (status, self.seen)
    }
}

fn with_terminal(script: &str) -> Option<Sandbox> {
    Some(Sandbox::with_bundle(script)?.process("terminal", json!(true)))
}

fn begin(sandbox: &Sandbox, line: &str) -> Session {
    Session::begin(sandbox.command(line))
}

/// Keeps for cli: terminal_has_its_size.
#[test]
fn window_of_the_caller_is_the_size_whatever_the_configuration_names() {
    let Some(sandbox) = with_terminal("stty size; while :; do sleep 0.1; done") else { return };
    let sandbox = sandbox.process("consoleSize", json!({"height": 33, "width": 111}));
    let mut session = begin(&sandbox, "run -b bundle box");
    session.reads("24 80\r\n");
    let mut second = begin(&sandbox, "exec -t box stty size");
    second.reads("24 80\r\n");
    assert_eq!(second.ends().0, 0);
    let document = json!({"terminal": true, "cwd": "/", "args": ["stty", "size"], "env": ["PATH=/bin"],
        "consoleSize": {"height": 33, "width": 111}});
    fs::write(sandbox.path("process"), document.to_string()).unwrap();
    let mut third = begin(&sandbox, "exec -p process box");
    third.reads("24 80\r\n");
    assert_eq!(third.ends().0, 0);
    sandbox.run("delete -f box").ok();
    assert_eq!(session.ends().0, 137);
}

#[test]
fn shell_on_a_terminal_is_typed_at_resized_and_left() {
    let Some(sandbox) = with_terminal("exec sh") else { return };
    let mut session = begin(&sandbox, "run -b bundle web");
    session.types("stty size; tty\n");
    session.reads("\n24 80\r\n");
    session.reads("/dev/pts/0\r\n");
    assert!(session.is_raw());
    session.resizes(40, 120);
    session.types("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.05; done; echo resi''zed\n");
    session.reads("resized\r\n");
    session.types("exit 5\n");
    assert_eq!(session.ends().0, 5);
    assert_eq!(sandbox.ids(), [""; 0]);
}

#[test]
fn exec_on_a_terminal_is_the_same() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    sandbox.run("run -d -b bundle web").ok();
    let mut session = begin(&sandbox, "exec -t web sh");
    session.types("stty size; test -t 0 && test -t 1 && test -t 2 && echo three terminals\n");
    session.reads("\n24 80\r\n");
    session.reads("three terminals\r\n");
    session.resizes(50, 132);
    session.types("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.05; done; echo resi''zed\n");
    session.reads("resized\r\n");
    session.types("exit 6\n");
    assert_eq!(session.ends().0, 6);
}

#[test]
fn interrupt_key_goes_to_the_container() {
    let script = "trap 'echo interrupted; exit 8' INT; echo ready; while :; do sleep 0.05; done";
    let Some(sandbox) = with_terminal(script) else { return };
    let mut session = begin(&sandbox, "run -b bundle web");
    session.reads("ready\r\n");
    session.types("\x03");
    session.reads("interrupted\r\n");
    assert_eq!(session.ends().0, 8);
}

#[test]
fn terminal_is_restored_when_the_program_is_told_to_end() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let script = "trap 'exit 7' TERM INT HUP; echo ready; while :; do sleep 0.05; done";
        let Some(sandbox) = with_terminal(script) else { return };
        let mut session = begin(&sandbox, "run -b bundle web");
        session.reads("ready\r\n");
        assert!(session.is_raw());
        session.signals(signal);
        assert_eq!(session.ends().0, 7, "{signal}");
    }
}

#[test]
fn terminal_is_restored_when_another_ends_the_container() {
    let Some(sandbox) = with_terminal("echo ready; while :; do sleep 0.05; done") else { return };
    for line in ["kill web KILL", "delete -f web"] {
        let mut session = begin(&sandbox, "run -b bundle web");
        session.reads("ready\r\n");
        let mut exec = begin(&sandbox, "exec -t web sh");
        exec.types("echo in''side\n");
        exec.reads("inside\r\n");
        assert!(session.is_raw() && exec.is_raw());
        sandbox.run(line).ok();
        assert_eq!((session.ends().0, exec.ends().0), (137, 137), "{line}");
        assert_eq!(sandbox.ids(), [""; 0]);
    }
}

#[test]
fn terminal_is_restored_when_the_container_cannot_be_made() {
    let Some(sandbox) = with_terminal("") else { return };
    let sandbox = sandbox.process("args", json!(["no-such-program"]));
    let mut session = begin(&sandbox, "run -b bundle web");
    session.reads("executable file not found in $PATH");
    assert_eq!(session.ends().0, 1);
    assert_eq!(sandbox.ids(), [""; 0]);
}

#[test]
fn nothing_of_a_long_output_is_lost() {
    const SIZE: usize = 4_000_000;
    let script = format!("head -c {SIZE} /dev/zero | tr '\\0' x; exit 3");
    let Some(sandbox) = with_terminal(&script) else { return };
    let (status, printed) = begin(&sandbox, "run -b bundle web").ends_after_reading();
    assert_eq!((status, printed.bytes().filter(|byte| *byte == b'x').count()), (3, SIZE));
}

impl Session {
    /// Like [`Self::ends`], reading all the while.
    fn ends_after_reading(mut self) -> (i32, String) {
        let start = Instant::now();
        while !self.child.has_ended() {
            assert!(start.elapsed() < LIMIT, "the program did not end; {} bytes so far", self.seen.len());
            if let Ok(chunk) = self.chunks.recv_timeout(Duration::from_millis(20)) {
                self.seen += &String::from_utf8_lossy(&chunk);
            }
        }
        self.ends()
    }
}

#[test]
fn nothing_of_a_long_input_is_lost() {
    const SIZE: usize = 300_000;
    // The reader begins late: until then every buffer on the way fills up.
    let script = format!("stty raw -echo; echo go; sleep 0.5; head -c {SIZE} | tr -d y | wc -c");
    let Some(sandbox) = with_terminal(&script) else { return };
    let mut session = begin(&sandbox, "run -b bundle web");
    session.reads("go");
    session.types(&"xy".repeat(SIZE / 2));
    session.reads(&(SIZE / 2).to_string());
    assert_eq!(session.ends().0, 0);
}

#[test]
fn last_words_are_printed_every_time() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    sandbox.run("run -d -b bundle web").ok();
    for round in 0..20 {
        let (status, printed) = begin(&sandbox, "exec -t web echo last words").ends();
        assert_eq!((status, printed.as_str()), (0, "last words\r\n"), "round {round}");
    }
}

#[test]
fn grandchild_that_keeps_the_terminal_does_not_hold_up_the_end() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    sandbox.run("run -d -b bundle web").ok();
    // The kernel hangs the terminal up when its session ends, but it can be opened anew.
    for grandchild in ["sleep 600", "while :; do echo noise >$tty; done"] {
        let mut command = sandbox.command("exec -t web sh -c");
        command.arg(format!("tty=$(tty); trap '' HUP; ({grandchild}) & echo done; sleep 0.2"));
        let (status, printed) = Session::begin(command).ends_after_reading();
        assert_eq!(status, 0);
        assert!(printed.contains("done\r\n"), "{printed}");
    }
}

#[test]
fn output_that_nobody_reads_costs_no_time_and_the_end_still_comes() {
    let script = "trap 'exit 9' TERM; : >/tmp/ready; while :; do echo noise; done";
    let Some(sandbox) = with_terminal(script) else { return };
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let mut command = sandbox.command("run -b bundle web");
    command
        .stderr(pty.slave.try_clone().unwrap())
        .stdin(pty.slave.try_clone().unwrap())
        .stdout(Stdio::piped());
    let mut child = Watched::spawn(&mut command);
    let ready = sandbox.path("bundle/rootfs/tmp/ready");
    assert!(until(LIMIT, || ready.exists()));
    thread::sleep(Duration::from_millis(500));
    let idles = |child: &Watched| {
        let before = ticks(child.0.id());
        thread::sleep(Duration::from_secs(1));
        let spent = ticks(child.0.id()) - before;
        assert!(spent <= 10, "{spent} of 100 ticks were spent waiting");
    };
    idles(&child);
    // The container is stuck in a write to its terminal; KILL ends that, and the output stays unread.
    sandbox.run("kill web KILL").ok();
    idles(&child);
    child.signal(Signal::SIGTERM);
    assert_eq!(child.wait(), 137);
}

/// The processor time of a process, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn terminal_that_all_have_closed_can_be_opened_anew() {
    let script = "echo once; exec <&- >&- 2>&-; sleep 0.5; echo again >/dev/console; exit 2";
    let Some(sandbox) = with_terminal(script) else { return };
    let (status, printed) = begin(&sandbox, "run -b bundle web").ends();
    assert_eq!((status, printed.as_str()), (2, "once\r\nagain\r\n"));
}

#[test]
fn output_into_a_pipe_has_plain_line_ends() {
    let Some(sandbox) = with_terminal("echo one; echo two") else { return };
    let pty = openpty(None, None).unwrap();
    let mut command = sandbox.command("run -b bundle web");
    command.stderr(pty.slave.try_clone().unwrap()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Watched::spawn(&mut command);
    let mut printed = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!((child.wait(), printed.as_str()), (0, "one\ntwo\n"));
}

#[test]
fn raw_programs_keep_their_own_line_ends() {
    let Some(sandbox) = with_terminal("stty -a 2>/dev/null | grep -o '.onlcr'; stty -opost; printf 'a\\nb'")
    else {
        return;
    };
    let pty = openpty(None, None).unwrap();
    let mut command = sandbox.command("run -b bundle web");
    command.stderr(pty.slave.try_clone().unwrap()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Watched::spawn(&mut command);
    let mut printed = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!((child.wait(), printed.as_str()), (0, "-onlcr\na\nb"));
}

#[test]
fn reader_that_goes_away_does_not_hold_up_the_container() {
    let script = "trap 'exit 5' PIPE; i=0; while [ $i -lt 20000 ]; do echo noise; i=$((i+1)); done; exit 4";
    let Some(sandbox) = with_terminal(script) else { return };
    let pty = openpty(None, None).unwrap();
    let mut command = sandbox.command("run -b bundle web");
    command.stderr(pty.slave.try_clone().unwrap()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Watched::spawn(&mut command);
    drop(child.0.stdout.take());
    assert_eq!(child.wait(), 4);
}

#[test]
fn terminal_without_a_terminal_is_an_error() {
    let Some(sandbox) = with_terminal("exit 0") else { return };
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(super::sandbox::RIVERRUN).args([
        "--root",
        &sandbox.root(),
        "run",
        "-b",
        "bundle",
        "web",
    ]);
    command.current_dir(&sandbox.directory).stdin(Stdio::null());
    let outcome = sandbox.outcome(command);
    let message = "runc run failed: open /dev/tty: no such device or address";
    assert_eq!((outcome.status, outcome.message().as_str()), (1, message));
    assert_eq!(sandbox.ids(), [""; 0]);
}
