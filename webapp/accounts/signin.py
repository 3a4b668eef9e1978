"""A limit on guessing passwords: failures are counted by account and by sender in the audit log."""

from datetime import timedelta

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from webapp.accounts.audit import address_of, event_keep
from webapp.accounts.models import AuditEvent, EventKind

WINDOW = timedelta(minutes=15)
MOST_FROM_ADDRESS_TO_ACCOUNT = 5
MOST_FROM_ADDRESS = 30
MOST_TO_ACCOUNT = 100
"""From all addresses together: so high that nobody is locked out of an account by a few strangers."""

WRONG = "Name and password do not fit. Mind capital letters."
TOO_MANY = "Too many attempts. Try again in 15 minutes."


class SignInRefusedError(Exception):
    """Who signs in is not let in; the text is for the user."""


def signed_in(request: HttpRequest, username: str, password: str) -> User:
    """The user with this name and password.

    Raises:
        SignInRefusedError: when they do not fit, or after too many attempts.
    """
    # Counted before the password is looked at, so that attempts at the same time all count.
    attempt = event_keep(
        kind=EventKind.LOGIN_FAILED, account=username, address=address_of(request)
    )
    if _are_too_many(attempt):
        # What is not looked at is no guess: kept, it would lock the account for all other addresses too.
        attempt.delete()
        raise SignInRefusedError(TOO_MANY)
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        raise SignInRefusedError(WRONG)
    attempt.kind = EventKind.LOGIN
    attempt.save(update_fields=["kind"])
    return user


def _are_too_many(attempt: AuditEvent) -> bool:
    since = timezone.now() - WINDOW
    failures = AuditEvent.objects.filter(kind=EventKind.LOGIN_FAILED, t__gt=since)
    here, this = Q(network=attempt.network), Q(account=attempt.account)
    return (
        failures.filter(here & this).count() > MOST_FROM_ADDRESS_TO_ACCOUNT
        or failures.filter(here).count() > MOST_FROM_ADDRESS
        or failures.filter(this).count() > MOST_TO_ACCOUNT
    )
