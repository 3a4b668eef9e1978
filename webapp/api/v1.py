"""Version 1 at ``/api/v1/``; its description at ``openapi.json``, the page for people at ``docs``."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from webapp.api import (
    browsers,
    catalogue,
    comparison,
    connected,
    devices,
    jobs,
    projects,
    transfers,
)
from webapp.api.auth import Page, Token
from webapp.api.errors import add_handlers
from webapp.api.schemas import Error

DESCRIPTION = """Whatever the pages do, but for accounts, passwords and tokens. A token
(`python manage.py create_token NAME`) goes into `Authorization: Bearer TOKEN`. Whatever is refused says why: `{"error": {"message": …, "code": …}}`."""


class VersionedAPI(NinjaAPI):
    """Says of every operation what a refusal looks like."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        schema["components"]["schemas"]["Error"] = _error_schema()
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["responses"]["default"] = {
                    "description": "Refused",
                    "content": content,
                }
        return schema


def _error_schema() -> dict[str, Any]:
    schema = Error.model_json_schema()
    schema["properties"]["error"] = schema.pop("$defs")["ErrorText"]
    return schema


api = VersionedAPI(
    title="AdaDeep",
    version="1",
    description=DESCRIPTION,
    urls_namespace="v1",
    auth=[Token(), Page()],
)
add_handlers(api)
ROUTERS = (
    projects.router,
    transfers.router,
    jobs.router,
    comparison.router,
    devices.router,
    connected.router,
    browsers.router,
    catalogue.router,
)
for router in ROUTERS:
    api.add_router("", router)
