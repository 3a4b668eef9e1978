"""Light, label-preserving changes to training samples: the teacher sees them too."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from compression.types import Shape


_LONG = 8.0
"""How often a training sees each sample when it begins to know them by heart."""

_COLOURS = 3


class Augmentation(StrEnum):
    """What may be done to a sample without changing what it shows."""

    NONE = "none"
    IMAGE = "image"
    PHOTO = "photo"
    SIGNAL = "signal"
    SPECTROGRAM = "spectrogram"


def augmentation_for(
    input_shape: Shape, passes: float = 1.0, *, raw_kind: str = "u"
) -> Augmentation:
    """What suits samples of that shape: maps are images, series are signals, vectors neither.

    A single map of fractions that is not square is a spectrogram, with time along its last axis. If
    it is none, nothing is done to it that an image would not bear. Colour images are taken for photographs where training is long:
    what is learnt of each is the original's own answer to it, mirrored or not.

    Args:
        input_shape: Without the batch.
        raw_kind: NumPy's letter for the kind of numbers that were uploaded (``f``: fractions).
        passes: How often training will see each sample.
    """
    if len(input_shape) == 2:
        return Augmentation.SIGNAL
    if len(input_shape) != 3:
        return Augmentation.NONE
    channels, height, width = input_shape
    if channels == 1 and raw_kind == "f" and height != width:
        return Augmentation.SPECTROGRAM
    return (
        Augmentation.PHOTO if channels == _COLOURS and passes >= _LONG else Augmentation.IMAGE
    )


def augmented(x: Tensor, kind: Augmentation, generator: torch.Generator) -> Tensor:
    """A changed copy of the samples ``[samples, channels, ...]``, on their device, drawn on the CPU so that a seed repeats.

    Images move by up to two pixels (one in twelve of the size, at most), edges repeated; nothing is
    mirrored or turned, as that makes other digits. Photographs move by up to four (one in eight) and half of them are mirrored. Signals move in time by up to one in sixteen of the
    window, are scaled by 0.9 to 1.1 and get noise of 5 % of their spread. Spectrograms move in time, but
    never in pitch, and lose one band of up to an eighth of the pitches and one of the time
    (SpecAugment: Park et al., Interspeech 2019).
    """
    if kind is Augmentation.IMAGE:
        return _moved(x, min(2, min(x.shape[2:]) // 12), generator)
    if kind is Augmentation.PHOTO:
        return _mirrored(_moved(x, min(4, min(x.shape[2:]) // 8), generator), generator)
    if kind is Augmentation.SPECTROGRAM:
        moved = _moved(x, x.shape[3] // 16, generator, axes=(3,))
        return _without_band(_without_band(moved, 2, generator), 3, generator)
    if kind is Augmentation.SIGNAL:
        size = (len(x), 1, 1)
        gain = 1.0 + 0.1 * (2.0 * torch.rand(size, generator=generator) - 1.0)
        noise = 0.05 * float(x.std()) * torch.randn(x.shape, generator=generator)
        moved = _moved(x, x.shape[2] // 16, generator)
        return moved * gain.to(x.device) + noise.to(x.device)
    return x


def _mirrored(x: Tensor, generator: torch.Generator) -> Tensor:
    """Every other sample or so with left and right exchanged."""
    chosen = torch.rand((len(x), 1, 1, 1), generator=generator) < 0.5
    return torch.where(chosen.to(x.device), x.flip(3), x)


def _without_band(x: Tensor, axis: int, generator: torch.Generator) -> Tensor:
    """Each sample with one band across an axis set to the sample's mean."""
    size = x.shape[axis]
    lengths = torch.randint(0, size // 8 + 1, (len(x), 1), generator=generator)
    starts = (torch.rand((len(x), 1), generator=generator) * (size - lengths + 1)).long()
    places = torch.arange(size)[None]
    gone = (places >= starts) & (places < starts + lengths)
    shape = [len(x)] + [1] * (x.ndim - 1)
    shape[axis] = size
    return torch.where(gone.reshape(shape).to(x.device), x.mean((1, 2, 3), keepdim=True), x)


def _moved(
    x: Tensor, reach: int, generator: torch.Generator, axes: tuple[int, ...] = ()
) -> Tensor:
    """Each sample moved on its own, along the axes (default: each behind the channels)."""
    result = x
    for axis in axes or range(2, x.ndim):
        steps = torch.randint(-reach, reach + 1, (len(x), 1), generator=generator)
        size = x.shape[axis]
        where = (torch.arange(size)[None] + steps).clamp(0, size - 1)
        shape = [len(x)] + [1] * (x.ndim - 1)
        shape[axis] = size
        places = where.reshape(shape).to(x.device)
        result = result.gather(axis, places.expand(result.shape))
    return result
