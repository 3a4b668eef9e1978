"""Inputs for a network that came without data, made so that the network finds them likely.

They start as noise with the spectrum of pictures and are moved until the network gives each a definite
answer, every class as often (as in DeepInversion, Yin et al., CVPR 2020, equation 1, and ZeroQ, Cai et al.,
CVPR 2020). Where the file holds batch norms, the statistics that the inputs cause are matched to
the stored ones too (equation 4 there); once a norm is folded, its shift and scale say the same of its output. What is moved are Fourier coefficients weighed by the spectrum, so that
answers change by shapes rather than by speckles; the papers move pixels and punish their variation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from compression.answer_forms import form_of
from compression.batch_norm_folding import STATISTICS, Norm, norm_statistics
from compression.graph import joined
from compression.outputs import AnswerKind
from compression.sensitivity import Scores
from compression.surgery import layer_of

if TYPE_CHECKING:
    import numpy as np

    from compression.graph import Network
    from compression.types import Shape

KeepOn = Callable[[int, int], bool]
"""Takes batches done and their number; ``False`` stops, and the rest stays as it started."""

BATCH = 64
_SHIFT = 2
_CONTRAST = 0.3  # standard deviation of the logarithm of an input's contrast
_TOGETHER = 0.8  # share of the variance that the channels of a picture have in common
_DEAD = 0.01  # share of the widest channel below which a channel's own width says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How the inputs are made; work is counted in steps, so that a seed repeats.

    Attributes:
        steps: Updates of each input.
        learning_rate: Of Adam, as a share of the coefficients' spread; it falls to nothing.
        answers: Weight of the cross entropy to the class that an input is to become.
        seed: Of the noise, the classes and the shifts.
    """

    steps: int = 20
    learning_rate: float = 0.1
    answers: float = 0.1
    seed: int = 0


