"""Uploads that come in chunks: begun, taken up after any interruption, finished, given up."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import Http404
from django.utils import timezone

from webapp.bodylimit import too_large
from webapp.projects import storage
from webapp.projects.models import UPLOAD_KINDS, Transfer
from webapp.projects.queries import upload_get
from webapp.projects.quotas import room_check, upload_quota_check
from webapp.projects.services import plain_name, printable, upload_keep
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from django.contrib.auth.models import User

    from webapp.projects.models import Upload

CHUNK_BYTES = 4 * 1024**2
MOST_AT_ONCE = 20
KEPT_S = 24 * 3600.0

GONE = "There is no such upload under way. Begin it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a sender says of a file before it comes.

    By the hash, or by a fingerprint where hashing the whole takes too long, an upload is found again
    that was begun before.
    """

    kind: str
    name: str
    size_bytes: int
    sha256: str = ""
    fingerprint: str = ""


def transfer_begin(*, owner: User, announced: Announced) -> Transfer:
    """A place for the file; one that was begun before with the same file goes on where it was.

    Raises:
        RequestRefusedError: when such a file has no room here.
    """
    said = asdict(announced) | {
        "name": plain_name(announced.name),
        "sha256": announced.sha256.lower(),
        "fingerprint": printable(announced.fingerprint),
    }
    with storage.places_locked():
        if begun := _begun_before(owner, said):
            return begun
        _check_room(owner, announced.size_bytes)
        transfer = Transfer(owner=owner, **said)
        storage.part_create(transfer.path)
        transfer.save(force_insert=True)
    return transfer


def transfer_append(
    *, transfer: Transfer, offset: int | None, stream: storage.Readable, length: int | None
) -> Transfer:
    """Take in a chunk that goes on where the last one ended; one that is here already changes nothing.

    Raises:
        RequestRefusedError: at any other offset, with the one that is expected.
    """
    if offset is None:
        text = "The header Upload-Offset does not say at which byte the chunk begins."
        raise RequestRefusedError(text, code="no_offset")
    end = offset + (length or 0)
    with _turn(transfer) as now:
        if end <= now.received_bytes:
            return now
        if offset != now.received_bytes:
            text = f"The next chunk begins at byte {now.received_bytes}, this one at {offset}."
            raise _conflict(text, "wrong_offset", now)
        if end > now.size_bytes:
            text = (
                f"The file was said to have {now.size_bytes} bytes; this chunk ends at {end}."
            )
            raise RequestRefusedError(text, code="too_long")
        storage.part_write(now.path, offset, stream, length)
        return _advanced(now, end)


def transfer_finish(*, transfer: Transfer) -> Upload:
    """The upload, once all bytes are here; asked again, the same one.

    Raises:
        RequestRefusedError: when bytes are missing, or the file is not what it should be: then nothing is left.
    """
    with _turn(transfer) as now:
        kind = UPLOAD_KINDS[now.kind]
        if now.upload_id:
            return upload_get(kind, owner=now.owner, upload_id=now.upload_id)
        if now.received_bytes < now.size_bytes:
            text = f"Of {now.size_bytes} bytes {now.received_bytes} have come. Send the rest."
            raise _conflict(text, "incomplete", now)
        part = storage.part_whole(now.path)
        try:
            _check_hash(now, part)
            upload = upload_keep(kind, owner=now.owner, name=now.name, part=part)
        except RequestRefusedError:
            _drop(now)
            raise
        # The part goes last: whoever is killed before finishes once more, with the same bytes.
        Transfer.objects.filter(pk=now.pk).update(upload_id=upload.pk, touched=timezone.now())
        now.path.unlink()
    return upload


def transfer_delete(*, transfer: Transfer) -> None:
    """Give it up, with what has come."""
    with _alone(transfer):
        _drop(transfer)


def transfers_sweep(older_than_s: float = KEPT_S) -> None:
    """Delete what nobody went on with, and the records of what is long finished."""
    before = timezone.now() - timedelta(seconds=older_than_s)
    for transfer in Transfer.objects.filter(touched__lt=before):
        transfer_delete(transfer=transfer)


