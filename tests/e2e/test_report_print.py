import re

import numpy as np

from compression.pictures import picture
from compression.report_html import report_html
from tests.compression.test_packaging import report


def usual():
    """A report as long as a LeNet's with ten classes, a recipe of six steps and two dozen flips."""
    one = report()
    steps = [
        {**one["recipe"][0], "layer": f"conv{i}", "why": "saves 18% of the file; " * 4}
        for i in range(6)
    ]
    classes = [{**one["per_class"][0], "name": str(i)} for i in range(10)]
    layers = [{**one["layers"][0], "layer": f"pool{i}_max_pool"} for i in range(7)]
    (flip,) = one["flipped"]["examples"]
    drawn = flip | {"input": picture(np.eye(28)[None])}
    flips = one["flipped"] | {"examples": [drawn] * 24}
    code = [{"name": "python", "title": "Python", "syntax": "python", "code": "line\n" * 200}]
    return report(recipe=steps, per_class=classes, layers=layers, flipped=flips, snippets=code)


def test_usual_report_prints_on_one_sheet_without_its_code(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report_html(usual()), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type /Page\b(?!s)", printed)) == 1
    page.emulate_media(media="print")
    assert not page.get_by_text("Run it").is_visible()
    assert page.get_by_text("Answers that flipped").is_visible()
    too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not too_wide
    page.close()
