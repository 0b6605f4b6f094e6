"""A state root with its policy and its log: where containers are made, found and listed."""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any, Callable, Optional, Union

from . import _abi
from ._library import buffer, call, check, library, path, sized, text
from .container import Container
from .criu import Directory, lend_criu
from .migration import receive_options
from .streams import IO, Lent

#: Level (LOG_ERROR to LOG_DEBUG), line, further facts.
LogFunction = Callable[[int, str, dict], None]

LOG_ERROR = _abi.RR_LOG_ERROR
LOG_WARN = _abi.RR_LOG_WARN
LOG_INFO = _abi.RR_LOG_INFO
LOG_DEBUG = _abi.RR_LOG_DEBUG


class Context:
    """Any number of threads may use one at once; containers made from it outlive it.

    `root` is the state root, None for `/run/riverrun` or the user's own. `log` is called on the thread of the call that
    logs, for lines of `log_level` and graver ones.
    """

    def __init__(
        self,
        root: Union[str, os.PathLike, None] = None,
        *,
        systemd_cgroup: bool = False,
        rootless: Optional[bool] = None,
        log: Optional[LogFunction] = None,
        log_level: int = LOG_INFO,
        init_path: Union[str, os.PathLike, None] = None,
    ):
        options = sized(_abi.rr_context_options)
        options.root, options.init_path = path(root), path(init_path)
        if systemd_cgroup:
            options.flags |= _abi.RR_CTX_SYSTEMD_CGROUP
        if rootless is not None:
            options.flags |= _abi.RR_CTX_ROOTLESS if rootless else _abi.RR_CTX_ROOTFUL
        # The library keeps the function as long as the context, so this object has to.
        self._log = _abi.rr_log_fn(_logger(log)) if log else _abi.rr_log_fn()
        options.log, options.log_level = self._log, log_level
        self._handle = ctypes.c_void_p()
        check(library.rr_context_new, ctypes.byref(options), ctypes.byref(self._handle))

    def __del__(self, unref=library.rr_context_unref) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            unref(handle)

    def create(self, id: str, bundle: Union[str, os.PathLike, None] = None, **options: Any) -> Container:
        """Creates a container: all of it but the execution of its program, for which `Container.start` gives the word.

        `config` is a config.json as text, bytes or a dict, instead of the bundle's. Other options: `io`, `pid_file`,
        `no_pivot`, `no_new_keyring`, `notify` (for `Container.open_notify`), `want_seccomp_listener` (for
        `Container.take_seccomp_listener`), `timeout` in seconds, `cancel`, a descriptor that ends the call once it is readable.
        On failure nothing is left behind.
        """
        return self._make(library.rr_create, id, bundle, **options)

    def run(self, id: str, bundle: Union[str, os.PathLike, None] = None, **options: Any) -> Container:
        """`create` and `start` in one, and a step cheaper."""
        return self._make(library.rr_run, id, bundle, **options)

    def restore(
        self,
        id: str,
        images: Directory,
        bundle: Union[str, os.PathLike, None] = None,
        *,
        work: Optional[Directory] = None,
        tcp_close: bool = False,
        lsm_profile: Optional[str] = None,
        lsm_mount_context: Optional[str] = None,
        criu: Optional[dict] = None,
        **options: Any,
    ) -> Container:
        """Makes a container of the images of a checkpoint: its processes go on where they were.

        `images` and `work` (CRIU's log; default: to the images) are a path or the descriptor of a directory; `criu` is the
        further options that the checkpoint was made with, by name; other options are those of `create`. On failure nothing is
        left behind.
        """
        wanted = sized(_abi.rr_restore_options)
        lend_criu(wanted, images, work, criu or {})
        wanted.flags |= _abi.RR_RESTORE_TCP_CLOSE if tcp_close else 0
        wanted.lsm_profile = lsm_profile.encode() if lsm_profile else None
        wanted.lsm_mount_context = lsm_mount_context.encode() if lsm_mount_context else None

        def restore(handle: Any, id: bytes, options: Any, *rest: Any) -> int:
            return library.rr_restore(handle, id, options, ctypes.byref(wanted), *rest)

        return self._make(restore, id, bundle, **options)

    def receive(
        self,
        socket: int,
        id: Optional[str] = None,
        bundle: Union[str, os.PathLike, None] = None,
        *,
        receive: Optional[dict] = None,
        **options: Any,
    ) -> Container:
        """Takes a container from whoever migrates it at the other end of `socket`, the descriptor of a connected stream socket
        that stays the caller's to close.

        `id` defaults to the source's; `bundle` is made if the source sends the root filesystem, and defaults to the source's
        path. `receive` is further options by name: `limit` (bytes that are stored at most), `patience` (seconds that the other
        side may say nothing), `work` (a directory for images), `manage_cgroups`, `network_lock`, `criu`; other options are those
        of `create`. Whoever can write to the socket is as good as root. On failure nothing is left behind.
        """
        wanted = receive_options(**(receive or {}))

        def received(handle: Any, _id: bytes, options: Any, *rest: Any) -> int:
            name = None if id is None else id.encode()
            return library.rr_receive(handle, socket, name, options, ctypes.byref(wanted), *rest)

        made = self._make(received, id or "", bundle, **options)
        made.id = id or made.state_document["id"]
        return made

    def _make(
        self,
        function: Any,
        id: str,
        bundle: Union[str, os.PathLike, None],
        *,
        config: Union[str, bytes, dict, None] = None,
        io: IO = IO(),
        pid_file: Union[str, os.PathLike, None] = None,
        no_pivot: bool = False,
        no_new_keyring: bool = False,
        notify: bool = False,
        want_seccomp_listener: bool = False,
        timeout: Optional[float] = None,
        cancel: Optional[int] = None,
    ) -> Container:
        lent, limits = Lent(io), call(timeout, cancel)
        options = sized(_abi.rr_create_options)
        options.flags |= _abi.RR_CREATE_NO_PIVOT if no_pivot else 0
        options.flags |= _abi.RR_CREATE_NO_NEW_KEYRING if no_new_keyring else 0
        options.flags |= _abi.RR_CREATE_NOTIFY if notify else 0
        options.flags |= _abi.RR_CREATE_WANT_SECCOMP_FD if want_seccomp_listener else 0
        options.bundle, options.pid_file = path(bundle), path(pid_file)
        if config is not None:
            options.config = document(config)
            options.config_len = len(options.config)
        options.io, options.call = ctypes.pointer(lent.struct), ctypes.pointer(limits)
        handle = ctypes.c_void_p()
        check(function, self._handle, id.encode(), ctypes.byref(options), ctypes.byref(handle))
        return Container(handle, id, self, lent.pipes())

    def open(self, id: str) -> Container:
        """Finds a container of this state root, whoever made it."""
        handle = ctypes.c_void_p()
        check(library.rr_open, self._handle, id.encode(), ctypes.byref(handle))
        return Container(handle, id, self)

    def list(self) -> list[dict]:
        """The containers of this state root, each as the document of its state."""
        return json.loads(buffer(library.rr_list_json, self._handle)) or []


def document(value: Union[str, bytes, dict]) -> bytes:
    """A JSON document as the library takes it."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def _logger(function: LogFunction) -> Any:
    def log(_data: Any, level: int, message: bytes, _length: int, fields: Optional[bytes]) -> None:
        function(level, text(message), json.loads(fields) if fields else {})

    return log
