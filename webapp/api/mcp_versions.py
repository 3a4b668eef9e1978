"""In which version of the protocol a message is spoken, and what that version wants said around it.

From 2026-07-28 on every request says version and abilities itself, in ``_meta`` and in headers that agree with
it; earlier versions begin with ``initialize``. Both are answered side by side.
Specification: modelcontextprotocol.io, "Versioning and Compatibility" and "Streamable HTTP".
"""

import base64
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from webapp.accounts.loopback import is_same_origin
from webapp.responses import RequestRefusedError

STATELESS = ("2026-07-28",)
WITH_HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26")
VERSIONS = (*STATELESS, *WITH_HANDSHAKE)
"""The newest first: it is offered to whoever speaks none of them."""

UNPARSABLE, NOT_A_REQUEST, NO_SUCH_METHOD, BAD_PARAMETERS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNKNOWN_VERSION = -32020, -32022

VERSION = "io.modelcontextprotocol/protocolVersion"
ABILITIES = "io.modelcontextprotocol/clientCapabilities"
NAMED = {"tools/call": "name"}
"""What of a method's parameters a header repeats."""

ENCODED = ("=?base64?", "?=")

Message = dict[str, Any]


class RpcError(Exception):
    """A message that is answered by an error of the protocol."""

    def __init__(self, code: int, text: str, data: Message | None = None) -> None:
        super().__init__(text)
        self.code, self.data = code, data


def status_of(code: int) -> int:
    """The status of HTTP that goes with an error, where the version has no handshake."""
    return 404 if code == NO_SUCH_METHOD else 400


def check_origin(request: HttpRequest) -> None:
    """Refuse what a page of another site sends, should it ever get hold of a token.

    Raises:
        RequestRefusedError: when the request comes from one.
    """
    origin = request.headers.get("Origin")
    is_ours = not origin or is_same_origin(origin, request.get_host())
    if not is_ours and origin not in settings.CSRF_TRUSTED_ORIGINS:
        text = "This request came from another site."
        raise RequestRefusedError(text, code="other_site", status=403)


def is_stateless(headers: Mapping[str, str], message: Message) -> bool:
    """Whether a request is spoken in a version without handshake.

    Raises:
        RpcError: when the version is none of ours, or headers and message disagree.
    """
    said = headers.get("MCP-Protocol-Version")
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    if VERSION in meta or said in STATELESS:
        _check_envelope(headers, message, meta)
        return True
    if said is not None and said not in WITH_HANDSHAKE:
        raise _unknown_version(said)
    return False


def _check_envelope(headers: Mapping[str, str], message: Message, meta: Message) -> None:
    missing = [key for key in (VERSION, ABILITIES) if key not in meta]
    if missing:
        raise RpcError(BAD_PARAMETERS, f"params._meta lacks {' and '.join(missing)}.")
    method = message["method"]
    repeated = {"MCP-Protocol-Version": meta[VERSION], "Mcp-Method": method}
    if isinstance(method, str) and method in NAMED:
        repeated["Mcp-Name"] = message["params"].get(NAMED[method])
    for name, value in repeated.items():
        header = headers.get(name)
        if (_decoded(header) if name == "Mcp-Name" else header) != value:
            text = f"The header {name} says {header!r}, the message {value!r}."
            raise RpcError(HEADER_MISMATCH, text)
    if meta[VERSION] not in STATELESS:
        raise _unknown_version(meta[VERSION])


def _decoded(header: str | None) -> str | None:
    """A header's value; what no header can hold comes in base64."""
    start, end = ENCODED
    if header is None or not (header.startswith(start) and header.endswith(end)):
        return header
    try:
        return base64.b64decode(header[len(start) : -len(end)], validate=True).decode()
    except ValueError:  # no base64, or not of UTF-8
        return None


def _unknown_version(said: str) -> RpcError:
    text = f"This server speaks the protocol's versions {', '.join(VERSIONS)}."
    return RpcError(UNKNOWN_VERSION, text, {"supported": list(VERSIONS), "requested": said})
