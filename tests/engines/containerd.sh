#!/bin/bash
# containerd.sh: containerd by itself, through ctr and the runc.v2 shim. Run by tests/engines/run; shim.sh has the same checks.
. "$(dirname "$0")/lib.sh"
needs=(containerd ctr containerd-shim-runc-v2 runc busybox tmux jq ip)

socket=$WORK/c.sock
program=$WORK/bin/$RUNTIME
busybox=docker.io/library/busybox:story
c() { ctr --address "$socket" --namespace story "$@"; }
how=(--runc-binary "$program")
run() { # OPTION... IMAGE NAME WORD...
  local words=" $* " unit=()
  local name=${words#* "$busybox" }
  [ "${MANAGER:-}" != systemd ] || unit=(--runc-systemd-cgroup --cgroup "system.slice:story:${name%% *}")
  c run "${how[@]}" "${unit[@]}" "$@"
}
state=/run/containerd/runc
called() { grep -q "$1" "$calls"; }
running() { # NAME OPTION...: in the background
  local name=$1
  shift
  run --detach "$@" "$busybox" "$name" sleep 3000
}
over() { # NAME: ends it and removes it
  c task kill --signal 9 "$1" >/dev/null 2>&1 || true
  is_stopped() { shows "^$1 .*STOPPED" c task ls || ! shows "^$1 " c task ls; }
  eventually is_stopped "$1"
  c task rm "$1" >/dev/null 2>&1 || true
  c container rm "$1"
}
# ctr opens its end of an exec's output late: what ends before that has said it in vain, to any runtime that is fast enough.
lives() { # NAME
  same in "$(c task exec --exec-id "lives$RANDOM" "$1" sh -c 'sleep 0.3; echo in')"
}
group() { cgroup_file "$1" "$2" "$3" "/story[-/]$4"; }

serve() {
  daemon containerd containerd --config "$WORK/config.toml" --log-level info
  eventually c version
}
start() {
  wrapper
  cat >"$WORK/config.toml" <<TOML
version = 2
root = "$WORK/root"
state = "$WORK/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "$socket"
[ttrpc]
  address = "$WORK/t.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$WORK/opt"
TOML
  serve
  image "$WORK/image.tar" "$busybox"
  c images import --snapshotter overlayfs "$WORK/image.tar"
}
stop() { end containerd; }
sweep() {
  local name
  for name in $(c container ls -q); do over "$name"; done
}

check_run_prints() {
  same hello "$(run --rm "$busybox" prints echo hello)"
  called "create --bundle .* prints"
}
check_run_passes_the_exit_status() {
  same 42 "$(status run --rm "$busybox" exits sh -c 'exit 42')"
}
check_standard_error_is_its_own() {
  same err "$(run --rm "$busybox" stderr sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)"
}
check_standard_input_is_passed() {
  same "a b c" "$(printf 'a\nb\nc\n' | run "$busybox" stdin sh -c 'read a; read b; read c; echo $a $b $c')"
}
check_much_output_is_whole() {
  # ctr closes its end when it hears that the program has ended, whatever is still to be read there.
  same "$(seq 1 200000 | md5sum)" "$(run --rm "$busybox" much sh -c 'seq 1 200000; sleep 1' | md5sum)"
}
check_missing_program_is_told_and_nothing_stays() {
  has "$(fails run --rm "$busybox" missing /no/such)" 'exec: "?/no/such"?: (stat /no/such: )?no such file or directory'
  none() { ! find "$state" "$WORK/state" -maxdepth 4 -name missing | grep -q .; }
  c container rm missing >/dev/null 2>&1 || true
  eventually none
}
check_environment_directory_and_arguments() {
  same "v /tmp 0:0 a b" "$(run --rm --env N=v --cwd /tmp "$busybox" process \
    sh -c 'echo $N $(pwd) $(id -u):$(id -g) "$1"' sh 'a b')"
}
check_mounts_and_a_read_only_root() {
  mkdir -p "$WORK/shared"
  echo here >"$WORK/shared/file"
  same "here no" "$(run --rm --read-only --mount "type=bind,src=$WORK/shared,dst=/mnt,options=rbind:ro" "$busybox" mounts \
    sh -c 'echo $(cat /mnt/file) $(touch /mnt/x 2>/dev/null || touch /x 2>/dev/null || echo no)')"
}
check_hosts_network_and_a_device() {
  same "engines" "$(run --rm --net-host "$busybox" net hostname)"
  same "1 3" "$(run --rm --device /dev/fuse "$busybox" device sh -c 'test -c /dev/fuse && stat -c "%t %T" /dev/null')"
}
check_capabilities() {
  local found bits
  found=$(run --rm --cap-add CAP_SYS_TIME --cap-drop CAP_CHOWN "$busybox" caps awk '/^CapBnd/ { print $2 }' /proc/self/status)
  bits=0x$found
  same "1 0" "$(((bits >> 25) & 1)) $((bits & 1))"
}
check_terminal() {
  person terminal ctr --address "$socket" --namespace story run "${how[@]}" --rm -t "$busybox" terminal sh
  sees terminal '^/ #'
  types terminal 'tty; stty size; exit 3' Enter
  sees terminal '/dev/(pts/0|console)'
  sees terminal '30 100'
  sees terminal 'status 3'
  leaves terminal
}
check_exec() {
  running exec
  lives exec
  same 7 "$(status c task exec --exec-id e2 exec sh -c 'exit 7')"
  same "1000 /tmp" "$(c task exec --exec-id e3 --user 1000 --cwd /tmp exec sh -c 'sleep 0.3; echo $(id -u) $(pwd)')"
  has "$(fails c task exec --exec-id e4 exec /no/such)" 'no such file or directory'
  same "x" "$(echo x | c task exec --exec-id e5 exec sh -c 'sleep 0.3; cat')"
  over exec
}
check_exec_with_a_terminal() {
  running execterm
  person execterm ctr --address "$socket" --namespace story task exec --exec-id t1 -t execterm sh
  sees execterm '^/ #'
  types execterm 'tty; exit 5' Enter
  sees execterm '/dev/(pts/|console)'
  sees execterm 'status 5'
  leaves execterm
  over execterm
}
check_pause_and_resume() {
  running pause
  c task pause pause
  has "$(c task ls)" 'pause .*PAUSED'
  c task resume pause
  has "$(c task ls)" 'pause .*RUNNING'
  lives pause
  over pause
}
check_paused_is_killed() {
  running frozen
  c task pause frozen
  c task kill --signal 9 frozen
  c task resume frozen 2>/dev/null || true
  over frozen
}
check_metrics() {
  local told
  running metrics --memory-limit 67108864
  told=$(c task metrics metrics)
  has "$told" 'memory.usage(_in_bytes)? +[1-9]'
  has "$told" 'memory.(limit_in_bytes|usage_limit) +67108864'
  has "$told" 'cpu(acct.usage|.usage_usec) +[1-9]'
  has "$told" 'pids.current +[1-9]'
  over metrics
}
check_signals() {
  mkdir -p "$WORK/signals"
  run --detach --mount "type=bind,src=$WORK/signals,dst=/mnt,options=rbind:rw" "$busybox" signals \
    sh -c 'trap "exit 9" USR1; touch /mnt/ready; while :; do sleep 0.1; done'
  eventually test -e "$WORK/signals/ready"
  c task kill --signal 10 signals
  eventually shows 'signals .*STOPPED' c task ls
  has "$(c task rm signals 2>&1)" '9'
  c container rm signals
}
check_kill_all() {
  run --detach "$busybox" all sh -c 'sleep 2000 & sleep 2000'
  c task kill --all --signal 9 all
  eventually shows 'all .*STOPPED' c task ls
  over all
}
check_ps() {
  running ps
  has "$(c task ps ps)" '^[0-9]+'
  over ps
}
check_delete_forced() {
  running forced
  c task rm --force forced
  c container rm forced
}
check_memory_limit() {
  running memory --memory-limit 67108864
  same 67108864 "$(group memory memory.limit_in_bytes memory.max memory)"
  over memory
}
check_memory_limit_kills() {
  same 137 "$(status run --rm --memory-limit 16777216 "$busybox" oom sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done')"
}
check_cpu_limits() {
  running cpu --cpus 0.5 --cpu-quota 50000 --cpu-period 100000 || running cpu --cpus 0.5
  has "$(group cpu cpu.cfs_quota_us cpu.max cpu)" '^50000'
  over cpu
}
check_seccomp() {
  same 2 "$(run --rm --seccomp "$busybox" seccomp awk '/^Seccomp:/ { print $2 }' /proc/self/status)"
  same 0 "$(run --rm "$busybox" plain awk '/^Seccomp:/ { print $2 }' /proc/self/status)"
}
check_user_namespace() {
  has "$(run --rm --uidmap 0:700000:65536 --gidmap 0:700000:65536 "$busybox" userns cat /proc/self/uid_map)" '0 +700000 +65536'
}
reads() { # FILE PLUGIN: containerd has from it what the document says
  local dump
  dump=$(containerd --config "$1" config dump)
  has "$dump" "^ *default_runtime_name = ['\"]riverrun['\"]$"
  dump=$(sed -nE "/\\[plugins\..?$2.?\.containerd\.runtimes\.riverrun\]/,\$p" <<<"$dump")
  has "$dump" "^ *runtime_type = ['\"]io.containerd.runc.v2['\"]$"
  has "$dump" "^ *BinaryName = ['\"]$program['\"]$"
  has "$dump" '^ *SystemdCgroup = true'
}
check_documented_configuration() {
  documented containerd toml >"$WORK/documented.toml"
  case $(containerd --version) in *" 1."*) ;; *) skip "containerd 2 moves its values to another plugin" ;; esac
  reads "$WORK/documented.toml" io.containerd.grpc.v1.cri
}
check_documented_configuration_of_containerd_2() {
  documented containerd toml 2 >"$WORK/documented.toml"
  case $(containerd --version) in *" 1."*) skip "this containerd does not know version 3 of its file" ;; esac
  reads "$WORK/documented.toml" io.containerd.cri.v1.runtime
}
check_privileged() {
  same 1 "$(run --rm --privileged "$busybox" privileged sh -c 'mount -t tmpfs t /tmp && echo 1')"
}
check_daemon_dies_and_finds_its_containers() {
  running survivor
  end containerd
  serve
  has "$(c task ls)" 'survivor .*RUNNING'
  lives survivor
  over survivor
}
counting() { # NAME: one that counts
  run --detach "$busybox" "$1" sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count; mv /tmp/count /tmp/counted; sleep 0.1; done'
  count_is_beyond "$1" 5
}
count() { c task exec --exec-id "count$RANDOM" "$1" sh -c 'sleep 0.3; cat /tmp/counted'; }
count_is_beyond() { # NAME NUMBER
  beyond() { [ "$(count "$1")" -gt "$2" ]; }
  eventually beyond "$@"
}
full_checkpoint() {
  command -v criu >/dev/null || skip "criu is not installed"
  running counted
  c task checkpoint --image-path "$WORK/checkpoint" --exit counted
  eventually shows 'counted .*STOPPED' c task ls
  c task rm counted
  c container rm counted
}
full_checkpoint_that_leaves_it_running() {
  command -v criu >/dev/null || skip "criu is not installed"
  counting stays
  c task checkpoint --image-path "$WORK/checkpoint-stays" stays
  has "$(c task ls)" 'stays .*RUNNING'
  count_is_beyond stays "$(count stays)"
  over stays
}
full_checkpoint_to_an_image_and_restore() {
  command -v criu >/dev/null || skip "criu is not installed"
  local before
  counting first
  before=$(count first)
  c container checkpoint --rw --image --task first checkpoint:story
  over first
  c container restore --rw --live second checkpoint:story
  has "$(c task ls)" 'second .*RUNNING'
  count_is_beyond second "$before"
  over second
}
full_many_at_once() {
  local i
  for i in $(seq 20); do running "many$i" & done
  wait
  same 20 "$(c task ls | grep -c 'many.*RUNNING')"
  for i in $(seq 20); do over "many$i" & done
  wait
}
check_nothing_is_left() {
  same "" "$(c task ls -q)"
  empty() { [ -z "$(find /sys/fs/cgroup -mindepth 2 -type d -path '*/story[-/]*')" ]; }
  eventually empty || { find /sys/fs/cgroup -mindepth 2 -type d -path '*/story[-/]*'; exit 1; }
  no_state() { [ -z "$(find "$state" -mindepth 2 -maxdepth 2)" ]; }
  eventually no_state
  called delete
}
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
