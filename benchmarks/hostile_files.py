"""Broken and hostile uploads by number, always the same: built to harm, or mutated good ones."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.hostile_data import DATA, good_data, pictures
from benchmarks.hostile_models import MODELS, good_model

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = (
    "a.onnx",
    "../../../etc/cron.d/x",
    "..\\..\\x.onnx",
    "/etc/passwd",
    "a\0b",
    "%2e%2e%2fx",
    "x" * 300,
    "CON",
    "a\nb: c",
    "<b>.onnx",
)

BUILT = (
    *(("model", *item) for item in MODELS.items()),
    *(("data", *item) for item in DATA.items()),
    ("data", "a model as data", good_model),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file. ``kind`` is the upload's, ``what`` says what was done to it."""

    kind: str
    what: str
    name: str
    content: bytes


def hostile(number: int) -> Upload:
    """The upload of that number: built ones first, then mutations without end."""
    chance = random.Random(f"hostile {number}")  # noqa: S311 - no secret
    name = NAMES[number % len(NAMES)]
    if number < len(BUILT):
        kind, what, make = BUILT[number]
        return Upload(kind=kind, what=what, name=name, content=make())
    kind = ("model", "data")[number % 2]
    source = good_model() if kind == "model" else chance.choice((good_data, pictures))()
    what, change = chance.choice(list(MUTATIONS.items()))
    return Upload(
        kind=kind, what=what, name=name, content=bytes(change(bytearray(source), chance))
    )


def _flip(content: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.choice((1, 1, 4, 64))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def _flip_early(content: bytearray, chance: random.Random) -> bytearray:
    """Where the structure is, rather than the weights."""
    for _ in range(chance.choice((1, 2, 8))):
        content[chance.randrange(min(400, len(content)))] = chance.randrange(256)
    return content


def _cut(content: bytearray, chance: random.Random) -> bytearray:
    return content[: chance.randrange(len(content))]


def _drop(content: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(content))
    del content[start : start + chance.choice((1, 7, 200, 5000))]
    return content


def _repeat(content: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(content))
    span = content[start : start + chance.choice((3, 50, 3000))]
    return content[:start] + span * chance.choice((2, 50)) + content[start:]


def _fill(content: bytearray, chance: random.Random) -> bytearray:
    """Lengths and numbers of all ones: the largest there are, or negative ones."""
    start, length = chance.randrange(len(content)), chance.choice((4, 10, 100))
    content[start : start + length] = bytes([chance.choice((0, 0x7F, 0x80, 0xFF))]) * length
    return content


def _append(content: bytearray, chance: random.Random) -> bytearray:
    return content + chance.randbytes(chance.choice((1, 1000, 100_000)))


MUTATIONS: dict[str, Callable[[bytearray, random.Random], bytearray]] = {
    "bits flipped": _flip,
    "bytes of the structure changed": _flip_early,
    "cut short": _cut,
    "a piece missing": _drop,
    "a piece repeated": _repeat,
    "a piece overwritten": _fill,
    "more behind the end": _append,
}
