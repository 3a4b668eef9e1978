"""Sixteen bits: weights stored as half-precision floats, computed with in single precision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compression.errors import TechniqueRefusedError
from compression.technique import Scope, Technique, identity_cost
from compression.types import NETWORK, LayerKind, Precision

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class HalfPrecision(Technique):
    """Marks the network; the exporter does the rounding. A weight beyond 65,504 keeps its layer in float."""

    title = "Half precision"
    letter = "H"
    token = "tech-int8"  # noqa: S105
    paper = (
        "P. Micikevicius et al., ICLR 2018, who also compute in half precision. Here only storage is "
        "halved: processors without half-precision units gain nothing from computing so."
    )
    scope = Scope.NETWORK

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Any convolution or dense layer will do."""
        del network, params
        return "it holds no weights." if layer.kind is LayerKind.OTHER else ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The layer itself: bytes follow the precision, time and energy stay."""
        del params
        return identity_cost(layer)

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Marks the network; ``layer`` must be ``*``.

        Raises:
            TechniqueRefusedError: for a single layer, or a network without any weights.
        """
        del params
        if layer != NETWORK:
            raise TechniqueRefusedError(
                f"{self.title} concerns the whole network: write “{NETWORK}” for “{layer}”."
            )
        if all(row.kind is LayerKind.OTHER for row in network.profile.layers):
            raise TechniqueRefusedError(f"{self.title}: the network holds no weights.")
        return replace(network, precision=Precision.FP16_WEIGHTS)
