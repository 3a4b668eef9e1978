"""Landlock: this process and its children reach the files that rules name, and no others."""

from __future__ import annotations

import errno
import os
import stat
import struct
from enum import IntFlag
from typing import TYPE_CHECKING

from webapp.confinement.kernel import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
PATH_BENEATH = 1
BIND_AND_CONNECT_TCP = 0b11
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
TCP_SINCE, SCOPES_SINCE = 4, 6

REASONS = {
    errno.ENOSYS: "the kernel has no Landlock (Linux has it from 5.13 on)",
    errno.EOPNOTSUPP: "Landlock is switched off: it is missing in the kernel's option lsm=",
    errno.EPERM: "the container that AdaDeep runs in forbids Landlock",
}


class Access(IntFlag):
    """What a rule may allow; a right that no rule allows is refused."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15

    READ = READ_FILE | READ_DIR
    # Whoever reads the folder afterwards finds files in it, nothing that leads elsewhere.
    CHANGE = WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE | REFER
    NEST = MAKE_DIR | REMOVE_DIR
    OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV


Rule = tuple[str, Access]

_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_RIGHTS = (1 << 16) - 1


def version() -> int:
    """The version of the kernel's interface, from 1.

    Raises:
        OSError: there is none, or this process may not use it.
    """
    return syscall(CREATE_RULESET, None, 0, ASK_VERSION)


def unavailable() -> str:
    """Why this machine cannot do it; empty when it can."""
    try:
        version()
    except OSError as error:
        return REASONS.get(error.errno or 0, error.strerror or "")
    return ""


def restrict(rules: Iterable[Rule]) -> None:
    """Keep this process to what the rules allow, for good; a path that does not exist is left out.

    Ports cannot be bound or connected to from version 4 on; abstract sockets and processes
    outside cannot be reached from version 6 on. Privileges must have been forgone.

    The places stay open: the kernel forgets entries of /proc that nobody holds, and their rules with them.

    Raises:
        OSError: the kernel refused.
    """
    known = version()
    rights = _RIGHTS.get(known, _ALL_RIGHTS)
    tcp = BIND_AND_CONNECT_TCP if known >= TCP_SINCE else 0
    scopes = ABSTRACT_SOCKETS_AND_SIGNALS if known >= SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", rights, tcp, scopes)
    ruleset = syscall(CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path, access in rules:
            _allow(ruleset, path, access & rights)
        syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    if not stat.S_ISDIR(os.fstat(place).st_mode):
        access &= Access.OF_FILES
    syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", access, place), 0)
