#!/usr/bin/env python3
"""The claims of bindings/claims.txt, kept by the Python package: a function a claim. Needs root.

Prints "ok - NAME" or "not ok - NAME: why" for each. tests/bindings/run calls it, with a busybox root filesystem in $ROOTFS.
"""

import gc
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback

import riverrun as rr
from riverrun import _abi

ROOTFS = os.environ["ROOTFS"]
WORK = tempfile.mkdtemp(prefix="rr-py-")
LONG = 60.0

context = rr.Context(WORK + "/state", log=lambda *line: LOG.append(line), log_level=rr.LOG_WARN)
LOG: list = []
_count = iter(range(10_000))


def fresh() -> str:
    return f"py-{os.getpid()}-{next(_count)}"


def config(*args: str, **changes) -> dict:
    made = rr.spec()
    made["root"] = {"path": ROOTFS, "readonly": True}
    made["process"].update({"terminal": False, "args": list(args)}, **changes)
    return made


def shell(script: str, **changes) -> dict:
    return config("/bin/sh", "-c", script, **changes)


def quiet(**changes) -> rr.IO:
    return rr.IO(**{"stdin": rr.NULL, "stdout": rr.NULL, "stderr": rr.NULL, **changes})


def run(script: str, **options) -> rr.Container:
    options.setdefault("io", quiet())
    return context.run(fresh(), config=shell(script), timeout=LONG, **options)


def refused(kind: type, function, *arguments, **options) -> rr.Error:
    try:
        function(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


# ---- what needs no container ----


def version_is_the_headers():
    number = _abi.RR_VERSION_NUMBER
    assert rr.__version__ == f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}"


def features_are_told_by_name():
    assert rr.has_feature("exec") and not rr.has_feature("flight")


def spec_is_a_valid_config():
    rr.config_check(rr.spec())
    rr.config_check(rr.spec(rootless=True))


def bad_config_names_the_place():
    bad = rr.spec()
    bad["process"]["cwd"] = 7
    error = refused(rr.InvalidSpec, rr.config_check, bad)
    assert "process.cwd" in str(error), error


def features_document_is_complete():
    document = rr.features()
    assert "startContainer" in document["hooks"] and "rbind" in document["mountOptions"]


# ---- errors ----


def error_has_code_and_message():
    error = refused(rr.NotFound, context.open, "nobody")
    assert error.code == _abi.RR_E_NOT_FOUND and error.name == "RR_E_NOT_FOUND" and "does not exist" in str(error)


def error_has_its_chain():
    error = refused(rr.Error, context.create, fresh(), bundle=WORK + "/no-bundle")
    assert len(error.chain) > 1 and ": ".join(error.chain) == str(error), error.chain


def error_has_its_errno():
    error = refused(rr.Error, context.create, fresh(), bundle=WORK + "/no-bundle")
    assert error.errno == 2 and error.strerror == os.strerror(2)


def error_has_its_details():
    error = refused(rr.InvalidSpec, context.create, fresh(), bundle=WORK)
    assert WORK in error.details["path"], error.details


# ---- the life of a container ----


def created_running_stopped():
    web = context.create(fresh(), config=shell("exit 7"), io=quiet())
    assert web.status == rr.Status.CREATED and web.state.pid > 0
    init = web.init_process
    web.start(timeout=LONG)
    end = init.wait(timeout=LONG)
    assert (end.code, end.signal, end.shell_status) == (7, 0, 7)
    assert web.status == rr.Status.STOPPED
    web.delete()
    refused(rr.NotFound, lambda: web.status)


def run_is_create_and_start():
    with run("sleep 60") as web:
        assert web.status == rr.Status.RUNNING


def config_without_a_bundle():
    with run("true") as web:
        assert web.init_process.wait(timeout=LONG).code == 0


def state_document_is_the_command_lines():
    with run("sleep 60") as web:
        document = web.state_document
        assert document["id"] == web.id and document["status"] == "running" and document["pid"] == web.state.pid
        assert "bundle" in document


