from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.webapp import making
from tests.webapp.test_job_pages import drain
from webapp.accounts.tokens import token_create
from webapp.jobs.models import SharedReport

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def built(user, work_off):
    job = making.build(user)
    work_off()
    job.refresh_from_db()
    return job


@pytest.fixture
def reader():
    """Somebody who was given the link."""
    return Client(headers={"host": "localhost"})


def shared(client, job, **wanted):
    answer = client.post(f"/api/jobs/{job.id}/shares", wanted, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_reader_sees_the_report_and_nothing_else(client, reader, built):
    share = shared(client, built, days=1)
    answer = reader.get(share["url"])
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Shared report, read only" in page
    assert str(built.id) not in page
    assert str(built.project.id) not in page
    assert "/files/" not in page
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_files_are_there_only_where_the_owner_allows(client, reader, built):
    without, with_files = shared(client, built), shared(client, built, with_files=True)
    assert reader.get(f"{without['url']}files/model.onnx").status_code == 404
    answer = reader.get(f"{with_files['url']}files/model.onnx")
    content = drain(answer) if answer.is_async else answer.streaming_content
    assert b"".join(content) == b"a small network"
    for name in ("request.json", "..%2Frequest.json", "nothing"):
        assert reader.get(f"{with_files['url']}files/{name}").status_code == 404


def test_link_ends_by_itself(client, reader, built):
    share = shared(client, built, days=7)
    row = SharedReport.objects.get()
    assert timedelta(days=6) < row.expires - timezone.now() <= timedelta(days=7)
    SharedReport.objects.update(expires=timezone.now())
    assert reader.get(share["url"]).status_code == 404
    assert client.get(f"/api/jobs/{built.id}/shares").json()["shares"] == []


def test_revoked_link_is_gone_at_once_and_revoking_twice_is_fine(client, reader, built):
    share = shared(client, built)
    for _ in range(2):
        answer = client.delete(f"/api/jobs/{built.id}/shares/{share['id']}")
        assert answer.status_code == 204
    assert reader.get(share["url"]).status_code == 404


@pytest.mark.parametrize("token", ["nothing", "0:0", "{id}", "{id}:forged"])
def test_nobody_gets_in_without_a_signed_token(client, reader, built, token):
    share = shared(client, built)
    assert reader.get(f"/shared/{token.format(**share)}/").status_code == 404


def test_deleting_the_job_ends_its_links(client, reader, built):
    share = shared(client, built)
    built.delete()
    assert reader.get(share["url"]).status_code == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {"days": 2},
        {"days": "7"},
        {"days": True},
        {"days": 1.0},
        {"days": 1, "with_files": "yes"},
    ],
)
def test_other_links_than_offered_are_refused(client, built, wanted):
    answer = client.post(
        f"/api/jobs/{built.id}/shares", wanted, content_type="application/json"
    )
    assert answer.status_code == 400
    assert "1, 7, 30 days" in answer.json()["error"]["message"]


def test_only_a_report_can_be_shared_and_only_by_its_owner(client, stranger, user):
    running = making.study(user)
    url = f"/api/jobs/{running.id}/shares"
    assert client.post(url, {}, content_type="application/json").status_code == 409
    theirs = making.study(stranger)
    assert client.get(f"/api/jobs/{theirs.id}/shares").status_code == 404


def test_local_mode_says_that_only_this_computer_can_open_it(client, built):
    assert "Only this computer" in client.get(f"/api/jobs/{built.id}/shares").json()["note"]


def test_programs_share_too(client, reader, built, user):
    headers = {"Authorization": f"Bearer {token_create(owner=user, name='test')}"}
    url = f"/api/v1/jobs/{built.id}/shares"
    share = client.post(url, {"days": 30}, content_type="application/json", headers=headers)
    assert share.status_code == 201
    assert reader.get(share.json()["url"]).status_code == 200
    assert client.delete(f"{url}/{share.json()['id']}", headers=headers).status_code == 204
    assert client.get(url, headers=headers).json()["shares"] == []
