"""What those ask who keep an installation running: is it alive, is it ready, how much does it do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST

from webapp.accounts.tokens import token_owner
from webapp.jobs.metrics import metrics_text
from webapp.jobs.sandbox import network_isolation
from webapp.jobs.workers import QUEUES, answering, broker_answers
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from django.http import HttpRequest

BEARER = "Bearer "
_was_migrated = False
WHOSE = "Send a token of an administrator, as: Authorization: Bearer TOKEN"


@login_not_required
@require_GET
def healthz(_request: HttpRequest) -> JsonResponse:
    parts: dict[str, object] = {
        "database": _database_answers(),
        "broker": broker_answers(),
        **{f"worker_{queue}": answering(queue) for queue in QUEUES},
    }
    healthy = all(parts.values())
    parts["network_isolation"] = "on" if network_isolation() else "off"
    text = "ok" if healthy else "not ready"
    return JsonResponse({"status": text, **parts}, status=200 if healthy else 503)


@login_not_required
@require_GET
def readyz(_request: HttpRequest) -> JsonResponse:
    """Whether this web process may be given requests."""
    parts = {
        "database": _database_answers(),
        "migrations": _database_answers() and _is_migrated(),
        "broker": broker_answers(),
        "free_space": _has_room(),
    }
    text = "ready" if all(parts.values()) else "not ready"
    return JsonResponse({"status": text, **parts}, status=200 if text == "ready" else 503)


@login_not_required
@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """For a monitoring server, which signs in with a token; others do not learn what runs here."""
    if settings.AUTH_MODE == "accounts" and not _asker(request).is_staff:
        raise Http404
    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE_LATEST)


def _asker(request: HttpRequest) -> User:
    said = request.headers.get("Authorization", "")
    user = token_owner(said.removeprefix(BEARER)) if said.startswith(BEARER) else request.user
    if not isinstance(user, User):
        raise RequestRefusedError(WHOSE, code="signed_out", status=401)
    return user


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _is_migrated() -> bool:
    """Once it was, it is: other code comes with another process."""
    global _was_migrated  # noqa: PLW0603 - looking reads a hundred files
    if not _was_migrated:
        executor = MigrationExecutor(connection)
        _was_migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _was_migrated


def _has_room() -> bool:
    free = shutil.disk_usage(settings.UPLOAD_ROOT).free
    return bool(free > settings.UPLOAD_SPARE_BYTES)
