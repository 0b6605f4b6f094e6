"""What a checkpoint and a restore share: directories, and the options of CRIU."""

from __future__ import annotations

import os
from typing import Any, Optional, Union

from . import _abi
from ._library import path

#: A directory of the host: its path, or its descriptor.
Directory = Union[str, os.PathLike, int]

_CGROUPS = {
    None: _abi.RR_CRIU_CGROUPS_DEFAULT,
    "ignore": _abi.RR_CRIU_CGROUPS_IGNORE,
    "soft": _abi.RR_CRIU_CGROUPS_SOFT,
    "full": _abi.RR_CRIU_CGROUPS_FULL,
    "strict": _abi.RR_CRIU_CGROUPS_STRICT,
}
_LOCKS = {
    None: _abi.RR_CRIU_LOCK_DEFAULT,
    "iptables": _abi.RR_CRIU_LOCK_IPTABLES,
    "nftables": _abi.RR_CRIU_LOCK_NFTABLES,
    "skip": _abi.RR_CRIU_LOCK_SKIP,
}


def lend_criu(options: Any, images: Directory, work: Optional[Directory], named: dict) -> None:
    """Fills the fields that `rr_checkpoint_options` and `rr_restore_options` have in common."""
    _lend(options, "images", images)
    _lend(options, "work", work)
    lend_options(options, **named)


def _lend(options: Any, name: str, directory: Optional[Directory]) -> None:
    if isinstance(directory, int):
        setattr(options, name + "_fd_plus1", directory + 1)
    else:
        setattr(options, name, path(directory))


def lend_options(
    options: Any,
    tcp_established: bool = False,
    ext_unix_sk: bool = False,
    shell_job: bool = False,
    file_locks: bool = False,
    lazy_pages: bool = False,
    auto_dedup: bool = False,
    manage_cgroups: Optional[str] = None,
    network_lock: Optional[str] = None,
    criu: Union[str, os.PathLike, None] = None,
) -> None:
    """Fills the fields that every call has which asks CRIU for something."""
    options.flags |= _abi.RR_CRIU_TCP_ESTABLISHED if tcp_established else 0
    options.flags |= _abi.RR_CRIU_EXT_UNIX_SK if ext_unix_sk else 0
    options.flags |= _abi.RR_CRIU_SHELL_JOB if shell_job else 0
    options.flags |= _abi.RR_CRIU_FILE_LOCKS if file_locks else 0
    options.flags |= _abi.RR_CRIU_LAZY_PAGES if lazy_pages else 0
    options.flags |= _abi.RR_CRIU_AUTO_DEDUP if auto_dedup else 0
    options.manage_cgroups, options.network_lock = _CGROUPS[manage_cgroups], _LOCKS[network_lock]
    options.criu = path(criu)