def transfer_get(*, owner: User, transfer_id: UUID) -> Transfer:
    """The owner's transfer; a stranger gets 404."""
    transfer = Transfer.objects.filter(pk=transfer_id, owner=owner).first()
    if transfer is None:
        raise Http404(GONE)
    return transfer


def transfers_json(*, owner: User) -> list[dict[str, Any]]:
    """What is under way, the newest first."""
    begun = Transfer.objects.filter(owner=owner, upload_id=None).order_by("-touched")
    return [transfer_json(transfer) for transfer in begun]


def transfer_json(transfer: Transfer) -> dict[str, Any]:
    ends = transfer.touched + timedelta(seconds=KEPT_S)
    return {
        "id": str(transfer.pk),
        "kind": transfer.kind,
        "name": transfer.name,
        "size_bytes": transfer.size_bytes,
        "received_bytes": transfer.received_bytes,
        "chunk_bytes": CHUNK_BYTES,
        "upload": str(transfer.upload_id) if transfer.upload_id else None,
        "expires": ends.isoformat(timespec="seconds"),
    }


def _begun_before(owner: User, said: dict[str, Any]) -> Transfer | None:
    if not (said["sha256"] or said["fingerprint"]):
        return None
    begun = Transfer.objects.filter(owner=owner, upload_id=None, **said).order_by("-touched")
    return next((transfer for transfer in begun if _is_here(transfer)), None)


def _check_room(owner: User, size_bytes: int) -> None:
    if size_bytes == 0:
        raise RequestRefusedError("The file is empty.", code="file_refused", status=422)
    if size_bytes > settings.UPLOAD_LIMIT_BYTES:
        raise RequestRefusedError(too_large(size_bytes), code="too_large", status=413)
    if Transfer.objects.filter(owner=owner, upload_id=None).count() >= MOST_AT_ONCE:
        text = f"{MOST_AT_ONCE} of your uploads are not finished. Finish some, or cancel them."
        raise RequestRefusedError(text, code="too_many", status=409)
    upload_quota_check(owner=owner, length=size_bytes)
    room_check(length=size_bytes)


@contextmanager
def _turn(transfer: Transfer) -> Iterator[Transfer]:
    """The transfer as it is now, and nobody else changes it meanwhile."""
    with _alone(transfer):
        now = Transfer.objects.select_related("owner").filter(pk=transfer.pk).first()
        if now is None or not (now.upload_id or _is_here(now)):
            raise Http404(GONE)
        yield now


def _alone(transfer: Transfer) -> AbstractContextManager[None]:
    """Sixteen locks serve all transfers: a file for each would have to be cleaned up."""
    return storage.locked(f"transfer-{transfer.pk.hex[0]}")


def _is_here(transfer: Transfer) -> bool:
    """Whether the part holds what the record says: not so beside a restored or tidied-up database."""
    try:
        return transfer.path.stat().st_size >= transfer.received_bytes
    except FileNotFoundError:
        return False


def _advanced(transfer: Transfer, end: int) -> Transfer:
    # The offset in the condition: on another machine that shares the database there are other locks.
    same = Transfer.objects.filter(pk=transfer.pk, received_bytes=transfer.received_bytes)
    if not same.update(received_bytes=end, touched=timezone.now()):
        raise _conflict("Somebody else sends the same upload.", "wrong_offset", transfer)
    transfer.refresh_from_db()
    return transfer


def _check_hash(transfer: Transfer, part: storage.StoredPart) -> None:
    if transfer.sha256 and transfer.sha256 != part.sha256:
        text = "What has come is not the file that was announced: its SHA-256 differs. Send it again."
        raise RequestRefusedError(text, code="hash_differs", status=422)


def _drop(transfer: Transfer) -> None:
    transfer.path.unlink(missing_ok=True)
    transfer.delete()


def _conflict(text: str, code: str, transfer: Transfer) -> RequestRefusedError:
    return RequestRefusedError(
        text, code=code, status=409, received_bytes=transfer.received_bytes
    )
