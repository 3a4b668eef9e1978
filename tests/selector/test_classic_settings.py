from __future__ import annotations

import pytest

from compression.analytic_cost import AnalyticConstants
from selector.classic_settings import (
    ClassicSettings,
    Norm,
    View,
    changed_settings,
    parse_settings,
)
from selector.errors import BadRequestError


def test_what_is_not_named_keeps_its_default():
    assert parse_settings({}) == ClassicSettings()
    assert parse_settings({"gamma": 1.0}) == ClassicSettings(gamma=1.0)


def test_switches_survive_being_written_and_read():
    settings = ClassicSettings(
        view=View.ANALYTIC,
        analytic=AnalyticConstants(access_per_bit=True, mac_pj=10.0),
        mu1=0.6,
        mu2=0.4,
        norm=Norm.RANGE,
        stacked=True,
        episodes=50,
    )
    assert parse_settings(changed_settings(settings)) == settings


def test_only_switches_that_were_turned_are_written():
    settings = ClassicSettings(analytic=AnalyticConstants(weights_from_dram=True), passes=2)
    assert changed_settings(settings) == {"analytic": {"weights_from_dram": True}, "passes": 2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], '"classic" must be a JSON object'),
        ({"gama": 1}, '"classic" has unknown keys: gama. Known keys: view, analytic,'),
        ({"gamma": 2}, "classic.gamma must lie between 0 and 1; got 2"),
        ({"mu1": "high"}, "classic.mu1 must be a number"),
        ({"mu1": -1}, "classic.mu1 must lie between 0"),
        ({"episodes": 0}, "classic.episodes must lie between 1"),
        ({"stacked": 1}, "classic.stacked must be true or false; got 1"),
        (
            {"view": "paper"},
            "classic.view must be one of: device, analytic (paper); got 'paper'",
        ),
        ({"analytic": {"e1": 3}}, '"classic.analytic" has unknown keys: e1'),
        ({"analytic": {"mac_pj": None}}, "classic.analytic.mac_pj must be a number"),
    ],
)
def test_switch_that_is_none_is_refused_by_name(values, message):
    with pytest.raises(BadRequestError) as error:
        parse_settings(values)
    assert message in str(error.value)
