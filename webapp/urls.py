from django.urls import path

from webapp import views
from webapp.devices import urls as devices
from webapp.jobs import urls as jobs
from webapp.projects import urls as projects
from webapp.samples import urls as samples

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("api/status", views.status, name="api-status"),
    *projects.urlpatterns,
    *jobs.urlpatterns,
    *samples.urlpatterns,
    *devices.urlpatterns,
]
websocket_urlpatterns = [*projects.websocket_urlpatterns, *jobs.websocket_urlpatterns]

handler404 = "webapp.views.not_found"
handler500 = "webapp.views.server_error"
