"""Memory or disk that does not suffice, in words: where, how much was needed, what there is, what would do."""

from __future__ import annotations

import errno
import math
import re
import resource
import shutil
from typing import TYPE_CHECKING

import psutil

from selector.errors import DiskFullError, OutOfMemoryError

if TYPE_CHECKING:
    from pathlib import Path

    from compression.types import Stage
    from selector.errors import SelectorError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ASKED = (
    re.compile(r"you tried to allocate (\d+) bytes"),  # torch
    re.compile(r"requested buffer of size (\d+)"),  # ONNX Runtime
)
_ASKED_OF_CARD = re.compile(r"Tried to allocate ([\d.]+) ([KMG]iB)")
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_CARD_FULL = "CUDA out of memory"
_NO_MEMORY = (
    "can't allocate memory",
    "bad_alloc",
    "bad allocation",
    "Failed to allocate memory",
    _CARD_FULL,
)
_LAYER = re.compile(r"While executing %(\w+)")

_JOB_IN_MODELS = 10
"""What a job writes, in models: its copy, the recovered weights, two exports, the bundle, and those again."""


def explained(
    error: Exception, stage: Stage, folder: Path, model: Path
) -> SelectorError | None:
    """The error to show instead when memory or disk ran out; ``None`` when it is something else.

    Args:
        error: What a stage raised.
        stage: The one that did.
        folder: The job's, where results are written.
        model: The uploaded file: its size says how much room a job needs.
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        return DiskFullError(_disk_sentence(error, stage, folder, model))
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return OutOfMemoryError(_memory_sentence(error, stage))
    return None


def _memory_sentence(error: Exception, stage: Stage) -> str:
    found = _LAYER.search(str(error))
    where = f"{stage.value} at layer {found[1]}" if found else stage.value
    asked = _asked_bytes(error)
    more = f"it asked for {_size(asked)} more" if asked else "it asked for more"
    if _CARD_FULL in str(error):
        return (
            f"Not enough memory on the graphics card for {where}: {more} than the card has left. Use a smaller model "
            "or smaller inputs, end other programs that use the card, or hide it from AdaDeep "
            "(CUDA_VISIBLE_DEVICES=) to work on the processor. What was finished is kept."
        )
    used, allowed, what = _memory()
    return (
        f"Not enough memory for {where}: {more} with {_size(used)} in use, and {what} "
        f"{_size(allowed)}. Use a smaller model or smaller inputs, fewer examples, or raise the limit "
        "(ENGINE_MEMORY_GIB). What was finished is kept."
    )


def _asked_bytes(error: Exception) -> int:
    """How much the failed request was for; 0 where it does not say."""
    if isinstance(error, MemoryError) and len(error.args) == 2:
        shape, dtype = error.args  # NumPy keeps what it was asked for
        return int(math.prod(shape)) * int(getattr(dtype, "itemsize", 1))
    for pattern in _ASKED:
        if found := pattern.search(str(error)):
            return int(found[1])
    if found := _ASKED_OF_CARD.search(str(error)):
        return round(float(found[1]) * _UNITS[found[2]])
    return 0


def _memory() -> tuple[int, int, str]:
    """Bytes in use, bytes there are, and what sets that bound."""
    memory = psutil.Process().memory_info()
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        return memory.vms, limit, "a job may use"
    return memory.rss, psutil.virtual_memory().total, "this machine has"


def _disk_sentence(error: OSError, stage: Stage, folder: Path, model: Path) -> str:
    room = _JOB_IN_MODELS * model.stat().st_size if model.is_file() else 0
    if error.errno == errno.EFBIG:
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        return (
            f"{stage.value} could not write a file: no file may be larger than {_size(limit)}. Raise the "
            f"limit (ENGINE_FILE_GIB). What was finished is kept."
        )
    free = shutil.disk_usage(folder).free
    return (
        f"The disk is full: {stage.value} could not write its results, {_size(free)} are free, and a whole "
        f"job with this model writes up to {_size(room)} besides a copy of the data. Make room, then start the job again: what was "
        "finished is kept."
    )


def _size(count: int) -> str:
    unit, name = next(
        ((unit, name) for unit, name in ((2**30, "GiB"), (2**20, "MiB")) if count >= unit),
        (2**10, "KiB"),
    )
    return f"{count / unit:,.1f} {name}"
