//! Making groups, filling them, entering them, removing them.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::plan::{IntelRdtPlan, Whose};
use crate::error::{Error, Kind, Result};
use crate::sys::{errno_of, file};

/// What will be the container's own: of its places those that are not there yet.
pub(crate) fn missing(plan: &IntelRdtPlan) -> Vec<PathBuf> {
    plan.own().into_iter().filter(|path| !path.exists()).collect()
}

/// Makes the group and the monitoring group, writes the schemata. On failure the caller removes what [`missing`] said.
pub(crate) fn make(plan: &IntelRdtPlan) -> Result<()> {
    let fresh = make_group(plan)?;
    if !plan.schemata.is_empty() {
        if plan.whose == Whose::Named && !fresh {
            compare(plan)?;
        } else {
            let text = plan.schemata.join("\n") + "\n";
            write(&plan.group.join("schemata"), &text)
                .map_err(|error| told(plan, "write schemata of", &error))?;
        }
    }
    if let Some(path) = &plan.monitoring {
        make_directory(path).map_err(|error| told(plan, "make monitoring group for", &error))?;
    }
    Ok(())
}

/// Whether it was not there.
fn make_group(plan: &IntelRdtPlan) -> Result<bool> {
    if plan.whose == Whose::Existing {
        return match plan.group.is_dir() {
            true => Ok(false),
            false => Err(error(plan, "must be there where no schema is given")),
        };
    }
    make_directory(&plan.group).map_err(|error| told(plan, "make", &error))
}

fn make_directory(path: &Path) -> io::Result<bool> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    }
}

fn error(plan: &IntelRdtPlan, cause: &str) -> Error {
    Error::new(Kind::Cgroup, cause).during(format!("linux.intelRdt: {}", plan.group.display()))
}

/// With the kernel's own words, where it has some (resctrl.rst).
fn told(plan: &IntelRdtPlan, doing: &str, cause: &io::Error) -> Error {
    let words = fs::read_to_string(plan.root.join("info/last_cmd_status")).unwrap_or_default();
    let words = words.trim();
    let doing = format!("linux.intelRdt: {doing} {}", plan.group.display());
    let error = Error::os(Kind::Cgroup, doing, errno_of(cause));
    if words.is_empty() || words == "ok" { error } else { error.replace_cause(words) }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let file = file::open_writable(path)?;
    Ok(file::write_all(file.as_fd(), text.as_bytes())?)
}

/// config-linux.md#intelrdt: a group that is there and of another shape MUST be an error.
fn compare(plan: &IntelRdtPlan) -> Result<()> {
    let there = fs::read_to_string(plan.group.join("schemata"))
        .map_err(|error| told(plan, "read schemata of", &error))?;
    let there = values(there.lines());
    for (place, wanted) in values(plan.schemata.iter().map(String::as_str)) {
        if there.get(&place) != Some(&wanted) {
            let has = there.get(&place).map_or("nothing", String::as_str);
            let (resource, domain) = place;
            return Err(error(plan, &format!("{resource}:{domain} is {has} there and not {wanted}")));
        }
    }
    Ok(())
}

/// `L3:0=ff;1=0f`: from resource and domain to the value, without the zeros in front that only one side writes.
fn values<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<(String, String), String> {
    let mut values = BTreeMap::new();
    for (resource, domains) in lines.filter_map(|line| line.trim().split_once(':')) {
        for (domain, value) in domains.split(';').filter_map(|domain| domain.split_once('=')) {
            let value = value.trim().trim_start_matches('0').to_ascii_lowercase();
            let value = if value.is_empty() { "0".to_owned() } else { value };
            values.insert((resource.trim().to_owned(), domain.trim().to_owned()), value);
        }
    }
    values
}

/// Writes other schemata to a group that is there; what was in its file before.
pub(crate) fn rewrite(root: &Path, group: &Path, schemata: &[&str]) -> Result<String> {
    let plan = IntelRdtPlan {
        root: root.to_owned(),
        group: group.to_owned(),
        whose: Whose::Existing,
        schemata: Vec::new(),
        monitoring: None,
    };
    let path = group.join("schemata");
    let before = fs::read_to_string(&path).map_err(|error| told(&plan, "read schemata of", &error))?;
    write(&path, &(schemata.join("\n") + "\n")).map_err(|error| told(&plan, "write schemata of", &error))?;
    Ok(before)
}

