"""Energy, storage and latency as AdaDeep's paper counts them: from multiply-adds, weights and activations.

These are counts priced by constants, not what a device was measured or fitted to take. They carry the
label ``ANALYTIC`` and stand beside ``compression.cost`` (power times time), never in a sum with it.
NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ANALYTIC = "analytic (paper)"
"""The label of every figure that this module gives."""

_MJ_A_PJ = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticConstants:
    """What the paper's energy and storage rest on; what is not known for certain can be switched.

    Attributes:
        mac_pj: ``e1``, picojoules of a multiply-add. The figure is remembered, not read.
        cache_macs: ``e2 / e1``, an access to the cache in multiply-adds; 6, the global buffer of Eyeriss
            (Chen et al., ISCA 2016), where memory of the paper and that table agree.
        dram_macs: ``e3 / e1``, an access to memory in multiply-adds; 200, from the same table.
        weights_from_dram: which of the two is charged at the cost of memory. By default activations, as
            the formula is remembered (``e2 S_p + e3 S_f``), though most later models do the reverse.
        access_per_bit: whether an access is a bit or a word. By default a word: the two ratios are known
            as costs of a word, and by bits memory would outweigh computing 20 to 1 on an AlexNet.
        weight_bits: ``B_w`` and ``activation_bits`` ``B_a``: the floats of the paper's framework.
    """

    mac_pj: float = 52.8
    cache_macs: float = 6.0
    dram_macs: float = 200.0
    weights_from_dram: bool = False
    access_per_bit: bool = False
    weight_bits: float = 32.0
    activation_bits: float = 32.0


class AnalyticCounts(NamedTuple):
    """What is counted, all of one shape: multiply-adds ``C``, stored weights, activations."""

    macs: Array
    weights: Array
    activations: Array


def storage_bits(counts: AnalyticCounts, constants: AnalyticConstants) -> Array:
    """``S = S_f + S_p = |X| B_a + |W| B_w``, in bits."""
    parameters, features = _bits(counts, constants)
    return np.asarray(parameters + features)


def energy_mj(counts: AnalyticCounts, constants: AnalyticConstants) -> Array:
    """``E = e1 C + e2 S_p + e3 S_f``, in analytic millijoules: counted, not measured."""
    words = np.asarray(counts.weights), np.asarray(counts.activations)
    parameters, features = _bits(counts, constants) if constants.access_per_bit else words
    cached, fetched = (
        (features, parameters) if constants.weights_from_dram else (parameters, features)
    )
    macs = counts.macs + constants.cache_macs * cached + constants.dram_macs * fetched
    return np.asarray(macs * constants.mac_pj * _MJ_A_PJ)


def latency_macs(counts: AnalyticCounts) -> Array:
    """``T`` in multiply-adds: the part of the paper's dataflow model whose form is known.

    Its closed form with the device's memory was not to be found; for one device at one batch size time
    grows with the multiply-adds, and only ratios of it enter the reward.
    """
    return np.asarray(counts.macs)


def _bits(counts: AnalyticCounts, constants: AnalyticConstants) -> tuple[Array, Array]:
    """Bits of the weights and of the activations."""
    return (
        np.asarray(counts.weights * constants.weight_bits),
        np.asarray(counts.activations * constants.activation_bits),
    )
