"""What a zip says it holds, by its directory alone; the engine, which unpacks it, looks anew.

``zipfile`` makes an object of each entry before anybody can say that they are too many.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

MOST_BYTES = 64 * 1024**2
UTF8_FLAG, LOCKED_FLAG = 0x800, 1
LINK = 0xA  # the kind of file in the upper bits of the attributes

# What is read of the records: how long the directory is; of an entry its flags, its size unpacked,
# the lengths of name, extra field and comment, its attributes.
END, END_MARK = struct.Struct("<12xL6x"), b"PK\5\6"
END_64, END_64_MARK = struct.Struct("<40xQ8x"), b"PK\6\6"
LOCATOR_64_BYTES, LOCATOR_64_MARK = 20, b"PK\6\7"
ENTRY, ENTRY_MARK = struct.Struct("<4s4xH14xLHHH4xL4x"), b"PK\1\2"
LONGEST_COMMENT_BYTES = 2**16


class DamagedZipError(ValueError):
    """It has no directory, or not a whole one."""


class LongDirectoryError(ValueError):
    """The directory is longer than honest names make it."""


class Entry(NamedTuple):
    """One file or folder; ``size_bytes`` from 4 GiB on may be more, for the engine to find out."""

    name: str
    size_bytes: int
    is_locked: bool
    is_link: bool


def entries(path: Path) -> Iterator[Entry]:
    """One after the other, so that whoever has seen enough reads no further.

    Raises:
        DamagedZipError: also in the middle, where the directory breaks off.
        LongDirectoryError: before the directory is read.
    """
    with path.open("rb") as file:
        directory = _directory(file)
    at = 0
    while at < len(directory):
        start = at + ENTRY.size
        if start > len(directory):
            raise DamagedZipError
        mark, flags, size, name, extra, comment, attributes = ENTRY.unpack_from(directory, at)
        at = start + name + extra + comment
        if mark != ENTRY_MARK or at > len(directory):
            raise DamagedZipError
        coding = "utf-8" if flags & UTF8_FLAG else "cp437"
        yield Entry(
            directory[start : start + name].decode(coding, "replace"),
            size,
            bool(flags & LOCKED_FLAG),
            attributes >> 28 == LINK,
        )


def _directory(file: BinaryIO) -> bytes:
    """It lies right before the record at the end of the file that says how long it is."""
    file_bytes = file.seek(0, os.SEEK_END)
    records_bytes = END_64.size + LOCATOR_64_BYTES + END.size
    file.seek(max(0, file_bytes - records_bytes - LONGEST_COMMENT_BYTES))
    tail_start, tail = file.tell(), file.read()
    end = tail.rfind(END_MARK)
    if end < 0 or len(tail) < end + END.size:
        raise DamagedZipError
    (length,) = END.unpack_from(tail, end)
    locator = end - LOCATOR_64_BYTES
    end_64 = locator - END_64.size
    if (
        end_64 >= 0
        and tail.startswith(LOCATOR_64_MARK, locator)
        and tail.startswith(END_64_MARK, end_64)
    ):
        end, (length,) = end_64, END_64.unpack_from(tail, end_64)
    start = tail_start + end - length
    if start < 0:
        raise DamagedZipError
    if length > MOST_BYTES:
        raise LongDirectoryError
    file.seek(start)
    return file.read(length)
