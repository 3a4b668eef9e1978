"""REQUEST.json: what to compress, for which device, towards which goals and within which limits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compression import technique
from compression.cost import device_names, load_device
from compression.device_profiles import read_profile
from compression.errors import CompressionError, DataRefusedError
from compression.preprocessing import Preprocessing
from selector.classic_settings import ClassicSettings, changed_settings, parse_settings
from selector.errors import BadRequestError
from selector.json_values import as_integer, as_number, as_object, as_text
from selector.types import Budgets, Goals, Lock

if TYPE_CHECKING:
    from compression.cost import DeviceProfile
    from compression.types import ParamValue

SELECTORS = ("dqn", "classic", "greedy", "random", "genetic", "exhaustive")
USUAL, PUBLISHED = SELECTORS[:2]
"""The selector of a request that names none, and the one that has switches (``classic``)."""

KEEP = "keep"
PROFILE_SUFFIX = ".toml"
_LOCK_FORMS = ({"technique"}, {"technique", "params"}, {"treatments"}, {"exclude"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One job, checked. ``techniques`` ``None`` means all; ``locks`` are by layer name.

    ``target`` is the name of a device of the catalogue, or the path of a profile like its files (``.toml``).
    ``classic`` are switches of the selector of that name; the others do not look at them.
    ``time_limit_s`` is a ceiling: work is counted in steps, so that a seed repeats.
    """

    model: Path
    data: Path | None = None
    preprocessing: Preprocessing | None = None
    target: str = "this-host"
    goals: Goals = field(default_factory=Goals)
    budgets: Budgets = field(default_factory=Budgets)
    selector: str = USUAL
    classic: ClassicSettings = field(default_factory=ClassicSettings)
    techniques: tuple[str, ...] | None = None
    locks: Mapping[str, Lock] = field(default_factory=dict)
    time_limit_s: float = 600.0
    threads: int = 2
    seed: int = 0

    @property
    def device(self) -> DeviceProfile:
        """The profile that ``target`` names."""
        return _device(self.target)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``parse_request`` reads back."""
        return {
            "model": str(self.model),
            "data": str(self.data) if self.data else None,
            "preprocessing": self.preprocessing.to_json() if self.preprocessing else None,
            "target": self.target,
            "goals": asdict(self.goals),
            "budgets": asdict(self.budgets),
            "selector": self.selector,
            "classic": changed_settings(self.classic),
            "techniques": list(self.techniques) if self.techniques is not None else None,
            "locks": {layer: lock_to_json(lock) for layer, lock in self.locks.items()},
            "time_limit_s": self.time_limit_s,
            "threads": self.threads,
            "seed": self.seed,
        }


def read_request(path: Path) -> Request:
    """Read and check a request file; paths inside it are relative to its folder.

    Raises:
        BadRequestError: when the file cannot be read or says something that cannot be done.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRequestError(
            f"The request {path} cannot be read: {error.strerror}."
        ) from error
    except ValueError as error:
        raise BadRequestError(f"The request {path.name} is not JSON: {error}.") from error
    return parse_request(values, folder=path.parent)


def parse_request(values: object, *, folder: Path) -> Request:
    """Check the values of a request.

    Raises:
        BadRequestError: naming the key, what is wrong with it and what would do.
    """
    known = as_object(values, "The request", [item.name for item in fields(Request)])
    if not isinstance(known.get("model"), str):
        raise BadRequestError('The request needs "model": the path of an ONNX file.')
    return Request(
        model=folder / known["model"],
        data=folder / as_text(known["data"], '"data"')
        if known.get("data") is not None
        else None,
        preprocessing=_preprocessing(known.get("preprocessing")),
        target=_target(known.get("target", "this-host"), folder),
        goals=parse_goals(known.get("goals", {})),
        budgets=parse_budgets(known.get("budgets", {})),
        selector=parse_selector(known.get("selector", USUAL)),
        classic=parse_settings(known.get("classic", {})),
        techniques=_techniques(known.get("techniques")),
        locks=parse_locks(known.get("locks", {})),
        time_limit_s=as_number(known.get("time_limit_s", 600), "time_limit_s", 1, 7 * 86400),
        threads=as_integer(known.get("threads", 2), "threads", 1, 256),
        seed=as_integer(known.get("seed", 0), "seed", 0, 2**31 - 1),
    )


