"""Data that were built to harm, by what they try."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.compression import uploads

if TYPE_CHECKING:
    from collections.abc import Callable

MARKER = "owned"
"""The file that code of ours would leave in its working folder or at the root of the disk."""

RNG = np.random.default_rng(0)
X, Y = RNG.random((80, 1, 12, 12), np.float32), np.arange(80) % 4


def good_data() -> bytes:
    """Data that fits the good model."""
    return bytes(uploads.npz(x=X, y=Y))


def pictures() -> bytes:
    return bytes(uploads.archive(uploads.images()))


def pickled() -> bytes:
    return f"cos\nsystem\n(S'touch {MARKER} /{MARKER}'\ntR.".encode()


def _array(
    descr: str = "<f4",
    shape: str = "(80, 1, 12, 12)",
    body: bytes = b"\0" * 64,
    header: str = "",
) -> bytes:
    text = header or f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    raw = text.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw) & 0xFFFF) + raw + body


def _with(x: bytes) -> bytes:
    labels = io.BytesIO()
    np.save(labels, Y)
    return bytes(uploads.archive({"x.npy": x, "y.npy": labels.getvalue()}))


def _npz(**arrays: Any) -> Callable[[], bytes]:
    return lambda: bytes(uploads.npz(**{"x": X, "y": Y, **arrays}))


def _changed(value: float) -> Any:
    x = X.copy()
    x[3, 0, 5, 5] = value
    return x


def _bomb() -> bytes:
    return bytes(
        uploads.archive(
            {"x.npy": _array(shape="(500000000,)", body=bytes(10**8)), "y.npy": b""}
        )
    )


def _many_entries() -> bytes:
    return bytes(
        uploads.archive({f"ant/{n}.png": b"" for n in range(210_000)}, zipfile.ZIP_STORED)
    )


def _named(*names: str) -> Callable[[], bytes]:
    return lambda: bytes(
        uploads.archive({**uploads.images(), **dict.fromkeys(names, uploads.png())})
    )


def _twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for _ in range(2):
            file.writestr("x.npy", _array())
    return buffer.getvalue()


def _flagged() -> bytes:
    content = bytearray(pictures())
    at = content.find(b"PK\x01\x02")
    content[at + 8] |= 1
    return bytes(content)


DATA: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "zeros": lambda: bytes(5000),
    "a pickle that runs code": pickled,
    "pickle as array": lambda: _with(_array(descr="|O", shape="(1,)", body=pickled())),
    "header that runs code": lambda: _with(
        _array(header="__import__('os').system('touch owned')")
    ),
    "header of brackets": lambda: _with(_array(header="(" * 60_000)),
    "header of a huge number": lambda: _with(_array(shape="(" + "9" * 60_000 + ",)")),
    "header that lies of its length": lambda: _with(_array()[:40]),
    "an array of 10^18": lambda: _with(_array(shape="(1000000000, 1000000000)")),
    "an array of -1": lambda: _with(_array(shape="(-1, 12)")),
    "an array of 65 dimensions": lambda: _with(_array(shape="(" + "1," * 65 + ")")),
    "an array of a type of its own": lambda: _with(_array(descr="|V9999999")),
    "an array of texts of 10^9": lambda: _with(_array(descr="<U1000000000", shape="(80,)")),
    "an empty array": _npz(x=X[:0], y=Y[:0]),
    "one number": _npz(x=np.float32(1)),
    "labels that are no numbers": _npz(y=np.array(["a"] * 80)),
    "labels of 10^18": _npz(y=np.full(80, 10**18)),
    "labels below zero": _npz(y=-Y),
    "labels not a number": _npz(y=np.where(Y == 1, np.nan, Y)),
    "records": _npz(x=np.zeros(80, dtype=[("a", "f4"), ("b", "i8")])),
    "dates": _npz(x=X.astype("M8[s]")),
    "complex numbers": _npz(x=X.astype(np.complex64)),
    "not a number": _npz(x=_changed(np.nan)),
    "infinite": _npz(x=_changed(np.inf)),
    "1e38": _npz(x=_changed(1e38)),
    "another shape": _npz(x=X[:, :, :5]),
    "fewer labels": _npz(y=Y[:7]),
    "one class": _npz(y=Y * 0),
    "arrays that nobody asked for": _npz(**{"__class__": X, "../x": Y}),
    "the same array twice": _twice,
    "a bomb": _bomb,
    "a zip of 210,000 files": _many_entries,
    "a zip locked with a password": _flagged,
    "a zip with a link": lambda: bytes(uploads.link()),
    "a zip that lies of its sizes": lambda: bytes(uploads.huge()),
    "a zip in a zip": lambda: bytes(
        uploads.archive({"a.zip": pictures(), "ant/0.png": uploads.png()})
    ),
    "a zip that climbs": _named("../../../../tmp/x.png"),
    "a zip that climbs in the middle": _named("ant/../../../x.png"),
    "a zip with an absolute path": _named("/etc/cron.d/x.png"),
    "a zip with Windows paths": _named("..\\..\\x.png", "C:\\x.png"),
    "a zip with names of nothing": _named("a/\n.png", "b/\x01.png", "c/\u202egnp.png"),
    "a zip with names of a kilobyte": _named("/".join(["d" * 100] * 10) + "/x.png"),
    "pictures that are none": lambda: bytes(
        uploads.archive({**uploads.images(), "ant/0.png": b"no"})
    ),
    "a picture of 81 million pixels": lambda: bytes(
        uploads.archive({**uploads.images(), "ant/0.png": uploads.wide_png()})
    ),
    "scripts named as pictures": lambda: bytes(
        uploads.archive({"a/0.png": b"#!/bin/sh\ntouch owned", "b/0.svg": b"<svg onload=x>"})
    ),
}
