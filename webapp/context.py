from typing import Any

from django.http import HttpRequest

from webapp.jobs.workers import worker_status


def shell(request: HttpRequest) -> dict[str, Any]:
    """What every page shows: where we are, and whether the workers answer."""
    return {
        "nav": "devices" if request.path.startswith("/devices/") else "projects",
        "worker": worker_status(),
    }
