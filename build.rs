//! Builds `riverrun-init` (src/init/, a crate of its own) and gives the library its bytes, its build id and its soname.
//!
//! `RIVERRUN_INIT=path` takes a ready program instead, for packagers who build it separately; the build id in it is
//! compared at run time all the same.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::error::Error;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo:rerun-if-changed=src/init");
    println!("cargo:rerun-if-changed=src/wire.rs");
    println!("cargo:rerun-if-env-changed=RIVERRUN_INIT");
    let id = build_id()?;
    println!("cargo:rustc-env=RIVERRUN_BUILD_ID={id}");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libriverrun.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
    let init = match env::var_os("RIVERRUN_INIT") {
        Some(ready) => PathBuf::from(ready),
        None => build_init(&out, &id)?,
    };
    fs::copy(init, out.join("riverrun-init"))?;
    Ok(())
}

/// A digest of what both sides are compiled from. It tells versions apart; it protects against nobody.
fn build_id() -> Outcome<String> {
    let mut files = vec![PathBuf::from("src/wire.rs")];
    for entry in fs::read_dir("src/init")? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    env::var("CARGO_PKG_VERSION")?.hash(&mut hasher);
    for file in files {
        file.hash(&mut hasher);
        fs::read(file)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn build_init(out: &Path, id: &str) -> Outcome<PathBuf> {
    let target = env::var("TARGET")?;
    let directory = out.join("init");
    let mut cargo = Command::new(env::var_os("CARGO").ok_or("cargo sets CARGO")?);
    cargo.args(["rustc", "--release", "--locked", "--quiet", "--manifest-path", "src/init/Cargo.toml"]);
    cargo.arg("--target").arg(&target).arg("--target-dir").arg(&directory);
    if env::var_os("CARGO_NET_OFFLINE").is_some() {
        cargo.arg("--offline");
    }
    // No C library, no start files, a fixed address: nothing to relocate, nothing but the kernel to rely on.
    cargo.arg("--");
    for argument in
        ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noexecstack"]
    {
        cargo.arg("-C").arg(format!("link-arg={argument}"));
    }
    cargo.args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"]);
    let layout = env::current_dir()?.join("src/init/layout.ld");
    cargo.arg("-C").arg(format!("link-arg=-Wl,-T,{},--no-eh-frame-hdr", layout.display()));
    // What is decoded and done once need not be in a place of its own each time: a tenth of the program.
    cargo.args(["-C", "llvm-args=-inline-threshold=20"]);
    cargo.arg(format!("--remap-path-prefix={}=.", env::current_dir()?.display()));
    cargo.env("RIVERRUN_BUILD_ID", id);
    // What the outer build was told about its own compiler does not concern this program.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PROFILE_")
            || (text.starts_with("CARGO_TARGET_") && text.ends_with("_RUSTFLAGS"))
        {
            cargo.env_remove(&name);
        }
    }
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!("build riverrun-init: {status}").into());
    }
    Ok(directory.join(target).join("release/riverrun-init"))
}
