//! The rules of `linux.seccomp` (config-linux.md#seccomp) that need nothing but the document.
#![forbid(unsafe_code)]

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction as Action, LinuxSyscall};

use crate::error::{Error, Kind, Result};

fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(Kind::InvalidSpec, format!("linux.seccomp: {}", message.as_ref()))
}

/// The default, the listener, then each rule.
pub(super) fn rules(seccomp: &LinuxSeccomp) -> Result<()> {
    if seccomp.default_action() == Action::ScmpActNotify {
        return Err(invalid("SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    error_number("defaultErrnoRet", seccomp.default_errno_ret(), seccomp.default_action())?;
    let rules = seccomp.syscalls().as_deref().unwrap_or_default();
    rules.iter().try_for_each(rule)?;
    listener(seccomp, rules)
}

fn rule(rule: &LinuxSyscall) -> Result<()> {
    let names = rule.names().join(", ");
    error_number("errnoRet", rule.errno_ret(), rule.action()).map_err(|error| error.during(&names))?;
    // The init program says with write(2) that the listener is there: it could never be heard.
    if rule.action() == Action::ScmpActNotify && rule.names().iter().any(|name| name == "write") {
        return Err(invalid("SCMP_ACT_NOTIFY cannot be used for the write syscall"));
    }
    for argument in rule.args().iter().flatten() {
        if argument.index() > 5 {
            return Err(invalid(format!("{names}: there is no argument {}", argument.index())));
        }
    }
    Ok(())
}

/// "When the action doesn't support an errno, the runtime MUST print an error and fail."
fn error_number(property: &str, number: Option<u32>, action: Action) -> Result<()> {
    let most = match action {
        // The kernel's MAX_ERRNO.
        Action::ScmpActErrno => 4095,
        // What a tracer is told has 16 bits.
        Action::ScmpActTrace => 0xffff,
        _ if number.is_none() => return Ok(()),
        _ => return Err(invalid(format!("{property} is not supported for action {action}"))),
    };
    match number {
        Some(number) if number > most => Err(invalid(format!("{property}: {number} is more than {most}"))),
        _ => Ok(()),
    }
}

fn listener(seccomp: &LinuxSeccomp, rules: &[LinuxSyscall]) -> Result<()> {
    let path = seccomp.listener_path().as_ref().filter(|path| !path.as_os_str().is_empty());
    if path.is_none() && rules.iter().any(|rule| rule.action() == Action::ScmpActNotify) {
        return Err(invalid("SCMP_ACT_NOTIFY needs a listenerPath"));
    }
    if path.is_none() && seccomp.listener_metadata().as_ref().is_some_and(|metadata| !metadata.is_empty()) {
        return Err(invalid("listenerMetadata without a listenerPath"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seccomp: serde_json::Value) -> String {
        let seccomp: LinuxSeccomp = serde_json::from_value(seccomp).unwrap();
        rules(&seccomp).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn with_rule(rule: serde_json::Value) -> String {
        check(
            serde_json::json!({"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/a", "syscalls": [rule]}),
        )
    }

    #[test]
    fn an_error_number_needs_an_action_that_has_one() {
        use serde_json::json;
        for (action, errno, right) in [
            ("SCMP_ACT_ERRNO", 4095, true),
            ("SCMP_ACT_ERRNO", 4096, false),
            ("SCMP_ACT_ERRNO", 0, true),
            ("SCMP_ACT_TRACE", 65535, true),
            ("SCMP_ACT_TRACE", 65536, false),
            ("SCMP_ACT_ALLOW", 1, false),
            ("SCMP_ACT_KILL", 1, false),
            ("SCMP_ACT_KILL_PROCESS", 1, false),
            ("SCMP_ACT_KILL_THREAD", 1, false),
            ("SCMP_ACT_TRAP", 1, false),
            ("SCMP_ACT_LOG", 1, false),
            ("SCMP_ACT_NOTIFY", 1, false),
        ] {
            let error = with_rule(json!({"names": ["chdir"], "action": action, "errnoRet": errno}));
            assert_eq!(error.is_empty(), right, "{action} {errno}: {error}");
            if action != "SCMP_ACT_NOTIFY" {
                let error = check(json!({"defaultAction": action, "defaultErrnoRet": errno}));
                assert_eq!(error.is_empty(), right, "default {action} {errno}: {error}");
            }
        }
    }

    #[test]
    fn a_listener_is_there_for_those_who_need_it() {
        use serde_json::json;
        let notify = json!([{"names": ["chdir"], "action": "SCMP_ACT_NOTIFY"}]);
        let allow = "SCMP_ACT_ALLOW";
        assert!(check(json!({"defaultAction": allow, "syscalls": notify})).contains("needs a listenerPath"));
        assert_eq!(check(json!({"defaultAction": allow, "syscalls": notify, "listenerPath": "/a"})), "");
        assert_eq!(check(json!({"defaultAction": allow, "listenerPath": "/a"})), "");
        assert!(
            check(json!({"defaultAction": allow, "listenerMetadata": "m"}))
                .contains("without a listenerPath")
        );
        assert!(check(json!({"defaultAction": "SCMP_ACT_NOTIFY"})).contains("as default action"));
        assert!(
            with_rule(json!({"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"}))
                .contains("write syscall")
        );
    }

    #[test]
    fn a_condition_names_an_argument() {
        use serde_json::json;
        let with =
            |argument| with_rule(json!({"names": ["chdir"], "action": "SCMP_ACT_ALLOW", "args": [argument]}));
        assert!(with(json!({"index": 6, "value": 0, "op": "SCMP_CMP_EQ"})).contains("no argument 6"));
        // COMPAT(runc): Go's engines leave out a valueTwo that is zero.
        assert_eq!(with(json!({"index": 5, "value": 1, "op": "SCMP_CMP_MASKED_EQ"})), "");
    }
}
