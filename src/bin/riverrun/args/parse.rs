//! The parser: Go's `flag` dialect over the table of [`super::table`].
//!
//! - One dash or two, for long names and short ones alike; short options are not bundled.
//! - `--name=value` and `--name value`; a switch takes a value only with `=`.
//! - Options may follow the arguments, except in a command whose tail belongs to another program (`exec`, `ps`).
//! - `--` ends the options; a lone `-` is an argument.
//!
//! The texts of the errors are the ones that Go's package gives, since wrappers of runc show or match them.
#![forbid(unsafe_code)]

use super::table::{COMMANDS, GLOBAL_FLAGS};
use super::{Arity, Command, Flag, Matches, Takes};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Request {
    /// Print the help of the program, or of one command.
    Help(Option<&'static Command>),
    /// Print the version.
    Version,
    /// Carry out a command.
    Run(Invocation),
}

/// A command with all that was typed.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The options before the command.
    pub(crate) globals: Matches,
    /// The command.
    pub(crate) command: &'static Command,
    /// Its options and arguments.
    pub(crate) matches: Matches,
}

/// What was typed is not a use of the program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// An option is unknown, or its value is missing or malformed.
    Flag { command: Option<&'static str>, message: String },
    /// There are too few arguments, or too many.
    Arity { command: &'static str, message: String },
    /// There is no such command.
    Command { name: String },
}

/// Reads an argv without its first word. The globals come back even where the rest is misused, since they say
/// where the error is to be logged.
pub(crate) fn parse(argv: &[String]) -> (Matches, Result<Request, Misuse>) {
    let in_program = |message| Misuse::Flag { command: None, message };
    let scanned = match scan(GLOBAL_FLAGS, argv, true) {
        Ok(scanned) => scanned,
        Err(message) => return (Matches::default(), Err(in_program(message))),
    };
    let (mut globals, help) = (scanned.matches, scanned.help);
    let words = std::mem::take(&mut globals.arguments);
    if help {
        return (globals, Ok(Request::Help(None)));
    }
    if globals.switch("version") {
        return (globals, Ok(Request::Version));
    }
    let Some((name, rest)) = words.split_first() else {
        return (globals, Ok(Request::Help(None)));
    };
    let Some(command) = find(name) else {
        return (globals, Err(Misuse::Command { name: name.clone() }));
    };
    match command_line(command, rest) {
        Ok(Some(matches)) => (Matches::default(), Ok(Request::Run(Invocation { globals, command, matches }))),
        Ok(None) => (globals, Ok(Request::Help(Some(command)))),
        Err(misuse) => (globals, Err(misuse)),
    }
}

/// The command of this name. `h` is what runc's users type for `help`.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    let name = if name == "h" { "help" } else { name };
    COMMANDS.iter().find(|command| command.name == name)
}

/// The options and arguments of one command; `None` asks for its help.
fn command_line(command: &'static Command, words: &[String]) -> Result<Option<Matches>, Misuse> {
    let scanned = scan(command.flags, words, command.tail)
        .map_err(|message| Misuse::Flag { command: Some(command.name), message })?;
    if scanned.help {
        return Ok(None);
    }
    let count = scanned.matches.arguments.len();
    let complaint = match command.arity {
        Arity::Exactly(wanted) if count != wanted => Some(format!("exactly {wanted}")),
        Arity::AtLeast(wanted) | Arity::Between(wanted, _) if count < wanted => {
            Some(format!("a minimum of {wanted}"))
        }
        Arity::Between(_, most) if count > most => Some(format!("a maximum of {most}")),
        _ => None,
    };
    match complaint {
        None => Ok(Some(scanned.matches)),
        Some(wanted) => Err(Misuse::Arity {
            command: command.name,
            message: format!("riverrun: \"{}\" requires {wanted} argument(s)", command.name),
        }),
    }
}

struct Scanned {
    matches: Matches,
    help: bool,
}

/// Sorts `words` into options and arguments. With `tail` the first argument ends the options.
fn scan(flags: &'static [Flag], words: &[String], tail: bool) -> Result<Scanned, String> {
    let mut matches = Matches::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        }
        if word.len() < 2 || !word.starts_with('-') {
            matches.arguments.push(word.clone());
            if tail {
                break;
            }
            continue;
        }
        let body = word.strip_prefix("--").unwrap_or(&word[1..]);
        if body.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {word}"));
        }
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let Some(flag) = flags.iter().find(|flag| flag.long == name || flag.short == Some(name)) else {
            if matches!(name, "help" | "h") {
                return Ok(Scanned { matches, help: true });
            }
            return Err(format!("flag provided but not defined: -{name}"));
        };
        let value = match (flag.takes, inline) {
            (Takes::Nothing, None) => "true".to_owned(),
            (Takes::Nothing, Some(value)) => truth(value)
                .ok_or_else(|| format!("invalid boolean value \"{value}\" for -{name}: parse error"))?
                .to_string(),
            (_, Some(value)) => value.to_owned(),
            (_, None) => rest.next().cloned().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
        };
        if matches!(flag.takes, Takes::Checked(_, holds) if !holds(&value)) {
            return Err(format!("invalid value \"{value}\" for flag -{name}: parse error"));
        }
        matches.options.push((flag.long, value));
    }
    matches.arguments.extend(rest.cloned());
    Ok(Scanned { matches, help: false })
}

