//! What the user typed: the shape of the one table of commands and flags, and what the parser makes of an argv.
//!
//! [`table`] is the only place where a command or a flag is written down. The parser, `--help`, the man page and the
//! shells' completions all read it, so none of them can know a flag that another does not.
//!
//! The parser is our own because the callers' dialect is Go's: go-runc sends `-no-subreaper`, a long option with one
//! dash, which clap (and lexopt, and getopt) read as a bundle of short options.
//!
//! Nothing here touches the host: a [`Matches`] says what was typed, not what is there.
#![forbid(unsafe_code)]

pub(crate) mod completion;
mod criu;
pub(crate) mod help;
pub(crate) mod man;
mod migrate;
pub(crate) mod parse;
pub(crate) mod table;

use crate::failure::Outcome;
use crate::session::Session;

/// One verb of the program.
#[derive(Debug)]
pub(crate) struct Command {
    /// What the user types.
    pub(crate) name: &'static str,
    /// What it does, in a few words that begin with a verb.
    pub(crate) about: &'static str,
    /// The arguments as the usage line shows them: `CONTAINER-ID [SIGNAL]`.
    pub(crate) arguments: &'static str,
    /// How many arguments there may be.
    pub(crate) arity: Arity,
    /// Options end at the first argument: what follows belongs to another program.
    pub(crate) tail: bool,
    /// Paragraphs for the help text and the man page.
    pub(crate) details: &'static [&'static str],
    /// The options.
    pub(crate) flags: &'static [Flag],
    /// What carries it out.
    pub(crate) run: fn(&Session, &Matches) -> Outcome,
}

/// How many arguments a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    /// So many.
    Exactly(usize),
    /// So many, or more.
    AtLeast(usize),
    /// From the first to the second.
    Between(usize, usize),
}

/// One option.
#[derive(Debug)]
pub(crate) struct Flag {
    /// The name after the dashes.
    pub(crate) long: &'static str,
    /// The one-letter name.
    pub(crate) short: Option<&'static str>,
    /// What follows it.
    pub(crate) takes: Takes,
    /// What it is for: a phrase without a full stop.
    pub(crate) about: &'static str,
    /// What holds without it, as the help text shows it.
    pub(crate) default: Option<&'static str>,
}

/// What an option takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Takes {
    /// Nothing, or `=true` or `=false`.
    Nothing,
    /// One value; the last one given counts.
    One(Hint),
    /// One value each time; all count. A comma is part of the value.
    Many(Hint),
    /// One value that is looked at while the line is read: what this does not hold for is no use of the program.
    Checked(Hint, fn(&str) -> bool),
}

/// How a value is called, and how a shell completes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint {
    /// The word in the help text.
    pub(crate) name: &'static str,
    /// What a shell offers.
    pub(crate) complete: Complete,
}

/// What a shell offers for a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Complete {
    /// Nothing.
    Free,
    /// Files.
    Files,
    /// Directories.
    Directories,
    /// These words.
    Words(&'static [&'static str]),
}

impl Takes {
    /// How the value is called, if there is one.
    pub(crate) fn hint(self) -> Option<Hint> {
        match self {
            Takes::Nothing => None,
            Takes::One(hint) | Takes::Many(hint) | Takes::Checked(hint, _) => Some(hint),
        }
    }
}

/// What was typed for one command, or for the program itself: valid against the table, not against the world.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Matches {
    options: Vec<(&'static str, String)>,
    arguments: Vec<String>,
}

impl Matches {
    /// Whether the option was given and not as `=false`.
    pub(crate) fn switch(&self, long: &str) -> bool {
        self.given(long).is_some_and(|value| value == "true")
    }

    /// The option's last value; an empty one counts as none, as in runc.
    pub(crate) fn text(&self, long: &str) -> Option<&str> {
        self.given(long).filter(|value| !value.is_empty())
    }

    /// The option's last value, empty or not.
    pub(crate) fn given(&self, long: &str) -> Option<&str> {
        self.list(long).last()
    }

    /// Every value of the option, in the order typed.
    pub(crate) fn list<'a>(&'a self, long: &str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// The number given, or 0. The parser has let nothing but numbers through.
    pub(crate) fn number(&self, long: &str) -> u32 {
        self.given(long).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// The arguments.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The first argument, which in nearly every command is the container's id; empty if there is none.
    pub(crate) fn id(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}
