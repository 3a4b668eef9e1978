"""Arrays from an uploaded ``.npz``, without ever opening a pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from compression.archives import DAMAGE, MAX_UNPACKED_BYTES
from compression.errors import DataRefusedError
from compression.raw_data import (
    MORE,
    TEST,
    TRAIN,
    VALIDATION,
    WHOLE,
    RawData,
    RawPart,
    labels_from,
)

if TYPE_CHECKING:
    import zipfile

    from numpy.typing import NDArray

    from compression.types import Shape

_SUFFIX = ".npy"
_MAX_ARRAYS = 1000


def is_npz(archive: zipfile.ZipFile) -> bool:
    """Whether the archive holds NumPy arrays."""
    return any(name.endswith(_SUFFIX) for name in archive.namelist())


def read_npz(archive: zipfile.ZipFile, n_classes: int, label_shape: Shape = ()) -> RawData:
    """``x, y`` or ``x_train, y_train, x_test, y_test`` with ``x_val, y_val``, ``group``, ``x_unlabelled`` if any.

    Raises:
        DataRefusedError: when the arrays are missing, hold objects or contradict each other.
    """
    entries = _entries(archive)
    if len(entries) > _MAX_ARRAYS:
        raise DataRefusedError(
            f"The file holds {len(entries)} arrays; at most {_MAX_ARRAYS} are read."
        )
    names = [WHOLE] if "x" in entries else [TRAIN, VALIDATION, TEST]
    parts = {
        name: _read_part(archive, entries, name, n_classes, label_shape)
        for name in names
        if _array_name("x", name) in entries
    }
    if not {WHOLE, TRAIN, VALIDATION} & set(parts):
        found = ", ".join(sorted(entries)[:12]) or "none"
        raise DataRefusedError(
            "The file needs arrays called x and y, or x_train, y_train, x_test and y_test. "
            f"Arrays in it: {found}."
        )
    _check_labelled_alike(parts)
    class_names = _class_names(archive, entries, n_classes)
    more = _read_array(archive, entries[MORE]) if MORE in entries else None
    return RawData(
        parts=parts, unlabelled=more, class_names=class_names, notes=_shared_groups(parts)
    )


def read_labels(archive: zipfile.ZipFile) -> list[NDArray[Any]]:
    """The label arrays as they are, without the examples."""
    entries = _entries(archive)
    names = [_array_name("y", part) for part in (WHOLE, TRAIN, VALIDATION, TEST)]
    return [_read_array(archive, entries[name]) for name in names if name in entries]


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {
        info.filename.removesuffix(_SUFFIX): info
        for info in archive.infolist()
        if info.filename.endswith(_SUFFIX)
    }


def _read_part(
    archive: zipfile.ZipFile,
    entries: dict[str, zipfile.ZipInfo],
    part: str,
    n_classes: int,
    label_shape: Shape,
) -> RawPart:
    arrays: dict[str, NDArray[Any] | None] = {}
    for what in ("x", "y", "group"):
        name = _array_name(what, part)
        if what == "group" and part == TRAIN and name not in entries:
            name = "group"
        arrays[what] = _read_array(archive, entries[name]) if name in entries else None
    x, y = arrays["x"], arrays["y"]
    if x is None:
        raise DataRefusedError(f"The array {_array_name('x', part)!r} is missing.")
    if y is not None and not n_classes:
        raise DataRefusedError(
            f"The array {_array_name('y', part)!r} holds labels, but the model does not answer with "
            "classes. Leave the labels out: agreement with the original is measured."
        )
    name = _array_name("y", part)
    labels = labels_from(y, name, n_classes, label_shape) if y is not None else None
    return RawPart(x=x, y=labels, group=arrays["group"])


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; its header is checked before a byte of it is unpacked into memory."""
    name = info.filename.removesuffix(_SUFFIX)
    try:
        with archive.open(info) as stream:
            shape, dtype = _read_header(stream)
            size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
            if dtype.hasobject:
                raise DataRefusedError(
                    f"The array {name!r} holds Python objects (a pickle), which could run code and "
                    "are never opened. Save it as numbers: x.astype('float32')."
                )
            if size > min(info.file_size, MAX_UNPACKED_BYTES):
                raise DataRefusedError(f"The array {name!r} says it is larger than its data.")
        with archive.open(info) as stream:
            return np.asarray(npy.read_array(stream, allow_pickle=False))
    except DAMAGE as error:
        raise DataRefusedError(
            f"The array {name!r} is damaged. Save the file again."
        ) from error


def _read_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _class_names(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], n_classes: int
) -> tuple[str, ...]:
    """The optional array ``class_names``; left out when it does not name each output."""
    if "class_names" not in entries:
        return ()
    names = _read_array(archive, entries["class_names"])
    if names.shape != (n_classes,) or names.dtype.kind not in "US":
        return ()
    return tuple(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in names.tolist()
    )


def _check_labelled_alike(parts: dict[str, RawPart]) -> None:
    labelled = {name for name, part in parts.items() if part.y is not None}
    if labelled and labelled != set(parts):
        missing = sorted(_array_name("y", name) for name in set(parts) - labelled)
        raise DataRefusedError(
            f"Some parts have labels, but {', '.join(missing)} is missing. "
            f"Label every part, or none; examples without labels may also come as {MORE!r}."
        )


def _shared_groups(parts: dict[str, RawPart]) -> tuple[str, ...]:
    """The user's own split is kept; that it shares subjects is said."""
    groups = {name: set(p.group.tolist()) for name, p in parts.items() if p.group is not None}
    shared = groups.get(TRAIN, set()) & groups.get(TEST, set())
    if not shared:
        return ()
    some = ", ".join(map(str, sorted(shared)[:5]))
    return (
        f"The given training and test data share groups ({some}): accuracy may look too good.",
    )


def _array_name(what: str, part: str) -> str:
    return f"{what}_{part}" if part else what
