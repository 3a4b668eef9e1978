"""The folder a job lives in: what each stage reads and leaves behind."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compression import durable
from compression.types import Stage
from selector.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RESULT_OF = {
    Stage.INSPECT: "inspect.json",
    Stage.PROBE: "tables.npz",
    Stage.SEARCH: "policy.npz",
    Stage.VALIDATE: "candidates.json",
    Stage.RECOVER: "recover.json",
    Stage.EXPORT: "export.json",
    Stage.MEASURE: "measure.json",
    Stage.PACKAGE: "package.json",
}
"""The file whose presence says that a stage is done; always written last."""

CHOSEN_RECIPE = "recipe.json"
"""Before RECOVER: the recipe that somebody chose."""

CANDIDATE_FILE = "candidate-{}.onnx"
"""In VALIDATE: a candidate as it was built, by its number, where ``candidates.json`` says that it was kept."""

SO_FAR = "so-far.npz"
"""In SEARCH until it is done: the agent as far as it has come, which answers meanwhile, and for a study that was stopped there."""


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Paths of one job. Every file is written under a temporary name, then renamed."""

    path: Path

    def stage_path(self, stage: Stage, name: str) -> Path:
        """A file of that stage; its folder exists afterwards."""
        folder = self.path / stage.value
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage has left its final result."""
        return (self.path / stage.value / RESULT_OF[stage]).is_file()

    def require(self, stage: Stage) -> None:
        """Raise ``BadRequestError`` unless the stage is done."""
        if not self.is_done(stage):
            raise BadRequestError(
                f"Stage {stage.value} has not been run in this folder: "
                f"{stage.value}/{RESULT_OF[stage]} is missing. Run it first."
            )

    def read_json(self, stage: Stage, name: str) -> Any:
        """The JSON value in a file of that stage."""
        return json.loads((self.path / stage.value / name).read_text(encoding="utf-8"))

    def write_json(self, stage: Stage, name: str, value: object) -> Path:
        """Write a JSON file of that stage in one step."""
        text = json.dumps(value, indent=1, sort_keys=True)
        return self.write(stage, name, text.encode())

    def write(self, stage: Stage, name: str, content: bytes) -> Path:
        """Write a file of that stage in one step."""

        def save(path: Path) -> None:
            path.write_bytes(content)

        return self.write_with(stage, name, save)

    def write_with(self, stage: Stage, name: str, save: Callable[[Path], None]) -> Path:
        """Let ``save`` write to a temporary name, then rename: readers see all of it or nothing."""
        target = self.stage_path(stage, name)
        _replace(target, save)
        return target

    def part_name(self, part: Part, suffix: str) -> str:
        """The name of a part's own result."""
        return f"part-{part.index}-of-{part.count}{suffix}"

    def parts(self, stage: Stage, suffix: str, count: int) -> list[Path]:
        """The results of all parts of a stage, in order; missing ones are left out."""
        names = (self.part_name(Part(i, count), suffix) for i in range(1, count + 1))
        paths = (self.path / stage.value / name for name in names)
        return [path for path in paths if path.is_file()]


@dataclass(frozen=True, slots=True)
class Part:
    """The ``index``-th of ``count`` shares of a stage's work items, counted from 1."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> Part:
        """Read ``"3/8"``; ``None`` is everything.

        Raises:
            BadRequestError: when the text is not of that form.
        """
        if text is None:
            return cls()
        index, _, count = text.partition("/")
        if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
            raise BadRequestError(
                f"--part takes I/N with 1 <= I <= N, for example 3/8; got {text!r}."
            )
        return cls(int(index), int(count))

    def take(self, items: list[Any]) -> list[Any]:
        """This part's share of the items, dealt like cards so that shares are alike."""
        return items[self.index - 1 :: self.count]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def _replace(target: Path, save: Callable[[Path], object]) -> None:
    temporary = target.with_name(f"tmp{secrets.token_hex(4)}{target.suffix}")
    try:
        save(temporary)
        durable.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
