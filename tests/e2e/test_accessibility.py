"""Each page in each of its states: what axe-core finds, where the focus is seen, and that nothing scrolls sideways."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import staging, steps
from tests.e2e.axe import grave, window
from tests.e2e.conftest import opened
from tests.webapp.running import Installation

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# Not looked at: /api/v1/docs is Swagger's own page, which comes with the API framework. All it
# offers is in docs/api.md and openapi.json too. And the page of a pairing link, a heading and a
# button, which there is only on a server that other machines reach.

MOST_STOPS = 250
FOCUS = """() => {
  const node = document.activeElement;
  if (node === document.body) return null;
  const style = getComputedStyle(node), box = node.getBoundingClientRect();
  const isOnTop = node.closest('.topbar, .skip');
  const top = isOnTop ? 0 : document.querySelector('.topbar').getBoundingClientRect().bottom;
  const ring = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
  return {
    what: node.outerHTML.slice(0, 120),
    isMarked: ring || (node.type === 'range' && node.matches(':focus-visible')),
    isInSight: box.width > 0 && box.bottom > top && box.top < innerHeight,
  };
}"""


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
    # Only here the page's policy is set aside: axe is put into it from outside. Without motion, so that no
    # colour is looked at on its way to another.
    look = {"color_scheme": theme, "viewport": window(width), "reduced_motion": "reduce"}
    with opened(browser, staged.url, bypass_csp=True, **look) as page:
        for name, address in addresses.items():
            page.goto(address)
            page.wait_for_timeout(600)
            found[name] = grave(page)
            if name in IN_USE:
                IN_USE[name](page)
                found[f"{name}, in use"] = grave(page)
        page.faults = [line for line in page.faults if "404" not in line]
    assert not {name: lines for name, lines in found.items() if lines}


def test_focus_is_seen_at_every_stop_and_leaves_every_page(staged_page: Page, addresses):
    page, faults = staged_page, {}
    for name, address in addresses.items():
        page.goto(address)
        page.wait_for_timeout(500)
        faults[name] = _walk(page)
    page.faults = [line for line in page.faults if "404" not in line]
    assert not {name: found for name, found in faults.items() if found}


def _walk(page: Page) -> list[str]:
    """Presses Tab from the top to the end of the page; what was wrong at which stop."""
    faults, stops = [], []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus is None or (stops and focus["what"] == stops[0]):
            return faults
        stops.append(focus["what"])
        faults += [
            f"{want}: {focus['what']}" for want in ("isMarked", "isInSight") if not focus[want]
        ]
    return [*faults, f"the focus never left: {stops[-3:]}"]


def test_no_page_scrolls_sideways_on_a_phone_or_enlarged_twice(staged_page: Page, addresses):
    page = staged_page
    for name, address in addresses.items():
        page.goto(address)
        page.wait_for_timeout(300)
        steps.check_widths(page, f"staged {name}")
    page.faults = [line for line in page.faults if "404" not in line]


@pytest.fixture(scope="module")
def of_several(tmp_path_factory):
    """AdaDeep with accounts, before the first one is made."""
    with Installation(tmp_path_factory.mktemp("accounts"), AUTH_MODE="accounts") as running:
        yield running


def test_axe_finds_nothing_serious_where_people_sign_in(browser, of_several):
    found = {}
    with opened(browser, of_several.url, bypass_csp=True) as page:
        for name in _pages_of_accounts(page, of_several):
            for width, theme in ((1440, "light"), (390, "dark")):
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=theme)
                page.wait_for_timeout(600)  # colours fade
                found[name, theme] = grave(page)
        page.faults = [line for line in page.faults if "403" not in line]
    assert not {name: lines for name, lines in found.items() if lines}


def _pages_of_accounts(page, running):
    """Goes through the pages that only people with accounts see, and says the name of each."""
    page.goto(re.search(r"http\S+/setup/\S+", running.log.read_text())[0])
    yield "set-up"
    steps.make_account(page, "ada")
    for name in ("account", "account/password", "account/data", "users", "audit"):
        page.goto(f"/{name}/")
        yield name
    page.goto("/account/")
    page.get_by_label("What it is for").fill("a script")
    page.get_by_role("button", name="Make a token").click()
    yield "account with a token"
    page.goto("/users/")
    page.get_by_role("button", name="Make a link").click()
    yield "users with an invitation"
    invitation = page.get_by_role("status").get_by_text("http").inner_text()
    page.goto("/account/")
    page.get_by_role("button", name="Sign out").click()
    yield "sign in"
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    yield "sign in refused"
    page.goto(invitation)
    yield "join"


def _use_studio(page) -> None:
    page.get_by_role("button", name=re.compile("Techniques for")).first.click()
    page.get_by_text("What fits where").click()
    page.get_by_role("button", name="Table", exact=True).first.click()
    page.get_by_text("Input preprocessing").click()
    page.get_by_text("Network graph").click()
    page.get_by_role("button", name="About goals").hover()
    page.get_by_role("group", name="Latency", exact=True).get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("Target device")).click()
    expect(page.get_by_role("radio").first).to_be_visible()


def _ask_to_delete(page) -> None:
    page.get_by_role("button", name=re.compile("^Delete ")).first.click()


def _ask_to_cancel(page) -> None:
    page.get_by_role("button", name="Cancel", exact=True).click()


def _use_devices(page) -> None:
    page.get_by_role("button", name="Watches").click()
    for summary in page.locator("summary").all():
        summary.click()


def _use_model(page) -> None:
    page.get_by_role("button", name=re.compile("Techniques for")).first.click()
    page.get_by_role("button", name=re.compile("Target device")).click()
    expect(page.get_by_role("radio").first).to_be_visible()


IN_USE = {
    "model": _use_model,
    "studio": _use_studio,
    "home": _ask_to_delete,
    "job running": _ask_to_cancel,
    "devices": _use_devices,
}
