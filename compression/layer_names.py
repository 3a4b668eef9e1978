"""Layer names a person recognises: from the weight's name, else the ONNX node's, else the operator's."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import TYPE_CHECKING

from torch import fx

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx

_GENERATED = re.compile(
    r"onnx::\w+|[a-zA-Z]\d*|_?(val|v|t|w|const|constant|initializer|tensor)?_?\d+|/.*|.*_output_\d+|const_fold.*"
)
_NUMBERED = re.compile(r"n?_?\d+")
_WEIGHT_SUFFIX = re.compile(
    r"([._/:]?(weight|kernel|bias|beta|gamma)s?|([._/:]|(?<=\d))[wb]s?)?([:_]0)?$",
    re.IGNORECASE,
)
_WEIGHTED = {"Conv", "Gemm", "MatMul", "BatchNormalization"}
_PATH_NOISE = {
    *("readvariableop", "biasadd", "matmul", "conv2d", "conv1d", "convolution", "expanddims"),
    *("addv2", "add", "op", "cast", "merged"),
}
_WRAPPER = re.compile(r"((Stateful)?PartitionedCall|functional|sequential|model)(_\d+)*")
"""What TensorFlow puts around the whole network."""

MOST_CHARACTERS = 120
"""Of a name, before its number: exporters that spell out every block reach 80, and every event repeats it."""


class LayerNames:
    """Hands out identifiers, each once, none that Python or a module already uses."""

    def __init__(self) -> None:
        self._used = {*dir(fx.GraphModule), *dir(builtins), *keyword.kwlist, "training"}

    def reserve(self, name: str) -> None:
        """Mark a name as taken."""
        self._used.add(name)

    def take(self, candidates: Iterable[str]) -> str:
        """The first candidate that says anything, made an identifier and unique."""
        stems = (_identifier(candidate) for candidate in candidates)
        stem = next((s for s in stems if s), "layer")
        name, number = stem, 0
        while name in self._used:
            number += 1
            name = f"{stem}_{number}"
        self._used.add(name)
        return name


def name_candidates(node: onnx.NodeProto, weights: Sequence[str]) -> list[str]:
    """What a node might be called, best first.

    Args:
        node: the ONNX node.
        weights: names of the constants it reads, the weight before the bias.
    """
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.op_type).lower()
    path = _from_path(node.name, node.op_type)
    if (
        node.op_type not in _WEIGHTED
        and path
        and node.op_type.lower() not in path.replace("_", "")
    ):
        path = f"{path}.{word}"  # the path names the block that a plain operator stands in
    found = [_stem(weight) for weight in weights if not _GENERATED.fullmatch(weight)]
    return [*found, path, word]


def _stem(weight: str) -> str:
    path = _unwrapped([part for part in weight.split("/") if part])
    while len(path) > 1 and path[-1].split(":")[0].split("_")[0].lower() in _PATH_NOISE:
        path.pop()
    return _WEIGHT_SUFFIX.sub("", ".".join(path))


def _from_path(name: str, op_type: str) -> str:
    """``/layer1/layer1.0/conv1/Conv`` -> ``layer1.0.conv1``."""
    parts = _unwrapped([part for part in name.removeprefix("node_").split("/") if part])
    if len(parts) > 1 and parts[-1].split("_")[0].lower() == op_type.lower():
        parts.pop()
    kept = [
        part
        for part, following in zip(parts, [*parts, ""][1:], strict=True)
        if not following.startswith(f"{part}.")
    ]
    return "" if kept and _NUMBERED.fullmatch(kept[-1]) else ".".join(kept).lower()


def _unwrapped(path: list[str]) -> list[str]:
    inside = next((i for i, part in enumerate(path) if not _WRAPPER.fullmatch(part)), 0)
    return path[inside:]


def _identifier(text: str) -> str:
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    name = name[:MOST_CHARACTERS].rstrip("_")
    return f"layer_{name}" if name[:1].isdigit() else name
