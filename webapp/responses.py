"""The two shapes of an answer that is not what was asked for: a JSON error and a page."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render


class RequestRefusedError(Exception):
    """What is wrong with a request, in a sentence for the user, with a short code for programs."""

    def __init__(self, message: str, *, code: str = "bad_request", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def error_json(message: str, *, code: str, status: int) -> JsonResponse:
    return JsonResponse({"error": {"message": message, "code": code}}, status=status)


def error_page(
    request: HttpRequest, message: str, *, status: int, code: str = "refused"
) -> HttpResponse:
    """The message as JSON for programs and as a page for people."""
    if request.path.startswith("/api/"):
        return error_json(message, code=code, status=status)
    context = {"message": message, "status": status}
    return render(request, "error.html", context, status=status)
