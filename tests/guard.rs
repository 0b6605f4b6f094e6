//! The C door as other people's tools see it: compilers of two kinds and every standard, the C of the documents, abidiff
//! against the committed baseline, valgrind, sanitizers. What a tool needs that is not installed is skipped with a word.
//!
//! With `RIVERRUN_BLESS=1` the baseline is written instead (`make abi-baseline`): that is a release's business.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "a test may panic")]

#[path = "abi/host.rs"]
mod host;
#[path = "abi/scene.rs"]
mod scene;
#[path = "guard/stub.rs"]
mod stub;

use host::{Build, compile_as, library, root};
use scene::{Scene, root_or_skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn work() -> PathBuf {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guard");
    fs::create_dir_all(&work).expect("a folder can be made");
    work
}

/// Whether a tool is there; says so if not.
fn there_or_skip(test: &str, tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        println!("skipped, {test}: no {tool}");
    }
    there
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Compiles the header alone, twice included, in one standard.
fn is_clean(compiler: &str, standard: &str) {
    let cxx = standard.contains("++");
    // A file of its own: the compilers' tests run at once.
    let source = work().join(format!("{compiler}-{standard}.{}", if cxx { "cpp" } else { "c" }));
    let text = "#include <riverrun.h>\n#include \"riverrun.h\"\nint main(void) { return RR_OK; }\n";
    fs::write(&source, text).expect("a source can be written");
    let mut command = Command::new(compiler);
    command.args(["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror"]);
    if !cxx {
        command.arg("-Wstrict-prototypes");
    }
    command.arg(format!("-std={standard}")).arg("-I").arg(root().join("include")).arg(&source);
    let output = command.output().expect("the compiler runs");
    assert!(output.status.success(), "{compiler} -std={standard}:\n{}", told(&output));
}

const C: [&str; 5] = ["c99", "c11", "c17", "c2x", "gnu99"];
const CXX: [&str; 4] = ["c++11", "c++14", "c++17", "c++20"];

#[test]
fn header_is_clean_for_gcc_in_every_standard() {
    C.iter().for_each(|standard| is_clean("gcc", standard));
    CXX.iter().for_each(|standard| is_clean("g++", standard));
}

#[test]
fn header_is_clean_for_clang_in_every_standard() {
    if there_or_skip("header_is_clean_for_clang_in_every_standard", "clang") {
        C.iter().for_each(|standard| is_clean("clang", standard));
        CXX.iter().for_each(|standard| is_clean("clang++", standard));
    }
}

/// Every block of C in a document: file, line, text.
fn blocks() -> Vec<(PathBuf, usize, String)> {
    let mut files = vec![root().join("README.md"), root().join("bindings/README.md")];
    let docs = fs::read_dir(root().join("docs")).expect("docs/ is there");
    files.extend(
        docs.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    let mut blocks = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a document is read");
        let mut block: Option<(usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            block = match (block, line.trim()) {
                (None, "```c") => Some((number + 2, String::new())),
                (None, _) => None,
                (Some((start, text)), "```") => {
                    blocks.push((file.clone(), start, text));
                    None
                }
                (Some((start, text)), _) => Some((start, text + line + "\n")),
            };
        }
    }
    blocks
}

/// A block is a program, or statements that a program would have: those are compiled as a function's.
#[test]
fn every_block_of_c_in_the_documents_compiles_and_programs_run() {
    let scene = Scene::new("documents");
    let as_root = root_or_skip("every_block_of_c_in_the_documents_compiles_and_programs_run, the runs");
    let blocks = blocks();
    assert!(!blocks.is_empty(), "the documents show no C");
    for (file, line, text) in blocks {
        let place = format!("{}:{line}", file.display());
        let whole = text.contains("int main(");
        let source = work().join(format!("block-{line}.c"));
        let text = if whole { text } else { stub::as_function(&text) };
        fs::write(&source, format!("#line {line} \"{}\"\n{text}", file.display()))
            .expect("a source can be written");
        let program = host::compile_source(&source, &format!("block-{line}"), whole, &place);
        if !whole || !as_root {
            continue;
        }
        let bundle = scene.bundle("documented", &["/bin/sh", "-c", "echo hello; exit 0"]);
        let output = Command::new(program).arg(&bundle).arg(scene.root()).output().expect("a program runs");
        assert!(output.status.success(), "{place}: {}\n{}", output.status, told(&output));
    }
}

/// A library of empty functions with the header's signatures has DWARF of all that C programs depend on, and of nothing else.
#[test]
fn abi_only_grows() {
    if !there_or_skip("abi_only_grows", "abidw") {
        return;
    }
    let stub = work().join("stub.c");
    let header = fs::read_to_string(root().join("include/riverrun.h")).expect("the header is there");
    fs::write(&stub, stub::library(&header)).expect("a source can be written");
    let library = work().join("libstub.so");
    let mut cc = Command::new("gcc");
    cc.args(["-std=c11", "-g", "-O0", "-shared", "-fPIC", "-Wl,-soname,libriverrun.so.0", "-I"]);
    cc.arg(root().join("include")).arg(&stub).arg("-o").arg(&library);
    cc.arg(format!("-ffile-prefix-map={}=.", root().display()))
        .arg(format!("-ffile-prefix-map={}=.", work().display()));
    cc.arg(format!("-Wl,--version-script={}", root().join("bindings/c/riverrun.map").display()));
    let output = cc.output().expect("gcc runs");
    assert!(output.status.success(), "{}", told(&output));
    let baseline = root().join("tests/guard/riverrun.abi");
    if std::env::var_os("RIVERRUN_BLESS").is_some() {
        let mut abidw = Command::new("abidw");
        abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file"]).arg(&baseline);
        let output = abidw.arg(&library).output().expect("abidw runs");
        assert!(output.status.success(), "{}", told(&output));
        return;
    }
    let mut abidiff = Command::new("abidiff");
    abidiff.arg("--suppressions").arg(root().join("tests/guard/grows.ini"));
    abidiff.args(["--no-added-syms", "--no-show-locs"]).arg(&baseline).arg(&library);
    let output = abidiff.output().expect("abidiff runs");
    assert!(
        output.status.success(),
        "the ABI is not that of tests/guard/riverrun.abi with additions:\n{}",
        told(&output)
    );
}

/// What takes no container, under valgrind, which knows no vfork-like clone3: no leak, no byte read that nobody wrote.
#[test]
fn valgrind_finds_nothing() {
    if !there_or_skip("valgrind_finds_nothing", "valgrind") {
        return;
    }
    library();
    for program in ["nulls", "sizes"] {
        let scene = Scene::new("valgrind");
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible"]);
        valgrind.args([
            "--errors-for-leak-kinds=definite,indirect",
            "--error-exitcode=99",
            "--track-fds=yes",
        ]);
        let output =
            valgrind.arg(compile_as(program, Build::Plain)).arg(scene.root()).output().expect("it runs");
        assert!(output.status.success(), "{program}: {}\n{}", output.status, told(&output));
    }
}

/// A container's life and what goes wrong in it, with the C side watched: every allocation, every freed handle and string,
/// and whether all of it was given back.
#[test]
fn address_and_undefined_behaviour_sanitizers_find_nothing() {
    const TEST: &str = "address_and_undefined_behaviour_sanitizers_find_nothing";
    if !root_or_skip(TEST) {
        return;
    }
    let programs: [(&str, &[&str]); 2] = [("life", &["sleeper", "talker"]), ("hooked", &["sleeper"])];
    for (program, bundles) in programs {
        sanitized(program, Build::Address, bundles, &[]);
    }
}

#[test]
fn thread_sanitizer_finds_nothing() {
    if root_or_skip("thread_sanitizer_finds_nothing") {
        sanitized("threads", Build::Thread, &["sleeper"], &["5"]);
    }
}

fn sanitized(program: &str, build: Build, bundles: &[&str], more: &[&str]) {
    let scene = Scene::new("sanitized");
    let made = bundles.iter().map(|name| match *name {
        "talker" => scene.bundle("talker", &["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]),
        name => scene.bundle(name, &["/bin/sleep", "1000"]),
    });
    let made: Vec<String> = made.collect();
    let suppressions = format!("suppressions={}", root().join("tests/guard/threads.supp").display());
    let mut command = Command::new(compile_as(program, build));
    command.env("TSAN_OPTIONS", format!("{suppressions} die_after_fork=0"));
    command.env("ASAN_OPTIONS", "detect_leaks=1").env("UBSAN_OPTIONS", "halt_on_error=1");
    let output = command.arg(scene.root()).args(made).args(more).output().expect("it runs");
    assert!(output.status.success(), "{program}: {}\n{}", output.status, told(&output));
}
