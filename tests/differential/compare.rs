//! The judgement: field by field, ours against the peers', with the intended differences taken away.
//!
//! A field is right when it equals what at least one peer has, among those whose difference is not intended. Where no
//! peer is left to ask, nothing is wrong.
#![forbid(unsafe_code)]

use super::facts::Facts;
use super::flow::{COMPLAINT, REPORT};
use super::intended::{INTENDED, Intended, LACKS, Ruling};
use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;

/// What counts of a bundle that is refused, beside what lies beside its root file system.
const ALWAYS: [&str; 5] = ["exit", REPORT, "left.state", "left.cgroups", "left.mounts"];
const ABSENT: &str = "(absent)";

/// A peer's name and what it had.
pub(crate) type Peer<'a> = (&'static str, &'a Facts);

/// The number of fields compared, or a text that tells the differences.
pub(crate) fn judge(case: &str, ours: &Facts, theirs: &[Peer<'_>]) -> Result<usize, String> {
    if theirs.is_empty() {
        return Ok(0);
    }
    if env::var_os(super::stage::VERBOSE).is_some() {
        tell_disagreement(case, ours, theirs);
    }
    if let Some(property) = lacking(ours) {
        super::say(&format!("{case}: not compared: {property} is not supported by this version"));
        return is_clean(ours)
            .then_some(0)
            .ok_or_else(|| format!("case `{case}`: refused, but left something: {ours:?}\n"));
    }
    // Without a report all fields differ: a peer that has one where we have none, or the other way round, says no more
    // than that. It counts when no peer did as we did.
    let alike = |(_, facts): &&Peer<'_>| facts.get(REPORT) == ours.get(REPORT);
    let silent = !theirs.iter().any(|peer| alike(&peer));
    let theirs: Vec<Peer<'_>> = theirs.iter().filter(|peer| silent || alike(peer)).copied().collect();
    let theirs = theirs.as_slice();
    let all = ours.keys().chain(theirs.iter().flat_map(|(_, facts)| facts.keys())).map(String::as_str);
    let names: BTreeSet<&str> =
        all.filter(|name| !silent || ALWAYS.contains(name) || name.starts_with("beside.")).collect();
    let mut text = String::new();
    let mut wrong = 0;
    // How far a refused bundle came before it was refused is nobody's business.
    let refused = ours.get(REPORT).is_some_and(|report| report == "none");
    let compared = names.iter().filter(|&&name| {
        name != COMPLAINT && !(refused && name.starts_with("left.") && !ALWAYS.contains(&name))
    });
    for &name in compared.clone() {
        if !is_right(case, name, ours, theirs) {
            wrong += 1;
            tell(&mut text, case, name, ours, theirs);
        }
    }
    let fields = compared.count();
    if wrong == 0 {
        return Ok(fields);
    }
    for (name, facts) in [("riverrun", ours)].into_iter().chain(theirs.iter().copied()) {
        let complaint = facts.get(COMPLAINT).map_or("", String::as_str);
        if !complaint.is_empty() {
            let _ = writeln!(text, "  {name} says: {complaint}");
        }
    }
    Err(format!("case `{case}`: {wrong} of {fields} fields\n{text}"))
}

fn is_right(case: &str, name: &str, ours: &Facts, theirs: &[Peer<'_>]) -> bool {
    let own = value(ours, name);
    let mut asked = 0;
    for (peer, facts) in theirs {
        match intention(case, name, peer).map(|row| &row.ruling) {
            Some(Ruling::Ignore) => {}
            Some(Ruling::Want(wanted)) if matches(wanted, own) => return true,
            Some(Ruling::Want(_)) => asked += 1,
            Some(Ruling::Accept(wanted)) if matches(wanted, own) => return true,
            Some(Ruling::Accept(_)) | None if value(facts, name) == own => return true,
            Some(Ruling::Accept(_)) | None => asked += 1,
        }
    }
    asked == 0
}

/// The property for which ours refuses the bundle, if the table knows that.
fn lacking(ours: &Facts) -> Option<&'static str> {
    let complaint = ours.get(COMPLAINT)?;
    let refuses =
        |property: &&&str| complaint.contains(&format!("{property}: not supported by this version"));
    LACKS.iter().find(refuses).copied()
}

fn is_clean(facts: &Facts) -> bool {
    let nothing = [("left.state", "nothing"), ("left.cgroups", "0"), ("left.mounts", "0")];
    nothing.iter().all(|(name, wanted)| value(facts, name) == *wanted)
}

/// The first row of the table that speaks of this field and this peer.
fn intention(case: &str, field: &str, peer: &str) -> Option<&'static Intended> {
    let speaks =
        |row: &&Intended| matches(row.peer, peer) && matches(row.case, case) && matches(row.field, field);
    INTENDED.iter().find(speaks)
}

fn value<'a>(facts: &'a Facts, name: &str) -> &'a str {
    facts.get(name).map_or(ABSENT, String::as_str)
}

fn tell(text: &mut String, case: &str, name: &str, ours: &Facts, theirs: &[Peer<'_>]) {
    let _ = writeln!(text, "  {name}\n      riverrun  {:?}", value(ours, name));
    for (peer, facts) in theirs {
        let aside = match intention(case, name, peer) {
            Some(Intended { ruling: Ruling::Ignore, reason, .. }) => format!(" (not asked: {reason})"),
            Some(Intended { ruling: Ruling::Want(wanted), reason, .. }) => {
                format!(" (we want {wanted:?}: {reason})")
            }
            Some(Intended { ruling: Ruling::Accept(wanted), reason, .. }) => {
                format!(" (or {wanted:?}: {reason})")
            }
            None => String::new(),
        };
        let _ = writeln!(text, "      {peer:9} {:?}{aside}", value(facts, name));
    }
}

/// For reading, not for judging: where the peers differ, and whom we follow.
fn tell_disagreement(case: &str, ours: &Facts, theirs: &[Peer<'_>]) {
    let [(_, first), (_, second)] = theirs else { return };
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let silent = first.get(REPORT) != second.get(REPORT);
    let mut text = format!("case `{case}`: runc and crun disagree\n");
    let before = text.len();
    for name in names.into_iter().filter(|name| if silent { *name == COMPLAINT } else { *name != COMPLAINT })
    {
        if value(first, name) != value(second, name) {
            tell(&mut text, case, name, ours, theirs);
        }
    }
    if text.len() > before {
        super::say(&text);
    }
}

/// Whether `text` is what `pattern` says; `*` stands for any text, the empty one too.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    rest.is_empty() || text.char_indices().any(|(at, _)| matches(rest, &text[at..])) || matches(rest, "")
}

#[test]
fn pattern_with_stars_matches_any_text_between() {
    assert!(matches("mount.*.super", "mount./proc/acpi.super"));
    assert!(matches("*", ""));
    assert!(matches("a*", "a"));
    assert!(!matches("mount.*.super", "mount./proc.options"));
    assert!(!matches("fd.1", "fd.10"));
}

#[test]
fn field_that_no_peer_has_is_a_difference() {
    let fact = |value: &str| Facts::from([("x".to_owned(), value.to_owned())]);
    let (one, two, none) = (fact("1"), fact("2"), Facts::new());
    assert!(judge("none", &one, &[("runc", &two), ("crun", &one)]).is_ok());
    let text = judge("none", &one, &[("runc", &two), ("crun", &none)]).unwrap_err();
    assert!(text.contains("riverrun  \"1\"") && text.contains("\"(absent)\""), "{text}");
}
