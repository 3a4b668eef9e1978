from typing import Any

from django.conf import settings
from django.http import HttpRequest

from webapp.jobs.workers import worker_status

SECTIONS = ("devices", "compare", "account", "users", "audit", "status")


def shell(request: HttpRequest) -> dict[str, Any]:
    """What every page shows: where we are, who asks, and whether the workers answer."""
    section = request.path.strip("/").partition("/")[0]
    user = getattr(request, "user", None)
    # A paired phone sees one page for its owner, who is not the one that looks.
    is_paired = getattr(request, "is_paired", False)
    is_known = user is not None and user.is_authenticated and not is_paired
    return {
        "nav": section if section in SECTIONS else "projects",
        "accounts": settings.AUTH_MODE == "accounts",
        "user": user if is_known else None,
        "worker": worker_status() if is_known else None,
    }
