"""What a person has here, and how it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import logout
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from webapp.accounts.audit import note
from webapp.accounts.leaving import sockets_close
from webapp.accounts.models import EventKind, is_last_admin
from webapp.bodylimit import amount
from webapp.devices.models import OwnDevice
from webapp.projects.models import Project
from webapp.projects.quotas import coming_bytes, used_bytes
from webapp.projects.transfers import transfers_json
from webapp.projects.upkeep import everything_delete

if TYPE_CHECKING:
    from django.http import HttpResponse

    from webapp.requests import UserRequest

SPOKEN = "delete everything"
LAST_ADMIN = "You are the last administrator. Make another one first, or keep the account."
NOT_SPOKEN = f"Nothing was deleted. Write the words: {SPOKEN}"


@never_cache
@require_GET
def data_page(request: UserRequest) -> HttpResponse:
    return _page(request)


@never_cache
@require_POST
def data_delete(request: UserRequest) -> HttpResponse:
    with_account = settings.AUTH_MODE == "accounts" and request.POST.get("account") == "on"
    if request.POST.get("words", "").strip().lower() != SPOKEN:
        return _page(request, NOT_SPOKEN, status=400)
    if with_account and is_last_admin(request.user):
        return _page(request, LAST_ADMIN, status=409)
    everything_delete(owner=request.user)
    note(request, EventKind.ALL_DELETED)
    if not with_account:
        return redirect("home")
    note(request, EventKind.ACCOUNT_DELETED)
    sockets_close(request.user.pk)
    request.user.delete()
    logout(request)
    return redirect("login")


def _page(request: UserRequest, refusal: str = "", status: int = 200) -> HttpResponse:
    quota = settings.USER_QUOTA_BYTES
    context = {
        "used": amount(used_bytes(request.user)),
        "under_way": len(transfers_json(owner=request.user)),
        "coming": amount(coming_bytes(request.user)),
        "quota": amount(quota) if quota else "",
        "projects": Project.objects.filter(owner=request.user).count(),
        "devices": OwnDevice.objects.filter(owner=request.user).count(),
        "retention_days": settings.RETENTION_DAYS,
        "words": SPOKEN,
        "refusal": refusal,
    }
    return render(request, "data.html", context, status=status)
