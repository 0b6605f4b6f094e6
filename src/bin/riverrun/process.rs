//! The `process` object of an `exec`: the container's own, changed by the options. Pure: JSON in, JSON out.
//!
//! Some rules are there because their lack was a published vulnerability: a user is read exactly or refused
//! (CVE-2026-30892: a misread `-u` ran as another user), and `--cap` never touches the inheritable set
//! (CVE-2022-29162).
#![forbid(unsafe_code)]

use serde_json::{Map, Value, json};

use crate::args::Matches;

/// What the options of `exec` change.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    args: &'a [String],
    cwd: Option<&'a str>,
    env: Vec<&'a str>,
    user: Option<&'a str>,
    additional_gids: Vec<&'a str>,
    caps: Vec<&'a str>,
    process_label: Option<&'a str>,
    apparmor: Option<&'a str>,
    no_new_privs: Option<bool>,
    tty: bool,
}

impl<'a> Changes<'a> {
    /// The changes that were typed; the arguments after the id are the command.
    pub(crate) fn typed(matches: &'a Matches) -> Self {
        Self {
            args: matches.arguments().get(1..).unwrap_or_default(),
            cwd: matches.text("cwd"),
            env: matches.list("env").collect(),
            user: matches.text("user"),
            additional_gids: matches.list("additional-gids").collect(),
            caps: matches.list("cap").collect(),
            process_label: matches.text("process-label"),
            apparmor: matches.text("apparmor"),
            no_new_privs: matches.given("no-new-privs").map(|_| matches.switch("no-new-privs")),
            tty: matches.switch("tty"),
        }
    }

    /// The container's process object `base` with these changes.
    pub(crate) fn apply(&self, base: &[u8]) -> Result<Vec<u8>, String> {
        if self.args.is_empty() {
            return Err("exec args cannot be empty".into());
        }
        let base: Value = serde_json::from_slice(base)
            .map_err(|error| format!("parse the container's process: {error}"))?;
        let Value::Object(mut process) = base else {
            return Err("process property must not be empty".into());
        };
        process.insert("args".into(), json!(self.args));
        // The terminal of the container's own process is not this one's.
        process.insert("terminal".into(), json!(self.tty));
        for (key, value) in
            [("cwd", self.cwd), ("selinuxLabel", self.process_label), ("apparmorProfile", self.apparmor)]
        {
            if let Some(value) = value {
                process.insert(key.into(), json!(value));
            }
        }
        if let Some(whether) = self.no_new_privs {
            process.insert("noNewPrivileges".into(), json!(whether));
        }
        // Added after the container's own: of two with one name, the last wins.
        append(&mut process, "env", &self.env);
        self.set_user(&mut process)?;
        self.add_caps(&mut process);
        serde_json::to_vec(&process).map_err(|error| format!("write the process: {error}"))
    }

    fn set_user(&self, process: &mut Map<String, Value>) -> Result<(), String> {
        let user = object(process, "user");
        if let Some(typed) = self.user {
            let (uid, gid) = typed.split_once(':').map_or((typed, None), |(uid, gid)| (uid, Some(gid)));
            user.insert("uid".into(), json!(id(uid).ok_or_else(|| format!("bad uid: \"{uid}\""))?));
            if let Some(gid) = gid {
                user.insert("gid".into(), json!(id(gid).ok_or_else(|| format!("bad gid: \"{gid}\""))?));
            }
        }
        let parse = |gid: &&str| id(gid).ok_or_else(|| format!("bad additional gid: \"{gid}\""));
        let gids = self.additional_gids.iter().map(parse).collect::<Result<Vec<u32>, _>>()?;
        append(user, "additionalGids", &gids);
        Ok(())
    }

    /// Bounding, effective, permitted. The kernel lets a capability into the ambient set only if it is inheritable,
    /// and nothing here makes one so.
    fn add_caps(&self, process: &mut Map<String, Value>) {
        if self.caps.is_empty() {
            return;
        }
        let sets = object(process, "capabilities");
        for set in ["bounding", "effective", "permitted"] {
            append(sets, set, &self.caps);
        }
        let inheritable = sets.get("inheritable").and_then(Value::as_array).cloned().unwrap_or_default();
        let ambient: Vec<_> = self.caps.iter().filter(|cap| inheritable.contains(&json!(cap))).collect();
        append(sets, "ambient", &ambient);
    }
}

/// A user or group id: decimal digits and nothing else, below 2³².
fn id(word: &str) -> Option<u32> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

/// Adds `items` to the list `key`, which is made if there is none. The list is left alone if there are no items.
fn append<T: serde::Serialize>(map: &mut Map<String, Value>, key: &str, items: &[T]) {
    if items.is_empty() {
        return;
    }
    let list = map.entry(key).or_insert(Value::Null);
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    if let Value::Array(list) = list {
        list.extend(items.iter().map(|item| json!(item)));
    }
}