def list_names_the_containers():
    with run("sleep 60") as one, run("sleep 60") as two:
        assert {one.id, two.id} <= {entry["id"] for entry in context.list()}


def open_finds_what_another_made():
    with run("sleep 60") as web:
        found = rr.Context(WORK + "/state").open(web.id)
        assert found.state.pid == web.state.pid


def existing_id_is_refused():
    with run("sleep 60") as web:
        refused(rr.Exists, context.create, web.id, config=shell("true"), io=quiet())


def invalid_id_is_refused():
    refused(rr.InvalidId, context.create, "a/b", config=shell("true"), io=quiet())


def missing_container_is_not_found():
    refused(rr.NotFound, context.open, "nobody")


def missing_program_is_named():
    error = refused(rr.ExecNotFound, context.run, fresh(), config=config("/bin/nothing"), io=quiet())
    assert "/bin/nothing" in str(error)


def second_start_is_refused():
    with run("sleep 60") as web:
        refused(rr.Running, web.start)


def running_container_is_not_deleted():
    with run("sleep 60") as web:
        refused(rr.Running, web.delete)
        assert web.status == rr.Status.RUNNING


def forced_delete_leaves_nothing():
    web = run("sleep 60")
    init = web.init_process
    web.delete(force=True)
    assert init.wait(timeout=LONG).signal == signal.SIGKILL
    assert web.id not in {entry["id"] for entry in context.list()}
    web.delete(force=True)


def kill_ends_by_the_signal():
    with run("sleep 60") as web:
        init = web.init_process
        web.kill(signal.SIGKILL)
        end = init.wait(timeout=LONG)
        assert end.signal == signal.SIGKILL and end.shell_status == 137


# ---- waiting ----


