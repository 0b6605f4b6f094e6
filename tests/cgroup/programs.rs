//! Device programs of a cgroup2: as many as the kernel takes, ours in the place of all.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use serde_json::json;

use crate::scene::{Foreign, on_v2};

/// As many as the kernel lets a cgroup have (BPF_CGROUP_MAX_PROGS).
const MOST: usize = 64;

fn bpf<const N: usize>(command: libc::c_long, attributes: &mut [u32; N]) -> i32 {
    // SAFETY: bpf(2) reads and writes as many bytes as the array has.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), 4 * N) };
    i32::try_from(result).unwrap()
}

fn halves(address: u64) -> [u32; 2] {
    [address as u32, (address >> 32) as u32]
}

/// A program that allows everything: `r0 = 1; exit`.
fn load() -> OwnedFd {
    const LOAD: libc::c_long = 5;
    const CGROUP_DEVICE: u32 = 15;
    let program: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];
    let ([code, high], [license, top]) = (halves(program.as_ptr() as u64), halves(c"GPL".as_ptr() as u64));
    let loaded = bpf(LOAD, &mut [CGROUP_DEVICE, 2, code, high, license, top, 0, 0, 0, 0, 0, 0]);
    assert!(loaded >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the kernel gave it to us, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(loaded) }
}

fn attach(cgroup: &File, program: &OwnedFd) -> std::io::Result<()> {
    const ATTACH: libc::c_long = 8;
    const DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;
    let (cgroup, program) = (cgroup.as_raw_fd() as u32, program.as_raw_fd() as u32);
    let attached = bpf(ATTACH, &mut [cgroup, program, DEVICE, ALLOW_MULTI, 0]);
    if attached == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// How many device programs a cgroup has itself.
fn attached(path: &Path) -> u32 {
    const QUERY: libc::c_long = 16;
    const DEVICE: u32 = 6;
    let cgroup = File::open(path).unwrap();
    let mut ids = [0_u32; 2 * MOST];
    let [low, high] = halves(ids.as_mut_ptr() as u64);
    // target, type, flags of the query, flags of the programs, ids, how many
    let mut query = [cgroup.as_raw_fd() as u32, DEVICE, 0, 0, low, high, 2 * MOST as u32, 0];
    assert_eq!(bpf(QUERY, &mut query), 0, "{}", std::io::Error::last_os_error());
    query[6]
}

#[test]
fn a_cgroup_full_of_device_programs_is_taken_and_has_one_then() {
    let test = "a_cgroup_full_of_device_programs_is_taken_and_has_one_then";
    let Some(scene) = on_v2("full", test) else { return };
    let own = Foreign::new(scene.cgroup("c"));
    let cgroup = File::open(&own.0).unwrap();
    for _ in 0..MOST {
        attach(&cgroup, &load()).unwrap();
    }
    let more = attach(&cgroup, &load()).unwrap_err();
    assert_eq!((more.raw_os_error(), attached(&own.0)), (Some(libc::E2BIG), MOST as u32));
    scene.config("c", &["sleep", "1000"], |config| {
        config["linux"]["resources"]["devices"] = json!([{"allow": false, "access": "rwm"}]);
    });
    let id = scene.start("c");
    assert_eq!(attached(&own.0), 1);
    scene.ok(&["exec", &id, "sh", "-c", "echo >/dev/null"]);
    // Filled anew by somebody, it can still be given other rules.
    for _ in 1..MOST {
        attach(&cgroup, &load()).unwrap();
    }
    let rules = scene.world.directory.join("rules.json");
    std::fs::write(&rules, json!({"devices": [{"allow": true}]}).to_string()).unwrap();
    scene.ok(&["update", "--resources", rules.to_str().unwrap(), &id]);
    assert_eq!(attached(&own.0), 1);
    scene.ok(&["delete", "--force", &id]);
    drop((cgroup, own));
    scene.world.assert_nothing_left();
}
