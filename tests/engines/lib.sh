# What the engines' stories share; sourced by each ENGINE.sh, which defines
#   needs=(PROGRAM...)  start  stop  sweep (ends and removes all containers)  check_NAME...  full_NAME...
# and ends with `main "$@"`. full_ ones are left out of the short form. A check is run by itself, in a process of its own, with
# `set -e` and a time limit; what it prints is told if it fails. It has failed if anything in it fails.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
set -euo pipefail
export LC_ALL=C
script=$(readlink -f "$0")
engine=${ENGINE:-$(basename "$script" .sh)}
limit=${LIMIT:-180} # of a check, in seconds
patience=${PATIENCE:-60} # of a condition
: "${WORK:=/nonexistent}" "${RUNTIME:=none}"

# ---- for checks
same() { # WANTED FOUND
  [ "$1" = "$2" ] || { printf 'wanted "%s", found "%s"\n' "$1" "$2"; exit 1; }
}
has() { # TEXT PATTERN
  grep -qE -- "$2" <<<"$1" || { printf 'no "%s" in "%s"\n' "$2" "$1"; exit 1; }
}
status() { # COMMAND...: prints its exit status
  local status=0
  "$@" >/dev/null 2>&1 || status=$?
  echo "$status"
}
fails() { # COMMAND...: it must; prints what it said
  local said
  if said=$("$@" 2>&1); then echo "succeeded: $*: $said"; exit 1; fi
  echo "$said"
}
eventually() { # COMMAND...: succeeds within $patience seconds
  local end=$((SECONDS + patience))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "never: $*"; exit 1; }
    sleep 0.1
  done
}
shows() { # PATTERN COMMAND...: its output has the pattern
  local pattern=$1
  shift
  "$@" 2>&1 | grep -E -- "$pattern" >/dev/null
}
skip() { printf '%s\n' "$*"; exit 77; }

# A terminal with a person before it: tmux, one server a story.
tmux() { command tmux -S "$WORK/tmux" -f /dev/null "$@"; }
screen() { tmux capture-pane -p -t "$1"; }
person() { # NAME COMMAND...: the command's status is written to the screen when it ends
  local name=$1 line
  shift
  printf -v line '%q ' "$@"
  tmux new-session -d -x 100 -y 30 -s "$name" "$line; echo status \$?; sleep 300"
}
types() { # NAME KEYS...
  local name=$1
  shift
  tmux send-keys -t "$name" "$@"
}
sees() { # NAME PATTERN
  (eventually shows "$2" screen "$1") || { screen "$1" | grep .; exit 1; }
}
leaves() { tmux kill-session -t "$1"; }

# ---- what stories are made of
cgroup_file() { # V1CONTROLLER V1FILE V2FILE GROUP-PATTERN: prints the file of the one cgroup that the pattern finds, and no monitor's
  local found
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    found=$(find /sys/fs/cgroup -path "*$4*/$3" ! -path '*conmon*' | sort | head -n 1)
  else
    found=$(find "/sys/fs/cgroup/$1" -path "*$4*/$2" ! -path '*conmon*' | sort | head -n 1)
  fi
  [ -n "$found" ] || { echo "no cgroup $4 with $2"; return 1; }
  cat "$found"
}

root_filesystem() { # DIR: busybox and all its applets, root and a user "app"
  local applet
  mkdir -p "$1"/{bin,dev,etc,home,proc,root,run,sys,tmp,usr,var}
  chmod 1777 "$1/tmp"
  cp "$(command -v busybox)" "$1/bin/busybox"
  for applet in $(busybox --list); do [ "$applet" = busybox ] || ln "$1/bin/busybox" "$1/bin/$applet"; done
  printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home:/bin/sh\n' >"$1/etc/passwd"
  printf 'root:x:0:\napp:x:1000:\n' >"$1/etc/group"
}
image() { # FILE NAME [PROGRAM...]: an image as `docker save` writes it, which every engine can load
  local file=$1 name=$2 tree=$WORK/image sum
  shift 2
  [ $# -gt 0 ] || set -- sh
  rm -rf "$tree"
  root_filesystem "$tree/rootfs"
  tar -C "$tree/rootfs" --sort=name --mtime=@0 -cf "$tree/layer.tar" .
  sum=$(sha256sum "$tree/layer.tar" | cut -d' ' -f1)
  jq -n --arg sum "sha256:$sum" '{
    architecture: "amd64", os: "linux", created: "2020-01-01T00:00:00Z",
    config: { Cmd: $ARGS.positional, Env: ["PATH=/bin"], WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: [$sum] }, history: [{ created: "2020-01-01T00:00:00Z" }] }' \
    --args -- "$@" >"$tree/config.json"
  jq -n --arg name "$name" '[{ Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"] }]' >"$tree/manifest.json"
  tar -C "$tree" -cf "$file" manifest.json config.json layer.tar
  rm -rf "$tree"
}

