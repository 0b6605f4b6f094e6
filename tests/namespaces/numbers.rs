//! Clocks and id maps: what a namespace is told in numbers.
#![forbid(unsafe_code)]

use std::fs;
use std::io::Read;

use riverrun::{Call, Stdio};
use serde_json::{Value, json};

use super::support::{World, skipped};
use super::{assert_exec_is_beside, exec, hand_over, mappings, path_of, pause, read_all, user_map};

#[test]
fn clocks_are_set_before_the_program_and_for_exec() {
    if skipped("clocks_are_set_before_the_program_and_for_exec") {
        return;
    }
    let world = World::new("ns-time");
    hand_over(&world);
    let pause = pause(&world, &world.context(), false);
    let maker = pause.init_process().unwrap().pid();
    let uptime = |text: &str| text.split('.').next().unwrap().trim().parse::<u64>().unwrap();
    let host = uptime(&fs::read_to_string("/proc/uptime").unwrap());
    for user in [None, Some("new"), Some("beside")] {
        world.config(&["sh", "-c", "cat /proc/uptime; exec sleep 1000"], |config| {
            config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
            config["linux"]["timeOffsets"] =
                json!({"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 2_000_000, "nanosecs": 7}});
            if user.is_some() {
                config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
                mappings(config, &user_map());
            }
            if user == Some("beside") {
                // A namespace that is joined makes the user namespace one that is unshared.
                let list = config["linux"]["namespaces"].as_array_mut().unwrap();
                list.retain(|namespace| namespace["type"] != "uts");
                list.push(json!({"type": "uts", "path": path_of(maker, "uts")}));
                // It is not this user namespace's to name.
                config["hostname"] = json!("");
            }
        });
        let mut options = world.options();
        options.io.stdout = Stdio::Pipe;
        let container = world.context().run(&world.id("c"), options).unwrap();
        let process = container.init_process().unwrap();
        let mut text = [0; 64];
        let n = fs::File::from(process.take_pipe(1).unwrap()).read(&mut text).unwrap();
        let seen = uptime(std::str::from_utf8(&text[..n]).unwrap());
        assert!((host + 1_000_000..host + 1_000_100).contains(&seen), "{user:?}: {seen} and {host}");
        let other = exec(&container, &["cat", "/proc/uptime", "/proc/self/timens_offsets"]).unwrap();
        let text = read_all(&other);
        assert!(uptime(&text) >= host + 1_000_000, "{user:?}: {text}");
        let words: Vec<&str> = text.split_whitespace().skip(2).collect();
        assert_eq!(words, ["monotonic", "2000000", "7", "boottime", "1000000", "0"], "{user:?}");
        other.wait(Call::default()).unwrap();
        assert_exec_is_beside(&container);
        container.delete(true, Call::default()).unwrap();
    }
    pause.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn as_many_extents_as_the_kernel_takes() {
    if skipped("as_many_extents_as_the_kernel_takes") {
        return;
    }
    let world = World::new("ns-many");
    hand_over(&world);
    let extents =
        |n: u32| (0..n).map(|i| json!({"containerID": i, "hostID": 100_000 + 2 * i, "size": 1})).collect();
    let run = |maps: Vec<Value>, uid: u32| {
        world.config(&["sh", "-c", "id -u"], |config| {
            config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            config["process"]["user"] = json!({"uid": uid, "gid": 0});
            mappings(config, &json!(maps));
            config["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
        });
        let mut options = world.options();
        options.io.stdout = Stdio::Pipe;
        world.context().run(&world.id("c"), options)
    };
    // Three hundred and more do not fit into the page that the kernel reads unless their numbers are short.
    let container = run(extents(250), 249).unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "249\n");
    container.init_process().unwrap().wait(Call::default()).unwrap();
    container.delete(true, Call::default()).unwrap();
    let short = (0..340).map(|i| json!({"containerID": 2 * i, "hostID": 2 * i + 1, "size": 1}));
    let container = run(short.chain([]).collect(), 678).unwrap();
    container.init_process().unwrap().wait(Call::default()).unwrap();
    container.delete(true, Call::default()).unwrap();
    let refused = run(extents(341), 0).unwrap_err();
    assert!(refused.to_string().contains("more than the kernel's 340 extents"), "{refused}");
    let refused = run(extents(340), 0).unwrap_err();
    assert!(refused.to_string().contains("page"), "{refused}");
    world.assert_nothing_left();
}
