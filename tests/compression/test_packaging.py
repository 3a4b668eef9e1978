import hashlib
import json
import zipfile
from html.parser import HTMLParser

import onnxruntime as ort
import pytest

from compression.packaging import BUNDLE, bundle_name, write_bundle
from compression.packed import packed
from compression.preprocessing import Preprocessing
from compression.report_numbers import count, digits, points, predicted, ratio, size
from compression.usage import Usage
from tests import networks

MODEL = networks.lenet()
USAGE = Usage(
    input_name="x",
    input_shape=(1, 28, 28),
    output_names=("logits",),
    preprocessing=Preprocessing(layout="NHW", divide=255.0, mean=(0.13,), std=(0.3,)),
    class_names=tuple("0123456789"),
)


def report(**changes):
    side = {
        "accuracy": 0.991,
        "accuracy_ci": [0.989, 0.993],
        "accuracy_kind": "accuracy",
        "n_test": 10_000,
        "size_bytes": 248_501,
        "zip_bytes": 230_000,
        "macs": 416_520,
        "params": 61_706,
        "host_latency_ms": {"p10": 0.0498, "p50": 0.0512, "p90": 0.06, "rounds": 40},
    }
    entry = {"baseline": 1.2, "result": 0.31, "low": 0.2, "high": 0.5, "label": "similar chip"}
    values = {
        "status": "met",
        "target": "redmi-3s",
        "target_title": "Xiaomi Redmi 3S",
        "model_name": "lenet 5",
        "data_name": "mnist.npz",
        "created": "2026-11-22T12:00:00+00:00",
        "seed": 0,
        "versions": {"python": "3.11"},
        "model_sha256": "a" * 64,
        "data_sha256": "b" * 64,
        "baseline": side,
        "result": side | {"accuracy": 0.987, "size_bytes": len(MODEL), "macs": 90_000},
        "accuracy_drop_points": 0.4,
        "ratios": {
            "host_latency": 1.3,
            "size": 21.0,
            "zip": 20.0,
            "macs": 4.6,
            "target_latency": 3.9,
            "target_energy": 3.8,
        },
        "predicted": {"latency_ms": entry, "energy_mj": entry},
        "limits": [{"name": "max_accuracy_drop", "limit": 0.2, "value": 0.4, "met": False}],
        "recipe": [
            {
                "layer": "<conv&2>",
                "technique": "filter_pruning",
                "params": {"pruning_ratio": 0.5},
                "why": "saves 0.3 ms",
            }
        ],
        "layers": [{"layer": "conv1", "ms_before": 0.5, "ms_after": 0.1}],
        "per_class": [
            {"name": "0", "n": 980, "before": 0.99, "after": 0.98, "low": -1.9, "high": -0.1}
        ],
        "flipped": {
            "lost": 1,
            "gained": 0,
            "examples": [
                {"index": 7, "truth": "3", "before": "3", "after": "8", "fixed": False}
            ],
        },
        "preprocessing": {"layout": "NHW", "divide": 255.0, "mean": [0.13], "std": [0.3]},
        "stages": [{"stage": "INSPECT", "seconds": 2.0}],
        "artifacts": [
            {
                "path": "model.onnx",
                "format": "onnx",
                "size_bytes": len(MODEL),
                "sha256": hashlib.sha256(MODEL).hexdigest(),
                "verified": True,
                "primary": True,
            }
        ],
    }
    return values | changes


@pytest.fixture
def bundle(tmp_path):
    models = {"model.onnx": MODEL}
    final = write_bundle(tmp_path, report(), models, usage=USAGE)
    return tmp_path, final


def test_bundle_holds_every_file_once_and_nothing_is_left_half_written(bundle):
    folder, _ = bundle
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *{
            "model.onnx",
            "model.onnx.xz",
            "recipe.json",
            "preprocessing.json",
            "classes.txt",
            "README.md",
        },
        *{"report.json", "report.html", "SHA256SUMS", BUNDLE},
    }
    with zipfile.ZipFile(folder / BUNDLE) as archive:
        assert archive.testzip() is None
        inside = {name.rpartition("/")[2] for name in archive.namelist()}
    assert inside == names - {BUNDLE}


def test_checksums_and_artifacts_are_those_of_the_files(bundle):
    folder, final = bundle
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    for row in final["artifacts"]:
        content = (folder / row["path"]).read_bytes()
        assert (row["size_bytes"], row["verified"]) == (len(content), True)
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert json.loads((folder / "report.json").read_text()) == final


