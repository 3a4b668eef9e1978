import json
import math
from importlib import import_module

import numpy as np
import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.http import Http404

from compression.cost import band, device_names, latency_ms, load_device
from compression.device_profiles import parse_profile
from compression.suitability import unlike
from compression.types import Precision
from selector.request import read_request
from tests.webapp import making
from webapp.devices import services
from webapp.devices.fitting import known_profile, prior_profile
from webapp.devices.kit import kit_graphs
from webapp.devices.models import Measurement, OwnDevice
from webapp.devices.services import (
    MOST_MEASUREMENTS,
    MOST_RUNS,
    Run,
    own_device_create,
    own_device_delete,
    own_device_rename,
    own_device_share,
    runs_record,
)
from webapp.devices.targets import own_profile, profile_text, target_profile, target_profiles
from webapp.jobs import knowledge
from webapp.jobs.folders import write_json
from webapp.jobs.knowledge import target_of
from webapp.jobs.models import JobState
from webapp.responses import RequestRefusedError

pytestmark = pytest.mark.django_db(transaction=True)


def create(owner, **values):
    usual = {
        "title": "My board",
        "prior": "rpi4",
        "runtime": "onnxruntime",
        "threads": 1,
        "arithmetic": "fp32",
        "means": "kit",
    }
    return own_device_create(owner=owner, **{**usual, **values})


def kit_runs(factor=2.0, names=None, prior="rpi4", precision=Precision.FP32):
    """What a device would time that is so many times slower than one of the catalogue."""
    board = load_device(prior)
    times = {
        graph.name: factor * float(latency_ms(np.array(graph.features), board, precision))
        for graph in kit_graphs().values()
    }
    return [
        Run(name, [ms * f for f in (0.98, 1.0, 1.03)])
        for name, ms in times.items()
        if not names or name in names
    ]


def measured(owner, factor=2.0, **values):
    device = create(owner, **values)
    runs_record(device=device, runs=kit_runs(factor), environment={"cores": 4})
    device.refresh_from_db()
    return device


def test_measured_device_is_calibrated(user):
    device = create(user)
    outcome = runs_record(device=device, runs=kit_runs(), environment={"cores": 4})
    assert len(outcome.used) == len(kit_graphs())
    assert outcome.refused == {}
    assert outcome.error_before > 0.4
    assert outcome.error_after < 0.1
    profile = target_profile(owner=user, name=device.key)
    assert (profile.label, profile.title, profile.runtime) == (
        "calibrated",
        "My board",
        "onnxruntime",
    )
    assert profile.rates["conv3x3_s1"] == pytest.approx(
        load_device("rpi4").rates["conv3x3_s1"] / 2, rel=0.15
    )
    assert "Measured by its owner on" in profile.sources["rate_gmacs"]
    assert profile.sources["power_w"].startswith("Taken over from Raspberry Pi 4B")


def test_device_in_a_runtime_that_was_compared_starts_from_that_runtime(user):
    usual, other = create(user), create(user, title="Mine", runtime="TFLite 1.15")
    fast, slow = prior_profile(usual), prior_profile(other)
    assert slow.rates["conv3x3_s1"] < fast.rates["conv3x3_s1"]
    assert "TFLite 1.15 changed" in slow.sources["rate_gmacs"]
    runs_record(device=other, runs=kit_runs(), environment={})
    other.refresh_from_db()
    assert own_profile(other).rates["conv3x3_s1"] == pytest.approx(
        load_device("rpi4").rates["conv3x3_s1"] / 2, rel=0.25
    )


def test_profile_of_a_device_is_a_file_of_the_catalogue(user):
    device = measured(user)
    again = parse_profile(device.key, device.profile)
    assert profile_text(again) == device.profile
    for name in device_names()[1:]:
        known = load_device(name)
        read = parse_profile(name, profile_text(known))
        for field in known.__slots__:
            assert getattr(read, field) == getattr(known, field), (name, field)


def test_raw_runs_are_kept_with_the_environment(user):
    device = measured(user)
    rows = device.measurements.all()
    assert len(rows) == len(kit_graphs())
    assert [len(row.runs_ms) for row in rows] == [3] * len(rows)
    assert rows[0].environment == {"cores": 4}


