"""Answers of a shape of their own: errors as JSON and as a page, and files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render

CHUNK = 256 * 1024

NOT_STORABLE = (
    "A text or number of this request cannot be kept: it is too long, too large, or holds characters "
    "that no database takes."
)


GONE = "is no longer where the server keeps it. Whoever runs AdaDeep can put it back from a backup; else make it anew."
"""What is said of a file that a record names and nobody finds."""


class RequestRefusedError(Exception):
    """What is wrong with a request, in a sentence for the user, with a short code and facts for programs."""

    def __init__(
        self, message: str, *, code: str = "bad_request", status: int = 400, **facts: int
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.facts = facts


def error_json(message: str, *, code: str, status: int, **facts: int) -> JsonResponse:
    answer = JsonResponse({"error": {"message": message, "code": code, **facts}}, status=status)
    if "retry_after_s" in facts:
        answer["Retry-After"] = str(facts["retry_after_s"])
    return answer


def error_page(
    request: HttpRequest, message: str, *, status: int, code: str = "refused"
) -> HttpResponse:
    """The message as JSON for programs and as a page for people."""
    if request.path.startswith(("/api/", "/mcp")):
        return error_json(message, code=code, status=status)
    context = {"message": message, "status": status}
    return render(request, "error.html", context, status=status)


def file_stream(path: Path, headers: dict[str, str] | None = None) -> StreamingHttpResponse:
    """The file, piece by piece."""
    length = {"Content-Length": str(path.stat().st_size)}
    return StreamingHttpResponse(
        _chunks(path),
        content_type="application/octet-stream",
        headers={**length, **(headers or {})},
    )


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    # Asynchronous: Django would first read the whole file into memory otherwise.
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
