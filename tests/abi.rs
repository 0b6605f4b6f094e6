//! The C ABI as C programs see it: what they link, what the header promises of sizes, NULL, errors and the host, and a
//! container's life. Each program of `tests/abi/` is compiled against the library of this very build, linked as
//! `make install` links it, and run in a scene of its own that is searched for leftovers afterwards.
//!
//! What needs root says so and is skipped without it.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "a test may panic")]

#[path = "checkpoint/criu.rs"]
mod criu;
#[path = "abi/host.rs"]
mod host;
#[path = "abi/refusals.rs"]
mod refusals;
#[path = "abi/scene.rs"]
mod scene;

use host::{compile, header_functions, library, root};
use riverrun::ffi;
use scene::{Scene, root_or_skip};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs a program whose containers are named after it and its pid, and looks for what it left.
fn keeps_its_promises(program: &str, scene: &Scene, arguments: &[&str]) {
    let root = scene.root();
    let (pid, output) = Command::new(compile(program)).arg(&root).args(arguments).output_of_child();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.trim_end() == "ok",
        "{program}: {}\n{told}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    // What it has left out.
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    scene.assert_nothing_left(&format!("rr-abi-{program}-{pid}"));
}

/// `Command::output` that tells the pid too.
trait OutputOfChild {
    fn output_of_child(&mut self) -> (u32, std::process::Output);
}
impl OutputOfChild for Command {
    fn output_of_child(&mut self) -> (u32, std::process::Output) {
        use std::process::Stdio;
        let child = self.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{self:?}: {error}"));
        let pid = child.id();
        (pid, child.wait_with_output().expect("a child can be waited for"))
    }
}

#[test]
fn null_is_an_error_or_nothing_in_every_function() {
    keeps_its_promises("nulls", &Scene::new("nulls"), &[]);
    // The program must not forget one: each function of the header is in its source.
    let source = fs::read_to_string(root().join("tests/abi/nulls.c")).expect("nulls.c is there");
    for function in header_functions() {
        assert!(source.contains(&format!("{function}(")), "tests/abi/nulls.c does not call {function}");
    }
}

#[test]
fn structs_grow_by_their_size() {
    let scene = Scene::new("sizes");
    if root_or_skip("structs_grow_by_their_size, the results of a container") {
        let bundle = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
        keeps_its_promises("sizes", &scene, &[&bundle]);
    } else {
        keeps_its_promises("sizes", &scene, &[]);
    }
}

