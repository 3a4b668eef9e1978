import json
import shutil
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from compression.analytic_cost import ANALYTIC
from compression.report_numbers import digits, unsure_limits
from compression.types import Stage
from selector.errors import BadRequestError
from selector.request import PROFILE_SUFFIX, PUBLISHED, SELECTORS, USUAL, parse_request
from webapp.jobs import sandbox
from webapp.jobs.selectors import selector_json
from webapp.management.progressbar import ProgressBar
from webapp.projects.services import checked_selector
from webapp.responses import RequestRefusedError

HOST = "this-host"
MET, FAULT, BAD_REQUEST, MISSED, INFEASIBLE = 0, 1, 2, 3, 4
LIMITS = {
    "max_accuracy_drop": "percentage points",
    "max_latency_ms": "on the target",
    "max_energy_mj": "on the target",
    "max_size_bytes": "of the file",
}
STOPPED = (
    "The operating system stopped the engine, most likely for lack of memory. "
    "Use a smaller model or data set, or a larger machine."
)
LOG_TAIL = 2000
GOALS = ("accuracy", "latency", "energy", "storage")


class Command(BaseCommand):
    help = (
        "Compresses a model without a running server. Exit status: 0 all limits met, 3 missed but "
        "delivered, 4 no recipe can meet them (the nearest is delivered), 2 bad request, 1 fault."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", type=Path, help="an ONNX file")
        parser.add_argument("--data", type=Path, help=".npz or .zip; without, it is made up")
        parser.add_argument(
            "--out", type=Path, help="folder for the results; left out, MODEL-smaller"
        )
        parser.add_argument(
            "--target", default="this-host", help="name of a device, or its profile (.toml)"
        )
        parser.add_argument(
            "--preprocessing", type=json.loads, metavar="JSON", help="left out, it is guessed"
        )
        for name, unit in LIMITS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=float, help=unit)
        for name in GOALS:
            parser.add_argument(f"--{name}", type=float, metavar="WEIGHT", help="of that goal")
        parser.add_argument(
            "--selector", default=USUAL, help=f"who chooses the recipe: {', '.join(SELECTORS)}"
        )
        parser.add_argument(
            "--classic",
            action="append",
            default=[],
            type=_switch,
            metavar="KEY=VALUE",
            help=f"a switch of --selector {PUBLISHED}, for example view='{ANALYTIC}'; may be repeated",
        )
        parser.add_argument("--time-limit-s", type=float, default=settings.BUILD_TIME_LIMIT_S)
        parser.add_argument("--threads", type=int, default=settings.ENGINE_THREADS)
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, **options: Any) -> None:
        request = _request(options)
        out: Path = options["out"] or Path(f"{options['model'].stem}-smaller")
        # Results of another run in the same folder must not pass for this one's.
        with tempfile.TemporaryDirectory(dir=settings.ADADEEP_HOME / "tmp") as scratch:
            work = Path(scratch)
            code, problem = _run(request, work, ProgressBar(self.stderr))
            if code not in (MET, MISSED, INFEASIBLE):
                raise CommandError(problem, returncode=code)
            _deliver(work / Stage.PACKAGE.value, out)
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        self.stdout.write(summary(report, out))
        sys.exit(code)


def summary(report: dict[str, Any], out: Path) -> str:
    """What was reached, measured, in a few lines."""
    baseline, result, ratios = report["baseline"], report["result"], report["ratios"]
    words = baseline.get("accuracy_words", baseline["accuracy_kind"])
    return "\n".join(
        [
            f"Limits:   {_verdict(report)}",
            f"{words.capitalize()}: {baseline['accuracy']:.2%} -> {result['accuracy']:.2%}",
            f"File:     {baseline['size_bytes']:,} -> {result['size_bytes']:,} bytes "
            f"({ratios['size']:.1f}x smaller)",
            f"Latency:  {ratios['host_latency']:.2f}x faster, measured on this computer",
            *_on_target(report),
            *_chosen_by(report),
            f"Files:    {out}",
        ]
    )


