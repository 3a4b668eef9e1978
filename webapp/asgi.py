import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
http = get_asgi_application()  # before the imports below: they need the apps to be loaded

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from webapp.accounts.middleware import LocalSockets  # noqa: E402
from webapp.bodylimit import BodyLimit  # noqa: E402
from webapp.urls import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {"http": BodyLimit(http), "websocket": LocalSockets(URLRouter(websocket_urlpatterns))}
)
