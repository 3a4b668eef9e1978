"""Tokens by which programs say for whom they ask."""

from django.contrib.auth.models import User

from webapp.accounts.hashing import new_secret, sha256_of
from webapp.accounts.models import Token

PREFIX = "adadeep_"
"""So that a token that leaked into a repository or a log is found by what scans for it."""


def token_create(*, owner: User, name: str) -> str:
    """A new token; one of the same name ends. It cannot be read again."""
    token = PREFIX + new_secret()
    Token.objects.update_or_create(
        owner=owner, name=name, defaults={"sha256": sha256_of(token)}
    )
    return token


def token_delete(*, owner: User, name: str) -> bool:
    """Whether there was one."""
    return bool(Token.objects.filter(owner=owner, name=name).delete()[0])


def token_owner(token: str) -> User | None:
    """For whom the token speaks; ``None`` when it is none of ours, or its owner's account is closed."""
    known = Token.objects.select_related("owner")
    found = known.filter(sha256=sha256_of(token), owner__is_active=True).first()
    return found.owner if found else None
