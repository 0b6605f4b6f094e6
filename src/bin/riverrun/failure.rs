//! How a command ends when it does not succeed: a message for the log and standard error, and an exit status.
//!
//! The messages of the library come through word for word; what is added here is what only the command line knows.
#![forbid(unsafe_code)]

use std::io;

/// What a command returns: its exit status.
pub(crate) type Outcome = Result<u8, Failure>;

/// Why a command did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What is printed, once.
    pub(crate) message: String,
    /// The exit status.
    pub(crate) status: u8,
}

/// The status of every failure of the program itself.
pub(crate) const FAILED: u8 = 1;
/// The status of an `exec` whose process never ran: callers tell it from the process's own status by this.
pub(crate) const NOT_EXECUTED: u8 = 255;

/// COMPAT(runc): what its argument parser exits with when there is no such command.
const NO_SUCH_COMMAND: u8 = 3;

impl Failure {
    /// Nobody knows a command of this name.
    pub(crate) fn no_such_command(name: &str) -> Self {
        Self { message: format!("No help topic for '{name}'"), status: NO_SUCH_COMMAND }
    }

    /// The same failure with `prefix` in front, and another status unless it has one of its own.
    pub(crate) fn during(self, prefix: &str, status: u8) -> Self {
        let status = if self.status == FAILED { status } else { self.status };
        Self { message: format!("{prefix}: {}", self.message), status }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, status: FAILED }
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl From<riverrun::Error> for Failure {
    fn from(error: riverrun::Error) -> Self {
        error.to_string().into()
    }
}

/// `open /run/x: no such file or directory`
pub(crate) fn io_failure(doing: &str, error: &io::Error) -> Failure {
    format!("{doing}: {}", cause(error)).into()
}

/// The cause as the C library and Go print it: lower case, without Rust's "(os error 2)".
pub(crate) fn cause(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    };
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_read_as_in_go() {
        let missing = std::fs::File::open("/nonexistent/x").expect_err("nothing is there");
        assert_eq!(
            io_failure("open /nonexistent/x", &missing).message,
            "open /nonexistent/x: no such file or directory"
        );
    }

    #[test]
    fn prefix_comes_first_and_status_is_replaced() {
        let failure = Failure::from("container does not exist").during("exec failed", NOT_EXECUTED);
        assert_eq!(
            (failure.message.as_str(), failure.status),
            ("exec failed: container does not exist", 255)
        );
    }
}
