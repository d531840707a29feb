"""The contract of a sampler: from noise at the largest noise level to a sample at none.

Everything is in the variables of Karras et al. 2022 (arXiv 2206.00364): x = y + sigma n, with y the clean
field in units in which its standard deviation is about 1. A DDPM's x_t = a_t y + s_t n is x_t / a_t at
sigma = s_t / a_t here, so every sampler serves every denoiser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from weatherml.config import Config
from weatherml.diffusion.denoising import Denoise
from weatherml.fields import Noise
from weatherml.registry import Registry

SAMPLERS: Registry[Sampler] = Registry("samplers")


class Sampler(Config, ABC):
    """A solver of the reverse process; see each member for its order.

    Attributes:
        steps: noise levels before zero.
        order: of convergence in the step, global.
        stochastic: whether it may draw noise on the way.
        off_grid: whether it asks for levels beside `sigmas`; a model of discrete levels cannot answer it.
    """

    order: ClassVar[int]
    stochastic: ClassVar[bool] = False
    off_grid: ClassVar[bool] = False

    steps: PositiveInt = 20

    @property
    def calls(self) -> int:
        """Calls of the denoiser for one sample: one a step, unless a member says otherwise."""
        return self.steps

    @abstractmethod
    def sample(self, denoise: Denoise, start: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:
        """A sample, of the shape of `start`.

        Args:
            denoise: the denoiser.
            start: (B, ...) noise of standard deviation sigmas[0].
            sigmas: steps + 1 levels, decreasing, the last one 0.
            noise: draws (B, ...) standard normal numbers, for stochastic samplers; already inflated, where
                calibration asks for it.
        """


def euler_step(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """X at sigma_next, if the denoised field stays as it is: exact for a constant D."""
    return denoised + sigma_next / sigma * (x - denoised)
