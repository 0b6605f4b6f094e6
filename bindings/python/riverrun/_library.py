"""The shared library: found, its functions typed, and the two ways that every call takes (an error out, a buffer out).

ctypes lets go of the interpreter's lock during each call, so other threads go on while one waits.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from . import _abi, errors

#: Names that `rr_error_detail` may know.
_DETAILS = ("phase", "step", "path", "syscall", "hook", "criu-log", "migration")


def _load() -> ctypes.CDLL:
    """RIVERRUN_LIBRARY names a library that is not installed where the linker looks."""
    library = ctypes.CDLL(os.environ.get("RIVERRUN_LIBRARY") or "libriverrun.so.0")
    for name, result, parameters in _abi.FUNCTIONS:
        function = getattr(library, name, None)
        if function is None:
            continue  # An older library: whoever needs it is told by name.
        function.restype = result
        function.argtypes = parameters
    return library


library = _load()


def check(function: Any, *arguments: Any) -> None:
    """Calls a function that takes `rr_error **` last, and raises what it says."""
    handle = ctypes.c_void_p()
    code = function(*arguments, ctypes.byref(handle))
    if code != _abi.RR_OK:
        raise _taken(code, handle)


def _taken(code: int, handle: ctypes.c_void_p) -> errors.Error:
    """The library's error as Python's; the library's is freed."""
    try:
        chain = [text(library.rr_error_chain(handle, i)) for i in range(library.rr_error_chain_len(handle))]
        details = {key: library.rr_error_detail(handle, key.encode()) for key in _DETAILS}
        return errors.of_code(code)(
            code,
            text(library.rr_code_name(code)),
            library.rr_error_errno(handle),
            text(library.rr_error_message(handle)),
            chain,
            {key: text(value) for key, value in details.items() if value is not None},
        )
    finally:
        library.rr_error_free(handle)


def buffer(function: Any, *arguments: Any) -> bytes:
    """Calls a function that fills an `rr_buf`, and gives its bytes."""
    filled = _abi.rr_buf()
    check(function, *arguments, ctypes.byref(filled))
    try:
        return ctypes.string_at(filled.data, filled.len) if filled.len else b""
    finally:
        library.rr_buf_free(ctypes.byref(filled))


def sized(kind: Any) -> Any:
    """A struct with its size set; all else is zero, the default of everything."""
    made = kind()
    made.size = ctypes.sizeof(kind)
    return made


def call(timeout: float | None, cancel: int | None) -> Any:
    """`rr_call`: seconds, or None for ever; a descriptor that ends the call once it is readable, or None."""
    made = sized(_abi.rr_call)
    if timeout is not None:
        # 0 means no deadline to the library: the shortest one is a millisecond.
        made.timeout_ms = max(1, round(timeout * 1000))
    if cancel is not None:
        made.cancel_fd_plus1 = cancel + 1
    return made


def path(value: os.PathLike[str] | str | bytes | None) -> bytes | None:
    """A path as the library takes it."""
    return None if value is None else os.fsencode(value)


def text(value: bytes | None) -> str:
    """A string of the library."""
    return "" if value is None else value.decode("utf-8", "surrogateescape")
