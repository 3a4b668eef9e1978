"""Reading what a request says."""

import json
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest

from webapp.responses import RequestRefusedError


class UserRequest(HttpRequest):
    """A request as views get it: the middleware has said who asks."""

    user: User


def declared_length(request: HttpRequest) -> int | None:
    """How many bytes the body is said to have."""
    length = request.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def json_body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object of the body; an empty body is an empty object.

    Raises:
        RequestRefusedError: when it is anything else.
    """
    if not request.body:
        return {}
    try:
        values = json.loads(request.body)
    except ValueError as error:
        raise RequestRefusedError("The request is not JSON.") from error
    if not isinstance(values, dict):
        raise RequestRefusedError("The request must be a JSON object.")
    return values
