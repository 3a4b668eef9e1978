"""What axe-core finds on a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
GRAVE = ("serious", "critical")


def window(width: int) -> dict[str, int]:
    """Of that width; a narrow one so tall that the bar at a phone's lower edge, which one scrolls away from, covers nothing."""
    return {"width": width, "height": 900 if width > 820 else 6000}


def grave(page: Page) -> list[str]:
    """What is serious or worse, a line each."""
    response = Axe().run(page, options=OPTIONS).response
    assert len(response["passes"]) > 10, "axe looked at next to nothing"
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for rule in response["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]
