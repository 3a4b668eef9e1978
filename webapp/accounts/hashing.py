"""Secrets that are shown once: only their hash is kept."""

import hashlib
import secrets


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def sha256_of(secret: str) -> str:
    """A plain hash will do: 256 random bits are not found by trying."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
