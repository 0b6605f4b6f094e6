//! Who may name whom: the layers as one table, and the check of every `crate::`, `super::`, `std::` path against it.
//!
//! What is looked at is the code before the unit tests. It is not a resolver: macros and inline modules are read as if
//! they stood in the file's own module, which is how this project writes them.
#![forbid(unsafe_code)]

use crate::source::Source;

/// Where a file, or what a path names, belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// A name of the table.
    layer: &'static str,
    /// The domain folder, for `plan`, `apply` and `domain`.
    domain: String,
}

/// A layer and the layers that it may name beside itself. `own plan`: the plan of the same domain only.
const TABLE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("wording", &[]),
    ("sys", &[]),
    ("wire", &["sys"]),
    ("spec", &["error", "wording", "sys", "wire"]),
    ("host", &["error", "wording", "sys", "wire"]),
    ("plan", &["error", "wording", "spec", "host", "wire", "own domain"]),
    ("apply", &["error", "wording", "sys", "wire", "own plan", "own domain"]),
    ("domain", &["error", "wording", "sys", "wire", "spec", "host", "own plan", "own apply"]),
    ("state", &["error", "wording", "spec", "sys"]),
    ("runtime", &["error", "wording", "sys", "wire", "spec", "host", "plan", "apply", "domain", "state"]),
    ("ffi", &[]), // and what lib.rs re-exports, as everybody outside
    ("init", &[]),
    ("bin", &[]),
    (
        "lib",
        &[
            "ffi", "runtime", "spec", "error", "state", "host", "plan", "domain", "sys", "wire", "wording",
            "apply",
        ],
    ),
];

/// A layer that must not reach beyond the program: these roots of other crates are closed to it.
const PURE: &str = "plan";
const IMPURE: &[&str] = &["std::fs", "std::env", "std::process", "std::net", "std::thread", "nix", "rustix"];

/// The only file outside the init program that it compiles too.
const SHARED_WITH_INIT: &str = "../wire.rs";

/// Checks all files.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let exports = sources.iter().find(|source| source.path == "src/lib.rs").map(exports).unwrap_or_default();
    let modules = top_modules(sources);
    sources
        .iter()
        .filter(|source| source.is_rust() && source.path.starts_with("src/") && !source.is_test())
        .flat_map(|source| check_file(source, &modules, &exports))
        .collect()
}

fn check_file(source: &Source, modules: &[String], exports: &[(String, String)]) -> Vec<String> {
    let module = module_of(&source.path);
    let room = room_of(&module, modules);
    let mut wrong = Vec::new();
    match room.layer {
        "bin" => return foreign(source, "riverrun::ffi", "bin names ffi"),
        "init" => {
            wrong.extend(foreign(source, "riverrun", "init names riverrun"));
            wrong.extend(shared_paths(source));
            return wrong;
        }
        _ => {}
    }
    for (offset, path) in references(source.product(), &module) {
        let first = path.first().map(String::as_str).unwrap_or_default();
        let exported = exports.iter().find(|(name, _)| name == first);
        if room.layer == "ffi" && (exported.is_some() || !modules.iter().any(|module| module == first)) {
            continue; // the public API
        }
        let named = match exported {
            Some((_, home)) => room_of(std::slice::from_ref(home), modules),
            None if modules.iter().any(|module| module == first) => room_of(&path, modules),
            None => continue, // a constant or macro of lib.rs
        };
        if !may_name(&room, &named) {
            wrong.push(source.at(offset, &format!("{} names {}", room.title(), named.title())));
        }
    }
    if room.layer == PURE {
        wrong.extend(IMPURE.iter().flat_map(|path| foreign(source, path, &format!("plan names {path}"))));
    }
    wrong
}

impl Room {
    fn title(&self) -> String {
        match self.layer {
            "domain" => self.domain.clone(),
            "plan" | "apply" if !self.domain.is_empty() => format!("{}::{}", self.domain, self.layer),
            layer => layer.to_owned(),
        }
    }
}

fn may_name(room: &Room, named: &Room) -> bool {
    let allowed =
        TABLE.iter().find(|(layer, _)| *layer == room.layer).map_or(&[][..], |(_, allowed)| allowed);
    let same_layer = room.layer == named.layer;
    let same_domain = room.domain == named.domain;
    let own = same_domain && allowed.iter().any(|name| name.strip_prefix("own ") == Some(named.layer));
    // Plans may look at each other; what acts for one domain must not reach into another.
    (same_layer && (same_domain || room.layer == PURE)) || own || allowed.contains(&named.layer)
}

