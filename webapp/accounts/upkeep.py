"""What ends by itself: sessions, invitations, old events."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from webapp.accounts.models import AuditEvent, Invitation


def accounts_sweep() -> None:
    """Delete what has run out."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    Invitation.objects.filter(expires__lt=now).delete()
    AuditEvent.objects.filter(t__lt=now - timedelta(days=settings.AUDIT_DAYS)).delete()
