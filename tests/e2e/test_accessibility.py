"""What axe-core finds on each page in each of its states, in both themes, on a desk and on a phone."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e import staging
from tests.e2e.conftest import opened

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# Not looked at: /api/v1/docs is Swagger's own page, which comes with the API framework. All it
# offers is in docs/api.md and openapi.json too.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def addresses(staged):
    return staging.addresses(staged)


SLOW = pytest.mark.slow  # the other two see each theme and each width once


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (1440, "light"),
        (390, "dark"),
        pytest.param(1440, "dark", marks=SLOW),
        pytest.param(390, "light", marks=SLOW),
    ],
)
def test_axe_finds_nothing_serious(browser, staged, addresses, theme, width):
    found = {}
    # Only here the page's policy is set aside: axe is put into it from outside.
    look = {"color_scheme": theme, "viewport": {"width": width, "height": 900}}
    with opened(browser, staged.url, bypass_csp=True, **look) as page:
        for name, address in addresses.items():
            page.goto(address)
            page.wait_for_timeout(600)
            found[name] = _grave(page)
            if name in IN_USE:
                IN_USE[name](page)
                found[f"{name}, in use"] = _grave(page)
        page.faults = [line for line in page.faults if "404" not in line]
    assert not {name: lines for name, lines in found.items() if lines}


def _grave(page) -> list[str]:
    response = Axe().run(page, options=OPTIONS).response
    assert len(response["passes"]) > 10, "axe looked at next to nothing"
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for rule in response["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


def _use_studio(page) -> None:
    page.get_by_role("button", name=re.compile("Techniques for")).first.click()
    page.get_by_text("What fits where").click()
    page.get_by_role("button", name="Table", exact=True).first.click()
    page.get_by_text("Input preprocessing").click()
    page.get_by_role("group", name="Latency", exact=True).get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("Target device")).click()
    expect(page.get_by_role("radio").first).to_be_visible()


def _ask_to_delete(page) -> None:
    page.get_by_role("button", name=re.compile("^Delete ")).first.click()


def _ask_to_cancel(page) -> None:
    page.get_by_role("button", name="Cancel", exact=True).click()


IN_USE = {"studio": _use_studio, "home": _ask_to_delete, "job running": _ask_to_cancel}
