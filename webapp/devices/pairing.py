"""Another browser, such as a phone's, measures itself for the owner: a link in a QR code pairs it.

The link is good once, for ten minutes. Who opens it may see one page for an hour and send its timings,
nothing else of the owner's.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import segno
from django.conf import settings
from django.http.request import split_domain_port
from django.urls import reverse
from django.utils import timezone

from webapp.accounts.hashing import new_secret, sha256_of
from webapp.accounts.loopback import is_loopback
from webapp.devices.models import Pairing
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest

LINK_LASTS = timedelta(minutes=10)
PAIRED_LASTS = timedelta(hours=1)
KEPT = timedelta(days=1)
"""How long a link is remembered, so that one that was used or is too old is told so."""

AGAIN = "Make a new one on the page Measure this browser."
HOW = (
    "AdaDeep answers this computer only. To reach it from a phone, start it with accounts and for the "
    "network: AUTH_MODE=accounts .venv/bin/python manage.py up --host 0.0.0.0"
)


def addresses(request: HttpRequest) -> list[str]:
    """Where other devices find this server; empty when it answers this machine only."""
    if settings.AUTH_MODE != "accounts":
        return []
    host, port = split_domain_port(request.get_host())
    if not is_loopback(host.strip("[]")):
        return [f"{request.scheme}://{request.get_host()}"]
    others = sorted(filter(_is_elsewhere, settings.ALLOWED_HOSTS), key=lambda host: ":" in host)
    return [f"{request.scheme}://{other}{f':{port}' if port else ''}" for other in others]


def phone_json(request: HttpRequest, url: str) -> dict[str, Any] | None:
    """What the card Open on your phone shows; nothing on the phone itself."""
    if getattr(request, "is_paired", False):
        return None
    return {"reachable": bool(addresses(request)), "how": HOW, "url": url}


def pairing_links(*, owner: User, page: str, request: HttpRequest) -> list[dict[str, Any]]:
    """A new link to the page, in words and as a QR code, by each address of this server.

    Raises:
        RequestRefusedError: when no other device reaches it.
    """
    found = addresses(request)
    if not found:
        raise RequestRefusedError(HOW, code="this_machine_only", status=409)
    path = reverse("pair", args=[pairing_create(owner=owner, page=page)])
    return [_link(address, address + path) for address in found]


def pairing_create(*, owner: User, page: str) -> str:
    """A token for one browser, which may then see that page. Only its hash is kept."""
    Pairing.objects.filter(created__lt=timezone.now() - KEPT).delete()
    token = new_secret()
    Pairing.objects.create(owner=owner, page=page, token_sha256=sha256_of(token))
    return token


def pairing_redeem(*, token: str) -> tuple[Pairing, str]:
    """End the token. The browser is known by the secret that it gets, from now on.

    Raises:
        RequestRefusedError: for a token that was used, is too old, or is none of ours.
    """
    secret = new_secret()
    fresh = Pairing.objects.filter(token_sha256=sha256_of(token), paired=None)
    fresh = fresh.filter(created__gt=timezone.now() - LINK_LASTS)
    if not fresh.update(paired=timezone.now(), secret_sha256=sha256_of(secret)):
        raise RequestRefusedError(_why_not(token), code="pairing", status=403)
    return Pairing.objects.get(token_sha256=sha256_of(token)), secret


def pairing_check(*, token: str) -> None:
    """Look at a token without ending it: programs that preview links do no more.

    Raises:
        RequestRefusedError: as ``pairing_redeem`` would.
    """
    if reason := _why_not(token):
        raise RequestRefusedError(reason, code="pairing", status=403)


def paired_owner(*, secret: str, path: str) -> User | None:
    """For whom a paired browser asks, where it may ask for that path; else nobody."""
    since = timezone.now() - PAIRED_LASTS
    found = Pairing.objects.select_related("owner").filter(
        secret_sha256=sha256_of(secret), paired__gt=since
    )
    pairing = found.first()
    if pairing is None or not pairing.owner.is_active or not _is_open(pairing.page, path):
        return None
    return pairing.owner


def _is_open(page: str, path: str) -> bool:
    whole = (page, f"/api{page}runs")
    return path in whole or path.startswith(("/devices/kit/", f"{page}networks/"))


def _why_not(token: str) -> str:
    """In a sentence; empty for a token that is good."""
    found = Pairing.objects.filter(token_sha256=sha256_of(token)).first()
    if found is None:
        return f"This link was not made here. {AGAIN}"
    if found.paired is not None:
        return f"This link has been used; it is good once. {AGAIN}"
    if found.created < timezone.now() - LINK_LASTS:
        return f"This link is older than ten minutes. {AGAIN}"
    return ""


def _link(address: str, url: str) -> dict[str, Any]:
    code = segno.make(url, error="m", micro=False)
    qr = code.svg_inline(svgclass="qr", lineclass=None, omitsize=True)
    return {"address": address, "url": url, "qr": qr}


def _is_elsewhere(host: str) -> bool:
    """Whether it is an address, not a name, of this machine that others can reach."""
    try:
        found = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_link_local)
