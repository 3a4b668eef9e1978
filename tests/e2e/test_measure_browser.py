"""A real Chromium measures itself and becomes a target."""

import re

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from tests.e2e import staging, steps
from tests.e2e.conftest import opened
from tests.e2e.product import CHROMIUM, CHROMIUM_FLAGS
from webapp import browserruntime

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not browserruntime.is_complete(settings.BROWSER_RUNTIME),
        reason="the runtime that measures browsers is not there: make browser-runtime",
    ),
]

HIDE = "hidden => Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}) && document.dispatchEvent(new Event('visibilitychange'))"


def start(page: Page) -> None:
    page.goto("/devices/")
    page.get_by_role("link", name="Measure this browser").click()
    page.wait_for_url(re.compile("/devices/measure/"))
    page.get_by_role("textbox", name="Name of the device").fill("My Chromium")
    page.get_by_role("button", name="Measure this browser").click()
    expect(page.locator("#progress-text")).to_contain_text("left", timeout=30_000)


def test_chromium_measures_itself_and_can_be_chosen(page: Page):
    start(page)
    result = page.get_by_role("region", name="My Chromium")
    expect(result).to_be_visible(timeout=60_000)
    expect(result).to_contain_text("calibrated")
    expect(result).to_contain_text("onnxruntime-web 1.30 (WASM), one thread.")
    expect(result).to_contain_text("WebGPU is not offered here and was not tried.")
    expect(result).to_contain_text("18 graphs were measured.")
    steps.check_widths(page, "measure")
    result.get_by_role("link", name="Open the device").click()
    expect(page.get_by_role("heading", name="My Chromium")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("onnxruntime-web 1.30 (WASM), 1 thread")
    page.goto("/devices/")
    expect(page.get_by_role("link", name="My Chromium")).to_be_visible()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """AdaDeep with accounts, for the whole network."""
    home = tmp_path_factory.mktemp("served")
    with staging.prepared(home, host="0.0.0.0", AUTH_MODE="accounts") as running:
        yield running


# Chromium's remark on a header that counts with HTTPS only.
PLAIN_HTTP = "Cross-Origin-Opener-Policy header has been ignored"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.timeout(300)
def test_phone_is_paired_by_a_link_that_is_good_once(browser, served):
    with opened(browser, served.url) as desk:
        steps.sign_up(desk, served, "ada")
        steps.open_sample(desk, "Handwritten digits")
        steps.wait_for_answers(desk, seconds=60)
        link = _shown_link(desk)
        with opened(browser, served.url, **PHONE) as phone:
            _measures_for_the_owner(phone, link)
        desk.goto("/devices/")
        own = desk.get_by_role("table", name="Your devices")
        expect(own.get_by_role("row", name="Pocket phone")).to_contain_text("calibrated")
        own.get_by_role("link", name="Pocket phone").click()
        runs = desk.get_by_role("table", name="Measurements, newest first")
        original = runs.get_by_role("row").filter(has_text="original")
        expect(original).to_contain_text("yes, measured")
        with opened(browser, served.url, **PHONE) as other:
            other.goto(link)
            expect(other.get_by_role("main")).to_contain_text(
                "This link has been used; it is good once. Make a new one on the page Measure this browser."
            )
            expect(other.get_by_role("button", name="Go on")).to_have_count(0)
            known = PLAIN_HTTP, "403"
            other.faults = [line for line in other.faults if not any(x in line for x in known)]


def _shown_link(desk: Page) -> str:
    """The address that the page of the project's networks shows in words and as a code."""
    desk.get_by_role("link", name="Measure this browser").click()
    desk.wait_for_url(re.compile("/devices/measure/"))
    card = desk.get_by_role("region", name="Open on your phone")
    if not card.get_by_role("button", name="Show a code").is_visible():
        pytest.skip("this machine has no address that others reach")
    card.get_by_role("button", name="Show a code").click()
    link = card.get_by_text(re.compile(r"^http://\S+/m/\S+$")).inner_text()
    expect(card.get_by_role("img", name=f"QR code of {link}")).to_be_visible()
    expect(card).to_contain_text("Good once, for ten minutes.")
    steps.check_widths(desk, "phone-link")
    return link


def _measures_for_the_owner(phone: Page, link: str) -> None:
    phone.goto(link)
    steps.check_widths(phone, "paired")
    phone.set_viewport_size(PHONE["viewport"])
    phone.get_by_role("button", name="Go on").tap()
    phone.wait_for_url(re.compile("/devices/measure/"))
    expect(phone.get_by_role("region", name="Open on your phone")).to_have_count(0)
    phone.get_by_role("textbox", name="Name of the device").fill("Pocket phone")
    phone.get_by_role("button", name="Measure this browser").tap()
    result = phone.get_by_role("region", name="Pocket phone")
    expect(result).to_be_visible(timeout=120_000)
    expect(result).to_contain_text("onnxruntime-web 1.30 (WASM), one thread.")
    expect(result).to_contain_text("The device is a target now, where the code was shown.")
    table = phone.get_by_role("table", name=re.compile("the project's networks"))
    expect(table).to_contain_text("original")
    steps.check_widths(phone, "phone-measured")
    phone.goto("/devices/")  # of all else it sees nothing
    expect(phone.get_by_role("button", name="Sign in")).to_be_visible()
    phone.faults = [line for line in phone.faults if PLAIN_HTTP not in line]


def test_hidden_page_pauses_and_cancel_sends_nothing(page: Page):
    start(page)
    page.evaluate(HIDE, arg=True)
    expect(page.get_by_text("Paused while this page is in the background.")).to_be_visible()
    page.wait_for_timeout(1000)  # what was under way ends
    stood = page.locator("#progress-text").inner_text()
    page.wait_for_timeout(1500)
    assert page.locator("#progress-text").inner_text() == stood
    page.evaluate(HIDE, arg=False)
    expect(page.locator("#progress-text")).not_to_have_text(stood, timeout=10_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").filter(has_text="Nothing was sent")).to_be_attached()
    expect(page.get_by_role("button", name="Measure this browser")).to_be_visible()
    assert "My Chromium" not in page.request.get("/api/devices").text()


def test_forbidden_web_assembly_is_told_in_plain_words(browser, product):
    context = browser.new_context(base_url=product.url)
    page = context.new_page()

    def forbid(route):
        answer = route.fetch()
        policy = answer.headers["content-security-policy"].replace("'wasm-unsafe-eval'", "")
        route.fulfill(
            response=answer, headers={**answer.headers, "content-security-policy": policy}
        )

    page.route("**/workers/measure.js", forbid)
    page.goto("/devices/measure/")
    page.get_by_role("button", name="Measure this browser").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "does not allow WebAssembly", timeout=30_000
    )
    context.close()


def test_page_says_that_there_is_no_webgpu_to_try(page: Page):
    page.goto("/devices/measure/")
    expect(page.get_by_role("main")).to_contain_text("no WebGPU here, so it cannot be tried")
    option = page.get_by_role("combobox", name="Computed by").locator("option[value=webgpu]")
    expect(option).to_be_disabled()


@pytest.mark.slow
def test_webgpu_is_measured_as_a_device_of_its_own(playwright_driver, product):
    # The processor plays the graphics chip: slow, but all of the way is walked.
    flags = [flag for flag in CHROMIUM_FLAGS if flag != "--disable-gpu"]
    flags += ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
    browser = playwright_driver.chromium.launch(executable_path=CHROMIUM, args=flags)
    with opened(browser, product.url) as page:
        page.goto("/devices/measure/")
        expect(page.get_by_role("main")).to_contain_text("No graphics chip computes that")
        assert not [url for url in sent(page) if "webgpu" in url]
        # From a computer's profile such times are a thousand times off, and set aside.
        page.locator("#kind").select_option("sony-sw3")
        page.get_by_role("combobox", name="Computed by").select_option("webgpu")
        expect(page.get_by_role("combobox", name="Threads")).to_be_disabled()
        page.get_by_role("button", name="Measure this browser").click()
        result = page.locator("#result")
        expect(result).to_contain_text("calibrated", timeout=120_000)
        expect(result).to_contain_text("onnxruntime-web 1.30 (WebGPU), one thread")
        expect(result).to_contain_text("Computed by WebGPU (google swiftshader)")
    browser.close()


def sent(page: Page) -> list[str]:
    """What the page has fetched so far."""
    return page.evaluate("() => performance.getEntriesByType('resource').map(({name}) => name)")


@pytest.mark.slow
def test_two_threads_are_measured_as_a_device_of_their_own(page: Page):
    page.goto("/devices/measure/")
    page.get_by_role("combobox", name="Threads").select_option("2")
    page.get_by_role("button", name="Measure this browser").click()
    expect(page.locator("#result")).to_contain_text("2 threads", timeout=90_000)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sample_is_built_for_the_browser_that_measured_itself(page: Page):
    steps.open_sample(page, "Handwritten digits")
    steps.wait_for_answers(page, seconds=200)
    page.get_by_role("link", name="Measure this browser").click()
    page.get_by_role("textbox", name="Name of the device").fill("My Chromium")
    page.get_by_role("button", name="Measure this browser").click()
    table = page.get_by_role("table", name=re.compile("the project's networks"))
    expect(table).to_contain_text("original", timeout=100_000)
    page.get_by_role("link", name=re.compile("^Back to")).click()
    page.wait_for_url(re.compile("/projects/"))
    steps.wait_for_answers(page, seconds=60)
    page.get_by_role("button", name=re.compile("Target device")).click()
    page.get_by_role("radio", name=re.compile("My Chromium")).click()
    expect(
        page.get_by_role("button", name=re.compile("Target device: My Chromium"))
    ).to_be_visible()
    steps.build_button(page).click()
    page.wait_for_url(re.compile("/jobs/"))
    report = page.get_by_role("link", name=re.compile("report", re.IGNORECASE)).first
    expect(report).to_be_visible(timeout=400_000)
    report.click()
    expect(page.get_by_role("main")).to_contain_text("My Chromium")
