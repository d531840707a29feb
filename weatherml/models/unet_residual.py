"""U-Net that predicts the change: x(t+1) = x(t) + delta_std * f(history, forcing, static)."""

from __future__ import annotations

from weatherml.fields import Shape
from weatherml.models.base import MODELS, Model
from weatherml.models.prediction import ChangeModel
from weatherml.models.unet import UNet


@MODELS.register("unet-residual")
class UNetResidual(UNet):
    """The same network and parameters as `unet`; untrained, it is persistence."""

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        return ChangeModel(self.network(shape, zero=True), shape, inputs=self.inputs(shape))
