//! The manual page `riverrun.8`, printed from the table in roff.
//!
//! What the table does not know (files, environment, exit statuses) is said here, and only here. The page is
//! committed as `man/riverrun.8`, so that packagers need not run the program to have it.
#![forbid(unsafe_code)]

use super::help::{ABOUT, DETAILS, HELP_FLAG, about, usage};
use super::table::{COMMANDS, GLOBAL_FLAGS};
use super::{Command, Flag};

const FILES: &[(&str, &str)] = &[
    (
        "/run/riverrun/ID/",
        "The state of the container ID: state.json, which other tools may read, and what the commands need.",
    ),
    ("$XDG_RUNTIME_DIR/riverrun/", "The state root of a user without privileges."),
    ("config.json", "In the bundle: what the container is, as the OCI runtime specification says."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("XDG_RUNTIME_DIR", "Where a user's state root is."),
    (
        "LISTEN_FDS, LISTEN_PID",
        "Descriptors from 3 on that a service manager passed, see sd_listen_fds(3). The program of a container that is created or run gets them, with LISTEN_PID set to 1.",
    ),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success."),
    ("1", "The command did not succeed. The reason is on standard error, and in the log if there is one."),
    ("3", "There is no such command."),
    ("255", "exec could not execute the process."),
    (
        "any",
        "run and exec in the foreground: the status of the process, or 128 and the number of the signal that killed it.",
    ),
];

const EXAMPLES: &[(&str, &str)] = &[
    ("Run a shell from a root filesystem in ./rootfs:", "riverrun spec\nriverrun run box"),
    (
        "Create, start, look at and remove a container:",
        "riverrun create --bundle /bundles/web web\nriverrun start web\nriverrun exec web ps\nriverrun kill web\nriverrun delete web",
    ),
];

/// The page.
pub(crate) fn page() -> String {
    let mut text =
        String::from(".\\\" Printed by \"riverrun man\": edit src/bin/riverrun/args, not this file.\n");
    text += &format!(".TH RIVERRUN 8 \"\" \"riverrun {}\" \"System Administration\"\n", riverrun::VERSION);
    text += &format!(".SH NAME\nriverrun \\- {}\n", roff(ABOUT));
    text += ".SH SYNOPSIS\n.B riverrun\n[\\fIglobal options\\fR] \\fICOMMAND\\fR [\\fIoptions\\fR] [\\fIarguments\\fR...]\n";
    text += ".SH DESCRIPTION\n";
    text += &paragraphs(DETAILS);
    text += ".SH GLOBAL OPTIONS\n";
    text += &options(GLOBAL_FLAGS);
    text += &option(&HELP_FLAG);
    text += ".SH COMMANDS\n";
    text.extend(COMMANDS.iter().map(command));
    for (heading, entries) in [("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", EXIT_STATUS)] {
        text += &format!(".SH {heading}\n");
        for (name, meaning) in entries {
            text += &format!(".TP\n.B {}\n{}\n", roff(name), roff(meaning));
        }
    }
    text += ".SH EXAMPLES\n";
    for (purpose, lines) in EXAMPLES {
        text += &format!("{}\n.PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n.PP\n", roff(purpose), roff(lines));
    }
    text + ".SH SEE ALSO\n.BR runc (8),\n.BR ps (1),\n.BR namespaces (7),\n.BR cgroups (7),\n.BR sd_listen_fds (3)\n"
}

fn command(command: &Command) -> String {
    let mut text = format!(".SS \"riverrun {}\"\n", roff(&usage(command)));
    let mut about = command.about.to_owned();
    if let Some(first) = about.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text += &format!("{}.\n", roff(&about));
    if !command.details.is_empty() {
        text += ".PP\n";
        text += &paragraphs(command.details);
    }
    text + &options(command.flags)
}

fn options(flags: &[Flag]) -> String {
    flags.iter().map(option).collect()
}

fn option(flag: &Flag) -> String {
    let mut names = flag.short.map_or(String::new(), |short| format!("\\fB\\-{short}\\fR, "));
    names += &format!("\\fB{}\\fR", roff(&format!("--{}", flag.long)));
    if let Some(hint) = flag.takes.hint() {
        names += &format!(" \\fI{}\\fR", roff(hint.name));
    }
    format!(".TP\n{names}\n{}\n", roff(&about(flag)))
}

fn paragraphs(paragraphs: &[&str]) -> String {
    paragraphs.iter().map(|paragraph| roff(paragraph) + "\n").collect::<Vec<_>>().join(".PP\n")
}

/// A text that roff prints as it is: backslashes, dashes that are typed, and lines that look like requests.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq");
    let guard =
        |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() };
    escaped.lines().map(guard).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_names_every_command_and_flag() {
        let page = page();
        for command in COMMANDS {
            assert!(page.contains(&format!(".SS \"riverrun {}", command.name)), "{}", command.name);
            for flag in command.flags {
                assert!(page.contains(&roff(&format!("--{}", flag.long))), "{}", flag.long);
            }
        }
    }

    #[test]
    fn text_cannot_become_a_request() {
        assert_eq!(roff(".so x"), "\\&.so x");
        assert_eq!(roff("a\\b -c"), "a\\eb \\-c");
    }
}
