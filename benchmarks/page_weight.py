"""First visits in Chromium: bytes on the wire, first contentful paint, layout shift. Prints one JSON object a page."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from benchmarks.slider import CHROMIUM
from tests.e2e import staging
from tests.e2e.weighing import weigh

WINDOWS = {
    "desk": ViewportSize(width=1440, height=900),
    "phone": ViewportSize(width=390, height=844),
}


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as home,
        staging.prepared(Path(home)) as running,
        sync_playwright() as playwright,
    ):
        ready = staging.studied(running)
        job = staging.built(running, ready)
        pages = {
            "home": "/",
            "studio": f"/projects/{ready}/",
            "job": f"/jobs/{job}/",
            "result": f"/jobs/{job}/result/",
            "devices": "/devices/",
        }
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        for name, address in pages.items():
            for window, size in WINDOWS.items():
                context = browser.new_context(base_url=running.url, viewport=size)
                found = weigh(context, address)
                context.close()
                print(json.dumps({"page": name, "window": window, **asdict(found)}), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
