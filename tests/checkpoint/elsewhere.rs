//! A restore in a root filesystem that the container was not created in.

use std::fs;

use serde_json::json;

use crate::scene::Scene;

#[test]
fn mount_points_that_a_new_root_filesystem_lacks_are_made() {
    let name = "mount_points_that_a_new_root_filesystem_lacks_are_made";
    let host = std::env::temp_dir().join(format!("riverrun-elsewhere-{}", std::process::id()));
    fs::write(&host, "of the host\n").unwrap();
    let scene = Scene::of(name, |config| {
        config["mounts"].as_array_mut().unwrap().push(json!({
            "destination": "/etc/of/host", "type": "bind", "source": host, "options": ["bind", "ro"],
        }));
    });
    let Some(scene) = scene else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    let (rootfs, old) = (scene.world.bundle.join("rootfs"), scene.world.bundle.join("old"));
    fs::rename(&rootfs, &old).unwrap();
    fs::create_dir_all(rootfs.join("bin")).unwrap();
    fs::copy(old.join("bin/busybox"), rootfs.join("bin/busybox")).unwrap();
    fs::copy(old.join("count"), rootfs.join("count")).unwrap();
    scene.restore(&after, &[]);
    scene.counts();
    let output = scene.world.output(&["exec", &after, "/bin/busybox", "cat", "/etc/of/host"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "of the host\n");
    scene.delete(&after);
    fs::remove_file(host).unwrap();
}
