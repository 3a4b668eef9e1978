"""Weight pruning: single weights go, those that the layer misses least."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from compression.errors import TechniqueRefusedError
from compression.sparse_factorization import fewer_weights
from compression.surgery import thinned, weights_of
from compression.technique import Parameter, Scope, Technique, identity_cost
from compression.types import LayerKind, Precision
from compression.weight_storage import stored_bytes

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params

BELOW_THRESHOLD = "below 0.001"
"""The level that removes as many weights as ``NEAR_ZERO`` asks for."""


class MagnitudePruning(Technique):
    """A share of the weights becomes zero and stays zero; the file shrinks, the time does not.

    Without data the smallest weights go. ``reconstruction`` chooses anew by what the layer reads: in four
    rounds the weights of least ``w^2 C`` go (``C``: variance of what they read) and those left make up
    for them by least squares. Measured with all layers at 0.9, divergence from the original of a LeNet
    and a ResNet-20: 0.11 and 0.63 so, 0.52 and 1.44 by ``w^2 C`` at once, 1.64 and 1.42 by magnitude.

    AdaDeep's default is a threshold of 0.001 in magnitude: as many weights as are below it go. It depends
    on the scale of the weights; of a LeNet, a motion network and a ResNet-20 that is 1 to 6 %, less
    than noting which are left costs, and then it is refused. Han et al. came to 0.9 and more with
    thresholds of their own, which is the strongest level.
    """

    title = "Weight pruning"
    letter = "M"
    token = "tech-sparse"  # noqa: S105
    note = "Saves bytes, not time: a dense runtime multiplies zeros too."
    paper = (
        "S. Han et al., Learning both Weights and Connections, NIPS 2015; weights are chosen by their "
        "effect as in Y. LeCun et al., Optimal Brain Damage, NIPS 1989, and not by their size."
    )
    scope = Scope.WEIGHTS
    parameters = (
        Parameter(
            name="sparsity",
            unit="share removed",
            levels=(BELOW_THRESHOLD, 0.5, 0.75, 0.9),
            help=(
                "Share of the layer's weights that becomes zero. The gentlest level is the paper's "
                "default: as many as are smaller than 0.001."
            ),
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only layers with so many weights that noting which are left pays."""
        del network
        if layer.kind is LayerKind.OTHER:
            return "only convolutions and dense layers hold weights to choose from."
        (whole,), (thin,) = identity_cost(layer), self.cost(layer, params)
        if stored_bytes(thin, Precision.FP32) >= stored_bytes(whole, Precision.FP32):
            share = _sparsity(layer, params)
            return (
                f"noting which weights are left costs more than the {share:.0%} that would go."
            )
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The layer itself, with fewer weights to store."""
        return tuple(self.stored(op, layer, params) for op in identity_cost(layer))

    def stored(self, op: OpSpec, layer: LayerProfile, params: Params) -> OpSpec:
        """The share of the weights that is left, unless fewer are there already."""
        return replace(op, density=min(op.density, 1.0 - _sparsity(layer, params)))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Sets the smallest weights to zero, for reconstruction to choose again by data."""
        row = self.check(network, layer, params)
        weight = weights_of(network, layer)
        count = max(1, round(weight.numel() * (1.0 - _sparsity(row, params))))
        if int(weight.count_nonzero()) <= count:
            raise TechniqueRefusedError(
                f"{self.title} cannot treat “{layer}”: only {int(weight.count_nonzero())} of its "
                "weights are left already."
            )
        choose = partial(fewer_weights, count)
        (left,) = choose(weight, None)
        return thinned(network, layer, left != 0, choose)


def _sparsity(layer: LayerProfile, params: Params) -> float:
    level = params["sparsity"]
    return layer.near_zero if level == BELOW_THRESHOLD else float(level)
