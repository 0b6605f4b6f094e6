//! `riverrun info`: what there is on this host for containers, for a person or a bug report.
//!
//! `features` tells of the build, this of the host. Everything is read anew and nothing is needed: what cannot be
//! found out is told as such. No program parses the table; for those that want to there is `--format json`.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::sys::utsname::uname;
use nix::unistd::{geteuid, getuid};
use serde_json::{Map, Value};

use crate::args::Matches;
use crate::failure::Outcome;
use crate::output;
use crate::session::Session;

/// What a person reads on the left, and what stands on the right.
type Fact = (&'static str, String);

/// Prints the facts.
pub(crate) fn info(session: &Session, matches: &Matches) -> Outcome {
    let facts = facts(&session.context()?.root().display().to_string());
    let text = match matches.given("format") {
        None | Some("table") => table(&facts),
        Some("json") => json(&facts),
        Some(_) => return Err("invalid format option".into()),
    };
    output::print(&text)?;
    Ok(0)
}

fn facts(root: &str) -> Vec<Fact> {
    let mut facts = vec![
        ("riverrun", riverrun::VERSION.to_owned()),
        ("specification", riverrun::OCI_VERSION.to_owned()),
        ("state root", root.to_owned()),
    ];
    facts.extend(kernel());
    facts.extend(user());
    facts.extend([
        ("namespaces", namespaces()),
        ("user namespaces", limit("user/max_user_namespaces")),
        ("cgroups", layout()),
        ("controllers", controllers()),
        ("systemd", there("/run/systemd/system")),
        ("security modules", line("/sys/kernel/security/lsm")),
        ("seccomp actions", line("/proc/sys/kernel/seccomp/actions_avail")),
        ("resctrl", there("/sys/fs/resctrl/tasks")),
        ("newuidmap", program("newuidmap")),
        ("newgidmap", program("newgidmap")),
        ("criu", program("criu")),
        ("ps", program("ps")),
    ]);
    facts
}

fn kernel() -> Vec<Fact> {
    let Ok(name) = uname() else { return vec![("kernel", UNKNOWN.to_owned())] };
    vec![
        ("kernel", name.release().to_string_lossy().into_owned()),
        ("architecture", name.machine().to_string_lossy().into_owned()),
    ]
}

fn user() -> Vec<Fact> {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let words: Vec<&str> = map.split_whitespace().collect();
    let initial = words.is_empty() || words == ["0", "0", "4294967295"];
    vec![
        ("uid", getuid().to_string()),
        ("euid", geteuid().to_string()),
        ("initial user namespace", yes_or_no(initial)),
        ("rootless", yes_or_no(!geteuid().is_root() || !initial)),
    ]
}

const UNKNOWN: &str = "unknown";

fn yes_or_no(yes: bool) -> String {
    String::from(if yes { "yes" } else { "no" })
}

fn there(path: &str) -> String {
    yes_or_no(Path::new(path).exists())
}

fn line(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| UNKNOWN.to_owned(), |text| text.trim_end().replace(',', " "))
}

fn limit(name: &str) -> String {
    line(&format!("/proc/sys/{name}"))
}

/// The kinds that this process has one of.
fn namespaces() -> String {
    let entries = fs::read_dir("/proc/self/ns").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.ends_with("_for_children"))
        .collect();
    names.sort_unstable();
    names.join(" ")
}

/// How the host's cgroups are laid out, in systemd's words.
fn layout() -> String {
    const ROOT: &str = "/sys/fs/cgroup";
    let is_v2 = |path: &str| statfs(path).is_ok_and(|it| it.filesystem_type() == CGROUP2_SUPER_MAGIC);
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    String::from(if is_v2(ROOT) {
        "unified (v2)"
    } else if own.lines().any(|line| line.starts_with("0::")) {
        "hybrid (v1 controllers beside a v2)"
    } else if own.is_empty() {
        "none"
    } else {
        "legacy (v1)"
    })
}

/// Those that can be used here: all of v1's hierarchies, or what the root of v2 has.
fn controllers() -> String {
    if let Ok(text) = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") {
        return text.trim_end().to_owned();
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut names: Vec<&str> = own
        .lines()
        .filter_map(|line| line.split(':').nth(1))
        .flat_map(|list| list.split(','))
        .filter(|name| !name.is_empty() && !name.starts_with("name="))
        .collect();
    names.sort_unstable();
    names.join(" ")
}

/// Where `$PATH` has a program.
fn program(name: &str) -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    let found: Option<PathBuf> =
        env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.map_or_else(|| String::from("not in $PATH"), |path| path.display().to_string())
}

fn table(facts: &[Fact]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 2;
    facts
        .iter()
        .map(|(name, value)| format!("{:<width$}{value}", format!("{name}:")).trim_end().to_owned() + "\n")
        .collect()
}

/// One object; the names have no blanks there.
fn json(facts: &[Fact]) -> String {
    let object: Map<String, Value> =
        facts.iter().map(|(name, value)| (name.replace(' ', "-"), value.as_str().into())).collect();
    format!("{}\n", Value::from(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_under_each_other() {
        let facts = [("a", "1".to_owned()), ("a b", String::new())];
        assert_eq!(table(&facts), "a:   1\na b:\n");
        assert_eq!(json(&facts), "{\"a\":\"1\",\"a-b\":\"\"}\n");
    }
}
