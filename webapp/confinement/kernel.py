"""The few calls of the Linux kernel that Python has no words for."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
CAP_DAC_OVERRIDE = 1
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522
_SET_BOUNDING = 24

_LIBC = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Call the kernel.

    Raises:
        OSError: with the kernel's ``errno``.
    """
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *words))


def prctl(option: int, *arguments: int | bytes) -> int:
    """Change something of this process; the kernel wants five numbers.

    Raises:
        OSError: with the kernel's ``errno``.
    """
    words = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in (*arguments, 0, 0, 0, 0)]
    return _checked(_LIBC.prctl(option, *words[:4]))


def forgo_privileges() -> None:
    """No program gains rights by being started, and root's are given up, where AdaDeep runs as root.

    All but one: in a container root often works in a folder of another user, and what it may open there
    is Landlock's matter.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    number = _CAPSET.get(os.uname().machine)
    if number is None or not has_privileges():
        return
    for capability in range(64):
        if capability != CAP_DAC_OVERRIDE:
            _forget(capability)
    kept = (1 << CAP_DAC_OVERRIDE) & privileges()
    header = _words(_CAPABILITY_VERSION, 0)
    syscall(number, header, _words(kept, kept, 0, 0, 0, 0))


def privileges() -> int:
    """The capabilities of this process, a bit each."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line[7:], 16) for line in status.splitlines() if line.startswith("CapPrm:"))


def has_privileges() -> bool:
    """Whether this process may do what other users' processes may not."""
    return privileges() & ~(1 << CAP_DAC_OVERRIDE) != 0


def _forget(capability: int) -> None:
    try:
        prctl(_SET_BOUNDING, capability)
    except OSError:
        return  # the kernel has no such capability, or we are in no place to give it up


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def _checked(found: int) -> int:
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found
