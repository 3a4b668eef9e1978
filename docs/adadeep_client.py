"""A small client of AdaDeep's API: Python's standard library alone, to copy and change."""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote


class RefusedError(Exception):
    """What the server says is wrong, in its words; ``code`` is for programs."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class AdaDeep:
    """One server, asked with one token (``python manage.py create_token NAME``)."""

    def __init__(self, token: str, url: str = "http://127.0.0.1:8000") -> None:
        self.token, self.url = token, url

    def upload(self, kind: str, path: Path) -> str:
        """Send a ``model`` or its ``data``; the id to make a project with.

        What breaks goes on by itself; so does a script that is started again within a day.
        """
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = path.stat().st_size
        about = {"kind": kind, "name": path.name, "size_bytes": size_bytes, "sha256": sha256}
        transfer = self._patiently("POST", "transfers", about)
        address = f"transfers/{transfer['id']}"
        with path.open("rb") as file:
            while transfer["received_bytes"] < size_bytes:
                transfer = self._chunk(address, file, transfer)
        return str(self._patiently("POST", f"{address}/finish")["id"])

    def ask(self, method: str, address: str, value: object = None) -> Any:
        """Any of the calls that ``/api/v1/docs`` describes."""
        body = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"}
        with self._open(method, address, body, headers) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def events(self, job_id: str, after: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
        """``event``, ``job`` and at last ``end`` with their values, as they happen."""
        address, headers = (
            f"jobs/{job_id}/events?after={after}",
            {"Accept": "text/event-stream"},
        )
        kind = ""
        with self._open("GET", address, None, headers) as lines:
            for line in lines:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)

    def wait(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended."""
        for kind, value in self.events(job_id):
            if kind == "end":
                return value
        raise ConnectionError("The stream broke before the job ended. Wait again.")

    def download(self, job_id: str, name: str, path: Path) -> None:
        """One of a build's files."""
        with self._open("GET", f"jobs/{job_id}/files/{quote(name)}") as answer:
            path.write_bytes(answer.read())

    def _chunk(self, address: str, file: BinaryIO, transfer: dict[str, Any]) -> dict[str, Any]:
        """Send the next chunk; how far the server is then, also when the connection broke."""
        file.seek(transfer["received_bytes"])
        headers = {"Upload-Offset": str(transfer["received_bytes"])}
        try:
            chunk = file.read(transfer["chunk_bytes"])
            with self._open("PATCH", address, chunk, headers, timeout_s=120) as answer:
                return dict(json.load(answer))
        except RefusedError as refusal:
            if refusal.code != "wrong_offset":  # somebody else sends the same file
                raise
        except (OSError, HTTPException):
            pass
        return dict(self._patiently("GET", address))

    def _patiently(self, method: str, address: str, value: object = None) -> Any:
        """Ask until the server answers, for the six minutes that a restart may take."""
        for tried in range(40):
            try:
                return self.ask(method, address, value)
            except (OSError, HTTPException):
                time.sleep(min(10.0, 0.5 * 2**tried))
        return self.ask(method, address, value)

    def _open(
        self,
        method: str,
        address: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        request = urllib.request.Request(  # noqa: S310 - the address is the user's own server
            f"{self.url}/api/v1/{address}", data=body, headers=headers, method=method
        )
        try:
            return urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
        except urllib.error.HTTPError as error:
            if error.code == 429:  # too many requests in this minute
                time.sleep(int(error.headers["Retry-After"]))
                return self._open(method, address, body, headers, timeout_s)
            if error.code in (502, 503, 504):  # said by a proxy while the server is away
                raise ConnectionError(str(error)) from error
            refusal = json.load(error)["error"]
            raise RefusedError(refusal["message"], refusal["code"]) from error