def test_newest_measurement_of_a_graph_counts(user):
    device = measured(user, factor=4.0)
    runs_record(device=device, runs=kit_runs(1.0), environment={})
    device.refresh_from_db()
    fast = own_profile(device).rates["conv3x3_s1"]
    assert fast == pytest.approx(load_device("rpi4").rates["conv3x3_s1"], rel=0.1)
    assert device.measurements.count() == 2 * len(kit_graphs())


@pytest.mark.parametrize(
    ("runs_ms", "reason"),
    [
        ([5.0, -3], "-3 ms is no time"),
        ([0.0], "0 ms is no time"),
        ([math.nan], "nan ms is no time"),
        ([math.inf], "inf ms is no time"),
        ([10**400], "inf ms is no time"),
        (["fast"], "nan ms is no time"),
        ([True], "nan ms is no time"),
        ([], "there are no runs"),
        ([1e9], "times more than the"),
        ([1e-9], "times less than the"),
    ],
)
def test_absurd_measurement_is_kept_but_set_aside(user, runs_ms, reason):
    device = create(user)
    good = kit_runs(names=("conv1x1-64", "mobile"))
    outcome = runs_record(device=device, runs=[*good, Run("sums", runs_ms)], environment={})
    assert reason in outcome.refused["sums"]
    assert {row.name for row in outcome.used} == {"conv1x1-64", "mobile"}
    kept = Measurement.objects.get(device=device, name="sums")
    assert reason in kept.refused
    assert len(kept.runs_ms) == len(runs_ms)


def test_refused_runs_alone_change_neither_profile_nor_date(user):
    device = measured(user)
    before = device.profile, device.measured
    runs_record(device=device, runs=[Run("sums", [-1])], environment={})
    device.refresh_from_db()
    assert (device.profile, device.measured) == before


def test_device_deleted_meanwhile_takes_nothing(user):
    device = create(user)
    OwnDevice.objects.all().delete()
    with pytest.raises(Http404, match="deleted in the meantime"):
        runs_record(device=device, runs=kit_runs(), environment={})
    assert not Measurement.objects.exists()


def test_nothing_usable_leaves_the_device_unmeasured(user):
    device = create(user)
    outcome = runs_record(device=device, runs=[Run("sums", [-1])], environment={})
    assert (outcome.used, outcome.error_before) == ((), None)
    with pytest.raises(Http404, match="My board has not been measured yet"):
        target_profile(owner=user, name=device.key)
    assert device.key not in [d.name for d in target_profiles(owner=user)]


def test_unknown_graph_is_set_aside(user):
    outcome = runs_record(device=create(user), runs=[Run("conv9x9", [1.0])], environment={})
    assert "no graph or network 'conv9x9'" in outcome.refused["conv9x9"]


def test_few_kinds_of_layers_leave_a_wider_band_and_say_so(user):
    one, all_of_it = create(user), create(user)
    runs_record(device=one, runs=kit_runs(names=("dense-128",)), environment={})
    runs_record(device=all_of_it, runs=kit_runs(), environment={})
    narrow, wide = own_profile(all_of_it), own_profile(one)
    assert band(wide).high > 1.02 * band(narrow).high
    assert "The band is wider" in wide.note
    assert "The band is wider" not in narrow.note


def test_device_whose_kit_timed_1d_convolutions_is_not_said_to_lack_them(user):
    with_1d, without = create(user), create(user)
    runs_record(device=with_1d, runs=kit_runs(), environment={})
    runs_record(device=without, runs=kit_runs(names=("mobile", "residual")), environment={})
    layers = [("conv", (5,))]
    assert unlike(own_profile(with_1d), layers, 300e6) == ()
    assert unlike(own_profile(without), layers, 300e6) == ("one-dimensional convolutions",)


def test_times_that_do_not_follow_the_model_widen_the_band(user):
    rng = np.random.default_rng(0)
    device = create(user)
    noisy = [
        Run(run.name, [run.runs_ms[0] * math.exp(rng.normal(0, 0.5))]) for run in kit_runs()
    ]
    runs_record(device=device, runs=noisy, environment={})
    assert band(own_profile(device)).high > 1.6
    assert "do not follow the model closely" in own_profile(device).note


