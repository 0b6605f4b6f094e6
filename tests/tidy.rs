//! Checks the house: what the compiler and clippy do not see of how this project is written.
//!
//! The rules are those of the contributors' guide: layers point down, files and functions end before one loses the
//! thread, every file begins by telling what it is, unsafe code has its rooms, nothing is left half done. Each rule is a
//! test over all files, and has a test of its own that it can go red.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "a checkout that cannot be read ends the check")]

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/named.rs"]
mod named;
#[path = "tidy/source.rs"]
mod source;

use source::Source;

const FILE_WALL: usize = 600;
const FUNCTION_WALL: usize = 80;

/// Files and functions (`path` or `path: name`) that may pass the wall, because they are tables.
const TABLES: &[&str] = &[];

/// Rooms of `src/` where unsafe code may be.
const UNSAFE_ROOMS: &[&str] = &["src/sys/", "src/ffi/", "src/init/"];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: &[&str] = &["utils.rs", "util.rs", "helpers.rs", "helper.rs", "common.rs", "misc.rs"];

/// Written in two halves, so that this file does not hold what it looks for.
const MARK: &str = concat!("TO", "DO");
const UNFINISHED: &[&str] =
    &[concat!("to", "do!"), concat!("unimpl", "emented!"), concat!("#[ig", "nore"), concat!(".unw", "rap()")];
/// Places of the machines that this is written on, and hosts that packages come from; the path of the checkout itself is
/// added where it is looked for.
const FOREIGN: &[&str] = &[
    concat!("/ro", "ot/."),
    concat!("/ho", "me/runner"),
    concat!("/wo", "rk/main"),
    concat!("/wo", "rk/shared"),
    concat!("/wo", "rk/."),
    concat!("crates", ".io"),
    concat!("proxy.", "golang.org"),
    concat!("pypi", ".org"),
    concat!("registry.", "npmjs.org"),
    concat!("deb.", "debian.org"),
];
/// What every lock file says of every package.
const LOCK_SOURCE: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

type Rule = fn(&Source) -> Vec<String>;

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} untidy:\n{}", wrong.len(), wrong.join("\n"));
}

fn check(rule: Rule, applies: impl Fn(&Source) -> bool) {
    let wrong: Vec<_> = source::all().iter().filter(|source| applies(source)).flat_map(rule).collect();
    assert_none(&wrong);
}

fn in_src(source: &Source) -> bool {
    source.is_rust() && source.path.starts_with("src/")
}

// ---- the rules, over all files -------------------------------------------------------------------------------------

#[test]
fn no_module_names_one_above_it() {
    assert_none(&layers::check(&source::all()));
}

#[test]
fn files_end_before_the_wall() {
    check(file_length, Source::is_rust);
}

#[test]
fn functions_end_before_the_wall() {
    check(function_lengths, Source::is_rust);
}

#[test]
fn every_file_begins_by_telling_what_it_is() {
    check(header, Source::is_rust);
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    check(unsafe_room, in_src);
}

#[test]
fn every_unsafe_block_is_argued_for() {
    check(safety, Source::is_rust);
}

#[test]
fn file_names_say_something() {
    check(file_name, Source::is_rust);
}

#[test]
fn nothing_is_left_unfinished() {
    check(unfinished, |source| source.is_rust() && !source.is_test());
    check(marks, |_| true);
}

#[test]
fn no_file_knows_a_machine_or_a_registry() {
    check(foreign_words, |_| true);
}

#[test]
fn tests_that_the_documents_name_are_there() {
    assert_none(&named::check(&source::all()));
}

/// The table of mounts is as long as the host has containers: reading it once a create is what makes others slow there.
#[test]
fn nobody_reads_the_table_of_mounts() {
    let is_names = |source: &Source| source.path == "src/seccomp/numbers.rs"; // of all calls
    let is_containers = |source: &Source| source.path == "src/runtime/checkpoint.rs"; // its own table
    check(table_of_mounts, |source| {
        in_src(source) && !source.is_test() && !is_names(source) && !is_containers(source)
    });
}

// ---- the rules, each over one file ---------------------------------------------------------------------------------

fn table_of_mounts(source: &Source) -> Vec<String> {
    let names = ["/mountinfo", "/proc/mounts", "/mounts\"", "listmount"];
    let found = names.iter().flat_map(|name| source.text.match_indices(name));
    found.map(|(at, name)| source.at(at, &format!("names {name}"))).collect()
}

