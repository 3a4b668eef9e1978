"""What the papers leave open about AdaDeep, each as a switch with the reason for its default.

Little of the two papers could be read; the rest is remembered, or taken from the code of a third
party (``GabrielGlzSa/ModelCompression``, called "the third party" below). Whoever knows better turns a
switch: ``"classic": {"gamma": 1.0}`` in a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from compression.analytic_cost import ANALYTIC, AnalyticConstants
from selector.errors import BadRequestError
from selector.json_values import as_integer, as_number, as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

_MOST = 1e6


class View(StrEnum):
    """In whose figures the reward is counted: the target's predictions, or the paper's own counts."""

    DEVICE = "device"
    ANALYTIC = ANALYTIC


class Norm(StrEnum):
    """Over what ``Norm(x)`` is taken: 0 at the limit and 1 at the best, or 0 at the worst and 1 at the best."""

    LIMIT = "limit"
    RANGE = "range"


class Answer(StrEnum):
    """Which recipe is the answer of a phase: the best that any episode made, or the agents' last word."""

    BEST = "best"
    GREEDY = "greedy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicSettings:
    """Every choice about AdaDeep that is not known for certain.

    Attributes:
        view: device by default, since the request's limits are milliseconds, millijoules and bytes of a
            file, and a comparison should compare selectors and not cost models. The paper searches by
            counts, which ``analytic (paper)`` does: limits then hold as the same *shares* of the original.
        analytic: the constants of that view.
        count_indices: in that view, whether the places of weights that are not zero are stored too. Yes:
            nothing can be read back without them. The third party counts them for sparse codes alone.
        mu1: weight of accuracy; ``mu2`` of energy, ``lambda1`` of time, ``lambda2`` of storage. None takes
            the goal of the request (0.6 and 0.4 are remembered for mu1 and mu2, set from the battery).
            A multiplier whose limit is set is at least 1, as much as mu1 and mu2 together: a goal of 0
            would hide the limit from the search.
        dual_step: how fast a multiplier grows while the agents' recipe breaks its limit (dual ascent).
            0 keeps them as they are, as the reward is written.
        norm: the limit by default. Between worst and best the limits ``A_min`` and ``E_max`` cancel out.
        norm_clipped: whether ``Norm`` stays within -1 and 1. No: beyond a limit nothing would say how far.
        constraints_normalised: whether the two relaxed terms are normalised too. Yes, as remembered: bits
            and milliseconds would drown everything else.
        slack_rewarded: whether being under a limit pays. Yes: the reward is written without a maximum.
        accuracy_margin_points: ``A_min`` below the original where the request sets no limit; the loss
            at which the product's score says that nothing else makes up for it.
        range_samples: recipes drawn to learn what the best and the worst are.
        stacked: whether a layer may take two techniques. No: an action is remembered as one technique.
        position_in_state: whether the state says which layer it is. Remembered are kernel, stride,
            channels and sizes alone; layers of equal shape would then always be treated alike, and the
            choice would not be layer by layer.
        reward_at_every_step: whether each step gets the episode's reward. Yes, as the third party does:
            with a discount of 0.01 a reward at the end would not reach the layers before the last.
        gamma: 0.01 is remembered and is what the third party has.
        answer: the best of all episodes, so that a search can be stopped at any time.
        passes: how often the two phases follow each other; with 2, the levels found in the second phase
            are the defaults of the next first one. Once: no way back is told of.
        episodes: of the first phase, as many as the third party; ``tuning_episodes`` of the second, not
            told anywhere, half of it, for there is one number a layer to find.
        episodes_per_round: played between two copies into the target network, as the third party does,
            and side by side; ``updates_per_round`` gradient steps follow.
        batch_size: episodes of a gradient step. Each holds a decision for every layer, so that 32 are what
            the third party's 256 steps are to its networks of eight layers.
        width: of the two hidden layers. The state is a dozen numbers, not feature maps; 64 will do.
        learning_rate: for so few steps; the third party's 1e-5 would hardly move.
        epsilon_initial: and ``epsilon_decay`` each round and ``epsilon_final``: the third party's.
        noise_initial: of the second phase, a share of the range of a level; it falls to ``noise_final``
            over the rounds. Not told anywhere; wide at first, because levels are few.
        soft_update: share of the network that DDPG's targets take over at each step (Lillicrap et al.,
            ICLR 2016, have 0.001 for a thousand times as many steps).
        capacity: episodes that are remembered.
    """

    view: View = View.DEVICE
    analytic: AnalyticConstants = field(default_factory=AnalyticConstants)
    count_indices: bool = True
    mu1: float | None = None
    mu2: float | None = None
    lambda1: float | None = None
    lambda2: float | None = None
    dual_step: float = 0.0
    norm: Norm = Norm.LIMIT
    norm_clipped: bool = False
    constraints_normalised: bool = True
    slack_rewarded: bool = True
    accuracy_margin_points: float = 5.0
    range_samples: int = 256
    stacked: bool = False
    position_in_state: bool = True
    reward_at_every_step: bool = True
    gamma: float = 0.01
    answer: Answer = Answer.BEST
    passes: int = 1
    episodes: int = 1000
    tuning_episodes: int = 500
    episodes_per_round: int = 10
    updates_per_round: int = 10
    batch_size: int = 32
    width: int = 64
    learning_rate: float = 1e-3
    epsilon_initial: float = 0.9
    epsilon_decay: float = 0.98
    epsilon_final: float = 0.1
    noise_initial: float = 0.4
    noise_final: float = 0.1
    soft_update: float = 0.02
    capacity: int = 100_000


_SHARES = ("gamma", "epsilon_initial", "epsilon_decay", "epsilon_final", "soft_update")


def parse_settings(values: object) -> ClassicSettings:
    """The switches of a request; what is not named keeps its default.

    Raises:
        BadRequestError: naming the switch, what is wrong with it and what would do.
    """
    return ClassicSettings(**_read(ClassicSettings(), values, "classic"))


def changed_settings(settings: DataclassInstance) -> dict[str, Any]:
    """The switches that are not at their default, as plain values that ``parse_settings`` reads."""
    default, found = type(settings)(), {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        if value == getattr(default, item.name):
            continue
        inner = isinstance(value, AnalyticConstants)
        found[item.name] = changed_settings(value) if inner else value
    return found


def _read(default: DataclassInstance, values: object, where: str) -> dict[str, Any]:
    names = [item.name for item in fields(default)]
    known = as_object(values, f'"{where}"', names)
    return {
        name: _value(getattr(default, name), value, f"{where}.{name}")
        for name, value in known.items()
    }


def _value(default: object, value: object, where: str) -> object:
    """A value of the same kind as the default; None stands for a number that may be left open."""
    if isinstance(default, AnalyticConstants):
        return AnalyticConstants(**_read(default, value, where))
    if isinstance(default, StrEnum):
        return _choice(type(default), value, where)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise BadRequestError(f"{where} must be true or false; got {value!r}.")
        return value
    if isinstance(default, int):
        return as_integer(value, where, 1, int(_MOST))
    if default is None and value is None:
        return None
    return as_number(value, where, 0, 1 if where.rpartition(".")[2] in _SHARES else _MOST)


def _choice(kind: type[StrEnum], value: object, where: str) -> StrEnum:
    known: Mapping[str, StrEnum] = {member.value: member for member in kind}
    if not isinstance(value, str) or value not in known:
        raise BadRequestError(f"{where} must be one of: {', '.join(known)}; got {value!r}.")
    return known[value]
