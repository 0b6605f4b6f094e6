//! The same bundles under riverrun, runc and crun: what their processes can see must be the same, field by field.
//!
//! Why: "drop-in" is a claim about details (a umask, a mount's flags, a session) that no list of features holds. The
//! bundles are the tables in `differential/bundles/`, the intended differences the one in `differential/intended.rs`.
//! Needs root, gcc, and for the comparison the peers that `peers/get-peer` can get; what is missing is said and skipped.
//!
//! `RIVERRUN_TEST_RUNTIME` puts another program in riverrun's place, `RIVERRUN_TEST_ONLY` takes the cases with that in
//! their names, `RIVERRUN_TEST_VERBOSE` says where runc and crun disagree.
#![forbid(unsafe_code)]

#[path = "differential/mod.rs"]
mod suite;

use suite::{bundles, check};

#[test]
fn process_sees_the_same_of_itself() {
    check("process", bundles::process());
}

#[test]
fn process_sees_the_same_mounts() {
    check("mounts", bundles::mounts());
}

#[test]
fn process_sees_the_same_guarded_paths_and_devices() {
    check("paths", bundles::paths());
}

#[test]
fn process_sees_the_same_namespaces() {
    check("namespaces", bundles::namespaces());
}

#[test]
fn host_sees_the_same_cgroups() {
    check("cgroups", bundles::cgroups());
}

#[test]
fn process_sees_the_same_terminal() {
    check("terminals", bundles::terminals());
}

#[test]
fn second_process_sees_the_same() {
    check("exec", bundles::exec());
}

#[test]
fn hostile_image_leads_nobody_out() {
    check("hostile", bundles::hostile());
}

#[test]
fn same_bundles_are_refused() {
    check("refused", bundles::refused());
}

#[test]
fn default_spec_is_the_same_document() {
    suite::compare_default_specs();
}
