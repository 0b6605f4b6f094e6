//! bindings/claims.txt as it is written, and where each claim is kept. No claim is run here: whether a test holds is its own
//! affair, and tests/bindings/run's.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::host::{header_functions, root};

/// Every way to the library. What marks a claim there: the files, and what is before and behind its name.
const DOORS: [(&str, &[&str], &str, &str); 6] = [
    ("c", &["bindings/c/tests/claims.h"], "X(", ")"),
    ("cpp", &["bindings/cpp/tests/claims.cpp"], "CLAIM(", ")"),
    ("go", &["bindings/go/claims_test.go"], "\n\t\"", "\":"),
    ("python", &["bindings/python/tests/claims.py"], "\ndef ", "():"),
    ("rust", &["tests/claims/rust.rs", "tests/claims/streams.rs"], "#[test]\nfn ", "()"),
    ("cli", &["tests/claims/cli.rs"], "#[test]\nfn ", "()"),
];

/// A claim, and the doors that it cannot be kept behind.
struct Claim {
    name: String,
    not: BTreeSet<String>,
}

fn parse(text: &str) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("  but not ") {
            Some(exception) => {
                let (door, reason) =
                    exception.split_once(": ").unwrap_or_else(|| panic!("no reason: {line}"));
                assert!(DOORS.iter().any(|(name, ..)| *name == door) && !reason.trim().is_empty(), "{line}");
                let fresh = claims.last_mut().unwrap().not.insert(door.to_owned());
                assert!(fresh, "twice: {line}");
            }
            None => {
                let (name, promise) = line.split_once(' ').unwrap_or_else(|| panic!("no promise: {line}"));
                assert!(!promise.trim().is_empty() && !name.is_empty(), "{line}");
                claims.push(Claim { name: name.to_owned(), not: BTreeSet::new() });
            }
        }
    }
    claims
}

/// What is between `before` and `behind`, wherever they are.
fn names(text: &str, before: &str, behind: &str) -> BTreeSet<String> {
    let rest = text.split(before).skip(1).filter_map(|rest| rest.split_once(behind));
    // A macro's own definition names none.
    rest.map(|(name, _)| name.to_owned()).filter(|name| name != "name").collect()
}

/// The claims of other tests: a line of documentation, and the test that it belongs to must follow.
fn kept_elsewhere(path: &Path, text: &str, kept: &mut BTreeMap<String, BTreeSet<String>>) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (number, line) in lines.iter().enumerate() {
        let Some((door, names)) = line.strip_prefix("/// Keeps for ").and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        let item = lines[number..].iter().find(|line| !line.starts_with("///"));
        let place = format!("{}:{}", path.display(), number + 1);
        assert_eq!(item, Some(&"#[test]"), "{place}: no test follows");
        let names =
            names.strip_suffix('.').unwrap_or_else(|| panic!("{place}: the line ends without a full stop"));
        let of_door = kept.entry(door.to_owned()).or_default();
        for name in names.split(", ") {
            assert!(of_door.insert(name.to_owned()), "{place}: {name} is kept twice for {door}");
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// What is wrong with a table, given what is kept behind each door.
fn wrong(claims: &[Claim], kept: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (door, ..) in DOORS {
        let kept = kept.get(door).cloned().unwrap_or_default();
        for Claim { name, not } in claims {
            match (kept.contains(name), not.contains(door)) {
                (false, false) => wrong.push(format!("{door} does not keep {name}")),
                (true, true) => {
                    wrong.push(format!("{door} keeps {name}, and claims.txt says that it cannot"))
                }
                _ => {}
            }
        }
        let known: BTreeSet<_> = claims.iter().map(|claim| claim.name.clone()).collect();
        wrong.extend(kept.difference(&known).map(|name| format!("{door} keeps {name}, which nobody claims")));
    }
    wrong
}

#[test]
fn every_claim_is_kept_behind_every_door_or_has_a_reason() {
    let claims = parse(&read(&root().join("bindings/claims.txt")));
    let mut kept = BTreeMap::new();
    let mut tests = Vec::new();
    sources(&root().join("tests"), &mut tests);
    for path in tests.iter().filter(|path| !path.ends_with("claims/table.rs")) {
        kept_elsewhere(path, &read(path), &mut kept);
    }
    for (door, files, before, behind) in DOORS {
        for file in files {
            let mut here = names(&read(&root().join(file)), before, behind);
            // Functions of Python that are no claims begin otherwise; helpers without arguments are few, and these.
            if door == "python" {
                here.retain(|name| name.contains('_') && claims.iter().any(|claim| claim.name == *name));
            }
            let of_door = kept.entry(door.to_owned()).or_default();
            for name in here {
                assert!(of_door.insert(name.clone()), "{file}: {name} is kept twice for {door}");
            }
        }
    }
    let wrong = wrong(&claims, &kept);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A function that no claim needs is one that no test has seen a program use.
#[test]
fn claims_of_c_call_every_function_of_the_header() {
    let sources = ["claims.c", "claims.h", "life.c", "more.c"].map(|name| format!("bindings/c/tests/{name}"));
    let text: String = sources
        .iter()
        .map(String::as_str)
        .chain(["tests/abi/check.h"])
        .map(|file| read(&root().join(file)))
        .collect();
    let calls = |function: &String| text.contains(&format!("{function}("));
    let missing: Vec<_> = header_functions().into_iter().filter(|function| !calls(function)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_claim_that_is_missing_or_unknown_or_kept_against_the_table_is_seen() {
    let claims = parse("# about\nfirst    a promise\n  but not go: a reason\nsecond   another\n");
    let everything = |not: &[(&str, &str)]| {
        let mut kept = BTreeMap::new();
        for (door, ..) in DOORS {
            let names = ["first", "second"].into_iter().filter(|name| !not.contains(&(door, *name)));
            kept.insert(door.to_owned(), names.map(str::to_owned).collect::<BTreeSet<_>>());
        }
        kept
    };
    assert_eq!(wrong(&claims, &everything(&[("go", "first")])), [""; 0]);
    assert_eq!(wrong(&claims, &everything(&[])), ["go keeps first, and claims.txt says that it cannot"]);
    let lacking = everything(&[("go", "first"), ("cli", "second")]);
    assert_eq!(wrong(&claims, &lacking), ["cli does not keep second"]);
    let mut more = everything(&[("go", "first")]);
    more.get_mut("rust").unwrap().insert("third".to_owned());
    assert_eq!(wrong(&claims, &more), ["rust keeps third, which nobody claims"]);
}

#[test]
fn a_line_of_documentation_maps_a_test_to_its_claims() {
    let mut kept = BTreeMap::new();
    let text = "/// What it is for.\n///\n/// Keeps for rust: first, second.\n#[test]\nfn some_test() {}\n";
    kept_elsewhere(Path::new("some.rs"), text, &mut kept);
    assert_eq!(kept["rust"], BTreeSet::from(["first".to_owned(), "second".to_owned()]));
    let orphan = std::panic::catch_unwind(|| {
        kept_elsewhere(
            Path::new("some.rs"),
            "/// Keeps for cli: first.\nfn no_test() {}\n",
            &mut BTreeMap::new(),
        );
    });
    assert!(orphan.is_err());
}
