"""Persistence: the state at the initial time stays."""

from __future__ import annotations

import numpy as np

from weatherml.verify.baselines.base import BASELINES, Array, Baseline, BaselineConfig
from weatherml.verify.files.truth import Truth


@BASELINES.register("persistence")
class PersistenceConfig(BaselineConfig):
    """No parameters."""

    def build(self, truth: Truth) -> Persistence:
        """Persistence of this dataset's states."""
        return Persistence(self.kind, truth)


class Persistence(Baseline):
    """The truth at the initial time, for every lead."""

    def read(self, init_time: np.datetime64, lead_times: Array, name: str) -> Array:
        """The same field for each lead."""
        field = self.truth.read(np.array([init_time]), [name])[name]
        return np.repeat(field[:, None], len(lead_times), axis=0)
