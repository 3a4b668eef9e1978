from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from selector.tables import StudyTables
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables


@pytest.mark.parametrize("make", [lenet_tables, residual_tables, toy_tables])
def test_tables_survive_the_disk(make, tmp_path):
    tables = make()
    path = tmp_path / "tables.npz"
    tables.save(path)
    loaded = StudyTables.load(path)
    for field in fields(StudyTables):
        before, after = getattr(tables, field.name), getattr(loaded, field.name)
        assert (
            np.array_equal(before, after) if isinstance(before, np.ndarray) else before == after
        )


def test_tables_of_an_earlier_release_fetch_nothing(tmp_path):
    path = tmp_path / "tables.npz"
    replace(lenet_tables(), host_fetch=np.ones((2, 2))).save(path)
    with np.load(path) as stored:
        rest = {name: stored[name] for name in stored if name != "host_fetch"}
    np.savez(path, **rest)
    assert not StudyTables.load(path).host_fetch.any()


def test_lenet_has_the_classic_counts():
    tables = lenet_tables()
    assert tables.params[:, 0, 0, 0].sum() == 61_706
    assert tables.base_file_bytes == 61_706 * 4 + 1800


def test_wrong_shape_is_named():
    tables = lenet_tables()
    with pytest.raises(ValueError, match=r"kl_width has shape \(2,\), not \(6, 5\)"):
        replace(tables, kl_width=np.zeros(2))


def test_infinite_value_is_named():
    tables = lenet_tables()
    broken = tables.host_ms.copy()
    broken[0, 0, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="host_ms holds values that are not finite"):
        replace(tables, host_ms=broken)
