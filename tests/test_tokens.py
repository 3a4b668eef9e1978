"""Contrast of the colours in tokens.css, pair by pair, in both themes."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).resolve().parent.parent / "static" / "css" / "tokens.css").read_text()
HEX = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{6})")
LIGHT, DARK = (dict(HEX.findall(part)) for part in CSS.split("@media (prefers-color-scheme"))
THEMES = {"light": LIGHT, "dark": LIGHT | DARK}

TEXT_AT_LEAST, MARK_AT_LEAST = 4.5, 3.0
GROUNDS = ("bg", "surface", "sunken")
SOFT = ("accent-soft", "good-soft", "warn-soft", "bad-soft")
TEXTS = ("ink", "ink-2", "ink-3", "accent", "accent-hover", "good", "warn", "bad")
TECHNIQUES = [name for name in LIGHT if name.startswith("tech-") and name != "tech-ink"]
TEXT_PAIRS = [
    *((text, ground) for text in TEXTS for ground in GROUNDS + SOFT),
    *(("on-accent", ground) for ground in ("accent", "accent-hover")),
    *(("tech-ink", fill) for fill in TECHNIQUES),
    ("surface", "ink"),  # a pressed chip
]
MARK_PAIRS = [
    *(("control", ground) for ground in GROUNDS),
    *((mark, "surface") for mark in ("mark-good", "mark-warn", "mark-bad", "dot", "dot-out")),
    *((fill, "tech-ink") for fill in TECHNIQUES),
]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("pairs", "least"), [(TEXT_PAIRS, TEXT_AT_LEAST), (MARK_PAIRS, MARK_AT_LEAST)]
)
def test_every_pair_of_colours_can_be_told_apart(theme, pairs, least):
    tokens = THEMES[theme]
    found = {pair: contrast(tokens[pair[0]], tokens[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < least} == {}


def test_no_style_sheet_but_the_tokens_names_a_colour():
    for path in (Path(__file__).resolve().parent.parent / "static" / "css").glob("*.css"):
        if path.name != "tokens.css":
            colours = re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;, )])", path.read_text())
            assert set(colours) <= {"#fff"}, path.name  # paper, and the gaps of a hatch
