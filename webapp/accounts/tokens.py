"""Tokens by which programs say for whom they ask."""

import hashlib
import secrets

from django.contrib.auth.models import User

from webapp.accounts.models import Token

PREFIX = "adadeep_"
"""So that a token that leaked into a repository or a log is found by what scans for it."""


def token_create(*, owner: User, name: str) -> str:
    """A new token; one of the same name ends. It cannot be read again."""
    token = PREFIX + secrets.token_urlsafe(32)
    Token.objects.update_or_create(owner=owner, name=name, defaults={"sha256": _sha256(token)})
    return token


def token_delete(*, owner: User, name: str) -> bool:
    """Whether there was one."""
    return bool(Token.objects.filter(owner=owner, name=name).delete()[0])


def token_owner(token: str) -> User | None:
    """For whom the token speaks; ``None`` when it is none of ours."""
    # A plain hash will do: 256 random bits are not found by trying.
    found = Token.objects.select_related("owner").filter(sha256=_sha256(token)).first()
    return found.owner if found else None


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
