"""Where a tensor of the model keeps its batch, and the same tensor with the batch in front.

Exporters move the batch about: PyTorch's attention puts it second, and merges it with the heads. In
our graph every tensor has the batch first and alone. In memory order a tensor of the model is
``[outer, batch, inner]`` and ours is ``[batch, outer, inner]``; a reshape never changes ``outer``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from compression.types import Shape


@dataclass(frozen=True, slots=True)
class Place:
    """The axis that holds the batch, and how much is merged into it before and behind the batch."""

    axis: int = 0
    before: int = 1
    after: int = 1

    @property
    def merged(self) -> Shape:
        """Sizes that come apart from the batch's axis, outermost first."""
        return tuple(size for size in (self.before, self.after) if size > 1)

    def outer(self, shape: Shape) -> int:
        """How many blocks of batches a tensor of that full shape consists of."""
        return math.prod(shape[: self.axis]) * self.before

    def without_batch(self, shape: Shape) -> Shape:
        """Our shape, without the batch, of a tensor of that full shape."""
        return (*shape[: self.axis], *self.merged, *shape[self.axis + 1 :])

    def axes(self, axis: int) -> list[int]:
        """Our axes (the batch is 0) of an axis of the model; the batch's own become what was merged."""
        if axis == self.axis:
            return [self.axis + 1 + i for i in range(len(self.merged))]
        return [axis + 1 if axis < self.axis else axis + len(self.merged)]

    def constant(self, value: np.ndarray, rank: int) -> np.ndarray | None:
        """A constant that meets a tensor of ``rank`` axes, in our order; ``None`` if it knows samples."""
        if value.ndim > rank:
            return None
        full = value.reshape((1,) * (rank - value.ndim) + value.shape)
        if full.shape[self.axis] != 1:
            return None
        kept = (
            *full.shape[: self.axis],
            *(1,) * len(self.merged),
            *full.shape[self.axis + 1 :],
        )
        return full.reshape(1, *kept)


FIRST = Place()


def place_after_reshape(
    outer: int, shape: Shape, batch: int, axes: Sequence[int]
) -> Place | None:
    """Where a reshape leaves the batch; the axis that it shares with least is taken.

    Args:
        outer: blocks of batches in the source.
        shape: full shape of the result.
        batch: how many samples that holds.
        axes: axes that may hold the batch.
    """
    found = []
    for axis in axes:
        rest = math.prod(shape[:axis])
        if rest and outer % rest == 0 and shape[axis] % (outer // rest * batch) == 0:
            before = outer // rest
            found.append(Place(axis, before, shape[axis] // (before * batch)))
    return min(found, key=lambda place: place.before * place.after, default=None)
