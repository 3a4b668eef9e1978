"""The catalogue: found by a few letters, and every figure of a device with its source."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_a_device_is_found_and_its_figures_read(page: Page):
    page.goto("/devices/")
    table = page.get_by_role("table", name=re.compile("Target devices by family"))
    expect(table.get_by_role("link")).to_have_count(32)
    steps.check_widths(page, "devices")
    row = table.get_by_role("row").filter(has_text="Xiaomi Redmi 3S")
    expect(row).to_contain_text(
        re.compile(r"paper.*Snapdragon 430.*4 × A53.*2 GB.*similar chip.*±\d+ %", re.DOTALL)
    )
    for family, count in (("AdaDeep paper", 12), ("Watches", 3), ("All", 32)):
        page.get_by_role("group", name="Families").get_by_role("button", name=family).click()
        expect(table.get_by_role("link")).to_have_count(count)
    page.get_by_role("searchbox").fill("cortex-m7")
    expect(table.get_by_role("link")).to_have_count(1)
    page.get_by_role("searchbox").fill("no such thing")
    expect(table).to_contain_text("No device matches")
    page.get_by_role("searchbox").fill("redmi")
    page.get_by_role("button", name="Boards").click()
    expect(table).to_contain_text("No device under “Boards” matches")
    page.get_by_role("button", name="Phones").click()
    table.get_by_role("link", name="Xiaomi Redmi 3S").click()
    page.wait_for_url(re.compile("/devices/redmi-3s/"))
    figures = page.get_by_role("table", name="Figures of the profile with their sources")
    expect(figures.get_by_role("row").filter(has_text="Power above idle")).to_contain_text(
        "From memory"
    )
    page.goto("/devices/rpi4/")
    chart = page.get_by_role("img", name=re.compile("24 networks, each hidden from the fit"))
    expect(chart).to_be_visible()
    steps.check_widths(page, "device")
