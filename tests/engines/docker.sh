#!/bin/bash
# docker.sh: dockerd with its own containerd, network and data root. Run by tests/engines/run.
. "$(dirname "$0")/lib.sh"
needs=(dockerd docker containerd runc busybox tmux jq ip)

socket=$WORK/d.sock
program=$WORK/bin/$RUNTIME
busybox=busybox:story
export DOCKER_CONFIG=$WORK/config DOCKER_HOST=unix://$socket
# Debian's own client, whatever other one the machine has; the API's version is the daemon's.
client=/usr/bin/docker
export DOCKER_API_VERSION=1.41 DOCKER_BUILDKIT=0
d() { "$client" "$@"; }
run() { d run --network none "$@"; }
running() { # NAME OPTION...: in the background
  local name=$1
  shift
  run --detach --name "$name" "$@" "$busybox" sleep 3000
}
over() { d rm --force "$@"; }
state() { d inspect --format '{{.State.Status}}' "$1"; }
id() { d inspect --format '{{.Id}}' "$1"; }

serve() { # OPTION...
  PATH=$WORK/path:$PATH daemon dockerd dockerd --config-file "$WORK/daemon.json" --data-root "$WORK/data" --exec-root "$WORK/exec" \
    --pidfile "$WORK/d.pid" --host "$DOCKER_HOST" --exec-opt native.cgroupdriver=${MANAGER:-cgroupfs} --storage-driver overlay2 "$@"
  eventually d version
}
network() { # whether this kernel lets docker make its bridge
  iptables --table nat --list >/dev/null 2>&1
}
start() {
  wrapper
  mkdir -p "$DOCKER_CONFIG" "$WORK/path"
  ln -s "$program" "$WORK/path/runc"
  local net='"iptables": false, "ip6tables": false, "bridge": "none"'
  ! network || net='"bip": "10.213.77.1/24"'
  cat >"$WORK/daemon.json" <<JSON
{ "experimental": true, "live-restore": true, "default-runtime": "story", $net,
  "runtimes": { "story": { "path": "$program" }, "peer": { "path": "$(type -P runc)" } } }
JSON
  serve
  image "$WORK/image.tar" "$busybox"
  d load --input "$WORK/image.tar"
}
stop() {
  sweep
  end dockerd
}
sweep() {
  local all
  all=$(d ps --all --quiet)
  [ -z "$all" ] || d rm --force $all
}

