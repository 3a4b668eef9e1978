"""The report of a network of a thousand layers."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import staging

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LAYERS = 1000
MOST_ROWS = 100
DATA = re.compile(r'(?<=<script id="page-data" type="application/json">).*?(?=</script>)')


def deepened(route) -> None:
    """The page as it came, with a thousand layers in its report."""
    answer = route.fetch()

    def deeper(found: re.Match) -> str:
        data = json.loads(found[0])
        one = data["report"]["layers"][0]
        data["report"]["layers"] = [{**one, "layer": f"conv{i}"} for i in range(LAYERS)]
        return json.dumps(data).replace("<", r"\u003c")

    route.fulfill(response=answer, body=DATA.sub(deeper, answer.text(), count=1))


def test_rows_of_a_deep_network_come_a_page_at_a_time_and_stand_all_on_paper(
    staged_page: Page, staged
):
    page = staged_page
    job = staging.built(staged, staging.studied(staged))
    page.route("**/result/", deepened)
    page.goto(f"/jobs/{job}/result/")
    rows = page.locator("#recipe tbody tr")
    expect(page.get_by_text(f"Layers 1–{MOST_ROWS} of {LAYERS}")).to_be_visible()
    assert rows.count() == MOST_ROWS
    page.get_by_role("button", name="Later").click()
    expect(rows.first).to_contain_text(f"conv{MOST_ROWS}")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert rows.count() == LAYERS
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert rows.count() == MOST_ROWS
