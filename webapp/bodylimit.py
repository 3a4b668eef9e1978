"""A limit on request bodies, kept before Django spools the first byte to disk."""

import json
import shutil
from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.conf import settings

from webapp.asgi_types import Application, Message, Receive, Scope, Send
from webapp.reservations import room_reserved

UPLOADS, CHUNKS = "/api/v1/uploads/", "/api/v1/transfers/"
MOST_CHUNK_BYTES = 8 * 1024**2

Refusal = tuple[int, str, str]


class BodyLimit:
    """Refuses a body by its declared length; more bytes than declared end the request.

    ``announced_bytes`` tells what uploads in chunks have not sent yet: their room is not given away.
    """

    def __init__(self, application: Application, announced_bytes: Callable[[], int]) -> None:
        self.application = application
        self.announced_bytes = announced_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = body_length(scope)
        path, method = scope["path"], scope["method"]
        if not is_upload(path, method):
            await self._answer(scope, receive, send, refusal_of(path, method, length))
            return
        # What comes in chunks was announced itself.
        announced = 0 if is_chunk(path, method) else await sync_to_async(self.announced_bytes)()
        with room_reserved(
            length or 0, lambda coming: refusal_of(path, method, length, coming, announced)
        ) as refusal:
            await self._answer(scope, receive, send, refusal)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, refusal: Refusal | None
    ) -> None:
        if refusal:
            await answer(send, *refusal)
        else:
            length = body_length(scope) or 0
            await self.application(scope, _counted(receive, length), send)


def is_upload(path: str, method: str) -> bool:
    """Whether the request may bring a large body."""
    return (method == "POST" and path.startswith(UPLOADS)) or is_chunk(path, method)


def is_chunk(path: str, method: str) -> bool:
    """Whether that body is a piece of a file."""
    return method == "PATCH" and path.startswith(CHUNKS)


def refusal_of(
    path: str,
    method: str,
    length: int | None,
    coming_bytes: int = 0,
    announced_bytes: int = 0,
) -> Refusal | None:
    """Status, code and sentence when a body of that length is not welcome beside what comes already."""
    if not is_upload(path, method):
        if length and length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return 413, "too_large", "This request is larger than 1 MiB."
        return None
    if length is None:
        return 411, "length_required", "The upload does not say how long it is."
    if is_chunk(path, method) and length > MOST_CHUNK_BYTES:
        return 413, "too_large", f"A chunk has at most {amount(MOST_CHUNK_BYTES)}."
    if length > settings.UPLOAD_LIMIT_BYTES:
        return 413, "too_large", too_large(length)
    # Twice: once as the request's body, once as the stored file.
    free = shutil.disk_usage(settings.UPLOAD_ROOT).free
    if free < 2 * (length + coming_bytes) + announced_bytes + settings.UPLOAD_SPARE_BYTES:
        return 507, "disk_full", no_room(free, coming_bytes + announced_bytes)
    return None


def no_room(free_bytes: int, coming_bytes: int) -> str:
    """Why the disk cannot take a file in beside those that come already."""
    text = f"The disk has {gib(free_bytes)} left, not enough to take in this file."
    if coming_bytes:
        text += f" Others that are being sent need {amount(coming_bytes)}."
    return text


def too_large(size_bytes: int) -> str:
    return (
        f"The file is {gib(size_bytes)}; the limit is {gib(settings.UPLOAD_LIMIT_BYTES)}. "
        "Weights in a separate file are not read yet."
    )


def gib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f} GiB".replace(".0 ", " ")


def amount(size_bytes: int) -> str:
    return gib(size_bytes) if size_bytes >= 1024**3 else f"{size_bytes / 1024**2:.1f} MiB"


async def answer(send: Send, status: int, code: str, text: str) -> None:
    """The refusal as JSON; the rest of the body is not waited for."""
    body = json.dumps({"error": {"message": text, "code": code}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def body_length(scope: Scope) -> int | None:
    """How many bytes the body is said to have."""
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else None


def _counted(receive: Receive, length: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        # A chunked body declares nothing; what it may bring is then a megabyte.
        if seen > max(length, settings.DATA_UPLOAD_MAX_MEMORY_SIZE):
            return {"type": "http.disconnect"}
        return message

    return counted
