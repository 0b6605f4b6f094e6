//! A bundle whose hooks tell what they see, in files that the test reads afterwards.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;

pub(crate) const ALL: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Tells all that it can see, in files of its moment's name.
const RECORDER: &str = r#"#!/bin/busybox sh
B=/bin/busybox; out=$2/$1
$B cat > $out.stdin
{
    echo "args=$*"
    echo "cwd=$($B pwd)"
    echo "umask=$(umask)"
    for kind in mnt pid net uts ipc; do echo "ns.$kind=$($B readlink /proc/self/ns/$kind)"; done
    echo "fds=$($B sh -c 'echo $(/bin/busybox ls /proc/self/fd)')"
    echo "identity=$($B id -u):$($B id -g)"
    $B grep -E '^(CapEff|CapBnd|NoNewPrivs|SigIgn|SigBlk)' /proc/self/status
} > $out.facts
$B env > $out.env
pid=$($B sed 's/.*"pid":\([0-9]*\).*/\1/' $out.stdin)
$B cat /proc/$pid/mountinfo > $out.mounts 2>/dev/null
$B cat /proc/$pid/cgroup > $out.cgroup 2>/dev/null
echo $1 >> $2/order
"#;

/// A bundle whose hooks write into a directory that is `/log` in the container.
pub(crate) struct Scene {
    pub(crate) world: World,
    /// Where the hooks write.
    pub(crate) log: PathBuf,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Self {
        let world = World::new(&format!("hooks-{name}"));
        let log = world.directory.join("log");
        fs::create_dir(&log).unwrap();
        for path in [world.directory.join("recorder"), world.bundle.join("rootfs/recorder")] {
            fs::write(&path, RECORDER).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        Self { world, log }
    }

    /// The hook that records.
    pub(crate) fn recorder(&self, moment: &str) -> Value {
        let inside = moment == "startContainer";
        let (path, log) = if inside {
            ("/recorder".to_owned(), "/log".to_owned())
        } else {
            let path = self.world.directory.join("recorder");
            (path.to_string_lossy().into_owned(), self.log.to_string_lossy().into_owned())
        };
        json!({ "path": path, "args": ["name", moment, log], "env": [format!("ONLY={moment}")] })
    }

    /// A hook that is this script.
    pub(crate) fn script(&self, script: &str) -> Value {
        json!({ "path": "/bin/busybox", "args": ["sh", "-c", script.replace("LOG", &self.log.to_string_lossy())] })
    }

    /// A recorder at every moment; then a change.
    pub(crate) fn config(&self, args: &[&str], change: impl FnOnce(&mut Value)) {
        self.world.config(args, |config| {
            for moment in ALL {
                config["hooks"][moment] = json!([self.recorder(moment)]);
            }
            let bind = json!({ "destination": "/log", "source": self.log, "options": ["bind", "rw"] });
            config["mounts"].as_array_mut().unwrap().push(bind);
            change(config);
        });
    }

    /// The moments so far.
    pub(crate) fn order(&self) -> Vec<String> {
        let text = fs::read_to_string(self.log.join("order")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.log.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    pub(crate) fn fact(&self, moment: &str, name: &str) -> String {
        let text = self.text(&format!("{moment}.facts"));
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(['=', ':']));
        value.unwrap_or_else(|| panic!("{moment}: no {name} in {text}")).trim().to_owned()
    }

    pub(crate) fn state(&self, moment: &str) -> Value {
        serde_json::from_str(&self.text(&format!("{moment}.stdin"))).unwrap()
    }

    /// The pid that a script left in a file.
    pub(crate) fn pid(&self, file: &str) -> i32 {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let text = fs::read_to_string(self.log.join(file)).unwrap_or_default();
            match text.trim().parse() {
                Ok(pid) => return pid,
                Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{file}: {text:?}: {error}"),
            }
        }
    }
}

/// Lives, zombies apart.
pub(crate) fn alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn assert_ends(pid: i32) {
    let until = Instant::now() + Duration::from_secs(5);
    while alive(pid) {
        assert!(Instant::now() < until, "{pid} lives");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn own_namespace(kind: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned()
}