/// `src/mount/plan.rs` is `mount::plan`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Vec<_> = path.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn room_of(module: &[String], modules: &[String]) -> Room {
    let part = |index: usize| module.get(index).map(String::as_str).unwrap_or_default();
    let fixed = |layer| TABLE.iter().map(|(name, _)| *name).find(|name| *name == layer && *name != "domain");
    let room = |layer, domain: &str| Room { layer, domain: domain.to_owned() };
    match (part(0), part(1)) {
        (first, _) if fixed(first).is_some() => room(fixed(first).unwrap_or_default(), ""),
        (domain, second @ ("plan" | "apply")) => room(fixed(second).unwrap_or_default(), domain),
        (domain, _) if modules.iter().any(|module| module == domain) => room("domain", domain),
        _ => room("lib", ""),
    }
}

fn top_modules(sources: &[Source]) -> Vec<String> {
    let below_src =
        sources.iter().filter(|source| source.is_rust()).filter_map(|s| s.path.strip_prefix("src/"));
    let mut modules: Vec<_> = below_src
        .map(|path| path.split('/').next().unwrap_or(path).trim_end_matches(".rs").to_owned())
        .collect();
    modules.retain(|module| module != "lib" && module != "bin" && module != "init");
    modules.dedup();
    modules
}

/// What lib.rs re-exports, each with the module that it comes from.
fn exports(lib: &Source) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, mark) in lib.code.match_indices("pub use ") {
        let statement = lib.code[at + mark.len()..].split(';').next().unwrap_or_default();
        for path in expand(statement) {
            let shown = path.last().and_then(|last| last.split(" as ").last()).unwrap_or_default();
            if let Some(home) = path.first().filter(|_| path.len() > 1) {
                found.push((shown.trim().to_owned(), home.clone()));
            }
        }
    }
    found
}

/// Every path from the crate's root that a file's code names, with where it stands.
fn references(code: &str, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (root, up) in [("crate::", None), ("super::", Some(1))] {
        for at in starts(code, root) {
            let mut rest = &code[at + root.len()..];
            let mut up = up;
            while let Some(more) = rest.strip_prefix("super::") {
                (rest, up) = (more, up.map(|levels| levels + 1));
            }
            let base = up.map_or(&[][..], |levels| &module[..module.len().saturating_sub(levels)]);
            for path in expand(rest) {
                let path: Vec<_> = base.iter().cloned().chain(path).collect();
                match uses_of_module(code, &path) {
                    uses if uses.is_empty() => found.push((at, path)),
                    uses => found.extend(uses),
                }
            }
        }
    }
    found
}

/// `use crate::mount;` names what is then named through it: `mount::plan::steps` is what counts.
fn uses_of_module(code: &str, path: &[String]) -> Vec<(usize, Vec<String>)> {
    let [import] = path else { return Vec::new() };
    let (module, local) = import.split_once(" as ").unwrap_or((import, import));
    let root = format!("{local}::");
    let paths = starts(code, &root)
        .flat_map(|at| expand(&code[at + root.len()..]).into_iter().map(move |path| (at, path)));
    paths.map(|(at, path)| (at, std::iter::once(module.to_owned()).chain(path).collect())).collect()
}

