"""Operators that no layer of torch stands for: ONNX Runtime computes them inside the network.

They pass through as they are, weights and all. No gradient is known, so that fine-tuning teaches the
layers before them nothing through them; an exporter writes the very node again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from compression.runtime import quiet_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnxruntime as ort


class Untouched(nn.Module):
    """One output of one ONNX operator, computed by ONNX Runtime.

    Args:
        node: the operator; its tensors' names are only used to tell which are constant.
        constants: the values of its constant inputs, by name.
        output: which of its outputs is wanted.
        opset: the version of the standard operators that it is written in.
        axes: the axis at which each computed input, and last the output, keeps its batch for the
            operator; here it always comes first.
    """

    def __init__(
        self,
        node: onnx.NodeProto,
        constants: Mapping[str, np.ndarray],
        *,
        output: int,
        opset: int,
        axes: Sequence[int],
    ) -> None:
        super().__init__()
        self.node = node
        self.constants = {name: np.array(value) for name, value in constants.items()}
        self.output = output
        self.opset = opset
        self.axes = tuple(axes)
        self._session: ort.InferenceSession | None = None

    @property
    def computed(self) -> list[str]:
        """The names of the inputs that the network computes, each once, in order."""
        names = dict.fromkeys(self.node.input)
        return [name for name in names if name and name not in self.constants]

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Computed inputs, batch first, to the wanted output, batch first."""
        result: torch.Tensor = _Opaque.apply(self, *tensors)  # type: ignore[no-untyped-call]
        return result

    def run(self, arrays: list[np.ndarray]) -> np.ndarray:
        """The operator on arrays that keep their batch where it wants it."""
        if self._session is None:
            self._session = quiet_session(self._model(arrays), optimised=False)
        feed = dict(zip(self.computed, arrays, strict=True))
        result: np.ndarray = self._session.run([self.node.output[self.output]], feed)[0]
        return result

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the session, which cannot be copied."""
        return {**self.__dict__, "_session": None}

    def _model(self, arrays: list[np.ndarray]) -> bytes:
        kinds = [helper.np_dtype_to_tensor_dtype(array.dtype) for array in arrays]
        inputs = [
            helper.make_tensor_value_info(name, kind, [None] * array.ndim)
            for name, kind, array in zip(self.computed, kinds, arrays, strict=True)
        ]
        wanted = onnx.ValueInfoProto(name=self.node.output[self.output])
        weights = [
            numpy_helper.from_array(value, name) for name, value in self.constants.items()
        ]
        graph = helper.make_graph([self.node], "untouched", inputs, [wanted], weights)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets)
        )
        return bytes(model.SerializeToString())


class _Opaque(torch.autograd.Function):
    """Runs an ``Untouched``; its gradient counts as zero, so that training can go on around it."""

    @staticmethod
    def forward(ctx: Any, module: Untouched, *tensors: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(*tensors)
        moved = [
            t.detach().cpu().movedim(0, axis).contiguous().numpy()
            for t, axis in zip(tensors, module.axes, strict=False)
        ]
        result = torch.from_numpy(np.array(module.run(moved))).to(tensors[0].device)
        return result.movedim(module.axes[-1], 0).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        del gradients
        saved = ctx.saved_tensors
        return None, *(torch.zeros_like(t) if t.is_floating_point() else None for t in saved)
