"""What the two sample training scripts share: the training loop and the ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from pathlib import Path

Augment = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One cycle of AdamW: the learning rate rises for a fifth of the steps, then falls to zero."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-2
    seed: int = 0


def fit(model: nn.Module, x: Tensor, y: Tensor, schedule: Schedule, augment: Augment) -> None:
    """Trains in place; the same seed and thread count give the same weights."""
    batches = len(x) // schedule.batch_size
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, total_steps=schedule.epochs * batches, pct_start=0.2
    )
    for epoch in range(schedule.epochs):
        model.train()
        total = 0.0
        shuffled = torch.randperm(len(x))[: batches * schedule.batch_size]
        for rows in torch.split(shuffled, schedule.batch_size):
            loss = functional.cross_entropy(model(augment(x[rows])), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{schedule.epochs}  loss {total / batches:.4f}", flush=True)
    model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers, 0 to 1."""
    pairs = zip(torch.split(x, 512), torch.split(y, 512), strict=True)
    right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in pairs)
    return right / len(y)


def write_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    """One ONNX file with the weights inside, their PyTorch names, and a free batch dimension."""
    torch.onnx.export(
        model,
        (example,),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )
