"""Weight clustering: sixteen values a layer, four bits a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.precision_technique import PrecisionTechnique
from compression.types import Precision

if TYPE_CHECKING:
    from compression.types import Params


class WeightClustering(PrecisionTechnique):
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

    def precision(self, params: Params) -> Precision:
        """Always the same."""
        del params
        return Precision.CODEBOOK
