from dataclasses import replace

import pytest

from compression import technique
from compression.cost import band, load_device
from compression.onnx_import import import_onnx
from compression.types import NETWORK, Precision
from selector.layout import lay_out, probes
from selector.surrogate import Surrogate
from selector.tabulation import LOOKUP_PRECISIONS, Measurements, operations, tabulate
from tests import networks

LAYOUT = lay_out(import_onnx(networks.small_lenet()).profile, ("filter_pruning", "svd"))


def tables():
    ops = {op for cell in operations(LAYOUT).values() for op in cell}
    measured = Measurements(
        kl={},
        op_ms={(op, p): 1e-6 * (op.macs + 1000) for op in ops for p in LOOKUP_PRECISIONS},
        floor_ms=0.004,
        file_bytes=(50_000, 25_000, 15_000, 10_000, 15_000),
        meta={},
    )
    return tabulate(LAYOUT, measured)


def test_rows_hold_the_time_of_their_operations_alone():
    found = tables()
    looked_up = sum(
        1e-6 * (op.macs + 1000)
        for i in range(len(LAYOUT.rows))
        for op in operations(LAYOUT)[i, 0, 0, 0]
    )
    assert found.host_ms[:, :, 0, 0, 0].sum(axis=1) == pytest.approx([looked_up, looked_up])
    assert found.host_offset_ms == pytest.approx([0.004, 0.004])


def test_a_structure_too_wide_for_a_narrowed_layer_costs_what_the_plain_layer_does():
    """Building skips such a step, so the tables must not promise what it would save."""
    profile = LAYOUT.profile
    cells, refused = operations(LAYOUT), 0
    for (i, s, wi, wo), found in cells.items():
        row, steps = LAYOUT.rows[i], (wi, wo)
        if not s or not all(steps):
            continue
        ((name, params),) = LAYOUT.structures[i][s]
        plain = cells[i, 0, wi, wo]
        narrow = row.resized(
            in_channels=plain[0].in_shape[0] // row.in_multiplier,
            out_channels=plain[0].out_shape[0],
        )
        if technique.get(name).refusal(narrow, profile, params):
            refused += 1
            assert found == plain
    assert refused


def test_kinds_of_layers_that_devices_were_not_timed_on_widen_the_bands_of_a_study():
    found = tables()
    assert found.meta["unmeasured"] == []
    known, board = Surrogate(found), load_device("rpi4")
    strange = Surrogate(replace(found, meta={"unmeasured": ["attention"]}))
    for macs in (None, 300e6):
        assert known.band(board, macs=macs) == band(board, macs=macs or 4e5)
    assert strange.band(board, macs=300e6).high > known.band(board, macs=300e6).high
    here = load_device("this-host")
    assert strange.band(here) == known.band(here)


def test_precisions_are_timed_in_the_order_of_the_table():
    assert LOOKUP_PRECISIONS == (Precision.FP32, Precision.INT8)


@pytest.mark.parametrize("most", [25, 40, 60])
def test_fewer_probes_mean_fewer_levels_and_techniques_that_save_time_first(most):
    profile = LAYOUT.profile
    everything = lay_out(profile, technique.names())
    fitted = lay_out(profile, technique.names(), most)
    count = len([p for p in probes(fitted) if p.layer != NETWORK])
    assert count <= most < len(probes(everything))
    for few, all_ in zip(fitted.structures, everything.structures, strict=True):
        assert few[0] == ()
        assert (len(few) > 1) == (len(all_) > 1)
        assert set(map(repr, few)) <= set(map(repr, all_))
        named = {name for treatments in few for name, _ in treatments}
        if named and any(technique.get(name).note for name in named):
            quick = {n for ways in all_ for n, _ in ways if not technique.get(n).note}
            assert quick <= named
