//! What is being done, for a log at [`Level::Debug`]: which bundle, cgroups, steps and pids. No line is made for a log
//! that does not want it, and none holds what a configuration may keep secret: arguments, environment, annotations.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::context::Context;
use super::options::Level;
use crate::plan::{Plan, Request};
use crate::wire::Step;

impl Context {
    /// A line about what is being done.
    pub(super) fn trace(&self, line: impl FnOnce() -> String) {
        if self.logs(Level::Debug) {
            self.log(Level::Debug, &line());
        }
    }

    /// What a create or a restore is going to do.
    pub(super) fn trace_plan(&self, plan: &Plan, request: &Request) {
        if !self.logs(Level::Debug) {
            return;
        }
        let (bundle, rootfs) = (request.bundle.display(), request.rootfs.display());
        self.log(
            Level::Debug,
            &format!("container {}: bundle {bundle}, root filesystem {rootfs}", request.id),
        );
        if let Some(unit) = &plan.cgroups.unit {
            self.log(Level::Debug, &format!("cgroup: systemd unit {}", unit.name.name));
        }
        for directory in plan.cgroups.unified.iter().chain(&plan.cgroups.v1) {
            self.log(Level::Debug, &format!("cgroup: {}", directory.path.display()));
        }
        self.trace_steps(&plan.init.steps);
    }

    /// The steps of an init program, in their order, by name.
    pub(super) fn trace_steps(&self, steps: &[Step]) {
        self.trace(|| format!("init program: {} steps:{}", steps.len(), names(steps)));
    }
}

/// Their names, those that come several times after each other with their number.
fn names(steps: &[Step]) -> String {
    let mut text = String::new();
    for same in steps.chunk_by(|one, other| name(one) == name(other)) {
        let _ = write!(text, " {}", name(&same[0]));
        if same.len() > 1 {
            let _ = write!(text, "*{}", same.len());
        }
    }
    text
}

/// A step's name, which is where its derived text begins.
fn name(step: &Step) -> String {
    let text = format!("{step:?}");
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_by_name_and_nothing_that_is_in_them() {
        let mask = |path: &str| Step::JoinSessionKeyring { name: path.to_owned(), permissions: 0 };
        let steps = [Step::Hop, mask("secret"), mask("other"), Step::NewSession];
        assert_eq!(names(&steps), " Hop JoinSessionKeyring*2 NewSession");
    }
}
