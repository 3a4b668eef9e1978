"""Trains the original of a task: ``python -m benchmarks.train NAME [--minutes 5]``.

Stops after that time, between two epochs, and goes on from there at the next call; a training in pieces gives the weights of one
in a row. Writes the ONNX file that the task names and prints the accuracy on validation and test.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from benchmarks.halves import halved, restored
from benchmarks.task import PARTS, WORK, Arrays, Task, Training, examples, get, missing, names
from compression.evaluation import onnx_logits
from webapp.samples.training import write_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


@dataclass(slots=True)
class Run:
    """A training under way: all that a later call needs lies in ``checkpoint``."""

    training: Training
    x: Tensor
    y: Tensor
    checkpoint: Path

    def advance(self, seconds: float) -> torch.nn.Module | None:
        """Epochs until time is up; the network when all are done."""
        torch.manual_seed(self.training.schedule.seed)
        model = self.training.network().to(self.x.device)
        if self.training.brain_floats:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer, cycle = self._optimizer(model)
        first = self._resume(model, optimizer, cycle)
        started = time.monotonic()
        for epoch in range(first, self.training.schedule.epochs):
            if time.monotonic() - started > seconds:
                return None
            loss = self._epoch(model, optimizer, cycle)
            self._keep(epoch + 1, model, optimizer, cycle)
            print(
                f"epoch {epoch + 1}/{self.training.schedule.epochs}  loss {loss:.4f}",
                flush=True,
            )
        return model.eval()

    def _optimizer(self, model: torch.nn.Module) -> tuple[Any, Any]:
        schedule = self.training.schedule
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        steps = schedule.epochs * (len(self.x) // schedule.batch_size)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, schedule.learning_rate, total_steps=steps, pct_start=0.2
        )
        return optimizer, cycle

    def _epoch(self, model: torch.nn.Module, optimizer: Any, cycle: Any) -> float:
        model.train()
        size = self.training.schedule.batch_size
        batches = len(self.x) // size
        shuffled = torch.randperm(len(self.x)).to(self.x.device)
        total = torch.zeros((), device=self.x.device)
        for rows in torch.split(shuffled[: batches * size], size):
            loss = self._loss(model, rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
            total += loss.detach()
        return float(total) / batches

    def _loss(self, model: torch.nn.Module, rows: Tensor) -> Tensor:
        x, half = self.training.augment(self.x[rows]), self.training.brain_floats
        if half:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
            return functional.cross_entropy(model(x), self.y[rows])

    def _keep(self, epoch: int, *parts: Any) -> None:
        state = {"epoch": epoch, "random": torch.get_rng_state()}
        if self.x.is_cuda:
            state["random_there"] = torch.cuda.get_rng_state()
        state["parts"] = [part.state_dict() for part in parts]
        waiting = self.checkpoint.with_suffix(".new")
        torch.save(state, waiting)
        waiting.replace(self.checkpoint)

    def _resume(self, *parts: Any) -> int:
        if not self.checkpoint.is_file():
            return 0
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)  # noqa: TID251  # its own file
        for part, values in zip(parts, state["parts"], strict=True):
            part.load_state_dict(values)
        torch.set_rng_state(state["random"])
        if self.x.is_cuda and "random_there" in state:
            torch.cuda.set_rng_state(state["random_there"])
        return int(state["epoch"])


def trained(name: str, task: Task, seconds: float) -> bool:
    """Whether the training has come to its end; the file is written then."""
    if task.training is None:
        raise SystemExit(f"{name} was trained elsewhere: {task.origin}.")
    arrays = task.arrays()
    parts = {part: _tensors(task, arrays, part) for part in PARTS}
    checkpoint = WORK / name / "training.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    device = _device(task.training)
    x, y = (tensor.to(device) for tensor in parts["train"])
    model = Run(task.training, x, y, checkpoint).advance(seconds)
    if model is None:
        print("Time is up; the next call goes on from here.")
        return False
    task.base.parent.mkdir(parents=True, exist_ok=True)
    write_onnx(model.cpu(), parts["train"][0][:1], task.base)
    if task.kept:
        task.kept.write_bytes(halved(task.base.read_bytes()))
        task.base.write_bytes(restored(task.kept.read_bytes()))
    trained_file = task.base.read_bytes()
    for part in ("val", "test"):
        samples, labels = (tensor.numpy() for tensor in parts[part])
        right = onnx_logits(trained_file, samples).argmax(axis=1) == labels
        print(f"{part} {right.mean():.4f}")
    return True


def _device(training: Training) -> str:
    """A GPU for the large networks, if there is one; what changes samples of the small ones works on the CPU."""
    return "cuda" if training.brain_floats and torch.cuda.is_available() else "cpu"


def _tensors(task: Task, arrays: Arrays, part: str) -> tuple[Tensor, Tensor]:
    x, y = examples(task, arrays, part)
    return torch.from_numpy(x), torch.from_numpy(y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    task = get(options.name)
    if lacks := missing(task, trained=False):
        raise SystemExit(f"{task.title} is skipped: {lacks}")
    torch.set_num_threads(1)
    trained(options.name, task, 60 * options.minutes)


if __name__ == "__main__":
    main()
