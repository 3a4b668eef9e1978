"""Whether a device can hold a network at all, and whether its figures were fitted on networks like it.

Free of NumPy and torch: the web process asks for every page.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from compression.device_profiles import CONV_1D
from compression.types import Precision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compression.device_profiles import DeviceProfile
    from compression.types import NetworkProfile, Shape

_UNMEASURED = {
    "transposed_conv": "transposed convolutions",
    "matmul": "products of two computed tensors",
    "attention": "attention",
    "layer_norm": "layer norms",
    "group_norm": "group norms",
    "instance_norm": "instance norms",
    "gelu": "unfused activations such as GELU",
}
"""Operations that no network of the public tables holds, in words."""

_CONV_1D = "one-dimensional convolutions"

_FLOAT_BYTES = {"int8": 4, "fp16": 2, "fp32": 4}
"""Of an activation of a network that computes in float, by the device's arithmetic."""

_FLOAT_IN_8_BITS = 4
"""How many 8-bit elements one in float takes as much as."""

_SYSTEM_SHARE = (
    0.5  # of the memory of a device with an operating system that one network may take
)


class Tensor(NamedTuple):
    """What one layer writes: its name, the layers it reads, and the elements of its output."""

    name: str
    reads: tuple[str, ...]
    elements: int

    @classmethod
    def of(cls, name: str, reads: Iterable[str], shape: Shape) -> Tensor:
        """The output of a layer with that shape, without the batch."""
        return cls(name, tuple(reads), math.prod(shape))

    @classmethod
    def reader(cls, outputs: Iterable[str]) -> Tensor:
        """Whoever asked: takes the network's outputs, so they are kept until the end."""
        return cls("the caller", tuple(outputs), 0)


class Model(NamedTuple):
    """What of a model decides.

    Attributes:
        tensors: in the order of running, the network's input first, last who takes its outputs.
        layers: operation and kernel of each.
        macs: multiply-adds.
        file_bytes: of the file, which weights fill.
        precision: how it computes.
    """

    tensors: Sequence[Tensor]
    layers: Sequence[tuple[str, Shape]]
    macs: float
    file_bytes: float
    precision: Precision = Precision.FP32

    @classmethod
    def of(
        cls,
        profile: NetworkProfile,
        file_bytes: float,
        precision: Precision = Precision.FP32,
        in_float: Iterable[str] = (),
    ) -> Model:
        """That of a network; ``in_float`` names the layers that compute in float though it is in 8 bits."""
        start = Tensor.of(profile.input_name, (), profile.input_shape)
        wide = set(in_float)
        layers = (
            Tensor.of(
                x.name, x.reads, (_FLOAT_IN_8_BITS if x.name in wide else 1, *x.out_shape)
            )
            for x in profile.layers
        )
        return cls(
            [start, *layers, Tensor.reader(profile.output_layers)],
            [(layer.op, layer.kernel) for layer in profile.layers],
            profile.macs,
            file_bytes,
            precision,
        )

    @property
    def memory(self) -> Memory:
        """What it takes while it runs."""
        return Memory(self.file_bytes, peak_elements(self.tensors), self.precision)


class Memory(NamedTuple):
    """What a network takes of a device.

    Attributes:
        file_bytes: of the file, which weights fill.
        activation_elements: most of them alive at once.
        precision: how it computes.
        at_most: whether the activations may be fewer.
    """

    file_bytes: float
    activation_elements: int
    precision: Precision = Precision.FP32
    at_most: bool = False


def notes(device: DeviceProfile, model: Model) -> tuple[str, ...]:
    """Sentences for page and report: what does not fit, and what the figures do not rest on."""
    found = [misfit(device, model.memory)]
    strange = unlike(device, model.layers, model.macs)
    if strange:
        found.append(
            f"The figures of {device.title} rest on networks unlike this one, which has {', '.join(strange)}. "
            "Their bands are wider for it."
        )
    return tuple(note for note in found if note)


def peak_elements(tensors: Sequence[Tensor]) -> int:
    """Most elements alive at once when layers run in order and a tensor is freed after its last reader.

    A layer's inputs and its output are alive together. The first tensor is the network's input.
    """
    last = {read: index for index, tensor in enumerate(tensors) for read in tensor.reads}
    alive: dict[str, int] = {}
    peak = 0
    for index, tensor in enumerate(tensors):
        alive[tensor.name] = tensor.elements
        peak = max(peak, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > index}
    return peak


def misfit(device: DeviceProfile, memory: Memory) -> str:
    """Why a network does not fit the device, as a sentence; empty if it does or nothing is known.

    A microcontroller keeps weights in flash and activations in RAM; elsewhere both share the RAM.
    """
    if device.flash_kb and memory.file_bytes > device.flash_kb * 1024:
        sizes = memory.file_bytes, device.flash_kb / 1024
        return _too_large("weights take", sizes, f"{device.title} has", "flash")
    in_8_bits = memory.precision is Precision.INT8
    each = 1 if in_8_bits else _FLOAT_BYTES[device.arithmetic]
    needed = float(memory.activation_elements * each)
    what, room_mb, has = "activations", device.ram_mb, f"{device.title} has"
    if not device.flash_kb:
        what, room_mb = "weights and activations", room_mb * _SYSTEM_SHARE
        needed, has = needed + memory.file_bytes, f"half of the memory of {device.title} is"
    if not room_mb or needed <= room_mb * 1024**2:
        return ""
    computed = " in float" if device.flash_kb and not in_8_bits else ""
    most = " at most" if memory.at_most else ""
    verdict = "May not fit" if memory.at_most else "Does not fit"
    return _too_large(f"{what}{computed} take{most}", (needed, room_mb), has, "RAM", verdict)


def unlike(
    device: DeviceProfile, layers: Iterable[tuple[str, Shape]], macs: float
) -> tuple[str, ...]:
    """What of the network lies outside the fit of the device, in words.

    ``layers`` are operation and kernel of each. Nothing does where times are measured.
    """
    found = untimed(device, unmeasured(layers))
    if device.covers(macs):
        return found
    low, high = device.calibrated_macs
    size = "fewer" if macs < low else "more"
    limits = f"({low / 1e6:,.3g} to {high / 1e6:,.0f} M)"
    return (*found, f"{size} multiply-adds than any of them {limits}")


def unmeasured(layers: Iterable[tuple[str, Shape]]) -> tuple[str, ...]:
    """What kinds of layers no network of the public tables holds, in words, each once."""
    found = dict.fromkeys(
        _CONV_1D if op == "conv" and len(kernel) == 1 else _UNMEASURED.get(op, "")
        for op, kernel in layers
    )
    return tuple(words for words in found if words)


def untimed(device: DeviceProfile, kinds: Iterable[str]) -> tuple[str, ...]:
    """Those of such kinds that were not timed for the device either."""
    if device.measured_here:
        return ()
    timed = {_CONV_1D} if CONV_1D in device.sources else set()
    return tuple(kind for kind in kinds if kind not in timed)


def _too_large(
    what: str, sizes: tuple[float, float], has: str, where: str, verdict: str = "Does not fit"
) -> str:
    """The sentence; sizes are the bytes needed and the megabytes that there are."""
    needed, room_mb = sizes
    return f"{verdict}: {what} {needed / 1024**2:.2g} MB of {where}, {has} {room_mb:.2g} MB."
