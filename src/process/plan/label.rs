//! `process.apparmorProfile` and `process.selinuxLabel`: what is written where (proc_pid_attr(5)).
#![forbid(unsafe_code)]

use oci_spec::runtime::Process;

use crate::error::{Error, Kind, Result};
use crate::host::SecurityModules;
use crate::wire::Step;
use crate::wording;

const APPARMOR: &str = "process.apparmorProfile";
const SELINUX: &str = "process.selinuxLabel";

fn given(label: &Option<String>) -> Option<&str> {
    label.as_deref().filter(|label| !label.is_empty())
}

/// Whether the process asks for any: only then is it looked up what the host has.
pub(crate) fn wanted(process: &Process) -> bool {
    given(process.apparmor_profile()).is_some() || given(process.selinux_label()).is_some()
}

/// A label that the host cannot give is an error before anything is made.
pub(crate) fn possible(process: &Process, modules: SecurityModules) -> Result<()> {
    if let Some(profile) = given(process.apparmor_profile()).filter(|_| !modules.apparmor) {
        let message = format!("{APPARMOR} {profile:?}: AppArmor is not enabled on this host");
        return Err(Error::new(Kind::Lsm, message));
    }
    if given(process.selinux_label()).is_some() && !modules.selinux {
        return Err(Error::new(Kind::Lsm, wording::NO_SELINUX).during(SELINUX));
    }
    Ok(())
}

/// Before any of the container's mounts is in reach.
pub(crate) fn open(process: &Process, steps: &mut Vec<Step>) {
    if wanted(process) {
        steps.push(Step::OpenProc);
    }
}

/// What the next execve makes of the process. It is written as the first user, whom nothing forbids it, and before a
/// seccomp filter could.
pub(super) fn of_program(process: &Process, steps: &mut Vec<Step>) {
    if let Some(profile) = given(process.apparmor_profile()) {
        // KERNEL(5.8): where modules are stacked, the first file is AppArmor's own.
        let files = ["apparmor/exec", "exec"].map(str::to_owned).to_vec();
        let property = format!("{APPARMOR} {profile:?}");
        steps.push(Step::Attribute { property, files, value: format!("exec {profile}") });
    }
    if let Some(label) = given(process.selinux_label()) {
        steps.push(attribute("exec", label, label));
    }
}

/// The session keyring is the program's, and so is its label: around `join`.
pub(crate) fn of_keyring(process: &Process, join: Step, steps: &mut Vec<Step>) {
    match given(process.selinux_label()) {
        None => steps.push(join),
        Some(label) => {
            // A line end alone takes the label back (selinux(8) has no other word for it).
            steps.extend([attribute("keycreate", label, label), join, attribute("keycreate", label, "\n")]);
        }
    }
}

fn attribute(file: &str, label: &str, value: &str) -> Step {
    let property = format!("{SELINUX} {label:?}");
    Step::Attribute { property, files: vec![file.to_owned()], value: value.to_owned() }
}
