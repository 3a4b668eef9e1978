"""Files that come in chunks, for pages and programs alike: what was interrupted goes on where it was."""

from typing import Any
from uuid import UUID

from ninja import Router
from ninja.params.functions import Header

from webapp.api import schemas
from webapp.api.projects import BODY
from webapp.projects import transfers
from webapp.projects.models import Transfer
from webapp.projects.queries import upload_json
from webapp.requests import UserRequest, declared_length

router = Router(tags=["projects"])

LARGEST_OFFSET = 2**63 - 1


@router.get("/transfers", response=schemas.Transfers, summary="Uploads that are not finished")
def begun(request: UserRequest) -> Any:
    return {"transfers": transfers.transfers_json(owner=request.user)}


@router.post(
    "/transfers",
    response=schemas.Transfer,
    summary="Begin to send a file in chunks, or go on with one that was begun before",
)
def begin(request: UserRequest, values: schemas.NewTransfer) -> Any:
    announced = transfers.Announced(**values.model_dump())
    return _row(transfers.transfer_begin(owner=request.user, announced=announced))


@router.get(
    "/transfers/{uuid:transfer_id}", response=schemas.Transfer, summary="How far it has come"
)
def transfer(request: UserRequest, transfer_id: UUID) -> Any:
    return _row(_found(request, transfer_id))


@router.patch(
    "/transfers/{uuid:transfer_id}",
    response=schemas.Transfer,
    openapi_extra=BODY,
    summary="Send a chunk: the request's body, as it is",
    description="A chunk that is here already changes nothing. At any other offset than `received_bytes` it is "
    "refused with 409, and `error.received_bytes` says where to go on.",
)
def chunk(
    request: UserRequest,
    transfer_id: UUID,
    offset: int | None = Header(None, alias="Upload-Offset", ge=0, le=LARGEST_OFFSET),
) -> Any:
    taken = transfers.transfer_append(
        transfer=_found(request, transfer_id),
        offset=offset,
        stream=request,
        length=declared_length(request),
    )
    return _row(taken)


@router.post(
    "/transfers/{uuid:transfer_id}/finish",
    response={201: schemas.Upload},
    summary="Make an upload of it, once all bytes are here",
)
def finish(request: UserRequest, transfer_id: UUID) -> Any:
    return upload_json(transfers.transfer_finish(transfer=_found(request, transfer_id)))


@router.delete("/transfers/{uuid:transfer_id}", response={204: None}, summary="Give it up")
def give_up(request: UserRequest, transfer_id: UUID) -> None:
    transfers.transfer_delete(transfer=_found(request, transfer_id))


def _found(request: UserRequest, transfer_id: UUID) -> Transfer:
    return transfers.transfer_get(owner=request.user, transfer_id=transfer_id)


def _row(found: Transfer) -> Any:
    return transfers.transfer_json(found)
