"""U-Net that predicts the change: x(t+1) = x(t) + delta_std * f(history, known, static)."""

from __future__ import annotations

from typing import ClassVar

from weatherml.fields import Shape
from weatherml.models.base import MODELS, Model
from weatherml.models.unet import UNet
from weatherml.tasks import Task


@MODELS.register("unet-residual")
class UNetResidual(UNet):
    """The same network and parameters as `unet`; untrained, it is persistence."""

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast"})

    @property
    def changes(self) -> bool:
        """Whether a deterministic network of it predicts the change: always."""
        return True

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        return self.changing(shape)
