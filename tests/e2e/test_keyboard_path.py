"""From the sample to the file without a mouse."""

import re

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
    _slide_with_keys(page)
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


def _slide_with_keys(page: Page) -> None:
    steps.tab_to(page, "Storage")
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowRight")
    assert steps.slider(page, "Storage").input_value() == "11"
    page.keyboard.press("End")
    assert steps.slider(page, "Storage").input_value() == "100"


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
