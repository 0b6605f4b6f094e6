"""What happens to a container, as a stream with one descriptor for the host's own loop."""

from __future__ import annotations

import ctypes
import enum
import json
from dataclasses import dataclass
from typing import Any, Iterator, Optional

from . import _abi
from ._library import call, check, library, sized


class EventType(enum.IntEnum):
    """What happened."""

    #: What made the descriptor readable turned out to be nothing.
    NONE = _abi.RR_EV_NONE
    #: The first process has ended.
    EXIT = _abi.RR_EV_EXIT
    #: Memory has run out.
    OOM = _abi.RR_EV_OOM
    #: The kernel has killed a process for lack of memory.
    OOM_KILL = _abi.RR_EV_OOM_KILL
    #: The time for statistics has come: `document` has them.
    STATS = _abi.RR_EV_STATS
    #: A pressure that was asked for.
    PRESSURE = _abi.RR_EV_PRESSURE
    #: It was paused or resumed: `status`.
    STATE = _abi.RR_EV_STATE
    #: Nothing more will come.
    END = _abi.RR_EV_END


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    type: EventType
    #: The process, where one is meant.
    pid: int
    #: Nanoseconds since 1970 UTC.
    time_ns: int
    #: How often, where that is counted.
    count: int
    #: Of `EXIT`.
    exit_code: int
    exit_signal: int
    oom_killed: bool
    #: Of `STATE`.
    status: int
    #: Of `STATS`.
    document: Optional[dict]


class EventStream:
    """Made by `Container.events`. Iterate over it, or put it into `select`: it has a `fileno`.

    Out of memory comes before the exit, `END` last.
    """

    def __init__(self, container: ctypes.c_void_p, stats_interval: Optional[float]):
        options = sized(_abi.rr_events_options)
        if stats_interval:
            options.mask = _abi.RR_WANT_EXIT | _abi.RR_WANT_STATS
        options.stats_interval_ms = round(stats_interval * 1000) if stats_interval else 0
        self._handle = ctypes.c_void_p()
        check(library.rr_events, container, ctypes.byref(options), ctypes.byref(self._handle))

    def close(self, close: Any = getattr(library, "rr_event_stream_close", None)) -> None:
        """Ends the stream."""
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            close(handle)

    __del__ = close

    def fileno(self) -> int:
        """Readable: `next` will not wait."""
        return library.rr_event_stream_fd(self._handle)

    def next(self, timeout: Optional[float] = None, cancel: Optional[int] = None) -> Event:
        """The next event; waits for one."""
        told = sized(_abi.rr_event)
        check(library.rr_event_stream_next, self._handle, ctypes.byref(call(timeout, cancel)), ctypes.byref(told))
        document = json.loads(ctypes.string_at(told.json, told.json_len)) if told.json else None
        return Event(
            EventType(told.type), told.pid, told.time_ns, told.count, told.exit_code, told.exit_sig,
            bool(told.exit_flags & _abi.RR_EXIT_OOM_KILLED), told.status, document,
        )

    def __iter__(self) -> Iterator[Event]:
        """All events up to the end."""
        while True:
            event = self.next()
            if event.type != EventType.NONE:
                yield event
            if event.type == EventType.END:
                return
