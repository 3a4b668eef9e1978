import hashlib
import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.db import connections

from tests.webapp import making
from tests.webapp.test_uploads import BAD_DATA, BAD_MODELS, files_of
from webapp.bodylimit import MOST_CHUNK_BYTES
from webapp.projects import storage
from webapp.projects.models import UPLOAD_KINDS, Dataset, Transfer, UploadedModel
from webapp.projects.services import upload_keep
from webapp.projects.transfers import MOST_AT_ONCE, transfers_sweep
from webapp.projects.upkeep import files_sweep

pytestmark = pytest.mark.django_db(transaction=True)

NPZ = making.npz_bytes()
SHA256 = hashlib.sha256(NPZ).hexdigest()
HALF = len(NPZ) // 2


class Sender:
    """Sends one file in chunks."""

    def __init__(self, program, content=NPZ, kind="data", **also):
        self.program, self.content = program, content
        about = {"kind": kind, "name": "points.npz", "size_bytes": len(content), **also}
        self.begun = program.post("transfers", about)
        self.path = f"transfers/{self.begun.json().get('id')}"

    def send(self, start, end, offset=None):
        begins = str(start if offset is None else offset)
        options = {"content_type": "any/thing", "headers": {"upload-offset": begins}}
        path = f"/api/v1/{self.path}"
        return self.program.client.generic("PATCH", path, self.content[start:end], **options)

    def received(self):
        return self.program.get(self.path).json()["received_bytes"]

    def finish(self):
        return self.program.post(f"{self.path}/finish")

    def give_up(self):
        return self.program.ask("DELETE", self.path)


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_file_in_chunks_becomes_the_upload(program, home):
    sender = Sender(program, sha256=SHA256.upper())
    assert sender.begun.json()["received_bytes"] == 0
    for start in range(0, len(NPZ), 100):
        assert sender.send(start, start + 100).status_code == 200
    assert sender.received() == len(NPZ)
    answer = sender.finish()
    assert answer.status_code == 201, answer.content
    stored = answer.json()
    assert (stored["sha256"], stored["name"], stored["kind"]) == (SHA256, "points.npz", "data")
    (path,) = files_of(home)
    assert path.read_bytes() == NPZ
    assert path.stat().st_mode & 0o777 == 0o400


def test_chunk_at_a_wrong_offset_is_told_the_right_one(program):
    sender = Sender(program)
    sender.send(0, 100)
    for start, end in ((200, 300), (50, 150)):
        answer = sender.send(start, end)
        assert error_of(answer) == (409, "wrong_offset")
        assert answer.json()["error"]["received_bytes"] == 100
    assert answer.json()["error"]["message"] == (
        "The next chunk begins at byte 100, this one at 50."
    )
    assert error_of(sender.send(100, 200, offset="x")) == (422, "invalid")


def test_chunk_that_comes_twice_changes_nothing(program):
    sender = Sender(program, sha256=SHA256)
    sender.send(0, HALF)
    again = sender.send(0, 100)
    assert (again.status_code, again.json()["received_bytes"]) == (200, HALF)
    sender.send(HALF, len(NPZ))
    assert sender.finish().status_code == 201
    assert sender.send(0, HALF).json()["upload"] == sender.finish().json()["id"]


def test_chunk_without_an_offset_is_refused(program):
    sender = Sender(program)
    answer = program.client.generic("PATCH", f"/api/v1/{sender.path}", b"x", "any/thing")
    assert error_of(answer) == (400, "no_offset")


def test_more_than_was_announced_is_refused(program):
    sender = Sender(program)
    sender.content = NPZ + b"more"
    assert error_of(sender.send(0, len(NPZ) + 4)) == (400, "too_long")
    assert sender.received() == 0


def test_chunk_beyond_the_limit_is_refused(program):
    sender = Sender(program, bytes(MOST_CHUNK_BYTES + 1))
    answer = sender.send(0, None)
    assert error_of(answer) == (413, "too_large")
    assert answer.json()["error"]["message"] == "A chunk has at most 8.0 MiB."


def test_chunk_that_broke_off_is_sent_again(program, user):
    sender = Sender(program, sha256=SHA256)
    sender.send(0, 100)
    broken = program.client.generic(
        "PATCH",
        f"/api/v1/{sender.path}",
        b"wrong bytes",
        "any/thing",
        headers={"upload-offset": "100"},
        **{"CONTENT_LENGTH": "500", "wsgi.input": io.BytesIO(b"wrong bytes")},
    )
    assert error_of(broken) == (400, "cut_short")
    assert sender.received() == 100
    sender.send(100, len(NPZ))
    assert sender.finish().status_code == 201


def test_two_that_send_the_same_upload_do_no_damage(program, home):
    senders = [Sender(program, sha256=SHA256) for _ in range(2)]
    assert senders[0].path == senders[1].path

    def work(sender):
        while (start := sender.received()) < len(NPZ):
            assert sender.send(start, start + 50).status_code in (200, 409)
        found = sender.finish().json()
        connections.close_all()
        return found

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(work, senders)
    assert one == two
    assert one["sha256"] == SHA256
    assert Dataset.objects.count() == len(files_of(home)) == 1


def test_finish_before_the_end_says_what_is_missing(program):
    sender = Sender(program)
    sender.send(0, 100)
    answer = sender.finish()
    assert error_of(answer) == (409, "incomplete")
    assert answer.json()["error"]["received_bytes"] == 100


