"""A process of a container: its pidfd, its end, its terminal."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Optional

from . import _abi
from ._library import call, check, library, sized
from .streams import Pipes


@dataclass(frozen=True)
class Exit:
    """How a process ended: `code` if it exited by itself, `signal` (else 0) if a signal ended it."""

    code: int
    signal: int
    #: It left a core dump.
    core: bool
    #: Somebody else reaped it and this kernel does not keep the status: code and signal say nothing.
    status_lost: bool
    #: When its end was seen: nanoseconds since 1970 UTC.
    exited_ns: int

    @property
    def shell_status(self) -> int:
        """As a shell says it: the code, or 128 plus the signal."""
        return 128 + self.signal if self.signal else self.code


class Process:
    """Made by `Container.init_process` and `Container.exec`. Any number of threads may use one at once.

    It stays valid after the process has ended and after the container is deleted.
    """

    def __init__(self, handle: ctypes.c_void_p, pipes: Optional[Pipes] = None):
        self._handle = handle
        #: The host's ends of the pipes that were asked for.
        self.pipes = pipes or Pipes()

    def __del__(self, unref=library.rr_process_unref) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            unref(handle)

    def __repr__(self) -> str:
        return f"<riverrun.Process {self.pid}>"

    @property
    def pid(self) -> int:
        """In the host's pid namespace; to act on the process use `signal`, which cannot hit another one."""
        return library.rr_process_pid(self._handle)

    @property
    def pidfd(self) -> int:
        """Borrowed: for select, asyncio's add_reader and the like; readable once the process has ended."""
        return library.rr_process_pidfd(self._handle)

    def fileno(self) -> int:
        """`pidfd`, so that the object itself can go into `select`."""
        return self.pidfd

    @property
    def console_fd(self) -> int:
        """Borrowed: the master of the terminal, -1 without one."""
        return library.rr_process_console_fd(self._handle)

    def wait(self, timeout: Optional[float] = None, cancel: Optional[int] = None) -> Exit:
        """Waits for the end, in any thread and any number of times. Raises `Timeout` or `Cancelled`."""
        end = sized(_abi.rr_exit)
        check(library.rr_process_wait, self._handle, ctypes.byref(call(timeout, cancel)), ctypes.byref(end))
        return Exit(
            end.code,
            end.sig,
            bool(end.flags & _abi.RR_EXIT_CORE),
            bool(end.flags & _abi.RR_EXIT_STATUS_LOST),
            end.exited_ns,
        )

    def signal(self, number: int) -> None:
        """Sends a signal to this process and no other."""
        check(library.rr_process_signal, self._handle, int(number))

    def resize(self, rows: int, cols: int) -> None:
        """Sets the size of the terminal, in characters."""
        check(library.rr_process_resize, self._handle, rows, cols)
