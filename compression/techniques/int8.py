"""Eight bits: weights stored, or weights and activations computed, as small integers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compression.errors import TechniqueRefusedError
from compression.technique import Parameter, Scope, Technique, identity_cost
from compression.types import NETWORK, LayerKind, Precision

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params

_PRECISIONS = {"weights": Precision.INT8_WEIGHTS, "full": Precision.INT8}


class Int8(Technique):
    """Sets how the whole network is stored and computed; the exporter does the rounding."""

    title = "8-bit integers"
    letter = "8"
    token = "tech-int8"  # noqa: S105
    paper = (
        "B. Jacob et al., CVPR 2018. Symmetric weights per output channel; activations from "
        "calibration data. Kept only where the measured file is really better."
    )
    scope = Scope.NETWORK
    parameters = (
        Parameter(
            name="mode",
            unit="",
            levels=("weights", "full"),
            help="“weights” stores 8-bit weights and computes in float: a smaller file, the same "
            "speed. “full” computes in 8 bits too: faster for wide layers, slower for narrow ones.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Any convolution or dense layer will do."""
        del network, params
        if layer.kind is LayerKind.OTHER:
            return "it holds no weights."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The layer itself; what the precision saves is for the cost model to say."""
        del params
        return identity_cost(layer)

    def precision(self, params: Params) -> Precision:
        """Weights alone or everything in 8 bits."""
        return _PRECISIONS[str(params["mode"])]

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
        return replace(network, precision=self.precision(params))
