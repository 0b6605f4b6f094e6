//! `riverrun ps`: the processes of a container, by way of ps(1).
#![forbid(unsafe_code)]

use std::process::Command;

use crate::args::Matches;
use crate::failure::{Failure, Outcome, io_failure};
use crate::output;
use crate::session::Session;

/// Prints the processes, as ps(1) shows them or as an array of pids.
pub(crate) fn ps(session: &Session, matches: &Matches) -> Outcome {
    let pids = session.context()?.open(matches.id())?.pids()?;
    let text = match matches.given("format") {
        None | Some("table") => table(&pids, matches.arguments().get(1..).unwrap_or_default())?,
        Some("json") => json(&pids),
        Some(_) => return Err("invalid format option".into()),
    };
    output::print(&text)?;
    Ok(0)
}

/// COMPAT(runc): an empty list is `null`.
fn json(pids: &[i32]) -> String {
    if pids.is_empty() {
        return "null\n".to_owned();
    }
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!("[{}]\n", pids.join(","))
}

fn table(pids: &[i32], options: &[String]) -> Result<String, Failure> {
    let mut ps = Command::new("ps");
    if options.is_empty() {
        ps.arg("-ef")
    } else {
        ps.args(options)
    };
    let output = ps.output().map_err(|error| io_failure("execute ps", &error))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let status = output.status.to_string().replacen("status: ", "status ", 1);
        return Err(format!("{status}: {printed}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(filter(&printed, pids)?)
}

/// The title and the lines whose PID column is one of `pids`.
fn filter(printed: &str, pids: &[i32]) -> Result<String, String> {
    let mut lines = printed.lines();
    let title = lines.next().unwrap_or_default();
    let column = title.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or("couldn't find PID field in ps output")?;
    let mut text = format!("{title}\n");
    for line in lines.filter(|line| !line.is_empty()) {
        let field = line.split_whitespace().nth(column).unwrap_or_default();
        let pid: i32 = field.parse().map_err(|_| format!("unable to parse pid: \"{field}\""))?;
        if pids.contains(&pid) {
            text += &format!("{line}\n");
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_container_are_kept() {
        let printed = "UID   PID  PPID CMD\nroot    1     0 init 7\nroot    7     1 sh\n\n";
        assert_eq!(filter(printed, &[7]).unwrap(), "UID   PID  PPID CMD\nroot    7     1 sh\n");
        assert_eq!(filter("CMD\nsh\n", &[7]).unwrap_err(), "couldn't find PID field in ps output");
        assert_eq!(filter("", &[7]).unwrap_err(), "couldn't find PID field in ps output");
        assert_eq!(filter("PID\nx\n", &[7]).unwrap_err(), "unable to parse pid: \"x\"");
    }

    #[test]
    fn json_is_an_array_of_numbers() {
        assert_eq!((json(&[1, 22]), json(&[])), ("[1,22]\n".to_owned(), "null\n".to_owned()));
    }
}
