"""Weight clustering: sixteen values a layer, four bits a weight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compression.errors import TechniqueRefusedError
from compression.technique import Scope, Technique, identity_cost
from compression.types import NETWORK, LayerKind, Precision

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class WeightClustering(Technique):
    """Marks the network; the exporter clusters the weights as they are by then.

    So the sixteen values fit what fine-tuning left, and what was clustered before is found again
    unchanged (``weight_codebook.clustered``). Only four bits are offered: eight would be
    ``int8`` without its simplicity, and fewer lose too much (eight values a layer: a KL divergence six
    times that of sixteen on a ResNet-20).
    """

    title = "Weight clustering"
    letter = "W"
    token = "tech-int8"  # noqa: S105
    paper = (
        "S. Han et al., Deep Compression, ICLR 2016, section 3. Here each output has a factor of its own, "
        "small layers stay in 8 bits, and centroids are fitted once, at export."
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
        return replace(network, precision=Precision.CODEBOOK)
