from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from webapp.comparison.comparing import choices_json, comparison_json, newest_name

if TYPE_CHECKING:
    from django.http import HttpResponse

    from webapp.requests import UserRequest


@require_GET
@ensure_csrf_cookie
def compare_page(request: UserRequest) -> HttpResponse:
    owner = request.user
    a = request.GET.get("a", "") or newest_name(owner=owner)
    if not a:
        return render(request, "compare.html", {"page": {}})
    found = comparison_json(owner=owner, a=a, b=request.GET.get("b", ""))
    page = {"choices": choices_json(owner=owner), **found}
    return render(request, "compare.html", {"page": page})
