"""What all diffusion models share: a denoising network, its training, and the drawing of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from weatherml.diffusion.denoising import Denoise
from weatherml.diffusion.levels.base import Levels
from weatherml.diffusion.preconditioning import Prediction, c_noise, coefficients
from weatherml.fields import Batch, Fields, Noise, Shape
from weatherml.models.base import GenerativeModel, Loss, free_noise
from weatherml.models.local_spread import LocalSpread, normal_surprise
from weatherml.models.noisy_views import NoisyViews
from weatherml.models.prediction import ChangeModel, change_scale
from weatherml.nn.embedding import LevelEmbedding
from weatherml.nn.equalizer import Equalizer
from weatherml.nn.inputs import ScaledInputs, StackedInputs
from weatherml.nn.padding import Padding
from weatherml.nn.tally import Tally

Target = Literal["change", "forecast-error", "state"]
BINS, BIN_ENDS = 8, (0.01, 100.0)
"""Bins of ln sigma in which the loss is watched."""
EVEN_FROM = 5.0
"""The noise level from which y and -y are as likely, given what is seen of it: it is in units of the error's spread."""
SPREAD_RATE = 0.02
"""How fast the running standard deviation of the forecast's error follows."""


class Sampler(Protocol):
    """What draws a sample: a member of `weatherml.samplers`."""

    @property
    def steps(self) -> int:
        """Noise levels before zero."""

    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:
        """A sample, of the shape of `start`."""


