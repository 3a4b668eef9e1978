"""Where database and broker are, from one address each into what the libraries want; nothing here needs Django."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dj_database_url


def database(url: str, home: Path) -> dict[str, Any]:
    """Django's settings of the database; without an address it is a file in the data folder."""
    if not url:
        return _sqlite(home)
    # A connection for each request: what one request's thread leaves open no other takes up.
    return dict(dj_database_url.parse(url, conn_max_age=0))


def celery_broker(redis_url: str) -> str:
    """The broker's address as Celery writes it, which wants to be told to check certificates."""
    url = urlsplit(redis_url)
    if url.scheme == "unix":
        return f"redis+socket://{redis_url.removeprefix('unix://')}"
    if url.scheme != "rediss" or "ssl_cert_reqs" in parse_qs(url.query):
        return redis_url
    query = "&".join(filter(None, (url.query, "ssl_cert_reqs=required")))
    # Where the address names no database, Celery would take the query for its name.
    return url._replace(path=url.path.rstrip("/") or "/0", query=query).geturl()


def _sqlite(home: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(home / "adadeep.sqlite3"),
        # On disk, for threads share no database in memory without locking each other out.
        "TEST": {"NAME": str(home / "tmp" / "test.sqlite3")},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
