//! Formats, and whole cgroups as files: `tests/stats-files/` has what a container's cgroups said once.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::error::Kind;

/// Lays out a file of `== directory/name` and what is in it; the directories that it made, as controllers.
pub(crate) fn lay_out(fixture: &str, root: &Path) -> Vec<(String, PathBuf)> {
    let mut made = Vec::new();
    for part in fixture.split("== ").filter(|part| !part.is_empty()) {
        let (name, text) = part.split_once('\n').unwrap();
        let (controller, _) = name.split_once('/').unwrap();
        let directory = root.join(controller);
        fs::create_dir_all(&directory).unwrap();
        fs::write(root.join(name), text).unwrap();
        let key = if controller == "c" { "" } else { controller };
        if !made.iter().any(|(known, _)| known == key) {
            made.push((key.to_owned(), directory));
        }
    }
    made
}

/// A directory that goes away.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("riverrun-stats-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const V1: &str = include_str!("../../../tests/stats-files/v1.txt");
const V2: &str = include_str!("../../../tests/stats-files/v2.txt");

#[test]
fn flat_numbers_of_v1_are_those_of_its_files() {
    let scratch = Scratch::new("usage-v1");
    let paths = lay_out(V1, &scratch.0);
    let usage = usage(&paths, StatsSet::ALL).unwrap();
    let without_pressure = StatsSet::from_bits(StatsSet::ALL.bits() & !StatsSet::PRESSURE.bits()).unwrap();
    assert_eq!(usage.present, without_pressure);
    assert_eq!((usage.memory_limit, usage.pids_limit), (64 << 20, 50));
    assert_eq!(usage.percpu.iter().sum::<u64>(), usage.cpu_total);
    assert_eq!((usage.io_read_bytes, usage.io_write_bytes), (606_208, 122_880));
    assert_eq!((usage.rdma_handles, usage.rdma_objects), (5, u64::MAX));
    assert!(usage.memory_usage > 0 && usage.memory_file > 0 && usage.taken_ns > 0);
}

#[test]
fn flat_numbers_of_v2_are_those_of_its_files() {
    let scratch = Scratch::new("usage-v2");
    let paths = lay_out(V2, &scratch.0);
    let usage = usage(&paths, StatsSet::MOST).unwrap();
    assert_eq!(usage.present, StatsSet::MOST);
    assert_eq!((usage.cpu_total, usage.cpu_throttled), (1_234_567_000, 4_567_000));
    assert_eq!((usage.memory_usage, usage.memory_limit, usage.memory_swap), (1_990_656, 64 << 20, 4096));
    assert_eq!((usage.memory_failcnt, usage.memory_oom, usage.memory_oom_kill), (7, 2, 1));
    assert_eq!((usage.pids_current, usage.pids_limit), (2, u64::MAX));
    assert_eq!((usage.io_read_bytes, usage.io_reads), (610_304, 13));
    assert_eq!((usage.memory_some, usage.io_full), (4_242_000, 66_000));
}

#[test]
fn what_is_not_asked_for_is_not_read() {
    let scratch = Scratch::new("usage-part");
    let paths = lay_out("== memory/memory.usage_in_bytes\nnonsense\n== pids/pids.current\n7\n", &scratch.0);
    let usage = usage(&paths, StatsSet::PIDS).unwrap();
    assert_eq!((usage.present, usage.pids_current, usage.memory_usage), (StatsSet::PIDS, 7, 0));
}

#[test]
fn nonsense_is_an_error_that_names_the_file() {
    let scratch = Scratch::new("nonsense");
    let paths = lay_out("== pids/pids.current\nnonsense\n", &scratch.0);
    let error = usage(&paths, StatsSet::PIDS).unwrap_err();
    assert!(error.to_string().contains("pids.current"), "{error}");
}

#[test]
fn a_cgroup_that_is_gone_is_an_error_and_a_file_that_is_missing_is_none() {
    let scratch = Scratch::new("gone");
    let path = scratch.0.join("memory");
    let paths = [("memory".to_owned(), path.clone())];
    assert_eq!(read(&paths).unwrap_err().kind(), Kind::Cgroup);
    assert_eq!(usage(&paths, StatsSet::MEMORY).unwrap_err().kind(), Kind::Cgroup);
    fs::create_dir(&path).unwrap();
    assert_eq!(read(&paths).unwrap().memory, MemoryStats::default());
}

#[test]
fn ranges_are_written_out() {
    assert_eq!(parse::ranges("0-2,5\n"), [0, 1, 2, 5]);
    assert_eq!(parse::ranges("\n"), [0_u16; 0]);
}

#[test]
fn a_device_without_numbers_is_none() {
    assert_eq!(parse::io_stat("7:0 \n8:0 rbytes=1\n").collect::<Vec<_>>(), [(8, 0, "rbytes", 1)]);
    assert_eq!(parse::blkio("Total 0\n"), []);
    assert_eq!(parse::blkio("8:0 5\n")[0], IoEntry { major: 8, minor: 0, op: String::new(), value: 5 });
}

#[test]
fn a_pressure_file_of_an_old_kernel_has_no_full_line() {
    let pressure = parse::pressure("some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n");
    assert_eq!((pressure.some.avg10, pressure.some.total), (1.5, 9));
    assert_eq!(pressure.full, Stall::default());
}

#[test]
fn a_large_file_is_read_to_its_end() {
    let scratch = Scratch::new("large");
    let lines: String = (0..5000).map(|number| format!("key_{number} {number}\n")).collect();
    fs::write(scratch.0.join("memory.stat"), lines).unwrap();
    let stats = read(&[("memory".to_owned(), scratch.0.clone())]).unwrap();
    assert_eq!((stats.memory.raw.len(), stats.memory.raw["key_4999"]), (5000, 4999));
}
