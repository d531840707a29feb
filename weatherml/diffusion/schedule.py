"""Discrete noise schedules of DDPM (Ho et al. 2020, arXiv 2006.11239) and the levels that samplers take from them.

A schedule is its T betas; abar_t = prod(1 - beta). In x = y + sigma n its noise levels are
sigma_t = sqrt((1 - abar_t) / abar_t), t = 0 the least.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from weatherml.diffusion.levels.base import Levels
from weatherml.diffusion.spacing import ended
from weatherml.errors import ConfigError

Curve = Literal["cosine", "linear", "scaled-linear"]
GREATEST_BETA = 0.999
GREATEST_SIGMA = math.exp(5.1)  # diffusers' limit; cosine ends at 2e4, too long a first step for order 2
DESIGNED_FOR = 1000  # steps that the linear curves' ends are meant for


class Schedule(Levels):
    """A discrete noise schedule; for training every timestep is as likely.

    Attributes:
        curve: `cosine` (Nichol and Dhariwal 2021, arXiv 2102.09672), `linear` (Ho et al. 2020) or
            `scaled-linear` (Rombach et al. 2022, arXiv 2112.10752), linear in the root of beta.
        steps: T. The linear curves' betas are multiplied by 1000 / T, so that any T ends about as noisy.
        shift: added to every ln sigma; above 0 is more noise (Hoogeboom et al. 2023, arXiv 2301.11093).
    """

    curve: Curve = "cosine"
    steps: Annotated[int, Field(ge=50)] = 1000
    shift: float = 0.0

    def betas(self) -> Tensor:
        """(T,) float64, before the shift."""
        return CURVES[self.curve](self.steps).clamp(max=GREATEST_BETA)

    def alphas_cumprod(self) -> Tensor:
        """(T,) float64, abar_t."""
        abar = (1 - self.betas()).cumprod(0)
        return abar / (abar + math.exp(2 * self.shift) * (1 - abar))

    def sigmas(self) -> Tensor:
        """(T,) float64, increasing."""
        abar = self.alphas_cumprod()
        return ((1 - abar) / abar).sqrt()

    def quantile(self, p: Tensor) -> Tensor:
        """The levels below which shares p of the draws fall."""
        return self.sigmas()[(p * self.steps).long()]

    def timestep(self, sigma: Tensor) -> Tensor:
        """The timesteps whose levels are nearest in ln sigma, int64 of sigma's shape."""
        known = self.sigmas().log()
        between = (known[1:] + known[:-1]) / 2
        return torch.bucketize(sigma.double().log(), between.to(sigma.device))

    def trailing(self, steps: int) -> Tensor:
        """(steps + 1,) float64 levels at equal strides in t, decreasing to 0, on the CPU.

        The `trailing` spacing of Lin et al. 2023 (arXiv 2305.08891, table 2), from the last timestep up to
        GREATEST_SIGMA down; so few strides end far above 0, and the samples lack variance there.

        Raises:
            ConfigError: more steps than the schedule has.
        """
        sigmas = self._at_least(steps)
        top = max(steps, int((sigmas <= GREATEST_SIGMA).sum()))
        t = (top - torch.arange(steps, dtype=torch.float64) * top / steps).round().long() - 1
        return ended(sigmas[t])

    def nearest(self, levels: Tensor) -> Tensor:
        """The schedule's own levels nearest to those of a sampler, each taken once, on the CPU.

        Args:
            levels: (steps + 1,) float64, decreasing to 0.

        Raises:
            ConfigError: more steps than the schedule has.
        """
        steps = len(levels) - 1
        sigmas, rank = self._at_least(steps), torch.arange(steps)
        t = self.timestep(levels[:-1].flip(0))
        t = (t - rank).cummax(0).values.clamp(max=self.steps - steps) + rank  # increasing, and within the schedule
        return ended(sigmas[t].flip(0))

    def _at_least(self, steps: int) -> Tensor:
        if steps > self.steps:
            raise ConfigError(f"sampler.steps: {steps} exceeds the noise schedule's {self.steps}; set fewer steps")
        return self.sigmas()


def _cosine(steps: int) -> Tensor:
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    abar = torch.cos((t + 0.008) / 1.008 * torch.pi / 2).square()
    return 1 - abar[1:] / abar[:-1]


def _linear(steps: int) -> Tensor:
    return torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * DESIGNED_FOR / steps


def _scaled_linear(steps: int) -> Tensor:
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, steps, dtype=torch.float64)
    return roots.square() * DESIGNED_FOR / steps


CURVES: dict[Curve, Callable[[int], Tensor]] = {
    "cosine": _cosine,
    "linear": _linear,
    "scaled-linear": _scaled_linear,
}
