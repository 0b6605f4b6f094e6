//! The tests that the documents name are there: a claim that points to a test nobody has is no claim.
//!
//! A name is what stands between backquotes in `docs/` and has three underscores at least; `…` at its end leaves the rest
//! out. It is there if a function, a story's check, a golden plan, a case or a claim of the bindings begins with it.
#![forbid(unsafe_code)]

use crate::source::Source;

/// What stands before the name where it is defined.
const BEFORE: &[&str] = &["fn ", "check_", "full_", "\""];

pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let documents = sources.iter().filter(|source| source.path.starts_with("docs/"));
    let others: Vec<&Source> = sources.iter().filter(|source| !source.path.ends_with(".md")).collect();
    let named =
        documents.flat_map(|document| names(&document.text).map(move |(at, name)| (document, at, name)));
    named
        .filter(|(_, _, name)| !others.iter().any(|source| defines(source, name)))
        .map(|(document, at, name)| document.at(at, &format!("there is no test {name}")))
        .collect()
}

fn names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let quoted = text.match_indices('`').filter_map(|(at, _)| {
        let inside = text[at + 1..].split('`').next()?;
        Some((at, inside.trim_end_matches(['…', '*'])))
    });
    quoted.filter(|(_, name)| {
        let is_word = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
        name.bytes().all(is_word) && name.trim_matches('_').matches('_').count() >= 3
    })
}

fn defines(source: &Source, name: &str) -> bool {
    if source.path.starts_with("tests/plan/") {
        return source.path["tests/plan/".len()..].starts_with(name);
    }
    let is_claim = source.path == "bindings/claims.txt";
    source
        .text
        .match_indices(name)
        .any(|(at, _)| is_claim || BEFORE.iter().any(|before| source.text[..at].ends_with(before)))
}

#[test]
fn name_without_a_test_is_found() {
    let document = "`a_test_that_is`, `a_test_that_is_not_th…`, `a_golden_plan_too`, `too_short`.";
    let sources = [
        Source::new("docs/a.md", document),
        Source::new("tests/a.rs", "fn a_test_that_is() { a_test_that_is_not_there(); }"),
        Source::new("tests/plan/a_golden_plan_too.json", "{}"),
    ];
    assert_eq!(check(&sources), ["docs/a.md:1: there is no test a_test_that_is_not_th"]);
}
