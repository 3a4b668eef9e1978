"""The built-in samples: one folder each, with ``sample.toml``."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A model with its data, ready to open."""

    name: str
    title: str
    text: str
    model: Path
    data: Path
    preprocessing: dict[str, Any]


@cache
def samples() -> dict[str, Sample]:
    """All samples by name."""
    files = sorted(FOLDER.glob("*/sample.toml"))
    return {file.parent.name: _read(file) for file in files}


def samples_json() -> list[dict[str, Any]]:
    """The samples as the home page shows them."""
    return [{"name": s.name, "title": s.title, "text": s.text} for s in samples().values()]


def _read(file: Path) -> Sample:
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    return Sample(
        name=file.parent.name,
        title=values["title"],
        text=values["text"],
        model=file.parent / values["model"],
        data=file.parent / values["data"],
        preprocessing=values["preprocessing"],
    )
