"""What a check of the installation found."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Grade(Enum):
    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One line of the doctor: what is so, and how to mend it where it is not well."""

    grade: Grade
    what: str
    how: str = ""


def ok(what: str) -> Finding:
    return Finding(Grade.OK, what)


def note(what: str, how: str = "") -> Finding:
    return Finding(Grade.NOTE, what, how)


def wrong(what: str, how: str) -> Finding:
    return Finding(Grade.WRONG, what, how)
