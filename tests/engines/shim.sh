#!/bin/bash
# shim.sh: containerd with riverrun's own shim (examples/go/shim), which calls the library in its process. The checks are those of
# containerd.sh and, with the same answers from the runc.v2 shim, what a shim is there for. Run by tests/engines/run.
. "$(dirname "$0")/containerd.sh"
stories=("$script" "$(dirname "$script")/containerd.sh")
needs+=(go)

if [ "$RUNTIME" = riverrun ]; then
  how=(--runtime io.containerd.riverrun.v2)
  state=/run/containerd/riverrun
  called() { # nobody: no program is spawned
    same "" "$(cat "$calls")"
  }
fi

# containerd finds shims beside itself and in PATH.
PATH=$(dirname "${PROGRAM:-none}"):$PATH
shim_of() { pgrep -f "containerd-shim-.*-v2 .*-id $1( |\$)"; }
told() { # NAME: the topics that containerd published for a container, in their order
  grep -o "/tasks/[a-z-]* .*\"container_id\":\"$1\"" "$WORK/events.log" | awk '{ print $1 }' | xargs
}
listen() { # to containerd's events, from now on
  rm -f "$WORK/events.log"
  daemon events ctr --address "$socket" --namespace story events
  # Deaf at first: it hears when it has heard something.
  hears() { c containers create "$busybox" ear && c containers rm ear && grep -q '/containers/create' "$WORK/events.log"; }
  eventually hears
}

if [ "$RUNTIME" = riverrun ]; then
  # ctr has words for how a checkpoint is to be only for runc's own shims: of ours it gets one of a container that goes on.
  full_checkpoint() {
    command -v criu >/dev/null || skip "criu is not installed"
    running counted
    c task checkpoint counted
    has "$(c task ls)" 'counted .*RUNNING'
    lives counted
    over counted
  }
fi

# So ours is called as runc's for once.
full_checkpoint_with_exit_and_restore() {
  [ "$RUNTIME" = riverrun ] || skip "it is the check \"checkpoint\" of runc's own"
  command -v criu >/dev/null || skip "criu is not installed"
  local before
  mkdir -p "$WORK/renamed"
  ln -sf "$(type -P containerd-shim-riverrun-v2)" "$WORK/renamed/containerd-shim-runc-v2"
  end containerd
  PATH=$WORK/renamed:$PATH serve
  how=()
  counting leaver
  c task checkpoint --image-path "$WORK/checkpoint-exit" --exit leaver
  eventually shows '^leaver .*STOPPED' c task ls
  has "$(ls "$WORK/checkpoint-exit")" '^inventory.img$'
  c task rm leaver
  c container rm leaver
  counting first
  before=$(count first)
  c container checkpoint --rw --image --task first checkpoint:exit
  over first
  c container restore --rw --live second checkpoint:exit
  count_is_beyond second "$before"
  over second
  same "" "$(cat "$calls")"
  end containerd
  serve
}

