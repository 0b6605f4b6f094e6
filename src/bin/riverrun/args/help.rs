//! `--help`, of the program and of each command, printed from the table in 80 columns.
//!
//! The sections have the headings that runc's users know. Pure: text in, text out.
#![forbid(unsafe_code)]

use super::table::{COMMANDS, GLOBAL_FLAGS};
use super::{Command, Flag};

const COLUMNS: usize = 80;
/// Where the right column of a list begins.
const MIDDLE: usize = 32;

/// What the program is, in one line.
pub(crate) const ABOUT: &str = "run containers as the Open Container Initiative specifies them";
/// What `--help` says of itself.
pub(crate) const HELP_FLAG: Flag = Flag {
    long: "help",
    short: Some("h"),
    takes: super::Takes::Nothing,
    about: "print this help",
    default: None,
};

/// What the program is, in paragraphs: for the help text and the man page.
pub(crate) const DETAILS: &[&str] = &[
    "A container is made from a bundle: a directory with a config.json, which says what the container is, and usually the root filesystem beside it. The commands, options, outputs and exit statuses are those of runc, so that riverrun serves in its place under Docker, containerd, Podman and other engines.",
    "Options may be written with one dash or two, and with their value after a space or an equals sign.",
];

/// The help of the program.
pub(crate) fn program() -> String {
    let mut text = format!("NAME:\n   riverrun - {ABOUT}\n\n");
    text += "USAGE:\n   riverrun [global options] COMMAND [options] [arguments...]\n\n";
    text += "DESCRIPTION:\n";
    text += &paragraphs(DETAILS);
    text += &format!("VERSION:\n   {}\n\nCOMMANDS:\n", riverrun::VERSION);
    for command in COMMANDS {
        text += &row(command.name, command.about);
    }
    text += "\nGLOBAL OPTIONS:\n";
    text + &options(GLOBAL_FLAGS)
}

/// The help of one command.
pub(crate) fn command(command: &Command) -> String {
    let mut text = format!("NAME:\n   riverrun {} - {}\n\nUSAGE:\n", command.name, command.about);
    text += &format!("   riverrun {}\n\n", usage(command));
    if !command.details.is_empty() {
        text += "DESCRIPTION:\n";
        text += &paragraphs(command.details);
    }
    text += "OPTIONS:\n";
    text + &options(command.flags)
}

/// `kill [options] CONTAINER-ID [SIGNAL]`
pub(crate) fn usage(command: &Command) -> String {
    let options = if command.flags.is_empty() { "" } else { " [options]" };
    format!("{}{options} {}", command.name, command.arguments).trim_end().to_owned()
}

/// What a flag is for, with its default.
pub(crate) fn about(flag: &Flag) -> String {
    match flag.default {
        Some(default) => format!("{} (default: {default})", flag.about),
        None => flag.about.to_owned(),
    }
}

fn options(flags: &[Flag]) -> String {
    flags.iter().chain([&HELP_FLAG]).map(|flag| row(&names(flag), &about(flag))).collect()
}

/// `--bundle DIR, -b DIR`
fn names(flag: &Flag) -> String {
    let value = flag.takes.hint().map_or(String::new(), |hint| format!(" {}", hint.name));
    match flag.short {
        Some(short) => format!("-{short}, --{}{value}", flag.long),
        None => format!("--{}{value}", flag.long),
    }
}

/// One entry of a list: the name on the left, the wrapped text on the right.
fn row(left: &str, right: &str) -> String {
    let mut text = format!("   {left}");
    let mut lines = wrap(right, COLUMNS - MIDDLE).into_iter();
    if text.len() + 2 > MIDDLE {
        text += "\n";
    } else if let Some(first) = lines.next() {
        text = format!("{text:<MIDDLE$}{first}\n");
    }
    for line in lines {
        text += &format!("{:MIDDLE$}{line}\n", "");
    }
    text
}

fn paragraphs(paragraphs: &[&str]) -> String {
    let mut text = String::new();
    for paragraph in paragraphs {
        for line in wrap(paragraph, COLUMNS - 3) {
            text += &format!("   {line}\n");
        }
        text += "\n";
    }
    text
}

/// Breaks a text into lines of at most `width` characters. A longer word gets a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_eighty_columns_and_names_every_flag() {
        for text in COMMANDS.iter().map(command).chain([program()]) {
            assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
            assert!(text.lines().all(|line| line.trim_end() == line), "trailing blank in {text}");
        }
        for of in COMMANDS {
            let text = command(of);
            assert!(of.flags.iter().all(|flag| text.contains(&format!("--{}", flag.long))), "{text}");
            assert!(program().contains(&format!("   {}", of.name)));
        }
    }

    #[test]
    fn a_long_name_puts_its_text_below() {
        assert_eq!(row("--a", "text"), format!("   --a{:26}text\n", ""));
        assert_eq!(row(&"x".repeat(40), "text"), format!("   {}\n{:32}text\n", "x".repeat(40), ""));
    }
}