fn file_length(source: &Source) -> Vec<String> {
    let lines = source.product().lines().count();
    let wrong = lines > FILE_WALL && !TABLES.contains(&source.path.as_str());
    wrong
        .then(|| format!("{}: {lines} lines before its tests, the wall is {FILE_WALL}", source.path))
        .into_iter()
        .collect()
}

fn function_lengths(source: &Source) -> Vec<String> {
    let code = &source.code;
    let mut wrong = Vec::new();
    for at in Source::words(code, "fn") {
        let name: String = code[at + 2..]
            .trim_start()
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        let Some(body) = body_of(&code[at..]).filter(|_| !name.is_empty()) else {
            continue; // a declaration, or a type
        };
        let lines = body.lines().count();
        if lines > FUNCTION_WALL && !TABLES.contains(&format!("{}: {name}", source.path).as_str()) {
            wrong.push(source.at(at, &format!("{name} has {lines} lines, the wall is {FUNCTION_WALL}")));
        }
    }
    wrong
}

/// From `fn` to the brace that closes its body; `None` when it ends without one.
fn body_of(code: &str) -> Option<&str> {
    let mut depth = 0_i32;
    let mut in_body = false;
    for (at, letter) in code.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' => (depth, in_body) = (depth + 1, true),
            '}' => depth -= 1,
            ';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None; // the end of what a function type stood in
        }
        if in_body && depth == 0 {
            return Some(&code[..=at]);
        }
    }
    None
}

fn header(source: &Source) -> Vec<String> {
    let missing = !source.text.starts_with("//!");
    missing.then(|| source.at(0, "does not begin with //! and what it is")).into_iter().collect()
}

fn unsafe_room(source: &Source) -> Vec<String> {
    // The attribute in lib.rs would hold for the rooms too.
    if source.path == "src/lib.rs" || UNSAFE_ROOMS.iter().any(|room| source.path.starts_with(room)) {
        return Vec::new();
    }
    let mut wrong: Vec<_> =
        Source::words(&source.code, "unsafe").map(|at| source.at(at, "unsafe outside its rooms")).collect();
    if !source.code.contains("#![forbid(unsafe_code)]") {
        wrong.push(source.at(0, "no #![forbid(unsafe_code)]"));
    }
    wrong
}

fn safety(source: &Source) -> Vec<String> {
    let blocks = Source::words(&source.code, "unsafe").filter(|at| {
        let after = source.code[at + "unsafe".len()..].trim_start();
        after.starts_with('{') || after.starts_with("impl ")
    });
    blocks
        .filter(|at| !is_argued(source, *at))
        .map(|at| source.at(at, "unsafe without a SAFETY comment"))
        .collect()
}

/// Whether the lines above, up to the start of the statement and through the comment before it, argue.
fn is_argued(source: &Source, at: usize) -> bool {
    let line = source.text[..at].matches('\n').count();
    let (texts, codes): (Vec<_>, Vec<_>) = (source.text.lines().collect(), source.code.lines().collect());
    for above in (0..line).rev() {
        let (text, code) = (texts[above].trim(), codes[above].trim());
        if text.contains("SAFETY:") {
            return true;
        }
        let is_comment = text.starts_with("//");
        let goes_on = !text.is_empty() && !code.ends_with([';', '{', '}']);
        if !is_comment && !goes_on {
            return false;
        }
    }
    false
}

fn file_name(source: &Source) -> Vec<String> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    EMPTY_NAMES
        .contains(&name)
        .then(|| format!("{}: a name that says nothing", source.path))
        .into_iter()
        .collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    let code = source.product();
    let found = UNFINISHED.iter().flat_map(|word| code.match_indices(word));
    found.map(|(at, word)| source.at(at, &format!("{word} outside tests"))).collect()
}

