from typing import Any

from django.http import HttpRequest

from webapp.jobs.workers import worker_status

PLACES = ("devices", "compare")


def shell(request: HttpRequest) -> dict[str, Any]:
    """What every page shows: where we are, and whether the workers answer."""
    return {
        "nav": next(
            (name for name in PLACES if request.path.startswith(f"/{name}/")), "projects"
        ),
        "worker": worker_status(),
    }
