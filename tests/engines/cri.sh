#!/bin/bash
# cri.sh: containerd's CRI plugin with the runtime as a handler, called as a kubelet calls it; as engine cri-shim by riverrun's own
# shim. Run by tests/engines/run.
. "$(dirname "$0")/lib.sh"
needs=(containerd ctr containerd-shim-runc-v2 runc busybox jq ip protoc)
modules=(grpc google.protobuf)

socket=$WORK/c.sock
program=$WORK/bin/$RUNTIME
busybox=docker.io/library/busybox:story
pause=docker.io/library/pause:story
export HANDLER=story
cri() { # METHOD [JSON]
  "$(dirname "$script")/cri-client" "$socket" "$WORK/modules" "$@"
}
pod_config() { # NAME [LINUX]
  jq -nc --arg name "$1" --arg logs "$WORK/logs/$1" --argjson linux "${2:-{\}}" \
    '{ metadata: { name: $name, uid: $name, namespace: "story" }, log_directory: $logs, linux: $linux } +
      if $linux.security_context.namespace_options.network == "NODE" then {} else { hostname: $name } end'
}
pod() { # NAME [LINUX]: prints the id
  mkdir -p "$WORK/logs/$1"
  pod_config "$@" >"$WORK/logs/$1/config.json"
  cri RunPodSandbox "$(jq -c '{ config: ., runtime_handler: env.HANDLER }' "$WORK/logs/$1/config.json")" | jq -r .pod_sandbox_id
}
container() { # POD POD-NAME NAME CONFIG PROGRAM...: prints the id of a container that is created and started
  local pod=$1 of=$2 name=$3 config=$4 id
  shift 4
  id=$(cri CreateContainer "$(jq -nc --arg pod "$pod" --arg name "$name" --arg image "$busybox" --argjson more "$config" \
    --slurpfile of "$WORK/logs/$of/config.json" '{ pod_sandbox_id: $pod, sandbox_config: $of[0], config: ({ metadata: { name: $name },
      image: { image: $image }, command: $ARGS.positional, log_path: ($name + ".log") } + $more) }' --args -- "$@")" |
    jq -r .container_id)
  cri StartContainer "$(of_container "$id")" >/dev/null
  echo "$id"
}
of_container() { jq -nc --arg id "$1" '{ container_id: $id }'; }
of_pod() { jq -nc --arg id "$1" '{ pod_sandbox_id: $id }'; }
inside() { # CONTAINER PROGRAM...: prints "STATUS OUTPUT"
  local id=$1
  shift
  cri ExecSync "$(jq -nc --arg id "$id" '{ container_id: $id, cmd: $ARGS.positional, timeout: 60 }' --args -- "$@")" |
    jq -r '"\(.exit_code) \(.stdout | @base64d)\(.stderr | @base64d)"' | xargs
}
of() { # CONTAINER FILTER: of its status
  cri ContainerStatus "$(of_container "$1")" | jq -r ".status | $2"
}
exited() { # CONTAINER: it has, within a minute
  has_exited() { [ "$(of "$1" .state)" = CONTAINER_EXITED ]; }
  eventually has_exited "$1"
}
over() { # POD
  cri StopPodSandbox "$(of_pod "$1")"
  cri RemovePodSandbox "$(of_pod "$1")"
}

start() {
  local module
  for module in "${modules[@]}"; do /usr/bin/python3 -c "import $module"; done
  wrapper
  mkdir -p "$WORK/modules" "$WORK/net"
  protoc --proto_path "$(dirname "$script")" --python_out "$WORK/modules" cri.proto
  cat >"$WORK/net/10-story.conflist" <<'JSON'
{ "cniVersion": "0.4.0", "name": "story", "plugins": [
  { "type": "bridge", "bridge": "story0", "isGateway": true,
    "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.213.78.0/24" }]] } } ] }
JSON
  local type=io.containerd.runc.v2 options="[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.story.options]
        BinaryName = \"$program\""
  if [ "$engine/$RUNTIME" = cri-shim/riverrun ]; then
    type=io.containerd.riverrun.v2 options=
    PATH=$(dirname "$PROGRAM"):$PATH # Where containerd looks for shims.
  fi
  cat >"$WORK/config.toml" <<TOML
