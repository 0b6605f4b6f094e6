//! Hooks: programs that the configuration names for six moments of a container's life (config.md#posix-platform-hooks).
//!
//! Those of the runtime's namespaces are run by `apply.rs`, those of the container's by the init program
//! (`src/init/hook.rs`). Both get the state on stdin, their own environment, and no descriptor but the first three.
#![forbid(unsafe_code)]

pub(crate) mod apply;
pub(crate) mod plan;

use crate::error::{Error, Kind};
use crate::wire::{Class, Failure, HookEnd};
use crate::wording;

/// The sentence for a hook that did not succeed, wherever it ran.
pub(crate) fn failed(failure: &Failure) -> Error {
    let during = wording::hook(&failure.verb);
    let cause = match failure.class {
        Class::Hook(HookEnd::Exit(code)) => format!("exit status {code}, {}", failure.object),
        Class::Hook(HookEnd::Signal(signal)) => format!("killed by signal {signal}, {}", failure.object),
        Class::Hook(HookEnd::TimedOut(seconds)) => wording::hook_timeout(seconds),
        Class::Hook(HookEnd::Lost) => {
            format!("ended, and its exit status was taken by somebody else, {}", failure.object)
        }
        _ => {
            let doing = format!("execute {}", failure.object);
            return Error::os(Kind::Hook, doing, failure.errno)
                .during(during)
                .detailed("hook", &failure.verb);
        }
    };
    Error::new(Kind::Hook, cause).during(during).detailed("hook", &failure.verb)
}
