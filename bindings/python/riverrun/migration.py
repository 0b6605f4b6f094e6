"""A migration: what is wished of it, what is told of it, what came of it."""

from __future__ import annotations

import ctypes
import enum
import os
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from . import _abi
from ._library import path, sized, text
from .criu import lend_options


class MigrationStep(enum.IntEnum):
    """What has happened of a migration."""

    ACCEPTED = _abi.RR_MIGRATION_ACCEPTED
    FILES = _abi.RR_MIGRATION_FILES
    ROUND = _abi.RR_MIGRATION_ROUND
    NO_ROUNDS = _abi.RR_MIGRATION_NO_ROUNDS
    FROZEN = _abi.RR_MIGRATION_FROZEN
    IMAGES = _abi.RR_MIGRATION_IMAGES
    RESTORED = _abi.RR_MIGRATION_RESTORED
    RUNNING = _abi.RR_MIGRATION_RUNNING


@dataclass(frozen=True)
class MigrationEvent:
    """A step with what belongs to it."""

    #: A number that is no `MigrationStep` is of a later version.
    step: Union[MigrationStep, int]
    #: The number of a `ROUND`, from 1 on.
    round: int
    files: int
    #: On the stream.
    bytes: int
    #: Seconds that the sending took.
    sending: float
    #: Bytes of memory that no round before had.
    memory: int
    #: The files are those that have changed since the first time.
    frozen: bool
    #: Of `RUNNING`: the first process, in the target's pid namespace.
    pid: int
    #: Of `RUNNING`: seconds.
    downtime: float
    #: Why memory is not sent in rounds.
    reason: Optional[str]


@dataclass(frozen=True)
class Migrated:
    """A migration that has succeeded."""

    #: The first process, in the target's pid namespace.
    pid: int
    rounds: int
    #: On the stream, both ways.
    bytes: int
    #: Seconds.
    downtime: float
    #: Seconds.
    total: float


def send_options(
    copy_rootfs: bool = False,
    rounds: Optional[int] = None,
    page_server: bool = False,
    lazy: bool = False,
    patience: Optional[float] = None,
    work: Union[str, os.PathLike, None] = None,
    link_remap: bool = False,
    tcp_skip_in_flight: bool = False,
    **criu: Any,
) -> Any:
    """`rr_migrate_options`."""
    options = sized(_abi.rr_migrate_options)
    lend_options(options, **criu)
    options.flags |= _abi.RR_MIGRATE_COPY_ROOTFS if copy_rootfs else 0
    options.flags |= _abi.RR_MIGRATE_NO_ROUNDS if rounds == 0 else 0
    options.flags |= _abi.RR_MIGRATE_PAGE_SERVER if page_server else 0
    options.flags |= _abi.RR_MIGRATE_LAZY if lazy else 0
    options.flags |= _abi.RR_CHECKPOINT_LINK_REMAP if link_remap else 0
    options.flags |= _abi.RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT if tcp_skip_in_flight else 0
    options.rounds, options.patience_ms, options.work = rounds or 0, _milliseconds(patience), path(work)
    return options


def receive_options(
    limit: int = 0,
    patience: Optional[float] = None,
    work: Union[str, os.PathLike, None] = None,
    **criu: Any,
) -> Any:
    """`rr_receive_options`."""
    options = sized(_abi.rr_receive_options)
    lend_options(options, **criu)
    options.limit, options.patience_ms, options.work = limit, _milliseconds(patience), path(work)
    return options


def progress_function(function: Optional[Callable[[MigrationEvent], None]], raised: list) -> Any:
    """The function as the library calls it. What it raises cannot pass through C and is kept for the end of the call."""
    if function is None:
        return _abi.rr_migration_fn()

    def tell(_data: Any, event: Any) -> None:
        try:
            function(_event(event.contents))
        except BaseException as error:
            raised.append(error)

    return _abi.rr_migration_fn(tell)


def _event(told: Any) -> MigrationEvent:
    return MigrationEvent(
        MigrationStep(told.type) if told.type in set(MigrationStep) else told.type,
        told.round,
        told.files,
        told.bytes,
        told.sending_ns / 1e9,
        told.memory,
        bool(told.frozen),
        told.pid,
        told.downtime_ns / 1e9,
        text(told.reason) if told.reason is not None else None,
    )


def _milliseconds(seconds: Optional[float]) -> int:
    """0 is the default to the library: the shortest time is a millisecond."""
    return 0 if seconds is None else max(1, round(seconds * 1000))
