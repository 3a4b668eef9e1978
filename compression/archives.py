"""Zip files from strangers: what may be opened, and how much may come out."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from compression.errors import DataRefusedError

if TYPE_CHECKING:
    from pathlib import Path

MAX_ENTRIES = 200_000
MAX_UNPACKED_BYTES = 4 * 2**30
MAX_FILE_BYTES = 64 * 2**20
MAX_RATIO = 200
_RATIO_MATTERS_BYTES = 2**20
_CHUNK = 2**16

DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError),
    *(OSError, EOFError, ValueError, RuntimeError),
)
"""What the standard library raises over a broken archive, whichever part of it is broken."""

_SIGNATURES = (
    (b"\x93NUMPY", 'a single .npy array. Save arrays together: np.savez("data.npz", x=x, y=y)'),
    (b"\x89HDF", 'an HDF5 file. Save the arrays with np.savez("data.npz", x=x, y=y)'),
    (b"\x1f\x8b", "a gzip file. Give a .zip of class folders or an .npz"),
    (
        b"\x80",
        'a pickle, which could run code and is never opened. Use np.savez("data.npz", x=x, y=y)',
    ),
)


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open an uploaded zip or npz whose entries are all harmless by their declaration.

    Raises:
        DataRefusedError: when it is no archive, or one that no honest tool writes.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if not zipfile.is_zipfile(path):
        raise DataRefusedError(_not_an_archive(head))
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise DataRefusedError(_damaged()) from error
    try:
        _check_entries(archive)
    except DataRefusedError:
        archive.close()
        raise
    return archive


def read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The content of one entry, counted while it is unpacked.

    Raises:
        DataRefusedError: when more comes out than was declared, or the entry is damaged.
    """
    content = bytearray()
    try:
        with archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                content += chunk
                if len(content) > min(info.file_size, MAX_FILE_BYTES):
                    raise DataRefusedError(_too_large(info.filename))
    except DAMAGE as error:
        raise DataRefusedError(_damaged(info.filename)) from error
    return bytes(content)


def _check_entries(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if not any(not entry.is_dir() for entry in entries):
        raise DataRefusedError(
            "The zip is empty. Put one folder of images for each class into it."
        )
    if len(entries) > MAX_ENTRIES:
        raise DataRefusedError(
            f"The archive has {len(entries):,} entries; at most {MAX_ENTRIES:,} are read."
        )
    for entry in entries:
        _check_entry(entry)
    total = sum(entry.file_size for entry in entries)
    if total > MAX_UNPACKED_BYTES:
        raise DataRefusedError(
            f"The archive unpacks to {total / 2**30:.1f} GB; at most "
            f"{MAX_UNPACKED_BYTES / 2**30:.0f} GB are read. Give a part of the data."
        )


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise DataRefusedError(f"The archive holds a path that leaves its folder: {name!r}.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataRefusedError(
            f"The archive holds a link, {name!r}. Put the file itself into it."
        )
    if entry.flag_bits & 1:
        raise DataRefusedError(
            f"The archive is encrypted ({name!r}). Save it without a password."
        )
    is_array = name.endswith(".npy")
    bomb = entry.file_size > MAX_RATIO * max(1, entry.compress_size)
    if bomb and entry.file_size > _RATIO_MATTERS_BYTES and not is_array:
        raise DataRefusedError(_too_large(name))


def _too_large(name: str) -> str:
    return (
        f"The archive entry {name!r} unpacks to far more than its size allows; it was not read."
    )


def _damaged(name: str = "") -> str:
    where = f" at {name!r}" if name else ""
    return f"The archive is damaged{where}. Save or upload it again."


def _not_an_archive(head: bytes) -> str:
    wanted = (
        "Data must be a NumPy .npz with x and y, or a .zip with one folder of images a class"
    )
    if head.startswith(b"PK"):
        return "The archive is cut short. Save or upload it again."
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            return f"This is {what}."
    return f"{wanted}; this file is neither."
