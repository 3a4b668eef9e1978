"""The machine: Python, packages, the data folder, room, the clock."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
from importlib import metadata
from typing import TYPE_CHECKING

import redis
from django.conf import settings

from webapp.supervision.findings import Finding, note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLDEST_PYTHON = (3, 11)
PINNED = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)")
SPARE_GIB = 2
MOST_SKEW_S = 2.0
RELEASED_S = 1_790_000_000
"""A moment shortly before this release: a clock that shows less was never set."""


def python() -> Iterator[Finding]:
    text = f"Python {platform.python_version()}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        yield wrong(text, "AdaDeep needs 3.11 or newer: make run PYTHON=/path/to/python3.11")
    else:
        yield ok(text)


def packages() -> Iterator[Finding]:
    """Whether what is pinned is what is installed."""
    pins = _pins(settings.BASE_DIR / "requirements.txt")
    if settings.STORAGE_URL.startswith("s3:"):
        pins |= _pins(settings.BASE_DIR / "requirements-hosts.txt")
    installed = {name: _version(name) for name in pins}
    off = [
        f"{name} {installed[name] or 'is missing'} instead of {pin}"
        for name, pin in pins.items()
        if installed[name] != pin
    ]
    torch = _version("torch")
    if torch is None:
        off.append("torch is missing")
    if off:
        yield wrong(f"Packages: {'; '.join(off)}.", "Install what is pinned: make setup")
    else:
        yield ok(f"Packages: {len(pins)} as pinned, torch {torch}")


def data_folder() -> Iterator[Finding]:
    home: Path = settings.ADADEEP_HOME
    status = home.stat()
    if status.st_uid != os.getuid():
        yield wrong(f"Data folder {home} belongs to another user.", f"chown -R $USER {home}")
        return
    try:
        with tempfile.TemporaryFile(dir=home / "tmp"):
            pass
    except OSError as error:
        yield wrong(
            f"Data folder {home} cannot be written: {error.strerror}.", f"chmod -R u+rwX {home}"
        )
        return
    open_ones = [p for p in (home, home / "secret_key") if p.exists() and _is_open(p)]
    if open_ones:
        names = " ".join(map(str, open_ones))
        yield wrong(f"Others on this machine can read {names}.", f"chmod go-rwx {names}")
    else:
        yield ok(f"Data folder {home}, ours alone")


def free_space() -> Iterator[Finding]:
    free = shutil.disk_usage(settings.ADADEEP_HOME).free
    text = f"Free space: {free / 1024**3:.1f} GiB"
    if free < SPARE_GIB * 1024**3 + settings.UPLOAD_SPARE_BYTES:
        yield wrong(text, "Delete projects, or set ADADEEP_HOME to a larger disk.")
    else:
        yield ok(text)


def clock() -> Iterator[Finding]:
    """Leases compare times of workers, database and files; far apart they take jobs from the living."""
    if time.time() < RELEASED_S:
        yield wrong(
            f"The clock shows {time.strftime('%Y-%m-%d')}.",
            "Set the clock: timedatectl set-ntp true",
        )
        return
    skews = {"the data folder's disk": _file_skew_s(), "the broker": _broker_skew_s()}
    off = {
        name: skew
        for name, skew in skews.items()
        if skew is not None and abs(skew) > MOST_SKEW_S
    }
    if off:
        text = ", ".join(f"{name} is {skew:+.0f} s off" for name, skew in off.items())
        yield wrong(
            f"Clocks: {text}.",
            "Run a time service on all machines (chrony, systemd-timesyncd).",
        )
    elif skews["the broker"] is None:
        yield note(
            "Clock: as the data folder's disk; the broker is not running, so not compared"
        )
    else:
        yield ok("Clock: as the data folder's disk and the broker")


def _pins(path: Path) -> dict[str, str]:
    found = map(PINNED.match, path.read_text(encoding="utf-8").splitlines())
    return {match[1]: match[2] for match in found if match}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _is_open(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _file_skew_s() -> float:
    with tempfile.NamedTemporaryFile(dir=settings.ADADEEP_HOME / "tmp") as file:
        return os.fstat(file.fileno()).st_mtime - time.time()


def _broker_skew_s() -> float | None:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as broker:
            seconds, micros = broker.time()
    except (redis.RedisError, OSError):
        return None
    return float(seconds + micros / 1e6 - time.time())
