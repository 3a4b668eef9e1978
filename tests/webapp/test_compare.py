import json
import re
import uuid

import pytest

from tests.webapp import making
from webapp.comparison.comparing import matched
from webapp.comparison.configs import config_of
from webapp.jobs.folders import write_json
from webapp.jobs.models import Job, JobState
from webapp.projects import answers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(user, study_folder):
    return making.studied(user, study_folder)


def page(client, **sides):
    """What the page is told."""
    answer = client.get("/compare/", sides)
    assert answer.status_code == 200, answer.content[-300:]
    found = re.search(rb'id="page-data"[^>]*>(.*?)</script>', answer.content)
    return json.loads(found[1])


def delivered(user, project, **report):
    job = making.build(user, project)
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE)
    (job.folder / "PACKAGE").mkdir()
    write_json(job.folder / "PACKAGE" / "report.json", REPORT | report)
    return job


def recommended(project):
    """Its configuration, as it stands in an address."""
    policy = answers.policy_of(project)
    return ".".join(map(str, answers.config_of(project, policy, project.settings, None)))


def test_configuration_is_read_from_the_address():
    assert config_of("3.0x3.12x2.1") == [3, 0, 0, 0, 12, 12, 1]


@pytest.mark.parametrize("text", ["x", "1.", "a", "0x9999999999"])
def test_nonsense_in_the_address_is_refused(client, project, text):
    answer = client.get("/compare/", {"a": f"{project.id}@this-host@{text}"})
    assert answer.status_code == 400


def test_without_a_choice_the_recommended_recipe_stands_against_the_original(client, project):
    found = page(client)
    assert (found["a"]["title"], found["b"]["title"]) == ("Recommended", "Original")
    assert found["is_same_model"]
    assert not all(pair["same"] for pair in found["pairs"])
    assert (
        found["b"]["values"]["size_bytes"]["value"]
        > found["a"]["values"]["size_bytes"]["value"]
    )
    assert found["a"]["layers"][0]["text"].startswith("conv 5x5")


def test_recommended_recipe_is_known_by_its_configuration_too(client, project):
    found = page(client, a=f"{project.id}@this-host@{recommended(project)}")
    assert (found["a"]["title"], found["b"]["title"]) == ("Recommended", "Original")


def test_original_keeps_its_name_where_nothing_else_is_recommended(client, project):
    space = answers.policy_of(project).surrogate.space
    locks = dict.fromkeys((each.layer for each in space.decisions), "keep")
    project.settings |= {"locks": locks}
    project.save()
    found = page(client, a=f"{project.id}@this-host@original")
    assert all(pair["same"] for pair in found["pairs"])
    assert (found["a"]["title"], found["b"]["title"]) == ("Original", "Recommended")


def test_one_recipe_on_two_devices_differs_in_cost_alone(client, project):
    config = recommended(project)
    found = page(client, a=f"{project.id}@redmi-3s@{config}", b=f"{project.id}@rpi4@{config}")
    assert all(pair["same"] for pair in found["pairs"])
    a, b = found["a"]["values"], found["b"]["values"]
    assert a["latency_ms"]["value"] != b["latency_ms"]["value"]
    assert a["params"] == b["params"]
    fronts = [
        trace["name"]
        for trace in found["figures"]["tradeoff"]["data"]
        if "Best" in trace["name"]
    ]
    assert len(fronts) == 2


def test_build_stands_against_the_newest_other_build_with_measured_values(
    client, user, project
):
    older, newer = delivered(user, project), delivered(user, project, accuracy_drop_points=0.9)
    found = page(client, a=str(older.id))
    assert found["b"]["name"] == str(newer.id)
    assert found["a"]["values"]["accuracy_drop_points"]["label"] == "measured"
    assert found["a"]["values"]["latency_ms"] == {
        "value": 3.0,
        "low": pytest.approx(2.5),
        "high": pytest.approx(3.6),
        "label": "measured",
    }
    assert [pair["same"] for pair in found["pairs"]] == [True]


def test_build_names_who_found_its_recipe_where_that_is_not_the_usual_selector(
    client, user, project
):
    usual, other = delivered(user, project), delivered(user, project, accuracy_drop_points=0.9)
    Job.objects.filter(pk=other.pk).update(selector="greedy")
    found = page(client, a=str(usual.id), b=str(other.id))
    assert ", by " not in found["a"]["title"]
    assert found["b"]["title"].endswith(", by greedy search")
    titles = [build["title"] for build in found["choices"]["projects"][0]["builds"]]
    assert sum(title.endswith(" for This computer, by greedy search") for title in titles) == 1


