//! Rules as cgroup v1 keeps them (cgroup-v1/devices.rst): a default and exceptions from it; and the way from one list to
//! another without a moment in which a device is gone that both allow. Pure.
#![forbid(unsafe_code)]

use super::rules::{Nodes, Rule, line, read_line};
use crate::error::{Error, Kind, Result};

/// What the kernel knows of a cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    /// What holds for devices that are no exception.
    allow: bool,
    /// In the order in which they came, each once.
    exceptions: Exceptions,
}

type Exceptions = Vec<(Nodes, u8)>;

/// File and line.
pub(crate) type Line = (String, String);

impl List {
    /// The list that these rules lead to; nothing is allowed before the first.
    pub(crate) fn of(rules: &[Rule]) -> Result<Self> {
        let mut list = Self::default();
        for rule in rules {
            match *rule {
                Rule::Everything { allow } => list = Self { allow, exceptions: Vec::new() },
                Rule::Some { allow, nodes, access } if allow == list.allow => list.remove(nodes, access)?,
                Rule::Some { nodes, access, .. } => list.add(nodes, access),
            }
        }
        Ok(list)
    }

    fn add(&mut self, nodes: Nodes, access: u8) {
        match self.exceptions.iter_mut().find(|(known, _)| *known == nodes) {
            Some((_, excepted)) => *excepted |= access,
            None => self.exceptions.push((nodes, access)),
        }
    }

    /// Takes back an exception. COMPAT(runc): the kernel ignores one that is a part of a wider exception, without a word;
    /// that would be a false sense of security.
    fn remove(&mut self, nodes: Nodes, access: u8) -> Result<()> {
        let Nodes { class, major, minor } = nodes;
        for wider in [(None, minor), (major, None), (None, None)] {
            let wider = Nodes { class, major: wider.0, minor: wider.1 };
            let overlap = access_to(&self.exceptions, wider) & access;
            if wider != nodes && overlap != 0 {
                let message = format!(
                    "requested rule [{}] not supported by devices cgroupv1 (cannot punch hole in existing wildcard rule [{}])",
                    line(nodes, access),
                    line(wider, overlap)
                );
                return Err(Error::new(Kind::Unsupported, message).during("linux.resources.devices"));
            }
        }
        for (_, excepted) in self.exceptions.iter_mut().filter(|(known, _)| *known == nodes) {
            *excepted &= !access;
        }
        self.exceptions.retain(|(_, access)| *access != 0);
        Ok(())
    }

    /// What `devices.list` says. The exceptions of a cgroup that allows by default are not in it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut list = Self::default();
        for text in text.lines() {
            match read_line(text)? {
                None => return Some(Self { allow: true, exceptions: Vec::new() }),
                Some((nodes, access)) => list.add(nodes, access),
            }
        }
        Some(list)
    }

    pub(crate) fn exceptions(&self) -> &[(Nodes, u8)] {
        &self.exceptions
    }

    pub(crate) fn allows_by_default(&self) -> bool {
        self.allow
    }

    /// Whether the way to `target` changes the default: the exceptions begin anew then, one after the other.
    pub(crate) fn is_turned_by(&self, target: &Self) -> bool {
        self.allow != target.allow
    }

    /// The lines that make `target` of it. What is gained comes before what is lost.
    pub(crate) fn transition(&self, target: &Self) -> Vec<Line> {
        let mut lines = Vec::new();
        let file = |allow: bool| String::from(if allow { "devices.allow" } else { "devices.deny" });
        let nothing = Exceptions::new();
        let mut old = &self.exceptions;
        if self.is_turned_by(target) {
            lines.push((file(target.allow), String::from("a")));
            old = &nothing;
        }
        let mut difference = |of: &Exceptions, less: &Exceptions, allow: bool| {
            for (nodes, access) in of {
                let access = access & !access_to(less, *nodes);
                if access != 0 {
                    lines.push((file(allow), line(*nodes, access)));
                }
            }
        };
        if target.allow {
            // Exceptions are denials: fewer of them first.
            difference(old, &target.exceptions, true);
            difference(&target.exceptions, old, false);
        } else {
            difference(&target.exceptions, old, true);
            difference(old, &target.exceptions, false);
        }
        lines
    }

    /// The lines for a cgroup whose list nobody knows.
    pub(crate) fn lines(&self) -> Vec<Line> {
        Self { allow: !self.allow, exceptions: Vec::new() }.transition(self)
    }
}

fn access_to(exceptions: &Exceptions, nodes: Nodes) -> u8 {
    exceptions.iter().find(|(known, _)| *known == nodes).map_or(0, |(_, access)| *access)
}

#[cfg(test)]
mod tests {
    use super::super::rules::rules;
    use super::*;

    const DEFAULTS: usize = 11;

    fn list(json: &str) -> Result<List> {
        List::of(&rules(&serde_json::from_str::<Vec<_>>(json).unwrap())?)
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|(file, rule)| format!("{} {rule}", &file["devices.".len()..])).collect()
    }

    #[test]
    fn everything_is_denied_first_and_once() {
        for json in ["[]", r#"[{"allow":false,"access":"rwm"}]"#, r#"[{"allow":true},{"allow":false}]"#] {
            let lines = texts(list(json).unwrap().lines());
            assert_eq!(lines[0], "deny a");
            assert!(lines.len() == 1 + DEFAULTS && lines[1..].iter().all(|line| line.starts_with("allow ")));
        }
    }

    #[test]
    fn allowing_everything_needs_no_exceptions() {
        assert_eq!(texts(list(r#"[{"allow":true}]"#).unwrap().lines()), ["allow a"]);
        let but = r#"[{"allow":true},{"allow":false,"type":"b","major":8,"access":"w"}]"#;
        assert_eq!(texts(list(but).unwrap().lines()), ["allow a", "deny b 8:* w"]);
    }

    #[test]
    fn a_hole_in_a_wildcard_is_refused() {
        let hole = r#"[{"allow":true,"type":"c","major":10,"access":"rw"},
                       {"allow":false,"type":"c","major":10,"minor":229,"access":"r"}]"#;
        let refused = list(hole).unwrap_err().to_string();
        assert!(refused.contains("[c 10:229 r]") && refused.contains("[c 10:* r]"), "{refused}");
    }

    #[test]
    fn an_update_writes_the_difference_and_gains_first() {
        let old = r#"[{"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"}]"#;
        let new = r#"[{"allow":true,"type":"c","major":10,"minor":229,"access":"r"},
                      {"allow":true,"type":"b","major":7,"minor":-1,"access":"r"}]"#;
        let (old, new) = (list(old).unwrap(), list(new).unwrap());
        assert_eq!(texts(old.transition(&new)), ["allow b 7:* r", "deny c 10:229 wm"]);
        assert_eq!(texts(old.transition(&old)), [""; 0]);
        assert!(!old.is_turned_by(&new));
    }

    #[test]
    fn the_kernels_list_is_read_back() {
        let target = list("[]").unwrap();
        let text: String =
            target.exceptions.iter().map(|(nodes, access)| line(*nodes, *access) + "\n").collect();
        assert_eq!(List::parse(&text), Some(target));
        assert!(List::parse("a *:* rwm\n").unwrap().allow);
        assert_eq!(List::parse("x 1:2 r\n"), None);
    }
}