documented() { # HEADING LANGUAGE [NUMBER]: a configuration of docs/migrating-from-runc.md, with the story's program for the installed one
  local document
  document=$(dirname "$script")/../../docs/migrating-from-runc.md
  [ -e "$document" ] || skip "the documents are not here"
  awk -v heading="## $1" -v fence="\`\`\`$2" -v number="${3:-1}" '
    /^## / { here = $0 == heading }
    here && $0 == fence { inside = ++n == number; next }
    /^```/ { inside = 0 }
    inside' "$document" | sed "s|/usr/local/sbin/riverrun|$program|" | grep . || { echo "no $2 below \"$1\""; exit 1; }
}

# The runtime that engines are given: it notes how it is called, so that a story can prove that it was.
calls=$WORK/calls
wrapper() { # prints the path of it
  mkdir -p "$WORK/bin"
  cat >"$WORK/bin/$RUNTIME" <<WRAPPER
#!/bin/sh
echo "\$*" >>$calls
exec $PROGRAM "\$@"
WRAPPER
  chmod 755 "$WORK/bin/$RUNTIME"
  : >>"$calls"
  chmod 666 "$calls"
  echo "$WORK/bin/$RUNTIME"
}
daemon() { # NAME COMMAND...: in the background, with its output in NAME.log
  local name=$1
  shift
  "$@" >>"$WORK/$name.log" 2>&1 </dev/null &
  echo $! >"$WORK/$name.pid"
}
end() { # NAME: ends a daemon and waits until it is gone
  local pid
  pid=$(cat "$WORK/$1.pid")
  kill "$pid" 2>/dev/null || return 0
  gone() { ! kill -0 "$pid" 2>/dev/null; }
  eventually gone
}
processes_of_containers() { # what none may be left of: processes in cgroups below our own, but those of the story itself
  local file
  find /sys/fs/cgroup -mindepth 2 -name cgroup.procs -path '*/*/*' 2>/dev/null | while read -r file; do cat "$file" 2>/dev/null; done | sort -un
}

# What a program sees of its container, without what differs each time; the read-only /sys/fs/cgroup and whose /dev/mqueue is in
# a user namespace are docs/compat.md's.
facts='id; umask; pwd; hostname; env; cat /proc/self/limits /proc/self/oom_score_adj /proc/self/uid_map /proc/self/cgroup
  grep -E "^(Cap|NoNewPrivs|Seccomp|Groups|Sig(Blk|Ign)|(Cpus|Mems)_allowed_list)" /proc/self/status
  cat /proc/self/mountinfo; ls -ln /dev /dev/pts / | sed "s/^\(..........\)  *[0-9]*/\1/"; ls /proc/self/fd; cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward
  for f in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes memory/memory.soft_limit_in_bytes memory/memory.swappiness \
    memory/memory.oom_control cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus cpuset/cpuset.mems \
    pids/pids.max devices/devices.list memory.max cpu.max cpu.weight pids.max; do
    [ -e "/sys/fs/cgroup/$f" ] && sed "s|^|$f |" "/sys/fs/cgroup/$f"
  done; true'
seen() { # COMMAND...: runs it with a shell and the facts as its last arguments
  { "$@" sh -c "$facts" 2>&1 </dev/null || echo "status $?"; } | sed -E -e 's/[0-9a-f]{12,64}/ID/g' -e 's/^[0-9]+ [0-9]+ [0-9]+:[0-9]+ //' -e 's/(shared|master):[0-9]+/\1/g' \
    -e 's|/l/[A-Z0-9]{26}|/l/LAYER|g' -e 's/[A-Z][a-z]{2} +[0-9]+ [0-9]{2}:[0-9]{2}/TIME/' -e 's|/overlay/[0-9]+/|/overlay/N/|g' -e 's/,size=[0-9]+k?,nr_inodes=[0-9]+//' \
    -e 's|^(/ /sys/fs/cgroup )r[ow]|\1|' -e 's/( - tmpfs .*),mode=[0-7]+/\1/' \
    -e 's/^(drwxrwxrwt +0 +)65534 +(.* mqueue)$/\10 \2/' -e '/ mqueue$/s/ +/ /g' | sort
}
alike() { # OURS PEERS WHAT: files
  ! grep '^status ' -B 3 "$2" || { echo "$3: runc fails"; exit 1; }
  diff "$2" "$1" >"$1.diff" || { echo "$3:"; grep '^[<>]' "$1.diff" | head -n 6; exit 1; }
}

# ---- the story
reason() { # FILE: what a failed check said, on one line
  tail -n 4 "$1" | tr -s '[:space:]' ' ' | tail -c 400
}
swept() { # after a failure: what it left must not fail the next
  tmux kill-server >/dev/null 2>&1 || true
  timeout "$limit" "$script" one sweep >"$WORK/sweep.log" 2>&1 </dev/null || true
}
one() { # CHECK: runs it, prints its outcome
  local check=$1 name=${1#*_} outcome=0 log=$WORK/log
  timeout --kill-after=10 "$limit" "$script" one "$check" >"$log" 2>&1 </dev/null || outcome=$?
  if [ "$outcome" -ne 0 ] && [ "$outcome" -ne 77 ]; then
    # Engines have faults of their own: who fails once is asked again, and that is told.
    echo "# $engine/$RUNTIME: $name: first try: $(reason "$log")"
    swept
    outcome=0
    timeout --kill-after=10 "$limit" "$script" one "$check" >"$log" 2>&1 </dev/null || outcome=$?
  fi
  case $outcome in 0 | 77) ;; *) swept ;; esac
  case $outcome in
    0) echo "ok - $engine/$RUNTIME: $name" ;;
    77) echo "skipped, $engine/$RUNTIME: $name: $(reason "$log")" ;;
    124 | 137) echo "not ok - $engine/$RUNTIME: $name: not within $limit s: $(reason "$log")" ;;
    *) echo "not ok - $engine/$RUNTIME: $name: $(reason "$log")" ;;
  esac
}
stories=("$script") # where checks are written
checks() { # in the order in which they are written
  grep -ohE '^(check|full)_[a-z0-9_]+' "${stories[@]}" | while read -r check; do
    [[ $check == full_* && -n ${SHORT:-} ]] || echo "$check"
  done
}
story() { # [NAME...]: all of it, or these checks
  local check wanted=" $* "
  if ! timeout "$limit" "$script" one start >"$WORK/start.log" 2>&1 </dev/null; then
    cat "$WORK/start.log"
    tail -n 20 "$WORK"/*.log 2>/dev/null || true
    echo "not ok - $engine/$RUNTIME: start: $(reason "$WORK/start.log")"
    echo "# end"
    return
  fi
  [ $# -eq 0 ] || [[ $wanted == *" start "* ]] || wanted+="start "
  echo "ok - $engine/$RUNTIME: start"
  for check in $(checks); do
    [ $# -eq 0 ] || [[ $wanted == *" ${check#*_} "* ]] || continue
    one "$check"
  done
  timeout "$limit" "$script" one stop >"$WORK/stop.log" 2>&1 </dev/null || cat "$WORK/stop.log"
  echo "# end"
}
main() {
  case ${1:-} in
    needs) local program
      for program in "${needs[@]}"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || { echo "$program"; exit 1; }
      done ;;
    one) "$2" ;;
    story) shift; story "$@" ;;
    *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$script" >&2; exit 2 ;;
  esac
}
