import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from tests.webapp import making
from tests.webapp.sockets import OURS, Watcher
from webapp.accounts.leaving import sockets_close
from webapp.accounts.models import AuditEvent, EventKind, Invitation, Token
from webapp.accounts.tokens import token_create
from webapp.accounts.upkeep import accounts_sweep
from webapp.devices.models import OwnDevice
from webapp.devices.pairing import pairing_create
from webapp.jobs.models import Job, JobState
from webapp.projects.models import Dataset, Project, UploadedModel
from webapp.projects.quotas import coming_bytes, used_bytes
from webapp.projects.services import upload_store
from webapp.projects.upkeep import files_sweep, projects_expire
from webapp.responses import RequestRefusedError

pytestmark = pytest.mark.django_db(transaction=True)

OF_THE_ACCOUNT = (Token, Invitation)
"""What ends with the account, not with what was made."""


def delete(browser, **more):
    return browser.post("/account/data/delete/", {"words": "delete everything", **more})


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def rows_of(user):
    """Of each model that belongs to people: whether this person has some; a new model is seen by itself."""
    return {
        model.__name__: model._default_manager.filter(**{field.name: user}).exists()
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.many_to_one and field.related_model is User and model not in OF_THE_ACCOUNT
    }


@pytest.fixture
def hers(member, work_off):
    build = making.build(member)
    work_off()
    making.stored(UploadedModel, member, making.onnx_bytes("unused"))
    making.begun(member)
    OwnDevice.objects.create(owner=member, title="Board", prior="rpi4")
    pairing_create(owner=member, page="/")
    token_create(owner=member, name="ci")
    return build


def test_everything_goes_rows_and_files(hers, member, browser_of, home):
    assert all(rows_of(member).values()), "Let `hers` have one of these, too."
    assert delete(browser_of(member)).status_code == 302
    assert not any(rows_of(member).values()), "Let everything_delete know of this model."
    assert files_in(home / "uploads") == []
    assert files_in(home / "jobs") == []
    assert AuditEvent.objects.get(kind=EventKind.ALL_DELETED).account == "ada"


def test_nothing_goes_without_the_words(hers, member, browser_of):
    answer = browser_of(member).post("/account/data/delete/", {"words": "yes"})
    assert (answer.status_code, "Nothing was deleted." in answer.content.decode()) == (
        400,
        True,
    )
    assert Project.objects.count() == 1


def test_file_that_two_people_sent_stays_until_the_last_is_gone(member, admin, browser_of):
    making.project(member)
    path = making.project(admin).model.path
    delete(browser_of(member))
    assert path.read_bytes() == making.onnx_bytes()
    delete(browser_of(admin))
    assert not path.exists()


def test_account_goes_with_its_tokens_and_what_it_did_stays_known(hers, member, browser_of):
    browser = browser_of(member)
    assert delete(browser, account="on")["Location"] == "/login/"
    assert not User.objects.filter(username="ada").exists()
    assert not Token.objects.exists()
    assert browser.get("/").status_code == 302
    assert AuditEvent.objects.get(kind=EventKind.ACCOUNT_DELETED).account == "ada"


def test_last_administrator_keeps_the_account(admin, browser_of):
    making.project(admin)
    assert delete(browser_of(admin), account="on").status_code == 409
    assert Project.objects.count() == 1


def test_uploads_under_way_are_counted(member, browser_of):
    browser = browser_of(member)
    assert "under way" not in browser.get("/account/data/").content.decode()
    making.begun(member, bytes(3 * 1024**2))
    page = browser.get("/account/data/").content.decode()
    assert "1; room is kept for the 3.0 MiB still to come" in page


def test_linked_files_are_counted_once(member):
    project = making.project(member)
    job = project.study.job
    files = [*files_in(job.folder), project.model.path, project.data.path]
    sizes = {path.stat().st_ino: path.stat().st_size for path in files}
    assert len(sizes) == len(files) - 2
    assert used_bytes(member) == used_bytes() == sum(sizes.values())


def test_upload_beyond_ones_quota_is_refused_with_what_to_do(member, browser_of, settings):
    making.project(member)
    settings.USER_QUOTA_BYTES = used_bytes(member) + 10
    answer = browser_of(member).post(
        "/api/v1/uploads/model", making.onnx_bytes(), content_type="any/thing"
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "quota")
    assert "Delete a project that you no longer need" in answer.json()["error"]["message"]
    assert "of 0.0 MiB" in browser_of(member).get("/account/data/").content.decode()


class Meanwhile(io.BytesIO):
    """A file during whose arrival something else happens."""

    def __init__(self, content, other):
        super().__init__(content)
        self.other = other

    def read(self, size=-1, /):
        self.other()
        self.other = lambda: None
        return super().read(size)


def test_ten_uploads_at_once_do_not_pass_the_quota_together(member, settings):
    files = [making.npz_bytes(seed) for seed in range(10)]
    settings.USER_QUOTA_BYTES = 3 * max(map(len, files)) + 10

    def send(number):
        try:
            if number % 2:
                making.begun(member, files[number])
            else:
                making.stored(Dataset, member, files[number])
        except RequestRefusedError as error:
            return error.code
        finally:
            connections.close_all()
        return "kept"

    with ThreadPoolExecutor(10) as pool:
        outcomes = sorted(pool.map(send, range(10)))
    assert outcomes == ["kept"] * 3 + ["quota"] * 7
    assert used_bytes(member) + coming_bytes(member) <= settings.USER_QUOTA_BYTES


