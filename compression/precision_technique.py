"""What the techniques share that only say how the whole network is stored and computed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from compression.errors import TechniqueRefusedError
from compression.technique import Scope, Technique, identity_cost
from compression.types import NETWORK, LayerKind, Precision

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class PrecisionTechnique(Technique):
    """Marks the network with a precision; the exporter does the rounding."""

    scope = Scope.NETWORK

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Any convolution or dense layer will do."""
        del network, params
        return "it holds no weights." if layer.kind is LayerKind.OTHER else ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The layer itself; what the precision saves is for the cost model to say."""
        del params
        return identity_cost(layer)

    @abstractmethod
    def precision(self, params: Params) -> Precision:
        """The precision of that level."""

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Marks the network; ``layer`` must be ``*``.

        Raises:
            TechniqueRefusedError: for a single layer, or a network without any weights.
        """
        if layer != NETWORK:
            raise TechniqueRefusedError(
                f"{self.title} concerns the whole network: write “{NETWORK}” for “{layer}”."
            )
        if all(row.kind is LayerKind.OTHER for row in network.profile.layers):
            raise TechniqueRefusedError(f"{self.title}: the network holds no weights.")
        if network.precision is not Precision.FP32:
            raise TechniqueRefusedError(
                f"{self.title}: how all weights are stored was chosen by an earlier step."
            )
        return replace(network, precision=self.precision(params))
