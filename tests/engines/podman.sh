#!/bin/bash
# podman.sh: podman as root and as an ordinary user, with conmon. Run by tests/engines/run.
. "$(dirname "$0")/lib.sh"
needs=(podman conmon runc busybox tmux jq ip)

program=$WORK/bin/$RUNTIME
busybox=localhost/busybox:story
export CONTAINERS_CONF=$WORK/containers.conf
export CONTAINERS_STORAGE_CONF=$WORK/storage.conf
export TMPDIR=$WORK/tmp
p() { podman "$@"; }
run() { p run --network none "$@"; }
running() { # NAME OPTION...: in the background
  local name=$1
  shift
  run --detach --name "$name" "$@" "$busybox" sleep 3000
}
over() { p rm --force --time 0 "$@"; }
state() { p container inspect --format '{{.State.Status}}' "$1"; }

configure() { # DIR: what podman reads, for the user whose DIR it is
  local ulimits='"nofile=1024:1024", "nproc=1024:1024"'
  cat >"$1/containers.conf" <<TOML
[containers]
# The default asks for more than a machine without CAP_SYS_RESOURCE gives.
default_ulimits = [$ulimits]
[engine]
cgroup_manager = "${MANAGER:-cgroupfs}"
events_logger = "file"
runtime = "$RUNTIME"
runtime_supports_json = ["runc", "riverrun"]
runtime_supports_nocgroup = ["riverrun"]
[engine.runtimes]
$RUNTIME = ["$program"]
[network]
network_backend = "cni"
network_config_dir = "$1/net"
TOML
  cat >"$1/storage.conf" <<TOML
[storage]
driver = "${2:-overlay}"
graphroot = "$1/storage"
runroot = "$1/run"
TOML
  mkdir -p "$1/net" "$1/tmp" "$1/run"
}
start() {
  wrapper
  configure "$WORK"
  image "$WORK/image.tar" "$busybox"
  p load --input "$WORK/image.tar"
  install -d -o engine -g engine "$WORK/home" "$WORK/home/xdg"
  chmod 700 "$WORK/home/xdg"
  configure "$WORK/home" vfs
  chown -R engine:engine "$WORK/home"
}
stop() { p rm --all --force --time 0; }
sweep() {
  p pod rm --all --force --time 0
  p rm --all --force --time 0
}
user() { # COMMAND...: as an ordinary user
  setpriv --reuid engine --regid engine --init-groups env -i PATH="$PATH" HOME="$WORK/home" XDG_RUNTIME_DIR="$WORK/home/xdg" \
    CONTAINERS_CONF="$WORK/home/containers.conf" CONTAINERS_STORAGE_CONF="$WORK/home/storage.conf" TMPDIR="$WORK/home/tmp" \
    bash -c 'cd ~ && exec "$@"' bash "$@"
}

terminal_to_be_had() { type -P tmux >/dev/null || skip "tmux is not installed"; }

