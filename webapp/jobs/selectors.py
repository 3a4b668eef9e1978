"""Who may choose the recipe of a build, in the words of the pages."""

from __future__ import annotations

from typing import Any

from compression.analytic_cost import ANALYTIC
from selector.request import PUBLISHED

WORDS = {
    "dqn": ("today’s selector", "Answers the sliders at once: the recipe shown is built."),
    "classic": (
        "AdaDeep as published (paper)",
        "Trains two agents anew for this demand. Its recipe is found during the build, so the preview "
        "shown is today’s selector’s.",
    ),
    "greedy": (
        "greedy search",
        "Makes the single change that helps most, again and again. Its recipe is found during the build.",
    ),
    "random": (
        "random search",
        "Takes the best of a thousand recipes drawn evenly. Its recipe is found during the build.",
    ),
    "genetic": (
        "a genetic algorithm",
        "Breeds 64 recipes over 30 generations. Its recipe is found during the build.",
    ),
    "exhaustive": (
        "exhaustive search",
        "Tries every recipe there is, on small networks only. Its recipe is found during the build.",
    ),
}
"""By the name that a request uses: how it reads inside a sentence, and what choosing it means."""

VIEWS = {
    "device": (
        "predicted for the device",
        "Its reward counts what is predicted for the device.",
    ),
    ANALYTIC: (
        ANALYTIC,
        "Its reward counts multiply-adds, weights and activations, as the paper does. These analytic figures "
        "are never mixed with millijoules from power × time.",
    ),
}
"""In whose energy and latency the published form counts."""


def selector_json(name: str) -> dict[str, str]:
    """A selector with its title, and how that reads inside a sentence."""
    inside, text = WORDS[name]
    return {"name": name, "title": _title(inside), "inside": inside, "text": text}


def selectors_json() -> list[dict[str, Any]]:
    """All that may be chosen; the published form with the views that it may count in."""
    views = [
        {"name": name, "title": _title(title), "text": text}
        for name, (title, text) in VIEWS.items()
    ]
    return [
        {**selector_json(name), "views": views if name == PUBLISHED else []} for name in WORDS
    ]


def _title(inside: str) -> str:
    return inside[0].upper() + inside[1:]