def many_may_wait():
    with run("read line < /dev/zero & sleep 1; exit 9") as web:
        init, ends = web.init_process, []
        threads = [threading.Thread(target=lambda: ends.append(init.wait(timeout=LONG))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [end.code for end in ends] == [9] * 8, ends


def wait_has_a_deadline():
    with run("sleep 60") as web:
        refused(rr.Timeout, web.init_process.wait, timeout=0.05)


def wait_is_cancelled():
    reader, writer = os.pipe()
    with run("sleep 60") as web:
        canceller = threading.Timer(0.1, os.write, (writer, b"x"))
        canceller.start()
        refused(rr.Cancelled, web.init_process.wait, cancel=reader)
        canceller.join()
    os.close(reader)
    os.close(writer)


def cancelled_create_leaves_nothing():
    reader, writer = os.pipe()
    os.write(writer, b"x")
    name = fresh()
    refused(rr.Cancelled, context.create, name, config=shell("true"), io=quiet(), cancel=reader)
    refused(rr.NotFound, context.open, name)
    os.close(reader)
    os.close(writer)


# ---- streams ----


def output_comes_through_a_pipe():
    with run("echo out; echo err >&2", io=quiet(stdout=rr.PIPE, stderr=rr.PIPE)) as web:
        assert web.pipes.stdout.read() == b"out\n" and web.pipes.stderr.read() == b"err\n"


def input_goes_through_a_pipe():
    with run("read word; echo got $word", io=quiet(stdin=rr.PIPE, stdout=rr.PIPE)) as web:
        web.pipes.stdin.write(b"a-word\n")
        assert web.pipes.stdout.read() == b"got a-word\n"


def output_goes_to_a_descriptor():
    with tempfile.TemporaryFile() as file:
        with run("echo to-a-file", io=quiet(stdout=file)) as web:
            web.init_process.wait(timeout=LONG)
        file.seek(0)
        assert file.read() == b"to-a-file\n"


def null_streams_are_empty():
    with run("cat; exit 5") as web:
        assert web.init_process.wait(timeout=LONG).code == 5


def extra_descriptor_arrives():
    reader, writer = os.pipe()
    with run("echo by-five >&5", io=quiet(descriptors={5: writer})) as web:
        web.init_process.wait(timeout=LONG)
    os.close(writer)
    assert os.read(reader, 100) == b"by-five\n"
    os.close(reader)


def terminal_has_its_size():
    asked = shell("stty size; read line; stty size", terminal=True)
    with context.run(fresh(), config=asked, io=rr.IO(rows=31, cols=97), timeout=LONG) as web:
        init = web.init_process
        seen = read_until(init.console_fd, b"31 97")
        init.resize(40, 120)
        os.write(init.console_fd, b"\n")
        read_until(init.console_fd, b"40 120", seen)
        init.wait(timeout=LONG)


def read_until(fd: int, wanted: bytes, seen: bytes = b"") -> bytes:
    end = time.monotonic() + LONG
    while wanted not in seen:
        assert select.select([fd], [], [], end - time.monotonic())[0], seen
        seen += os.read(fd, 1000)
    return seen


# ---- further processes ----


def exec_has_its_own_exit():
    with run("sleep 60") as web:
        assert web.exec(["/bin/sh", "-c", "exit 4"], io=quiet(), timeout=LONG).wait(timeout=LONG).code == 4
        assert web.status == rr.Status.RUNNING


def exec_reads_its_input():
    with run("sleep 60") as web:
        process = web.exec(["/bin/cat"], io=quiet(stdin=rr.PIPE, stdout=rr.PIPE), timeout=LONG)
        process.pipes.stdin.write(b"through")
        process.pipes.stdin.close()
        assert process.pipes.stdout.read() == b"through"
        process.pipes.close()


def executed_process_is_signalled():
    with run("sleep 60") as web:
        second = web.exec(["/bin/sleep", "60"], io=quiet(), timeout=LONG)
        assert second.pid > 0 and second.pid != web.state.pid
        second.signal(signal.SIGKILL)
        assert second.wait(timeout=LONG).signal == signal.SIGKILL and web.status == rr.Status.RUNNING


def exec_into_a_stopped_container_is_refused():
    with run("true") as web:
        web.init_process.wait(timeout=LONG)
        refused(rr.NotRunning, web.exec, ["/bin/true"], io=quiet())


def members_are_listed():
    with run("sleep 60 & sleep 60 & wait") as web:
        end = time.monotonic() + LONG
        while len(web.pids()) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert web.state.pid in web.pids() and len(web.pids()) == 3


def pid_file_holds_the_pid():
    with run("sleep 60", pid_file=WORK + "/pid") as web:
        with open(WORK + "/pid") as file:
            assert file.read() == str(web.state.pid)


# ---- the host ----


def log_lines_arrive():
    made = shell("true")
    made["process"]["capabilities"]["bounding"].append("CAP_OF_NOBODY")
    before = len(LOG)
    with context.run(fresh(), config=made, io=quiet()) as web:
        web.init_process.wait(timeout=LONG)
    assert any("CAP_OF_NOBODY" in line for _, line, _ in LOG[before:]), LOG


def pidfd_is_readable_at_the_end():
    with run("sleep 60") as web:
        init = web.init_process
        assert not select.select([init], [], [], 0)[0]
        web.kill(signal.SIGKILL)
        assert select.select([init], [], [], LONG)[0]


def handles_outlive_their_context():
    own = rr.Context(WORK + "/state")
    web = own.run(fresh(), config=shell("sleep 60"), io=quiet())
    init = web.init_process
    del own
    web.delete(force=True)
    del web
    assert init.wait(timeout=LONG).signal == signal.SIGKILL


def forked_child_is_refused():
    with run("sleep 60") as web:
        child = os.fork()
        if child == 0:
            try:
                web.state
            except rr.Forked:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


def host_is_untouched():
    def host():
        with open("/proc/self/status") as file:
            keys = ("SigBlk", "SigIgn", "SigCgt", "Umask", "Threads", "Cap", "NoNew")
            kept = [line for line in file if line.startswith(keys)]
        return kept, os.getcwd(), sorted(os.listdir("/proc/self/fd"))

    run("true").delete(force=True)
    gc.collect()  # what earlier claims let go of
    before = host()
    for _ in range(20):
        run("true").delete(force=True)
    gc.collect()
    after = host()
    assert after == before, [pair for pair in zip(before, after) if pair[0] != pair[1]]


def namespace_is_opened():
    with run("sleep 60") as web:
        fd = web.open_namespace(rr.Namespace.UTS)
        theirs = os.readlink(f"/proc/self/fd/{fd}")
        os.close(fd)
        assert theirs.startswith("uts:") and theirs != os.readlink("/proc/self/ns/uts")


def cgroup_is_opened():
    with run("sleep 60") as web:
        directory = web.open_cgroup()
        members = os.open("cgroup.procs", os.O_RDONLY, dir_fd=directory)
        assert int(os.read(members, 64)) == web.state.pid
        os.close(members), os.close(directory)


def seccomp_listener_is_taken():
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_NOTIFY"}],
    }
    asking = shell("sleep 60")
    asking["linux"]["seccomp"] = profile
    with context.run(fresh(), config=asking, io=quiet(), want_seccomp_listener=True, timeout=LONG) as web:
        listener = web.take_seccomp_listener()
        assert "seccomp notify" in os.readlink(f"/proc/self/fd/{listener}")
        os.close(listener)
        assert refused(rr.Error, web.take_seccomp_listener).code == _abi.RR_E_SECCOMP


def readiness_is_heard():
    """A message to the socket that the container sees, from outside."""
    with context.create(fresh(), config=shell("sleep 60"), io=quiet(), notify=True, timeout=LONG) as web:
        fd = web.open_notify()
        web.start(timeout=LONG)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
            program.sendto(b"READY=1", f"/proc/{web.init_process.pid}/root/run/notify/notify.sock")
        assert os.read(fd, 64) == b"READY=1"
        os.close(fd)
    with run("sleep 60") as web:
        refused(rr.Unsupported, web.open_notify)


def checkpointed_container_goes_on():
    criu, images = os.environ.get("CRIU"), WORK + "/images"
    if not criu:
        print("skipped: checkpointed_container_goes_on: no CRIU that starts here")
        return
    counting = shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done")
    with context.run(fresh(), config=counting, io=quiet(stdout=rr.PIPE), timeout=LONG) as web:
        while number(web.pipes.stdout) < 3:
            pass
        refused(rr.InvalidArgument, web.checkpoint, None)
        web.checkpoint(images, leave_running=True, criu=criu, timeout=LONG)
        assert web.status == rr.Status.RUNNING
        seen = number(web.pipes.stdout)
        directory = os.open(images, os.O_RDONLY | os.O_DIRECTORY)
        web.checkpoint(directory, criu=criu, timeout=LONG)
        assert web.status == rr.Status.STOPPED
    again = context.restore(
        fresh(), directory, config=counting, io=quiet(stdout=rr.PIPE), criu={"criu": criu}, timeout=LONG
    )
    os.close(directory)
    with again:
        assert again.status == rr.Status.RUNNING
        assert number(again.pipes.stdout) > seen


def migrated_container_goes_on():
    criu = os.environ.get("CRIU")
    if not criu:
        print("skipped: migrated_container_goes_on: no CRIU that starts here")
        return
    there, steps, outcome = rr.Context(WORK + "/there"), [], []
    counting = shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done")
    web = context.run(fresh(), config=counting, io=quiet(stdout=rr.PIPE), timeout=LONG)
    while number(web.pipes.stdout) < 3:
        pass
    seen = number(web.pipes.stdout)
    here, beyond = socket.socketpair()

    def send():
        outcome.append(web.migrate(here.fileno(), progress=lambda e: steps.append(e.step), criu=criu, timeout=LONG))

    source = threading.Thread(target=send)
    source.start()
    again = there.receive(beyond.fileno(), fresh(), io=quiet(stdout=rr.PIPE), receive={"criu": criu}, timeout=LONG)
    with again:
        source.join()
        assert again.state.pid == outcome[0].pid and outcome[0].downtime > 0
        assert steps[0] == rr.MigrationStep.ACCEPTED and steps[-1] == rr.MigrationStep.RESTORED
        assert number(again.pipes.stdout) > seen
    refused(rr.NotFound, lambda: web.state)
    web.pipes.close()
    here.close(), beyond.close()


def migration_to_nobody_leaves_it_running():
    with run("sleep 60") as web:
        here, beyond = socket.socketpair()
        beyond.close()
        refused(rr.Error, web.migrate, here.fileno(), timeout=LONG)
        assert web.status == rr.Status.RUNNING
        here.close()


def number(stream) -> int:
    """The next whole number that is read."""
    text = b""
    while not text.endswith(b"\n"):
        text += stream.read(1)
    return int(text)


def pause_freezes_and_resume_thaws():
    with run("sleep 60") as web:
        web.pause(timeout=LONG)
        assert web.status == rr.Status.PAUSED
        refused(rr.Paused, web.exec, ["/bin/true"], io=quiet())
        web.resume(timeout=LONG)
        assert web.status == rr.Status.RUNNING
        assert web.exec(["/bin/true"], io=quiet(), timeout=LONG).wait(timeout=LONG).code == 0


def update_changes_a_limit():
    with run("sleep 60") as web:
        web.update({"pids": {"limit": 77}}, timeout=LONG)
        assert web.stats().pids_limit == 77


def stats_count_what_runs():
    with run("sleep 60 & wait") as web:
        end = time.monotonic() + LONG
        while web.stats().pids_current != 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert web.stats().memory_usage > 0


def stats_document_is_the_command_lines():
    with run("sleep 60") as web:
        document = web.stats_document
        assert document["pids"]["current"] == 1 and document["memory"]["usage"]["usage"] > 0


def events_end_with_exit():
    with run("read line; exit 6", io=quiet(stdin=rr.PIPE)) as web:
        stream = web.events()
        web.pipes.stdin.close()
        told = [event for event in stream if event.type in (rr.EventType.EXIT, rr.EventType.END)]
        assert [event.type for event in told] == [rr.EventType.EXIT, rr.EventType.END] and told[0].exit_code == 6, told


def events_tell_out_of_memory_before_exit():
    made = shell("read line; x=aaaaaaaa; while :; do x=$x$x; done")
    made["linux"]["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    with context.run(fresh(), config=made, io=quiet(stdin=rr.PIPE), timeout=LONG) as web:
        stream = web.events()
        web.pipes.stdin.write(b"\n")
        types = [event.type for event in stream]
        assert types.index(rr.EventType.OOM_KILL) < types.index(rr.EventType.EXIT), types


def events_of_many_in_one_loop():
    webs = [run("read line; exit 3", io=quiet(stdin=rr.PIPE)) for _ in range(5)]
    streams = {web.events(): web for web in webs}
    for web in webs:
        web.pipes.stdin.close()
    exits = 0
    while streams:
        ready, _, _ = select.select(list(streams), [], [], LONG)
        assert ready
        for stream in ready:
            event = stream.next(timeout=LONG)
            exits += event.type == rr.EventType.EXIT and event.exit_code == 3
            if event.type == rr.EventType.END:
                streams.pop(stream).delete(force=True)
                stream.close()
    assert exits == 5


def main() -> int:
    """The claims that are named, or all: those of claims.txt that this file has."""
    with open(os.path.join(os.path.dirname(__file__), "../../claims.txt")) as table:
        listed = [line.split()[0] for line in table if line.strip() and line[0] not in "# "]
    failed = 0
    for name in sys.argv[1:] or listed:
        claim = globals().get(name)
        if claim is None:
            continue  # The runner, which has the same list, misses it.
        try:
            claim()
            print(f"ok - {claim.__name__}", flush=True)
        except Exception as error:  # noqa: BLE001
            failed += 1
            traceback.print_exc()
            print(f"not ok - {claim.__name__}: {error!r}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
