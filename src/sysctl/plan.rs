//! Which kernel parameters a container may have to itself, and where they are below /proc/sys. Pure.
//!
//! Only those that belong to one of the container's own namespaces: every other is the host's, too.
#![forbid(unsafe_code)]

use oci_spec::runtime::{Linux, LinuxNamespaceType as Namespace};

use crate::error::{Error, Kind, Result};
use crate::namespace::plan::NamespacePlan;
use crate::wire::Step;

/// Names, or beginnings of names that end with a dot, and the kind of namespace that they belong to; the kernel's own
/// tables are in ipc/ipc_sysctl.c, ipc/mq_sysctl.c, kernel/utsname_sysctl.c, kernel/ucount.c, net/sysctl_net.c.
const NAMESPACED: [(&str, Namespace); 12] = [
    ("kernel.msgmax", Namespace::Ipc),
    ("kernel.msgmnb", Namespace::Ipc),
    ("kernel.msgmni", Namespace::Ipc),
    ("kernel.sem", Namespace::Ipc),
    ("kernel.shmall", Namespace::Ipc),
    ("kernel.shmmax", Namespace::Ipc),
    ("kernel.shmmni", Namespace::Ipc),
    ("kernel.shm_rmid_forced", Namespace::Ipc),
    ("fs.mqueue.", Namespace::Ipc),
    ("net.", Namespace::Network),
    ("kernel.domainname", Namespace::Uts),
    ("user.", Namespace::User),
];

/// The step that writes `linux.sysctl`, if there is anything to write.
pub(crate) fn settings(linux: &Linux, namespaces: &NamespacePlan) -> Result<Option<Step>> {
    let mut settings = Vec::new();
    for (key, value) in linux.sysctl().iter().flatten() {
        let name = dotted(key);
        allowed(key, &name, namespaces)?;
        settings.push((path(key, &name)?, value.clone()));
    }
    // A map has no order; a plan has. The general comes before the particular: setting net/ipv4/ip_forward sets
    // net/ipv4/conf/*/forwarding.
    settings.sort_by_cached_key(|(path, _): &(String, String)| (path.matches('/').count(), path.clone()));
    Ok((!settings.is_empty()).then_some(Step::Sysctl { settings }))
}

/// Both ways to write a name become one, as sysctl(8) has it: the first separator tells which of `.` and `/` separates;
/// the other is a dot in the name of a device (`net/ipv4/conf/eth0.1/forwarding`).
fn dotted(key: &str) -> String {
    let slashes = key.chars().find(|letter| matches!(letter, '.' | '/')) == Some('/');
    if slashes { swapped(key) } else { key.to_owned() }
}

fn swapped(name: &str) -> String {
    let other = |letter| match letter {
        '.' => '/',
        '/' => '.',
        letter => letter,
    };
    name.chars().map(other).collect()
}

fn allowed(key: &str, name: &str, namespaces: &NamespacePlan) -> Result<()> {
    let refused = |why: &str| Err(Error::new(Kind::InvalidSpec, format!("sysctl {key:?} {why}")));
    if name == "kernel.hostname" {
        return refused("is not allowed as it conflicts with the OCI \"hostname\" field");
    }
    let row = NAMESPACED.iter().find(|(known, _)| {
        name == *known
            || (known.ends_with('.') && name.strip_prefix(known).is_some_and(|rest| !rest.is_empty()))
    });
    match row {
        Some((_, kind)) if namespaces.has_private(*kind) => Ok(()),
        _ => refused("is not in a separate kernel namespace"),
    }
}

/// Where it is below /proc/sys.
fn path(key: &str, name: &str) -> Result<String> {
    let path = swapped(name);
    let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
    if path.split('/').any(bad) {
        return Err(Error::new(Kind::InvalidSpec, format!("sysctl {key:?} is not the name of a parameter")));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(kinds: &[Namespace]) -> NamespacePlan {
        let clone = kinds.iter().fold(0, |all, kind| all | *kind as u64);
        NamespacePlan { clone, ..NamespacePlan::default() }
    }

    fn planned(key: &str, kinds: &[Namespace]) -> Result<Option<Step>> {
        let mut linux = Linux::default();
        linux.set_sysctl(Some([(key.to_owned(), "1".to_owned())].into()));
        settings(&linux, &with(kinds))
    }

    #[test]
    fn each_parameter_needs_the_namespace_that_it_belongs_to() {
        const ALL: [Namespace; 4] = [Namespace::Ipc, Namespace::Network, Namespace::Uts, Namespace::User];
        for (name, kind) in NAMESPACED {
            let name = if name.ends_with('.') { format!("{name}x") } else { name.to_owned() };
            assert!(planned(&name, &[kind]).unwrap().is_some(), "{name}");
            let others: Vec<Namespace> = ALL.into_iter().filter(|other| *other != kind).collect();
            let error = planned(&name, &others).unwrap_err().to_string();
            assert_eq!(error, format!("sysctl {name:?} is not in a separate kernel namespace"));
        }
        for name in
            ["kernel.core_pattern", "vm.overcommit_memory", "kernel.semx", "net", "fs.file-max", "kernel", ""]
        {
            assert!(planned(name, &ALL).is_err(), "{name}");
        }
        assert!(planned("kernel.hostname", &ALL).unwrap_err().to_string().contains("hostname"));
        assert!(planned("kernel/hostname", &ALL).unwrap_err().to_string().contains("hostname"));
    }

    #[test]
    fn both_separators_name_the_same_file() {
        for key in ["net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"] {
            let Some(Step::Sysctl { settings }) = planned(key, &[Namespace::Network]).unwrap() else {
                panic!()
            };
            assert_eq!(settings[0].0, "net/ipv4/conf/eth0.1/forwarding");
        }
    }

    #[test]
    fn a_name_never_climbs() {
        for key in [
            "net//ipv4",
            "net..ipv4",
            "net.",
            "net/../kernel/core_pattern",
            "net.//.kernel.core_pattern",
            "net/./ipv4",
            "net.ipv4.",
            "net/\0",
            "/net/ipv4",
            ".net.ipv4",
        ] {
            let refused = planned(key, &[Namespace::Network]);
            assert!(refused.is_err(), "{key}: {refused:?}");
        }
    }
}
