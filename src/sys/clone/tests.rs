//! Starting a program and doing something beside it.

use super::*;

fn foreign(path: &CStr) -> Program<'_> {
    Program::Foreign(Foreign { path, directory: c"/", dies_with_caller: true })
}

fn wanted<'a>(path: &'a CStr, arguments: &'a [CString]) -> Spawn<'a> {
    Spawn {
        program: foreign(path),
        arguments,
        environment: &[],
        namespaces: 0,
        cgroup: None,
        tasks: &[],
        affinity: &[],
        descriptors: &[],
        keep_capabilities: false,
        oom_score_adj: None,
        orphan: false,
    }
}

fn exit_code(child: &Child) -> i32 {
    use std::os::fd::AsFd;
    super::super::poll::readable(&[child.pidfd.as_fd()], None).unwrap();
    super::super::pidfd::try_wait(child.pidfd.as_fd()).unwrap().unwrap().code
}

#[test]
fn what_is_done_beside_a_process_knows_its_pid() {
    let arguments = [c"sh".to_owned(), c"-c".to_owned(), c"exit 7".to_owned()];
    let (child, pid) = spawn_beside(&wanted(c"/bin/sh", &arguments), |pid| pid).unwrap();
    assert_eq!(pid, Some(child.pid));
    assert_eq!(exit_code(&child), 7);
}

#[test]
fn a_program_that_cannot_be_executed_is_told_after_the_work() {
    let mut worked = false;
    let arguments = [c"none".to_owned()];
    let failure = spawn_beside(&wanted(c"/none/such", &arguments), |_| worked = true).unwrap_err();
    assert_eq!((failure.stage, failure.errno), (Stage::Execute, Errno::ENOENT));
    assert!(worked);
}

#[test]
fn the_errno_of_the_caller_is_not_the_childs_to_write() {
    let arguments = [c"none".to_owned()];
    for _ in 0..200 {
        let mut kept = true;
        let failure = spawn_beside(&wanted(c"/none/such", &arguments), |_| {
            Errno::EXFULL.set();
            let begun = std::time::Instant::now();
            while begun.elapsed() < std::time::Duration::from_micros(300) {
                kept &= Errno::last() == Errno::EXFULL;
            }
        });
        assert_eq!(failure.unwrap_err().errno, Errno::ENOENT);
        assert!(kept);
    }
}

#[test]
fn work_that_panics_leaves_when_the_child_has_left_our_memory() {
    let arguments = [c"true".to_owned()];
    for _ in 0..50 {
        let (program, arguments) = (c"/bin/true".to_owned(), arguments.clone());
        let panicked = std::panic::catch_unwind(|| {
            let _ = spawn_beside(&wanted(&program, &arguments), |_| std::panic::resume_unwind(Box::new(())));
        });
        // What was lent to it is gone now; it executes all the same.
        drop((program, arguments));
        assert!(panicked.is_err());
    }
}