def test_same_build_makes_the_same_bytes(bundle, tmp_path_factory):
    folder, _ = bundle
    other = tmp_path_factory.mktemp("again")
    models = {"model.onnx": MODEL}
    write_bundle(other, report(), models, usage=USAGE)
    assert (other / BUNDLE).read_bytes() == (folder / BUNDLE).read_bytes()


def test_readme_report_and_page_show_the_same_code(bundle):
    folder, final = bundle
    readme = (folder / "README.md").read_text()
    page = "".join(Page((folder / "report.html").read_text()).texts)
    assert [snippet["title"] for snippet in final["snippets"]] == ["Python", "Android", "C++"]
    for snippet in final["snippets"]:
        assert f"```{snippet['syntax']}\n{snippet['code']}\n```" in readme
        assert snippet["code"] in page


def test_other_formats_get_code_and_say_how_they_were_run(tmp_path):
    row = {
        "path": "model.tflite",
        "format": "litert",
        "runtime": "LiteRT 2.3.0",
        "difference": 4e-8,
    }
    listed = report(artifacts=[*report()["artifacts"], row])
    models = {"model.onnx": MODEL, "model.tflite": b"abc"}
    final = write_bundle(tmp_path, listed, models, usage=USAGE)
    assert [snippet["name"] for snippet in final["snippets"]][3:] == ["litert"]
    assert hashlib.sha256(b"abc").hexdigest() in (tmp_path / "SHA256SUMS").read_text()
    texts = Page((tmp_path / "report.html").read_text()).texts
    said = "model.tflite: ran in LiteRT 2.3.0, differs by 4e-08 of the largest output"
    assert said in texts


def test_packed_model_is_the_model_and_the_readme_says_how_to_unpack_it(bundle, monkeypatch):
    folder, final = bundle
    monkeypatch.chdir(folder)
    text = (folder / "README.md").read_text()
    code = text.split("```python\n")[-1].partition("\n```")[0]
    scope = {}
    exec(code, scope)
    assert scope["model"] == MODEL
    ort.InferenceSession(scope["model"])
    row = next(a for a in final["artifacts"] if a["path"] == "model.onnx.xz")
    assert (row["format"], row["size_bytes"]) == ("xz", len(packed(MODEL)))
    assert f"{row['size_bytes']:,} bytes" in text


def test_page_shows_the_packed_size_where_both_models_were_packed(tmp_path):
    side = report()["result"] | {"packed_bytes": 200_000}
    both = report(baseline=side, result=side | {"packed_bytes": 10_000})
    write_bundle(tmp_path, both, {"model.onnx": MODEL}, usage=USAGE)
    texts = Page((tmp_path / "report.html").read_text()).texts
    row = texts[texts.index("Packed (.xz)") :]
    assert {"200 kB", "10.0 kB", "20.0× smaller"} <= set(row[:8])
    other = report(baseline=side | {"packed_bytes": None}, result=side)
    write_bundle(tmp_path, other, {"model.onnx": MODEL}, usage=USAGE)
    assert "Packed (.xz)" not in (tmp_path / "report.html").read_text()


def test_bundle_is_called_after_model_device_latency_and_accuracy():
    assert bundle_name(report()) == "lenet-5@redmi-3s@0.31ms@98.7"
    assert bundle_name(report(target="this-host")) == "lenet-5@this-host@0.051ms@98.7"


class Page(HTMLParser):
    """Checks that tags close, and collects texts and what would be fetched."""

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.links = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "rect", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_page_is_whole_escaped_and_fetches_nothing(bundle):
    html = (bundle[0] / "report.html").read_text()
    page = Page(html)
    assert page.open == []
    assert page.links == []
    assert "<script" not in html
    assert "<conv&2>" in page.texts
    assert "&lt;conv&amp;2&gt;" in html


def test_page_keeps_measured_and_predicted_apart(bundle):
    texts = Page((bundle[0] / "report.html").read_text()).texts
    assert any(text.startswith("measured, 95 % interval") for text in texts)
    assert "predicted (similar chip), 0.20 ms to 0.50 ms" in texts
    assert "Limit missed: accuracy lost is 0.400 points, allowed are 0.200 points." in texts


def test_page_says_how_far_the_rounds_lie_apart(bundle):
    page = (bundle[0] / "report.html").read_text()
    assert "40 rounds in turns, 8 in 10 between 0.0498 and 0.0600 ms" in page