check_info_lists_it() {
  local found
  found=$(d info --format '{{json .Runtimes}} {{.DefaultRuntime}}')
  has "$found" "\"story\":{\"path\":\"$program\"" || has "$found" story
  has "$found" 'story$'
}
full_documented_configuration() {
  documented Docker json >"$WORK/documented.json"
  # In a network namespace of its own: it would take the other daemon's bridge away.
  daemon documented unshare --net dockerd --config-file "$WORK/documented.json" --data-root "$WORK/data2" --exec-root "$WORK/exec2" \
    --pidfile "$WORK/d2.pid" --host "unix://$WORK/d2.sock" --bridge none --iptables=false --ip6tables=false \
    --exec-opt native.cgroupdriver=cgroupfs --storage-driver overlay2
  trap 'end documented' EXIT
  export DOCKER_HOST=unix://$WORK/d2.sock
  eventually d version
  same riverrun "$(d info --format '{{.DefaultRuntime}}')"
  d load --input "$WORK/image.tar"
  same hello "$(run --name documented "$busybox" echo hello)"
  same riverrun "$(d inspect --format '{{.HostConfig.Runtime}}' documented)"
  grep -q "create --bundle .*/$(id documented)" "$calls"
  over documented
}
check_run_prints() {
  same hello "$(run --rm "$busybox" echo hello)"
  has "$(cat "$calls")" '--root /[^ ]*/runtime-runc/moby .*create --bundle'
}
check_run_passes_the_exit_status() {
  same 42 "$(status run --rm "$busybox" sh -c 'exit 42')"
  same 127 "$(status run --rm "$busybox" /no/such)"
  same 127 "$(status run --rm "$busybox" no-such)"
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
  same "7" "$(run --rm --tmpfs /scratch:size=1m --volume named:/named "$busybox" \
    sh -c 'echo 7 >/named/f; echo 8 >/scratch/f; cat /named/f')"
}
check_capabilities_limits_and_privileges() {
  same 0000000000001000 "$(run --rm --cap-drop ALL --cap-add NET_ADMIN "$busybox" awk '/^CapBnd/ { print $2 }' /proc/self/status)"
  same 123 "$(run --rm --ulimit nofile=123:123 "$busybox" sh -c 'ulimit -n')"
  same 1 "$(run --rm --security-opt no-new-privileges "$busybox" awk '/^NoNewPrivs/ { print $2 }' /proc/self/status)"
  same 500 "$(run --rm --oom-score-adj 500 "$busybox" cat /proc/self/oom_score_adj)"
}
check_privileged() {
  same done "$(run --rm --privileged "$busybox" sh -c 'mount -t tmpfs t /tmp && echo done')"
}
check_seccomp() {
  same 2 "$(run --rm "$busybox" awk '/^Seccomp:/ { print $2 }' /proc/self/status)"
  same 0 "$(run --rm --security-opt seccomp=unconfined "$busybox" awk '/^Seccomp:/ { print $2 }' /proc/self/status)"
}
check_sysctl_hostname_and_namespaces_of_the_host() {
  same "ours 1" "$(run --rm --hostname ours --sysctl net.ipv4.ip_forward=1 "$busybox" \
    sh -c 'echo $(hostname) $(cat /proc/sys/net/ipv4/ip_forward)')"
  same engines "$(d run --rm --network host --uts host "$busybox" hostname)"
  same "$(readlink /proc/self/ns/pid)" "$(run --rm --pid host "$busybox" readlink /proc/self/ns/pid)"
}
check_devices() {
  same "10 229" "$(run --rm --device /dev/fuse "$busybox" sh -c 'echo $((0x$(stat -c %t /dev/fuse))) $((0x$(stat -c %T /dev/fuse)))')"
  same denied "$(run --rm --cap-add MKNOD "$busybox" sh -c 'mknod /tmp/f c 10 229; (exec 3<>/tmp/f) 2>/dev/null && echo allowed || echo denied')"
}
check_network() {
  network || skip "this kernel has no nat table for docker's bridge"
  has "$(d run --rm "$busybox" ip address show eth0)" '10\.213\.77\.[0-9]+'
  d run --detach --name served --publish 127.0.0.1:8099:80 "$busybox" sh -c 'echo served >/tmp/index.html; httpd -f -p 80 -h /tmp'
  eventually shows served busybox wget -q -O - http://127.0.0.1:8099/
  over served
}
check_another_containers_namespaces() {
  running peer
  same "$(d exec peer readlink /proc/self/ns/net)" "$(d run --rm --network container:peer "$busybox" readlink /proc/self/ns/net)"
  same "$(d exec peer readlink /proc/self/ns/pid)" "$(run --rm --pid container:peer "$busybox" readlink /proc/self/ns/pid)"
  over peer
}
check_terminal() {
  person terminal "$client" run --network none --rm -it "$busybox" sh
  sees terminal '^/ #'
  types terminal 'tty; stty size' Enter
  sees terminal '/dev/(pts/0|console)'
  sees terminal '30 100'
  tmux resize-window -t terminal -x 90 -y 20
  sleep 1
  types terminal 'clear; stty size' Enter
  sees terminal '20 90'
  types terminal 'tail -f /dev/null' Enter
  sees terminal 'tail -f /dev/null'
  types terminal C-z
  sees terminal 'Stopped'
  types terminal 'fg' Enter
  sees terminal '^fg|# fg'
  types terminal C-c
  types terminal 'exit 3' Enter
  sees terminal 'status 3'
  leaves terminal
}
check_detach_and_attach() {
  person detach "$client" run --network none --name detach -it "$busybox" sh
  sees detach '^/ #'
  types detach 'N=5' Enter
  types detach C-p C-q
  sees detach 'status 0'
  leaves detach
  same running "$(state detach)"
  person attach "$client" attach detach
  sleep 1
  types attach '' Enter
  sees attach '^/ #'
  types attach 'exit $N' Enter
  sees attach 'status 5'
  leaves attach
  over detach
}
check_exec() {
  running exec
  same in "$(d exec exec echo in)"
  same 7 "$(status d exec exec sh -c 'exit 7')"
  same "1000 /tmp v" "$(d exec --user app --workdir /tmp --env N=v exec sh -c 'echo $(id -u) $(pwd) $N')"
  same x "$(echo x | d exec --interactive exec cat)"
  has "$(status d exec exec /no/such)" '^12[67]$'
  over exec
}
check_exec_with_a_terminal() {
  running execterm
  person execterm "$client" exec -it execterm sh
  sees execterm '^/ #'
  types execterm 'tty; exit 5' Enter
  sees execterm '/dev/(pts/|console)'
  sees execterm 'status 5'
  leaves execterm
  over execterm
}
check_logs_and_wait() {
  run --detach --name logs "$busybox" sh -c 'echo one; echo two >&2; exit 4'
  same 4 "$(d wait logs)"
  same "one two" "$(d logs logs 2>&1 | sort | xargs)"
  over logs
}
check_stop_and_start_again() {
  run --detach --name again "$busybox" sh -c 'trap "exit 6" TERM; touch /ready; while :; do sleep 0.1; done'
  eventually d exec again test -e /ready
  d stop --time 30 again
  same "exited 6" "$(d inspect --format '{{.State.Status}} {{.State.ExitCode}}' again)"
  d start again
  same running "$(state again)"
  d restart --time 1 again
  same running "$(state again)"
  d kill --signal KILL again
  eventually shows exited state again
  over again
}
check_pause() {
  running pause
  d pause pause
  same paused "$(state pause)"
  has "$(fails d exec pause true)" 'is paused'
  d unpause pause
  same in "$(d exec pause echo in)"
  over pause
}
check_top_and_stats() {
  running stats
  has "$(d top stats)" 'sleep 3000'
  has "$(d top stats -o pid,args)" '[0-9]+ +sleep 3000'
  counted() { shows '^stats [1-9] [1-9][0-9.]*[kKMG]i?B' d stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' stats; }
  eventually counted
  over stats
}
check_limits() {
  running limits --memory 64m --cpus 0.5 --pids-limit 50 --cpu-shares 512 --cpuset-cpus 0
  same 67108864 "$(cgroup_file memory memory.limit_in_bytes memory.max "$(id limits)")"
  has "$(cgroup_file cpu cpu.cfs_quota_us cpu.max "$(id limits)")" '^50000'
  same 50 "$(cgroup_file pids pids.max pids.max "$(id limits)")"
  same 0 "$(cgroup_file cpuset cpuset.cpus cpuset.cpus "$(id limits)")"
  over limits
}
check_update() {
  running update --memory 64m --memory-swap 64m
  d update --memory 128m --memory-swap 128m --cpus 0.25 --pids-limit 77 update
  same 134217728 "$(cgroup_file memory memory.limit_in_bytes memory.max "$(id update)")"
  has "$(cgroup_file cpu cpu.cfs_quota_us cpu.max "$(id update)")" '^25000'
  same 77 "$(cgroup_file pids pids.max pids.max "$(id update)")"
  over update
}
check_block_io_limits() {
  running blkio --device-read-bps /dev/vda:1mb --blkio-weight 300
  over blkio
}
check_memory_limit_kills() {
  run --name oom --memory 16m "$busybox" sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done' || true
  same "true 137" "$(d inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}}' oom)"
  over oom
}
check_healthcheck() {
  running health --health-cmd 'test -e /tmp/well' --health-interval 1s --health-retries 1
  eventually shows '^unhealthy$' d inspect --format '{{.State.Health.Status}}' health
  d exec health touch /tmp/well
  eventually shows '^healthy$' d inspect --format '{{.State.Health.Status}}' health
  over health
}
check_restart_policy() {
  run --detach --name policy --restart on-failure:2 "$busybox" sh -c 'exit 3'
  eventually shows '^2 exited$' d inspect --format '{{.RestartCount}} {{.State.Status}}' policy
  over policy
}
check_init() {
  same docker-init "$(run --rm --init "$busybox" cat /proc/1/comm)"
}
check_copy_diff_and_commit() {
  run --name source "$busybox" sh -c 'echo text >/made'
  has "$(d diff source)" '^A /made'
  d cp source:/made "$WORK/made"
  same text "$(cat "$WORK/made")"
  d commit source committed:story
  same text "$(run --rm committed:story cat /made)"
  over source
  d rmi committed:story
}
context() { # what is built
  mkdir -p "$WORK/context"
  printf 'FROM %s\nRUN echo %s >/made\nUSER app\nRUN id -un >/tmp/who\nCMD ["cat", "/tmp/who", "/made"]\n' "$busybox" "$1" \
    >"$WORK/context/Dockerfile"
}
check_build() {
  context built
  d build --network none --tag built:story "$WORK/context"
  same "app built" "$(run --rm built:story | xargs)"
}
# The BuildKit inside of dockerd asks for no runtime: it runs the "runc" of its $PATH, which is ours (serve).
check_build_with_buildkit() {
  context kit
  DOCKER_BUILDKIT=1 d build --network none --progress plain --tag kit:story "$WORK/context"
  same "app kit" "$(run --rm kit:story | xargs)"
  grep -q 'run --bundle .*buildkit' "$calls"
}
check_daemon_dies_and_finds_its_containers() {
  running survivor
  end dockerd
  serve
  same running "$(state survivor)"
  same in "$(d exec survivor echo in)"
  over survivor
}
check_failed_start_leaves_nothing() {
  d create --network none --name broken "$busybox" /no/such
  fails d start broken
  same "created 127" "$(d inspect --format '{{.State.Status}} {{.State.ExitCode}}' broken)"
  over broken
}
full_options_do_what_they_do_with_runc() {
  local options
  while read -r options; do
    # shellcheck disable=SC2086
    seen run --rm --runtime peer --hostname h $options "$busybox" >"$WORK/peer"
    # shellcheck disable=SC2086
    seen run --rm --hostname h $options "$busybox" >"$WORK/ours"
    alike "$WORK/ours" "$WORK/peer" "$options"
  done <<'OPTIONS'

--cgroupns private
--cgroupns host
--cap-add ALL --cap-drop SYS_RESOURCE
--cap-add SYS_ADMIN --user app --group-add 5000
--user 12345:54321
--ipc host --pid host --uts host --hostname=
--ipc shareable --shm-size 5m
--memory 50m --memory-swap 60m --memory-reservation 40m --memory-swappiness 10 --oom-kill-disable
--memory 50m --memory-swap -1
--cpus 1.5 --cpu-shares 77 --cpuset-cpus 1 --cpuset-mems 0
--cpu-period 50000 --cpu-quota 20000 --pids-limit -1
--device /dev/fuse:/dev/other:r
--read-only --tmpfs /tmp:rw,noexec,size=1m,mode=1777,uid=1000 --tmpfs /run
--mount type=bind,src=/etc,dst=/mnt,readonly,bind-propagation=rprivate
--mount type=bind,src=/etc,dst=/mnt/made/here,bind-propagation=private
--mount type=tmpfs,dst=/scratch,tmpfs-size=1000000,tmpfs-mode=0700
--mount type=volume,src=kept,dst=/tmp --volume /data
--security-opt systempaths=unconfined
--security-opt seccomp=unconfined --security-opt no-new-privileges
--sysctl kernel.shmmax=12345678 --sysctl net.ipv4.ip_forward=1
--ulimit nofile=100:200 --ulimit core=0 --ulimit nproc=500:600 --ulimit stack=1000000:2000000
--oom-score-adj 321 --stop-signal USR1 --init
--env A=1 --env B=two --env-file /dev/null --workdir /made/for/me --domainname d
--tty
--interactive
OPTIONS
}
counting() { # NAME: one that counts
  run --detach --name "$1" --security-opt seccomp=unconfined "$busybox" \
    sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count; mv /tmp/count /tmp/counted; sleep 0.1; done'
  count_is_beyond "$1" 5
}
count() { d exec "$1" cat /tmp/counted; }
count_is_beyond() { # NAME NUMBER
  beyond() { [ "$(count "$1")" -gt "$2" ]; }
  eventually beyond "$@"
}
full_checkpoint_and_restore() {
  command -v criu >/dev/null || skip "criu is not installed"
  local before
  counting check
  before=$(count check)
  d checkpoint create check one
  eventually shows exited state check
  d start --checkpoint one check
  same running "$(state check)"
  count_is_beyond check "$before"
  same in "$(d exec check echo in)"
  over check
}
full_checkpoint_that_leaves_it_running() {
  command -v criu >/dev/null || skip "criu is not installed"
  counting stays
  d checkpoint create --leave-running stays one
  same running "$(state stays)"
  has "$(d checkpoint ls stays)" '^one'
  count_is_beyond stays "$(count stays)"
  over stays
}
full_many_at_once() {
  local i
  for i in $(seq 10); do running "many$i" & done
  wait
  same 10 "$(d ps --quiet --filter status=running | wc -l)"
  d rm --force $(d ps --quiet)
}
check_nothing_is_left() {
  same "" "$(d ps --all --quiet)"
  no_state() { [ -z "$(find "$WORK/exec" /run/docker /run/runc /run/riverrun -path '*runtime*/moby/*' -maxdepth 4 2>/dev/null)" ]; }
  eventually no_state
  # The parent of what BuildKit ran is BuildKit's.
  none() { [ -z "$(find /sys/fs/cgroup -mindepth 2 -type d -path '*/docker[-/]*' ! -path '*/docker/buildkit')" ]; }
  eventually none
}
# The last: a daemon of another kind.
full_userns_remap() {
  sweep
  end dockerd
  serve --userns-remap engine
  d load --input "$WORK/image.tar"
  has "$(run --rm "$busybox" cat /proc/self/uid_map)" '0 +700000 +65536'
  running remapped
  same "0 in" "$(d exec remapped sh -c 'echo $(id -u) in')"
  over remapped
}
main "$@"
