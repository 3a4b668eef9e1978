from django.urls import include, path

from webapp.projects import data_views, views
from webapp.projects.consumers import ProjectConsumer

PROJECT = "api/projects/<uuid:project_id>"

actions = [
    path("studio", views.studio, name="api-studio"),
    path("select", views.select, name="api-select"),
    path("devices", views.devices, name="api-project-devices"),
    path("settings", views.settings, name="api-settings"),
    path("preprocessing", views.preprocessing, name="api-preprocessing"),
    path("study", views.study, name="api-study"),
    path("builds", views.builds, name="api-builds"),
]
MEASURE = "devices/measure/<uuid:project_id>"
urlpatterns = [
    path("account/data/", data_views.data_page, name="data"),
    path("account/data/delete/", data_views.data_delete, name="data-delete"),
    path("projects/<uuid:project_id>/", views.studio_page, name="studio"),
    path("projects/<uuid:project_id>/model/", views.model_page, name="model"),
    path("api/projects", views.projects, name="api-projects"),
    path(PROJECT, views.project, name="api-project"),
    path(f"{PROJECT}/", include(actions)),
    path(f"{MEASURE}/", views.measure_page, name="measure-project"),
    path(f"{MEASURE}/networks/<str:name>", views.network_file, name="measure-network"),
    path(f"api/{MEASURE}/pair", views.browser_pair, name="api-project-browser-pair"),
    path(f"api/{MEASURE}/runs", views.browser_runs, name="api-project-browser-runs"),
]
websocket_urlpatterns = [path("ws/projects/<uuid:project_id>/", ProjectConsumer.as_asgi())]