/// Where a path with this root starts: not in the middle of another path or word.
fn starts<'code>(code: &'code str, root: &'code str) -> impl Iterator<Item = usize> + 'code {
    code.match_indices(root).map(|(at, _)| at).filter(|at| {
        let before = code[..*at].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric() && !['_', ':', '$'].contains(&letter))
    })
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`. Ends where the path does.
fn expand(text: &str) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let items = split_group(group).into_iter().flat_map(expand);
            return items.map(|item| path.iter().cloned().chain(item).collect()).collect();
        }
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let renamed = after.trim_start().strip_prefix("as ").map(|alias| {
            let alias = alias.trim_start();
            &alias[..alias
                .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .unwrap_or(alias.len())]
        });
        match renamed {
            Some(alias) => path.push(format!("{name} as {alias}")),
            None if name.is_empty() && after.starts_with('*') => path.push("*".to_owned()),
            None if name.is_empty() => {}
            None => path.push(name.to_owned()),
        }
        match after.strip_prefix("::") {
            Some(more) if renamed.is_none() => rest = more.trim_start(),
            _ => return vec![path],
        }
    }
}

/// The items of a group, without those of the groups in it.
fn split_group(group: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut depth, mut from) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(group[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
        if letter == '}' && depth == 0 && from == at + 1 {
            break;
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

/// Uses of a path of another crate.
fn foreign(source: &Source, path: &str, message: &str) -> Vec<String> {
    let (root, rest) = path.split_once("::").unwrap_or((path, ""));
    let root = format!("{root}::");
    let named = starts(source.product(), &root).filter(|at| {
        let paths = expand(&source.product()[at + root.len()..]);
        rest.is_empty() || paths.iter().any(|path| path.first().is_some_and(|first| first == rest))
    });
    named.map(|at| source.at(at, message)).collect()
}

fn shared_paths(source: &Source) -> Vec<String> {
    let elsewhere = source.text.match_indices("#[path = \"").filter(|(at, mark)| {
        let target = &source.text[at + mark.len()..];
        !target.starts_with(&format!("{SHARED_WITH_INIT}\""))
    });
    elsewhere.map(|(at, _)| source.at(at, "init compiles another file than wire.rs")).collect()
}

#[cfg(test)]
fn wrong(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    check(&sources)
}

#[test]
fn plan_that_names_a_module_above_is_red() {
    let files = [("src/ffi/mod.rs", ""), ("src/plan.rs", "\n\n\nuse crate::ffi::x;\n")];
    assert_eq!(wrong(&files), ["src/plan.rs:4: plan names ffi"]);
}

#[test]
fn imported_module_counts_as_what_is_named_through_it() {
    let plan =
        "use crate::{mount, device as nodes};\nfn a() {\n    mount::plan::b();\n    nodes::apply::c();\n}\n";
    let files = [("src/device/mod.rs", ""), ("src/mount/mod.rs", ""), ("src/plan.rs", plan)];
    assert_eq!(wrong(&files), ["src/plan.rs:4: plan names device::apply"]);
}

#[test]
fn plan_is_pure() {
    let text = "use std::{collections::BTreeMap, fs};\nuse crate::sys::clone;\nuse std::path::Path;\n";
    let files = [("src/sys/mod.rs", ""), ("src/mount/mod.rs", ""), ("src/mount/plan.rs", text)];
    assert_eq!(
        wrong(&files),
        ["src/mount/plan.rs:2: mount::plan names sys", "src/mount/plan.rs:1: plan names std::fs"]
    );
}

#[test]
fn apply_names_its_own_plan_and_no_other() {
    let text = "use super::plan::Step;\nuse crate::{error::Error, device::{plan, apply}};\n";
    let files = [
        ("src/device/mod.rs", ""),
        ("src/error.rs", ""),
        ("src/mount/apply.rs", text),
        ("src/mount/apply/mask.rs", "use super::super::plan::Step;\n"),
    ];
    assert_eq!(
        wrong(&files),
        [
            "src/mount/apply.rs:2: mount::apply names device::plan",
            "src/mount/apply.rs:2: mount::apply names device::apply"
        ]
    );
}

#[test]
fn re_exports_count_as_where_they_come_from() {
    let lib = "mod error;\npub use error::{Error, Kind};\npub use runtime::Container as Box;\npub const V: u8 = 1;\n";
    let state = "use crate::{Error, V};\nfn f() -> crate::Box { loop {} }\n";
    let ffi = "use crate::{Error, Box};\nuse crate::runtime::Inner;\n";
    let files = [
        ("src/error.rs", ""),
        ("src/ffi/mod.rs", ffi),
        ("src/lib.rs", lib),
        ("src/runtime/mod.rs", ""),
        ("src/state/mod.rs", state),
    ];
    assert_eq!(
        wrong(&files),
        ["src/ffi/mod.rs:2: ffi names runtime", "src/state/mod.rs:2: state names runtime"]
    );
}

#[test]
fn init_stands_alone() {
    let text = "#[path = \"../wire.rs\"]\nmod wire;\n#[path = \"../error.rs\"]\nmod error;\nuse crate::wire::Step;\nuse riverrun::Error;\n";
    let red = wrong(&[("src/init/main.rs", text)]);
    assert_eq!(
        red,
        [
            "src/init/main.rs:6: init names riverrun",
            "src/init/main.rs:3: init compiles another file than wire.rs"
        ]
    );
}

#[test]
fn unit_tests_and_comments_name_whom_they_like() {
    let text =
        "// crate::ffi\nconst A: &str = \"crate::ffi\";\n#[cfg(test)]\nmod tests { use crate::ffi; }\n";
    assert!(wrong(&[("src/ffi/mod.rs", ""), ("src/plan.rs", text)]).is_empty());
}
