import io
import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from compression.cost import load_device
from compression.learner import Learner
from compression.training_checkpoint import Checkpoint
from compression.types import BUILD_STAGES, STUDY_STAGES, Stage
from selector import engine
from selector.choosing import read_recipe
from selector.errors import BadRequestError
from selector.jobfolder import JobFolder, Part
from selector.learning import learnt
from selector.plan import PLAN, read_rounds
from selector.report import check_report
from selector.reporter import CancelledError, Reporter
from selector.study import PAST_RECOVERIES, load_surrogate, past_recoveries
from tests import networks
from tests.pretend_converter import ANSWERING, make_environment

CLASSES, EXAMPLES = 10, 600


def write_request(folder, **changes):
    """LeNet in small, and data that it answers by its own lights."""
    model = networks.small_lenet()
    (folder / "net.onnx").write_bytes(model)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((EXAMPLES, *entry.shape[1:])).astype(np.float32)
    y = session.run(None, {entry.name: x})[0].argmax(1)
    np.savez(folder / "data.npz", x=x, y=y)
    request = {
        "model": "net.onnx",
        "data": "data.npz",
        "goals": {"accuracy": 0.2, "latency": 0.2, "energy": 0.1, "storage": 0.5},
        "time_limit_s": 20,
        "seed": 3,
        **changes,
    }
    path = folder / "request.json"
    path.write_text(json.dumps(request))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A job folder after a whole run, with its lines of progress."""
    folder = tmp_path_factory.mktemp("finished")
    request = write_request(folder)
    lines = io.StringIO()
    job = engine.prepare(request, folder / "out")
    status = engine.run(job, Reporter(stream=lines))
    return job, status, [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_run_leaves_a_report_that_the_schema_accepts(finished):
    job, status, _ = finished
    report = json.loads((job.path / "report.json").read_text())
    check_report(report)
    assert report["status"] == status == "met"
    assert report["ratios"]["size"] > 2
    assert report["search"]["candidates_built"] >= 2
    candidates = job.read_json(Stage.VALIDATE, "candidates.json")["candidates"]
    assert report["search"]["prediction_check"]["n_left_out"] == len(candidates)
    assert [row["id"] for row in candidates] == list(range(len(candidates)))
    assert len({tuple(row["config"]) for row in candidates}) == len(candidates)


def test_built_candidates_are_kept_for_other_devices_to_time(finished):
    job, _, _ = finished
    for row in job.read_json(Stage.VALIDATE, "candidates.json")["candidates"]:
        file = job.path / "VALIDATE" / f"candidate-{row['id']}.onnx"
        assert (row["kept"], len(file.read_bytes())) == (True, row["size_bytes"])
        ort.InferenceSession(file, providers=["CPUExecutionProvider"])


def test_the_reported_size_and_accuracy_are_those_of_the_file(finished):
    job, _, _ = finished
    report = json.loads((job.path / "report.json").read_text())
    primary = next(a for a in report["artifacts"] if a.get("primary"))
    model = (job.path / primary["path"]).read_bytes()
    assert len(model) == report["result"]["size_bytes"] == primary["size_bytes"]
    ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def test_installed_formats_join_the_bundle_and_one_that_fails_only_leaves_a_note(
    finished, tmp_path, monkeypatch
):
    shutil.copytree(finished[0].path, tmp_path / "job")
    monkeypatch.setenv("ADADEEP_EXTRAS", str(tmp_path))
    make_environment(tmp_path, "litert", ANSWERING)
    make_environment(tmp_path, "ncnn", "sys.exit('Lowering not found: erf')")
    job = JobFolder(tmp_path / "job")
    (job.path / "PACKAGE" / "package.json").unlink()
    engine.run_stage(Stage.PACKAGE, job, Reporter(stream=io.StringIO()), None)
    report = json.loads((job.path / "PACKAGE" / "report.json").read_text())
    check_report(report)
    row = next(row for row in report["artifacts"] if row["path"] == "model.bin")
    assert (row["format"], row["runtime"], row["size_bytes"]) == ("litert", "pretend 1.0", 3)
    assert row["verified"]
    assert row["made_from"] == "model.onnx"
    assert row["difference"] < 1e-5
    assert report["notes"][-1] == (
        "The converter to ncnn stopped with status 1: Lowering not found: erf"
    )
    with zipfile.ZipFile(job.path / "PACKAGE" / "bundle.zip") as bundle:
        assert any(name.endswith("/model.bin") for name in bundle.namelist())


def test_formats_are_left_out_with_a_note_when_every_file_computes_in_8_bits(
    finished, tmp_path, monkeypatch
):
    shutil.copytree(finished[0].path, tmp_path / "job")
    monkeypatch.setenv("ADADEEP_EXTRAS", str(tmp_path))
    make_environment(tmp_path, "litert", ANSWERING)
    make_environment(tmp_path, "ncnn", ANSWERING)
    job = JobFolder(tmp_path / "job")
    measured = job.read_json(Stage.MEASURE, "measure.json")
    for row in measured["artifacts"]:
        row["precision"] = "int8"
    job.write_json(Stage.MEASURE, "measure.json", measured)
    (job.path / "PACKAGE" / "package.json").unlink()
    engine.run_stage(Stage.PACKAGE, job, Reporter(stream=io.StringIO()), None)
    report = json.loads((job.path / "PACKAGE" / "report.json").read_text())
    said = [
        note for note in report["notes"] if "converters to other formats take float" in note
    ]
    assert len(said) == 1
    assert not any(row.get("runtime") for row in report["artifacts"])


def test_every_stage_begins_and_ends_in_order(finished):
    _, _, lines = finished
    done = [line["stage"] for line in lines if (line["kind"], line["part"]) == ("done", "1/1")]
    assert done == [stage.value for stage in (*STUDY_STAGES, *BUILD_STAGES)]
    assert {line["v"] for line in lines} == {1}
    assert any(line["kind"] == "candidate" for line in lines)


def test_a_stage_done_twice_changes_nothing(finished):
    job, _, _ = finished
    before = {p: p.stat().st_mtime_ns for p in job.path.rglob("*") if p.is_file()}
    for stage in (Stage.INSPECT, Stage.PROBE, Stage.RECOVER):
        engine.run_stage(stage, job, Reporter(stream=io.StringIO()), None)
    assert before == {p: p.stat().st_mtime_ns for p in job.path.rglob("*") if p.is_file()}


def inspected(folder, **changes):
    """A job folder after INSPECT."""
    job = engine.prepare(write_request(folder, **changes), folder / "out")
    engine.run_stage(Stage.INSPECT, job, Reporter(stream=io.StringIO()), None)
    return job


def arrays(job, *names):
    with np.load(job.stage_path(Stage.PROBE, "tables.npz")) as tables:
        return [tables[name] for name in names]


def test_parts_of_a_stage_add_up_to_the_whole(finished, tmp_path):
    job, _, _ = finished
    parted = inspected(tmp_path)
    parts = read_rounds(parted, Stage.PROBE).parts
    assert len(parts) > 1
    for part in parts:
        engine.run_stage(Stage.PROBE, parted, Reporter(stream=io.StringIO()), part)
    assert not parted.is_done(Stage.PROBE)
    engine.run_stage(Stage.PROBE, parted, Reporter(stream=io.StringIO()), None)
    for whole, joined in zip(
        arrays(job, "kl_width", "kl_structure"),
        arrays(parted, "kl_width", "kl_structure"),
        strict=True,
    ):
        np.testing.assert_allclose(whole, joined, rtol=1e-5)
    assert len(arrays(parted, "kl_pair")[0]) > 0


def test_a_part_says_which_part_it_needs_and_which_are_planned(tmp_path):
    job = inspected(tmp_path)
    quiet = Reporter(stream=io.StringIO())
    count = read_rounds(job, Stage.PROBE).count
    with pytest.raises(BadRequestError, match=f"needs part 1/{count} first"):
        engine.run_stage(Stage.PROBE, job, quiet, Part(count, count))
    with pytest.raises(BadRequestError, match=f"planned in {count} parts: --part I/{count}"):
        engine.run_stage(Stage.PROBE, job, quiet, Part(1, 50))
    with pytest.raises(BadRequestError, match="SEARCH cannot be done in parts"):
        engine.run_stage(Stage.SEARCH, job, quiet, Part(1, 2))


def test_plan_of_an_older_version_is_followed_and_what_it_left_is_read(tmp_path):
    """There, the first part held all times, those of 8 bits after those in float."""
    job = inspected(tmp_path)
    path, quiet = job.path / "INSPECT" / PLAN, Reporter(stream=io.StringIO())
    planned = json.loads(path.read_text())
    del planned["PROBE"]["apart"]
    path.unlink()
    path.write_text(json.dumps(planned))
    parts = read_rounds(job, Stage.PROBE).parts
    engine.run_told_parts(Stage.PROBE, job, quiet, [*map(str, parts), "end"])
    first = job.path / "PROBE" / job.part_name(parts[0], ".json")
    found = json.loads(first.read_text())
    assert found["kl"]
    assert found["networks"]
    times = [ms for name in ("fp32", "int8") for ms in found["op_ms"][name]]
    first.unlink()
    first.write_text(json.dumps(found | {"op_ms": times}))
    engine.run_told_parts(Stage.PROBE, job, quiet, ["join"])
    (host_ms,) = arrays(job, "host_ms")
    assert (host_ms[:, :, 0, 0, 0].sum(axis=1) > 0).all()


def test_parts_told_on_standard_input_are_done_and_joined(tmp_path):
    job = inspected(tmp_path)
    rounds = read_rounds(job, Stage.PROBE)
    told = [*map(str, rounds.parts), "join"]
    run = subprocess.run(
        [sys.executable, "-m", "selector", "stage", "PROBE", str(job.path), "--part", "-"],
        input="\n".join(told) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert job.is_done(Stage.PROBE)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["part"] for line in lines if line["kind"] == "done"] == [*told[:-1], "1/1"]


def test_of_each_round_the_candidates_that_train_longest_come_first(finished):
    job, _, _ = finished
    surrogate, here = load_surrogate(job), load_device("this-host")
    rows = job.read_json(Stage.VALIDATE, "candidates.json")["candidates"]
    sizes = iter(read_rounds(job, Stage.VALIDATE).sizes)
    while rows:
        size = next(sizes)
        built, rows = rows[:size], rows[size:]
        macs = surrogate.evaluate(np.array([row["config"] for row in built]), here).macs
        assert (np.diff(macs) <= 0).all()


@pytest.mark.slow
def test_the_recipe_of_a_run_rebuilds_the_same_network(finished, tmp_path):
    job, _, _ = finished
    quiet = Reporter(stream=io.StringIO())
    engine.apply(
        job.path / "INPUT" / "net.onnx",
        job.path / "recipe.json",
        job.path / "INPUT" / "data.npz",
        tmp_path / "again",
        quiet,
    )
    first = json.loads((job.path / "report.json").read_text())
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    assert again["recipe"] == first["recipe"]
    assert again["result"]["params"] == first["result"]["params"]
    jobs = [engine.job_of(folder, quiet) for folder in (job, JobFolder(tmp_path / "again"))]
    recipe = read_recipe(job.path / "recipe.json")
    one, other = (each.workbench.build(recipe).network.module.state_dict() for each in jobs)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_limit_that_nothing_meets_is_infeasible_and_delivered_all_the_same(tmp_path):
    request = write_request(tmp_path, budgets={"max_size_bytes": 100}, selector="greedy")
    job = engine.prepare(request, tmp_path / "out")
    assert engine.run(job, Reporter(stream=io.StringIO())) == "infeasible"
    assert (job.path / "model.onnx").is_file()
    conflict = json.loads((job.path / "report.json").read_text())["conflict"]
    assert conflict["sets"] == [["max_size_bytes"]]
    assert conflict["alone"]["max_size_bytes"] > 100
    assert (
        "By the predictions no recipe meets the limit on file size"
        in (job.path / "report.html").read_text()
    )


def test_a_stage_says_which_one_it_waits_for(tmp_path):
    job = engine.prepare(write_request(tmp_path), tmp_path / "out")
    with pytest.raises(BadRequestError, match="PROBE has not been run"):
        engine.run_stage(Stage.SEARCH, job, Reporter(stream=io.StringIO()), None)


def test_profile_of_ones_own_travels_with_the_job(tmp_path):
    catalogue = Path(engine.__file__).parents[1] / "compression" / "devices" / "rpi4.toml"
    (tmp_path / "my-board.toml").write_text(catalogue.read_text())
    request = write_request(tmp_path, target="my-board.toml")
    job = engine.job_of(engine.prepare(request, tmp_path / "out"), Reporter(io.StringIO()))
    (tmp_path / "my-board.toml").unlink()
    assert job.target.name == "my-board"
    assert [device.name for device in job.targets][-1] == "my-board"
    inside = json.loads((tmp_path / "out" / "request.json").read_text())
    assert inside["target"] == "my-board.toml"


def test_a_cancelled_job_stops_between_two_probes(tmp_path):
    job = engine.prepare(write_request(tmp_path), tmp_path / "out")
    reporter = Reporter(stream=io.StringIO())
    reporter.watch(io.StringIO(""))
    while not reporter.cancelled():
        time.sleep(0.01)
    with pytest.raises(CancelledError):
        engine.run_stage(Stage.INSPECT, job, reporter, None)
    assert not job.is_done(Stage.INSPECT)


def test_without_data_agreement_is_measured(tmp_path):
    request = write_request(tmp_path, data=None)
    job = engine.prepare(request, tmp_path / "out")
    engine.run_stage(Stage.INSPECT, job, Reporter(stream=io.StringIO()), None)
    baseline = job.read_json(Stage.INSPECT, "baseline.json")
    assert baseline["accuracy_kind"] == "agreement_on_synthetic_inputs"
    assert job.read_json(Stage.INSPECT, "inspect.json")["warnings"]


def command(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "selector", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        cwd=cwd or Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_a_bad_request_exits_with_2_and_a_sentence(tmp_path):
    request = write_request(tmp_path, colour="blue")
    result = command("run", request, "--out", tmp_path / "out")
    assert result.returncode == 2
    line = json.loads(result.stdout.splitlines()[-1])
    assert line["kind"] == "error"
    assert "colour" in line["data"]["message"]


def test_a_file_that_is_no_model_exits_with_2(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"not a network")
    (tmp_path / "request.json").write_text('{"model": "net.onnx"}')
    result = command("run", tmp_path / "request.json", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert json.loads(result.stdout.splitlines()[-1])["data"]["code"] == "model_refused"


def test_inspect_says_which_technique_fits_which_layer(tmp_path):
    (tmp_path / "net.onnx").write_bytes(networks.small_lenet())
    found = json.loads(command("inspect", tmp_path / "net.onnx").stdout)
    verdicts = {
        verdict
        for layer in found["layers"]
        for verdict in layer["applicable"].values()
        if verdict is not True
    }
    assert found["params"] > 0
    assert all(isinstance(verdict, str) and verdict for verdict in verdicts)


def test_folder_files_appear_whole_or_not_at_all(tmp_path):
    folder = JobFolder(tmp_path)

    def fail(path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.write_with(Stage.EXPORT, "model.onnx", fail)
    assert not list((tmp_path / "EXPORT").iterdir())


@pytest.mark.parametrize("text", ["0/2", "3/2", "x", "1/", "-1/2"])
def test_a_part_is_written_one_way(text):
    with pytest.raises(BadRequestError, match="3/8"):
        Part.parse(text)


class Killed(Exception):  # noqa: N818
    pass


class ReporterThatDies(Reporter):
    """As if the worker were killed at one look at the validation examples."""

    def __init__(self, looks):
        super().__init__(stream=io.StringIO())
        self.looks = looks

    def metric(self, **values):
        self.looks -= 1
        if not self.looks:
            raise Killed
        super().metric(**values)


def test_killed_recovery_goes_on_where_it_was(finished, tmp_path, monkeypatch):
    job, _, _ = finished
    folder = JobFolder(tmp_path / "out")
    shutil.copytree(job.path, folder.path)
    shutil.rmtree(folder.path / "RECOVER")
    with pytest.raises(Killed):
        engine.run_stage(Stage.RECOVER, folder, ReporterThatDies(8), None)
    kept = folder.path / "RECOVER" / "attempt-0.safetensors"
    done = Checkpoint.read(kept).facts["step"]
    assert done > 0
    updates = []
    learn = Learner.learn
    monkeypatch.setattr(Learner, "learn", lambda *a: updates.append(a[-1]) or learn(*a))
    engine.run_stage(Stage.RECOVER, folder, Reporter(stream=io.StringIO()), None)
    assert updates[0] == done + 1
    curve = folder.read_json(Stage.RECOVER, "recover.json")["curve"]
    steps = [point["step"] for point in curve if point["attempt"] == 0]
    assert steps == sorted(set(steps))
    assert not list((folder.path / "RECOVER").glob("attempt-*"))


def test_a_build_learns_from_what_earlier_ones_tried(finished, tmp_path):
    shutil.copytree(finished[0].path, tmp_path / "job")
    job = JobFolder(tmp_path / "job")
    tried = job.read_json(Stage.RECOVER, "recover.json")["attempts"]
    assert all(row["recovered"] and row["size_bytes"] > 0 for row in tried)
    lossy = [{**row, "drop_points": 0.1} for row in tried]
    (job.path / PAST_RECOVERIES).write_text(json.dumps(lossy))
    known, taught = load_surrogate(job), learnt(load_surrogate(job), past_recoveries(job))
    config = np.array([tried[0]["config"]])
    here = load_device("this-host")
    before, after = (each.evaluate(config, here).drop_points[0] for each in (known, taught))
    assert after < before
    (job.path / PAST_RECOVERIES).write_text(json.dumps([{**lossy[0], "config": [1, 2]}]))
    with pytest.raises(BadRequestError, match="builds of another study"):
        past_recoveries(job)
