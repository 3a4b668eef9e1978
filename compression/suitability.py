"""Whether a device can hold a network at all, and whether its figures were fitted on networks like it.

Free of NumPy and torch: the web process asks for every page.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

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

_BYTES = {"int8": 1, "fp16": 2, "fp32": 4}
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
    """

    tensors: Sequence[Tensor]
    layers: Sequence[tuple[str, Shape]]
    macs: float
    file_bytes: float

    @classmethod
    def of(cls, profile: NetworkProfile, file_bytes: float) -> Model:
        """That of an imported network."""
        start = Tensor.of(profile.input_name, (), profile.input_shape)
        layers = (Tensor.of(x.name, x.reads, x.out_shape) for x in profile.layers)
        return cls(
            [start, *layers, Tensor.reader(profile.output_layers)],
            [(layer.op, layer.kernel) for layer in profile.layers],
            profile.macs,
            file_bytes,
        )


def notes(device: DeviceProfile, model: Model) -> tuple[str, ...]:
    """Sentences for page and report: what does not fit, and what the figures do not rest on."""
    found = [misfit(device, model.file_bytes, peak_elements(model.tensors))]
    strange = unlike(device, model.layers, model.macs)
    if strange:
        found.append(
            f"The figures of {device.title} rest on networks unlike this one, which has {', '.join(strange)}. "
            "Read them with a wider band."
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


def misfit(device: DeviceProfile, file_bytes: float, activation_elements: int) -> str:
    """Why the network does not fit the device, as a sentence; empty if it does or nothing is known.

    A microcontroller keeps weights in flash and activations in RAM; elsewhere both share the RAM.
    """
    activation_bytes = float(activation_elements * _BYTES[device.arithmetic])
    if device.flash_kb:
        if file_bytes > device.flash_kb * 1024:
            return _too_large(
                "weights", file_bytes, f"{device.title} has", device.flash_kb / 1024, "flash"
            )
        needed, room, what = activation_bytes, device.ram_mb, "activations"
    else:
        needed, room, what = (
            file_bytes + activation_bytes,
            device.ram_mb * _SYSTEM_SHARE,
            "weights and activations",
        )
    if device.ram_mb and needed > room * 1024**2:
        has = (
            f"{device.title} has"
            if device.flash_kb
            else f"half of the memory of {device.title} is"
        )
        return _too_large(what, needed, has, room, "RAM")
    return ""


def unlike(
    device: DeviceProfile, layers: Iterable[tuple[str, Shape]], macs: float
) -> tuple[str, ...]:
    """What of the network lies outside the fit of the device, in words.

    ``layers`` are operation and kernel of each. Nothing does where times are measured.
    """
    if device.measured_here:
        return ()
    found = dict.fromkeys(_UNMEASURED[op] for op, _ in layers if op in _UNMEASURED)
    if any(op == "conv" and len(kernel) == 1 for op, kernel in layers):
        found["one-dimensional convolutions"] = None
    low, high = device.calibrated_macs
    if not device.covers(macs):
        size = "fewer" if macs < low else "more"
        found[
            f"{size} multiply-adds than any of them ({low / 1e6:,.3g} to {high / 1e6:,.0f} M)"
        ] = None
    return tuple(found)


def _too_large(what: str, needed: float, has: str, room_mb: float, where: str) -> str:
    return f"Does not fit: {what} take {needed / 1024**2:.2g} MB of {where}, {has} {room_mb:.2g} MB."
