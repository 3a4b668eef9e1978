import asyncio
import io
import json
import os
import shutil
import struct
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import quote, unquote

import pytest

from tests.webapp import making
from webapp.asgi import application
from webapp.bodylimit import CHUNKS, UPLOADS, BodyLimit
from webapp.projects.models import Dataset, UploadedModel
from webapp.reservations import reserved_bytes, room_reserved
from webapp.supervision import parts
from webapp.supervision.addresses import listening

pytestmark = pytest.mark.django_db(transaction=True)

ONNX = making.onnx_bytes()
TORCH_ZIP = making.zip_bytes(**{"archive/data.pkl": b"x", "archive/version": b"3"})

BAD_MODELS = {
    "empty": (b"", "The file is empty."),
    "text": (b"hello, this is not a model at all", "This is not an ONNX file."),
    "truncated": (ONNX[: len(ONNX) // 2], "The file is cut short"),
    "pickle renamed .onnx": (
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00",
        "This is a Python pickle.",
    ),
    "torch.save": (
        TORCH_ZIP,
        "This is a PyTorch file. Such files can run code, so we don't open them.",
    ),
    "torch.save before zip": (
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        "This is a PyTorch file.",
    ),
    "zip around onnx": (making.zip_bytes(**{"m.onnx": ONNX}), "The model is inside a zip."),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(64), "This is a Keras file."),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(64), "This is a TensorFlow Lite file."),
    "safetensors": (
        struct.pack("<Q", 20) + b'{"__metadata__": {}}',
        "This file holds weights only",
    ),
    "data": (making.npz_bytes(), "This is a data file, not a model."),
}
BAD_DATA = {
    "text": (b"1,2,3\n", "This is not a data file."),
    "one array": (b"\x93NUMPY\x01\x00v\x00{", "This is a single array."),
    "pickle": (b"\x80\x04\x95", "This is a Python pickle."),
    "empty zip": (making.zip_bytes(), "The zip is empty."),
    "no images": (making.zip_bytes(**{"a/readme.txt": b"x"}), "The zip holds no images."),
    "torch": (TORCH_ZIP, "This is a PyTorch file."),
    "bomb": (making.zip_bytes(**{"a/1.png": bytes(200_000_000)}), "unpacks to far more"),
    "outside": (making.zip_bytes(**{"../../etc/1.png": b"x"}), "names a file outside itself"),
    "cut short": (making.npz_bytes()[:-60], "The file is cut short"),
}


def send(client, kind, content, name="file"):
    return client.post(
        f"/api/v1/uploads/{kind}?name={quote(unquote(name))}",
        data=content,
        content_type="application/octet-stream",
        CONTENT_LENGTH=str(len(content)),
    )


def files_of(home):
    return [path for path in (home / "uploads").rglob("*") if path.is_file()]


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_model_is_refused_with_a_sentence_and_leaves_nothing(client, home, case):
    content, sentence = BAD_MODELS[case]
    answer = send(client, "model", content)
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]["message"]
    assert not files_of(home)
    assert not UploadedModel.objects.exists()


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_refused_with_a_sentence_and_leaves_nothing(client, home, case):
    content, sentence = BAD_DATA[case]
    answer = send(client, "data", content)
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]["message"]
    assert not files_of(home)
    assert not Dataset.objects.exists()


def test_model_is_kept_under_its_hash(client, home):
    answer = send(client, "model", ONNX, "my%20net.onnx")
    assert answer.status_code == 201
    stored = answer.json()
    assert (stored["name"], stored["size_bytes"], stored["kind"]) == (
        "my net.onnx",
        len(ONNX),
        "model",
    )
    (path,) = files_of(home)
    assert path.name == stored["sha256"]
    assert path.read_bytes() == ONNX


@pytest.mark.parametrize(
    "name", ["../../x.onnx", "..%2F..%2Fetc%2Fpasswd", "C:\\a\\b.onnx", "%00\n", ""]
)
def test_name_never_becomes_a_path(client, home, name):
    stored = send(client, "model", ONNX, name).json()
    assert "/" not in stored["name"]
    assert "\\" not in stored["name"]
    assert stored["name"]
    assert len(files_of(home)) == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (making.npz_bytes(), "npz"),
        (making.zip_bytes(**{"cat/1.PNG": b"x", "dog/2.jpg": b"y"}), "zip"),
    ],
)
def test_format_of_data_is_told_from_its_content(client, content, kind):
    send(client, "data", content, "whatever.bin")
    assert Dataset.objects.get().format == kind


def test_same_bytes_twice_are_stored_once(client, home):
    send(client, "model", ONNX)
    send(client, "model", ONNX)
    assert len(files_of(home)) == 1
    assert UploadedModel.objects.count() == 2