version = 2
root = "$WORK/root"
state = "$WORK/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "$socket"
[ttrpc]
  address = "$WORK/t.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$WORK/opt"
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
  restrict_oom_score_adj = true
  sandbox_image = "$pause"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$WORK/net"
$(documented containerd toml | grep -v '^version' | sed 's/SystemdCgroup = true/SystemdCgroup = false/')
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.story]
      runtime_type = "$type"
      $options
TOML
  daemon containerd containerd --config "$WORK/config.toml" --log-level info
  eventually ctr --address "$socket" version
  image "$WORK/busybox.tar" "$busybox"
  image "$WORK/pause.tar" "$pause" sleep 1000000
  ctr --address "$socket" --namespace k8s.io images import "$WORK/busybox.tar"
  ctr --address "$socket" --namespace k8s.io images import "$WORK/pause.tar"
  eventually cri Version
}
stop() {
  sweep
  end containerd
}
sweep() {
  local id
  for id in $(cri ListPodSandbox | jq -r '.items[].id'); do over "$id"; done
}

named_by_runtime_class() { # prints the handler; the pod of the document names its class, CRI-O has such a runtime
  documented Kubernetes yaml >"$WORK/class.yaml"
  documented CRI-O toml >"$WORK/crio.toml"
  /usr/bin/python3 - "$WORK/class.yaml" "$WORK/crio.toml" <<'PYTHON'
import sys, tomllib, yaml
runtime_class, pod = yaml.safe_load_all(open(sys.argv[1]))
assert (runtime_class["apiVersion"], runtime_class["kind"]) == ("node.k8s.io/v1", "RuntimeClass"), runtime_class
assert pod["spec"]["runtimeClassName"] == runtime_class["metadata"]["name"], pod
crio = tomllib.load(open(sys.argv[2], "rb"))["crio"]["runtime"]
assert crio["default_runtime"] == runtime_class["handler"] and crio["runtimes"][runtime_class["handler"]]["runtime_type"] == "oci", crio
print(runtime_class["handler"])
PYTHON
}
check_sandbox() {
  local pod found
  pod=$(pod sandbox)
  found=$(cri PodSandboxStatus "$(of_pod "$pod")" | jq -r '.status | "\(.state) \(.runtime_handler) \(.network.ip)"')
  has "$found" '^SANDBOX_READY story 10\.213\.78\.[0-9]+$'
  cri StopPodSandbox "$(of_pod "$pod")"
  same SANDBOX_NOTREADY "$(cri PodSandboxStatus "$(of_pod "$pod")" | jq -r .status.state)"
  cri RemovePodSandbox "$(of_pod "$pod")"
  if [ "$engine" = cri-shim ] && [ "$RUNTIME" = riverrun ]; then
    same "" "$(cat "$calls")" # No program is spawned.
  else
    grep -q "create --bundle .* $pod" "$calls"
  fi
}
check_container_from_create_to_remove() {
  local pod id
  pod=$(pod life)
  id=$(container "$pod" life one '{}' sleep 3000)
  same CONTAINER_RUNNING "$(of "$id" .state)"
  cri StopContainer "$(jq -nc --arg id "$id" '{ container_id: $id, timeout: 1 }')"
  same "CONTAINER_EXITED 143" "$(of "$id" '"\(.state) \(.exit_code)"')"
  cri RemoveContainer "$(of_container "$id")"
  same 0 "$(cri ListContainers | jq '.containers | length')"
  over "$pod"
}
check_exit_status_and_log() {
  local pod id
  pod=$(pod logs)
  id=$(container "$pod" logs one '{}' sh -c 'echo out; echo err >&2; exit 3')
  exited "$id"
  same "3 Error" "$(of "$id" '"\(.exit_code) \(.reason)"')"
  has "$(cat "$WORK/logs/logs/one.log")" 'stdout F out'
  has "$(cat "$WORK/logs/logs/one.log")" 'stderr F err'
  over "$pod"
}
check_terminal() {
  local pod id
  pod=$(pod terminal)
  id=$(container "$pod" terminal one '{ "tty": true }' sh -c 'tty; sleep 1')
  exited "$id"
  has "$(cat "$WORK/logs/terminal/one.log")" '/dev/(pts/0|console)'
  over "$pod"
}
check_missing_program_is_told() {
  local pod
  pod=$(pod missing)
  has "$(fails container "$pod" missing one '{}' /no/such)" 'exec: \\?"/no/such\\?": (stat /no/such: )?no such file or directory'
  over "$pod"
}
check_exec() {
  local pod id
  pod=$(pod exec)
  id=$(container "$pod" exec one '{}' sleep 3000)
  same "0 in" "$(inside "$id" echo in)"
  same "7 err" "$(inside "$id" sh -c 'echo err >&2; exit 7')"
  has "$(fails inside "$id" /no/such)" 'no such file or directory'
  has "$(fails cri ExecSync "$(jq -nc --arg id "$id" '{ container_id: $id, cmd: ["sleep", "3000"], timeout: 1 }')")" 'DEADLINE|DeadlineExceeded|timeout'
  over "$pod"
}
check_pod_shares_namespaces() {
  local pod one two
  pod=$(pod shared '{ "security_context": { "namespace_options": { "pid": "POD" } } }')
  one=$(container "$pod" shared one '{ "linux": { "security_context": { "namespace_options": { "pid": "POD" } } } }' sleep 3001)
  two=$(container "$pod" shared two '{ "linux": { "security_context": { "namespace_options": { "pid": "POD" } } } }' sleep 3002)
  for namespace in net ipc uts pid; do
    same "$(inside "$one" readlink "/proc/self/ns/$namespace")" "$(inside "$two" readlink "/proc/self/ns/$namespace")"
  done
  has "$(inside "$one" ps -o args)" 'sleep 3002'
  same "0 shared" "$(inside "$one" hostname)"
  over "$pod"
}
check_containers_have_pids_of_their_own() {
  local pod id
  pod=$(pod own '{ "security_context": { "namespace_options": { "pid": "CONTAINER" } } }')
  id=$(container "$pod" own one '{ "linux": { "security_context": { "namespace_options": { "pid": "CONTAINER" } } } }' sleep 3000)
  same "0 sleep" "$(inside "$id" cat /proc/1/comm)"
  over "$pod"
}
check_network_of_the_node() {
  local pod id options='{ "security_context": { "namespace_options": { "network": "NODE" } } }'
  pod=$(pod node "$options")
  id=$(container "$pod" node one "{ \"linux\": $options }" sleep 3000)
  same "0 $(readlink /proc/self/ns/net)" "$(inside "$id" readlink /proc/self/ns/net)"
  over "$pod"
}
check_sysctl_of_a_pod() {
  local pod id
  pod=$(pod sysctl '{ "sysctls": { "net.ipv4.ip_unprivileged_port_start": "80" } }')
  id=$(container "$pod" sysctl one '{}' sleep 3000)
  same "0 80" "$(inside "$id" cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"
  over "$pod"
}
check_user_mounts_environment_and_a_read_only_root() {
  local pod id
  mkdir -p "$WORK/shared"
  echo here >"$WORK/shared/file"
  pod=$(pod process)
  id=$(container "$pod" process one "$(jq -nc --arg host "$WORK/shared" '{ working_dir: "/tmp", envs: [{ key: "N", value: "v" }],
    mounts: [{ container_path: "/mnt", host_path: $host, readonly: true }], linux: { security_context: { readonly_rootfs: true,
      run_as_user: { value: "1000" }, run_as_group: { value: "1000" }, supplemental_groups: ["7"] } } }')" sleep 3000)
  same "0 v /tmp 1000:1000 1000 7 here no" "$(inside "$id" sh -c \
    'echo $N $(pwd) $(id -u):$(id -g) $(id -G) $(cat /mnt/file) $(touch /mnt/x 2>/dev/null || touch /x 2>/dev/null || echo no)')"
  over "$pod"
}
check_security() {
  local pod id
  pod=$(pod security)
  id=$(container "$pod" security one '{ "linux": { "security_context": { "no_new_privs": true, "seccomp": { "profile_type": "RuntimeDefault" },
    "capabilities": { "drop_capabilities": ["ALL"], "add_capabilities": ["NET_ADMIN"] }, "masked_paths": ["/proc/keys"],
    "readonly_paths": ["/proc/sys"] } } }' sleep 3000)
  same "0 0000000000001000 1 2" "$(inside "$id" awk '/^(CapBnd|NoNewPrivs|Seccomp):/ { print $2 }' /proc/self/status)"
  same "0 masked" "$(inside "$id" sh -c '[ -s /proc/keys ] || (echo 1 >/proc/sys/kernel/domainname) 2>/dev/null || echo masked')"
  over "$pod"
}
check_privileged() {
  local pod id options='{ "security_context": { "privileged": true } }'
  pod=$(pod privileged "$options")
  id=$(container "$pod" privileged one "{ \"linux\": $options }" sleep 3000)
  same "0 done" "$(inside "$id" sh -c 'mount -t tmpfs t /tmp && echo done')"
  over "$pod"
}
check_stats() {
  local pod id
  pod=$(pod stats)
  id=$(container "$pod" stats one '{}' sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 3000')
  counted() {
    [ "$(cri ContainerStats "$(of_container "$id")" |
      jq '.stats | (.cpu.usage_core_nano_seconds.value | tonumber) > 0 and (.memory.working_set_bytes.value | tonumber) > 0')" = true ]
  }
  eventually counted
  over "$pod"
}
check_limits_and_update() {
  local pod id
  pod=$(pod limits '{ "cgroup_parent": "/story-limits" }')
  id=$(container "$pod" limits one '{ "linux": { "resources": { "memory_limit_in_bytes": 67108864, "cpu_period": 100000,
    "cpu_quota": 50000, "cpu_shares": 512, "cpuset_cpus": "0" } } }' sleep 3000)
  same 67108864 "$(cgroup_file memory memory.limit_in_bytes memory.max "/story-limits/$id")"
  has "$(cgroup_file cpu cpu.cfs_quota_us cpu.max "/story-limits/$id")" '^50000'
  same 0 "$(cgroup_file cpuset cpuset.cpus cpuset.cpus "/story-limits/$id")"
  cri UpdateContainerResources "$(jq -nc --arg id "$id" \
    '{ container_id: $id, linux: { memory_limit_in_bytes: 134217728, cpu_period: 100000, cpu_quota: 25000 } }')"
  same 134217728 "$(cgroup_file memory memory.limit_in_bytes memory.max "/story-limits/$id")"
  has "$(cgroup_file cpu cpu.cfs_quota_us cpu.max "/story-limits/$id")" '^25000'
  over "$pod"
}
check_memory_limit_kills() {
  local pod id
  pod=$(pod oom)
  id=$(container "$pod" oom one '{ "linux": { "resources": { "memory_limit_in_bytes": 16777216 } } }' \
    sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done')
  exited "$id"
  same "137 OOMKilled" "$(of "$id" '"\(.exit_code) \(.reason)"')"
  over "$pod"
}
check_stop_sends_term_first() {
  local pod id
  pod=$(pod term)
  id=$(container "$pod" term one '{}' sh -c 'trap "exit 9" TERM; touch /tmp/ready; while :; do sleep 0.1; done')
  ready() { [ "$(inside "$id" test -e /tmp/ready)" = 0 ]; }
  eventually ready
  cri StopContainer "$(jq -nc --arg id "$id" '{ container_id: $id, timeout: 60 }')"
  same 9 "$(of "$id" .exit_code)"
  over "$pod"
}
# What a kubelet does for a pod with the document's RuntimeClass, and for one without: with the document's configuration.
check_runtime_class_and_the_default() {
  /usr/bin/python3 -c 'import tomllib, yaml' || skip "python3-yaml is not installed"
  local handler pod id
  for handler in "$(named_by_runtime_class)" ""; do
    : >"$calls"
    pod=$(HANDLER=$handler pod class)
    id=$(container "$pod" class one '{}' sleep 3000)
    same "0 in" "$(inside "$id" echo in)"
    same "$handler" "$(cri PodSandboxStatus "$(of_pod "$pod")" | jq -r .status.runtime_handler)"
    grep -q "create --bundle .* $id" "$calls"
    over "$pod"
  done
}
check_nothing_is_left() {
  same "0 0" "$(cri ListPodSandbox | jq '.items | length') $(cri ListContainers | jq '.containers | length')"
  empty() { [ -z "$(find /sys/fs/cgroup -mindepth 2 -type d \( -path '*/k8s.io/*' -o -path '*/story-limits/*' \))" ]; }
  eventually empty
  no_state() { [ -z "$(find /run/containerd/{runc,riverrun} -mindepth 2 -maxdepth 2 2>/dev/null)" ]; }
  eventually no_state
}
main "$@"
