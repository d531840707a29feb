"""A run's network, ready to draw samples."""

from __future__ import annotations

from weatherml.config import Settings, merge, parse_member
from weatherml.errors import ConfigError, UsageError
from weatherml.models.base import Model
from weatherml.run.directory import Run
from weatherml.run.experiment import require_fit
from weatherml.samplers import SAMPLERS
from weatherml.samplers.base import Sampler


def sampling_model(run: Run, sampler: Settings | None = None) -> Model:
    """The network of a generative run, in evaluation mode, with its sampler.

    Args:
        run: that draws the samples.
        sampler: settings laid on those of the run's own sampler; None leaves it as it is.

    Raises:
        UsageError: a deterministic run.
        ConfigError: a sampler that is not known, that the model has no use for, or whose levels it does not have.
    """
    kind = type(run.experiment.model)
    if not kind.generative:
        raise UsageError(
            f"{run.path}: {kind.kind} is deterministic; perturb it with a generative run (--perturb RUN), "
            "or take `wml rollout`"
        )
    if not sampler:
        return run.load_model()
    if run.experiment.sampler is None:
        raise ConfigError(f"{run.path}: {kind.kind} samples in one call and takes no sampler; leave --sampler out")
    chosen: Sampler = parse_member(SAMPLERS, merge(run.experiment.sampler.settings(), sampler), at="sampler")
    require_fit(run.experiment.model, chosen)
    return run.load_model(chosen)
