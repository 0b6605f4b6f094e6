//! config.md#posix-platform-hooks: the six lists, and the rules for what is in them.
#![forbid(unsafe_code)]

use oci_spec::runtime::{Hook, Hooks};

use super::validate::{invalid, no_nul};
use crate::error::Result;

/// When a hook runs (runtime.md#lifecycle), in the order of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl Moment {
    pub(crate) const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The name of the list in the configuration.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// Its hooks run in the runtime's namespaces.
    pub(crate) const fn is_of_runtime(self) -> bool {
        !matches!(self, Self::CreateContainer | Self::StartContainer)
    }

    /// What the hooks are told of the container's status.
    pub(crate) const fn status(self) -> &'static str {
        match self {
            Self::Prestart | Self::CreateRuntime | Self::CreateContainer => "creating",
            Self::StartContainer => "created",
            Self::Poststart => "running",
            Self::Poststop => "stopped",
        }
    }

    /// Its hooks.
    pub(crate) fn of(self, hooks: &Hooks) -> &[Hook] {
        #[allow(deprecated, reason = "prestart is deprecated by the specification, and still used")]
        let list = match self {
            Self::Prestart => hooks.prestart(),
            Self::CreateRuntime => hooks.create_runtime(),
            Self::CreateContainer => hooks.create_container(),
            Self::StartContainer => hooks.start_container(),
            Self::Poststart => hooks.poststart(),
            Self::Poststop => hooks.poststop(),
        };
        list.as_deref().unwrap_or_default()
    }
}

/// The rules for every entry.
pub(super) fn rules(hooks: &Hooks) -> Result<()> {
    for moment in Moment::ALL {
        for (index, hook) in moment.of(hooks).iter().enumerate() {
            rule(&format!("hooks.{}[{index}]", moment.name()), hook)?;
        }
    }
    Ok(())
}

fn rule(name: &str, hook: &Hook) -> Result<()> {
    let path = hook.path().to_str().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(invalid(format!("{name}.path: {path:?} is not an absolute path")));
    }
    no_nul(&format!("{name}.path"), path)?;
    for (index, argument) in hook.args().iter().flatten().enumerate() {
        no_nul(&format!("{name}.args[{index}]"), argument)?;
    }
    for (index, pair) in hook.env().iter().flatten().enumerate() {
        no_nul(&format!("{name}.env[{index}]"), pair)?;
        if pair.find('=').is_none_or(|at| at == 0) {
            return Err(invalid(format!("{name}.env[{index}]: not NAME=value: {pair:?}")));
        }
    }
    if let Some(timeout) = hook.timeout().filter(|timeout| *timeout <= 0) {
        return Err(invalid(format!("{name}.timeout: {timeout} is not greater than zero")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Moment;
    use crate::error::Kind;

    fn check(moment: Moment, hook: &Value) -> crate::Result<()> {
        let mut config: Value = serde_json::from_str(&crate::spec::default_config(None)).unwrap();
        config["hooks"] = json!({ moment.name(): [{ "path": "/bin/true" }, hook] });
        crate::spec::check(config.to_string().as_bytes())
    }

    #[test]
    fn every_rule_holds_for_every_moment() {
        let wrong = [
            (json!({ "path": "bin/true" }), "path: \"bin/true\" is not an absolute path"),
            (json!({ "path": "" }), "path: \"\" is not an absolute path"),
            (json!({ "path": "/a\u{0}" }), "path: contains a NUL byte"),
            (json!({ "path": "/a", "args": ["a", "b\u{0}"] }), "args[1]: contains a NUL byte"),
            (json!({ "path": "/a", "env": ["A=1", "B"] }), "env[1]: not NAME=value"),
            (json!({ "path": "/a", "env": ["=1"] }), "env[0]: not NAME=value"),
            (json!({ "path": "/a", "env": ["A=\u{0}"] }), "env[0]: contains a NUL byte"),
            (json!({ "path": "/a", "timeout": 0 }), "timeout: 0 is not greater than zero"),
            (json!({ "path": "/a", "timeout": -1 }), "timeout: -1 is not greater than zero"),
        ];
        for moment in Moment::ALL {
            for (hook, text) in &wrong {
                let error = check(moment, hook).unwrap_err();
                let expected = format!("hooks.{}[1].{text}", moment.name());
                assert_eq!(error.kind(), Kind::InvalidSpec);
                assert!(error.to_string().starts_with(&expected), "{error}");
            }
            let all = json!({ "path": "/a", "args": [], "env": ["A=", "B=c=d"], "timeout": i64::MAX });
            check(moment, &all).unwrap();
        }
    }

    #[test]
    fn a_hook_without_a_path_is_refused_with_its_place() {
        let error = check(Moment::Poststop, &json!({ "args": ["a"] })).unwrap_err();
        assert!(error.to_string().contains("hooks.poststop[1]: missing field `path`"), "{error}");
    }
}
