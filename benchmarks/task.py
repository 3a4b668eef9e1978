"""What a task of ``benchmarks/tasks`` says: a network, its examples in three parts, how it was trained.

Choices are made on the validation part, which comes from the training set; the test part is for final figures alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.halves import restored
from compression.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from compression.types import Shape
    from webapp.samples.training import Schedule

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
SAMPLES = ROOT / "webapp" / "samples"
MODELS = ROOT / "benchmarks" / "models"
WORK = ROOT / "benchmarks" / ".proof"
"""Where studies, builds and the peers' files lie while tables are made."""

PARTS = ("train", "val", "test")

Arrays = dict[str, np.ndarray]
"""``x_train``, ``y_train``, ``x_val`` ... as a person uploads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The exact recipe of the original: a network with random weights, one cycle of AdamW, changes to samples.

    ``brain_floats`` multiplies in bfloat16 with the channels last, which halves the time where the processor can.
    """

    network: Callable[[], nn.Module]
    schedule: Schedule
    augment: Callable[[Tensor], Tensor]
    brain_floats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One network and its data.

    ``shape`` is of one sample; ``base`` is the ONNX file of the original. ``needs`` are files outside the repository. ``time_limit_s``
    is the request's: it sets how many steps our networks and those of the peers are fine-tuned.
    ``faster`` and ``smaller`` are the limits of the demand for everything at once. Without ``training``
    the network was trained elsewhere; ``origin`` says where. ``kept`` is the copy with weights of 16 bits that ``base`` is
    made of. Where the task is not ``labelled`` the product is given no class numbers; the referee has them.
    """

    title: str
    shape: Shape
    base: Path
    preprocessing: Mapping[str, Any]
    arrays: Callable[[], Arrays]
    time_limit_s: float
    faster: float
    smaller: float
    origin: str
    needs: tuple[Path, ...] = ()
    training: Training | None = None
    kept: Path | None = None
    labelled: bool = True


def names() -> tuple[str, ...]:
    """All tasks, by the files of the folder."""
    folder = Path(__file__).parent / "tasks"
    return tuple(sorted(path.stem for path in folder.glob("[a-z]*.py")))


def get(name: str) -> Task:
    """One task; its file is imported only now, its network restored where only the small copy is there."""
    found: Task = import_module(f"benchmarks.tasks.{name}").TASK
    if found.kept and found.kept.is_file() and not found.base.is_file():
        found.base.parent.mkdir(parents=True, exist_ok=True)
        found.base.write_bytes(restored(found.kept.read_bytes()))
    return found


def missing(task: Task, *, trained: bool = True) -> str:
    """Why the task cannot be run here, as a sentence; empty when it can."""
    absent = [path for path in task.needs if not path.is_file()]
    if absent:
        return f"{absent[0].name} does not lie in {absent[0].parent}."
    if trained and not task.base.is_file():
        return f"{task.base.name} is not trained yet: python -m benchmarks.train NAME."
    return ""


def upload(name: str) -> Path:
    """The task's examples as the ``.npz`` that is given to the product; written once."""
    path = WORK / name / "data.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        task = get(name)
        given = {
            key: array
            for key, array in task.arrays().items()
            if task.labelled or key.startswith("x_")
        }
        np.savez_compressed(path, **given)  # type: ignore[arg-type]
    return path


def examples(task: Task, arrays: Arrays, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Model-ready samples of one part, ``[n, *shape]``, and their class numbers."""
    preprocessing = Preprocessing.from_json(task.preprocessing)
    return preprocessing.apply(arrays[f"x_{part}"], task.shape), arrays[f"y_{part}"].astype(
        np.int64
    )


def sample_arrays(name: str) -> Arrays:
    """The arrays that a built-in sample ships."""
    keys = [f"{kind}_{part}" for part in PARTS for kind in ("x", "y")]
    with np.load(SAMPLES / name / "data.npz", allow_pickle=False) as data:
        return {key: data[key] for key in (*keys, "group_val", "group_test") if key in data}
