//! The project's files as the checks see them: found by walking the checkout, with comments and literals blanked out
//! where only code counts.
//!
//! Not a parser. Rust's lexical rules for comments, strings and lifetimes are enough for what is asked here.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

/// Directories that hold nothing of ours.
const SKIPPED: &[&str] = &[".git", "target", "dist"];

/// A text file of the project.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the checkout.
    pub(crate) path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// The same, comments and the insides of literals replaced by spaces; lines stay where they are.
    pub(crate) code: String,
    /// Whether another file compiles it for tests only.
    test_module: bool,
}

impl Source {
    /// A file, or a string that stands for one in a test.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text), test_module: false }
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.test_module || self.path.starts_with("tests/")
    }

    /// The code before the unit tests at its end.
    pub(crate) fn product(&self) -> &str {
        let end = self.code.match_indices("#[cfg(test)]").find_map(|(at, mark)| {
            let after = self.code[at + mark.len()..].trim_start();
            let inline = after.strip_prefix("mod ")?.split(';').next()?.contains('{');
            inline.then_some(at)
        });
        &self.code[..end.unwrap_or(self.code.len())]
    }

    /// `src/plan.rs:4: ` and what is wrong there.
    pub(crate) fn at(&self, offset: usize, message: &str) -> String {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("{}:{line}: {message}", self.path)
    }

    /// Where `word` stands in `code` as a word of its own.
    pub(crate) fn words<'code>(code: &'code str, word: &'code str) -> impl Iterator<Item = usize> + 'code {
        let bytes = code.as_bytes();
        let inner =
            |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        code.match_indices(word)
            .map(|(at, _)| at)
            .filter(move |at| (*at == 0 || !inner(at - 1)) && !inner(at + word.len()))
    }
}

/// All text files of the project, in the order of their paths.
pub(crate) fn all() -> Vec<Source> {
    let mut found = Vec::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    mark_test_modules(&mut found);
    assert!(found.iter().any(|source| source.path == "src/lib.rs"), "no src/lib.rs: is this the checkout?");
    found
}

/// `#[cfg(test)] mod golden;` in `src/plan.rs` makes `src/plan/golden.rs` test code, and what is below it.
pub(crate) fn mark_test_modules(sources: &mut [Source]) {
    let mut paths = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let home = source.path.trim_end_matches(".rs");
        let (folder, file) = home.rsplit_once('/').unwrap_or(("", home));
        let home = if ["mod", "lib", "main"].contains(&file) { folder } else { home };
        for (at, mark) in source.code.match_indices("#[cfg(test)]") {
            let after = source.code[at + mark.len()..].trim_start();
            let declared = after.strip_prefix("mod ").and_then(|rest| rest.split([';', '{']).next());
            paths.extend(declared.map(|name| format!("{home}/{}", name.trim())));
        }
    }
    for source in sources {
        let below = |path: &String| source.path.strip_prefix(path.as_str()).map(str::to_owned);
        source.test_module =
            paths.iter().filter_map(below).any(|rest| rest == ".rs" || rest.starts_with('/'));
    }
}

fn walk(root: &Path, below: &str, found: &mut Vec<Source>) {
    let entries = fs::read_dir(root.join(below)).expect("a directory of the checkout can be read");
    for entry in entries {
        let entry = entry.expect("a directory of the checkout can be read");
        let name = entry.file_name().into_string().expect("file names here are UTF-8");
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type().expect("the type of a directory entry is known");
        // `.git` is a file in a worktree of git.
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, found);
        } else if kind.is_file() {
            // What is not UTF-8 is not text.
            if let Ok(text) = fs::read_to_string(root.join(&path)) {
                found.push(Source::new(&path, &text));
            }
        }
    }
}

/// Replaces comments and the insides of literals by spaces, byte for byte.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_comment(bytes, at),
            b'"' => end_of_string(bytes, at + 1),
            b'r' if starts_raw(bytes, at) => end_of_raw(bytes, at + 1),
            b'\'' => end_of_char(text, at).unwrap_or(at), // or a lifetime
            _ => at,
        };
        if end == at {
            at += 1;
            continue;
        }
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(code).expect("whole literals and comments were replaced by ASCII")
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|found| from + found)
}

fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn end_of_string(bytes: &[u8], inside: usize) -> usize {
    let mut at = inside;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// `r"`, `r#"`, and after `b` or `c` too; but not the `r` that ends a name.
fn starts_raw(bytes: &[u8], at: usize) -> bool {
    let inner = |at: usize| bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_';
    let starts = at == 0 || !inner(at - 1) || (b"bc".contains(&bytes[at - 1]) && (at == 1 || !inner(at - 2)));
    let mut after = at + 1;
    while bytes.get(after) == Some(&b'#') {
        after += 1;
    }
    starts && bytes.get(after) == Some(&b'"')
}

fn end_of_raw(bytes: &[u8], hashes: usize) -> usize {
    let quote = find(bytes, hashes, b"\"").unwrap_or(bytes.len());
    let mut end = vec![b'"'];
    end.extend_from_slice(&bytes[hashes..quote]);
    find(bytes, quote + 1, &end).map_or(bytes.len(), |at| at + end.len())
}

/// The end of a character literal, `None` for a lifetime.
fn end_of_char(text: &str, quote: usize) -> Option<usize> {
    let mut letters = text[quote + 1..].char_indices();
    match letters.next()?.1 {
        '\\' => text[quote + 3..].find('\'').map(|at| quote + 3 + at + 1),
        _ => letters.next().filter(|(_, letter)| *letter == '\'').map(|(at, _)| quote + 1 + at + 1),
    }
}

#[test]
fn blanking_keeps_code_and_lines_only() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("f(\"x\\\"}\") + g", "f(      ) + g"),
        ("r#\"a\"b\"# + r", "         + r"),
        ("br\"}\" x", "b     x"),
        ("var\"x\"", "var   "),
        ("'{' '\\'' &'a str '\\u{7f}' z", "         &'a str          z"),
        ("'ä' x", "     x"),
    ];
    for (text, code) in cases {
        assert_eq!(blank(text), code, "{text}");
    }
}

#[test]
fn product_ends_at_the_unit_tests() {
    let inline = Source::new("src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n");
    assert_eq!(inline.product(), "fn a() {}\n");
    let file = Source::new("src/a.rs", "#[cfg(test)]\nmod tests;\nfn a() { }\n");
    assert!(file.product().contains("fn a"));
}

#[test]
fn module_compiled_for_tests_only_is_test_code() {
    let mut files = [
        Source::new("src/plan.rs", "#[cfg(test)]\nmod golden;\n"),
        Source::new("src/plan/golden.rs", ""),
        Source::new("src/plan/golden/cases.rs", ""),
        Source::new("src/plan/golden_age.rs", ""),
        Source::new("src/sys/mod.rs", "#[cfg(test)]\nmod tests;\n"),
        Source::new("src/sys/tests.rs", ""),
    ];
    mark_test_modules(&mut files);
    assert_eq!(files.map(|file| file.is_test()), [false, true, true, false, false, true]);
}