check_documented_configuration() {
  { documented 'Podman and buildah' toml | sed "s/^\[engine\]$/&\ncgroup_manager = \"${MANAGER:-cgroupfs}\"\nevents_logger = \"file\"/"
    printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
  } >"$WORK/documented.conf"
  export CONTAINERS_CONF=$WORK/documented.conf
  same "riverrun $program" "$(p info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}')"
  same hello "$(run --name documented "$busybox" echo hello)"
  same riverrun "$(p inspect --format '{{.OCIRuntime}}' documented)"
  grep -q "create --bundle .*/$(p inspect --format '{{.Id}}' documented)/" "$calls"
  over documented
}
check_run_prints() {
  same hello "$(run --rm "$busybox" echo hello)"
  grep -q 'create --bundle' "$calls"
}
check_run_passes_the_exit_status() {
  same 42 "$(status run --rm "$busybox" sh -c 'exit 42')"
  same 127 "$(status run --rm "$busybox" /no/such)"
  same 126 "$(status run --rm "$busybox" /etc/passwd)"
}
check_standard_streams() {
  same err "$(run --rm "$busybox" sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)"
  same "a b" "$(printf 'a\nb\n' | run --rm --interactive "$busybox" xargs echo)"
}
check_much_output_is_whole() {
  same "$(seq 1 100000 | md5sum)" "$(run --rm "$busybox" seq 1 100000 | md5sum)"
}
check_environment_directory_user_and_arguments() {
  same "v /tmp 1000:1000 a b" "$(run --rm --env N=v --workdir /tmp --user app "$busybox" \
    sh -c 'echo $N $(pwd) $(id -u):$(id -g) "$1"' sh 'a b')"
}
check_mounts_and_a_read_only_root() {
  mkdir -p "$WORK/shared"
  echo here >"$WORK/shared/file"
  same "here no" "$(run --rm --read-only --volume "$WORK/shared:/mnt:ro" "$busybox" \
    sh -c 'echo $(cat /mnt/file) $(touch /mnt/x 2>/dev/null || touch /x 2>/dev/null || echo no)')"
  same "7" "$(run --rm --tmpfs /scratch:size=1m --volume named:/named "$busybox" sh -c 'echo 7 >/named/f; echo 8 >/scratch/f; cat /named/f')"
}
check_capabilities_limits_and_privileges() {
  local found
  found=$(run --rm --cap-drop ALL --cap-add NET_ADMIN "$busybox" awk '/^CapBnd/ { print $2 }' /proc/self/status)
  same 0000000000001000 "$found"
  same 123 "$(run --rm --ulimit nofile=123:123 --ulimit nproc=1024:1024 "$busybox" sh -c 'ulimit -n')"
  same 1 "$(run --rm --security-opt no-new-privileges "$busybox" awk '/^NoNewPrivs/ { print $2 }' /proc/self/status)"
}
check_privileged() {
  same done "$(run --rm --privileged "$busybox" sh -c 'mount -t tmpfs t /tmp && echo done')"
}
check_seccomp() {
  same 2 "$(run --rm "$busybox" awk '/^Seccomp:/ { print $2 }' /proc/self/status)"
  same 0 "$(run --rm --security-opt seccomp=unconfined "$busybox" awk '/^Seccomp:/ { print $2 }' /proc/self/status)"
}
check_sysctl_hostname_and_namespaces_of_the_host() {
  same "ours 1" "$(run --rm --hostname ours --sysctl net.ipv4.ip_forward=1 "$busybox" sh -c 'echo $(hostname) $(cat /proc/sys/net/ipv4/ip_forward)')"
  same "engines" "$(p run --rm --network host --uts host "$busybox" hostname)"
  same "$(readlink /proc/self/ns/pid)" "$(run --rm --pid host "$busybox" readlink /proc/self/ns/pid)"
}
check_terminal() {
  terminal_to_be_had
  person terminal podman run --network none --rm -it "$busybox" sh
  sees terminal '^/ #'
  types terminal 'tty; stty size; sleep 1; exit 3' Enter
  sees terminal '/dev/(pts/0|console)'
  sees terminal '30 100'
  sees terminal 'status 3'
  leaves terminal
}
check_exec() {
  running exec
  same in "$(p exec exec echo in)"
  same 7 "$(status p exec exec sh -c 'exit 7')"
  same "1000 /tmp v" "$(p exec --user app --workdir /tmp --env N=v exec sh -c 'echo $(id -u) $(pwd) $N')"
  same x "$(echo x | p exec --interactive exec cat)"
  same 127 "$(status p exec exec /no/such)"
  over exec
}
check_exec_with_a_terminal() {
  terminal_to_be_had
  running execterm
  person execterm podman exec -it execterm sh
  sees execterm '^/ #'
  types execterm 'tty; sleep 1; exit 5' Enter
  sees execterm '/dev/(pts/|console)'
  sees execterm 'status 5'
  leaves execterm
  over execterm
}
check_logs_and_wait() {
  run --detach --name logs "$busybox" sh -c 'echo one; echo two >&2; exit 4'
  same 4 "$(p wait logs)"
  same "one two" "$(p logs logs 2>&1 | sort | xargs)"
  over logs
}
check_stop_and_start_again() {
  run --detach --name again "$busybox" sh -c 'trap "exit 6" TERM; while :; do sleep 0.1; done'
  p stop --time 30 again
  same exited "$(state again)"
  p start again
  same running "$(state again)"
  p restart --time 1 again
  same running "$(state again)"
  over again
}
check_pause() {
  running pause
  p pause pause
  same paused "$(state pause)"
  has "$(fails p exec pause true)" 'can only create exec sessions on running containers|paused'
  p unpause pause
  same in "$(p exec pause echo in)"
  over pause
}
check_top_and_stats() {
  running stats
  has "$(p top stats pid args)" 'sleep 3000'
  has "$(p stats --no-stream --format '{{.Name}} {{.PIDS}} {{.MemUsage}}' stats)" '^stats [1-9]+ [0-9.]+[kM]?B'
  over stats
}
check_limits() {
  running limits --memory 64m --cpus 0.5 --pids-limit 50
  same 67108864 "$(cgroup_file memory memory.limit_in_bytes memory.max "$(p inspect --format '{{.Id}}' limits)")"
  has "$(cgroup_file cpu cpu.cfs_quota_us cpu.max "$(p inspect --format '{{.Id}}' limits)")" '^50000'
  same 50 "$(cgroup_file pids pids.max pids.max "$(p inspect --format '{{.Id}}' limits)")"
  over limits
}
check_update() {
  running update --memory 64m
  p update --memory 128m --cpus 0.25 update
  same 134217728 "$(cgroup_file memory memory.limit_in_bytes memory.max "$(p inspect --format '{{.Id}}' update)")"
  has "$(cgroup_file cpu cpu.cfs_quota_us cpu.max "$(p inspect --format '{{.Id}}' update)")" '^25000'
  over update
}
# Podman asks its own list, in which is no runc. The key has no "s", whatever the manual says.
check_without_cgroups() {
  same in "$(run --rm --cgroups disabled "$busybox" echo in)"
  has "$(grep cgroup-manager "$calls")" 'cgroup-manager[ =]disabled'
}
check_memory_limit_kills() {
  same 137 "$(status run --rm --memory 16m "$busybox" sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done')"
}
check_healthcheck() {
  running health --health-cmd 'test -e /tmp/well || exit 1' --health-interval disable
  same 1 "$(status p healthcheck run health)"
  p exec health touch /tmp/well
  same 0 "$(status p healthcheck run health)"
  over health
}
check_restart_policy() {
  run --detach --name policy --restart on-failure:2 "$busybox" sh -c 'exit 3'
  eventually shows '^2$' p inspect --format '{{.RestartCount}}' policy
  over policy
}
catatonit() { command -v catatonit >/dev/null || [ -x /usr/libexec/podman/catatonit ] || skip "catatonit is not installed"; }
check_init() {
  catatonit
  has "$(run --rm --init "$busybox" cat /proc/1/comm)" 'catatonit|podman-init'
}
check_pod() {
  catatonit
  p pod create --name pod --network none --share ipc,net,uts,pid --hostname ours
  p run --detach --pod pod --name pod1 "$busybox" sleep 3001
  p run --detach --pod pod --name pod2 "$busybox" sleep 3002
  same "$(p exec pod1 readlink /proc/self/ns/net)" "$(p exec pod2 readlink /proc/self/ns/net)"
  same ours "$(p exec pod2 hostname)"
  has "$(p exec pod1 ps -o args)" 'sleep 3002'
  has "$(p pod ps --format '{{.Name}} {{.Status}}')" 'pod Running'
  p pod stop --time 0 pod
  p pod start pod
  same running "$(state pod1)"
  p pod rm --force --time 0 pod
}
check_pod_is_paused() {
  catatonit
  p pod create --name frozen --network none
  p run --detach --pod frozen --name frozen1 "$busybox" sleep 3000
  p pod pause frozen
  same paused "$(state frozen1)"
  p pod unpause frozen
  same in "$(p exec frozen1 echo in)"
  p pod rm --force --time 0 frozen
}
check_play_kube() {
  catatonit
  cat >"$WORK/pod.yaml" <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: played
spec:
  restartPolicy: Never
  containers:
  - name: one
    image: $busybox
    command: [sleep, "3000"]
    env: [{ name: N, value: v }]
    resources: { limits: { memory: 64Mi } }
    securityContext: { runAsUser: 1000, readOnlyRootFilesystem: true }
    volumeMounts: [{ name: data, mountPath: /mnt }]
  - name: two
    image: $busybox
    command: [sleep, "3000"]
  volumes:
  - name: data
    hostPath: { path: $WORK/played, type: DirectoryOrCreate }
YAML
  p play kube --network none "$WORK/pod.yaml"
  same "v 1000" "$(p exec played-one sh -c 'echo $N $(id -u)')"
  same 67108864 "$(cgroup_file memory memory.limit_in_bytes memory.max "$(p inspect --format '{{.Id}}' played-one)")"
  same "$(p exec played-one readlink /proc/self/ns/ipc)" "$(p exec played-two readlink /proc/self/ns/ipc)"
  p play kube --down "$WORK/pod.yaml"
  same "" "$(p ps --all --quiet)"
}
check_user_namespace() {
  has "$(run --rm --uidmap 0:700000:65536 --gidmap 0:700000:65536 "$busybox" cat /proc/self/uid_map)" '0 +700000 +65536'
}
check_rootless() {
  user podman load --input "$WORK/image.tar"
  same "0 hello" "$(user podman run --network none --rm "$busybox" sh -c 'echo $(id -u) hello')"
  same 42 "$(status user podman run --network none --rm "$busybox" sh -c 'exit 42')"
  user podman run --network none --detach --name rootless "$busybox" sleep 3000
  same "in" "$(user podman exec rootless echo in)"
  has "$(user podman top rootless args)" 'sleep 3000'
  user podman rm --force --time 0 rootless
}
check_rootless_keeps_an_id() {
  same 7777 "$(user podman run --network none --rm --userns keep-id "$busybox" id -u)"
}
# An ordinary user's own systemd, as after a login: with its bus, and with what podman is to find in the environment of its units.
own_systemd() {
  [ -d /run/systemd/system ] || skip "systemd is not the first process"
  [ "${MANAGER:-}" = systemd ] || skip "cgroups are not systemd's here"
  there=/run/user/7777
  loginctl enable-linger engine
  eventually test -S $there/bus
  in_session() {
    setpriv --reuid engine --regid engine --init-groups env -i PATH="$PATH" HOME="$WORK/home" XDG_RUNTIME_DIR=$there \
      DBUS_SESSION_BUS_ADDRESS=unix:path=$there/bus CONTAINERS_CONF="$WORK/home/containers.conf" \
      CONTAINERS_STORAGE_CONF="$WORK/home/storage.conf" TMPDIR="$WORK/home/tmp" bash -c 'cd ~ && exec "$@"' bash "$@"
  }
  in_session systemctl --user import-environment PATH CONTAINERS_CONF CONTAINERS_STORAGE_CONF TMPDIR
  in_unit() { in_session systemd-run --user --quiet --collect --wait --pipe "$@"; }
}
check_rootless_in_a_unit_of_ones_own() {
  local id
  own_systemd
  in_unit podman load --input "$WORK/image.tar"
  same "0 hello" "$(in_unit podman run --network none --rm "$busybox" sh -c 'echo $(id -u) hello')"
  same 42 "$(status in_unit podman run --network none --rm "$busybox" sh -c 'exit 42')"
  # Podman leaves conmon in the unit, which would end with it, 90 seconds later, whatever the runtime is.
  in_unit --property KillMode=process podman run --network none --detach --name unit --memory 32m "$busybox" sleep 3000
  same running "$(in_unit podman container inspect --format '{{.State.Status}}' unit)"
  same in "$(in_unit podman exec unit echo in)"
  id=$(in_unit podman container inspect --format '{{.Id}}' unit)
  same 33554432 "$(cat /sys/fs/cgroup/user.slice/user-7777.slice/user@7777.service/user.slice/libpod-"$id".scope/memory.max)"
  in_unit podman rm --force --time 0 unit
}
check_rootless_service_of_ones_own() {
  local units=$WORK/home/.config/systemd/user
  own_systemd
  in_session podman create --network none --name service "$busybox" sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
  install -d -o engine -g engine "$WORK/home/.config" "$WORK/home/.config/systemd" "$units"
  in_session podman generate systemd --new --name service >"$units/service.service"
  in_session podman rm service
  in_session systemctl --user daemon-reload
  in_session systemctl --user start service
  same active "$(in_session systemctl --user is-active service)"
  same in "$(in_session podman exec service echo in)"
  in_session systemctl --user stop service
  same inactive "$(in_session systemctl --user is-active service || true)"
  same "" "$(in_session podman ps --all --quiet)"
}
full_options_do_what_they_do_with_runc() {
  local options
  mkdir -p "$WORK/shared"
  while read -r options; do
    # shellcheck disable=SC2086
    seen podman --runtime "$(type -P runc)" run --network none --rm --hostname h $options "$busybox" >"$WORK/peer"
    # shellcheck disable=SC2086
    seen run --rm --hostname h $options "$busybox" >"$WORK/ours"
    alike "$WORK/ours" "$WORK/peer" "$options"
  done <<OPTIONS

--privileged
--systemd always
--cgroupns private --cap-add ALL --cap-drop SYS_RESOURCE
--user 12345:54321 --group-add 5000 --umask 0027
--pid host --ipc host
--shm-size 5m --oom-score-adj 321
--memory 50m --memory-swap 60m --memory-reservation 40m --memory-swappiness 10
--cpus 1.5 --cpu-shares 77 --cpuset-cpus 1 --pids-limit -1
--device /dev/fuse:/dev/other:r
--read-only --tmpfs /tmp:rw,noexec,size=1m,mode=1777 --tmpfs /run
--volume $WORK/shared:/mnt:O
--volume $WORK/shared:/mnt:ro,noexec --volume $WORK/shared:/other/made/here:Z
--mount type=tmpfs,dst=/scratch,tmpfs-size=1000000,tmpfs-mode=0700
--mount type=devpts,destination=/dev/pts
--uidmap 0:700000:1000 --gidmap 0:700000:1000
--security-opt mask=/proc/uptime --security-opt unmask=/proc/kcore
--security-opt seccomp=unconfined --security-opt no-new-privileges
--sysctl kernel.shmmax=12345678 --sysctl net.ipv4.ip_forward=1
--ulimit nofile=100:200 --ulimit nproc=500:600 --ulimit core=0 --ulimit stack=1000000:2000000
--env A=1 --env B=two --workdir /tmp --tz Europe/Paris
--tty
--init
OPTIONS
}
full_build() {
  mkdir -p "$WORK/context"
  printf 'FROM %s\nRUN echo built >/made\nUSER app\nRUN id -un >/tmp/who\n' "$busybox" >"$WORK/context/Dockerfile"
  p build --runtime "$program" --isolation oci --network none --tag built:story "$WORK/context"
  same "built app" "$(run --rm localhost/built:story sh -c 'echo $(cat /made /tmp/who)')"
}
full_detach_and_attach() {
  terminal_to_be_had
  person detach podman run --detach-keys ctrl-x,x --network none --name detach -it "$busybox" sh
  sees detach '^/ #'
  # Podman knows a key of its own only if it is read alone.
  types detach "N=5; echo se''t" Enter
  sees detach '^set'
  sleep 1
  types detach C-x
  sleep 2
  types detach x
  sees detach 'status 0'
  leaves detach
  same running "$(state detach)"
  person attach podman attach detach
  sleep 1
  types attach '' Enter
  sees attach '^/ #'
  types attach 'sleep 1; exit $N' Enter
  sees attach 'status'
  leaves attach
  same 5 "$(p inspect --format '{{.State.ExitCode}}' detach)"
  over detach
}
full_copy_and_commit() {
  running source
  p exec source sh -c 'echo text >/made'
  p cp source:/made "$WORK/made"
  same text "$(cat "$WORK/made")"
  p commit --quiet source committed:story
  same text "$(run --rm localhost/committed:story cat /made)"
  over source
}
full_events_tell_of_an_end() {
  run --name ended "$busybox" sh -c 'exit 4' || true
  has "$(p events --stream=false --filter container=ended --filter event=died)" 'died'
  over ended
}
counting() { # NAME: one that counts
  run --detach --name "$1" "$busybox" \
    sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count; mv /tmp/count /tmp/counted; sleep 0.1; done'
  count_is_beyond "$1" 5
}
count() { p exec "$1" cat /tmp/counted; }
count_is_beyond() { # NAME NUMBER
  beyond() { [ "$(count "$1")" -gt "$2" ]; }
  eventually beyond "$@"
}
full_checkpoint_and_restore() {
  command -v criu >/dev/null || skip "criu is not installed"
  local before
  counting check
  before=$(count check)
  p container checkpoint check
  same exited "$(state check)"
  p container restore check
  same running "$(state check)"
  count_is_beyond check "$before"
  over check
}
full_checkpoint_that_leaves_it_running() {
  command -v criu >/dev/null || skip "criu is not installed"
  counting stays
  p container checkpoint --leave-running stays
  same running "$(state stays)"
  count_is_beyond stays "$(count stays)"
  over stays
}
full_checkpoint_travels_to_another_name() {
  command -v criu >/dev/null || skip "criu is not installed"
  local before
  counting leaves
  before=$(count leaves)
  p container checkpoint --export "$WORK/checkpoint.tar.gz" leaves
  over leaves
  p container restore --import "$WORK/checkpoint.tar.gz" --name arrives
  same running "$(state arrives)"
  count_is_beyond arrives "$before"
  over arrives
}
full_many_at_once() {
  local i
  for i in $(seq 10); do running "many$i" & done
  wait
  same 10 "$(p ps --noheading --filter status=running | wc -l)"
  for i in $(seq 10); do over "many$i" & done
  wait
}
check_nothing_is_left() {
  same "" "$(p ps --all --quiet)"
  no_state() { [ -z "$(find /run/runc /run/riverrun -mindepth 1 -maxdepth 1 2>/dev/null)" ]; }
  eventually no_state
  none() { [ -z "$(find /sys/fs/cgroup -mindepth 2 -type d -path '*libpod-*' ! -path '*conmon*')" ]; }
  eventually none
}
main "$@"
