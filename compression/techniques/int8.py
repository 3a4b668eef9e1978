"""Eight bits: weights stored, or weights and activations computed, as small integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.precision_technique import PrecisionTechnique
from compression.technique import Parameter
from compression.types import Precision

if TYPE_CHECKING:
    from compression.types import Params

_PRECISIONS = {"weights": Precision.INT8_WEIGHTS, "full": Precision.INT8}


class Int8(PrecisionTechnique):
    """Sets how the whole network is stored and computed; the exporter does the rounding."""

    title = "8-bit integers"
    letter = "8"
    token = "tech-int8"  # noqa: S105
    paper = (
        "B. Jacob et al., CVPR 2018. Symmetric weights per output channel; activations from "
        "calibration data. Kept only where the measured file is really better."
    )
    parameters = (
        Parameter(
            name="mode",
            unit="",
            levels=("weights", "full"),
            help="“weights” stores 8-bit weights and computes in float: a smaller file, the same "
            "speed. “full” computes in 8 bits too: faster for wide layers, slower for narrow ones.",
        ),
    )

    def precision(self, params: Params) -> Precision:
        """Weights alone or everything in 8 bits."""
        return _PRECISIONS[str(params["mode"])]
