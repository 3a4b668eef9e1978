"""The paper's tables: each demand of a task answered by the product's own command line.

``python -m benchmarks.paper [NAME...] [--seeds 1] [--minutes 5] [--only DEMAND...]`` does what is missing and stops when time is
up, between two builds. A study is made once for a task and a seed (INSPECT to VALIDATE); every demand is
a build from a copy of it (RECOVER to PACKAGE), as on the pages. Leaves a model and what the report says of it in
``.proof/NAME/files``; ``benchmarks.referee`` measures them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import ablations
from benchmarks.demands import demands
from benchmarks.task import WORK, get, missing, names, upload
from compression import technique
from compression.cost import load_device
from compression.types import BUILD_STAGES, NETWORK, STUDY_STAGES, LayerKind, Stage
from selector.device_comparison import Wish, on_devices
from selector.jobfolder import CHOSEN_RECIPE, JobFolder
from selector.study import load_policy
from selector.types import Budgets, Goals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from benchmarks.demands import Demand
    from benchmarks.task import Task
    from selector.device_comparison import OnDevice

PAPER_DEVICES = (
    *("redmi-3s", "mi-5s", "mi-6", "huawei-pra-al00", "galaxy-note5", "huawei-p9"),
    *("huawei-watch2", "sony-sw3", "firefly-rk3399", "firefly-rk3288"),
    *("xiaomi-box-3s", "huawei-box"),
)
USUAL = ("digits", "motion", "sound", "resnet20", "alexnet")
FAULT, BAD_REQUEST = 1, 2

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A task and a seed at work; ``without`` names what is left out of the method, ``patience`` stretches the task's limit of time."""

    name: str
    task: Task
    seed: int
    without: str = ""
    patience: float = 1.0

    @property
    def study(self) -> Path:
        """The job folder of the study."""
        what = f"study-without-{self.without}" if self.without else "study"
        if self.patience > 1:
            what = f"{what}-{self.patience:g}-times"
        return WORK / self.name / f"{what}-{self.seed}"

    @property
    def engine(self) -> tuple[str, ...]:
        """The engine's command line."""
        left_out = self.without or ablations.NOTHING
        return (sys.executable, "-m", "benchmarks.ablations", left_out)

    @property
    def files(self) -> Path:
        """Where models and what is known of them go."""
        return WORK / self.name / "files"

    def row_path(self, demand: str) -> Path:
        """What is known of one build."""
        return self.files / f"{demand}-{self.seed}.json"

    def request(self, **more: Any) -> Row:
        """What is the same in the study and in every build."""
        return {
            "model": str(self.task.base),
            "data": str(upload(self.name)),
            "preprocessing": dict(self.task.preprocessing),
            "time_limit_s": self.patience * self.task.time_limit_s,
            "threads": 1,
            "seed": self.seed,
            **more,
        }


def study(bench: Bench) -> bool:
    """Makes the study where it is missing; whether there was something to do."""
    folder = JobFolder(bench.study)
    if all(folder.is_done(stage) for stage in STUDY_STAGES):
        return False
    bench.study.mkdir(parents=True, exist_ok=True)
    if bench.without:
        whole = replace(bench, without="")
        study(whole)
        ablations.begin(bench.without, whole.study, bench.study)
    (bench.study / "request.json").write_text(json.dumps(bench.request()), "utf-8")
    spent = run_stages(bench, bench.study, STUDY_STAGES)
    (bench.study / "spent.json").write_text(json.dumps(spent), "utf-8")
    return True