#[test]
fn container_lives_its_whole_life_from_c() {
    if !root_or_skip("container_lives_its_whole_life_from_c") {
        return;
    }
    let scene = Scene::new("life");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    let talker = scene.bundle("talker", &["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]);
    keeps_its_promises("life", &scene, &[&sleeper, &talker]);
}

#[test]
fn namespaces_and_cgroup_are_had_by_descriptor() {
    if !root_or_skip("namespaces_and_cgroup_are_had_by_descriptor") {
        return;
    }
    let scene = Scene::new("inside");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("inside", &scene, &[&sleeper]);
}

#[test]
fn program_says_on_its_socket_that_it_is_ready() {
    if !root_or_skip("program_says_on_its_socket_that_it_is_ready") {
        return;
    }
    let scene = Scene::new("notified");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("notified", &scene, &[&sleeper]);
}

#[test]
fn cancelled_call_leaves_nothing_and_one_cancelled_before_does_nothing() {
    if !root_or_skip("cancelled_call_leaves_nothing_and_one_cancelled_before_does_nothing") {
        return;
    }
    let scene = Scene::new("cancel");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    let hooked = scene.bundle("hooked", &["/bin/true"]);
    let mark = scene.path().join("mark").to_str().expect("the scene has a plain name").to_owned();
    let config = Path::new(&hooked).join("config.json");
    let text = fs::read_to_string(&config).expect("the bundle has a configuration");
    let hook = format!(r#"{{"path": "/bin/sh", "args": ["sh", "-c", ">{mark}; exec sleep 1000"]}}"#);
    let text = text.replacen('{', &format!(r#"{{"hooks": {{"createRuntime": [{hook}]}},"#), 1);
    fs::write(&config, text).expect("the configuration can be written");
    keeps_its_promises("cancel", &scene, &[&sleeper, &hooked, &mark]);
}

#[test]
fn container_stands_still_and_goes_on_from_c() {
    if !root_or_skip("container_stands_still_and_goes_on_from_c") {
        return;
    }
    let scene = Scene::new("pause");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("pause", &scene, &[&sleeper]);
}

#[test]
fn container_becomes_files_and_lives_again_from_c() {
    const TEST: &str = "container_becomes_files_and_lives_again_from_c";
    if !root_or_skip(TEST) {
        return;
    }
    match criu::program() {
        Ok(criu) => {
            let _alone = criu::alone();
            let scene = Scene::new("checkpoint");
            let count = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
            let counter = scene.bundle("counter", &["/bin/sh", "-c", count]);
            let folder = scene.path().to_str().expect("the scene has a plain name").to_owned();
            let criu = criu.to_str().expect("a peer has a plain name");
            keeps_its_promises("checkpoint", &scene, &[&counter, &folder, criu]);
        }
        Err(reason) => eprintln!("skipped: {TEST}: {reason}"),
    }
}

#[test]
fn container_moves_to_another_context_from_c() {
    const TEST: &str = "container_moves_to_another_context_from_c";
    if !root_or_skip(TEST) {
        return;
    }
    match criu::program() {
        Ok(criu) => {
            let _alone = criu::alone();
            let scene = Scene::new("migrate");
            let count = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
            let counter = scene.bundle("counter", &["/bin/sh", "-c", count]);
            let folder = scene.path().to_str().expect("the scene has a plain name").to_owned();
            let criu = criu.to_str().expect("a peer has a plain name");
            keeps_its_promises("migrate", &scene, &[&counter, &folder, criu]);
        }
        Err(reason) => eprintln!("skipped: {TEST}: {reason}"),
    }
}

#[test]
fn host_has_hooks_the_root_orphans_and_listeners_in_its_own_hands() {
    if !root_or_skip("host_has_hooks_the_root_orphans_and_listeners_in_its_own_hands") {
        return;
    }
    let scene = Scene::new("hooked");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("hooked", &scene, &[&sleeper]);
}

#[test]
fn container_tells_what_happens_to_it_in_a_loop_of_c() {
    if !root_or_skip("container_tells_what_happens_to_it_in_a_loop_of_c") {
        return;
    }
    let scene = Scene::new("events");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    let eater = scene.bundle("eater", &["/bin/sh", "-c", "x=aaaaaaaa; while :; do x=$x$x; done"]);
    let config = Path::new(&eater).join("config.json");
    let text = fs::read_to_string(&config).expect("the bundle has a configuration");
    let mut config_json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    config_json["linux"]["resources"]["memory"] = serde_json::json!({ "limit": 16 << 20, "swap": 16 << 20 });
    fs::write(&config, config_json.to_string()).expect("the configuration can be written");
    keeps_its_promises("events", &scene, &[&sleeper, &eater]);
}

#[test]
fn log_lines_come_on_the_calling_thread_during_the_call() {
    keeps_its_promises("logged", &Scene::new("logged"), &[]);
}

#[test]
fn host_is_untouched_by_a_thousand_calls() {
    if !root_or_skip("host_is_untouched_by_a_thousand_calls") {
        return;
    }
    let scene = Scene::new("untouched");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("untouched", &scene, &[&sleeper]);
}

#[test]
fn busy_threads_of_the_host_neither_hang_nor_leak() {
    if !root_or_skip("busy_threads_of_the_host_neither_hang_nor_leak") {
        return;
    }
    let scene = Scene::new("threads");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("threads", &scene, &[&sleeper, "25"]);
}

#[test]
fn host_that_reaps_everything_does_no_harm() {
    if !root_or_skip("host_that_reaps_everything_does_no_harm") {
        return;
    }
    let scene = Scene::new("reaped");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("reaped", &scene, &[&sleeper, "reaper"]);
}

#[test]
fn host_that_ignores_sigchld_does_no_harm() {
    if !root_or_skip("host_that_ignores_sigchld_does_no_harm") {
        return;
    }
    let scene = Scene::new("ignored");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("reaped", &scene, &[&sleeper, "ignore"]);
}

#[test]
fn forked_child_is_told_so() {
    if !root_or_skip("forked_child_is_told_so") {
        return;
    }
    let scene = Scene::new("forked");
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    keeps_its_promises("forked", &scene, &[&sleeper]);
}

#[test]
fn shared_library_exports_the_headers_functions_and_nothing_else() {
    let shared = library().join("libriverrun.so");
    let output = Command::new("nm").args(["--dynamic", "--defined-only"]).arg(&shared).output();
    let output = output.unwrap_or_else(|error| panic!("nm: {error}; tests/setup/packages installs binutils"));
    let listing = String::from_utf8(output.stdout).expect("nm prints names");
    let symbols: Vec<(&str, &str)> = listing
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((words.next()?, words.next()?))
        })
        .collect();
    let exported: BTreeSet<String> =
        symbols.iter().filter(|(kind, _)| *kind == "T").map(|(_, name)| (*name).to_owned()).collect();
    let wanted = header_functions().into_iter().map(|name| format!("{name}@@LIBRIVERRUN_0.1")).collect();
    assert_eq!(exported, wanted);
    // Besides them, only the name of the version node.
    let others: Vec<_> = symbols.iter().filter(|(kind, _)| *kind != "T").collect();
    assert_eq!(others, [&("A", "LIBRIVERRUN_0.1")]);
}

#[test]
fn shared_library_has_its_soname_and_full_relro() {
    let shared = library().join("libriverrun.so");
    let output =
        Command::new("readelf").args(["--wide", "--dynamic", "--program-headers"]).arg(&shared).output();
    let listing = String::from_utf8(output.expect("readelf runs").stdout).expect("readelf prints text");
    for wanted in ["soname: [libriverrun.so.0]", "BIND_NOW", "GNU_RELRO", "GNU_STACK"] {
        assert!(listing.contains(wanted), "{wanted} is missing:\n{listing}");
    }
    let stack = listing.lines().find(|line| line.contains("GNU_STACK")).expect("it was found above");
    assert!(!stack.contains("RWE"), "the stack is executable: {stack}");
    assert!(
        !listing.contains("(INIT)") || !listing.contains("RPATH"),
        "no path of this machine is in it:\n{listing}"
    );
    let needed: Vec<_> = listing.lines().filter(|line| line.contains("(NEEDED)")).collect();
    for line in needed {
        let known = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux"];
        assert!(known.iter().any(|name| line.contains(name)), "an engine would have to bring: {line}");
    }
}

/// The lines of layout.c, `(type, field) -> number`; a whole type has an empty field.
fn layout_of_c() -> BTreeMap<(String, String), usize> {
    let source = fs::read_to_string(root().join("tests/abi/layout.c")).expect("layout.c is there");
    let line = |line: &str| {
        let inside =
            line.strip_prefix("WHOLE(").or_else(|| line.strip_prefix("FIELD("))?.strip_suffix(");")?;
        let words: Vec<&str> = inside.split(", ").collect();
        let field = if words.len() == 3 { words[1] } else { "" };
        Some(((words[0].to_owned(), field.to_owned()), words[words.len() - 1].parse().ok()?))
    };
    source.lines().filter_map(line).collect()
}

macro_rules! layout {
    ($($name:ident { $($field:ident)+ })+) => {
        BTreeMap::from([$(
            ((stringify!($name).to_owned(), String::new()), size_of::<ffi::$name>()),
            $((
                (stringify!($name).to_owned(), stringify!($field).trim_start_matches("r#").to_owned()),
                std::mem::offset_of!(ffi::$name, $field),
            ),)+
        )+])
    };
}

#[test]
fn layouts_are_the_same_on_both_sides() {
    let rust = layout! {
        rr_buf { data len reserved }
        rr_context_options { size root flags log log_data log_level reserved0 init_path }
        rr_call { size timeout_ms cancel_fd_plus1 }
        rr_stdio { kind fd }
        rr_fd_map { host_fd container_fd }
        rr_io { size r#in out err console_socket rows cols reserved0 fds n_fds }
        rr_create_options {
            size flags bundle config config_len rootfs_fd_plus1 reserved0 pid_file io hook hook_data call
        }
        rr_exec_options { size flags process process_len cgroups n_cgroups pid_file io call }
        rr_checkpoint_options {
            size flags images images_fd_plus1 work_fd_plus1 work parent page_server page_server_port status_fd_plus1
            manage_cgroups network_lock criu call
        }
        rr_restore_options {
            size flags images images_fd_plus1 work_fd_plus1 work manage_cgroups network_lock lsm_profile
            lsm_mount_context criu
        }
        rr_migration_event { size r#type round files bytes sending_ns memory downtime_ns pid frozen reason }
        rr_migrate_options { size flags rounds patience_ms work manage_cgroups network_lock criu progress progress_data call }
        rr_receive_options { size flags limit patience_ms manage_cgroups network_lock reserved0 work criu }
        rr_migrated { size pid rounds bytes downtime_ns total_ns }
        rr_update_options { size flags l3_cache_schema mem_bw_schema call }
        rr_state_info { size status pid start_time created_ns }
        rr_exit { size code sig flags exited_ns }
        rr_stats_options { size what percpu percpu_cap }
        rr_stats_info {
            size present taken_ns cpu_total cpu_user cpu_kernel cpu_periods cpu_throttled_periods cpu_throttled
            memory_usage memory_limit memory_max memory_failcnt memory_anon memory_file memory_inactive_file
            memory_kernel memory_swap memory_pgfault memory_pgmajfault memory_oom memory_oom_kill pids_current
            pids_limit io_read_bytes io_write_bytes io_reads io_writes cpu_some cpu_full memory_some memory_full
            io_some io_full rdma_handles rdma_objects n_percpu
        }
        rr_pressure { resource full stall_us window_us }
        rr_events_options { size mask stats_interval_ms reserved0 pressure n_pressure }
        rr_event { size r#type pid time_ns count exit_code exit_sig exit_flags status index json json_len }
    };
    assert_eq!(layout_of_c(), rust);
    host::check_syntax("layout");
    // And no struct of the header is missing above.
    let header = fs::read_to_string(root().join("include/riverrun.h")).expect("the header is there");
    for line in header.lines().filter(|line| line.starts_with("typedef struct") && line.ends_with('{')) {
        let name = line.split_whitespace().nth(2).expect("a struct has a name");
        assert!(rust.contains_key(&(name.to_owned(), String::new())), "{name} is not in the table");
    }
}
