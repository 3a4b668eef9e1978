"""Who asks: a program by its token, a page by its cookie and CSRF token."""

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from webapp.accounts.tokens import token_owner
from webapp.api.pace import count_request
from webapp.responses import RequestRefusedError

HOW = "Make one on the account page, or with: python manage.py create_token NAME"
UNKNOWN = f"This token is not known here, or it has ended. {HOW}"
SIGN_IN = f"Sign in, or send a token as: Authorization: Bearer TOKEN. {HOW}"
NEEDED = f"A change needs a token, sent as: Authorization: Bearer TOKEN. {HOW}"


class Token(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> User:
        owner = token_owner(token)
        if owner is None:
            # Said here: a wrong token must not pass as no token.
            raise RequestRefusedError(UNKNOWN, code="unknown_token", status=401)
        count_request(request, owner)
        request.user = owner
        return owner


class Page(APIKeyCookie):
    """Whoever is signed in, or in local mode asks from this machine; changes need the CSRF token."""

    param_name = settings.CSRF_COOKIE_NAME

    def _get_key(self, request: HttpRequest) -> str | None:
        if check_csrf(request) is not None:
            raise RequestRefusedError(NEEDED, code="csrf", status=403)
        return request.COOKIES.get(self.param_name)

    def authenticate(self, request: HttpRequest, _key: str | None) -> User:
        if not isinstance(request.user, User):
            raise RequestRefusedError(SIGN_IN, code="signed_out", status=401)
        count_request(request, request.user)
        return request.user
