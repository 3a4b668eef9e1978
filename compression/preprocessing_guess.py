"""Likely ways to prepare raw arrays for a model, to be tried by the accuracy they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from compression.preprocessing import Preprocessing, channels_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from compression.types import Shape

_SAMPLE = 2000
_IMAGENET = {"divide": 255.0, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_MNIST = {"divide": 255.0, "mean": (0.1307,), "std": (0.3081,)}
_CENTRED = {"divide": 255.0, "mean": (0.5,), "std": (0.5,)}


def guess_preprocessing(
    x: NDArray[Any], layouts: tuple[str, ...], input_shape: Shape
) -> tuple[Preprocessing, ...]:
    """Candidates, the likeliest first; ``x`` are raw training examples in one of ``layouts``.

    What is in the arrays decides the order: 8-bit images are rarely fed as they are, arrays with
    negative fractions nearly always.
    """
    sample = x[:: max(1, len(x) // _SAMPLE)][:_SAMPLE]
    low, high = float(sample.min()), float(sample.max())
    candidates = []
    for layout in layouts:
        mean, std = _channel_statistics(sample, layout, input_shape)
        for divide in _scales(sample.dtype, low, high):
            candidates += _scalings(layout, divide, mean, std, image=len(input_shape) == 3)
    return tuple(dict.fromkeys(candidates))


def _scales(dtype: np.dtype[Any], low: float, high: float) -> tuple[float, ...]:
    """Divisors that bring the values into a range of about 1, the likeliest first."""
    if dtype == np.uint8 or (low >= 0 and 2 < high <= 255):
        return (255.0, 1.0)
    if dtype == np.int16:
        return (32768.0, 1.0)
    if dtype == np.uint16:
        return (65535.0, 1.0)
    return (1.0,)


def _scalings(
    layout: str, divide: float, mean: NDArray[Any], std: NDArray[Any], *, image: bool
) -> list[Preprocessing]:
    plain = Preprocessing(layout=layout, divide=divide)
    own = Preprocessing(
        layout=layout,
        divide=divide,
        mean=tuple(round(float(v) / divide, 6) for v in mean),
        std=tuple(round(float(v) / divide, 6) or 1.0 for v in std),
    )
    unit_range = image and divide == 255.0
    if not unit_range:
        return [plain, own]
    known = [_MNIST] if len(mean) == 1 else [_IMAGENET] if len(mean) == 3 else []
    known = [*known, _CENTRED]
    named = [Preprocessing(layout=layout, **values) for values in known]  # type: ignore[arg-type]
    return [plain, *named, own]


def _channel_statistics(
    sample: NDArray[Any], layout: str, input_shape: Shape
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each channel; of everything for flat inputs."""
    values = channels_first(sample, layout).astype(np.float64)
    if values.shape[1:] != input_shape or len(input_shape) == 1:
        return np.array([values.mean()]), np.array([values.std() or 1.0])
    axes = tuple(axis for axis in range(values.ndim) if axis != 1)
    std = values.std(axis=axes)
    return values.mean(axis=axes), np.where(std > 0, std, 1.0)
