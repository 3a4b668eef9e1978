"""How training goes from nothing and from an agent of other networks: pictures, and the time that is saved.

``python -m benchmarks.learning_curves AGENT.npz [NAME...]``: AGENT is made by ``benchmarks.pretrain`` without the
networks named here. Writes ``benchmarks/results/learning_NAME.svg``: the gap of greedy roll-outs to the best
known answers against CPU time, a thin line a seed, the mean of all seeds thick.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Tiny products gain nothing from a second thread, and wait for it on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.study_tables import NAMES, tables_of
from compression.cost import load_device
from selector.dqn import Trainer, Training
from selector.job import TRAINING_TARGETS
from selector.learner import Learner
from selector.policy_network import PolicyWeights
from selector.surrogate import Surrogate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.learner import Arrays
    from selector.tables import Array

RESULTS = Path(__file__).parent / "results"
WIDTH, HEIGHT, LEFT, BOTTOM = 560, 260, 46, 34
COLOURS = {"from nothing": "#8a8f98", "from other networks": "#2f6fde"}


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    RESULTS.mkdir(exist_ok=True)
    agent = PolicyWeights.load(options.agent).arrays
    starts: dict[str, Arrays | None] = {"from nothing": None, "from other networks": agent}
    for name in options.names:
        surrogate = Surrogate(tables_of(name))
        curves = {
            label: np.array(
                [curve(surrogate, start, seed, options.rounds) for seed in range(options.seeds)]
            )
            for label, start in starts.items()
        }
        (RESULTS / f"learning_{name}.svg").write_text(picture(name, curves), "utf-8")
        _report(name, curves)


def curve(surrogate: Surrogate, start: Arrays | None, seed: int, rounds: int) -> Array:
    """``[N, 2]`` CPU seconds of training and the gap of roll-outs, before it and every other round."""
    targets = tuple(load_device(name) for name in TRAINING_TARGETS)
    settings = Training(seed=seed, rounds=rounds, judged_every=2, pool_rounds=8)
    points, spent, begun = [], 0.0, 0.0

    def report(_done: int, _rounds: int, figures: dict[str, float]) -> bool:
        nonlocal spent, begun
        spent += time.process_time() - begun
        if "gap" in figures:
            points.append((spent, figures["gap"]))
        begun = time.process_time()
        return True

    trainer = Trainer(surrogate, targets, settings, Learner(seed, start), report=report)
    spent, begun = 0.0, time.process_time()
    trainer.run()
    return np.array(points)


def _report(name: str, curves: dict[str, Array]) -> None:
    """When the mean gap first is where training from nothing ends."""
    means = {label: points.mean(axis=0) for label, points in curves.items()}
    goal = float(means["from nothing"][-3:, 1].mean())
    for label, mean in means.items():
        reached = np.flatnonzero(mean[:, 1] <= goal)
        when = f"{mean[reached[0], 0]:.1f} CPU-s" if len(reached) else "not reached"
        ends = curves[label][:, -1, 1]
        print(
            f"{name} {label}: gap {mean[0, 1]:.1%} before, {mean[-1, 1]:.1%} after "
            f"({ends.min():.1%} to {ends.max():.1%}) {mean[-1, 0]:.1f} CPU-s; {goal:.1%} reached after {when}",
            flush=True,
        )


def picture(name: str, curves: dict[str, Array]) -> str:
    """The curves as SVG."""
    every = np.concatenate([points.reshape(-1, 2) for points in curves.values()])
    most = every.max(axis=0) * 1.05
    parts = [_axes(most, f"{name}: gap of roll-outs while the selector learns")]
    for place, (label, points) in enumerate(curves.items()):
        colour = COLOURS[label]
        parts += [_line(one, most, colour, 0.8, 0.35) for one in points]
        parts.append(_line(points.mean(axis=0), most, colour, 2.5, 1.0))
        y = 34 + 16 * place
        parts.append(f'<text x="{WIDTH - 150}" y="{y}" fill="{colour}">{label}</text>')
    style = 'font-family="sans-serif" font-size="12"'
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {style}>{"".join(parts)}</svg>\n'


def _axes(most: Array, title: str) -> str:
    bottom = HEIGHT - BOTTOM
    found = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-weight="bold">{title}</text>',
        f'<path d="M{LEFT} 24V{bottom}H{WIDTH - 8}" fill="none" stroke="#444"/>',
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 4}" text-anchor="end">CPU-s of training</text>',
    ]
    for share in (0.25, 0.5, 0.75, 1.0):
        x, y = _place(np.array([share, share]) * most, most)
        found.append(
            f'<text x="{x}" y="{bottom + 15}" text-anchor="middle">{share * most[0]:.3g}</text>'
        )
        found.append(
            f'<text x="{LEFT - 4}" y="{y + 4}" text-anchor="end">{share * most[1]:.0%}</text>'
        )
    return "".join(found)


def _line(points: Array, most: Array, colour: str, width: float, opacity: float) -> str:
    text = " ".join("{:.1f},{:.1f}".format(*_place(point, most)) for point in points)
    return (
        f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-opacity="{opacity}"/>'
    )


def _place(point: Array, most: Array) -> Sequence[float]:
    x, y = (point / most).tolist()
    return round(LEFT + x * (WIDTH - LEFT - 12), 1), round(
        24 + (1 - y) * (HEIGHT - BOTTOM - 24), 1
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("agent", type=Path)
    parser.add_argument("names", nargs="+", choices=NAMES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=30)
    return parser.parse_args()


if __name__ == "__main__":
    main()
