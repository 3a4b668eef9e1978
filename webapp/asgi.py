import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
http = get_asgi_application()  # before the imports below: they need the apps to be loaded

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from webapp.accounts.middleware import KnownSenders, KnownSockets  # noqa: E402
from webapp.bodylimit import BodyLimit  # noqa: E402
from webapp.jobs.urls import websocket_urlpatterns as job_sockets  # noqa: E402
from webapp.projects.quota_limit import QuotaLimit  # noqa: E402
from webapp.projects.quotas import announced_bytes  # noqa: E402
from webapp.projects.urls import websocket_urlpatterns as project_sockets  # noqa: E402
from webapp.staticserving import StaticFiles  # noqa: E402

sockets = URLRouter([*project_sockets, *job_sockets])
application = ProtocolTypeRouter(
    {
        "http": StaticFiles(KnownSenders(BodyLimit(QuotaLimit(http), announced_bytes))),
        "websocket": KnownSockets(sockets),
    }
)