def test_file_that_is_not_the_one_announced_leaves_nothing(program, home):
    sender = Sender(program, sha256="0" * 64)
    sender.send(0, len(NPZ))
    assert error_of(sender.finish()) == (422, "hash_differs")
    assert not files_of(home)
    assert program.get(sender.path).status_code == 404


@pytest.mark.parametrize(
    ("kind", "case"),
    [("model", "truncated"), ("model", "torch.save"), ("data", "bomb"), ("data", "outside")],
)
def test_file_is_judged_as_one_sent_at_once(program, home, kind, case):
    content, sentence = {"model": BAD_MODELS, "data": BAD_DATA}[kind][case]
    sender = Sender(program, content, kind)
    sender.send(0, None)
    answer = sender.finish()
    assert error_of(answer) == (422, "file_refused")
    assert sentence in answer.json()["error"]["message"]
    assert not files_of(home)
    assert not UPLOAD_KINDS[kind].objects.exists()


def test_given_up_leaves_nothing(program, home):
    sender = Sender(program)
    sender.send(0, 100)
    assert sender.give_up().status_code == 204
    assert not files_of(home)
    assert sender.send(100, 200).status_code == 404
    assert program.get("transfers").json() == {"transfers": []}


@pytest.mark.parametrize("known_by", [{"sha256": SHA256}, {"fingerprint": "17 ab"}])
def test_same_file_begun_again_goes_on(program, known_by):
    first = Sender(program, **known_by)
    first.send(0, 100)
    again = Sender(program, **known_by)
    assert (again.path, again.begun.json()["received_bytes"]) == (first.path, 100)
    assert Sender(program, NPZ + b"x", **known_by).path != first.path
    assert Sender(program).path != Sender(program).path


def test_finished_upload_is_not_gone_on_with(program):
    sender = Sender(program, sha256=SHA256)
    sender.send(0, None)
    sender.finish()
    assert Sender(program, sha256=SHA256).path != sender.path


def test_killed_while_finishing_is_finished_once_more(program, user, home):
    sender = Sender(program)
    sender.send(0, None)
    part = storage.part_whole(Transfer.objects.get().path)
    upload_keep(Dataset, owner=user, name="points.npz", part=part)  # and no further
    assert sender.finish().json()["sha256"] == SHA256
    assert len(files_of(home)) == 1


def test_part_that_is_lost_is_begun_again(program):
    sender = Sender(program, sha256=SHA256)
    sender.send(0, 100)
    Transfer.objects.get().path.write_bytes(b"")
    assert sender.send(100, 200).status_code == 404
    assert Sender(program, sha256=SHA256).path != sender.path
    assert sender.give_up().status_code == 204


def test_name_never_becomes_a_path(program, home):
    making_up = program.post(
        "transfers", {"kind": "data", "name": "../../x\0.npz", "size_bytes": 5}
    )
    assert making_up.json()["name"] == "x.npz"
    (path,) = files_of(home)
    assert path.parent == home / "uploads"


@pytest.mark.parametrize("others", [False, True])
def test_announced_bytes_count_before_they_come(program, settings, others):
    name = "TOTAL_QUOTA_BYTES" if others else "USER_QUOTA_BYTES"
    setattr(settings, name, 2 * len(NPZ) + 10)
    first = Sender(program)
    first.send(0, HALF)
    assert Sender(program).begun.status_code == 200
    refused = Sender(program).begun
    assert error_of(refused) == (507 if others else 413, "quota")
    assert error_of(program.send("data", NPZ))[1] == "quota"
    first.give_up()
    assert Sender(program).begun.status_code == 200


def test_room_is_kept_for_what_was_announced(program, settings, monkeypatch):
    settings.UPLOAD_SPARE_BYTES = 0
    free = SimpleNamespace(free=2 * len(NPZ) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    assert Sender(program).begun.status_code == 200
    refused = Sender(program).begun
    assert error_of(refused) == (507, "disk_full")
    assert "Others that are being sent need" in refused.json()["error"]["message"]


def test_empty_and_oversized_files_are_refused_before_they_come(program, settings):
    assert error_of(Sender(program, b"").begun) == (422, "file_refused")
    settings.UPLOAD_LIMIT_BYTES = 10
    assert error_of(Sender(program).begun) == (413, "too_large")


def test_hundreds_are_not_begun(program):
    for _ in range(MOST_AT_ONCE):
        assert Sender(program).begun.status_code == 200
    assert error_of(Sender(program).begun) == (409, "too_many")


def test_what_nobody_goes_on_with_is_swept(program, home):
    sender = Sender(program)
    sender.send(0, 100)
    transfers_sweep()
    files_sweep(older_than_s=-1)
    assert sender.received() == 100
    transfers_sweep(older_than_s=-1)
    assert program.get(sender.path).status_code == 404
    assert not files_of(home)


def test_page_is_told_what_is_under_way(client, user):
    begun = making.begun(user, name="points.npz")
    making.begun(user, kind="model")
    page = client.get("/").content.decode()
    assert str(begun.pk) in page
    assert '"name": "points.npz"' in page


def test_model_in_chunks_becomes_a_project(program):
    sender = Sender(program, making.onnx_bytes(), "model")
    sender.send(0, None)
    model = sender.finish().json()["id"]
    assert program.post("projects", {"model": model}).status_code == 201
    assert UploadedModel.objects.get().pk.hex == model.replace("-", "")
