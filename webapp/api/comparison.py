"""Two recipes, builds or devices side by side."""

from typing import Any

from ninja import Router
from ninja.params.functions import Query

from webapp.api import schemas
from webapp.comparison.comparing import choices_json, comparison_json
from webapp.requests import UserRequest

router = Router(tags=["compare"])

LONGEST_NAME = 20_000


@router.get(
    "/compare",
    response=dict[str, Any],
    summary="Two sides with their layers matched",
    description="A side is a build's id, or `PROJECT@DEVICE`, what is recommended there; or "
    "`PROJECT@DEVICE@original`; or `PROJECT@DEVICE@CONFIG`, where equal numbers in a row may be written once: "
    "`3.0x12.5`. Without `b` the newest other build of the project is taken.",
)
def compare(
    request: UserRequest,
    a: str = Query(..., max_length=LONGEST_NAME),
    b: str = Query("", max_length=LONGEST_NAME),
) -> Any:
    return comparison_json(owner=request.user, a=a, b=b)


@router.get(
    "/compare/choices",
    response=schemas.ComparisonChoices,
    summary="What can be compared: recipes of projects on any device, and builds",
)
def choices(request: UserRequest) -> Any:
    return choices_json(owner=request.user)
