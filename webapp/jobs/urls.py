from django.urls import include, path

from webapp.jobs import shared_views, views
from webapp.jobs.consumers import JobConsumer

pages = [
    path("", views.job_page, name="job"),
    path("result/", views.result_page, name="job-result"),
    path("log/", views.job_log, name="job-log"),
    path("files/<str:name>", views.file_download, name="job-file"),
]
actions = [
    path("events", views.job_events, name="api-job-events"),
    path("figures", views.job_figures, name="api-job-figures"),
    path("cancel", views.cancel, name="api-job-cancel"),
    path("pause", views.pause, name="api-job-pause"),
    path("resume", views.resume, name="api-job-resume"),
    path("finish", views.finish, name="api-job-finish"),
    path("retry", views.retry, name="api-job-retry"),
    path("shares", views.shares, name="api-job-shares"),
    path("shares/<uuid:share_id>", views.share, name="api-job-share"),
]
shared = [
    path("", shared_views.shared_page, name="shared-report"),
    path("files/<str:name>", shared_views.shared_file, name="shared-file"),
]
urlpatterns = [
    path("jobs/<uuid:job_id>/", include(pages)),
    path("shared/<str:token>/", include(shared)),
    path("api/jobs/<uuid:job_id>", views.job_detail, name="api-job"),
    path("api/jobs/<uuid:job_id>/", include(actions)),
]
websocket_urlpatterns = [path("ws/jobs/<uuid:job_id>/", JobConsumer.as_asgi())]