def test_broken_connection_leaves_nothing(client, home):
    answer = client.generic(
        "POST",
        "/api/v1/uploads/model",
        ONNX,
        content_type="application/octet-stream",
        **{"CONTENT_LENGTH": str(len(ONNX) + 100), "wsgi.input": io.BytesIO(ONNX)},
    )
    assert answer.json()["error"]["code"] == "cut_short"
    assert not files_of(home)


def test_full_disk_is_said_before_anything_is_read(client, settings, home):
    settings.UPLOAD_SPARE_BYTES = 2**60
    answer = send(client, "model", ONNX)
    assert answer.status_code == 507
    assert "not enough to take in this file" in answer.json()["error"]["message"]


async def ask(method, path, headers, body=(), application=application):
    """A request straight into an ASGI application; says what came back and how much was read."""
    chunks, sent, read = list(body), [], 0

    async def receive():
        nonlocal read
        read += 1
        if read > 1 and not chunks:
            await asyncio.Event().wait()  # a browser that waits for its answer
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send_(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
    }
    await application(scope, receive, send_)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], content, read


async def test_three_gigabytes_are_refused_before_the_first_byte():
    headers = {"host": "localhost", "content-length": str(3 * 1024**3)}
    status, content, read = await ask("POST", "/api/v1/uploads/model", headers)
    assert (status, read) == (413, 0)
    assert json.loads(content)["error"]["message"].startswith(
        "The file is 3 GiB; the limit is 2 GiB."
    )


async def test_upload_without_a_length_is_refused():
    status, _, read = await ask("POST", "/api/v1/uploads/data", {"host": "localhost"})
    assert (status, read) == (411, 0)


async def test_large_body_elsewhere_is_refused():
    headers = {"host": "localhost", "content-length": "5000000"}
    status, _, read = await ask("POST", "/api/projects", headers)
    assert (status, read) == (413, 0)


async def test_large_body_of_what_has_none_is_refused():
    headers = {"host": "localhost", "content-length": "5000000"}
    status, _, read = await ask("GET", "/", headers)
    assert (status, read) == (413, 0)


async def test_room_is_kept_for_files_on_their_way(settings, monkeypatch):
    settings.UPLOAD_SPARE_BYTES = 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    is_here = asyncio.Event()

    async def slow(_scope, _receive, send):
        await is_here.wait()
        await send({"type": "http.response.start", "status": 201, "headers": []})

    server = BodyLimit(slow, announced_bytes=lambda: 0)
    upload = ("POST", "/api/v1/uploads/model", {"content-length": "2000000"})
    first = asyncio.create_task(ask(*upload, application=server))
    await asyncio.sleep(0)
    status, content, _ = await ask(*upload, application=server)
    assert status == 507
    assert "Others that are being sent need 1.9 MiB." in json.loads(content)["error"]["message"]
    is_here.set()
    assert (await first)[0] == 201
    assert (await ask(*upload, application=server))[0] == 201


async def test_room_of_uploads_in_chunks_is_not_given_away(settings, monkeypatch):
    settings.UPLOAD_SPARE_BYTES = 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))

    async def kept(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 201, "headers": []})

    length = {"content-length": "1000000"}
    for announced, whole, chunk in ((3_000_000, 201, 201), (3_000_001, 507, 201)):
        server = BodyLimit(kept, announced_bytes=lambda announced=announced: announced)
        statuses = [
            (await ask(method, path, length, application=server))[0]
            for method, path in (("POST", UPLOADS + "data"), ("PATCH", CHUNKS + "1"))
        ]
        assert statuses == [whole, chunk]


RESERVE = """
import time, django
django.setup()
from webapp.reservations import room_reserved
with room_reserved(1234, lambda _: None):
    print("reserved", flush=True)
    time.sleep(60)
"""


def test_room_that_another_process_keeps_counts_until_it_dies(home):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "ADADEEP_HOME": str(home),
    }
    command = [sys.executable, "-c", RESERVE]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert reserved_bytes() == 1234
        with room_reserved(10, lambda coming: f"{coming} are kept") as refusal:
            assert refusal == "1234 are kept"
        other.kill()
    assert reserved_bytes() == 0


def test_bodies_are_spooled_into_the_data_folder(home, settings):
    with listening("127.0.0.1", 0) as listener:
        environment = parts.web(1, "127.0.0.1", listener, {}).environment
    command = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(home / "tmp")
    assert environment["REDIS_URL"] == settings.REDIS_URL


async def test_upload_streams_through_the_real_application(home):
    token = "a" * 32
    headers = {
        "host": "localhost",
        "content-length": str(len(ONNX)),
        "content-type": "application/octet-stream",
        "x-csrftoken": token,
        "cookie": f"csrftoken={token}",
    }
    parts = [ONNX[:50], ONNX[50:]]
    status, content, _ = await ask("POST", "/api/v1/uploads/model", headers, parts)
    assert status == 201, content
    assert len(files_of(home)) == 1
