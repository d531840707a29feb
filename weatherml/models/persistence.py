"""Persistence: the last state, again. The forecast that every other has to beat."""

from __future__ import annotations

from typing import ClassVar

from weatherml.fields import Batch, Fields, Shape
from weatherml.models.base import MODELS, Model, ModelConfig


class PersistenceModel(Model):
    """The last state at each of L lead times."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.lead = shape.lead

    def forward(self, batch: Batch) -> Fields:
        """The last state, (B, L, C, H, W)."""
        return batch.history[:, -1:].repeat(1, self.lead, 1, 1, 1)


@MODELS.register("persistence")
class Persistence(ModelConfig):
    """No parameters, nothing to learn."""

    trainable: ClassVar[bool] = False

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        return PersistenceModel(shape)
