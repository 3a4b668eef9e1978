"""How accounts are made: the first by the set-up link, others by an invitation or open sign-up."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from webapp.accounts.hashing import new_secret, sha256_of
from webapp.accounts.models import LOCAL_USER, Invitation, first_admin

VALID = timedelta(days=7)


class InvitationEndedError(Exception):
    """The link was used, has run out, or never was one."""


def invitation_create(*, invited_by: User, is_admin: bool = False) -> str:
    """The secret of a link for one new account."""
    secret = new_secret()
    Invitation.objects.create(
        sha256=sha256_of(secret),
        is_admin=is_admin,
        invited_by=invited_by,
        expires=timezone.now() + VALID,
    )
    return secret


def setup_create() -> str | None:
    """The secret of the link that makes the first administrator; ``None`` where there is one.

    The former link ends: whoever starts AdaDeep sees the one that is valid.
    """
    if settings.AUTH_MODE != "accounts" or first_admin():
        return None
    secret = new_secret()
    Invitation.objects.filter(invited_by=None).delete()
    Invitation.objects.create(sha256=sha256_of(secret), is_admin=True)
    return secret


def invitation_find(secret: str) -> Invitation | None:
    """The invitation as long as it can be used; that of a closed account cannot."""
    unused = Invitation.objects.filter(sha256=sha256_of(secret))
    in_time = Q(expires=None) | Q(expires__gt=timezone.now())
    from_one_of_us = Q(invited_by=None) | Q(invited_by__is_active=True)
    return unused.filter(in_time, from_one_of_us).first()


@transaction.atomic
def account_create(*, username: str, password: str, invitation: Invitation | None) -> User:
    """A new account; its invitation ends with it. Without one, sign-up must be open.

    Raises:
        InvitationEndedError: when somebody else was quicker.
    """
    if invitation is None:
        return User.objects.create_user(username, password=password)
    if not Invitation.objects.filter(pk=invitation.pk).delete()[0]:
        raise InvitationEndedError
    user = User(username=username)
    if invitation.invited_by is None:
        # Who sets this installation up owns what was made on it before there were accounts.
        user = User.objects.filter(username=LOCAL_USER).first() or user
        user.username = username
    user.is_staff = invitation.is_admin
    user.set_password(password)
    user.save()
    return user
