//! Standard output: plain text, tables, the version.
//!
//! The version's first line must begin with `runc version `: go-runc (and containerd, Docker and buildkit through it)
//! takes a version only from a line with that beginning, and then looks for `commit: ` and `spec: `. The build part
//! `+riverrun` keeps it a semantic version and lets a person see what answers; the last line says it in full.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use crate::failure::{Failure, io_failure};

/// Prints `text` as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| io_failure("write to standard output", &error))
}

/// What `--version` prints.
pub(crate) fn version() -> String {
    let version = riverrun::VERSION;
    let commit = option_env!("RIVERRUN_COMMIT").map_or(String::new(), |commit| format!("commit: {commit}\n"));
    let spec = riverrun::OCI_VERSION;
    format!("runc version {version}+riverrun\n{commit}spec: {spec}\nriverrun: {version}\n")
}

/// Lines of cells under each other: a column is as wide as its widest cell and three blanks, and twelve at least.
/// The last cell of a line is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    const LEAST: usize = 12;
    const PADDING: usize = 3;
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let widest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        LEAST.max(widest.unwrap_or(0) + PADDING)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let width = if index + 1 == columns { 0 } else { *width };
            text += &format!("{cell:<width$}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_taken_by_go_runc_and_told_to_people() {
        let text = version();
        assert!(text.starts_with(&format!("runc version {}", riverrun::VERSION)));
        assert!(text.lines().any(|line| line.starts_with("spec: 1.")));
        assert!(text.contains("riverrun"));
    }

    #[test]
    fn columns_are_twelve_wide_or_the_widest_cell_and_three() {
        let rows = [vec!["ID".into(), "PID".into()], vec!["a-long-container".into(), "1".into()]];
        assert_eq!(table(&rows), "ID                 PID\na-long-container   1\n");
        assert_eq!(table(&rows[..1]), "ID          PID\n");
        assert_eq!(table(&[vec!["éé".into(), "x".into()]]), "éé          x\n");
    }
}