/// A mark without the number of an issue is a note to nobody.
fn marks(source: &Source) -> Vec<String> {
    let unnumbered = Source::words(&source.text, MARK).filter(|at| {
        let number =
            source.text[at + MARK.len()..].strip_prefix("(#").and_then(|rest| rest.split(')').next());
        !number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    unnumbered.map(|at| source.at(at, &format!("{MARK} without (#number)"))).collect()
}

fn foreign_words(source: &Source) -> Vec<String> {
    let is_lock = source.path.ends_with("Cargo.lock");
    let text = if is_lock {
        source.text.replace(LOCK_SOURCE, &"-".repeat(LOCK_SOURCE.len()))
    } else {
        source.text.clone()
    };
    let words = FOREIGN.iter().chain(std::iter::once(&env!("CARGO_MANIFEST_DIR")));
    let found = words.flat_map(|word| text.match_indices(word));
    found.map(|(at, word)| source.at(at, &format!("{word} is of one machine or registry"))).collect()
}

// ---- each rule can go red ------------------------------------------------------------------------------------------

fn count(rule: Rule, path: &str, text: &str) -> usize {
    rule(&Source::new(path, text)).len()
}

#[test]
fn long_file_is_red_and_its_tests_do_not_count() {
    let long = "//! x\n".repeat(FILE_WALL + 1);
    assert_eq!(count(file_length, "src/a.rs", &long), 1);
    let tested = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "// x\n".repeat(FILE_WALL));
    assert_eq!(count(file_length, "src/a.rs", &tested), 0);
}

#[test]
fn long_function_is_red_wherever_it_stands() {
    let body = "    x();\n".repeat(FUNCTION_WALL);
    let long = format!("impl A {{\n  fn b(a: [u8; 4]) -> u8 {{\n{body}  }}\n}}\n");
    assert_eq!(
        function_lengths(&Source::new("src/a.rs", &long)),
        ["src/a.rs:2: b has 82 lines, the wall is 80"]
    );
    let short =
        format!("trait T {{ fn a(&self); }}\ntype F = fn(u8);\nstruct S {{ f: fn() }}\nmod m {{\n{body}}}\n");
    assert_eq!(count(function_lengths, "src/a.rs", &short), 0);
}

#[test]
fn headless_file_is_red() {
    assert_eq!(count(header, "src/a.rs", "use std::fs;\n"), 1);
    assert_eq!(count(header, "src/a.rs", "//! A.\n"), 0);
}

#[test]
fn unsafe_outside_its_rooms_is_red() {
    let text = "#![forbid(unsafe_code)]\nfn a() { unsafe { b() } } // unsafe\n";
    assert_eq!(unsafe_room(&Source::new("src/plan.rs", text)), ["src/plan.rs:2: unsafe outside its rooms"]);
    assert_eq!(count(unsafe_room, "src/sys/a.rs", text), 0);
    assert_eq!(
        unsafe_room(&Source::new("src/plan.rs", "fn a() {}")),
        ["src/plan.rs:1: no #![forbid(unsafe_code)]"]
    );
}

#[test]
fn unsafe_without_argument_is_red() {
    let argued = "// SAFETY: because\n// of this.\nlet a =\n    unsafe { b() };\n";
    assert_eq!(count(safety, "src/sys/a.rs", argued), 0);
    assert_eq!(count(safety, "src/sys/a.rs", "// SAFETY: of c\nc();\nlet a = unsafe { b() };\n"), 1);
    assert_eq!(count(safety, "src/sys/a.rs", "unsafe impl Send for A {}\n"), 1);
    assert_eq!(count(safety, "src/sys/a.rs", "unsafe extern \"C\" fn a() {}\n#[unsafe(no_mangle)]\n"), 0);
}

#[test]
fn empty_name_is_red() {
    assert_eq!(count(file_name, "src/mount/utils.rs", ""), 1);
    assert_eq!(count(file_name, "src/mount/mask.rs", ""), 0);
}

#[test]
fn unfinished_code_is_red_outside_tests() {
    for word in UNFINISHED {
        assert_eq!(count(unfinished, "src/a.rs", &format!("fn a() {{ b{word} }}\n")), 1, "{word}");
        assert_eq!(
            count(unfinished, "src/a.rs", &format!("#[cfg(test)]\nmod tests {{ a{word} }}\n")),
            0,
            "{word}"
        );
        assert_eq!(count(unfinished, "src/a.rs", &format!("// {word}\n")), 0, "{word}");
    }
}

#[test]
fn mark_without_number_is_red() {
    for (text, wrong) in [(" later", 1), ("(#x)", 1), ("(#)", 1), ("(#12): later", 0), ("S", 0)] {
        assert_eq!(count(marks, "src/a.rs", &format!("// {MARK}{text}\n")), wrong, "{text}");
    }
}

#[test]
fn reading_the_table_of_mounts_is_red() {
    assert_eq!(count(table_of_mounts, "src/a.rs", "fs::read(\"/proc/self/mountinfo\")\n"), 1);
    assert_eq!(count(table_of_mounts, "src/a.rs", "fn mounts() {}\n"), 0);
}

#[test]
fn foreign_word_is_red_in_any_text() {
    for word in FOREIGN {
        assert_ne!(count(foreign_words, "README.md", &format!("see {word}x\n")), 0, "{word}");
    }
    assert_eq!(count(foreign_words, "Cargo.lock", &format!("source = \"{LOCK_SOURCE}\"\n")), 0);
    assert_eq!(count(foreign_words, "README.md", &format!("{LOCK_SOURCE}\n")), 1);
}
