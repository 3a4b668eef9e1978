"""Two sides on one page, one click from the studio; networks of a thousand layers stay smooth."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps

pytestmark = [
    pytest.mark.browser,
    pytest.mark.alone,  # a step through a thousand layers has less than one picture's time
    pytest.mark.timeout(180),
]

DEEP = (Path(__file__).parent / "deep_networks.js").read_text(encoding="utf-8")


def test_two_sides_stand_beside_each_other_one_click_from_the_studio(staged_page: Page):
    page = staged_page
    steps.open_sample(page, "Handwritten digits")
    steps.wait_for_answers(page, seconds=60)
    page.get_by_role("button", name="Compare with").click()
    page.wait_for_url(re.compile("/compare/"))
    expect(page.get_by_label("Recipe or build A")).to_have_value(re.compile("@this-host"))
    expect(page.get_by_role("img", name=re.compile("Where both sit: A at"))).to_be_visible()
    steps.check_widths(page, "compare")

    rows = page.get_by_role("table", name="Both recipes").locator("tbody tr")
    differ, layers = map(int, re.findall(r"\d+", page.locator("#different").inner_text()))
    assert 0 < differ < layers
    expect(rows).to_have_count(layers)
    page.get_by_label("Differences only").check()
    expect(rows).to_have_count(differ)

    page.get_by_label("Device B").select_option(label="Xiaomi Redmi 3S")
    page.wait_for_url(re.compile("redmi-3s"))
    expect(page.get_by_label("Device B")).to_have_value("redmi-3s")
    _a_layer_is_told_by_keyboard(page)
    _a_thousand_layers_stay_smooth(page)


def _a_layer_is_told_by_keyboard(page: Page) -> None:
    layers = page.get_by_role("listbox", name="Layers of both networks")
    layers.focus()
    page.keyboard.press("End")
    expect(page.get_by_role("table", name=re.compile("Layer fc3 in both"))).to_be_visible()
    page.keyboard.press("Home")
    expect(page.get_by_role("table", name=re.compile("Layer conv1 in both"))).to_be_visible()


def _a_thousand_layers_stay_smooth(page: Page) -> None:
    """Few rows are in the page at a time, long unchanged runs are folded and open on a click."""
    # The best of eight, and two frames: what else the machine does is no matter of the page.
    assert min(page.evaluate(DEEP) for _ in range(8)) < 32
    rows = page.locator(".graph-row")
    assert rows.count() < 80
    page.get_by_role("option", name=re.compile("unchanged layers")).first.click()
    assert page.evaluate("document.querySelector('#graphs').items.length") > 100
    assert rows.count() < 80