def spectral_noise(count: int, shape: Shape, seed: int) -> np.ndarray:
    """Noise of zero mean and unit variance whose amplitude falls with frequency, as that of pictures.

    Args:
        count: How many.
        shape: Of one, channels first; without a second axis it is plain noise.
        seed: Same seed, same noise.

    Returns:
        float32 ``[count, *shape]``.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, *shape, generator=generator)
    if len(shape) > 1:
        common = torch.randn(count, 1, *shape[1:], generator=generator)
        x = (1 - _TOGETHER) ** 0.5 * x + _TOGETHER**0.5 * common
        x = _Coefficients(x).inputs(_spectrum(shape[1:]))
    spread = _CONTRAST * torch.randn(count, *[1] * len(shape), generator=generator)
    x = x * spread.exp()
    noise: np.ndarray = (x / x.std()).numpy()
    return noise


def can_match(network: Network) -> bool:
    """Whether there is anything to hold inputs to: a class to answer with, or a batch norm."""
    form = form_of(network.profile)
    return form.parts[form.judged].kind is AnswerKind.CLASS or bool(_normed(network.module))


def matched(
    network: Network, start: np.ndarray, settings: Matching, keep_on: KeepOn
) -> np.ndarray:
    """The inputs moved until the network finds them likely; float32, shaped as ``start``.

    Args:
        network: Any network; one that does not classify and holds no batch norm leaves them as they are.
        start: Such as ``spectral_noise`` makes, float32 ``[n, *input_shape]``.
        settings: How far and how fast.
        keep_on: Called after each batch.
    """
    if not can_match(network):
        return start
    matcher = _Matcher(network, settings)
    inputs = torch.from_numpy(start).clone()
    batches = inputs.split(BATCH)
    for done, batch in enumerate(batches, start=1):
        batch.copy_(matcher.matched(batch))
        if not keep_on(done, len(batches)):
            break
    found: np.ndarray = inputs.numpy()
    return found


class _Coefficients:
    """Inputs as Fourier coefficients; plain values where there is no axis to transform."""

    def __init__(self, x: Tensor, spectrum: Tensor | None = None) -> None:
        self.axes = tuple(range(2, x.ndim))
        self._spectrum = spectrum
        values = x
        if self.axes:
            values = torch.fft.fftn(x, dim=self.axes)
            values = torch.view_as_real(values if spectrum is None else values / spectrum)
        self.values = values.clone()

    def inputs(self, spectrum: Tensor | None = None) -> Tensor:
        """The inputs that the coefficients stand for, weighed by a spectrum."""
        weights = self._spectrum if spectrum is None else spectrum
        if not self.axes or weights is None:
            return self.values
        found: Tensor = torch.fft.ifftn(
            torch.view_as_complex(self.values) * weights, dim=self.axes
        ).real
        return found


class _Matcher:
    """One network with all that its inputs are held to."""

    def __init__(self, network: Network, settings: Matching) -> None:
        self._settings = settings
        self._form = form_of(network.profile)
        self._scores = Scores(network)
        self._watched = _Watched(network.copied_module().eval())
        self._generator = torch.Generator().manual_seed(settings.seed)

    def matched(self, start: Tensor) -> Tensor:
        """A batch after all its steps."""
        settings, axes = self._settings, tuple(range(2, start.ndim))
        moved = _Coefficients(start, _spectrum(tuple(start.shape[2:])) if axes else None)
        moved.values.requires_grad_(True)  # noqa: FBT003
        rate = settings.learning_rate * float(moved.values.detach().std())
        optimizer = torch.optim.Adam([moved.values], lr=rate)
        classes = max(1, self._form.n_classes)
        wanted = torch.randint(classes, (len(start),), generator=self._generator)
        for step in range(settings.steps):
            optimizer.param_groups[0]["lr"] = rate * (1 - step / settings.steps)
            optimizer.zero_grad()
            self._loss(moved.inputs(), axes, wanted).backward()
            optimizer.step()
        return moved.inputs().detach()

    def _loss(self, x: Tensor, axes: tuple[int, ...], wanted: Tensor) -> Tensor:
        shifts = torch.randint(-_SHIFT, _SHIFT + 1, (len(axes),), generator=self._generator)
        outputs = self._watched.run(torch.roll(x, shifts.tolist(), axes) if axes else x)
        loss = self._watched.mismatch
        if not self._watched.knows:
            # How the real data are prepared is unknown, but nearly always they have this mean and spread.
            loss = (x.std() - 1).square() + x.mean((0, *axes)).square().mean()
        form = self._form
        if form.parts[form.judged].kind is AnswerKind.CLASS:
            scores = form.apart(self._scores.of(outputs))[form.judged]
            entropy = functional.cross_entropy(scores.flatten(1), wanted)
            loss = loss + self._settings.answers * entropy
        return loss


class _Watched(fx.Interpreter):
    """Runs a network and compares what leaves each batch norm with its training statistics."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=True)
        for weight in module.parameters():
            weight.requires_grad_(False)  # noqa: FBT003
        self._normed = _normed(module)
        self.mismatch = torch.zeros(())

    @property
    def knows(self) -> bool:
        """Whether anything of the training data is known."""
        return bool(self._normed)

    def run(self, *args: Tensor, **_settings: object) -> Tensor:
        """The outputs; ``mismatch`` is that of these inputs afterwards."""
        self.mismatch = torch.zeros(())
        return joined(super().run(*args))

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._normed:
            mismatch = _mismatch(result, *self._normed[n.name])
            self.mismatch = self.mismatch + mismatch / len(self._normed)
        return result


def _normed(module: fx.GraphModule) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and deviation of what a batch norm puts out, by the node that stands for it now."""
    found = {}
    for node in module.graph.nodes:
        layer = layer_of(module, node) if node.op == "call_module" else None
        if STATISTICS in node.meta:
            found[node.name] = node.meta[STATISTICS]
        elif isinstance(layer, Norm):
            found[node.name] = norm_statistics(layer)
    return found


def _mismatch(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Squared errors of mean and standard deviation, in units of the wanted deviation."""
    variance, seen = torch.var_mean(x, dim=(0, *range(2, x.ndim)), correction=0)
    unit = deviation.clamp_min(_DEAD * float(deviation.max()))
    spread = (variance + 1e-12).sqrt()
    return (((seen - mean) / unit).square() + ((spread - deviation) / unit).square()).mean()


def _spectrum(size: Shape) -> Tensor:
    """One over the distance from the zero frequency, that of the mean counting as 1."""
    axes = torch.meshgrid(*(torch.fft.fftfreq(n) * n for n in size), indexing="ij")
    return (
        torch.stack([axis.square() for axis in axes]).sum(0).sqrt().clamp_min(1.0).reciprocal()
    )
