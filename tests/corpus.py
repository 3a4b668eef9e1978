"""The networks of ``corpus.toml``, made on demand: bytes, and what the importer should make of them."""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import onnx
import pytest

from tests.exporting import exported, seeded

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row of the file; the settings of the exporter are those of ``exporting.exported``."""

    name: str
    family: str
    torch: str = ""
    shape: tuple[int, ...] = ()
    opset: int = 17
    dynamic: bool = True
    folded: bool = True
    outputs: tuple[str, ...] = ("scores",)
    written: str = ""
    shared: str = ""
    stored: str = ""
    packaged: str = ""
    untouched: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    slow: bool = False
    settings: dict = field(default_factory=dict)

    def __hash__(self):
        return hash(self.name)

    @property
    def parameter(self):
        """The case as a test's parameter, skipped where its file is not on this machine."""
        path = self._path()
        marks = [pytest.mark.slow] if self.slow else []
        if path is not None and not path.exists():
            marks.append(pytest.mark.skip(f"{path.name} is not on this machine"))
        return pytest.param(self, id=self.name.replace(" ", "_"), marks=marks)

    @cache  # noqa: B019 - cases live as long as the tests
    def data(self) -> bytes:
        path = self._path()
        if path is not None:
            return path.read_bytes()
        make = _named(self.torch or self.written)
        if self.written:
            return make(**self.settings)
        return exported(
            seeded(make, **self.settings),
            *self.shape,
            opset=self.opset,
            dynamic=self.dynamic,
            folded=self.folded,
            outputs=self.outputs,
        )

    def _path(self) -> Path | None:
        if self.shared:
            return SHARED / self.shared
        if self.stored:
            return HERE / "data" / "exported" / self.stored
        return LIGHT / f"light_{self.packaged}.onnx" if self.packaged else None


def _named(name: str):
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(f"tests.{module}"), function)


def _cases() -> tuple[Case, ...]:
    rows = tomllib.loads((HERE / "corpus.toml").read_text())["network"]
    for row in rows:
        for key in ("shape", "untouched", "refused"):
            row[key] = tuple(row.get(key, ()))
        if "outputs" in row:
            row["outputs"] = tuple(row["outputs"])
    return tuple(Case(**row) for row in rows)


CASES = _cases()
READ = tuple(case for case in CASES if not case.refused)
REFUSED = tuple(case for case in CASES if case.refused)
