from django.urls import include, path

from webapp import operation, views
from webapp.api.agents import api as agents_api
from webapp.api.mcp import mcp
from webapp.api.v1 import api

urlpatterns = [
    path("", views.home, name="home"),
    path("status/", views.status_page, name="status"),
    path("healthz", operation.healthz, name="healthz"),
    path("readyz", operation.readyz, name="readyz"),
    path("metrics", operation.metrics, name="metrics"),
    path("api/status", views.status, name="api-status"),
    path("api/v1/", api.urls),
    path("mcp", mcp, name="mcp"),
    path("api/agent/v1/", agents_api.urls),
    path("", include("webapp.projects.urls")),
    path("", include("webapp.jobs.urls")),
    path("", include("webapp.samples.urls")),
    path("", include("webapp.agents.urls")),
    path("", include("webapp.devices.urls")),
    path("", include("webapp.comparison.urls")),
    path("", include("webapp.accounts.urls")),
]

handler404 = "webapp.views.not_found"
handler500 = "webapp.views.server_error"
