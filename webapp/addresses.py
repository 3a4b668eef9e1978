"""Where database, broker and store of files are, from one address each into what the libraries want; nothing here needs Django."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import dj_database_url

FAR = {
    "connect_timeout": 10,
    # A machine that is cut off notices, and the server forgets what it held.
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": "-c idle_in_transaction_session_timeout=60000 -c tcp_keepalives_idle=10 "
    "-c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}
"""How a connection to PostgreSQL learns that the other end is gone."""


def database(url: str, home: Path) -> dict[str, Any]:
    """Django's settings of the database; without an address it is a file in the data folder."""
    if not url:
        return _sqlite(home)
    # A connection for each request: what one request's thread leaves open no other takes up.
    found: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=0))
    if found["ENGINE"] == "django.db.backends.postgresql":
        found["OPTIONS"] = {**FAR, **found.get("OPTIONS", {})}
    return found


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


def file_store(url: str) -> dict[str, Any]:
    """Django's settings of the store that machines share.

    Raises:
        ValueError: for an address of another kind.
    """
    parts = urlsplit(url)
    if not url:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    if parts.scheme == "file" and parts.path:
        options: dict[str, Any] = {"location": parts.path, "allow_overwrite": True}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    if parts.scheme == "s3" and parts.netloc:
        return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": _s3(parts)}
    raise ValueError(f"STORAGE_URL must be s3://bucket/prefix or file:///folder, not {url!r}.")


def _s3(parts: SplitResult) -> dict[str, Any]:
    try:
        from botocore.config import Config
    except ImportError as error:
        raise ValueError(
            "STORAGE_URL with s3:// needs packages that are not installed: make setup-hosts"
        ) from error
    return {
        "bucket_name": parts.netloc,
        "location": parts.path.strip("/"),
        "file_overwrite": True,
        "max_memory_size": 16 * 1024**2,
        "client_config": Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 3, "mode": "standard"},
            # Stores that speak S3 know the bucket in the path, and not all know the newer check sums.
            s3={"addressing_style": "path" if _has_endpoint() else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    }


def _has_endpoint() -> bool:
    return bool({"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & set(os.environ))


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
