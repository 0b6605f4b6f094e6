//! A host with many mounts: `run` in a mount namespace with a thousand more, against one without, for each program.
//!
//! The kernel copies the mounts for each container, whoever asks; what a runtime adds by reading the table of them shows
//! here. The mounts are in a namespace of their own, held by a process that ends with this program's pipe.
#![forbid(unsafe_code)]

use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::contestant::{Contestant, Op, Role, timed};
use crate::samples::Samples;
use crate::stage::Stage;
use crate::{Rounds, WARM_UP};

/// How many more there are.
const CROWD: u32 = 1000;

/// `run` of one contestant, without and with the crowd.
pub(crate) type Pair = [Samples; 2];

/// A process that keeps a mount namespace.
#[derive(Debug)]
struct Place(Child);

impl Place {
    fn open(stage: &Stage, mounts: u32) -> Result<Self, String> {
        let script = r#"mount -t tmpfs crowd "$1"; n=0; while [ $n -lt "$2" ]; do mkdir "$1/$n"; \
            mount --bind "$1/$n" "$1/$n"; n=$((n + 1)); done; echo ready; read -r end"#;
        let dir = stage.scratch("crowd");
        std::fs::create_dir_all(&dir).map_err(|error| format!("make {}: {error}", dir.display()))?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-euc", script, "sh"]).arg(dir);
        command.arg(mounts.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut place = Self(command.spawn().map_err(|error| format!("run unshare: {error}"))?);
        let mut word = [0; 5];
        let stdout = place.0.stdout.as_mut().ok_or("unshare has no stdout")?;
        stdout.read_exact(&mut word).map_err(|error| format!("make {mounts} mounts: {error}"))?;
        Ok(place)
    }

    /// `command` in that namespace, by a program that costs the same each time.
    fn inside(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.arg("--mount").arg(format!("--target={}", self.0.id()));
        entered.arg(command.get_program()).args(command.get_args());
        entered
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended_or_not = self.0.wait();
    }
}

/// Lets all take turns in both places.
pub(crate) fn race(stage: &Stage, contestants: &[Contestant], rounds: Rounds) -> Result<Vec<Pair>, String> {
    let places = [Place::open(stage, 0)?, Place::open(stage, CROWD)?];
    let mut times = vec![Pair::default(); contestants.len()];
    for round in 0..WARM_UP + rounds.counted {
        for (who, one) in contestants.iter().enumerate() {
            let id = format!("bench-{}-crowd-{round}", std::process::id());
            let mut command = one.command(stage, Op::Run, &id);
            if one.role == Role::Floor {
                command = Command::new(&one.program);
                command.arg(stage.rootfs());
            }
            for (place, times) in places.iter().zip(&mut times[who]) {
                let time = timed(&mut place.inside(&command))?;
                if round >= WARM_UP {
                    times.push(time);
                }
            }
        }
    }
    Ok(times)
}
