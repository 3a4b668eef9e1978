import numpy as np
import pytest

from compression.onnx_import import import_onnx
from compression.types import Precision
from selector.tabulation import (
    LOOKUP_PRECISIONS,
    Measurements,
    lay_out,
    operations,
    tabulate,
)
from tests import networks

LAYOUT = lay_out(import_onnx(networks.small_lenet()).profile, ("filter_pruning", "svd"))


def tables(base_ms, floor_ms=0.004):
    ops = {op for cell in operations(LAYOUT).values() for op in cell}
    measured = Measurements(
        kl={},
        op_ms={(op, p): 1e-6 * (op.macs + 1000) for op in ops for p in LOOKUP_PRECISIONS},
        base_ms=base_ms,
        floor_ms=floor_ms,
        file_bytes=(50_000, 15_000, 15_000),
        meta={},
    )
    return tabulate(LAYOUT, measured)


def rows_ms(found):
    return found.host_ms[:, :, 0, 0, 0].sum(axis=1)


def test_rows_and_floor_add_up_to_the_measured_base():
    plain = rows_ms(tables((1.0, 1.0)))
    base = tuple(1.2 * plain + 0.004)
    found = tables(base)
    assert rows_ms(found) + found.host_offset_ms == pytest.approx(base)


def test_layers_share_what_the_cold_caches_of_a_network_cost():
    looked_up = sum(
        1e-6 * (op.macs + 1000)
        for i in range(len(LAYOUT.rows))
        for op in operations(LAYOUT)[i, 0, 0, 0]
    )
    found = tables((1.3 * looked_up + 0.004, 0.8 * looked_up + 0.004))
    assert rows_ms(found) == pytest.approx([1.3 * looked_up, 0.8 * looked_up])
    assert found.host_offset_ms == pytest.approx([0.004, 0.004])


def test_a_disturbed_timing_does_not_blow_up_the_layers():
    looked_up = rows_ms(tables((1e-9, 1e-9))).max() / 0.5
    found = tables((10 * looked_up, looked_up))
    assert rows_ms(found)[0] == pytest.approx(2 * looked_up)
    assert np.all(found.host_offset_ms[0] > 0)


def test_precisions_are_timed_in_the_order_of_the_table():
    assert LOOKUP_PRECISIONS == (Precision.FP32, Precision.INT8)
