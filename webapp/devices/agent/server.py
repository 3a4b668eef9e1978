"""Talking to the server: JSON over HTTP or HTTPS, asked again, later and later, while it is away."""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import random
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from webapp.devices.agent.protocol import ADDRESS, SESSION

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PAUSE_S = 30.0
TIMEOUT_S = 10.0
WAIT_FOR_WORK_S = 40.0
"""Longer than the server lets a question for work wait."""

DOWNLOAD_PATIENCE_S = 60.0
LARGEST_ANSWER = 1024**2
PIECE_BYTES = 256 * 1024
AGAIN = (408, 425, 429, 500, 502, 503, 504)

T = TypeVar("T")

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """The server said no: its sentence, its word for programs and the status."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class UnreachableError(Exception):
    """Nobody answered, or not in a way that means anything."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Server:
    """One server, and the token by which it knows this device."""

    def __init__(
        self, address: str, token: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.address = address.rstrip("/") + ADDRESS
        self.session = ""
        self._token = token
        self._pause = pause
        self._opener = urllib.request.build_opener(_NoRedirects())

    def ask(
        self,
        path: str,
        value: dict[str, Any],
        patience_s: float | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """The answer to a question; an unreachable server is asked again for that long, or for ever.

        Raises:
            RefusedError: the server said no.
            UnreachableError: patience ended.
        """
        return self._again(lambda: self._asked(path, value, timeout_s), patience_s)

    def download(
        self, path: str, sha256: str, size_bytes: int, meanwhile: Callable[[], object]
    ) -> bytes:
        """A file whose content is known, asked for during a minute; ``meanwhile`` is called as it comes.

        Raises:
            RefusedError: the server said no.
            UnreachableError: it did not come whole.
        """

        def file() -> bytes:
            content = self._read(self._request(path, None), size_bytes, TIMEOUT_S, meanwhile)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise UnreachableError(f"{path} did not come whole.")
            return content

        return self._again(file, DOWNLOAD_PATIENCE_S)

    def _again(self, question: Callable[[], T], patience_s: float | None) -> T:
        started = time.monotonic()
        for pause_s in pauses():
            try:
                return question()
            except UnreachableError as error:  # noqa: PERF203 - the loop is for nothing else
                waited_s = time.monotonic() - started
                if patience_s is not None and waited_s + pause_s > patience_s:
                    raise
                logger.info("%s Trying again in %.0f s.", error, pause_s)
                self._pause(pause_s)
        raise AssertionError("pauses never end")

    def _asked(self, path: str, value: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        content = self._read(self._request(path, value), LARGEST_ANSWER, timeout_s)
        try:
            answer = json.loads(content or b"{}")
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise UnreachableError(f"{self.address} does not answer as AdaDeep does.")
        return answer

    def _request(self, path: str, value: dict[str, Any] | None) -> urllib.request.Request:
        body = None if value is None else json.dumps(value).encode()
        headers = {"Authorization": f"Bearer {self._token}", SESSION: self.session}
        if body is not None:
            headers["Content-Type"] = "application/json"
        # The scheme was looked at when the agent started.
        return urllib.request.Request(  # noqa: S310
            self.address + path, data=body, headers=headers
        )

    def _read(
        self,
        request: urllib.request.Request,
        most_bytes: int,
        timeout_s: float,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> bytes:
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                content = bytearray()
                while len(content) <= most_bytes and (piece := answer.read(PIECE_BYTES)):
                    content += piece
                    meanwhile()
                return bytes(content)
        except urllib.error.HTTPError as error:
            raise _said_no(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.address} cannot be reached: {error}.") from error


def pauses() -> Iterator[float]:
    """1, 2, 4 … 30 seconds, each up to a third shorter, so that many devices do not ask at once."""
    pause_s = 1.0
    while True:
        yield pause_s * random.uniform(0.67, 1.0)  # noqa: S311 - no secret hangs on it
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _said_no(error: urllib.error.HTTPError) -> Exception:
    text = f"The server answered {error.code}."
    if error.code in AGAIN:
        return UnreachableError(text)
    try:
        said = json.loads(error.read(LARGEST_ANSWER))["error"]
        return RefusedError(str(said["message"]), str(said["code"]), error.code)
    except (ValueError, KeyError, TypeError, OSError):
        return RefusedError(f"{text} Is this the address of an AdaDeep?", "unknown", error.code)
