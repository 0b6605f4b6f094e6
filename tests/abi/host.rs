//! The library of this build as a C program gets it, and the C programs. Everything is made once per run, in cargo's own
//! temporary folder; nothing is installed.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each suite has its own use of it")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::{env, fs};

/// The project.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the functions that the header declares.
pub(crate) fn header_functions() -> BTreeSet<String> {
    let header = fs::read_to_string(root().join("include/riverrun.h")).expect("the header is there");
    let code =
        header.lines().filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef"));
    let names =
        code.filter_map(|line| line.split_once('(')).filter_map(|(head, _)| head.rsplit([' ', '*']).next());
    names.filter(|name| name.starts_with("rr_")).map(str::to_owned).collect()
}

/// Where the products of this run are.
fn work() -> PathBuf {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    fs::create_dir_all(&work).expect("a folder can be made");
    work
}

/// The static library that cargo built for this test, beside the test's own program.
fn static_library() -> PathBuf {
    let program = env::current_exe().expect("a test knows its program");
    let found = program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("libriverrun.a"))
        .find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no libriverrun.a beside {}", program.display()))
}

/// The folder of the shared library, linked from the static one by the Makefile, as for an installation.
pub(crate) fn library() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = work().join("lib");
        fs::create_dir_all(&folder).expect("a folder can be made");
        let file = format!("libriverrun.so.{}", env!("CARGO_PKG_VERSION"));
        let shared = format!("SHARED={}", folder.join(&file).display());
        let archive = format!("STATIC={}", static_library().display());
        let mut make = Command::new("make");
        make.env_remove("MAKEFLAGS"); // `make test` runs us: its own flags are not for this
        succeed(make.current_dir(root()).args(["--no-print-directory", "shared", &shared, &archive]));
        for name in ["libriverrun.so.0", "libriverrun.so"] {
            let link = folder.join(name);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&file, link).expect("a link can be made");
        }
        folder
    });
    &FOLDER
}

/// What a static link needs besides the library, as `make install` writes it to `Libs.private`.
fn native_libraries() -> Vec<String> {
    let output = Command::new("make")
        .current_dir(root())
        .args(["--no-print-directory", "native-libs"])
        .env_remove("MAKEFLAGS")
        .output()
        .expect("make runs");
    let words = String::from_utf8(output.stdout).expect("flags are text");
    let flags: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    assert!(flags.iter().any(|flag| flag == "-lc"), "the Makefile finds no native libraries: {words:?}");
    flags
}

fn cc() -> Command {
    let mut cc = Command::new("gcc");
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"]);
    cc.arg(root().join("include"));
    cc
}

fn cplusplus() -> Command {
    let mut compiler = Command::new("g++");
    compiler
        .args(["-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(root().join("include"));
    compiler.arg("-I").arg(root().join("bindings/cpp"));
    compiler
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{}: {error}; tests/setup/packages installs it", command.get_program().display())
    });
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Compiles `tests/abi/NAME.c` against the shared library, once; the program's path.
pub(crate) fn compile(name: &str) -> PathBuf {
    static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let program = work().join(name);
    if made.insert(name.to_owned()) {
        let mut cc = cc();
        cc.arg(root().join(format!("tests/abi/{name}.c"))).arg("-o").arg(&program);
        succeed(link_dynamically(&mut cc));
    }
    program
}

/// How a C program is watched while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    Plain,
    /// Addresses, leaks, undefined behaviour.
    Address,
    Thread,
}

/// Compiles `tests/abi/NAME.c` in one of these ways.
pub(crate) fn compile_as(name: &str, build: Build) -> PathBuf {
    let program = work().join(format!("{name}-{build:?}").to_lowercase());
    let mut cc = cc();
    cc.args(match build {
        Build::Plain => [].as_slice(),
        Build::Address => {
            &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
        }
        Build::Thread => &["-fsanitize=thread", "-fno-omit-frame-pointer"],
    });
    cc.arg(root().join(format!("tests/abi/{name}.c"))).arg("-o").arg(&program);
    succeed(link_dynamically(&mut cc));
    program
}

/// Compiles some other source, to a program or no further.
pub(crate) fn compile_source(source: &Path, name: &str, whole: bool, place: &str) -> PathBuf {
    let output = work().join(name);
    let mut cc = cc();
    cc.arg(source).arg("-o").arg(&output);
    let outcome =
        if whole { link_dynamically(&mut cc) } else { cc.args(["-c", "-Wno-unused-variable"]) }.output();
    let outcome = outcome.expect("gcc runs");
    assert!(outcome.status.success(), "{place}:\n{}", String::from_utf8_lossy(&outcome.stderr));
    output
}

fn link_dynamically(cc: &mut Command) -> &mut Command {
    let folder = library();
    cc.arg("-L").arg(folder).arg("-lriverrun").arg(format!("-Wl,-rpath,{}", folder.display()))
}

/// Compiles an example, `c/NAME.c` or `cpp/NAME.cpp`, as its first lines say or with everything in it.
pub(crate) fn compile_example(source: &str, whole: bool) -> PathBuf {
    let (language, name) = source.split_once('/').expect("a source is in the folder of its language");
    let name = name.split('.').next().unwrap_or(name);
    static MADE: Mutex<BTreeSet<(String, bool)>> = Mutex::new(BTreeSet::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let program = work().join(format!("{name}{}", if whole { "-static" } else { "" }));
    // Once: what another test runs already must not be written again.
    if !made.insert((name.to_owned(), whole)) {
        return program;
    }
    let mut cc = if language == "cpp" { cplusplus() } else { cc() };
    cc.arg(root().join("examples").join(source)).arg("-o").arg(&program);
    if whole {
        cc.arg(static_library()).args(native_libraries());
        succeed(&mut cc);
    } else {
        succeed(link_dynamically(&mut cc));
    }
    program
}

/// Compiles without making anything.
pub(crate) fn check_syntax(name: &str) {
    succeed(cc().args(["-fsyntax-only", "-pedantic"]).arg(root().join(format!("tests/abi/{name}.c"))));
}
