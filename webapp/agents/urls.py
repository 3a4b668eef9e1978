from django.urls import path

from webapp.agents import views

urlpatterns = [
    path("devices/agent/adadeep-agent.pyz", views.archive, name="agent-archive"),
    path("api/connected-devices", views.connected_devices, name="api-connected-devices"),
    path("api/own-devices/<uuid:device_id>/agent", views.agent, name="api-agent"),
    path("api/own-devices/<uuid:device_id>/calibrate", views.calibrate, name="api-calibrate"),
    path("api/device-tasks/<uuid:task_id>/cancel", views.cancel, name="api-task-cancel"),
    path("api/jobs/<uuid:job_id>/device-tasks", views.build_tasks, name="api-build-tasks"),
    path(
        "api/jobs/<uuid:job_id>/finalists/<uuid:device_id>",
        views.finalists,
        name="api-finalists",
    ),
    path(
        "api/jobs/<uuid:job_id>/device-tasks/<uuid:device_id>",
        views.validate,
        name="api-validate",
    ),
]
