"""What a denoising network predicts, as one linear relation: D(x; sigma) = c_skip x + c_out F(c_in x; c_noise).

Karras et al. 2022 (arXiv 2206.00364), eq. 7. In x = y + sigma n every usual prediction is a choice of c_skip
and c_out; the target of the network follows from it, and so does the weight 1 / c_out^2 that a squared error
of D takes to become the plain squared error of F. With sigma_data = 1 and sigma = s_t / a_t, a DDPM's x_t is
c_in x, and its noise n, its v = a_t n - s_t y (Salimans and Ho 2022, arXiv 2202.00512) and its y are the targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Prediction = Literal["edm", "epsilon", "v", "x0"]


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """One prediction at given noise levels; every tensor broadcasts against x.

    Attributes:
        c_skip: the share of x in D.
        c_out: the scale of the network's output in D.
        c_in: what brings x to standard deviation 1.
    """

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor

    def denoised(self, x: Tensor, output: Tensor) -> Tensor:
        """D, from the network's output at c_in x."""
        return self.c_skip * x + self.c_out * output

    def target(self, x: Tensor, clean: Tensor) -> Tensor:
        """The output at which D is the clean field: what the network is trained on."""
        return (clean - self.c_skip * x) / self.c_out


def coefficients(prediction: Prediction, sigma: Tensor, sigma_data: float | Tensor = 1.0) -> Coefficients:
    """The coefficients of a prediction.

    Args:
        prediction: `edm`, `epsilon`, `v` or `x0`; `v` is `edm` with the sign turned, kept for its name.
        sigma: noise levels, broadcasting against x.
        sigma_data: the standard deviation of the clean field, ONE value (or one a channel) for all uses.
    """
    data = torch.as_tensor(sigma_data, dtype=sigma.dtype, device=sigma.device)
    c_in = (sigma.square() + data.square()).rsqrt()
    c_skip, c_out = PREDICTIONS[prediction](sigma, data, c_in)
    return Coefficients(c_skip=c_skip, c_out=c_out, c_in=c_in)


def c_noise(sigma: Tensor) -> Tensor:
    """The noise level as the network is told it, ln(sigma) / 4 (Karras et al. 2022, table 1)."""
    return sigma.log() / 4


PREDICTIONS: dict[Prediction, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "edm": lambda sigma, data, c_in: ((data * c_in).square(), sigma * data * c_in),
    "epsilon": lambda sigma, data, c_in: (torch.ones_like(c_in), -sigma),  # noqa: ARG005
    "v": lambda sigma, data, c_in: ((data * c_in).square(), -sigma * data * c_in),
    "x0": lambda sigma, data, c_in: (torch.zeros_like(c_in), data),  # noqa: ARG005
}
"""(sigma, sigma_data, c_in) to (c_skip, c_out)."""
