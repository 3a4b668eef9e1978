from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from webapp.devices.pairing import paired_owner

PAIRED_COOKIE = "adadeep_paired"

GetResponse = Callable[[HttpRequest], HttpResponse]


def paired_browser(get_response: GetResponse) -> GetResponse:
    """Let a browser that was paired, and is not signed in, see its one page as the owner would."""

    def middleware(request: HttpRequest) -> HttpResponse:
        secret = request.COOKIES.get(PAIRED_COOKIE)
        if secret and not request.user.is_authenticated:
            owner = paired_owner(secret=secret, path=request.path)
            if owner is not None:
                request.user = owner
                request.is_paired = True  # type: ignore[attr-defined]
        return get_response(request)

    return middleware
