"""Members of several runs become those of one forecast, a shard of leads of one variable at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weatherml.data.store import Dataset
from weatherml.forecast.blend.config import Fitted
from weatherml.forecast.blend.fit import Blend
from weatherml.forecast.blend.members import Members
from weatherml.forecast.derive import Products, pieces, write_block
from weatherml.forecast.store import ForecastWriter
from weatherml.progress import Progress
from weatherml.signals import stop_request

Array = npt.NDArray[Any]


def combined(fields: Sequence[Array], blends: Sequence[Blend], factors: Array | None, *, pooled: bool) -> Array:
    """Blend l leads of one variable.

    Args:
        fields: of each run, (l, M, H, W).
        blends: of the ensemble means, one a lead.
        factors: (l,) what multiplies the members' deviations; None leaves them.
        pooled: members stand side by side and deviate from the blend; else each deviates from its own run's mean,
            and deterministic runs bring no member.

    Returns:
        (l, M, H, W), or (l, H, W) where no run draws.
    """
    if pooled and factors is None:
        return np.concatenate(fields, axis=1)
    means = np.stack([each.mean(axis=1) for each in fields])
    centre = np.stack([blend(means[:, lead]) for lead, blend in enumerate(blends)])
    drawn = [k for k, each in enumerate(fields) if pooled or each.shape[1] > 1]
    if not drawn:
        return centre
    bases = [centre if pooled else means[k] for k in drawn]
    deviations = np.concatenate([fields[k] - base[:, None] for k, base in zip(drawn, bases, strict=True)], axis=1)
    scale = np.ones(len(blends)) if factors is None else factors
    return np.asarray(centre[:, None] + scale[:, None, None, None] * deviations)


@dataclass(frozen=True, kw_only=True)
class Combination:
    """What is written.

    Attributes:
        made: the runs' forecasts.
        dataset: narrowed to the common variables.
        fitted: how they are combined.
        pooled: members stand side by side.
        products: of the members.
        cases: initial times.
        steps: leads of each.
    """

    made: Members
    dataset: Dataset
    fitted: Fitted
    pooled: bool
    products: Products
    cases: int
    steps: int

    def write(self, writer: ForecastWriter, *, device: torch.device, progress: Progress) -> None:
        """Write the initial times that the writer does not have yet.

        Raises:
            StoppedError: a signal came; what is written is kept.
        """
        done = set(writer.done)
        with stop_request() as stop:
            for case in range(self.cases):
                if case not in done:
                    self._write_case(writer, case, device)
                    writer.complete([case], {})
                progress((case + 1) * self.steps, self.cases * self.steps)
                stop.raise_if_set(f"{writer.output}: stopped after {case + 1} of {self.cases} initial times")

    def _write_case(self, writer: ForecastWriter, case: int, device: torch.device) -> None:
        for leads in pieces(range(self.steps), writer.shard):
            for name in self.dataset.names:
                writer.write_derived(name, case, leads.start, self._block(name, case, leads))
                if self.products.get(name):
                    write_block(writer, name, self.products[name], case=case, leads=leads, device=device)

    def _block(self, name: str, case: int, leads: range) -> Array:
        variable = self.dataset.variables[self.dataset.names.index(name)]
        factors = self.fitted.spread.get(name)
        chosen = slice(leads.start, leads.stop)
        block = combined(
            self.made.read(name, case, leads),
            self.fitted.blends[name][chosen],
            None if factors is None else np.array(factors[chosen]),
            pooled=self.pooled,
        )
        low, high = variable.valid_min, variable.valid_max
        return np.clip(block, -np.inf if low is None else low, np.inf if high is None else high)
