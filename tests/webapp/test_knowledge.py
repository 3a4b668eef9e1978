"""What a web process holds of the studies that it answers from."""

import os
import shutil
import weakref
from types import SimpleNamespace

import pytest

from webapp.jobs import knowledge
from webapp.jobs.models import Job


class Loaded:
    """In the place of a policy; one that is held nowhere is gone."""


@pytest.fixture
def loaded(monkeypatch):
    """What was loaded, and where from, as long as somebody holds it."""
    found = []

    def load(folder, _surrogate, _past):
        policy = Loaded()
        found.append((folder.path, weakref.ref(policy)))
        return policy

    monkeypatch.setattr(knowledge, "load_policy", load)
    monkeypatch.setattr(knowledge, "load_surrogate", lambda _folder, _past: Loaded())
    return found


def alive(loaded):
    return [path for path, policy in loaded if policy() is not None]


def searching(folder):
    """As much of a job as counts here: a study in SEARCH."""
    (folder / "SEARCH").mkdir(parents=True)
    (folder / "SEARCH" / "so-far.npz").touch()
    return SimpleNamespace(folder=folder, builds=Job.objects.none())


def go_on(job, second):
    os.utime(job.folder / "SEARCH" / "so-far.npz", (second, second))


def test_search_that_goes_on_is_held_once_and_pushes_no_study_out(loaded, tmp_path):
    other, job = searching(tmp_path / "other"), searching(tmp_path / "job")
    knowledge.policy(other)
    for second in range(3 * knowledge.CACHED_STUDIES):
        go_on(job, second)
        knowledge.policy(job)
    assert len(loaded) == 1 + 3 * knowledge.CACHED_STUDIES
    assert alive(loaded) == [other.folder, job.folder]
    before = len(loaded)
    knowledge.policy(other)
    knowledge.policy(job)
    assert len(loaded) == before


def test_of_many_studies_the_last_asked_for_are_held(loaded, tmp_path):
    jobs = [searching(tmp_path / str(i)) for i in range(knowledge.CACHED_STUDIES + 1)]
    for job in jobs[:-1]:
        knowledge.policy(job)
    knowledge.policy(jobs[0])
    knowledge.policy(jobs[-1])
    assert alive(loaded) == [job.folder for job in (jobs[0], *jobs[2:])]


def test_policy_answers_by_the_predictions_that_are_held(study_folder, tmp_path):
    shutil.copytree(study_folder, tmp_path / "job")
    job = SimpleNamespace(folder=tmp_path / "job", builds=Job.objects.none())
    assert knowledge.policy(job).surrogate is knowledge.surrogate(job)


def test_technique_goes_by_its_numbers_in_the_paper_too():
    facts = {"letter": "S", "token": "tech-svd", "paper": "N. Lane et al."}
    found = knowledge.techniques_json({"techniques": {"svd": facts, "cp": facts}})
    assert found["svd"]["labels"] == ["W1", "C1"]
    assert found["svd"]["paper"] == "N. Lane et al."
    assert found["cp"]["labels"] == []
