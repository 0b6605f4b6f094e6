//! The manager itself: systemd makes, owns and removes the unit; the files of its cgroups are the cgroup filesystem's, and
//! what is asked about them goes to the manager of those.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::bus::{Bus, PATIENCE, Refusal, Scope};
use super::unit::{Facts, Property, Unit, UnitName};
use super::value::Value;
use super::{devices, properties};
use crate::cgroup::Manager;
use crate::cgroup::apply::{self, Entrances, Made};
use crate::cgroup::devices::rules::Rule;
use crate::cgroup::plan::CgroupPlan;
use crate::cgroup::resources::Write;
use crate::error::{Error, Kind, Result};
use crate::wording;

/// runc's mode for every job: what is in the way of it is cancelled.
const REPLACE: &str = "replace";

/// What a plan has to know of systemd. An error says that there is none that answers, or none before `until`.
pub(crate) fn facts(user: bool, until: Option<Instant>) -> Result<Facts> {
    let ask = |bus: &mut Bus| {
        let Value::Str(version) = bus.property("Version")? else { return Err(Refusal::Malformed) };
        let Value::Str(cgroup) = bus.property("ControlGroup")? else { return Err(Refusal::Malformed) };
        Ok(Facts { user, version: number(&version), cgroup: cgroup.trim_start_matches('/').into() })
    };
    let soon = Instant::now() + PATIENCE;
    let facts =
        speak_until(user, "ask systemd for its version", until.map_or(soon, |until| until.min(soon)), ask);
    // sd_booted(3). An address in the environment may lead to one all the same.
    facts.map_err(|error| match Path::new("/run/systemd/system").is_dir() {
        true => error,
        false => error.during(wording::NO_SYSTEMD),
    })
}

/// `252.38-1~deb12u1` is 252. One without a number is newer than all that have one.
fn number(version: &str) -> u32 {
    let digits = version.trim_start_matches('v');
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(u32::MAX)
}

fn speak<T>(
    user: bool,
    doing: &str,
    talk: impl FnMut(&mut Bus) -> std::result::Result<T, Refusal>,
) -> Result<T> {
    speak_until(user, doing, Instant::now() + PATIENCE, talk)
}

/// One connection, and a second if that is closed: systemd was executed anew, or its bus.
fn speak_until<T>(
    user: bool,
    doing: &str,
    until: Instant,
    mut talk: impl FnMut(&mut Bus) -> std::result::Result<T, Refusal>,
) -> Result<T> {
    let scope = if user { Scope::User } else { Scope::System };
    let mut once = || talk(&mut Bus::connect(scope, until)?);
    let outcome = match once() {
        Err(Refusal::Closed) => once(),
        outcome => outcome,
    };
    outcome.map_err(|refusal| error(refusal).during(doing))
}

fn error(refusal: Refusal) -> Error {
    let systemd = |text: String| Error::new(Kind::Systemd, text);
    match refusal {
        Refusal::Absent(tried, errno) => {
            let tried = if tried.is_empty() { "no address of its bus is known".into() } else { tried };
            Error::os(Kind::Systemd, format!("connect to systemd at {tried}"), errno as i32)
        }
        Refusal::Rejected(answer) => systemd(format!("the bus does not accept this user: {answer}")),
        Refusal::Slow => Error::new(Kind::Timeout, "timed out: systemd does not answer"),
        Refusal::Closed => systemd("the connection to systemd was closed".into()),
        Refusal::Malformed => systemd("what answered is not systemd".into()),
        Refusal::Answer(_, text) => systemd(text),
    }
}

/// Makes the unit, with the process in it, and waits until it is there.
fn start(unit: &Unit, pid: i32) -> Result<()> {
    let mut properties: Vec<Value> = unit.properties.iter().map(property).collect();
    if !unit.name.is_slice() {
        let pids = vec![Value::U32(pid.unsigned_abs())];
        properties.push(property(&("PIDs".into(), Value::Array("u".into(), pids))));
    }
    let name = &unit.name.name;
    let body = [
        Value::str(name),
        Value::str(REPLACE),
        Value::Array("(sv)".into(), properties),
        Value::Array("(sa(sv))".into(), Vec::new()),
    ];
    let doing = format!("start unit {name}");
    let started = speak(unit.name.user, &doing, |bus| match bus.job("StartTransientUnit", &body) {
        // One that has failed stays until somebody has seen it; one that lives is somebody's.
        Err(Refusal::Answer(error, _)) if error == "org.freedesktop.systemd1.UnitExists" => {
            let _ = bus.manager("ResetFailedUnit", &[Value::str(name)]);
            bus.job("StartTransientUnit", &body)
        }
        outcome => outcome,
    })?;
    if started == "done" {
        return Ok(());
    }
    let _ = speak(unit.name.user, &doing, |bus| bus.manager("ResetFailedUnit", &[Value::str(name)]));
    Err(Error::new(Kind::Systemd, format!("its job ended with {started:?}")).during(doing))
}

