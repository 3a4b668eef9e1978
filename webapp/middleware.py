from collections.abc import Callable

from django.conf import settings
from django.db import DataError
from django.http import HttpRequest, HttpResponse

from compression.errors import CompressionError
from selector.errors import SelectorError
from webapp.responses import NOT_STORABLE, RequestRefusedError, error_page


def _policy(script_src: str, *more: str) -> str:
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {script_src}",
            "style-src 'self' 'unsafe-inline'",  # Plotly sets style attributes
            "img-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            *more,
        ]
    )


HEADERS = {
    "Content-Security-Policy": _policy("'self'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
if settings.BEHIND_HTTPS:
    HEADERS["Strict-Transport-Security"] = "max-age=31536000"

PERSONAL = ("text/html", "application/json")
"""What must not be looked at again from the cache after signing out."""

MEASURING_PATHS = ("/devices/measure/", "/static/browser-runtime/", "/static/js/workers/")
"""The page that measures browsers, and what it runs in the background."""

# A worker lives by the headers of its own file. Threads need the embedder policy on each of them: on the
# page alone they neither start nor fail.
MEASURING_HEADERS = HEADERS | {
    "Content-Security-Policy": _policy("'self' 'wasm-unsafe-eval'", "worker-src 'self'"),
    "Cross-Origin-Embedder-Policy": "require-corp",
}

GetResponse = Callable[[HttpRequest], HttpResponse]


def headers_of(path: str) -> dict[str, str]:
    """What every answer under that path says to browsers."""
    return MEASURING_HEADERS if path.startswith(MEASURING_PATHS) else HEADERS


def security_headers(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for name, value in headers_of(request.path).items():
            response.headers.setdefault(name, value)
        is_personal = response.headers.get("Content-Type", "").startswith(PERSONAL)
        if is_personal and settings.AUTH_MODE == "accounts":
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


class KnownErrors:
    """Errors written for the user become answers with their text."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, RequestRefusedError):
            return error_page(request, str(error), status=error.status, code=error.code)
        if isinstance(error, CompressionError | SelectorError):
            return error_page(request, str(error), status=400, code="bad_request")
        if isinstance(error, DataError):
            return error_page(request, NOT_STORABLE, status=400, code="bad_request")
        return None
