"""Errors: one class a code that programs tell apart, all of them `Error`.

An `Error` is made from the library's error object once, in `_library.check`; afterwards it is plain Python.
"""

from __future__ import annotations

import os

from . import _abi


class Error(Exception):
    """A call that did not succeed. `code` and `name` are stable (`RR_E_*` of riverrun.h), the message is not."""

    def __init__(self, code: int, name: str, errno: int, message: str, chain: list[str], details: dict[str, str]):
        super().__init__(message)
        #: The stable code, one of riverrun.h's RR_E_*.
        self.code = code
        #: The code as the header spells it.
        self.name = name
        #: The errno of the system call that did not succeed, 0 if none is the cause.
        self.errno = errno
        #: What was being done, outermost first, and last the cause.
        self.chain = chain
        #: Facts about the failure by name: phase, step, path, syscall, hook.
        self.details = details

    @property
    def strerror(self) -> str | None:
        """The text of `errno`, None if there is none."""
        return os.strerror(self.errno) if self.errno else None


class InvalidArgument(Error, ValueError):
    """An argument is malformed."""


class Unsupported(Error):
    """This build or this kernel cannot do what was asked."""


class Forked(Error):
    """The handle belongs to the process that this one is a fork of."""


class Timeout(Error, TimeoutError):
    """The deadline of the call passed."""


class Cancelled(Error):
    """The cancel descriptor of the call became readable."""


class InvalidSpec(Error, ValueError):
    """config.json, or a process document, is not valid."""


class InvalidId(Error, ValueError):
    """The container id is not valid."""


class Exists(Error):
    """A container with this id exists."""


class NotFound(Error, LookupError):
    """No container has this id."""


class NotRunning(Error):
    """The container does not run."""


class Running(Error):
    """The container runs, and the operation needs one that does not."""


class Paused(Error):
    """The container is paused."""


class NotPaused(Error):
    """The container is not paused."""


class ExecNotFound(Error):
    """The program to execute is not in the container."""


class ExecPermission(Error):
    """The program to execute may not be executed."""


class PermissionDenied(Error, PermissionError):
    """The kernel refuses for lack of privilege."""


_CLASSES = {
    _abi.RR_E_INVALID_ARGUMENT: InvalidArgument,
    _abi.RR_E_UNSUPPORTED: Unsupported,
    _abi.RR_E_FORKED: Forked,
    _abi.RR_E_TIMEOUT: Timeout,
    _abi.RR_E_CANCELLED: Cancelled,
    _abi.RR_E_INVALID_SPEC: InvalidSpec,
    _abi.RR_E_INVALID_ID: InvalidId,
    _abi.RR_E_EXISTS: Exists,
    _abi.RR_E_NOT_FOUND: NotFound,
    _abi.RR_E_NOT_RUNNING: NotRunning,
    _abi.RR_E_RUNNING: Running,
    _abi.RR_E_PAUSED: Paused,
    _abi.RR_E_NOT_PAUSED: NotPaused,
    _abi.RR_E_EXEC_NOT_FOUND: ExecNotFound,
    _abi.RR_E_EXEC_PERMISSION: ExecPermission,
    _abi.RR_E_PERMISSION: PermissionDenied,
}


def of_code(code: int) -> type[Error]:
    """The class for a code; a code of a newer library is an `Error`."""
    return _CLASSES.get(code, Error)
