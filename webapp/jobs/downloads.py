"""A job's files on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from django.http import Http404

from webapp.jobs import artifacts
from webapp.responses import GONE, file_stream

if TYPE_CHECKING:
    from django.http import StreamingHttpResponse

    from webapp.jobs.models import Artifact, Job


def artifact_stream(job: Job, artifact: Artifact) -> StreamingHttpResponse:
    """The file as a download under a telling name.

    Raises:
        Http404: when it is gone.
    """
    path = job.folder / artifact.path
    if not path.is_file():
        raise Http404(f"{artifact.name} {GONE}")
    name = quote(artifacts.download_name(job, artifact))
    return file_stream(
        path,
        {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "ETag": f'"{artifact.sha256}"',
        },
    )
