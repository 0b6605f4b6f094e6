//! The result codes as C sees them. The table is [`Kind`](crate::Kind); cbindgen expands no macros, so it is
//! spelled out once more here, and the test below holds the two together, names, numbers and words.

use super::guard::attempt;
use crate::Kind;
use std::ffi::{CStr, c_char};

/// What every fallible function returns: `RR_OK`, or one of `RR_E_*`. A number, once given a meaning, keeps
/// it; a later version may return codes that this header does not name, so treat an unknown one as a failure.
/// Since 0.1.
pub type rr_code = i32;

/// The call did what it says. Since 0.1.
pub const RR_OK: i32 = 0;
/// An invariant of the library is broken, or a panic was caught at the boundary. Since 0.1.
pub const RR_E_INTERNAL: i32 = 1;
/// An argument of the call is malformed. Since 0.1.
pub const RR_E_INVALID_ARGUMENT: i32 = 2;
/// Memory could not be had. Since 0.1.
pub const RR_E_NO_MEMORY: i32 = 3;
/// This build or this kernel cannot do what was asked. Since 0.1.
pub const RR_E_UNSUPPORTED: i32 = 4;
/// The handle was made by a process that this one is a fork of. Since 0.1.
pub const RR_E_FORKED: i32 = 5;
/// The deadline of the call passed. Since 0.1.
pub const RR_E_TIMEOUT: i32 = 6;
/// The cancel descriptor of the call became readable. Since 0.1.
pub const RR_E_CANCELLED: i32 = 7;
/// Another call holds the container's lock. Since 0.1.
pub const RR_E_BUSY: i32 = 8;
/// `config.json`, or a process document, is not valid. Since 0.1.
pub const RR_E_INVALID_SPEC: i32 = 20;
/// The container id is not valid. Since 0.1.
pub const RR_E_INVALID_ID: i32 = 21;
/// A container with this id exists. Since 0.1.
pub const RR_E_EXISTS: i32 = 30;
/// No container has this id. Since 0.1.
pub const RR_E_NOT_FOUND: i32 = 31;
/// The container does not run. Since 0.1.
pub const RR_E_NOT_RUNNING: i32 = 32;
/// The container runs, and the operation needs one that does not. Since 0.1.
pub const RR_E_RUNNING: i32 = 33;
/// The container is paused. Since 0.1.
pub const RR_E_PAUSED: i32 = 34;
/// The container is not paused. Since 0.1.
pub const RR_E_NOT_PAUSED: i32 = 35;
/// The state directory holds something unreadable. Since 0.1.
pub const RR_E_STATE_CORRUPT: i32 = 36;
/// The program to execute is not in the container. Since 0.1.
pub const RR_E_EXEC_NOT_FOUND: i32 = 50;
/// The program to execute may not be executed. Since 0.1.
pub const RR_E_EXEC_PERMISSION: i32 = 51;
/// The working directory cannot be entered. Since 0.1.
pub const RR_E_CWD: i32 = 52;
/// The kernel refuses for lack of privilege. Since 0.1.
pub const RR_E_PERMISSION: i32 = 60;
/// A Linux security module is missing or refuses. Since 0.1.
pub const RR_E_LSM: i32 = 61;
/// The seccomp filter cannot be made or loaded. Since 0.1.
pub const RR_E_SECCOMP: i32 = 62;
/// The capability sets cannot be had. Since 0.1.
pub const RR_E_CAPABILITY: i32 = 63;
/// The user namespace or its mappings cannot be made. Since 0.1.
pub const RR_E_USERNS: i32 = 64;
/// A mount cannot be made. Since 0.1.
pub const RR_E_MOUNT: i32 = 70;
/// The root filesystem cannot be used. Since 0.1.
pub const RR_E_ROOTFS: i32 = 71;
/// A path of the image leads where it must not. Since 0.1.
pub const RR_E_UNSAFE_PATH: i32 = 72;
/// A cgroup cannot be made, joined, set or removed. Since 0.1.
pub const RR_E_CGROUP: i32 = 80;
/// systemd refuses or is not there. Since 0.1.
pub const RR_E_SYSTEMD: i32 = 81;
/// The container's first process was killed for lack of memory. Since 0.1.
pub const RR_E_OOM: i32 = 82;
/// A hook did not succeed. Since 0.1.
pub const RR_E_HOOK: i32 = 90;
/// The terminal cannot be made or handed over. Since 0.1.
pub const RR_E_CONSOLE: i32 = 91;
/// CRIU did not succeed. Since 0.1.
pub const RR_E_CRIU: i32 = 92;
/// A network device cannot be moved. Since 0.1.
pub const RR_E_NETDEV: i32 = 93;
/// A system call did not succeed; see `rr_error_errno`. Since 0.1.
pub const RR_E_SYSTEM: i32 = 99;

/// The name of a code as this header spells it, `"RR_E_NOT_RUNNING"`; `"RR_E_?"` for a number that is none.
///
/// The string is static and never NULL. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rr_code_name(code: rr_code) -> *const c_char {
    let unknown = c"RR_E_?";
    attempt(|| Ok(name(code))).unwrap_or(unknown).as_ptr()
}

/// Kind's names have no NUL, and C wants one: the literals are made once, in a table as long as the codes.
fn name(code: rr_code) -> &'static CStr {
    use std::sync::OnceLock;
    static NAMES: OnceLock<Vec<(rr_code, std::ffi::CString)>> = OnceLock::new();
    if code == RR_OK {
        return c"RR_OK";
    }
    let names = NAMES.get_or_init(|| {
        let pair = |kind: &Kind| Some((kind.code(), std::ffi::CString::new(kind.name()).ok()?));
        Kind::ALL.iter().filter_map(pair).collect()
    });
    names.iter().find(|(known, _)| *known == code).map_or(c"RR_E_?", |(_, name)| name.as_c_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(source: &str, is_name: fn(&str) -> bool) -> Vec<(String, String)> {
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        let pairs = lines.windows(2).filter(|pair| is_name(pair[1]) && pair[0].starts_with("///"));
        pairs.map(|pair| (pair[0].trim_start_matches("/// ").to_owned(), pair[1].to_owned())).collect()
    }

    /// Every line of Kind's table, with its comment, is a constant here with the same comment, name and
    /// number.
    #[test]
    fn codes_are_the_kinds() {
        let here = entries(include_str!("code.rs"), |line| line.starts_with("pub const RR_E_"));
        let kinds = entries(include_str!("../error.rs"), |line| line.contains(", \"RR_E_"));
        assert_eq!(here.len(), Kind::ALL.len());
        assert_eq!(kinds.len(), Kind::ALL.len());
        for ((kind, (kind_doc, kind_line)), (doc, line)) in Kind::ALL.iter().zip(&kinds).zip(&here) {
            assert_eq!(*line, format!("pub const {}: i32 = {};", kind.name(), kind.code()), "{kind_line}");
            let plain =
                |doc: &str| doc.trim_end_matches(" Since 0.1.").replace("the errno.", "`rr_error_errno`.");
            assert_eq!(plain(doc), plain(kind_doc), "{line}");
        }
    }

    #[test]
    fn every_code_has_its_name_and_no_other_number_has_one() {
        for kind in Kind::ALL {
            assert_eq!(name(kind.code()).to_str(), Ok(kind.name()));
        }
        assert_eq!((name(0), name(-1), name(10_000)), (c"RR_OK", c"RR_E_?", c"RR_E_?"));
    }
}
