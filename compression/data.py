"""Uploaded data as four sets of model-ready examples that never overlap."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from compression.archives import open_archive
from compression.errors import DataRefusedError
from compression.image_folders import count_classes, read_image_folders
from compression.npz_arrays import is_npz, read_labels, read_npz
from compression.preprocessing import Preprocessing, fits, fitting_layouts
from compression.preprocessing_guess import guess_preprocessing
from compression.raw_data import (
    RawData,
    RawPart,
    check,
    check_labels,
    labels_from,
    shape_text,
)
from compression.splits import CALIBRATION, SEARCH, TESTING, TRAINING, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from compression.outputs import OutputForm
    from compression.types import Shape

_SYNTHETIC_VALUES, _MOST_SYNTHETIC = 50_000_000, 3000
_ANY_LAYOUT = "N*"
_UNLABELLED = "The data has no labels: accuracy is agreement with the original model."


class Samples(Protocol):
    """Model-ready examples by position: an array, or ``Prepared`` ones."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, positions: Any, /) -> Any:
        """Those examples, float32, ``[n, *input_shape]``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Some examples of a source array; raw values are kept and prepared when asked for.

    ``indices`` are rows of ``raw``. ``y`` is int64 in the order of ``indices``, ``[n]`` or ``[n, *positions]``
    (``UNLABELLED`` where nobody labelled), or ``None``.
    ``n_groups`` counts the persons, speakers, ... they come from; 0 where that is not known.
    """

    raw: NDArray[Any]
    indices: NDArray[np.int64]
    y: NDArray[np.int64] | None
    input_shape: Shape
    preprocessing: Preprocessing
    n_groups: int = 0

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def x(self) -> NDArray[np.float32]:
        """All examples, model-ready; made anew at each access, so keep it or use ``batches``."""
        return self.x_at(np.arange(len(self)))

    @property
    def samples(self) -> Samples:
        """All examples, each prepared when it is asked for: large data never stand in memory as floats."""
        return Prepared(self)

    def x_at(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """The examples at some positions of this split, ``[n, *input_shape]``."""
        return self.preprocessing.apply(self.raw[self.indices[positions]], self.input_shape)

    def batches(
        self, size: int = 256
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64] | None]]:
        """All examples in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            positions = np.arange(start, min(start + size, len(self)))
            yield self.x_at(positions), None if self.y is None else self.y[positions]

    def take(self, count: int, *, seed: int = 0) -> Split:
        """At most ``count`` examples, drawn by seed with each class in proportion."""
        if count >= len(self):
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        if self.y is not None and self.y.ndim == 1:
            order = order[np.argsort(self.y[order], kind="stable")]
        spaced = np.floor((np.arange(count) + 0.5) * (len(self) / count)).astype(np.int64)
        picked = np.sort(order[spaced])
        labels = None if self.y is None else self.y[picked]
        return replace(self, indices=self.indices[picked], y=labels)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The examples of a split, indexed as the array of all of them would be."""

    split: Split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, positions: Any, /) -> NDArray[np.float32]:
        """Examples at an array of positions or in a slice, ``[n, *input_shape]``."""
        return self.split.x_at(np.arange(len(self.split))[positions])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Four splits and what is known of them.

    ``candidates`` are ways to prepare the arrays, the likeliest (``preprocessing``) first; only one
    when the user gave it. ``unlabelled`` are more examples, to learn from and for nothing else.
    ``sha256`` is of the uploaded file, empty for synthetic data. ``notes`` are sentences for the user.
    """

    calibration: Split
    search: Split
    training: Split
    test: Split
    n_classes: int
    labelled: bool
    preprocessing: Preprocessing
    candidates: tuple[Preprocessing, ...]
    unlabelled: Split | None = None
    class_names: tuple[str, ...] = ()
    synthetic: bool = False
    sha256: str = ""
    notes: tuple[str, ...] = ()

    def with_preprocessing(self, preprocessing: Preprocessing) -> Dataset:
        """The same examples, prepared in another way."""
        more = self.unlabelled
        return replace(
            self,
            preprocessing=preprocessing,
            unlabelled=more and replace(more, preprocessing=preprocessing),
            calibration=replace(self.calibration, preprocessing=preprocessing),
            search=replace(self.search, preprocessing=preprocessing),
            training=replace(self.training, preprocessing=preprocessing),
            test=replace(self.test, preprocessing=preprocessing),
        )


def load_data(
    path: Path,
    input_shape: Shape,
    n_classes: int,
    preprocessing: Preprocessing | None = None,
    *,
    seed: int,
    label_shape: Shape = (),
) -> Dataset:
    """Read an ``.npz`` or a zip of class folders for a model; the content decides which it is.

    Without ``preprocessing`` the likeliest guess is applied and the others are in ``candidates``.

    Args:
        path: of the file.
        input_shape: of one example.
        n_classes: of the model; 0 where it does not classify.
        preprocessing: how raw examples are prepared.
        seed: of the splits.
        label_shape: of the class numbers of one example, where it has one for each position.

    Raises:
        DataRefusedError: with a sentence that says what is wrong, where, and what would do.
    """
    with open_archive(path) as archive:
        if is_npz(archive):
            raw = read_npz(archive, n_classes, label_shape)
        else:
            folders_are_classes = not label_shape
            raw = read_image_folders(archive, input_shape, folders_are_classes * n_classes)
    check(raw, n_classes)
    candidates = _candidates(raw, input_shape, preprocessing, seed)
    dataset = _dataset(raw, input_shape, n_classes, candidates, seed)
    return replace(dataset, sha256=file_sha256(path))


def labelled_output(path: Path, outputs: Sequence[OutputForm]) -> int | None:
    """Which of several outputs the labels of a file are about: the narrowest that has room for them.

    Of outputs alike it is the first. ``None`` where there are no labels, or none that fit.
    """
    fitting = [i for i, form in enumerate(outputs) if form.n_classes and _fits(path, form)]
    return min(fitting, key=lambda i: outputs[i].n_classes, default=None)


def _fits(path: Path, form: OutputForm) -> bool:
    try:
        with open_archive(path) as archive:
            if not is_npz(archive):
                return not form.label_shape and count_classes(archive) <= form.n_classes
            found = read_labels(archive)
            if not found:
                return False
            labels = [labels_from(y, "y", form.n_classes, form.label_shape) for y in found]
            check_labels(labels, form.n_classes)
    except (DataRefusedError, FileNotFoundError):
        return False
    return True


def synthetic_count(input_shape: Shape, most: int = _MOST_SYNTHETIC) -> int:
    """How many inputs of that shape are made up: what fits 200 MB, at least 200."""
    return int(max(200, min(most, _SYNTHETIC_VALUES // int(np.prod(input_shape)))))


def smooth_noise(input_shape: Shape, count: int, *, seed: int) -> NDArray[np.float32]:
    """Smooth random inputs of unit variance, ``[count, *input_shape]``."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, *input_shape), dtype=np.float32)
    for axis in range(2, x.ndim):
        # Neighbours in an image or a series are alike; white noise would hide what a layer does.
        x = x + np.roll(x, 1, axis) + np.roll(x, 2, axis)
    x /= x.std()
    return x