def test_room_of_an_upload_under_way_is_not_given_away(member, settings):
    model, data = making.onnx_bytes(), making.npz_bytes()
    settings.USER_QUOTA_BYTES = len(model) + len(data) - 1

    def two_more():
        assert coming_bytes(member) == len(model)
        with pytest.raises(RequestRefusedError, match=r"You use .*; this file has"):
            making.stored(Dataset, member, data)
        with pytest.raises(RequestRefusedError, match=r"You use .*; this file has"):
            making.begun(member, data)
        making.stored(Dataset, User.objects.create_user("bo"), data)

    stream = Meanwhile(model, two_more)
    upload_store(UploadedModel, owner=member, name="m", stream=stream, length=len(model))
    assert (used_bytes(member), coming_bytes(member)) == (len(model), 0)


def test_refused_upload_gives_its_room_back(member, settings):
    with pytest.raises(RequestRefusedError, match="not an ONNX file"):
        making.stored(UploadedModel, member, b"hello, this is not a model at all")
    assert (used_bytes(member), coming_bytes(member)) == (0, 0)


def test_no_job_starts_beyond_the_quota(member, browser_of, study_folder, settings):
    settings.USER_QUOTA_BYTES = 10**9
    project = making.studied(member, study_folder)
    settings.USER_QUOTA_BYTES = used_bytes(member) - 1
    for path in ("builds", "study"):
        answer = browser_of(member).post(
            f"/api/projects/{project.id}/{path}", {}, content_type="application/json"
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "quota")
        assert "nothing is left for what this makes" in answer.json()["error"]["message"]
    assert Job.objects.get().folder.is_dir()


def test_upload_beyond_everybodys_quota_is_refused(member, admin, browser_of, settings):
    making.project(admin)
    settings.TOTAL_QUOTA_BYTES = used_bytes() + 10
    answer = browser_of(member).post(
        "/api/v1/uploads/model", making.onnx_bytes(), content_type="any/thing"
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "quota")


def test_projects_end_with_their_time_but_not_while_they_are_worked_on(
    member, work_off, settings
):
    making.project(member)
    work_off()
    busy, young, slow = (making.project(member, seed=seed) for seed in (1, 2, 3))
    before, now = timezone.now() - timedelta(days=31), timezone.now()
    Project.objects.exclude(pk=young.pk).update(updated=before)
    Job.objects.update(created=before, finished=before)
    Job.objects.filter(pk=busy.study.job_id).update(finished=None)
    Job.objects.filter(pk=young.study.job_id).update(state=JobState.DONE)
    Job.objects.filter(pk=slow.study.job_id).update(state=JobState.DONE, finished=now)
    projects_expire()
    assert Project.objects.count() == 4
    settings.RETENTION_DAYS = 30
    projects_expire()
    kept = set(Project.objects.values_list("pk", flat=True))
    assert kept == {busy.pk, young.pk, slow.pk}
    event = AuditEvent.objects.get()
    assert (event.kind, event.detail) == (EventKind.PROJECT_EXPIRED, "tiny")


def test_bytes_that_no_record_names_are_swept(member, home):
    project = making.project(member)
    left = home / "uploads" / "x.part"
    left.write_bytes(b"left behind by a killed process")
    files_sweep(older_than_s=60)
    assert left.exists()
    files_sweep(older_than_s=-1)
    assert not left.exists()
    assert project.model.path.exists()


def test_old_events_end(settings):
    AuditEvent.objects.create(kind=EventKind.LOGIN, account="ada")
    accounts_sweep()
    assert AuditEvent.objects.count() == 1
    settings.AUDIT_DAYS = 0
    accounts_sweep()
    assert AuditEvent.objects.count() == 0


def test_deletions_and_sharing_are_noted(member, browser_of, work_off):
    browser = browser_of(member)
    built = making.build(member)
    work_off()
    device = OwnDevice.objects.create(owner=member, title="Board", prior="rpi4")
    shared = {"shared": True}
    path = f"/api/own-devices/{device.pk}"
    browser.post(f"{path}/settings", shared, content_type="application/json")
    browser.delete(path)
    link = {"days": 1, "with_files": False}
    shared = f"/api/jobs/{built.id}/shares"
    browser.post(shared, link, content_type="application/json")
    browser.delete(f"/api/projects/{built.project_id}")
    events = AuditEvent.objects.order_by("t").values_list("kind", "detail")
    assert list(events) == [
        (EventKind.DEVICE_SHARED, "Board"),
        (EventKind.DEVICE_DELETED, "Board"),
        (EventKind.REPORT_SHARED, str(built)),
        (EventKind.PROJECT_DELETED, "tiny"),
    ]


async def test_sockets_end_with_the_right_to_see(member, browser_of):
    job = await sync_to_async(making.study)(member)
    browser = await sync_to_async(browser_of)(member)
    cookie = f"sessionid={browser.cookies['sessionid'].value}".encode()
    watcher = Watcher(f"/ws/jobs/{job.id}/", [*OURS, (b"cookie", cookie)])
    await watcher.connect()
    await watcher.next()
    await sync_to_async(sockets_close)(member.pk)
    assert (await watcher.receive_output())["code"] == 4401


def test_pages_are_not_kept_by_the_browser_and_open_no_hardware(member, browser_of):
    answer = browser_of(member).get("/")
    assert answer["Cache-Control"] == "no-store"
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
