"""riverrun: containers from Python, by the C library of the same name.

    import riverrun

    context = riverrun.Context()
    with context.run("web", bundle="/bundles/web", io=riverrun.IO(stdout=riverrun.PIPE)) as web:
        print(web.pipes.stdout.read())
        print(web.init_process.wait().code)

Every call may be made from any thread and lets other threads go on; nothing of the Python process is changed. The
contract is riverrun.h: what is said there of ownership, errors and blocking holds here, with exceptions for codes.
"""

from __future__ import annotations

import json as _json

from . import _abi, _library
from .container import Container, Namespace, State, Status
from .context import LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN, Context
from .errors import (
    Cancelled,
    Error,
    ExecNotFound,
    ExecPermission,
    Exists,
    Forked,
    InvalidArgument,
    InvalidId,
    InvalidSpec,
    NotFound,
    NotPaused,
    NotRunning,
    Paused,
    PermissionDenied,
    Running,
    Timeout,
    Unsupported,
)
from .events import Event, EventStream, EventType
from .migration import Migrated, MigrationEvent, MigrationStep
from .process import Exit, Process
from .streams import INHERIT, IO, NULL, PIPE, Pipes

#: The version of the library at run time.
__version__ = _library.text(_library.library.rr_version_string())


def has_feature(name: str) -> bool:
    """Whether the library at run time has an ability, by its name in riverrun.h."""
    return _library.library.rr_has_feature(name.encode())


def spec(rootless: bool = False) -> dict:
    """A default config.json, as the command line's `spec` writes it."""
    return _json.loads(_library.buffer(_library.library.rr_spec_json, _abi.RR_SPEC_ROOTLESS if rootless else 0))


def features() -> dict:
    """The features document of the runtime specification."""
    return _json.loads(_library.buffer(_library.library.rr_features_json))


def config_check(config: str | bytes | dict) -> None:
    """Raises `InvalidSpec` or `Unsupported` if no container can be created from a config.json."""
    from .context import document

    data = document(config)
    _library.check(_library.library.rr_config_check, data, len(data))


__all__ = [name for name in dir() if not name.startswith("_") and name not in ("annotations",)]
