//! The example that people are shown: two hosts, an open TCP connection, nothing lost.

use std::process::Command;

use crate::{criu, support};

#[test]
fn two_hosts_exchange_a_container_with_an_open_connection_and_nothing_is_lost() {
    let test = "two_hosts_exchange_a_container_with_an_open_connection_and_nothing_is_lost";
    if support::skipped(test) {
        return;
    }
    let criu = match criu::program() {
        Ok(path) => path,
        Err(reason) => {
            eprintln!("skipped, {test}: {reason}");
            return;
        }
    };
    let _alone = criu::alone();
    let mut example = Command::new("timeout");
    example.args(["--kill-after=20", "400", "examples/migrate/two-hosts"]);
    let output = example.env("CRIU", criu).env("RIVERRUN", env!("CARGO_BIN_EXE_riverrun")).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        eprintln!("{}", said.trim_end().replace("skipped: ", &format!("skipped, {test}: ")));
        return;
    }
    assert!(output.status.success(), "{said}{errors}");
    assert!(
        said.contains("lines came back over one connection") && said.contains("nothing was lost"),
        "{said}"
    );
    assert_eq!(errors.matches("runs there as process").count(), 2, "{errors}");
}