def test_page_says_who_answered_and_how_far_from_the_best_that_can_be(tmp_path):
    search = {"selector": "dqn", "gap_to_best_found": 0.0, "answered_by": "nsga2"}
    found = report(search=search | {"gap_bound": 0.0123})
    write_bundle(tmp_path, found, {"model.onnx": MODEL}, usage=USAGE)
    html = (tmp_path / "report.html").read_text()
    assert "answered by NSGA-II, gap to the best found 0.00 %" in html
    assert "proven to be at most 1.2 % from the best possible" in html
    found = report(search=search | {"gap_bound": None})
    write_bundle(tmp_path, found, {"model.onnx": MODEL}, usage=USAGE)
    assert "best possible" not in (tmp_path / "report.html").read_text()
    found = report(search={"answered_by": "chosen", "gap_to_best_found": None})
    write_bundle(tmp_path, found, {"model.onnx": MODEL}, usage=USAGE)
    html = (tmp_path / "report.html").read_text()
    assert "chosen by hand" in html
    assert "gap to the best found" not in html


def test_page_says_what_undoing_a_choice_and_the_next_best_would_change(tmp_path):
    change = {"drop_points": -0.31, "latency_ms": 0.42, "energy_mj": 1.5, "size_bytes": 12345.0}
    undo = change | {"score": -0.1, "breaks": ["max_size_bytes"]}
    other = {"technique": "svd", "level": "1/4", "change": undo | {"breaks": []}}
    layer = {"layer": "conv1", "ms_before": 0.5, "ms_after": 0.1}
    found = report(layers=[layer | {"undo": undo, "alternatives": [other]}, layer])
    write_bundle(tmp_path, found, {"model.onnx": MODEL}, usage=USAGE)
    texts = Page((tmp_path / "report.html").read_text()).texts
    assert {
        "untouched",
        "Low-rank (SVD) (1/4)",
        "+0.42 ms",
        "+1.5 mJ",
        "+12 kB",
        "+0.31 points",
    } <= set(texts)
    assert texts.count("size") == 1


def test_page_of_a_build_without_labels_or_layers_stands(tmp_path):
    side = report()["result"] | {"accuracy_kind": "agreement"}
    bare = report(result=side, baseline=side, layers=[], per_class=[], flipped={}, recipe=[])
    usage = Usage(input_name="x", input_shape=(784,), output_names=("y",))
    write_bundle(tmp_path, bare, {"model.onnx": MODEL}, usage=usage)
    texts = Page((tmp_path / "report.html").read_text()).texts
    assert "Agreement with the original" in texts
    assert "Nothing was changed: no technique paid within these limits." in texts


def test_numbers_are_short_and_signed():
    assert digits(1234.5, 2) == "1,200"
    assert digits(0.0456, 2) == "0.046"
    assert predicted(0.001, "ms") == "<0.01 ms"
    assert points(-0.5) == "−0.50 points"
    assert points(-0.001) == "0.00 points"
    assert ratio(8.44, "faster", "slower") == "8.4× faster"
    assert ratio(0.5, "faster", "slower") == "2.0× slower"
    assert ratio(1.044, "fewer", "more") == "4 % fewer"
    assert ratio(0.96, "fewer", "more") == "4 % more"
    assert ratio(1.002, "faster", "slower") == "unchanged"
    assert size(1_840_000) == "1.84 MB"
    assert count(416_520) == "417 k"
    assert count(120) == "120"


@pytest.mark.parametrize(
    ("kind", "words", "shown"),
    [
        ("accuracy", "accuracy", "accuracy"),
        ("agreement", "agreement of positions", "agreement with the original of positions"),
        (
            "agreement_on_synthetic_inputs",
            "agreement on synthetic inputs",
            "agreement with the original on synthetic inputs",
        ),
    ],
)
def test_page_and_readme_say_what_the_accuracy_is_of(tmp_path, kind, words, shown):
    facts = report()
    for side in ("baseline", "result"):
        facts[side] = facts[side] | {"accuracy_kind": kind, "accuracy_words": words}
    write_bundle(tmp_path, facts, {"model.onnx": MODEL}, usage=USAGE)
    page, readme = ((tmp_path / name).read_text() for name in ("report.html", "README.md"))
    assert f"{shown}, −0.40 points" in page
    assert f"<td>{shown.capitalize()}</td>" in page
    assert f"- {shown}: 98.70 %" in readme
    assert ("synthetic inputs" in page) == (kind == "agreement_on_synthetic_inputs")


def test_values_are_reported_with_their_relative_error(tmp_path):
    facts = report(relative_error=0.0712)
    write_bundle(tmp_path, facts, {"model.onnx": MODEL}, usage=USAGE)
    assert "relative error 7.12 %" in (tmp_path / "report.html").read_text()