@pytest.mark.parametrize(
    ("runs", "environment", "sentence"),
    [
        ([], {}, "no measurements in this delivery"),
        ([Run("sums", [1.0])] * (MOST_MEASUREMENTS + 1), {}, "taken at once"),
        ([Run("sums", [1.0] * (MOST_RUNS + 1))], {}, "at most 2,000 runs"),
        ([Run("s" * 300, [1.0])], {}, "at most 200 letters"),
        ([Run("sums", [1.0])], {"x": "y" * 20_000}, "larger than 16 KiB"),
        ([Run("sums", [1.0])] * 100, {"x": "y" * 12_000}, "larger than 1 MiB"),
        ([Run("sums", [1.0])], {"x": math.nan}, "not plain JSON"),
    ],
)
def test_what_is_no_delivery_leaves_nothing(user, runs, environment, sentence):
    device = create(user)
    with pytest.raises(RequestRefusedError, match=sentence):
        runs_record(device=device, runs=runs, environment=environment)
    assert not device.measurements.exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"title": " \n "}, "title must have 1 to 100"),
        ({"title": "x" * 101}, "title must have 1 to 100"),
        ({"prior": "toaster"}, "'toaster' is no device of the catalogue"),
        ({"prior": "this-host"}, "no device of the catalogue to start from"),
        ({"threads": 0}, "Threads must be 1 to 256"),
        ({"arithmetic": "fp8"}, "no arithmetic 'fp8'"),
        ({"means": "guess"}, "no means 'guess'"),
        ({"arithmetic": "int8", "means": "agent"}, "Measure 8-bit arithmetic by a kit"),
    ],
)
def test_device_that_cannot_be_is_refused(user, values, sentence):
    with pytest.raises(RequestRefusedError, match=sentence):
        create(user, **values)


def test_devices_of_an_owner_are_as_many_as_one_may_have(user, stranger, monkeypatch):
    monkeypatch.setattr(services, "MOST_DEVICES", 2)
    for _ in range(2):
        create(user)
    with pytest.raises(RequestRefusedError, match="2 devices, which is the most") as refused:
        create(user)
    assert (refused.value.code, refused.value.status) == ("quota", 409)
    create(stranger)
    OwnDevice.objects.filter(owner=user).first().delete()
    create(user)


def test_device_is_private_unless_shared(user, stranger):
    device = measured(user)
    with pytest.raises(Http404, match="There is no device"):
        target_profile(owner=stranger, name=device.key)
    assert device.key not in [d.name for d in target_profiles(owner=stranger)]
    own_device_share(device=device, shared=True)
    assert target_profile(owner=stranger, name=device.key).title == "My board"
    own_device_share(device=device, shared=False)
    with pytest.raises(Http404):
        target_profile(owner=stranger, name=device.key)


@pytest.mark.parametrize(
    "name", ["toaster", "own-", "own-12", "own-{}", None, 7, ["rpi4"], "../rpi4.toml"]
)
def test_names_of_nothing_are_not_found(user, name):
    with pytest.raises(Http404, match="There is no device"):
        target_profile(owner=user, name=name)


def test_renamed_device_keeps_its_figures(user):
    device = measured(user)
    before = own_profile(device)
    own_device_rename(device=device, title='<b>"Ünïcode"</b>\x07 🚀')
    after = target_profile(owner=user, name=device.key)
    assert after.title == '<b>"Ünïcode"</b> 🚀'
    assert after.rates == before.rates


def test_same_profile_is_the_same_object_until_measured_again(user):
    device = measured(user)
    first = target_profile(owner=user, name=device.key)
    assert target_profile(owner=user, name=device.key) is first
    runs_record(device=device, runs=kit_runs(3.0), environment={})
    assert target_profile(owner=user, name=device.key) is not first


@pytest.fixture
def project(user, study_folder):
    return making.studied(user, study_folder)


def post(client, path, **values):
    return client.post(path, values, content_type="application/json")


