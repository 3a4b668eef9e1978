"""Lines of the log, for people and as JSON, each with the job that it is about."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_job: ContextVar[str] = ContextVar("job", default="")


@contextmanager
def about_job(job_id: object) -> Iterator[None]:
    """Whatever is logged inside names the job."""
    token = _job.set(str(job_id))
    try:
        yield
    finally:
        _job.reset(token)


class JobContext(logging.Filter):
    """Gives each record its ``job``, and ``about``, which is how people read it."""

    def filter(self, record: logging.LogRecord) -> bool:
        job = _job.get()
        vars(record).update(job=job, about=f" [job {job}]" if job else "")
        return True


SECRET_LINK = re.compile(r"/(setup|join|shared|m)/[^/\s\"']+")
"""What follows is a right by itself, and Django names the address of whatever it refuses."""


def without_secrets(text: str) -> str:
    return SECRET_LINK.sub(r"/\1/…", text)


class TextLines(logging.Formatter):
    """The line as it is set up, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line: ``t``, ``level``, ``logger``, ``message``, and ``job`` and ``fault`` where there are."""

    def format(self, record: logging.LogRecord) -> str:
        values = {
            "t": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "job": getattr(record, "job", ""),
            "fault": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps(
            {key: without_secrets(value) for key, value in values.items() if value}
        )