def _verdict(report: dict[str, Any]) -> str:
    """The status, and which limits are met by an estimate whose band ends beyond them."""
    unsure = [limit["name"] for limit in unsure_limits(report)]
    if not unsure:
        return str(report["status"])
    status = "likely met" if report["status"] == "met" else report["status"]
    return f"{status} (the band ends beyond {', '.join(unsure)})"


def _on_target(report: dict[str, Any]) -> list[str]:
    """What is predicted for a device that is not here, with its band and label."""
    if report["target"] == HOST:
        return []
    predicted = report["predicted"]["latency_ms"]
    return [
        f"Target:   {digits(predicted['baseline'], 2)} -> {digits(predicted['result'], 2)} ms predicted, "
        f"{digits(predicted['low'], 2)} to {digits(predicted['high'], 2)} ({predicted['label']})"
    ]


def _chosen_by(report: dict[str, Any]) -> list[str]:
    """Who found the recipe, where another selector than the usual one was asked for."""
    name = report.get("search", {}).get("selector", USUAL)
    return [] if name == USUAL else [f"Recipe:   chosen by {selector_json(name)['inside']}"]


def _switch(text: str) -> tuple[str, Any]:
    """``KEY=VALUE`` with a value as in JSON, or a word."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE.")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """The engine's request, checked before anything is started."""
    goals = {name: options[name] for name in GOALS if options[name] is not None}
    chooser = _chooser(options["selector"], dict(options["classic"]))
    request = {
        "model": str(options["model"].resolve()),
        "data": str(options["data"].resolve()) if options["data"] else None,
        "preprocessing": options["preprocessing"],
        "target": _absolute_profile(options["target"]),
        **({"goals": goals} if goals else {}),
        "budgets": {name: options[name] for name in LIMITS},
        **chooser,
        "time_limit_s": options["time_limit_s"],
        "threads": options["threads"],
        "seed": options["seed"],
    }
    try:
        parse_request(request, folder=Path())
    except BadRequestError as error:
        raise CommandError(str(error), returncode=BAD_REQUEST) from error
    return request


def _chooser(selector: str, switches: dict[str, Any]) -> dict[str, Any]:
    """Who chooses the recipe, checked as builds of the pages are."""
    try:
        return checked_selector(selector, switches)
    except (BadRequestError, RequestRefusedError) as error:
        raise CommandError(str(error), returncode=BAD_REQUEST) from error


def _absolute_profile(target: str) -> str:
    return str(Path(target).resolve()) if target.endswith(PROFILE_SUFFIX) else target


def _run(request: dict[str, Any], work: Path, bar: ProgressBar) -> tuple[int, str]:
    """The engine's exit code, and its words when it failed."""
    path = work / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    with (work / "engine.log").open("w+b") as log:
        arguments = ["run", str(path), "--out", str(work), "--supervised"]
        process = sandbox.start_engine(
            arguments, work, work / "tmp", log, _reach(request, work)
        )
        try:
            for line in process.stdout or ():
                bar.take(line)
            code = process.wait()
        finally:
            sandbox.kill(process)
            bar.close()
        log.seek(0)
        said = log.read().decode(errors="replace")
    if code not in (MET, FAULT, BAD_REQUEST, MISSED, INFEASIBLE):
        return FAULT, bar.error or STOPPED
    return code, bar.error or said[-LOG_TAIL:]


def _reach(request: dict[str, Any], work: Path) -> sandbox.Reach:
    """The engine reads what the command line named, and works in a folder of its own."""
    named = [request["model"], request["data"]]
    if request["target"].endswith(PROFILE_SUFFIX):
        named.append(request["target"])
    paths = tuple(Path(name) for name in named if name)
    return sandbox.Reach(readable=paths, writable=(work,), converts=True)


def _deliver(package: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for path in package.iterdir():
        if path.name not in ("package.json", "seconds.json"):
            shutil.copyfile(path, out / path.name)
