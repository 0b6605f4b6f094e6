//! Checkpoint and restore against runc, with the same CRIU: time of either command and size of the images, interleaved in
//! one run, as ratios. What is run and how is told in `docs/checkpoint.md`; nothing here is a test.
//!
//! `cargo bench --bench checkpoint -- [--rounds N | --quick]`. As root, on a machine where CRIU starts.
//! `RIVERRUN_BIN` names another riverrun than the one just built.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Rounds that are run and not counted.
const WARM_UP: usize = 1;

/// Touches so many MiB of memory, none of whose pages is like another, says so, and waits.
const HOLDER: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
  size_t length = (size_t)atol(argv[argc - 1]) << 20;
  unsigned long *memory = malloc(length), word = 88172645463325252UL;
  for (size_t i = 0; i < length / sizeof word; i++) {
    word ^= word << 13, word ^= word >> 7, word ^= word << 17;
    memory[i] = word;
  }
  close(open("/tmp/ready", O_CREAT | O_WRONLY, 0644));
  for (;;) pause();
}
"#;

/// What is checkpointed.
const LOADS: [(&str, &str); 2] = [("1 process, 1 MiB", "1"), ("1 process, 128 MiB", "128")];

fn main() -> ExitCode {
    match rounds(env::args().skip(1)).and_then(compare) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("checkpoint: {message}");
            ExitCode::FAILURE
        }
    }
}

fn rounds(mut args: impl Iterator<Item = String>) -> Result<usize, String> {
    let mut rounds = 15;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--quick" => rounds = 3,
            "--rounds" => {
                let count = args.next().and_then(|text| text.parse().ok()).filter(|count| *count > 0);
                rounds = count.ok_or("--rounds needs a number")?;
            }
            _ => return Err(format!("unknown argument {arg}: usage: [--rounds N | --quick]")),
        }
    }
    Ok(rounds)
}

/// A program, and what was measured of it: (load, what) to values.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    measured: BTreeMap<(usize, &'static str), Vec<f64>>,
}

fn compare(rounds: usize) -> Result<(), String> {
    // Restored processes become this process's children, and are reaped here.
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| format!("become subreaper: {errno}"))?;
    let criu = peer("criu")?;
    let stage = Stage::set_up(&criu)?;
    let own = env::var_os("RIVERRUN_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_riverrun")), PathBuf::from);
    let contestant = |name, program| Contestant { name, program, measured: BTreeMap::new() };
    let mut contestants = [contestant("riverrun", own), contestant("runc", peer("runc")?)];
    for round in 0..WARM_UP + rounds {
        for (load, (_, mib)) in LOADS.iter().enumerate() {
            for turn in 0..contestants.len() {
                let one = &mut contestants[(round + turn) % 2];
                let life = stage.life(&one.program, mib, &format!("bench-{}-{round}", std::process::id()));
                let life = life.map_err(|error| format!("{}: {error}", one.name))?;
                for (what, value) in life.into_iter().filter(|_| round >= WARM_UP) {
                    one.measured.entry((load, what)).or_default().push(value);
                }
            }
        }
    }
    print(&contestants, rounds, &[version(&contestants[1].program), version(&criu)]);
    Ok(())
}

