//! What this library is: its version and its abilities. The only functions that a signal handler may call.

use std::ffi::{CStr, c_char};

/// The version of this header, `0xMMmmpp00`: major, minor, patch. Compare it with `rr_version_number`, which
/// is the version of the library found at run time. Since 0.1.
#[allow(clippy::identity_op, reason = "the header shows major, minor, patch")]
pub const RR_VERSION_NUMBER: u32 = (0 << 24) | (1 << 16) | (0 << 8);

/// The packed form of one component of the version.
const fn component(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) if number < 256 => number,
        _ => panic!("a component of the version is not a byte"),
    }
}

// The constant is spelled out because cbindgen reads no environment; Cargo.toml is the source.
const _: () = assert!(
    RR_VERSION_NUMBER
        == (component(env!("CARGO_PKG_VERSION_MAJOR")) << 24)
            | (component(env!("CARGO_PKG_VERSION_MINOR")) << 16)
            | (component(env!("CARGO_PKG_VERSION_PATCH")) << 8),
    "RR_VERSION_NUMBER is not the version of Cargo.toml"
);

/// What a build may or may not be able to do, by the names that `rr_has_feature` takes. The list in its documentation is
/// held against this one by a test.
const FEATURES: &[&CStr] = &[
    c"cancel",
    c"checkpoint",
    c"config-bytes",
    c"console",
    c"detached",
    c"events",
    c"exec",
    c"fd-map",
    c"hook",
    c"init-memfd",
    c"log",
    c"migrate",
    c"notify",
    c"open-cgroup",
    c"open-ns",
    c"pause",
    c"rootfs-fd",
    c"seccomp-fd",
    c"stats",
    c"stdio-pipe",
    c"update",
];

/// The version of the library at run time, `0xMMmmpp00`.
///
/// Any thread, does not block, may be called in a signal handler. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rr_version_number() -> u32 {
    RR_VERSION_NUMBER
}

/// The version of the library at run time as text, `"0.1.0"`.
///
/// Static, never NULL. Any thread, does not block, may be called in a signal handler. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rr_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Whether the library at run time has an ability. The names so far: `"cancel"` (`rr_call`'s deadline and descriptor),
/// `"checkpoint"` (`rr_checkpoint`, `rr_restore`), `"config-bytes"` (a config without a bundle), `"console"`
/// (terminals), `"detached"` (`RR_CREATE_DETACHED`), `"events"` (`rr_events`), `"exec"`, `"fd-map"` (further
/// descriptors by number), `"hook"` (`rr_hook_fn`), `"init-memfd"` (no helper program need be installed), `"log"`,
/// `"migrate"` (`rr_migrate`, `rr_receive`), `"notify"` (`RR_CREATE_NOTIFY`), `"open-cgroup"`, `"open-ns"`, `"pause"`, `"rootfs-fd"` (a root filesystem by descriptor), `"seccomp-fd"`
/// (`rr_take_seccomp_fd`), `"stats"` (`rr_stats`), `"stdio-pipe"` and `"update"`.
///
/// It is about the library, not about the host or its kernel; what those lack a call says with `RR_E_UNSUPPORTED`. A
/// name it does not know, and NULL, give false. Any thread, does not block, may be called in a signal handler. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_has_feature(name: *const c_char) -> bool {
    if name.is_null() {
        return false;
    }
    // SAFETY: not NULL, so NUL-terminated and unchanged during the call (rule 4).
    let name = unsafe { CStr::from_ptr(name) };
    FEATURES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_documented_and_in_order() {
        let source = include_str!("version.rs");
        let text = source.split_once("The names so far:").unwrap().1.split_once("///\n").unwrap().0;
        let told: Vec<&str> =
            text.split('`').filter_map(|part| part.strip_prefix('"')?.strip_suffix('"')).collect();
        let known: Vec<&str> = FEATURES.iter().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(told, known);
        assert!(known.is_sorted());
        for name in FEATURES {
            // SAFETY: a literal.
            assert!(unsafe { rr_has_feature(name.as_ptr()) });
        }
    }
}