def test_chart_writes_three_digits_only_of_what_was_timed(client, user, project):
    here, elsewhere = delivered(user, project), delivered(user, project, target="redmi-3s")
    Job.objects.filter(pk=elsewhere.pk).update(target="redmi-3s")
    figures = page(client, a=str(here.id), b=str(elsewhere.id))["figures"]
    summary = str(figures["tradeoff"]["layout"])
    assert "A at 3 ms" in summary
    assert "B at 3.3 ms" in summary


def test_choices_name_every_recipe_build_and_device(client, user, project):
    build = delivered(user, project)
    choices = page(client)["choices"]
    (listed,) = choices["projects"]
    assert [row["name"] for row in listed["builds"]] == [str(build.id)]
    assert len(choices["devices"]) > 30


def test_curves_of_two_builds_are_laid_over_each_other(client, user, project):
    jobs = [delivered(user, project) for _ in range(2)]
    for seq, job in enumerate(jobs, start=1):
        for step in (1, 2):
            job.events.create(
                seq=step,
                t=job.created,
                stage="RECOVER",
                kind="metric",
                data={"attempt": 0, "step": step, "accuracy": 0.9 + step / 100 + seq / 1000},
            )
    figures = page(client, a=str(jobs[0].id), b=str(jobs[1].id))["figures"]
    assert [trace["meta"]["role"] for trace in figures["recovery"]["data"]] == [
        "side-a",
        "side-b",
    ]
    assert figures["learning"] is None


def test_stranger_gets_404(client, stranger, study_folder):
    theirs = making.studied(stranger, study_folder)
    assert client.get("/compare/", {"a": f"{theirs.id}@this-host"}).status_code == 404
    assert client.get("/compare/", {"a": str(theirs.study.job.id)}).status_code == 404


def test_what_has_no_result_yet_cannot_be_compared(client, user):
    project = making.project(user)
    assert client.get("/compare/", {"a": f"{project.id}@this-host"}).status_code == 409
    build = making.build(user, project)
    answer = client.get("/compare/", {"a": str(build.id)})
    assert answer.status_code == 404
    assert b"no result yet" in answer.content
    assert client.get("/compare/", {"a": "nonsense"}).status_code == 404
    assert client.get("/compare/", {"a": str(uuid.uuid4())}).status_code == 404


def test_before_anything_is_studied_the_page_says_how_to_begin(client, user):
    answer = client.get("/compare/")
    assert b"Study a model first" in answer.content


def test_layers_of_different_networks_are_matched_by_name_in_order():
    def layers(*names):
        return [{"layer": n, "technique": "keep", "level": "", "stored": "fp32"} for n in names]

    pairs = matched(layers("a", "b", "c", "e"), layers("a", "c", "d", "e"))
    assert [(pair["a"], pair["b"]) for pair in pairs] == [
        (0, 0),
        (1, None),
        (2, 1),
        (None, 2),
        (3, 3),
    ]
    changed = layers("a")
    changed[0]["level"] = "1/2"
    assert not matched(layers("a"), changed)[0]["same"]


def test_programs_get_the_same_comparison(client, project):
    answer = client.get("/api/v1/compare", {"a": f"{project.id}@this-host"})
    assert answer.status_code == 200
    assert {"a", "b", "pairs", "figures"} <= set(answer.json())


REPORT = {
    "status": "met",
    "target": "this-host",
    "model_sha256": "c" * 64,
    "accuracy_drop_points": 0.4,
    "accuracy_drop_ci_points": [0.1, 0.7],
    "ratios": {"host_latency": 1.5, "size": 20.0},
    "ratio_ranges": {"host_latency": [1.25, 1.8]},
    "baseline": {"accuracy": 0.991, "size_bytes": 40000, "host_latency_ms": {"p50": 4.5}},
    "result": {"accuracy": 0.987, "size_bytes": 2000, "host_latency_ms": {"p50": 3.0}},
    "predicted": {
        name: {
            "baseline": 9.0,
            "result": 3.3125,
            "low": 3.0,
            "high": 4.0,
            "label": "calibrated",
        }
        for name in ("latency_ms", "energy_mj")
    },
    "layers": [{"layer": "conv1", "technique": "svd", "level": "1/2", "stored": "fp32"}],
    "artifacts": [],
}