def build(bench: Bench, name: str, demand: Demand) -> Row:
    """One demand answered: the row of what the report says; its model lies beside it."""
    folder = bench.study.with_name(f"build-{name}-{bench.seed}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bench.study, folder)
    request = bench.request(**_asked(bench, demand))
    (folder / "request.json").write_text(json.dumps(request), "utf-8")
    if demand.uniform is not None:
        chosen = json.dumps({"recipe": _uniform(folder, demand.uniform)})
        (folder / CHOSEN_RECIPE).write_text(chosen, "utf-8")
    try:
        spent = run_stages(bench, folder, BUILD_STAGES)
        row = _row(folder, spent, json.loads((bench.study / "spent.json").read_text("utf-8")))
        shutil.copyfile(_primary(folder), bench.files / f"{name}-{bench.seed}.onnx")
    except subprocess.CalledProcessError as error:
        row = {"error": (error.stderr or str(error)).strip().splitlines()[-1][:300]}
    shutil.rmtree(folder)
    facts = {"tool": "AdaDeep", "group": demand.group, "text": demand.text, "demand": name}
    return facts | {"seed": bench.seed, "limits": request["budgets"]} | row


def run_stages(bench: Bench, folder: Path, stages: Iterable[Stage]) -> Row:
    """The stages by the command line, in a row; what they took."""
    started, before = time.monotonic(), _cpu_s()
    for stage in stages:
        command = [*bench.engine, "stage", stage.value, str(folder)]
        ended = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        if ended.returncode in (FAULT, BAD_REQUEST) or ended.returncode < 0:
            raise subprocess.CalledProcessError(ended.returncode, command, stderr=ended.stderr)
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_s": round(_cpu_s() - before, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _asked(bench: Bench, demand: Demand) -> Row:
    """The keys of a request that a demand sets."""
    folder = JobFolder(bench.study)
    baseline = folder.read_json(Stage.INSPECT, "baseline.json")
    layers = [str(row["name"]) for row in inspected(bench.study)["layers"]]
    milliseconds = float(baseline["host_latency_ms"]["p50"])
    return {
        "goals": dict(demand.goals),
        "budgets": demand.budgets(milliseconds, bench.task.base.stat().st_size),
        "locks": demand.locks(layers, technique.names()),
        "target": demand.target,
        "selector": demand.selector,
    }


def inspected(folder: Path) -> Row:
    """What INSPECT says of the network."""
    found: Row = JobFolder(folder).read_json(Stage.INSPECT, "inspect.json")
    return found


def _uniform(folder: Path, share: float) -> list[Row]:
    """The same share of channels off every layer but the last, all in 8 bits."""
    kinds = (LayerKind.CONV.value, LayerKind.DENSE.value)
    layers = [row["name"] for row in inspected(folder)["layers"] if row["kind"] in kinds]
    pruned = {"technique": "filter_pruning", "params": {"pruning_ratio": share}}
    steps = [{"layer": layer, **pruned} for layer in layers[:-1]]
    return [*steps, {"layer": NETWORK, "technique": "int8", "params": {"mode": "full"}}]


def _primary(folder: Path) -> Path:
    report = json.loads((folder / Stage.PACKAGE / "report.json").read_text("utf-8"))
    name = next(row["path"] for row in report["artifacts"] if row.get("primary"))
    return folder / Stage.PACKAGE.value / str(name)


def _row(folder: Path, spent: Row, study_spent: Row) -> Row:
    """What the report says, and what is predicted on the paper's devices."""
    report = json.loads((folder / Stage.PACKAGE / "report.json").read_text("utf-8"))
    recipe = [
        {key: step[key] for key in ("layer", "technique", "params")}
        for step in report["recipe"]
    ]
    return {
        "status": report["status"],
        "stopped_by": report["stopped_by"],
        "conflict": report["conflict"],
        "recipe": recipe,
        "reported": {"drop_points": report["accuracy_drop_points"], **report["ratios"]},
        "build": spent,
        "study": study_spent,
        "devices": [_on_device(found) for found in _predicted(folder)],
    }


def _predicted(folder: Path) -> Iterator[OnDevice]:
    job = JobFolder(folder)
    config = job.read_json(Stage.RECOVER, "recover.json")["config"]
    policy = load_policy(job)
    chosen = np.array(config, dtype=np.int64)
    devices = [load_device(name) for name in PAPER_DEVICES]
    wish = Wish(Goals(), Budgets())
    return on_devices(policy.surrogate, chosen[None], chosen, wish, devices)


def _on_device(found: OnDevice) -> Row:
    """Predicted ratios with the ends of their bands, of latency for both: what is not known of a device's power cancels."""
    ratios = {
        "latency": found.original.latency_ms / found.recipe.latency_ms,
        "energy": found.original.energy_mj / found.recipe.energy_mj,
    }
    band = found.latency
    return {"device": found.device.name, "title": found.device.title} | {
        key: [round(ratio / band.high, 3), round(ratio, 3), round(ratio / band.low, 3)]
        for key, ratio in ratios.items()
    }


def work(bench: Bench, only: list[str]) -> Iterator[str]:
    """Does what is missing, a piece at a time, and says what it did."""
    if study(bench):
        yield f"{bench.name}: study {bench.seed}"
    bench.files.mkdir(parents=True, exist_ok=True)
    for name, demand in demands(bench.task).items():
        path = bench.row_path(name)
        if path.is_file() or (only and name not in only):
            continue
        asked = replace(bench, without=demand.without, patience=demand.patience)
        if study(asked):
            yield f"{bench.name}: study {bench.seed} {demand.text}"
        row = build(asked, name, demand)
        path.write_text(json.dumps(row, indent=1), "utf-8")
        yield f"{bench.name}: {name}, {row.get('error') or row['status']}"


def main() -> None:
    options = _options()
    started = time.monotonic()
    for name in options.names or USUAL:
        task = get(name)
        if lacks := missing(task):
            print(f"{name} is skipped: {lacks}", flush=True)
            continue
        for seed in range(options.seeds):
            for said in work(Bench(name=name, task=task, seed=seed), options.only):
                print(said, flush=True)
                if time.monotonic() - started > 60 * options.minutes:
                    print("Time is up; the next call goes on from here.")
                    return


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names(), []])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--minutes", type=float, default=float("inf"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
