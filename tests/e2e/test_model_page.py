"""A model at its own address: layers, what fits them, the graph, and its cost on every device."""

import re

import pytest
from playwright.sync_api import expect

from compression.device_profiles import device_names
from tests.e2e import staging
from tests.e2e.conftest import opened
from tests.e2e.steps import WIDTHS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def address(staged):
    return f"/projects/{staging.studied(staged)}/model/"


def test_from_the_list_to_a_layer_and_to_a_device(staged_page, address):
    page = staged_page
    page.goto("/")
    page.get_by_role("link", name=re.compile("Layers and devices of")).first.click()
    page.wait_for_url(re.compile(r"/model/$"))
    layers = page.get_by_role("table", name="Layers of the model in order")
    expect(layers.get_by_role("row")).to_have_count(1 + 7)
    page.get_by_role("button", name=re.compile("Techniques for conv2")).click()
    expect(layers.get_by_text("Fits.")).to_be_visible()
    page.get_by_role("button", name=re.compile("Target device")).click()
    page.get_by_role("radio", name=re.compile("Raspberry Pi 4B")).click()
    page.wait_for_url(re.compile(r"target=rpi4"))
    expect(page.get_by_role("button", name=re.compile("Raspberry Pi 4B"))).to_be_visible()
    page.get_by_role("link", name="Open studio").click()
    page.get_by_role("link", name="Model", exact=True).click()
    expect(page.get_by_role("heading", name="On every device")).to_be_visible()


def test_map_tells_why_by_keyboard(staged_page, address):
    page = staged_page
    page.goto(address)
    cells = page.get_by_role("table", name="Applicability").get_by_role("cell")
    cells.first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".fit-words")).to_contain_text("fits pool1")


def test_every_device_carries_its_label_and_this_computer_is_measured(staged_page, address):
    page = staged_page
    page.goto(address)
    table = page.get_by_role("table", name="Latency and energy of the model on each device")
    badges = table.locator("tbody tr:not(.group) .tier")
    expect(badges).to_have_count(2 * len(device_names()))
    assert [text for text in badges.all_inner_texts() if "measured" in text] == [
        "measured, 30 runs"
    ]


def test_graph_tells_a_layer_and_what_fits_it(staged_page, address):
    page = staged_page
    page.goto(address)
    page.get_by_role("option", name="conv2: conv 5x5").click()
    facts = page.get_by_role("table", name="Layer conv2")
    expect(facts).to_contain_text("Low-rank (SVD)")
    expect(facts).not_to_contain_text("Keep")  # nothing was done to it


def test_columns_sort_by_a_press(staged_page, address):
    page = staged_page
    page.goto(address)
    table = page.get_by_role("table", name="Layers of the model in order")
    table.get_by_role("button", name="Parameters").click()
    expect(table.locator("tbody tr .mono").first).to_have_text("fc1")
    expect(table.get_by_role("columnheader", name="Parameters")).to_have_attribute(
        "aria-sort", "descending"
    )


def test_page_fills_by_itself_once_the_model_is_read(staged_page, staged):
    found = staging.project(staged, seed=41)
    page = staged_page
    page.goto(f"/projects/{found}/model/")
    expect(page.get_by_role("heading", name="On every device")).to_be_visible(timeout=60_000)


def test_nothing_is_cut_off_at_any_width(browser, staged, address):
    with opened(browser, staged.url) as page:
        page.goto(address)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(200)
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, width