def synthetic_data(
    input_shape: Shape,
    n_classes: int,
    *,
    seed: int,
    inputs: NDArray[np.float32] | None = None,
) -> Dataset:
    """Made-up inputs for a model that came without data; there are no labels.

    Args:
        input_shape: Of one example.
        n_classes: Of the model; 0 where it does not classify.
        seed: Of the noise and of the splits.
        inputs: Those that were made for the model; left out, smooth noise.
    """
    x = inputs
    if x is None:
        x = smooth_noise(input_shape, synthetic_count(input_shape), seed=seed)
    what = "random" if inputs is None else "synthetic"
    note = (
        f"No data was given: everything is measured as agreement with the original on {what} inputs. "
        "Give data from the real task before you trust it."
    )
    raw = RawData(parts={"": RawPart(x=x)}, notes=(note,))
    dataset = _dataset(raw, input_shape, n_classes, (Preprocessing(),), seed)
    return replace(dataset, synthetic=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _candidates(
    raw: RawData, input_shape: Shape, given: Preprocessing | None, seed: int
) -> tuple[Preprocessing, ...]:
    """The given preprocessing with its layout made sure of, or guesses."""
    shapes = {part.x.shape[1:] for part in raw.parts.values()}
    shapes |= set() if raw.unlabelled is None else {raw.unlabelled.shape[1:]}
    if len(shapes) > 1:
        raise DataRefusedError(
            f"The parts hold examples of different shapes: {' and '.join(map(shape_text, sorted(shapes)))}."
        )
    shape = shapes.pop()
    layouts = fitting_layouts(shape, input_shape)
    if given:
        given.check(input_shape)
        if given.layout == _ANY_LAYOUT and layouts:
            given = replace(given, layout=layouts[0])
        if fits(shape, given.layout, input_shape):
            return (given,)
    if not layouts or given:
        layout = f" in layout {given.layout}" if given else ""
        raise DataRefusedError(
            f"Examples have shape {shape_text(shape)}{layout}, but the model's input is "
            f"{shape_text(input_shape)}. Give data of that shape (the channel axis may be last, or "
            "left out when it is 1)."
        )
    training = split(raw, seed)[TRAINING]
    rows = training.rows[:: max(1, len(training.rows) // 2000)]
    return guess_preprocessing(raw.parts[training.part].x[rows], layouts, input_shape)


def _dataset(
    raw: RawData,
    input_shape: Shape,
    n_classes: int,
    candidates: tuple[Preprocessing, ...],
    seed: int,
) -> Dataset:
    splits = {
        purpose: _split(raw.parts[source.part], source.rows, input_shape, candidates[0])
        for purpose, source in split(raw, seed).items()
    }
    labelled = splits[TESTING].y is not None
    more = _unlabelled(raw, input_shape, candidates[0])
    return Dataset(
        calibration=splits[CALIBRATION],
        search=splits[SEARCH],
        training=splits[TRAINING],
        test=splits[TESTING],
        n_classes=n_classes,
        labelled=labelled,
        preprocessing=candidates[0],
        candidates=candidates,
        unlabelled=more,
        class_names=raw.class_names,
        notes=raw.notes if labelled or raw.notes else (_UNLABELLED,),
    )


def _unlabelled(raw: RawData, input_shape: Shape, preprocessing: Preprocessing) -> Split | None:
    if raw.unlabelled is None:
        return None
    rows = np.arange(len(raw.unlabelled))
    return _split(RawPart(x=raw.unlabelled), rows, input_shape, preprocessing)


def _split(
    part: RawPart, rows: NDArray[np.int64], input_shape: Shape, preprocessing: Preprocessing
) -> Split:
    return Split(
        raw=part.x,
        indices=rows,
        y=None if part.y is None else part.y[rows],
        input_shape=input_shape,
        preprocessing=preprocessing,
        n_groups=0 if part.group is None else len(np.unique(part.group[rows])),
    )