/// The object `key`, which is made if there is none.
fn object<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("made an object above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse::{Request, parse};

    const BASE: &str = r#"{"terminal":true,"user":{"uid":5,"gid":6,"additionalGids":[7]},"args":["sh"],"env":["A=1"],
        "cwd":"/","capabilities":{"bounding":["CAP_KILL"],"inheritable":["CAP_KILL"]},"noNewPrivileges":true,
        "rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":1}]}"#;

    fn apply(base: &str, line: &str) -> Result<Value, String> {
        let words: Vec<String> = format!("exec {line}").split_whitespace().map(str::to_owned).collect();
        let Ok(Request::Run(invocation)) = parse(&words).1 else { panic!("{line}") };
        Changes::typed(&invocation.matches)
            .apply(base.as_bytes())
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn nothing_typed_changes_nothing_but_args_and_terminal() {
        let mut expected: Value = serde_json::from_str(BASE).unwrap();
        expected["args"] = json!(["ls", "-l"]);
        expected["terminal"] = json!(false);
        assert_eq!(apply(BASE, "id ls -l").unwrap(), expected);
    }

    #[test]
    fn env_is_added_after_the_containers_own() {
        assert_eq!(apply(BASE, "-e A=2,3 -e B= id ls").unwrap()["env"], json!(["A=1", "A=2,3", "B="]));
    }

    #[test]
    fn terminal_is_not_inherited() {
        assert_eq!(apply(BASE, "-t id ls").unwrap()["terminal"], json!(true));
        assert_eq!(apply(BASE, "id ls").unwrap()["terminal"], json!(false));
    }

    #[test]
    fn user_is_numeric_and_exact() {
        let user = |line| apply(BASE, line).map(|process| process["user"].clone());
        assert_eq!(user("-u 10 id ls").unwrap(), json!({"uid":10,"gid":6,"additionalGids":[7]}));
        assert_eq!(
            user("-u 0:0 -g 8 -g 9 id ls").unwrap(),
            json!({"uid":0,"gid":0,"additionalGids":[7,8,9]})
        );
        for (line, error) in [
            ("-u root id ls", "bad uid: \"root\""),
            ("-u 1x id ls", "bad uid: \"1x\""),
            ("-u -1 id ls", "bad uid: \"-1\""),
            ("-u +1 id ls", "bad uid: \"+1\""),
            ("-u :5 id ls", "bad uid: \"\""),
            ("-u 4294967296 id ls", "bad uid: \"4294967296\""),
            ("-u 1: id ls", "bad gid: \"\""),
            ("-u 1:2:3 id ls", "bad gid: \"2:3\""),
            ("-g 1,2 id ls", "bad additional gid: \"1,2\""),
        ] {
            assert_eq!(user(line).unwrap_err(), error, "{line}");
        }
    }

    #[test]
    fn caps_never_reach_the_inheritable_set() {
        let caps = apply(BASE, "-c CAP_KILL -c CAP_CHOWN id ls").unwrap()["capabilities"].clone();
        assert_eq!(caps["inheritable"], json!(["CAP_KILL"]));
        assert_eq!(caps["bounding"], json!(["CAP_KILL", "CAP_KILL", "CAP_CHOWN"]));
        assert_eq!(caps["effective"], json!(["CAP_KILL", "CAP_CHOWN"]));
        assert_eq!(caps["permitted"], json!(["CAP_KILL", "CAP_CHOWN"]));
        assert_eq!(caps["ambient"], json!(["CAP_KILL"]));
        let caps = apply(r#"{"cwd":"/"}"#, "-c CAP_KILL id ls").unwrap()["capabilities"].clone();
        assert_eq!(caps, json!({"bounding":["CAP_KILL"],"effective":["CAP_KILL"],"permitted":["CAP_KILL"]}));
    }

    #[test]
    fn labels_directory_and_privileges_are_replaced() {
        let process =
            apply(BASE, "--cwd /tmp --apparmor web --process-label a:b --no-new-privs=false id ls").unwrap();
        assert_eq!(process["cwd"], "/tmp");
        assert_eq!(process["apparmorProfile"], "web");
        assert_eq!(process["selinuxLabel"], "a:b");
        assert_eq!(process["noNewPrivileges"], false);
        assert_eq!(process["rlimits"][0]["type"], "RLIMIT_CORE");
    }

    #[test]
    fn a_command_is_needed() {
        assert_eq!(apply(BASE, "id").unwrap_err(), "exec args cannot be empty");
        assert_eq!(apply("null", "id ls").unwrap_err(), "process property must not be empty");
    }
}
