"""What ends by itself: sessions and invitations."""

from django.contrib.sessions.models import Session
from django.utils import timezone

from webapp.accounts.models import Invitation


def accounts_sweep() -> None:
    """Delete what has run out."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    Invitation.objects.filter(expires__lt=now).delete()
