from django.urls import path

from webapp.projects import views
from webapp.projects.consumers import ProjectConsumer

urlpatterns = [
    path("projects/<uuid:project_id>/", views.studio_page, name="studio"),
    path("api/uploads/model", views.model_upload, name="api-upload-model"),
    path("api/uploads/data", views.data_upload, name="api-upload-data"),
    path("api/projects", views.projects, name="api-projects"),
    path("api/projects/<uuid:project_id>", views.project, name="api-project"),
    path("api/projects/<uuid:project_id>/studio", views.studio, name="api-studio"),
    path("api/projects/<uuid:project_id>/select", views.select, name="api-select"),
    path("api/projects/<uuid:project_id>/settings", views.settings, name="api-settings"),
    path(
        "api/projects/<uuid:project_id>/preprocessing",
        views.preprocessing,
        name="api-preprocessing",
    ),
    path("api/projects/<uuid:project_id>/builds", views.builds, name="api-builds"),
]
websocket_urlpatterns = [path("ws/projects/<uuid:project_id>/", ProjectConsumer.as_asgi())]