/// Stops it, and lets systemd forget how it ended. One that is gone is as good.
fn stop(unit: &UnitName) -> Result<()> {
    let name = Value::str(&unit.name);
    speak(unit.user, &format!("stop unit {}", unit.name), |bus| {
        let stopped = bus.job("StopUnit", &[name.clone(), Value::str(REPLACE)]);
        let _ = bus.manager("ResetFailedUnit", std::slice::from_ref(&name));
        match stopped {
            Err(Refusal::Answer(error, _)) if error == "org.freedesktop.systemd1.NoSuchUnit" => Ok(()),
            stopped => stopped.map(drop),
        }
    })
}

fn property((name, value): &Property) -> Value {
    Value::Struct(vec![Value::str(name), Value::Variant(Box::new(value.clone()))])
}

/// A unit of systemd's, and the manager of the files below it.
#[derive(Debug)]
pub(crate) struct Systemd {
    unit: UnitName,
    files: Box<dyn Manager>,
}

impl Systemd {
    pub(crate) fn new(unit: UnitName, files: Box<dyn Manager>) -> Self {
        Self { unit, files }
    }

    fn announce(&self, writes: &[Write]) -> Result<()> {
        let version = facts(self.unit.user, None)?.version;
        self.change(properties::of(writes, version)?.iter().map(property).collect())
    }

    /// Until the unit ends or the machine does, also over a daemon-reload.
    fn change(&self, properties: Vec<Value>) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        let runtime = Value::Bool(true);
        let body = [Value::str(&self.unit.name), runtime, Value::Array("(sv)".into(), properties)];
        let doing = format!("set properties of unit {}", self.unit.name);
        speak(self.unit.user, &doing, |bus| bus.manager("SetUnitProperties", &body)).map(drop)
    }
}

impl Manager for Systemd {
    fn paths(&self) -> &[(String, PathBuf)] {
        self.files.paths()
    }

    /// A unit is made of processes that exist.
    fn make(&self, _: &CgroupPlan, _: &mut Made) -> Result<Entrances> {
        Ok(Entrances::default())
    }

    /// systemd moves the process into the hierarchies that it keeps; to those and the others it then writes itself.
    fn enter(&self, plan: &CgroupPlan, pid: i32, made: &mut Made) -> Result<Vec<OwnedFd>> {
        if let Some(unit) = &plan.unit {
            start(unit, pid)?;
            made.unit = true;
        }
        plan.v1.iter().chain(&plan.unified).map(|directory| apply::adopt(directory, made)).collect()
    }

    fn unmake(&self, made: &Made) -> Result<()> {
        if !made.unit {
            return made.unmake();
        }
        // What a hook left in it would be given a minute and a half to end.
        let _ = self.files.kill_all();
        let stopped = stop(&self.unit);
        made.unmake().and(stopped)
    }

    /// An ordinary user who comes from elsewhere, like a session, may not move a process from there: the way leads through
    /// cgroups that are not his. His systemd asks the machine's.
    fn entrances(&self, sub: &[String], init: i32) -> Result<Entrances> {
        let mut entrances = self.files.entrances(sub, init)?;
        entrances.by_pid = self.unit.user;
        Ok(entrances)
    }

    fn attach(&self, pid: i32, to: &Path) -> Result<()> {
        let own = self.directory("").unwrap_or(to);
        let below = Path::new("/").join(to.strip_prefix(own).unwrap_or(Path::new("")));
        let pids = Value::Array("u".into(), vec![Value::U32(pid.unsigned_abs())]);
        let body = [Value::str(&self.unit.name), Value::str(below.to_string_lossy()), pids];
        let doing = format!("attach process {pid} to unit {}", self.unit.name);
        speak(self.unit.user, &doing, |bus| bus.manager("AttachProcessesToUnit", &body)).map(drop)
    }

    /// systemd first: what it rounds or does not know is then in the files as it was asked for.
    fn set(&self, writes: &[Write]) -> Result<()> {
        self.announce(writes)?;
        self.files.set(writes)
    }

    fn take_back(&self, before: &[Write]) {
        let _ = self.announce(before);
        self.files.take_back(before);
    }

    /// An ordinary user's is not told: it may load no program either.
    fn announce_devices(&self, rules: &[Rule]) -> Result<()> {
        if self.unit.user {
            return Ok(());
        }
        let version = facts(false, None)?.version;
        let properties = devices::of(rules, self.rewrites_devices(), version)?;
        self.change(properties.iter().map(property).collect())
    }

    /// On v1, where there is one list.
    fn rewrites_devices(&self) -> bool {
        self.paths().iter().any(|(name, _)| name == "devices")
    }

    fn directory(&self, controller: &str) -> Option<&Path> {
        self.files.directory(controller)
    }

    fn pids(&self) -> Result<Vec<i32>> {
        self.files.pids()
    }

    /// Through the files, as runc does: what systemd freezes it thaws when it wants to.
    fn freeze(&self) -> Result<()> {
        self.files.freeze()
    }

    fn thaw(&self) -> Result<()> {
        self.files.thaw()
    }

    fn signal_all(&self, signal: i32) -> Result<bool> {
        self.files.signal_all(signal)
    }

    fn kill_all(&self) -> Result<bool> {
        self.files.kill_all()
    }

    /// The directories go even if systemd does not answer; that it did not is still told.
    fn remove(&self) -> Result<()> {
        let stopped = stop(&self.unit);
        self.files.remove().and(stopped)
    }
}