def test_studio_answers_for_ones_own_device(client, user, project):
    device = measured(user, factor=3.0)
    url = f"/api/projects/{project.id}"
    found = client.get(f"{url}/studio?target={device.key}").json()
    assert found["targets"][0]["name"] == device.key
    assert found["targets"][0]["family"] == "own"
    board = client.get(f"{url}/studio?target=rpi4").json()
    slower = found["baseline"]["latency_ms"] / board["baseline"]["latency_ms"]
    assert slower == pytest.approx(3.0, rel=0.2)
    assert found["bands"]["labels"]["latency"] == "calibrated"
    rows = post(client, f"{url}/devices", target=device.key).json()["devices"]
    assert rows[0]["name"] == device.key
    selected = post(client, f"{url}/select", target=device.key).json()["selection"]
    assert selected["prediction"]["latency_ms"]["label"] == "calibrated"


def test_answers_follow_a_device_that_is_measured_again(client, user, project):
    device = measured(user)
    url = f"/api/projects/{project.id}"

    def baseline():
        post(client, f"{url}/select", target=device.key)
        return client.get(f"{url}/studio?target={device.key}").json()["baseline"]["latency_ms"]

    before = baseline()
    runs_record(device=device, runs=kit_runs(6.0), environment={})
    assert baseline() == pytest.approx(3 * before, rel=0.2)


def test_strangers_device_is_unknown_everywhere(client, user, stranger, project):
    device = measured(stranger)
    url = f"/api/projects/{project.id}"
    asked = [
        post(client, f"{url}/{p}", target=device.key)
        for p in ("select", "devices", "builds", "settings")
    ]
    asked.append(client.get(f"{url}/studio?target={device.key}"))
    asked.append(client.get(f"/devices/{device.key}/"))
    assert {answer.status_code for answer in asked} == {404}
    assert device.key not in [
        row["name"] for row in client.get("/api/devices").json()["targets"]
    ]


def test_build_remembers_the_profile_it_was_made_with(client, user, project, work_off):
    device = measured(user)
    answer = post(client, f"/api/projects/{project.id}/builds", target=device.key)
    assert answer.status_code == 201, answer.content
    project.refresh_from_db()
    build = project.study.job.builds.get()
    rates = own_profile(device).rates
    runs_record(device=device, runs=kit_runs(9.0), environment={})
    own_device_delete(device=OwnDevice.objects.get(pk=device.pk))
    assert target_of(build).rates == rates
    assert read_request(build.folder / "request.json").device.rates == rates
    page = client.get(f"/api/jobs/{build.id}").json()
    assert page["target"]["title"] == "My board"
    work_off()
    build.refresh_from_db()
    assert build.state == JobState.DONE
    assert client.get(f"/api/jobs/{build.id}/figures").status_code == 200


def test_project_whose_device_is_gone_falls_back_and_says_so(client, user, project):
    device = measured(user)
    url = f"/api/projects/{project.id}"
    post(client, f"{url}/settings", target=device.key)
    own_device_delete(device=device)
    found = client.get(f"{url}/studio").json()
    assert found["target"]["name"] == "this-host"
    assert "no more" in found["target_notes"][0]
    assert client.get("/").status_code == 200


@pytest.fixture(params=["stm32-h7a3", "rpi4"])
def in_8_bits(request, user):
    """A device whose kit took exactly what its prior says of 8 bits."""
    device = create(user, prior=request.param, arithmetic="int8")
    runs = kit_runs(1.0, prior=device.prior, precision=Precision.INT8)
    runs_record(device=device, runs=runs, environment={})
    device.refresh_from_db()
    return device


def eight_bit_ratios(device):
    """Predicted 8-bit times of the kit over those of the prior."""
    profile, prior = known_profile(device), load_device(device.prior)
    features = np.array([graph.features for graph in kit_graphs().values()])
    return latency_ms(features, profile, Precision.INT8) / latency_ms(
        features, prior, Precision.INT8
    )


def test_device_measured_in_8_bits_predicts_its_own_8_bit_times(in_8_bits):
    assert not in_8_bits.measurements.exclude(refused="").exists()
    assert eight_bit_ratios(in_8_bits) == pytest.approx(1.0, abs=0.02)
    assert known_profile(in_8_bits).arithmetic == "int8"
    assert "float times are taken over" in known_profile(in_8_bits).note


def test_device_in_8_bits_is_known_by_its_prior_before_it_is_measured(user):
    device = create(user, prior="rpi4", arithmetic="int8")
    assert known_profile(device).arithmetic == "int8"
    assert eight_bit_ratios(device) == pytest.approx(1.0)