/// A truth value as Go reads one.
pub(crate) fn truth(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn run(line: &str) -> Invocation {
        match parse(&words(line)).1 {
            Ok(Request::Run(invocation)) => invocation,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn misuse(line: &str) -> Misuse {
        parse(&words(line)).1.err().unwrap_or_else(|| panic!("{line} is accepted"))
    }

    #[test]
    fn long_options_take_one_dash_or_two() {
        for line in [
            "run -no-subreaper -b /b id",
            "run --no-subreaper --bundle=/b id",
            "run -bundle /b -no-subreaper=true id",
        ] {
            let matches = run(line).matches;
            assert!(matches.switch("no-subreaper"), "{line}");
            assert_eq!((matches.text("bundle"), matches.id()), (Some("/b"), "id"), "{line}");
        }
    }

    #[test]
    fn globals_of_go_runc_are_read_before_the_command() {
        let parsed =
            run("--root /r --log=/l --log-format json --systemd-cgroup --rootless=false delete --force id");
        assert_eq!(parsed.globals.text("root"), Some("/r"));
        assert_eq!(parsed.globals.text("log-format"), Some("json"));
        assert!(parsed.globals.switch("systemd-cgroup"));
        assert_eq!(parsed.command.name, "delete");
        assert!(parsed.matches.switch("force"));
    }

    #[test]
    fn options_may_follow_the_id() {
        let matches = run("kill id 9 --all").matches;
        assert!(matches.switch("all"));
        assert_eq!(matches.arguments(), ["id", "9"]);
    }

    #[test]
    fn exec_and_ps_leave_the_tail_to_the_other_program() {
        let matches = run("exec -e A=1,2 --env B=3 id sh -c x --env C=4 -- -t").matches;
        assert_eq!(matches.list("env").collect::<Vec<_>>(), ["A=1,2", "B=3"]);
        assert_eq!(matches.arguments(), words("id sh -c x --env C=4 -- -t"));
        assert!(!matches.switch("tty"));
        assert_eq!(run("ps -f json id -ef").matches.arguments(), ["id", "-ef"]);
    }

    #[test]
    fn switch_takes_a_value_only_with_an_equals_sign() {
        let matches = run("run --detach=false --keep id").matches;
        assert!(!matches.switch("detach"));
        assert!(matches.switch("keep"));
        assert_eq!(
            misuse("run --keep=maybe id"),
            Misuse::Flag {
                command: Some("run"),
                message: "invalid boolean value \"maybe\" for -keep: parse error".into()
            }
        );
    }

    #[test]
    fn last_value_of_a_repeated_option_counts() {
        assert_eq!(run("run -b /a -b /b --keep --keep id").matches.text("bundle"), Some("/b"));
    }

    #[test]
    fn two_dashes_end_the_options() {
        assert_eq!(run("state -- --odd").matches.id(), "--odd");
        assert_eq!(run("state -").matches.id(), "-");
    }

    #[test]
    fn numbers_are_checked_by_the_parser() {
        assert_eq!(run("run --preserve-fds=2 id").matches.number("preserve-fds"), 2);
        assert_eq!(run("run id").matches.number("preserve-fds"), 0);
        for bad in ["x", "-1", ""] {
            assert!(matches!(misuse(&format!("run --preserve-fds={bad} id")), Misuse::Flag { .. }));
        }
        assert_eq!(run("update --pids-limit -1 id").matches.text("pids-limit"), Some("-1"));
        for bad in ["update --pids-limit=x id", "update --blkio-weight= id", "checkpoint --status-fd=x id"] {
            assert!(matches!(misuse(bad), Misuse::Flag { .. }), "{bad}");
        }
        assert!(matches!(misuse("events --interval 5 id"), Misuse::Flag { .. }));
    }

    #[test]
    fn misuse_has_the_words_of_runc() {
        let message = |line| match misuse(line) {
            Misuse::Flag { message, .. } | Misuse::Arity { message, .. } => message,
            Misuse::Command { name } => name,
        };
        assert_eq!(message("kill"), "riverrun: \"kill\" requires a minimum of 1 argument(s)");
        assert_eq!(message("kill a b c"), "riverrun: \"kill\" requires a maximum of 2 argument(s)");
        assert_eq!(message("list x"), "riverrun: \"list\" requires exactly 0 argument(s)");
        assert_eq!(message("list --foo"), "flag provided but not defined: -foo");
        assert_eq!(message("--root"), "flag needs an argument: -root");
        assert_eq!(message("list ---x"), "bad flag syntax: ---x");
        assert_eq!(message("frobnicate"), "frobnicate");
    }

    #[test]
    fn help_is_found_before_arguments_are_counted() {
        assert!(
            matches!(parse(&words("kill --help")).1, Ok(Request::Help(Some(command))) if command.name == "kill")
        );
        assert!(matches!(parse(&words("list a b -h")).1, Ok(Request::Help(Some(_)))));
        assert!(matches!(parse(&words("--help")).1, Ok(Request::Help(None))));
        assert!(matches!(parse(&[]).1, Ok(Request::Help(None))));
        assert!(matches!(parse(&words("-v list")).1, Ok(Request::Version)));
        // The command's own --help is not ours to answer.
        assert_eq!(run("exec id ls --help").matches.arguments(), ["id", "ls", "--help"]);
    }
}
