"""From the sample to the file without a mouse."""

import re
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_sample_to_download_by_keyboard_alone(staged_page: Page):
    page = staged_page
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    steps.tab_to(page, "Handwritten digits")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/projects/"), timeout=30_000)
    steps.wait_for_answers(page, seconds=60)
    _choose_a_device(page)
    _slide_with_keys(page)
    _type_a_limit(page)
    _hold_points_of_the_chart(page)
    _lock_a_layer(page)
    steps.tab_to(page, "Build this model")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.get_by_role("link", name="Open report")).to_be_visible(timeout=60_000)
    steps.tab_to(page, "Open report")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/result/"))
    steps.tab_to(page, "Download model.onnx")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.path().read_bytes() == b"a small network"


def _choose_a_device(page: Page) -> None:
    """Enter opens; arrows and the space bar pick, or words and Enter; Escape changes nothing."""
    button = page.get_by_role("button", name=re.compile("^Target device"))
    steps.tab_to(page, "Target device")
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio", checked=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(button).to_have_accessible_name(re.compile("This"))
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(button).to_be_focused()
    expect(button).not_to_have_accessible_name(re.compile("This"))
    expect(button).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("raspberry pi 4")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name=re.compile("^Raspberry Pi 4"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(button).to_have_accessible_name(re.compile("Raspberry Pi 4"))
    expect(button).to_be_focused()


def _slide_with_keys(page: Page) -> None:
    steps.tab_to(page, "Storage")
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowRight")
    assert steps.slider(page, "Storage").input_value() == "11"
    page.keyboard.press("End")
    assert steps.slider(page, "Storage").input_value() == "100"


def _type_a_limit(page: Page) -> None:
    """Whoever cannot drag a limit's line in the chart types it; the line goes there."""
    steps.tab_to(page, "At most")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    field = page.get_by_role("spinbutton", name=re.compile("^Storage limit"))
    expect(field).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("0.07")
    steps.tab_to(page, "Size")
    page.keyboard.press("Enter")
    expect(page.get_by_text("limit 0.070 MB")).to_be_visible()


def _hold_points_of_the_chart(page: Page) -> None:
    """Left and right along the best trade-offs, up and down through all candidates."""
    shown, spoken = page.locator("#star-text"), page.locator("#spoken")
    free = re.compile("^(Recommended|Nearest)")
    steps.tab_to(page, "Trade-off chart")
    expect(shown).to_have_text(free)
    held = [_hold_next(page, key) for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowUp")]
    assert all(before != after for before, after in pairwise(held))
    expect(spoken).to_contain_text(held[-1])
    page.keyboard.press("Escape")
    expect(shown).to_have_text(free)
    _hold_next(page, "ArrowDown")
    steps.tab_to(page, "Back to recommended")
    page.keyboard.press("Enter")
    expect(shown).to_have_text(free)
    expect(page.locator("#tradeoff")).to_be_focused()


def _hold_next(page: Page, key: str) -> str:
    shown = page.locator("#star-text")
    before = shown.inner_text()
    page.keyboard.press(key)
    expect(shown).not_to_have_text(before)
    expect(shown).to_have_text(re.compile(r"^Your pick, candidate \d+"))
    return shown.inner_text()


def _lock_a_layer(page: Page) -> None:
    """The strip is one stop; arrows move inside it, Enter opens the layer's row."""
    steps.tab_to(page, "conv1")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("^fc1"))
    page.keyboard.press("Enter")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(focused).to_have_attribute("aria-label", re.compile("^Lock this choice"))
    page.keyboard.press("Enter")
    expect(focused).to_have_attribute("aria-pressed", "true")
    expect(focused).to_have_attribute("aria-label", re.compile("^Lock this choice"))
