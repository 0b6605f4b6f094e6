//! From `hooks` to what is run at each moment: program, arguments, environment, time limit, the state. Pure.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::Path;

use oci_spec::runtime::{Hook as Configured, Spec};
use serde::Serialize;

use crate::OCI_VERSION;
use crate::spec::Moment;
use crate::wire::{Hook, HookState, Hooks, Step};

/// Whose hooks they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) id: &'a str,
    pub(crate) bundle: &'a Path,
    /// Whoever makes the container has a function that is called where hooks of the runtime run.
    pub(crate) calls: bool,
}

/// runtime.md#state, as hooks get it; the keys and their order are runc's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
}

/// The hooks of one moment; `None` if there are none.
pub(crate) fn hooks(spec: &Spec, moment: Moment, owner: Owner<'_>) -> Option<Hooks> {
    let list = spec.hooks().as_ref().map(|hooks| moment.of(hooks)).unwrap_or_default();
    let asked = !list.is_empty() || (owner.calls && moment.is_of_runtime());
    asked.then(|| Hooks {
        moment: moment.name().to_owned(),
        at_start: moment == Moment::StartContainer,
        // runc's callers find themselves in the bundle; what runs in the container's root is where the process will be.
        directory: (moment != Moment::StartContainer).then(|| owner.bundle.to_string_lossy().into_owned()),
        // The init program's own is 0, for it makes what others name a mode for.
        umask: (moment == Moment::CreateContainer).then_some(0o022),
        state: state(spec, moment, owner),
        list: list.iter().map(|hook| one(hook, moment)).collect(),
    })
}

/// Whether there is any.
pub(crate) fn any(spec: &Spec) -> bool {
    spec.hooks().as_ref().is_some_and(|hooks| Moment::ALL.iter().any(|moment| !moment.of(hooks).is_empty()))
}

/// Those that the host runs, for the whole life of the container.
pub(crate) fn of_runtime(spec: &Spec, owner: Owner<'_>) -> Vec<Hooks> {
    let moments = Moment::ALL.into_iter().filter(|moment| moment.is_of_runtime());
    moments.filter_map(|moment| hooks(spec, moment, owner)).collect()
}

/// What the init program does between the last mount and the pivot: let the runtime run its hooks, then run those of
/// the container. The specification's order.
pub(crate) fn create_steps(spec: &Spec, owner: Owner<'_>, steps: &mut Vec<Step>) {
    if [Moment::Prestart, Moment::CreateRuntime].iter().any(|moment| hooks(spec, *moment, owner).is_some()) {
        steps.push(Step::RuntimeHooks);
    }
    steps.extend(hooks(spec, Moment::CreateContainer, owner).map(Step::Hooks));
}

/// What it keeps for the moment before it executes the program.
pub(crate) fn start_steps(spec: &Spec, owner: Owner<'_>, steps: &mut Vec<Step>) {
    steps.extend(hooks(spec, Moment::StartContainer, owner).map(Step::Hooks));
}

fn one(hook: &Configured, moment: Moment) -> Hook {
    let path = hook.path().to_string_lossy().into_owned();
    let args = hook.args().clone().filter(|args| !args.is_empty()).unwrap_or_else(|| vec![path.clone()]);
    let env = hook.env().clone().unwrap_or_default();
    Hook {
        path,
        args,
        // COMPAT(runc): in the container a hook that names no variable has those of the process.
        env: (moment != Moment::StartContainer || !env.is_empty()).then_some(env),
        // More seconds than a machine lives are as good as all of them.
        timeout: hook.timeout().map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
    }
}

/// The document, open at the pid: that of the namespace in which the hook runs is known there.
fn state(spec: &Spec, moment: Moment, owner: Owner<'_>) -> HookState {
    let annotations = spec.annotations().iter().flatten();
    let document = Document {
        oci_version: OCI_VERSION,
        id: owner.id,
        status: moment.status(),
        pid: (moment != Moment::Poststop).then_some(0),
        bundle: &owner.bundle.to_string_lossy(),
        annotations: annotations.map(|(key, value)| (key.as_str(), value.as_str())).collect(),
    };
    // Strings: serialising cannot fail. An id has no quotes, so what is found is the key.
    let text = serde_json::to_string(&document).unwrap_or_default();
    match text.split_once(r#""pid":0"#) {
        Some((head, tail)) => HookState { head: format!(r#"{head}"pid":"#), tail: tail.to_owned() },
        None => HookState { head: text, tail: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn planned(moment: Moment, hook: &Value) -> Hooks {
        let mut config: Value = serde_json::from_str(&crate::spec::default_config(None)).unwrap();
        config["annotations"] = json!({ "b/c": "\"pid\":0", "a": "/d" });
        config["hooks"] = json!({ moment.name(): [hook] });
        let spec = crate::spec::parse(config.to_string().as_bytes()).unwrap();
        hooks(&spec, moment, Owner { id: "web", bundle: Path::new("/bundles/we\"b"), calls: false }).unwrap()
    }

    #[test]
    fn the_state_is_told_as_runc_tells_it() {
        let hook = json!({ "path": "/bin/hook" });
        let version = OCI_VERSION;
        let rest = r#""bundle":"/bundles/we\"b","annotations":{"a":"/d","b/c":"\"pid\":0"}}"#;
        for (moment, status) in [
            (Moment::Prestart, "creating"),
            (Moment::CreateRuntime, "creating"),
            (Moment::CreateContainer, "creating"),
            (Moment::StartContainer, "created"),
            (Moment::Poststart, "running"),
        ] {
            let expected =
                format!(r#"{{"ociVersion":"{version}","id":"web","status":"{status}","pid":4711,{rest}"#);
            assert_eq!(planned(moment, &hook).state.with_pid(4711), expected);
        }
        let stopped = format!(r#"{{"ociVersion":"{version}","id":"web","status":"stopped",{rest}"#);
        assert_eq!(planned(Moment::Poststop, &hook).state.with_pid(4711), stopped);
    }

    #[test]
    fn what_a_hook_leaves_out_has_one_meaning() {
        let bare = json!({ "path": "/bin/hook" });
        let hook = Hook {
            path: "/bin/hook".into(),
            args: vec!["/bin/hook".into()],
            env: Some(Vec::new()),
            timeout: None,
        };
        for moment in Moment::ALL.into_iter().filter(|moment| *moment != Moment::StartContainer) {
            let planned = planned(moment, &bare);
            assert_eq!((planned.list, planned.directory.is_some()), (vec![hook.clone()], true));
        }
        let of_process = Hook { env: None, ..hook };
        for same in [bare, json!({ "path": "/bin/hook", "args": [], "env": [] })] {
            let planned = planned(Moment::StartContainer, &same);
            assert_eq!((planned.list, planned.directory), (vec![of_process.clone()], None));
        }
    }

    #[test]
    fn what_a_hook_says_is_kept() {
        let said = json!({ "path": "/h", "args": ["a", "b"], "env": ["C=d"], "timeout": i64::MAX });
        for moment in Moment::ALL {
            let planned = planned(moment, &said).list.remove(0);
            assert_eq!(planned.args, ["a", "b"]);
            assert_eq!((planned.env, planned.timeout), (Some(vec!["C=d".to_owned()]), Some(u32::MAX)));
        }
    }
}
