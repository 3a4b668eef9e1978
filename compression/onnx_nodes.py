"""ONNX nodes and initializers in the making: each constant stored once, short tensor names."""

from __future__ import annotations

from itertools import count
from string import ascii_letters
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compression.types import Shape


class OnnxNodes:
    """Collects nodes and initializers of a graph; hands out tensor names that nothing else uses."""

    def __init__(self, *, opset: int, taken: set[str]) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._shared: dict[tuple[str, bytes, Shape], str] = {}
        self._names = short_names(taken)

    def add(self, op: str, inputs: Sequence[str], out: str = "", **attributes: Any) -> str:
        """Append an ONNX node and return the name of its output."""
        out = out or self.name()
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def add_split(self, source: str, sizes: Sequence[int]) -> list[str]:
        """Parts of a tensor along its first axis; the names of all."""
        if len(sizes) == 1:
            return [source]
        parts = [self.name() for _ in sizes]
        by_input = self.opset >= 13
        inputs = [source, self.integers(sizes)] if by_input else [source]
        attributes: dict[str, Any] = {} if by_input else {"split": list(sizes)}
        self.nodes.append(helper.make_node("Split", inputs, parts, axis=0, **attributes))
        return parts

    def constant(self, value: np.ndarray) -> str:
        """The name of an initializer; equal ones are stored once."""
        key = (value.dtype.str, value.tobytes(), value.shape)
        if key not in self._shared:
            self._shared[key] = self.name()
            self.initializers.append(
                numpy_helper.from_array(np.array(value, order="C"), self._shared[key])
            )
        return self._shared[key]

    def in_float(self, values: np.ndarray) -> str:
        """Floating-point numbers, whatever they are stored in, as float32."""
        stored = self.constant(values)
        if values.dtype == np.float32:
            return stored
        return self.add("Cast", [stored], to=onnx.TensorProto.FLOAT)

    def integers(self, values: Sequence[int]) -> str:
        """An int64 initializer."""
        return self.constant(np.array(values, np.int64))

    def name(self) -> str:
        """A tensor name that is not in use."""
        return next(self._names)


def short_names(taken: set[str]) -> Iterator[str]:
    """``a b ... Z a1 b1 ...`` without the names of the interface."""
    for number in count():
        for letter in ascii_letters:
            name = f"{letter}{number or ''}"
            if name not in taken:
                yield name
