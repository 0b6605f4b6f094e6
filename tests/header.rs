//! The committed `include/riverrun.h` is what cbindgen makes of `src/ffi` today, and man/man3 is what its comments say. That
//! every compiler takes it is `guard.rs`'s claim.
//!
//! With `RIVERRUN_BLESS=1` the first two tests write instead of comparing (`make header`).
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "a test may panic")]

#[path = "header/man.rs"]
mod man;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The files of `src/ffi` in the order in which a reader of the header meets them. `mod.rs` has no items, and
/// what is not here exports nothing; `every_file_with_exports_is_listed` sees to that.
const FILES: &[&str] = &[
    "version",
    "code",
    "error",
    "buf",
    "log",
    "context",
    "call",
    "io",
    "hook",
    "create",
    "container",
    "exec",
    "update",
    "checkpoint",
    "migrate",
    "state",
    "inside",
    "spec",
    "process",
    "stats",
    "events",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml is read");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(root().join(format!("src/ffi/{file}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen understands src/ffi").write(&mut text);
    String::from_utf8(text).expect("the header is UTF-8")
}

#[test]
fn committed_header_is_what_the_sources_say() {
    let path = root().join("include/riverrun.h");
    let now = generated();
    if std::env::var_os("RIVERRUN_BLESS").is_some() {
        fs::create_dir_all(root().join("include")).expect("include/ can be made");
        fs::write(&path, now).expect("the header can be written");
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differing = committed.lines().zip(now.lines()).position(|(old, new)| old != new);
    assert!(
        committed == now,
        "include/riverrun.h is not what src/ffi says, first at line {}: run `make header` and commit the difference",
        differing.unwrap_or_else(|| committed.lines().count().min(now.lines().count())) + 1
    );
}

/// With `RIVERRUN_BLESS=1` it writes them (`make header`).
#[test]
fn committed_man_pages_are_what_the_header_says() {
    let folder = root().join("man/man3");
    let now = man::pages(&generated(), env!("CARGO_PKG_VERSION"));
    if std::env::var_os("RIVERRUN_BLESS").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("man/man3 can be made");
        for (name, text) in now {
            fs::write(folder.join(name), text).expect("a page can be written");
        }
        return;
    }
    let entries = fs::read_dir(&folder).expect("man/man3 is there").flatten();
    let committed: BTreeMap<String, String> = entries
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).expect("a page is read");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    let differing = now.iter().find(|(name, text)| committed.get(*name) != Some(*text)).map(|(name, _)| name);
    let stale = committed.keys().find(|name| !now.contains_key(*name));
    assert!(
        differing.is_none() && stale.is_none(),
        "man/man3 is not what the header says ({:?}): run `make header` and commit the difference",
        differing.or(stale)
    );
}

#[test]
fn every_file_with_exports_is_listed() {
    for entry in fs::read_dir(root().join("src/ffi")).expect("src/ffi is there") {
        let path = entry.expect("src/ffi is read").path();
        let exports = fs::read_to_string(&path).expect("a source is read").contains("#[unsafe(no_mangle)]");
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a source has a name");
        assert!(
            !exports || FILES.contains(&name),
            "{name}.rs exports functions, and tests/header.rs does not list it"
        );
    }
}

/// What each declaration's comment must say, since a reader of the header has nothing else.
#[test]
fn every_declaration_says_since_when() {
    let header = generated();
    let body = header.split_once("#ifdef __cplusplus").expect("the header has a C++ part").0.to_owned()
        + header.split_once("extern \"C\" {").expect("functions are extern C").1;
    let mut comment = String::new();
    for line in body.lines() {
        match line.trim() {
            text if text.starts_with("/**") => comment = text.to_owned(),
            text if text.starts_with('*') => comment.push_str(text.trim_start_matches('*')),
            text if line.starts_with("typedef ")
                || (text.contains("rr_") && text.ends_with(';') && !line.starts_with(' ')) =>
            {
                assert!(
                    text.starts_with("} ") || comment.contains("Since "),
                    "{text} lacks its comment or \"Since\""
                );
                if !text.ends_with('{') {
                    comment.clear();
                }
            }
            text if text.starts_with("#define RR_") => {
                assert!(comment.contains("Since "), "{text} lacks its comment or \"Since\"");
                comment.clear();
            }
            _ => {}
        }
    }
}
