"""The engine's command line: ``python -m selector run | stage | apply | inspect``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from compression.errors import CompressionError
from compression.types import Stage
from selector.errors import BadRequestError, DiskFullError, OutOfMemoryError, SelectorError
from selector.jobfolder import JobFolder, Part
from selector.reporter import CancelledError, Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

MET, FAULT, BAD_REQUEST, MISSED, INFEASIBLE, CANCELLED = 0, 1, 2, 3, 4, 5
TOLD = "-"
"""Instead of a part: its name comes on standard input."""

EXIT_CODES = {"met": MET, "missed": MISSED, "infeasible": INFEASIBLE}

logger = logging.getLogger("selector")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code says how it ended (see ``product`` contract in README)."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    reporter = Reporter()
    if getattr(options, "supervised", False):
        reporter.watch(sys.stdin)
    try:
        return int(options.command(options, reporter))
    except CancelledError:
        reporter.error("Stopped on request. What was finished is kept.", "cancelled")
        return CANCELLED
    except (OutOfMemoryError, DiskFullError) as error:
        reporter.error(str(error), _code(error))
        print(error, file=sys.stderr)  # noqa: T201
        return FAULT
    except (CompressionError, SelectorError) as error:
        reporter.error(str(error), _code(error))
        print(error, file=sys.stderr)  # noqa: T201
        return BAD_REQUEST
    except MemoryError:
        message = "Not enough memory for this model and data. Use a smaller data set or a larger machine."
        reporter.error(message, "out_of_memory")
        return FAULT


def _run(options: argparse.Namespace, reporter: Reporter) -> int:
    from selector import engine

    folder = engine.prepare(Path(options.request), Path(options.out))
    with finishing_on_interrupt(reporter):
        return EXIT_CODES[engine.run(folder, reporter)]


@contextmanager
def finishing_on_interrupt(reporter: Reporter) -> Iterator[None]:
    """The first Ctrl-C ends with the best so far, the second one at once."""

    def finish(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        reporter.finish()
        print("Finishing with the best so far. Ctrl-C again stops at once.", file=sys.stderr)  # noqa: T201

    before = signal.signal(signal.SIGINT, finish)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stage(options: argparse.Namespace, reporter: Reporter) -> int:
    from selector import engine

    folder = JobFolder(Path(options.folder))
    if options.part == TOLD:
        told = reporter.told() if options.supervised else map(str.strip, sys.stdin)
        return EXIT_CODES[engine.run_told_parts(Stage(options.stage), folder, reporter, told)]
    part = Part.parse(options.part) if options.part else None
    return EXIT_CODES[engine.run_stage(Stage(options.stage), folder, reporter, part)]


def _apply(options: argparse.Namespace, reporter: Reporter) -> int:
    from selector import engine

    return EXIT_CODES[
        engine.apply(
            Path(options.model),
            Path(options.recipe),
            Path(options.data) if options.data else None,
            Path(options.out),
            reporter,
        )
    ]


def _inspect(options: argparse.Namespace, _reporter: Reporter) -> int:
    from selector import engine

    data = Path(options.data) if options.data else None
    sys.stdout.write(engine.describe(Path(options.model), data) + "\n")
    return MET


def _code(error: Exception) -> str:
    if isinstance(error, BadRequestError):
        return "bad_request"
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m selector", description=__doc__)
    commands = parser.add_subparsers(required=True)

    run = commands.add_parser("run", help="all stages of a request, one after the other")
    run.add_argument("request", help="REQUEST.json")
    run.add_argument("--out", required=True, help="folder for the results")
    run.set_defaults(command=_run)

    stage = commands.add_parser("stage", help="one stage of a job folder")
    stage.add_argument("stage", choices=[stage.value for stage in Stage])
    stage.add_argument("folder")
    stage.add_argument(
        "--part",
        metavar="I/N",
        help="only this part of the stage; - reads parts from standard input, a line each, "
        "then join or end",
    )
    stage.set_defaults(command=_stage)

    apply = commands.add_parser("apply", help="rebuild a network from a recipe")
    apply.add_argument("model")
    apply.add_argument("recipe")
    apply.add_argument(
        "--data", help="left out, inputs are made up, as they were for the recipe"
    )
    apply.add_argument("--out", required=True)
    apply.set_defaults(command=_apply)

    inspect = commands.add_parser("inspect", help="what a model is, as one JSON object")
    inspect.add_argument("model")
    inspect.add_argument("--data")
    inspect.set_defaults(command=_inspect)

    for command in (run, stage, apply):
        command.add_argument(
            "--supervised", action="store_true", help="stop when standard input closes"
        )
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The supervision thread may hold standard input; skip the interpreter's teardown.
    os._exit(code)
