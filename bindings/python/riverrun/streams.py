"""Where the streams of a process lead, and what a call made of it."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Mapping, Optional, Protocol, Union

from . import _abi
from ._library import path, sized


class HasFileno(Protocol):
    """Anything with a descriptor: files, sockets."""

    def fileno(self) -> int: ...


class _Kind:
    def __init__(self, name: str, number: int):
        self.name, self.number = name, number

    def __repr__(self) -> str:
        return f"riverrun.{self.name}"


#: The host's own stream.
INHERIT = _Kind("INHERIT", _abi.RR_STDIO_INHERIT)
#: /dev/null.
NULL = _Kind("NULL", _abi.RR_STDIO_NULL)
#: A new pipe; the host's end becomes a file of the container or process.
PIPE = _Kind("PIPE", _abi.RR_STDIO_PIPE)

Stream = Union[_Kind, int, HasFileno]


@dataclass
class IO:
    """Streams, terminal and further descriptors of a process; the default is the host's own three streams.

    A stream is INHERIT, NULL, PIPE, a descriptor, or a file. The three are ignored when the process has a terminal.
    """

    stdin: Stream = INHERIT
    stdout: Stream = INHERIT
    stderr: Stream = INHERIT
    #: A listening unix socket that receives the terminal's master; None: take `Process.console_fd`.
    console_socket: Optional[str] = None
    #: The terminal's first size.
    rows: int = 0
    cols: int = 0
    #: Further descriptors: number in the process (3 or more) to number in the host.
    descriptors: Mapping[int, int] = field(default_factory=dict)


@dataclass
class Pipes:
    """The host's ends of pipes, None where none was asked for. They close with the object or by `close`."""

    stdin: Optional[BinaryIO] = None
    stdout: Optional[BinaryIO] = None
    stderr: Optional[BinaryIO] = None

    def close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()


class Lent:
    """An `rr_io`, and what must live as long as the call that it is lent to."""

    def __init__(self, io: IO):
        self.struct: Any = sized(_abi.rr_io)
        for name, stream in (("in", io.stdin), ("out", io.stdout), ("err", io.stderr)):
            slot = getattr(self.struct, name)
            if isinstance(stream, _Kind):
                slot.kind = stream.number
            else:
                slot.kind = _abi.RR_STDIO_FD
                slot.fd = stream if isinstance(stream, int) else stream.fileno()
        self.struct.console_socket = path(io.console_socket)
        self.struct.rows, self.struct.cols = io.rows, io.cols
        self._fds = (_abi.rr_fd_map * len(io.descriptors))(
            *(_abi.rr_fd_map(host, container) for container, host in io.descriptors.items())
        )
        if io.descriptors:
            self.struct.fds = ctypes.cast(self._fds, ctypes.POINTER(_abi.rr_fd_map))
            self.struct.n_fds = len(io.descriptors)

    def pipes(self) -> Pipes:
        """Once, after the call succeeded: the files own the descriptors."""

        def opened(slot: Any, mode: str) -> Optional[BinaryIO]:
            return os.fdopen(slot.fd, mode, buffering=0) if slot.kind == _abi.RR_STDIO_PIPE else None  # type: ignore[return-value]

        return Pipes(
            opened(getattr(self.struct, "in"), "wb"), opened(self.struct.out, "rb"), opened(self.struct.err, "rb")
        )
