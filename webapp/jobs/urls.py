from django.urls import path

from webapp.jobs import views
from webapp.jobs.consumers import JobConsumer

urlpatterns = [
    path("jobs/<uuid:job_id>/", views.job_page, name="job"),
    path("jobs/<uuid:job_id>/result/", views.result_page, name="job-result"),
    path("jobs/<uuid:job_id>/log/", views.job_log, name="job-log"),
    path("jobs/<uuid:job_id>/files/<str:name>", views.file_download, name="job-file"),
    path("api/jobs/<uuid:job_id>", views.job_detail, name="api-job"),
    path("api/jobs/<uuid:job_id>/events", views.job_events, name="api-job-events"),
    path("api/jobs/<uuid:job_id>/figures", views.job_figures, name="api-job-figures"),
    path("api/jobs/<uuid:job_id>/cancel", views.cancel, name="api-job-cancel"),
    path("api/jobs/<uuid:job_id>/retry", views.retry, name="api-job-retry"),
]
websocket_urlpatterns = [path("ws/jobs/<uuid:job_id>/", JobConsumer.as_asgi())]
