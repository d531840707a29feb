"""A network that draws a sample in one call, for training on the CRPS of a few members."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor, nn

from weatherml.fields import Batch, Fields, Noise, Shape
from weatherml.models.base import MODELS, GenerativeModel, Model, free_noise
from weatherml.models.prediction import change_scale, changed
from weatherml.models.unet import UNet
from weatherml.nn.blocks import NoiseMaps, NormKind


class CRPSModel(GenerativeModel):
    """x(t+1) = x(t) + scale * f(x, z), with z maps of white noise that enter every block at its resolution.

    After FGN (Alet et al. 2025, arXiv 2506.10772) and CRPS-LAM (arXiv 2510.09484), whose noise is one vector
    for all points; maps give every place its own, so that the domain may be of any size and cut into tiles.
    """

    scale: Tensor

    def __init__(self, network: nn.Module, shape: Shape, *, inputs: nn.Module, noise_channels: int) -> None:
        super().__init__(temperatures=1)
        self.network, self.inputs = network, inputs
        self.noise_channels = noise_channels
        self.register_buffer("scale", change_scale(shape), persistent=False)

    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:
        """A sample, (B, L, C, H, W)."""
        draw = noise or free_noise(batch.history)
        inputs = self.inputs(batch)
        maps = self.temperature * draw((len(inputs), self.noise_channels, *inputs.shape[-2:]))
        return changed(batch, self.scale, self.network(inputs, maps))


@MODELS.register("crps")
class CRPS(UNet):
    """The parameters of `unet`, and noise; untrained it is persistence.

    It may start from a trained `unet-residual` with the same parameters (`train.start`): its noise enters
    through layers that begin as zero.

    Attributes:
        noise_channels: maps of noise.
        norm: see `unet`.
        scaled_inputs: see `unet`.
    """

    generative: ClassVar[bool] = True
    loss: ClassVar[str] = "crps"

    noise_channels: PositiveInt = 8
    norm: NormKind = "point"
    scaled_inputs: bool = True

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        network = self.network(shape, zero=True, condition=partial(NoiseMaps, maps=self.noise_channels))
        return CRPSModel(network, shape, inputs=self.inputs(shape), noise_channels=self.noise_channels)
