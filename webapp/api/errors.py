"""Every refusal in one shape: ``{"error": {"message": …, "code": …}}``."""

from typing import Any

from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from compression.errors import CompressionError
from selector.errors import SelectorError
from webapp.responses import NOT_STORABLE, RequestRefusedError, error_json

NOTHING = "There is nothing at this address."


def add_handlers(api: NinjaAPI) -> None:
    api.add_exception_handler(RequestRefusedError, _refused)
    api.add_exception_handler(CompressionError, _bad_request)
    api.add_exception_handler(SelectorError, _bad_request)
    api.add_exception_handler(DataError, _not_storable)
    api.add_exception_handler(Http404, _not_found)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(HttpError, _http_error)


def _refused(_request: HttpRequest, error: Any) -> HttpResponse:
    return error_json(str(error), code=error.code, status=error.status, **error.facts)


def _bad_request(_request: HttpRequest, error: Any) -> HttpResponse:
    return error_json(str(error), code="bad_request", status=400)


def _not_storable(_request: HttpRequest, _error: Any) -> HttpResponse:
    return error_json(NOT_STORABLE, code="bad_request", status=400)


def _not_found(_request: HttpRequest, error: Any) -> HttpResponse:
    return error_json(str(error) or NOTHING, code="not_found", status=404)


def _invalid(_request: HttpRequest, error: Any) -> HttpResponse:
    """The first thing wrong, with its place; ``body`` and the parameter's name help nobody."""
    first = error.errors[0]
    place = ".".join(str(step) for step in first["loc"][2:] or first["loc"][-1:])
    return error_json(f"{place}: {first['msg']}.", code="invalid", status=422)


def _http_error(_request: HttpRequest, error: Any) -> HttpResponse:
    return error_json(str(error), code="refused", status=error.status_code)
