"""What a finished study leaves, from synthetic tables and an agent trained for a moment, or not at all."""

import json
from functools import cache

import numpy as np
import torch

from compression.cost import load_device
from compression.types import LayerKind
from selector import dqn
from selector.job import TRAINING_TARGETS
from selector.learning import learnt
from selector.policy_network import PolicyWeights
from selector.pretrained import pretrained
from selector.surrogate import Surrogate, Validated
from tests.selector.synthetic_tables import lenet_tables, residual_tables

TRAINING = dqn.Training(
    rounds=2, episodes_per_round=32, updates_per_round=2, pool_size=120, pool_rounds=2
)


def write(folder):
    """LeNet."""
    write_study(folder, lenet_tables(), trained())


@cache
def trained():
    """Once for all studies that a process writes: it takes seconds."""
    targets = [load_device(name) for name in TRAINING_TARGETS]
    torch.set_num_threads(1)
    return dqn.train(Surrogate(lenet_tables()), targets, TRAINING)


def write_deep(folder, blocks=166, candidates=200):
    """A thousand layers, random recipes, and the agent as it comes: to train it would take minutes."""
    tables = residual_tables(blocks=blocks)
    space = Surrogate(tables).space
    pool = space.sample(space.mask, candidates, np.random.default_rng(0))
    pool = np.concatenate([space.untouched(), pool])
    write_study(
        folder, tables, PolicyWeights(arrays=pretrained(), targets=TRAINING_TARGETS, pool=pool)
    )


def write_study(folder, tables, weights):
    surrogate = Surrogate(tables)
    for stage in ("INSPECT", "PROBE", "SEARCH", "VALIDATE"):
        (folder / stage).mkdir(parents=True)
    write_inspection(folder / "INSPECT", tables)
    tables.save(folder / "PROBE" / "tables.npz")
    weights.save(folder / "SEARCH" / "policy.npz")
    write_validation(folder / "VALIDATE", surrogate, weights.pool[:8])


def write_inspection(folder, tables):
    layers = [inspected_layer(tables, row) for row in range(len(tables.layers))]
    inspect = {
        "name": "lenet",
        "params": 61706,
        "macs": 416520,
        "size_bytes": 250000,
        "input": {"name": "x", "shape": [1, 28, 28]},
        "layers": layers,
        "techniques": {
            "svd": {
                "title": "Low-rank (SVD)",
                "letter": "S",
                "token": "tech-svd",
                "paper": "",
                "parameters": [],
            }
        },
        "warnings": [],
    }
    baseline = {
        "accuracy": 0.99,
        "accuracy_ci": [0.988, 0.992],
        "accuracy_kind": "accuracy",
        "n_test": 10000,
        "host_latency_ms": {"p10": 0.05, "p50": 0.051, "p90": 0.06, "rounds": 30},
        "class_names": [str(n) for n in range(10)],
        "splits": {"calibration": 1, "search": 1, "training": 1, "test": 1},
    }
    preprocessing = {"layout": "NCHW", "divide": 255.0, "mean": [0.1307], "std": [0.3081]}
    for name, value in (
        ("baseline", baseline),
        ("preprocessing", preprocessing),
        ("inspect", inspect),
    ):
        (folder / f"{name}.json").write_text(json.dumps(value))


def inspected_layer(tables, row):
    kind = tables.kinds[row]
    return {
        "name": tables.layers[row],
        "kind": kind.value,
        "op": kind.value if kind is not LayerKind.OTHER else "max_pool",
        "kernel": [5, 5] if kind is LayerKind.CONV else [],
        "reads": [tables.layers[row - 1] if row else "x"],
        "in_shape": [6, 14, 14],
        "out_shape": [16, 10, 10],
        "in_channels": 6,
        "out_channels": 16,
        "in_multiplier": 1,
        "params": int(tables.params[row, 0, 0, 0]),
        "macs": int(tables.macs[row, 0, 0, 0]),
        "applicable": {"svd": True, "fire": "needs a 3x3 kernel"},
    }


def write_validation(folder, surrogate, configs):
    predicted = surrogate.evaluate(configs, load_device("this-host"))
    rows = [
        {
            "id": number,
            "config": config,
            "drop_points": float(predicted.drop_points[number]) * 0.9,
            "kl": 0.01,
            "size_bytes": 1000,
            "host_ms": 0.04,
            "host_ratio": 1.2,
        }
        for number, config in enumerate(np.asarray(configs).tolist())
    ]
    built = [Validated.from_json(row) for row in rows]
    refitted = learnt(surrogate, built)
    refitted.tables.save(folder / "tables.npz")
    value = {
        "candidates": rows,
        "accuracy_model": refitted.model.to_json(),
        "check": refitted.checked(built).to_json(),
    }
    (folder / "candidates.json").write_text(json.dumps(value))
