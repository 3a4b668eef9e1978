"""Sixteen bits: weights stored as half-precision floats, computed with in single precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.precision_technique import PrecisionTechnique
from compression.types import Precision

if TYPE_CHECKING:
    from compression.types import Params


class HalfPrecision(PrecisionTechnique):
    """Marks the network; the exporter does the rounding. A weight beyond 65,504 keeps its layer in float."""

    title = "Half precision"
    letter = "H"
    token = "tech-int8"  # noqa: S105
    paper = (
        "P. Micikevicius et al., ICLR 2018, who also compute in half precision. Here only storage is "
        "halved: processors without half-precision units gain nothing from computing so."
    )

    def precision(self, params: Params) -> Precision:
        """Always the same."""
        del params
        return Precision.FP16_WEIGHTS
