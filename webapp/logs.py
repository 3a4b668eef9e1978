"""Lines of the log, for people and as JSON, each with the job that it is about."""

import json
import logging
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
        return json.dumps({key: value for key, value in values.items() if value})
