//! What `make install` puts where, and that it serves: files, pkg-config's flags for a shared and a static link, the true
//! needs of a static one. Of the very build that the tests are from; nothing is installed outside of a folder of ours.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "a test may panic")]

#[path = "abi/host.rs"]
mod host;
#[path = "abi/scene.rs"]
mod scene;

use host::{header_functions, root};
use scene::{Scene, root_or_skip};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

/// The folder of cargo's products: this test is in its `deps`.
fn products() -> PathBuf {
    let program = env::current_exe().expect("a test knows its program");
    program.ancestors().nth(2).expect("it is two folders below").to_owned()
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// An installation below a folder of its own, with `LIBDIR` as Debian has it.
static INSTALLED: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install");
    let _ = fs::remove_dir_all(&folder);
    let products = products();
    let mut make = Command::new("make");
    make.current_dir(root()).env_remove("MAKEFLAGS").args(["--no-print-directory", "shared", "files"]);
    make.arg(format!("OUT={}", products.display())).arg(format!("DESTDIR={}", folder.display()));
    make.arg(format!("STATIC={}", static_library(&products).display()));
    make.args(["PREFIX=/usr", "LIBDIR=/usr/lib/multi-arch"]);
    succeed(&mut make);
    folder
});

fn static_library(products: &Path) -> PathBuf {
    // `cargo test` makes the one in `deps`; the other is of the last `cargo build`, whenever that was.
    let places = [products.join("deps/libriverrun.a"), products.join("libriverrun.a")];
    places.iter().find(|path| path.exists()).expect("cargo built the static library").clone()
}

fn files(below: &Path, names: &mut BTreeSet<String>, top: &Path) {
    for entry in fs::read_dir(below).expect("a folder is read").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, names, top);
        } else {
            let name = path.strip_prefix(top).expect("it is below").display().to_string();
            names.insert(name);
        }
    }
}

#[test]
fn everything_is_where_a_distribution_looks_for_it() {
    let mut names = BTreeSet::new();
    files(&INSTALLED, &mut names, &INSTALLED);
    let version = env!("CARGO_PKG_VERSION");
    let mut wanted: BTreeSet<String> = [
        "usr/include/riverrun.h",
        "usr/lib/multi-arch/libriverrun.a",
        "usr/lib/multi-arch/libriverrun.so",
        "usr/lib/multi-arch/libriverrun.so.0",
        &format!("usr/lib/multi-arch/libriverrun.so.{version}"),
        "usr/lib/multi-arch/pkgconfig/riverrun.pc",
        "usr/sbin/riverrun",
        "usr/share/bash-completion/completions/riverrun",
        "usr/share/fish/vendor_completions.d/riverrun.fish",
        "usr/share/man/man8/riverrun.8",
        "usr/share/zsh/vendor-completions/_riverrun",
    ]
    .map(str::to_owned)
    .into();
    for package in ["", "gorunc/"] {
        let sources = root().join("bindings/go").join(package);
        for entry in fs::read_dir(sources).expect("the Go package is there").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "go.mod" || (name.ends_with(".go") && !name.ends_with("_test.go")) {
                let below = "usr/share/gocode/src/github.com/riverrun/riverrun/bindings/go";
                wanted.insert(format!("{below}/{package}{name}"));
            }
        }
    }
    for entry in fs::read_dir(root().join("man/man3")).expect("man/man3 is there").flatten() {
        wanted.insert(format!("usr/share/man/man3/{}", entry.file_name().to_string_lossy()));
    }
    let missing: Vec<_> = wanted.difference(&names).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // There may be more headers and pages; nothing goes elsewhere.
    let folders = ["usr/include/", "usr/share/man/man"];
    let stray =
        |name: &&String| !wanted.contains(*name) && !folders.iter().any(|folder| name.starts_with(folder));
    let strays: Vec<_> = names.iter().filter(stray).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

/// pkg-config for an installation, as if it were at its place.
fn pkg_config(installed: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.env("PKG_CONFIG_LIBDIR", installed.join("usr/lib/multi-arch/pkgconfig"));
    command.env("PKG_CONFIG_SYSROOT_DIR", installed).args(arguments).arg("riverrun");
    succeed(&mut command).split_whitespace().map(str::to_owned).collect()
}