def test_device_that_was_fitted_as_if_in_float_is_fitted_again(in_8_bits, file):
    right = in_8_bits.profile
    name = f"artifact:{file.pk}"
    runs_record(device=in_8_bits, runs=[Run(name, [2.0])], environment={})
    OwnDevice.objects.update(profile="label = 1")
    migration = import_module("webapp.devices.migrations.0003_refit_8_bit_devices")
    before = MigrationLoader(connection).project_state([("devices", "0002_pairing")]).apps
    migration.refit(before, None)
    in_8_bits.refresh_from_db()
    assert in_8_bits.profile == right
    assert "Send it again" in in_8_bits.measurements.get(name=name).refused


def test_originals_are_timed_by_what_the_study_recorded(user, project):
    device = create(user)
    name = f"model:{project.study.job.id}"
    outcome = runs_record(device=device, runs=[Run(name, [2.0, 2.1])], environment={})
    assert [row.name for row in outcome.used] == ["tiny, original"]
    assert Measurement.objects.get().features[6] > 0


@pytest.fixture
def file(client, project, work_off):
    """A file of a build that left the network as it was."""
    post(client, f"/api/projects/{project.id}/builds", target="rpi4")
    work_off()
    build = project.study.job.builds.get()
    decisions = knowledge.surrogate(build).space.n_decisions
    write_json(build.folder / "RECOVER" / "recover.json", {"config": [0] * decisions})
    return build.artifacts.get(name="model.onnx")


def timed_features(user, name, **values):
    device = create(user, **values)
    runs_record(device=device, runs=[Run(name, [2.0])], environment={})
    return Measurement.objects.get(device=device)


def test_files_of_builds_are_timed_by_what_the_build_recorded(user, project, file):
    built = timed_features(user, f"artifact:{file.pk}")
    assert built.title == f"tiny, model.onnx of build {file.job.id.hex[:6]}"
    original = timed_features(user, f"model:{project.study.job.id}")
    assert built.features == pytest.approx(original.features)


def test_network_in_8_bits_counts_as_the_float_network_that_takes_as_long(user, file):
    as_float = timed_features(user, f"artifact:{file.pk}")
    report = json.loads((file.job.folder / "PACKAGE" / "report.json").read_text())
    report["artifacts"] = [{"path": "model.onnx", "precision": "int8", "primary": True}]
    write_json(file.job.folder / "PACKAGE" / "report.json", report)
    in_8_bits = timed_features(user, f"artifact:{file.pk}")
    board = load_device("rpi4")
    expected = latency_ms(np.array(as_float.features), board, Precision.INT8)
    found = latency_ms(np.array(in_8_bits.features), board, Precision.FP32)
    assert found == pytest.approx(float(expected))


def test_all_that_is_timed_in_8_bits_counts_as_it_is(user, file):
    as_float = timed_features(user, f"artifact:{file.pk}")
    report = json.loads((file.job.folder / "PACKAGE" / "report.json").read_text())
    report["artifacts"] = [{"path": "model.onnx", "precision": "int8", "primary": True}]
    write_json(file.job.folder / "PACKAGE" / "report.json", report)
    eight = timed_features(user, f"artifact:{file.pk}", arithmetic="int8")
    assert eight.features == pytest.approx(as_float.features)


def test_build_that_does_not_say_its_recipe_is_set_aside(user, file):
    write_json(file.job.folder / "RECOVER" / "recover.json", {})
    assert "no graph or network" in timed_features(user, f"artifact:{file.pk}").refused


def test_networks_of_others_cannot_be_named(stranger, project, file):
    device = create(stranger)
    theirs = f"model:{project.study.job.id}", f"artifact:{file.pk}"
    for name in (*theirs, "model:", "artifact:x"):
        outcome = runs_record(device=device, runs=[Run(name, [2.0])], environment={})
        assert "no graph or network" in outcome.refused[name]


def test_kit_is_served(client):
    rows = client.get("/devices/kit/kit.json").json()["graphs"]
    assert [row["name"] for row in rows] == list(kit_graphs())
    file = client.get(f"/devices/kit/{rows[0]['name']}.onnx")
    assert b"".join(file) == kit_graphs()[rows[0]["name"]].path.read_bytes()
    assert client.get("/devices/kit/secret.onnx").status_code == 404