fn print(contestants: &[Contestant; 2], rounds: usize, versions: &[String; 2]) {
    println!("# {rounds} rounds, {WARM_UP} more dropped; {}; {}; medians\n", versions[0], versions[1]);
    println!("| | riverrun | runc | ratio |\n|---|---|---|---|");
    for (key, ours) in &contestants[0].measured {
        let (ours, theirs) =
            (median(ours), contestants[1].measured.get(key).map_or(f64::NAN, |all| median(all)));
        let (load, what) = (LOADS[key.0].0, key.1);
        println!("| {what}, {load} | {ours:.2} | {theirs:.2} | {:.2} |", ours / theirs);
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn peer(name: &str) -> Result<PathBuf, String> {
    let get_peer = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/get-peer");
    let output = Command::new(get_peer).arg(name).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("run get-peer: {error}"))?;
    if !output.status.success() {
        return Err(format!("get-peer {name}: {}", output.status));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// A directory with a bundle for each load, gone with the value.
struct Stage {
    place: PathBuf,
    /// `$PATH` with CRIU's directory in front.
    path: String,
}

impl Stage {
    fn set_up(criu: &Path) -> Result<Self, String> {
        let place = env::temp_dir().join(format!("riverrun-bench-{}", std::process::id()));
        let directory = criu.parent().unwrap_or(criu).display();
        let path = format!("{directory}:{}", env::var("PATH").unwrap_or_default());
        let stage = Self { place, path };
        fs::create_dir_all(&stage.place).map_err(|error| error.to_string())?;
        let (source, holder) = (stage.place.join("holder.c"), stage.place.join("holder"));
        fs::write(&source, HOLDER).map_err(|error| error.to_string())?;
        succeed(Command::new("gcc").args(["-static", "-O1", "-o"]).arg(&holder).arg(&source))?;
        for (_, mib) in LOADS {
            let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/setup/bundle");
            succeed(Command::new(bundle).arg(stage.place.join(mib)).args(["/bin/holder", mib]))?;
            let there = stage.place.join(mib).join("rootfs/bin/holder");
            fs::copy(&holder, there).map_err(|error| error.to_string())?;
        }
        Ok(stage)
    }

    /// A container becomes images and lives again: what took how many milliseconds, and the images' MiB.
    fn life(&self, program: &Path, mib: &str, id: &str) -> Result<Vec<(&'static str, f64)>, String> {
        let (bundle, images) = (self.place.join(mib), self.place.join("images"));
        let _ = fs::remove_dir_all(&images);
        let command = |arguments: &[&str]| {
            let mut command = Command::new(program);
            command.arg("--root").arg(self.place.join("state")).args(arguments).env("PATH", &self.path);
            command.current_dir(&bundle).stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(fs::File::create(self.place.join("stderr")).map_or(Stdio::null(), Stdio::from));
            command
        };
        let timed = |arguments: &[&str]| {
            let begin = Instant::now();
            let status =
                command(arguments).stderr(Stdio::null()).status().map_err(|error| error.to_string())?;
            let took = begin.elapsed().as_secs_f64() * 1e3;
            if status.success() { Ok(took) } else { Err(format!("{}: {status}", arguments[0])) }
        };
        let result = (|| {
            timed(&["run", "--detach", "--pid-file", "pid", id])?;
            let pid = fs::read_to_string(bundle.join("pid")).map_err(|error| error.to_string())?;
            let ready = PathBuf::from(format!("/proc/{}/root/tmp/ready", pid.trim()));
            let end = Instant::now() + Duration::from_secs(60);
            while !ready.exists() {
                if Instant::now() > end {
                    return Err("the container does not get ready".to_owned());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let images_path = images.display().to_string();
            let checkpoint = timed(&["checkpoint", "--image-path", &images_path, id])?;
            let size = size_of(&images);
            let restore = timed(&["restore", "--detach", "--image-path", &images_path, id])?;
            Ok(vec![("checkpoint, ms", checkpoint), ("images, MiB", size), ("restore, ms", restore)])
        })();
        let deleted = timed(&["delete", "--force", id]);
        reap();
        result.and_then(|life| deleted.map(|_| life))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// The MiB of what a restore needs: all but logs and counters.
fn size_of(images: &Path) -> f64 {
    let entries = fs::read_dir(images).into_iter().flatten().flatten();
    let sizes = entries.filter(|entry| !entry.file_name().to_string_lossy().contains("log"));
    let bytes: u64 = sizes.filter_map(|entry| entry.metadata().ok()).map(|there| there.len()).sum();
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Orphans that came to this process.
fn reap() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {}
}