/// `Libs.private` is what the compiler says that a static library of Rust needs, asked anew.
#[test]
fn private_libraries_are_the_true_ones() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("native");
    fs::create_dir_all(&folder).expect("a folder can be made");
    fs::write(folder.join("empty.rs"), "").expect("a source can be written");
    let mut rustc = Command::new("rustc");
    rustc.current_dir(&folder).args([
        "--crate-type",
        "staticlib",
        "--print",
        "native-static-libs",
        "empty.rs",
    ]);
    let output = rustc.output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("note: native-static-libs: "));
    let native: Vec<String> = line.expect("rustc tells").split_whitespace().map(str::to_owned).collect();
    let pc =
        fs::read_to_string(INSTALLED.join("usr/lib/multi-arch/pkgconfig/riverrun.pc")).expect("it is there");
    let private = pc.lines().find_map(|line| line.strip_prefix("Libs.private: ")).expect("the line is there");
    assert_eq!(private.split_whitespace().collect::<Vec<_>>(), native);
    assert!(!pc.contains("Requires.private"), "no C library is linked beside the C library itself");
    assert!(pc.contains("libdir=${exec_prefix}/lib/multi-arch\n") && pc.contains("prefix=/usr\n"), "{pc}");
    assert_eq!(pkg_config(&INSTALLED, &["--modversion"]), [env!("CARGO_PKG_VERSION")]);
}

/// A program with the flags that pkg-config gives, nothing added.
fn build(name: &str, flags: Vec<String>) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("gcc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror"])
        .arg(root().join("examples/c/run.c"))
        .arg("-o")
        .arg(&program);
    succeed(cc.args(flags));
    program
}

fn runs(program: &Path, library_path: Option<&Path>) {
    if !root_or_skip("programs_are_linked_through_pkg_config, the runs") {
        return;
    }
    let scene = Scene::new("installed");
    let bundle = scene.bundle("talker", &["/bin/sh", "-c", "echo from inside; exit 3"]);
    let mut command = Command::new(program);
    if let Some(path) = library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    let output = command.arg(&bundle).output().expect("the program runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("from inside\n"), "{told}");
}

/// The example, shared and with all of it in the program, by an installation's own flags.
fn links(installed: &Path, name: &str) {
    let shared = build(&format!("{name}-shared"), pkg_config(installed, &["--cflags", "--libs"]));
    let needed = succeed(Command::new("readelf").args(["--dynamic", "--wide"]).arg(&shared));
    assert!(needed.contains("[libriverrun.so.0]"), "{needed}");
    runs(&shared, Some(&installed.join("usr/lib/multi-arch")));

    // The shared one is out of the linker's sight.
    let mut flags = pkg_config(installed, &["--static", "--cflags", "--libs"]);
    for flag in &mut flags {
        if flag == "-lriverrun" {
            *flag = String::from("-l:libriverrun.a");
        }
    }
    let whole = build(&format!("{name}-whole"), flags);
    let needed = succeed(Command::new("readelf").args(["--dynamic", "--wide"]).arg(&whole));
    assert!(!needed.contains("libriverrun"), "{needed}");
    runs(&whole, None);
}

#[test]
fn programs_are_linked_through_pkg_config() {
    links(&INSTALLED, "run");
}

/// The second way to build and install. What it makes has no symbol versions, and is the same for who compiles against it.
#[test]
fn cargo_c_installs_what_programs_link() {
    let there = Command::new("cargo").args(["cinstall", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cargo_c_installs_what_programs_link: no cargo-c (cargo install cargo-c)");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cargo-c");
    let installed = folder.join("installed");
    let _ = fs::remove_dir_all(&installed);
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["cinstall", "--debug", "--locked", "--offline", "--prefix=/usr"]);
    cargo.args(["--libdir=/usr/lib/multi-arch", &format!("--destdir={}", installed.display())]);
    // Its own folder, which the next run finds again; no information for debuggers, which is most of it.
    cargo.env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_PROFILE_DEV_DEBUG", "0");
    succeed(&mut cargo);

    let mut names = BTreeSet::new();
    files(&installed, &mut names, &installed);
    let version = format!("usr/lib/multi-arch/libriverrun.so.{}", env!("CARGO_PKG_VERSION"));
    let wanted = [
        "usr/include/riverrun.h",
        "usr/lib/multi-arch/libriverrun.a",
        "usr/lib/multi-arch/libriverrun.so",
        "usr/lib/multi-arch/libriverrun.so.0",
        &version,
        "usr/lib/multi-arch/pkgconfig/riverrun.pc",
    ];
    assert_eq!(names, wanted.map(str::to_owned).into());
    let header = |place: PathBuf| fs::read(place).expect("the header is there");
    assert!(header(installed.join("usr/include/riverrun.h")) == header(root().join("include/riverrun.h")));

    let listing =
        succeed(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(installed.join(version)));
    let exported: BTreeSet<String> =
        listing.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, header_functions());
    links(&installed, "run-cargo-c");
}