check_events_are_told_in_their_order() {
  listen
  running teller
  same x "$(c task exec --exec-id e1 teller sh -c 'sleep 0.3; echo x')"
  c task pause teller
  c task resume teller
  over teller
  deleted() { [[ $(told teller) == *tasks/delete ]]; }
  eventually deleted
  same "/tasks/create /tasks/start /tasks/exec-added /tasks/exec-started /tasks/exit /tasks/paused /tasks/resumed /tasks/exit /tasks/delete" \
    "$(told teller)"
  end events
}
check_out_of_memory_is_told_before_the_exit() {
  listen
  same 137 "$(status run --rm --memory-limit 16777216 "$busybox" full sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done')"
  deleted() { [[ $(told full) == *tasks/delete ]]; }
  eventually deleted
  has "$(told full)" '^/tasks/create /tasks/start (/tasks/oom )+/tasks/exit /tasks/delete$'
  end events
}
check_killed_shim_is_cleaned_up_after() {
  local shim program
  running orphan
  program=$(c task ls | awk '$1 == "orphan" { print $2 }')
  shim=$(shim_of orphan)
  kill -9 "$shim"
  gone() { ! kill -0 "$program" && ! shows '^orphan ' c task ls; }
  eventually gone
  no_mount() { ! grep "$WORK/state/.*orphan" /proc/self/mounts; }
  eventually no_mount
  no_entry() { [ ! -e "$state/story/orphan" ]; }
  eventually no_entry
  c container rm orphan
}
check_shim_ends_with_its_container() {
  local shim
  running brief
  shim=$(shim_of brief)
  kill -0 "$shim"
  over brief
  ended() { ! kill -0 "$shim"; }
  eventually ended
}
check_group_shares_a_shim() {
  local one two
  running one --annotation io.containerd.runc.v2.group=pod
  running two --annotation io.containerd.runc.v2.group=pod
  one=$(shim_of one)
  same "" "$(shim_of two || true)"
  lives one
  lives two
  over one
  lives two
  kill -0 "$one"
  over two
  ended() { ! kill -0 "$one"; }
  eventually ended
}
check_end_of_the_first_is_the_end_of_all() {
  local pid=
  mkdir -p "$WORK/hosts"
  run --detach --with-ns pid:/proc/1/ns/pid --mount "type=bind,src=$WORK/hosts,dst=/mnt,options=rbind:rw" "$busybox" hosts \
    sh -c 'sleep 3000 & echo $! >/mnt/pid; sleep 3000'
  eventually test -s "$WORK/hosts/pid"
  pid=$(cat "$WORK/hosts/pid")
  kill -0 "$pid"
  c task kill --signal 9 hosts
  dead() { ! kill -0 "$pid" || grep -q '^State:.Z' "/proc/$pid/status"; }
  eventually dead
  over hosts
}
check_terminal_follows_its_window() {
  person window ctr --address "$socket" --namespace story run "${how[@]}" --rm -t "$busybox" window sh
  sees window '^/ #'
  tmux resize-window -t window -x 90 -y 25
  # ctr hears of it when it hears of it.
  follows() { types window 'clear; stty size' Enter; sleep 0.3; screen window | grep -q '^25 90'; }
  eventually follows
  types window 'exit 4' Enter
  sees window 'status 4'
  leaves window
}
check_exec_is_killed() {
  running victim
  same 143 "$(status timeout 60 "$script" one executed_and_killed)"
  lives victim
  over victim
}
executed_and_killed() { # its status is the executed process's
  (eventually shows . c task ps victim && sleep 0.5 && c task kill --exec-id target --signal 15 victim) &
  c task exec --exec-id target victim sleep 3000
}
check_output_goes_to_a_file() {
  run --detach --log-uri "file://$WORK/output" "$busybox" logged sh -c 'echo out; echo err >&2'
  eventually shows '^logged .*STOPPED' c task ls
  same "err out" "$(sort "$WORK/output" | xargs)"
  over logged
}
check_output_goes_to_a_logger() {
  cat >"$WORK/logger" <<'LOGGER'
#!/bin/bash
# As containerd's runtime/v2/logging has it: 3 and 4 are the streams, the end of 5 says "ready".
exec 5>&-
{ sed 's/^/out: /' <&3 & sed 's/^/err: /' <&4; wait; } >"$1/$CONTAINER_NAMESPACE-$CONTAINER_ID"
LOGGER
  chmod 755 "$WORK/logger"
  run --detach --log-uri "binary://$WORK/logger?$WORK" "$busybox" taken sh -c 'echo one; echo two >&2'
  eventually shows '^taken .*STOPPED' c task ls
  over taken
  whole() { [ "$(sort "$WORK/story-taken" | xargs)" = "err: two out: one" ]; }
  eventually whole
}

# ---- how long it takes: `run --measure`. Every round does the same with each, one after the other, in another order each time.
kinds=(runc riverrun shim) # the runc.v2 shim with runc, the same with riverrun's command line, our shim
as() { # KIND
  case $1 in
    runc) how=(--runc-binary "$PEER") ;;
    riverrun) how=(--runc-binary "$PROGRAM") ;;
    shim) how=(--runtime io.containerd.riverrun.v2) ;;
  esac
}
timed() { # FILE COMMAND...: appends milliseconds
  local file=$1 began=$EPOCHREALTIME ended
  shift
  "$@" >/dev/null 2>&1 || { echo "failed: $*"; exit 1; }
  ended=$EPOCHREALTIME
  echo "$((${ended/./} - ${began/./}))" | sed -E 's/(...)$/.\1/' >>"$file"
}
measure() { # ROUNDS: prints a line an operation and kind: median in ms, and the ratio to runc's
  local round i kind name
  start >/dev/null
  mkdir -p "$WORK/times"
  for round in $(seq "$1"); do
    for i in 0 1 2; do
      kind=${kinds[(round + i) % 3]} name=m$round-$i
      as "$kind"
      timed "$WORK/times/start-$kind" run --detach "$busybox" "$name" sleep 3000
      timed "$WORK/times/exec-$kind" c task exec --exec-id "e$round" "$name" true
      c task kill --signal 9 "$name"
      is_stopped() { shows "^$name .*STOPPED" c task ls; }
      eventually is_stopped
      timed "$WORK/times/delete-$kind" c task rm "$name"
      c container rm "$name"
      timed "$WORK/times/nothing-$kind" c task ls
    done
  done
  stop
  for i in start exec delete nothing; do
    for kind in "${kinds[@]}"; do
      sort -n "$WORK/times/$i-$kind" | awk -v what="$i" -v kind="$kind" '{ t[NR] = $1 } END {
        printf "# %s %s %.1f\n", what, kind, NR % 2 ? t[(NR + 1) / 2] : (t[NR / 2] + t[NR / 2 + 1]) / 2 }'
    done
  done
  echo "# end"
}

if [ "${1:-}" = measure ]; then
  measure "$2"
else
  main "$@"
fi
