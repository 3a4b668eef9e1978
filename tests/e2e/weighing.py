"""What a first visit to a page costs: bytes on the wire, time to the first paint, and how much moves afterwards."""

from dataclasses import dataclass

from playwright.sync_api import BrowserContext

WATCH = """
window.shifts = [];
new PerformanceObserver(list => shifts.push(...list.getEntries()))
  .observe({ type: 'layout-shift', buffered: true });
"""
SHIFTS = """() => shifts.filter(shift => !shift.hadRecentInput).map(shift => [
  shift.value,
  shift.sources.map(({ node }) => node?.id || node?.className || node?.nodeName).join(' '),
])"""
SETTLED_MS = 2500


@dataclass(frozen=True)
class Weight:
    """``moved`` is the sum of layout shifts, ``movers`` says what they were."""

    sent_bytes: int
    requests: int
    first_paint_ms: float
    moved: float
    movers: tuple[str, ...]


def weigh(context: BrowserContext, address: str) -> Weight:
    """Opens the page in a context that has seen nothing yet."""
    page = context.new_page()
    page.add_init_script(WATCH)
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on(
        "Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"])
    )
    page.goto(address)
    page.wait_for_timeout(SETTLED_MS)
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    )
    shifts = page.evaluate(SHIFTS)
    page.close()
    return Weight(
        sent_bytes=int(sum(sizes)),
        requests=len(sizes),
        first_paint_ms=round(paint, 1),
        moved=round(sum(value for value, _ in shifts), 4),
        movers=tuple(f"{value:.3f} {names}" for value, names in shifts),
    )
