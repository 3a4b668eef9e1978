"""A device without Python: its kit fetched, its times sent, its name and sharing changed, and gone again."""

import re
import zipfile

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from compression.cost import latency_ms, load_device
from compression.types import Precision
from tests.e2e import steps
from webapp.devices.kit import kit_graphs

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def filled(table: str, factor: float) -> str:
    """The kit's table as a device fills it that is so many times slower than a Raspberry Pi 4."""
    board, graphs = load_device("rpi4"), kit_graphs()
    lines = table.splitlines()
    for number, line in enumerate(lines[1:], 1):
        name = line.partition(";")[0]
        ms = float(latency_ms(np.array(graphs[name].features), board, Precision.FP32))
        lines[number] = f"{name};{ms * factor:.4f};{ms * factor * 1.02:.4f}".replace(".", ",")
    return "\n".join(lines)


def test_a_device_is_measured_by_its_kit_and_lives_in_the_catalogue(
    staged_page: Page, tmp_path
):
    page = staged_page
    steps.add_kit_device(page, "Cellar board", "rpi4")
    expect(page.get_by_text("cannot be a target")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download a kit").click()
    with zipfile.ZipFile(download.value.path()) as kit:
        table = kit.read("kit/times.csv").decode()

    times = tmp_path / "times.csv"
    times.write_text(filled(table, 2.0).replace("mobile;", "mobile;-", 1))
    send(page, times)
    expect(page.get_by_text(re.compile(r"line 19: -\S+ ms is no time"))).to_be_visible()
    times.write_text(filled(table, 2.0))
    send(page, times)
    chart = page.get_by_role("img", name=re.compile("of 18 graphs and networks"))
    expect(chart).to_be_visible()
    steps.check_widths(page, "own-device")

    page.goto("/devices/")
    own = page.get_by_role("table", name="Your devices")
    expect(own).to_contain_text("calibrated ×/÷ 1.4")
    own.get_by_role("switch", name="Share Cellar board").check()
    own.get_by_role("button", name="Rename Cellar board").click()
    page.get_by_label("New name of Cellar board").fill("Attic board")
    page.keyboard.press("Enter")
    expect(own.get_by_role("link", name="Attic board")).to_be_visible()
    page.reload()
    expect(own.get_by_role("switch", name="Share Attic board")).to_be_checked()
    steps.check_widths(page, "devices-own")

    own.get_by_role("button", name="Delete Attic board").click()
    expect(own.get_by_role("button", name="Keep")).to_be_focused()
    own.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No device of your own yet")).to_be_visible()
    page.faults = [line for line in page.faults if "422" not in line]  # the refused table


def send(page: Page, times) -> None:
    page.get_by_label("The filled table").set_input_files(times)
    page.get_by_role("button", name="Send the filled table").click()
