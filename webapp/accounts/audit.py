"""What is kept of who did what: a row for administrators, a line in the log."""

import logging
from ipaddress import IPv6Address, IPv6Network, ip_address

from django.http import HttpRequest

from webapp.accounts.models import AuditEvent, EventKind

logger = logging.getLogger(__name__)


def note(request: HttpRequest, kind: EventKind, detail: str = "", account: str = "") -> None:
    """Keep that this happened; the account is the one that asks, unless another is named."""
    event_keep(
        kind=kind,
        account=account or request.user.get_username(),
        address=address_of(request),
        detail=detail,
    )


def event_keep(*, kind: EventKind, account: str, address: str, detail: str = "") -> AuditEvent:
    """Keep the event; texts that came with a request are cut to what a row holds."""
    # repr in the log, so that no name can forge a line of it.
    logger.info("%r %s %r from %s", account, kind.value, detail, address or "this machine")
    return AuditEvent.objects.create(
        kind=kind,
        account=account[:150],
        address=address,
        network=network_of(address),
        detail=detail[:300],
    )


def address_of(request: HttpRequest) -> str:
    """The address of who asks; the web server takes a proxy's word for it where told to."""
    return str(request.META.get("REMOTE_ADDR") or "")[:45]


def network_of(address: str) -> str:
    """What counts as one sender: an IPv4 address; of IPv6 the /64, which one subscriber has for all its addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), 64), strict=False))
