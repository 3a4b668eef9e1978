"""The pictures of learning curves."""

import re

import numpy as np
import pytest

from benchmarks.learning_curves import picture


def test_labels_of_equally_spaced_ticks_are_equally_spaced():
    seeds = np.array([[[0.0, 0.7], [5.1, 0.3]]])
    drawn = picture("lenet5", {"from nothing": seeds})
    ticks = [float(text) for text in re.findall(r'text-anchor="middle">([\d.]+)<', drawn)]
    assert len(ticks) == 4
    assert np.diff(ticks) == pytest.approx(ticks[0], rel=0.01)