/// Puts a process, and all that it will start, into `groups`. One that is gone has no limits any more.
pub(crate) fn enter<'a>(groups: impl IntoIterator<Item = &'a Path>, pid: i32) -> Result<()> {
    for group in groups {
        match write(&group.join("tasks"), &pid.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !group.exists() => {}
            Err(error) => {
                let doing = format!("linux.intelRdt: join {}", group.display());
                return Err(Error::os(Kind::Cgroup, doing, errno_of(&error)));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Removes what was made, from the bottom.
pub(crate) fn remove(own: &[PathBuf]) -> Result<()> {
    for path in own.iter().rev() {
        match fs::remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let doing = format!("linux.intelRdt: remove {}", path.display());
                return Err(Error::os(Kind::Cgroup, doing, errno_of(&error)));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Linux;
    use serde_json::{Value, from_value, json};

    use super::*;

    /// A directory with the files that the kernel makes; its groups get theirs by [`Fake::files`].
    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str) -> Self {
            let fake = Self(std::env::temp_dir().join(format!("rr-resctrl-{name}-{}", std::process::id())));
            fs::create_dir_all(fake.0.join("info")).unwrap();
            fs::write(fake.0.join("info/last_cmd_status"), "ok\n").unwrap();
            fake.files("", "");
            fake
        }

        fn files(&self, group: &str, schemata: &str) {
            let group = self.0.join(group);
            fs::create_dir_all(group.join("mon_groups")).unwrap();
            fs::write(group.join("schemata"), schemata).unwrap();
            fs::write(group.join("tasks"), "").unwrap();
        }

        fn plan(&self, rdt: Value) -> IntelRdtPlan {
            let linux: Linux = from_value(json!({ "intelRdt": rdt })).unwrap();
            IntelRdtPlan::new("web", &linux, Some(&self.0)).unwrap().unwrap()
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.0.join(path)).unwrap()
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_own_group_is_made_entered_and_removed() {
        let fake = Fake::new("own");
        let plan = fake.plan(json!({}));
        let own = missing(&plan);
        assert_eq!(own, [fake.0.join("web")]);
        make(&plan).unwrap();
        remove(&own).unwrap();
        assert!(!fake.0.join("web").exists());
        remove(&own).unwrap();
    }

    #[test]
    fn schemata_and_tasks_are_written_to_the_group_and_its_monitor() {
        let fake = Fake::new("write");
        fake.files("web", "");
        let plan =
            fake.plan(json!({"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "enableMonitoring": true}));
        let own = missing(&plan);
        assert_eq!(own, [fake.0.join("web/mon_groups/web")], "what was there is not ours");
        make(&plan).unwrap();
        assert_eq!(fake.read("web/schemata"), "L3:0=f\nMB:0=20\n");
        fs::write(fake.0.join("web/mon_groups/web/tasks"), "").unwrap();
        enter([plan.group.as_path(), plan.monitoring.as_deref().unwrap()], 17).unwrap();
        assert_eq!(
            (fake.read("web/tasks"), fake.read("web/mon_groups/web/tasks")),
            ("17".into(), "17".into())
        );
        enter([fake.0.join("gone").as_path()], 17).unwrap();
        assert!(enter([fake.0.join("info").as_path()], 17).unwrap_err().to_string().contains("join"));
    }

    #[test]
    fn a_named_group_must_be_there_or_be_as_it_is_said() {
        let fake = Fake::new("named");
        let refused = |rdt: Value| make(&fake.plan(rdt)).unwrap_err().to_string();
        assert!(refused(json!({"closID": "gold"})).contains("must be there"));
        fake.files("gold", "    L3:0=00ff;1=000f\n    MB:0=100;1=100\n");
        make(&fake.plan(json!({"closID": "gold"}))).unwrap();
        make(&fake.plan(json!({"closID": "gold", "l3CacheSchema": "L3:1=0F"}))).unwrap();
        assert!(
            refused(json!({"closID": "gold", "memBwSchema": "MB:0=20"}))
                .contains("MB:0 is 100 there and not 20")
        );
        assert!(refused(json!({"closID": "gold", "schemata": ["L2:0=1"]})).contains("L2:0 is nothing there"));
        assert_eq!(fake.read("gold/schemata"), "    L3:0=00ff;1=000f\n    MB:0=100;1=100\n");
    }

    #[test]
    fn the_kernels_own_words_are_told() {
        let fake = Fake::new("words");
        fs::write(fake.0.join("info/last_cmd_status"), "mask f0000 has non-consecutive 1-bits\n").unwrap();
        let error = make(&fake.plan(json!({"schemata": ["L3:0=f0000"]}))).unwrap_err().to_string();
        assert!(error.contains("write schemata of") && error.contains("non-consecutive"), "{error}");
    }
}