def parse_goals(values: object) -> Goals:
    """The four weights, normalised to sum to 1; a weight that is not named counts as 0."""
    known = as_object(values, '"goals"', [item.name for item in fields(Goals)])
    if not known:
        return Goals()
    weights = {name: as_number(known[name], f"goals.{name}", 0, 1e9) for name in known}
    absent = {item.name: 0.0 for item in fields(Goals)}
    return Goals(**(absent | weights)).normalised()


def parse_budgets(values: object) -> Budgets:
    """The four limits; ``null`` means no limit."""
    known = as_object(values, '"budgets"', [item.name for item in fields(Budgets)])
    limits: dict[str, float] = {}
    for name, value in known.items():
        if value is None:
            continue
        limit = as_number(value, f"budgets.{name}", 0, 1e15)
        if limit == 0 and name != "max_accuracy_drop":
            raise BadRequestError(
                f"budgets.{name} is 0, which no network can meet. Give a larger limit, or null."
            )
        limits[name] = limit
    return Budgets(**limits)


def parse_locks(values: object) -> dict[str, Lock]:
    """What the user fixed, by layer name."""
    if not isinstance(values, Mapping):
        raise BadRequestError('"locks" must be an object: {"layer": "keep", ...}.')
    return {str(layer): _lock(str(layer), value) for layer, value in values.items()}


def parse_selector(value: object) -> str:
    """The name of a selector that there is."""
    if value not in SELECTORS:
        raise BadRequestError(
            f"There is no selector {value!r}. Take one of: {', '.join(SELECTORS)}."
        )
    return str(value)


def parse_target(value: object) -> str:
    """The name of a device that has a profile."""
    names = device_names()
    if value not in names:
        raise BadRequestError(
            f"There is no target {value!r}. Known targets: {', '.join(names)}."
        )
    return str(value)


def _target(value: object, folder: Path) -> str:
    """The name of a device, or the path of a profile that can be read."""
    if not isinstance(value, str) or not value.endswith(PROFILE_SUFFIX):
        return parse_target(value)
    path = str(folder / value)
    try:
        _device(path)
    except CompressionError as error:
        raise BadRequestError(f'"target": {error}') from error
    return path


def _device(target: str) -> DeviceProfile:
    if target.endswith(PROFILE_SUFFIX):
        return _profile_at(Path(target))
    return load_device(target)


@cache
def _profile_at(path: Path) -> DeviceProfile:
    """Read once: what is known of a device is found again by the profile itself."""
    return read_profile(path)


def lock_to_json(lock: Lock) -> object:
    """A lock in the form that ``parse_locks`` reads."""
    if lock.exclude:
        return {"exclude": list(lock.exclude)}
    if lock.treatments:
        return {"treatments": {name: dict(level) for name, level in lock.treatments.items()}}
    if lock.technique in (None, KEEP):
        return KEEP
    return {"technique": lock.technique, "params": dict(lock.params)}


def _lock(layer: str, value: object) -> Lock:
    if value == KEEP:
        return Lock(technique=KEEP)
    form = (
        f'locks.{layer} must be "keep", {{"technique": ..., "params": {{}}}}, '
        '{"treatments": {technique: params}} or {"exclude": [...]}.'
    )
    if not isinstance(value, Mapping) or set(value) not in _LOCK_FORMS:
        raise BadRequestError(form)
    match value:
        case {"exclude": [*names]}:
            return Lock(exclude=tuple(_technique(name, layer) for name in names))
        case {"treatments": {**levels}} if levels:
            found = {_technique(name, layer): _params(levels[name], form) for name in levels}
            return Lock(treatments=found)
        case {"technique": name}:
            params = _params(value.get("params"), form)
            return Lock(technique=_technique(name, layer), params=params)
    raise BadRequestError(form)


def _params(value: object, form: str) -> dict[str, ParamValue]:
    level = value or {}
    if not isinstance(level, Mapping) or not all(map(_is_setting, level.values())):
        raise BadRequestError(form)
    return dict(level)


def _is_setting(value: object) -> bool:
    """Whether it may be a technique's parameter; JSON's 1e999 is read as an infinity."""
    return isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))


def _technique(name: object, where: str) -> str:
    if name not in technique.names():
        raise BadRequestError(
            f"{where}: there is no technique {name!r}. Techniques: {', '.join(technique.names())}."
        )
    return str(name)


def _techniques(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadRequestError('"techniques" must be a list of names, or null for all of them.')
    return tuple(dict.fromkeys(_technique(name, "techniques") for name in value))


def _preprocessing(value: object) -> Preprocessing | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise BadRequestError('"preprocessing" must be an object or null.')
    try:
        return Preprocessing.from_json(value)
    except DataRefusedError as error:
        raise BadRequestError(str(error)) from error
