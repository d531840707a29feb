"""Muon: momentum, made orthogonal, for matrices and kernels; AdamW for all else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.AdamW):
    """Muon (Jordan et al. 2024), with the learning rate of AdamW: its steps have AdamW's usual size.

    The step of a matrix is its momentum with all singular values brought near 1, times 0.2 * sqrt(the longer side)
    (Liu et al. 2025, arXiv 2502.16982), so that directions with small gradients are learnt as soon as others. A
    convolution's kernel is the matrix of its outputs by all else. Half of AdamW's state.

    torch.optim.Muon takes matrices alone, and reckons in bfloat16, which many processors emulate.

    Args:
        groups: parameter groups; `orthogonal: True` in a group chooses Muon for it, else AdamW.
        momentum: of the groups that are made orthogonal, Nesterov's.
        settings: AdamW's.
    """

    def __init__(self, groups: list[dict[str, Any]], *, momentum: float = 0.95, **settings: Any) -> None:
        super().__init__(groups, **settings)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)
            group["momentum"] = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step; gradients of the orthogonal groups are used up, so that AdamW passes them by.

        As torch's fused optimizers do, it leaves all as it is where an attribute `found_inf` holds 1.
        """
        for group in self.param_groups:
            for parameter in group["params"] if group["orthogonal"] else ():
                if parameter.grad is not None:
                    self._move(parameter, group)
                    parameter.grad = None
        return super().step(closure)

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient, momentum = self.state[parameter], parameter.grad, group["momentum"]
        assert gradient is not None
        if not state:
            state["step"] = torch.zeros(())  # AdamW asks every state for one
            state["momentum"] = torch.zeros_like(gradient)
        state["step"] += 1
        average = state["momentum"].lerp(gradient, 1 - momentum)
        step = orthogonal(gradient.lerp(average, momentum).flatten(1))
        moved = parameter * (1 - group["lr"] * group["weight_decay"])
        moved.add_(step.view(parameter.shape), alpha=-group["lr"] * 0.2 * math.sqrt(max(step.shape)))
        state["momentum"].copy_(self._unless_bad(average, state["momentum"]))
        parameter.copy_(self._unless_bad(moved, parameter))

    def _unless_bad(self, new: Tensor, old: Tensor) -> Tensor:
        bad: Tensor | None = getattr(self, "found_inf", None)
        return new if bad is None else torch.where(bad > 0, old, new)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with its singular values brought to between about 0.7 and 1.2, by a Newton-Schulz iteration.

    The coefficients are Jordan's: fast rather than exact. The iteration goes on in the square of the shorter side,
    which a kernel's other side is many times longer than. In float32; a matrix of zeros stays one.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    wide: Tensor = matrix.float().T if tall else matrix.float()
    wide = wide / torch.linalg.matrix_norm(wide).clamp_min(1e-7)
    gram = wide @ wide.T
    factor = one = torch.eye(len(gram), device=gram.device)
    for _ in range(ITERATIONS):
        polynomial = a * one + torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor = polynomial @ factor
        gram = polynomial @ gram @ polynomial
    wide = factor @ wide
    return wide.T if tall else wide