class DiffusionModel(GenerativeModel):
    """Draws y of x(t+1) = base + scale * y, y about of standard deviation 1 in each variable and lead.

    The scale is that of one step's change, and of a forecast's error what it is expected to be at each place.

    Args:
        network: from views of noisy y and the inputs to (B, L*C, H, W), conditioned on the noise level.
        shape: the data's.
        views: of noisy y.
        inputs: what makes a batch the inputs.
        levels: of noise, in training.
        spacing: from a number of steps to the steps + 1 levels of a sample, float64, decreasing to 0.
        prediction: what the network's output means.
        target: y is the `change` since the last state, the `forecast-error` of `mean`, or the next `state`.
        mean: a deterministic model, trained beside; only for `forecast-error`.
        equalizer: of its error, drawn.
        padding: beyond the edges, for what is expected of its error.
        encoder: what the inputs become before they enter; None leaves them.
        embedding: width of the noise level's vector.
        drop: share of training cases without inputs, for guidance.
        guidance: w in D = D_without + w (D_with - D_without); 1 is no guidance.

    Attributes:
        sampler: draws the samples; set it before `step`.
        descent: the noise levels of a sample, decreasing to 0; they follow the sampler.
    """

    scale: Tensor
    spread: Tensor
    delta_std: Tensor

    def __init__(
        self,
        network: nn.Module,
        shape: Shape,
        *,
        views: NoisyViews,
        inputs: StackedInputs | ScaledInputs,
        levels: Levels,
        spacing: Callable[[int], Tensor],
        prediction: Prediction,
        target: Target,
        mean: ChangeModel | None = None,
        equalizer: Equalizer | None = None,
        padding: Padding | None = None,
        encoder: nn.Module | None = None,
        embedding: int = 64,
        drop: float = 0.0,
        guidance: float = 1.0,
    ) -> None:
        super().__init__(shape.lead * shape.channels, equalizer)
        self.network, self.inputs, self.mean, self.encoder = network, inputs, mean, encoder
        self.views = views
        self.local = LocalSpread(shape, inputs, padding=padding or Padding()) if mean else None
        self.embedding = LevelEmbedding(embedding)
        self.levels, self.prediction, self.target = levels, prediction, target
        self.drop, self.guidance = drop, guidance
        self._spacing = spacing
        self._sampler: Sampler | None = None
        self.descent: list[float] = []
        self.watch = LevelWatch()
        scale = change_scale(shape)
        self.register_buffer("scale", torch.ones_like(scale) if target == "state" else scale, persistent=False)
        self.register_buffer("delta_std", torch.tensor(shape.delta_std).view(-1, 1, 1), persistent=False)
        self.register_buffer("spread", torch.ones_like(scale))

    @property
    def sampler(self) -> Sampler | None:
        """What draws the samples."""
        return self._sampler

    @sampler.setter
    def sampler(self, sampler: Sampler | None) -> None:
        self.descent = [] if sampler is None else self._spacing(sampler.steps).tolist()
        self._sampler = sampler

    def objective(self, batch: Batch, loss: Loss) -> Tensor:
        """The loss between the network's output and its target, at a random noise level for each case.

        Both are handed to `loss` in units of one step's change, so that every variable counts alike and its
        weights apply; and in those of the error's local spread, so that the places count as their errors do.
        """
        assert batch.target is not None
        assert batch.mask is not None
        inputs = self.inputs(batch)
        base = self._base(batch)
        counts = batch.mask if batch.weight is None else batch.mask * batch.weight.view(-1, 1, 1, 1, 1)
        error = torch.where(batch.mask, batch.target - base.detach(), 0.0) / self.scale
        if self.mean is not None and self.training:
            self._follow(error, counts)
        error, local = error / self.spread, self._local(base, inputs)
        clean = (error / local.detach()).flatten(1, 2)
        sigma = self.levels.draw(len(clean), clean.device)[:, None, None, None]
        noisy = clean + sigma * torch.randn_like(clean)
        scaled = coefficients(self.prediction, sigma)
        output = self._output(noisy, sigma, self._dropped(self._features(inputs)))
        wanted = scaled.target(noisy, clean)
        self.watch.see(sigma, output.detach() - wanted)
        unit = self.delta_std * local.detach()
        total = loss(unit * self._split(output), unit * self._split(wanted), batch.mask)
        if self.mean is None:
            return total
        return total + loss(base, batch.target, batch.mask) + normal_surprise(error, local, counts)

    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:
        """A sample, (B, L, C, H, W)."""
        assert self.sampler is not None, "set the model's sampler"
        draw = noise or free_noise(batch.history)
        inputs = self.inputs(batch)
        base = self._base(batch)
        # where the base is the mean: an answer's constant, of few draws at such levels, becomes no drift of all members
        sign = 1.0 if self.mean is None else torch.where(draw((len(inputs), 1, 1, 1)) < 0, -1.0, 1.0)
        denoise = self._denoiser(self._features(inputs), sign)
        # an error that is drawn is about 0, and multiplied as drawn: a network of warmer noise gives half of it back
        warmth = self.temperature if self.mean is None else 1.0

        def warm(shape: Sequence[int]) -> Tensor:
            return warmth * draw(shape)

        start = self.descent[0] * warm((len(inputs), len(self.temperature), *inputs.shape[-2:]))
        drawn = self.sampler.sample(denoise, start, self.descent, warm)
        drawn = drawn if self.mean is None else self.tempered(drawn)
        return base + self.scale * self.spread * self._local(base, inputs) * self._split(drawn)

    def diagnostics(self) -> dict[str, float]:
        """The training loss by noise level since the last call."""
        return self.watch.read()

    def _base(self, batch: Batch) -> Fields:
        """(B, L, C, H, W), what y is added to."""
        if self.mean is not None:
            states: Fields = self.mean(batch)
            return states
        last = batch.history[:, -1:].float()
        return torch.zeros_like(last) if self.target == "state" else last

    @torch.no_grad()
    def _follow(self, error: Fields, counts: Tensor) -> None:
        """Take errors in units of `scale` into their running `spread`, each point as often as it counts."""
        known = counts.sum(dim=(0, 3, 4)).clamp_min(1)
        rms = ((error.square() * counts).sum(dim=(0, 3, 4)) / known).sqrt()
        self.spread.lerp_(rms[..., None, None].clamp_min(1e-3), SPREAD_RATE)

    def _local(self, base: Fields, inputs: Tensor) -> Fields:
        """(B, L, C, H, W), or 1 of each field where no error is drawn."""
        return torch.ones_like(self.spread) if self.local is None else self.local(base, inputs)

    def _features(self, inputs: Tensor) -> Tensor:
        features: Tensor = inputs if self.encoder is None else self.encoder(inputs)
        return features

    def _dropped(self, features: Tensor) -> Tensor:
        """The features, 0 in a share `drop` of the cases while training."""
        if not (self.drop and self.training):
            return features
        return features * (torch.rand(len(features), 1, 1, 1, device=features.device) >= self.drop)

    def _output(self, noisy: Tensor, sigma: Tensor, features: Tensor) -> Tensor:
        views, level = self.views(noisy, sigma), self.embedding(c_noise(sigma.flatten()))
        out: Tensor = self.network(torch.cat([*views, features], dim=1), level)
        return out.float() + self.views.filtered(views, level)

    def _denoiser(self, features: Tensor, sign: Tensor | float = 1.0) -> Denoise:
        """The denoiser D(x), and from `EVEN_FROM` on sign D(sign x)."""

        def denoise(x: Tensor, sigma: float) -> Tensor:
            level = x.new_full((len(x), 1, 1, 1), sigma)
            scaled = coefficients(self.prediction, level)
            turn = sign if sigma >= EVEN_FROM else 1.0

            def known(given: Tensor) -> Tensor:
                return turn * scaled.denoised(turn * x, self._output(turn * x, level, given))

            if self.guidance == 1:
                return known(features)
            without = known(torch.zeros_like(features))
            return without + self.guidance * (known(features) - without)

        return denoise

    def _split(self, fields: Tensor) -> Fields:
        return fields.view(len(fields), *self.scale.shape[:2], *fields.shape[-2:])


class LevelWatch(Tally):
    """The mean squared error of a denoising network in bins of ln sigma."""

    edges: Tensor

    def __init__(self) -> None:
        super().__init__(2, BINS + 2)
        low, high = (math.log10(end) for end in BIN_ENDS)
        self.register_buffer("edges", torch.logspace(low, high, BINS + 1), persistent=False)

    def see(self, sigma: Tensor, error: Tensor) -> None:
        """Count a batch: levels (B, 1, 1, 1) and errors (B, ...)."""
        number = torch.bucketize(sigma.flatten(), self.edges)
        squared = error.square().flatten(1).mean(1)
        self.sums.index_add_(1, number, torch.stack([squared, torch.ones_like(squared)]))

    def read(self) -> dict[str, float]:
        """The mean of each bin that was seen since the last call, by the bin's lower end."""
        squared, count = self.take().tolist()
        names = ["below", *(f"{edge:.2g}" for edge in self.edges.tolist())]
        return {f"sigma/{name}": total / n for name, total, n in zip(names, squared, count, strict=True) if n}
