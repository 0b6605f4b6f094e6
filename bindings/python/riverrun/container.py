"""A container: its life, its state, what runs in it."""

from __future__ import annotations

import ctypes
import enum
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Union

from . import _abi
from ._library import buffer, call, check, library, path, sized
from .criu import Directory, lend_criu
from .events import EventStream
from .migration import Migrated, MigrationEvent, progress_function, send_options
from .process import Process
from .streams import IO, Lent, Pipes

if TYPE_CHECKING:
    from .context import Context


class Status(enum.IntEnum):
    """Where a container is in its life."""

    CREATING = _abi.RR_CREATING
    CREATED = _abi.RR_CREATED
    RUNNING = _abi.RR_RUNNING
    STOPPED = _abi.RR_STOPPED
    PAUSED = _abi.RR_PAUSED


class Namespace(enum.IntEnum):
    """A kind of namespace."""

    MOUNT = _abi.RR_NS_MOUNT
    PID = _abi.RR_NS_PID
    NET = _abi.RR_NS_NET
    IPC = _abi.RR_NS_IPC
    UTS = _abi.RR_NS_UTS
    USER = _abi.RR_NS_USER
    CGROUP = _abi.RR_NS_CGROUP
    TIME = _abi.RR_NS_TIME


@dataclass(frozen=True)
class State:
    """What a container is doing, observed at the call."""

    status: Status
    #: The first process in the host's pid namespace; 0 when it has ended.
    pid: int
    #: When it began, in clock ticks since boot; with `pid` it names a process for good.
    start_time: int
    #: Nanoseconds since 1970 UTC.
    created_ns: int


