"""What a person must know to run a finished model, as the code snippets spell it out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compression.answer_forms import form_of
from compression.preprocessing import Preprocessing

if TYPE_CHECKING:
    from compression.types import NetworkProfile, Shape

CLASSES_FILE = "classes.txt"
MOST_INLINE_CLASSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The interface of a model and the meaning of its numbers.

    Attributes:
        input_name: of the only input.
        input_shape: of one sample, channels first.
        output_names: of the outputs, in the model's order.
        batch: samples a call, 1 where the model leaves it open.
        preprocessing: from raw values to what the model reads.
        class_names: of the scores; empty where they are unknown or the model gives no class scores.
        judged: number of the output that holds these scores.
    """

    input_name: str
    input_shape: Shape
    output_names: tuple[str, ...]
    batch: int = 1
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    class_names: tuple[str, ...] = ()
    judged: int = 0

    @classmethod
    def of(
        cls,
        profile: NetworkProfile,
        preprocessing: Preprocessing,
        class_names: tuple[str, ...] = (),
    ) -> Usage:
        """The usage of a network's files; names that do not fit its outputs are left out."""
        judged = form_of(profile).judged
        scores = profile.output_shapes[judged]
        return cls(
            input_name=profile.input_name,
            input_shape=profile.input_shape,
            output_names=profile.output_names,
            judged=judged,
            batch=profile.batch if isinstance(profile.batch, int) else 1,
            preprocessing=preprocessing,
            class_names=class_names if scores == (len(class_names),) else (),
        )

    @property
    def has_several(self) -> bool:
        """Whether the model has more than one output."""
        return len(self.output_names) > 1

    @property
    def quoted_outputs(self) -> str:
        """The names of the outputs as literals with commas between."""
        return ", ".join(map(quoted, self.output_names))

    @property
    def channels(self) -> int:
        """Of one sample."""
        return self.input_shape[0]

    @property
    def positions(self) -> int:
        """Values a channel."""
        return math.prod(self.input_shape[1:])

    @property
    def values(self) -> int:
        """Values a sample."""
        return self.channels * self.positions

    @property
    def channels_last(self) -> bool:
        """Whether raw samples keep their channels behind the positions."""
        return self.preprocessing.layout in ("NHWC", "NTC")

    @property
    def raw_shape(self) -> Shape:
        """Of one sample as it lies in the data."""
        if self.channels_last:
            return (*self.input_shape[1:], self.channels)
        if self.preprocessing.layout in ("NHW", "NT"):
            return self.input_shape[1:]
        return self.input_shape

    @property
    def raw_words(self) -> str:
        """What a raw sample is, for a comment."""
        size = " x ".join(map(str, self.raw_shape))
        layout = self.preprocessing.layout
        return f"{size} values" if layout == "N*" else f"{size} values ({layout} without N)"

    @property
    def inline_classes(self) -> bool:
        """Whether the names are few enough to stand in the code; else it reads ``classes.txt``."""
        return 0 < len(self.class_names) <= MOST_INLINE_CLASSES

    def per_channel(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """One value for each channel."""
        return values if len(values) == self.channels else values * self.channels


def quoted(text: str) -> str:
    """A string literal that Python and C++ read alike."""
    return json.dumps(text, ensure_ascii=False)


def listed(values: tuple[float, ...], suffix: str = "") -> str:
    """Numbers with commas between."""
    return ", ".join(f"{float(value):.9g}{suffix}" for value in values)
