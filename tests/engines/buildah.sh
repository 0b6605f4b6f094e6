#!/bin/bash
# buildah.sh: buildah run and bud (build-using-dockerfile), which call the runtime without conmon. Run by tests/engines/run.
. "$(dirname "$0")/lib.sh"
needs=(buildah runc busybox jq ip)

program=$WORK/bin/$RUNTIME
busybox=localhost/busybox:story
export CONTAINERS_CONF=$WORK/containers.conf CONTAINERS_STORAGE_CONF=$WORK/storage.conf TMPDIR=$WORK/tmp
export BUILDAH_ISOLATION=oci BUILDAH_RUNTIME=$program
b() { buildah "$@"; }
run() { b run --runtime "$program" "$@"; }

start() {
  wrapper
  cat >"$CONTAINERS_CONF" <<'TOML'
[containers]
# The default asks for more than a machine without CAP_SYS_RESOURCE gives.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
TOML
  cat >"$CONTAINERS_STORAGE_CONF" <<TOML
[storage]
driver = "overlay"
graphroot = "$WORK/storage"
runroot = "$WORK/run"
TOML
  mkdir -p "$TMPDIR"
  image "$WORK/image.tar" "$busybox"
  b pull "docker-archive:$WORK/image.tar"
}
stop() { sweep; }
sweep() { b rm --all; }

check_run_prints() {
  b from --name prints "$busybox"
  same hello "$(run prints echo hello)"
  grep -q 'create --bundle' "$calls"
  b rm prints
}
check_run_passes_the_exit_status() {
  b from --name exits "$busybox"
  same 42 "$(status run exits sh -c 'exit 42')"
  has "$(fails run exits /no/such)" 'no such file or directory'
  b rm exits
}
check_standard_streams() {
  b from --name streams "$busybox"
  # Newer runtimes warn of ambient capabilities, which buildah asks for in vain.
  same err "$(run streams sh -c 'echo out; echo err >&2' 2>&1 >/dev/null | grep -v level=warning)"
  same "a b" "$(printf 'a\nb\n' | run streams xargs echo)"
  same "$(seq 1 50000 | md5sum)" "$(run streams seq 1 50000 | md5sum)"
  b rm streams
}
check_user_directory_environment_and_volume() {
  b from --name process "$busybox"
  b config --env N=v --workingdir /tmp process
  same "v /tmp 1000:1000" "$(run --user app process sh -c 'echo $N $(pwd) $(id -u):$(id -g)')"
  mkdir -p "$WORK/shared"
  echo here >"$WORK/shared/file"
  same "here no" "$(run --volume "$WORK/shared:/mnt:ro" process sh -c 'echo $(cat /mnt/file) $(touch /mnt/x 2>/dev/null || echo no)')"
  b rm process
}
check_capabilities() {
  b from --name caps "$busybox"
  local found
  found=0x$(run --cap-add CAP_SYS_TIME --cap-drop CAP_CHOWN caps awk '/^CapBnd/ { print $2 }' /proc/self/status)
  same "1 0" "$(((found >> 25) & 1)) $((found & 1))"
  b rm caps
}
check_terminal() {
  b from --name terminal "$busybox"
  person terminal buildah run --runtime "$program" --tty terminal sh
  sees terminal '#'
  types terminal 'tty; sleep 1; exit 3' Enter
  sees terminal '/dev/(pts/0|console)'
  sees terminal 'status [1-9]'
  leaves terminal
  b rm terminal
}
check_bud() {
  mkdir -p "$WORK/context"
  printf 'FROM %s\nRUN echo built >/made\nRUN [ "$(cat /made)" = built ]\nUSER app\nRUN id -un >/tmp/who\nCMD ["sh"]\n' "$busybox" \
    >"$WORK/context/Dockerfile"
  b bud --runtime "$program" --tag built:story "$WORK/context"
  b from --name built localhost/built:story
  same "built app" "$(run built sh -c 'echo $(cat /made /tmp/who)')"
  b rm built
  printf 'FROM %s\nRUN exit 9\n' "$busybox" >"$WORK/context/Dockerfile"
  has "$(fails b bud --runtime "$program" "$WORK/context")" 'exit status 9'
}
check_network_of_the_host() {
  b from --name host "$busybox"
  same "$(readlink /proc/self/ns/net)" "$(run --network host host readlink /proc/self/ns/net)"
  b rm host
}
check_nothing_is_left() {
  same "" "$(b containers --quiet)"
  no_state() { [ -z "$(find /run/runc /run/riverrun -mindepth 1 -maxdepth 1 2>/dev/null)" ]; }
  eventually no_state
}
main "$@"