class Container:
    """Made by `Context.create`, `run` and `open`. The object is not the container: letting go of it stops nothing.

    Any number of threads may use one at once. As a context manager it is deleted at the end, by force.
    """

    def __init__(self, handle: ctypes.c_void_p, id: str, context: "Context", pipes: Optional[Pipes] = None):
        self._handle = handle
        # Its log function may be called as long as the container is used.
        self._context = context
        self.id = id
        #: The host's ends of the pipes that were asked for.
        self.pipes = pipes or Pipes()

    def __del__(self, unref=library.rr_container_unref) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            unref(handle)

    def __repr__(self) -> str:
        return f"<riverrun.Container {self.id}>"

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.delete(force=True)
        self.pipes.close()

    def start(self, timeout: Optional[float] = None, cancel: Optional[int] = None) -> None:
        """Lets a created container execute its program."""
        check(library.rr_start, self._handle, ctypes.byref(call(timeout, cancel)))

    def kill(
        self, signal: int, all: bool = False, timeout: Optional[float] = None, cancel: Optional[int] = None
    ) -> None:
        """Sends a signal to the first process, or to all."""
        flags = _abi.RR_KILL_ALL if all else 0
        check(library.rr_kill, self._handle, int(signal), flags, ctypes.byref(call(timeout, cancel)))

    def delete(self, force: bool = False, timeout: Optional[float] = None, cancel: Optional[int] = None) -> None:
        """Takes a stopped container away; with `force` a running one as well, and one that is gone is no error."""
        flags = _abi.RR_DELETE_FORCE if force else 0
        check(library.rr_delete, self._handle, flags, ctypes.byref(call(timeout, cancel)))

    @property
    def init_process(self) -> Process:
        """The first process: wait for its end, signal it, take its terminal."""
        handle = ctypes.c_void_p()
        check(library.rr_init_process, self._handle, ctypes.byref(handle))
        return Process(handle)

    def pause(self, timeout: Optional[float] = None, cancel: Optional[int] = None) -> None:
        """Freezes all processes; returns once they stand still."""
        check(library.rr_pause, self._handle, ctypes.byref(call(timeout, cancel)))

    def resume(self, timeout: Optional[float] = None, cancel: Optional[int] = None) -> None:
        """Lets the processes of a paused container go on."""
        check(library.rr_resume, self._handle, ctypes.byref(call(timeout, cancel)))

    def update(
        self,
        resources: dict,
        *,
        l3_cache_schema: Optional[str] = None,
        mem_bw_schema: Optional[str] = None,
        timeout: Optional[float] = None,
        cancel: Optional[int] = None,
    ) -> None:
        """Changes limits: a `linux.resources` object of the runtime specification, in which what is left out stays."""
        limits = call(timeout, cancel)
        options = sized(_abi.rr_update_options)
        options.l3_cache_schema = l3_cache_schema.encode() if l3_cache_schema else None
        options.mem_bw_schema = mem_bw_schema.encode() if mem_bw_schema else None
        options.call = ctypes.pointer(limits)
        document = json.dumps(resources).encode()
        check(library.rr_update, self._handle, document, len(document), ctypes.byref(options))

    def checkpoint(
        self,
        images: Directory,
        *,
        work: Optional[Directory] = None,
        parent: Union[str, os.PathLike, None] = None,
        leave_running: bool = False,
        pre_dump: bool = False,
        tcp_skip_in_flight: bool = False,
        link_remap: bool = False,
        page_server: Optional[tuple[str, int]] = None,
        status_fd: Optional[int] = None,
        timeout: Optional[float] = None,
        cancel: Optional[int] = None,
        **criu: Any,
    ) -> None:
        """Writes the processes as images, from which `Context.restore` makes them again.

        `images` and `work` (CRIU's log; default: to the images) are a path or the descriptor of a directory; `parent` is the
        images of an earlier `pre_dump`, relative to `images`. Unless it is to go on, the container has stopped afterwards; on
        failure it runs on. Further options, which the restore needs, too: `tcp_established`, `ext_unix_sk`, `shell_job`,
        `file_locks`, `lazy_pages`, `auto_dedup`, `manage_cgroups`, `network_lock` (their names in criu(8)), `criu` (CRIU's
        program; default: the first in the usual directories).
        """
        options, limits = sized(_abi.rr_checkpoint_options), call(timeout, cancel)
        lend_criu(options, images, work, criu)
        options.flags |= _abi.RR_CHECKPOINT_LEAVE_RUNNING if leave_running else 0
        options.flags |= _abi.RR_CHECKPOINT_PRE_DUMP if pre_dump else 0
        options.flags |= _abi.RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT if tcp_skip_in_flight else 0
        options.flags |= _abi.RR_CHECKPOINT_LINK_REMAP if link_remap else 0
        options.parent = path(parent)
        if page_server is not None:
            options.page_server, options.page_server_port = page_server[0].encode(), page_server[1]
        options.status_fd_plus1 = 0 if status_fd is None else status_fd + 1
        options.call = ctypes.pointer(limits)
        check(library.rr_checkpoint, self._handle, ctypes.byref(options))

    def migrate(
        self,
        socket: int,
        *,
        progress: Optional[Callable[[MigrationEvent], None]] = None,
        timeout: Optional[float] = None,
        cancel: Optional[int] = None,
        **options: Any,
    ) -> Migrated:
        """Sends the running container to whoever receives it at the other end of `socket`, the descriptor of a connected stream
        socket that stays the caller's to close, and deletes it here once it runs there.

        `progress` is told what happens, during the call; what it takes while the container is frozen is downtime. Options:
        `copy_rootfs` (all files are sent; default: the target has them), `rounds` of memory while it runs (0: none),
        `page_server` (memory goes straight into the target's images), `lazy` (it runs there before its memory is there),
        `patience` (seconds that the other side may say nothing), `work` (a directory for images), `link_remap`,
        `tcp_skip_in_flight`, and of those of `checkpoint` `tcp_established`, `ext_unix_sk`, `shell_job`, `file_locks`,
        `manage_cgroups`, `network_lock`, `criu`. Until the target is told to run it every error leaves it running here; one
        whose detail `migration` is `undecided` leaves it paused, and only a look at the target tells what to do with it.
        """
        wanted, limits, out = send_options(**options), call(timeout, cancel), sized(_abi.rr_migrated)
        wanted.call = ctypes.pointer(limits)
        raised: list[BaseException] = []
        wanted.progress = progress_function(progress, raised)
        check(library.rr_migrate, self._handle, socket, ctypes.byref(wanted), ctypes.byref(out))
        if raised:
            raise raised[0]
        return Migrated(out.pid, out.rounds, out.bytes, out.downtime_ns / 1e9, out.total_ns / 1e9)

    def stats(self) -> Any:
        """What the kernel counts, as flat numbers: the fields of `rr_stats_info`, cheap enough to ask of thousands."""
        info = sized(_abi.rr_stats_info)
        check(library.rr_stats, self._handle, None, ctypes.byref(info))
        return info

    @property
    def stats_document(self) -> dict:
        """Everything that the kernel counts: the `data` of what the command line's `events --stats` prints."""
        return json.loads(buffer(library.rr_stats_json, self._handle))

    def events(self, stats_interval: Optional[float] = None) -> EventStream:
        """Listens from now on: exit and out of memory; with an interval in seconds exit and statistics."""
        return EventStream(self._handle, stats_interval)

    def exec(
        self,
        args: Union[Sequence[str], None] = None,
        *,
        process: Union[dict, None] = None,
        io: IO = IO(),
        cgroups: Sequence[str] = (),
        pid_file: Union[str, os.PathLike, None] = None,
        ignore_paused: bool = False,
        no_new_keyring: bool = False,
        timeout: Optional[float] = None,
        cancel: Optional[int] = None,
    ) -> Process:
        """Executes one more process.

        `args` alone run as root in `/` with a plain PATH; `process` is a `process` object of the runtime specification,
        to which `args` are added if given.
        """
        whole = dict(process or {"cwd": "/", "user": {"uid": 0, "gid": 0}, "env": [f"PATH={os.defpath}"]})
        if args is not None:
            whole["args"] = list(args)
        lent, limits = Lent(io), call(timeout, cancel)
        options = sized(_abi.rr_exec_options)
        options.flags |= _abi.RR_EXEC_IGNORE_PAUSED if ignore_paused else 0
        options.flags |= _abi.RR_EXEC_NO_NEW_KEYRING if no_new_keyring else 0
        options.process = json.dumps(whole).encode()
        options.process_len = len(options.process)
        names = (ctypes.c_char_p * len(cgroups))(*(name.encode() for name in cgroups))
        if cgroups:
            options.cgroups = ctypes.cast(names, ctypes.POINTER(ctypes.c_char_p))
            options.n_cgroups = len(cgroups)
        options.pid_file = path(pid_file)
        options.io, options.call = ctypes.pointer(lent.struct), ctypes.pointer(limits)
        handle = ctypes.c_void_p()
        check(library.rr_exec, self._handle, ctypes.byref(options), ctypes.byref(handle))
        return Process(handle, lent.pipes())

    @property
    def state(self) -> State:
        """What it is doing now."""
        info = sized(_abi.rr_state_info)
        check(library.rr_state, self._handle, ctypes.byref(info))
        return State(Status(info.status), info.pid, info.start_time, info.created_ns)

    @property
    def status(self) -> Status:
        """`state.status`."""
        return self.state.status

    @property
    def state_document(self) -> dict:
        """The document that the command line's `state` prints."""
        return json.loads(buffer(library.rr_state_json, self._handle))

    def pids(self) -> list[int]:
        """All processes, by their pids in the host's pid namespace."""
        room = 64
        while True:
            found, count = (ctypes.c_int * room)(), ctypes.c_size_t()
            check(library.rr_pids, self._handle, found, room, ctypes.byref(count))
            if count.value <= room:
                return list(found[: count.value])
            room = count.value * 2

    def open_namespace(self, kind: Namespace) -> int:
        """A descriptor of a namespace of the container, the caller's to close."""
        fd = ctypes.c_int()
        check(library.rr_open_ns, self._handle, int(kind), ctypes.byref(fd))
        return fd.value

    def open_cgroup(self) -> int:
        """A descriptor of the container's directory in the cgroup2 filesystem, the caller's to close."""
        fd = ctypes.c_int()
        check(library.rr_open_cgroup, self._handle, ctypes.byref(fd))
        return fd.value

    def open_notify(self) -> int:
        """A datagram socket that hears what the program says by sd_notify(3), the caller's to close. To be made before
        `start`, of a container that was created with `notify`."""
        fd = ctypes.c_int()
        check(library.rr_open_notify, self._handle, ctypes.byref(fd))
        return fd.value

    def take_seccomp_listener(self) -> int:
        """The listener of the seccomp filter, then those of processes that were executed, each once and the caller's to close;
        of a container that was created with `want_seccomp_listener`."""
        fd = ctypes.c_int()
        check(library.rr_take_seccomp_fd, self._handle, ctypes.byref(fd))
        return fd.value
