"""Files that are still whole after a power cut."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NEVER_SYNCED = errno.EINVAL, errno.ENOTSUP
"""What file systems answer that sync no folders."""


def replace(ready: Path, place: Path) -> None:
    """Rename onto the place, the bytes on the disk first: a power cut leaves the old file or the whole new one."""
    with ready.open("rb") as file:
        os.fsync(file.fileno())
    ready.replace(place)
    sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NEVER_SYNCED:
            raise
    finally:
        os.close(handle)
