"""Initial conditions perturbed by a generative run (Millard et al. 2025, arXiv 2506.07324)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError
from weatherml.fields import Fields
from weatherml.forecast.roller import Roller
from weatherml.run.directory import Run
from weatherml.run.noise import MemberNoise

Array = npt.NDArray[Any]


class Perturbation:
    """x0 + A (s - s') / sqrt(2), where s and s' are two samples of one step that ends at the initial time.

    The difference of two samples has mean zero, their variance times 2, and their coherence in space and
    among variables; so A = 1 is the generative run's own uncertainty of the initial state.

    Args:
        roller: of the generative run, on the same dataset.
        amplitude: A.
    """

    def __init__(self, roller: Roller, amplitude: float) -> None:
        self.roller = roller
        self.amplitude = amplitude

    def __call__(self, history: Fields, indices: Array, noise: MemberNoise, base: Roller) -> Fields:
        """The (B, T, C, H, W) physical histories of `base` up to `indices`, their last states perturbed and bounded."""
        before = self.roller.history(indices - 1)
        times = self.roller.dataset.times[indices - 1]
        # steps before that of the forecast's first lead, so that no draw is used twice
        one, other = (self.roller.sample(before, times, noise, step=step) for step in (-1, -2))
        channels = [self.roller.dataset.names.index(name) for name in base.dataset.names]
        change = self.amplitude * (one - other)[:, channels] / np.sqrt(2)
        state = base.normaliser.denormalise(base.normaliser.normalise(history[:, -1] + change))
        perturbed = history.clone()
        perturbed[:, -1] = state
        return perturbed


def require_alike(generative: Run, run: Run) -> None:
    """Raise BadDataError unless both runs were trained on the same grid, time step and channels."""
    for what in ("shape", "grid", "step_seconds"):
        ours, theirs = getattr(run.lineage, what), getattr(generative.lineage, what)
        if ours != theirs:
            raise BadDataError(
                f"{generative.path}: {what} is {theirs}, that of {run.path} is {ours}; perturb with one alike"
            )
    ours, theirs = sorted(run.lineage.names), sorted(generative.lineage.names)
    if ours != theirs:
        raise BadDataError(
            f"{generative.path}: channels {', '.join(theirs)}, {run.path} has {', '.join(ours)}; perturb with one alike"
        )
