"""The state of a training on disk: one safetensors file, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from compression import durable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_LOG = logging.getLogger(__name__)
_FACTS = "adadeep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Tensors by name, and plain values (JSON) beside them."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Writes under a temporary name and renames; a full disk costs the checkpoint, not the training."""
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.tensors.items()}
        temporary = path.with_suffix(".tmp")
        try:
            temporary.write_bytes(save(tensors, {_FACTS: json.dumps(self.facts)}))
            durable.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            _LOG.warning("No checkpoint of the training was kept: %s.", error.strerror)

    @classmethod
    def read(cls, path: Path) -> Checkpoint | None:
        """What was written there; ``None`` when there is no whole checkpoint."""
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                facts = json.loads((file.metadata() or {})[_FACTS])
                return cls(tensors={n: file.get_tensor(n) for n in file.keys()}, facts=facts)  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            _LOG.warning("The checkpoint %s cannot be read: %s.", path.name, error)
            return None

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under ``prefix.``, without it."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): t
            for name, t in self.tensors.items()
            if name.startswith(start)
        }


def fingerprint(tensors: Mapping[str, Tensor], *settings: object) -> str:
    """Tells one training from another: a hash of where it starts from and how it is done."""
    digest = hashlib.sha256(repr(settings).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
