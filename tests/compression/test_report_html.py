import base64
import io
import re

import numpy as np
from PIL import Image

from compression.pictures import picture
from compression.report_html import report_html
from compression.report_pictures import picture_html
from tests.compression.test_packaging import report

FLIP = {"index": 7, "truth": "<3>", "before": "3", "after": "8", "fixed": False}
SURE = {"confidence_before": 0.91, "confidence_after": 0.62}


def flipped(example, **changes):
    flip = FLIP | SURE | {"input": picture(example)}
    return report(flipped={"lost": 1, "gained": 0, "examples": [flip]}, **changes)


def test_images_are_png_in_the_colours_of_the_data():
    red = np.zeros((3, 4, 6))
    red[0] = 1.0
    found = re.search(r"data:image/png;base64,([^\"]+)", picture_html(picture(red), "row 1"))
    image = Image.open(io.BytesIO(base64.b64decode(found[1])))
    assert (image.size, image.getpixel((5, 3))) == ((6, 4), (255, 0, 0))


def test_signals_are_drawn_as_a_line_a_channel():
    html = picture_html(picture(np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])), 'a "row"')
    assert html.count("<polyline") == 2
    assert "0.0,95.0 50.0,5.0 100.0,95.0" in html
    assert "a &quot;row&quot;" in html


def test_flip_is_drawn_with_its_label_both_answers_and_how_sure_they_were():
    page = report_html(flipped(np.eye(8)[None]))
    card = page.partition("Answers that flipped: 0 fixed, 1 broken")[2].partition("</section>")[
        0
    ]
    assert "<img src" in card
    assert "&lt;3&gt;" in card
    assert ("91 %" in card, "62 %" in card, "broken" in card) == (True, True, True)


def test_without_labels_an_answer_differs_and_is_not_called_wrong():
    side = report()["result"] | {"accuracy_kind": "agreement"}
    page = report_html(flipped(np.eye(8)[None], result=side))
    assert "Answers that differ from the original&#x27;s: 1" in page
    assert "differs" in page
    assert "broken" not in page
    assert "&lt;3&gt;" not in page


def test_change_of_accuracy_comes_with_its_interval_and_what_chance_would_do():
    page = report_html(report(accuracy_drop_ci_points=[0.1, 0.7], accuracy_drop_chance=0.0124))
    assert "change −0.70 to −0.10 points, by chance in 1.2 % of cases" in page


def test_times_of_single_layers_say_that_they_are_predicted():
    assert "Predicted for Xiaomi Redmi 3S (similar chip)." in report_html(report())
    assert "operations timed on the engine" in report_html(report(target="this-host"))


def test_limit_that_the_end_of_the_band_misses_is_likely_met():
    limit = {"name": "max_latency_ms", "limit": 6.0, "value": 4.2, "met": True, "sure": False}
    page = report_html(report(limits=[limit]))
    assert '<span class="pill warn">Limits likely met</span>' in page
    assert "Limit likely met: latency is 4.2" in page
    assert "the end of the band is beyond" in page
    sure = report_html(report(limits=[{**limit, "sure": True}]))
    assert "All limits met" in sure
    assert "likely met" not in sure
