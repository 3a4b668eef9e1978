"""Rows that earlier versions left, in tables as they were then, are what the pages of today show."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps as apps_of_today
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from compression.cost import load_device
from tests.webapp import making
from tests.webapp.running import ROOT
from tests.webapp.test_job_pages import drain
from webapp.devices.targets import profile_text

pytestmark = pytest.mark.django_db(transaction=True)

OURS = ("accounts", "agents", "devices", "jobs", "projects")
FIRST = {
    "agents": None,
    "devices": None,
    "accounts": "0001_initial",
    "jobs": "0002_initial",
    "projects": "0001_initial",
}
WITH_SHARES_AND_DEVICES = FIRST | {"devices": "0001_initial", "jobs": "0004_shared_reports"}

THEN = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
RESULT = b"a small network"
REPORT = ROOT / "tests" / "js" / "fixtures" / "report.json"


@pytest.fixture
def migrate():
    """Brings the tables to a version, and at the end to the newest; the models as they were in that version."""

    def to(version):
        MigrationExecutor(connection).migrate(list(version.items()))
        loader = MigrationExecutor(connection).loader
        there = [(app, name) for app, name in version.items() if name]
        return loader.project_state([*there, *loader.graph.leaf_nodes("auth")]).apps

    newest = dict(
        node
        for node in MigrationExecutor(connection).loader.graph.leaf_nodes()
        if node[0] in OURS
    )
    yield lambda version=newest: to(version)
    to(newest)


class Installation:
    """What people had: rows by the models of then, files where they lay."""

    def __init__(self, old, home, study_folder):
        self.old, self.home = old, home
        self.owner = self.row("auth.User", username="local")
        self.study = self.job(kind="study", stage="VALIDATE")
        shutil.copytree(study_folder, home / "jobs" / str(self.study.pk))
        self.project = self.row(
            "projects.Project",
            owner=self.owner,
            name="Points",
            model=self.upload("projects.UploadedModel", making.onnx_bytes()),
            data=self.upload("projects.Dataset", making.npz_bytes(), format="npz"),
            study=self.row("projects.Study", owner=self.owner, key="0" * 64, job=self.study),
        )
        self.build = self.job(kind="build", stage="PACKAGE", study=self.study)
        for job in (self.study, self.build):
            job.project = self.project
            job.save()
        self.result()
        for seq, kind in enumerate(("log", "progress", "done"), start=1):
            self.row(
                "jobs.JobEvent",
                job=self.build,
                seq=seq,
                t=THEN,
                stage="PACKAGE",
                kind=kind,
                data={"text": f"line {seq}"},
            )

    def row(self, label, **fields):
        return self.old.get_model(label).objects.create(**fields)

    def job(self, **fields):
        ended = {"state": "done", "last_seq": 3, "started": THEN, "finished": THEN}
        return self.row("jobs.Job", owner=self.owner, target="rpi4", **ended, **fields)

    def upload(self, label, content, **fields):
        sha256 = hashlib.sha256(content).hexdigest()
        place = self.home / "uploads" / sha256[:2] / sha256
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        size = len(content)
        return self.row(
            label, owner=self.owner, name="file", sha256=sha256, size_bytes=size, **fields
        )

    def result(self):
        package = self.home / "jobs" / str(self.build.pk) / "PACKAGE"
        package.mkdir(parents=True)
        report = json.loads(REPORT.read_text(encoding="utf-8"))
        report["artifacts"] = [{"path": "model.onnx", "primary": True}]
        (package / "report.json").write_text(json.dumps(report))
        (package / "model.onnx").write_bytes(RESULT)
        self.row(
            "jobs.Artifact",
            job=self.build,
            name="model.onnx",
            path="PACKAGE/model.onnx",
            format="onnx",
            size_bytes=len(RESULT),
            sha256=hashlib.sha256(RESULT).hexdigest(),
            primary=True,
        )

    def share(self):
        return self.row(
            "jobs.SharedReport", job=self.build, expires=datetime.now(UTC) + timedelta(days=7)
        )

    def device(self):
        facts = {"title": "Board", "prior": "rpi4", "runtime": "onnxruntime", "means": "kit"}
        profile = profile_text(load_device("rpi4"))
        return self.row("devices.OwnDevice", owner=self.owner, profile=profile, **facts)


def rows(apps):
    return {
        model._meta.label: list(model.objects.order_by("pk").values())
        for app in OURS
        for model in apps.all_models[app].values()
    }


def test_nothing_of_the_first_tables_is_lost(migrate, home, study_folder):
    old = migrate(FIRST)
    Installation(old, home, study_folder)
    before = rows(old)
    assert len(before["jobs.Job"]) == 2
    migrate()
    after = rows(apps_of_today)
    for label, kept in before.items():
        same = [
            {name: new[name] for name in was}
            for was, new in zip(kept, after[label], strict=True)
        ]
        assert same == kept


def test_what_earlier_versions_left_is_shown(migrate, client, home, study_folder):
    there = Installation(migrate(WITH_SHARES_AND_DEVICES), home, study_folder)
    there.share()
    device = there.device()
    migrate()

    def told(address):
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.content)
        return answer.json() if answer["Content-Type"] == "application/json" else answer

    job = f"jobs/{there.build.pk}"
    assert (told(f"/api/{job}")["state"], told(f"/api/{job}")["target"]["name"]) == (
        "done",
        "rpi4",
    )
    events = told(f"/api/{job}/events")["events"]
    assert [event["data"]["text"] for event in events] == ["line 1", "line 2", "line 3"]
    assert b"".join(drain(told(f"/{job}/files/model.onnx"))) == RESULT
    told(f"/{job}/")
    told(f"/{job}/result/")
    (share,) = told(f"/api/{job}/shares")["shares"]
    assert b"Shared report, read only" in told(share["url"]).content
    (project,) = told("/api/projects")["projects"]
    assert (project["name"], project["id"]) == ("Points", str(there.project.pk))
    target = f"own-{device.pk.hex}"
    studio = told(f"/api/projects/{there.project.pk}/studio?target={target}")
    assert (studio["study"]["state"], len(studio["builds"])) == ("ready", 1)
    assert studio["selection"]["config"]
    told(f"/devices/{target}/")
    again = client.post(f"/api/projects/{there.project.pk}/builds", {}, "application/json")
    assert again.status_code == 201
