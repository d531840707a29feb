"""A network that draws a sample in one call, for training on the CRPS of a few members."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from weatherml.fields import Batch, Fields, Noise, Shape
from weatherml.models.base import MODELS, GenerativeModel, Model, edges, free_noise
from weatherml.models.prediction import Change
from weatherml.models.unet import UNet
from weatherml.nn.blocks import NoiseMaps, NormKind
from weatherml.nn.equalizer import Equalizer
from weatherml.nn.gaussian_fields import GaussianFields
from weatherml.tasks import Task


class CRPSModel(GenerativeModel):
    """x(t+1) = x(t) + scale * f(x, z), with z maps of white noise that enter every block at its resolution.

    After FGN (Alet et al. 2025, arXiv 2506.10772) and CRPS-LAM (arXiv 2510.09484), whose noise is one vector
    for all points; maps give every place its own, so that the domain may be of any size and cut into tiles.

    A variable's temperature is that of its Gaussian fields, which learn all of its spread; the network's noise has
    the mean one of those without such fields, or of all where each has them.
    """

    shares: Tensor

    def __init__(
        self,
        network: nn.Module,
        change: Change,
        *,
        inputs: nn.Module,
        noise_channels: int,
        gaussian: GaussianFields,
        equalizer: Equalizer,
    ) -> None:
        super().__init__(len(gaussian.untied), equalizer)
        self.network, self.change, self.inputs = network, change, inputs
        self.noise_channels, self.gaussian = noise_channels, gaussian
        without = 1 - gaussian.untied
        shares = torch.where(without.sum() > 0, without, torch.ones_like(without))
        self.register_buffer("shares", shares / shares.sum(), persistent=False)

    def step(self, batch: Batch, noise: Noise | None = None) -> Fields:
        """A sample, (B, L, C, H, W)."""
        draw = noise or free_noise(batch.history)
        inputs = self.inputs(batch)
        maps = draw((len(inputs), self.noise_channels, *inputs.shape[-2:]))
        warmth = (self.temperature**self.shares).prod()
        states: Fields = self.change(batch, self.network(inputs, warmth * maps), self.tempered(self.gaussian(maps)))
        return states


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

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast"})
    generative: ClassVar[bool] = True
    loss: ClassVar[str] = "crps"

    noise_channels: PositiveInt = 8
    norm: NormKind = "point"
    scaled_inputs: bool = True

    @property
    def changes(self) -> bool:
        """Whether a deterministic network of it predicts the change: a sample of it."""
        return True

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        change, noise = self.change(shape), partial(NoiseMaps, maps=self.noise_channels)
        network = self.network(shape, outputs=change.outputs, zero=True, condition=noise)
        padding = edges(self.padding, shape)
        gaussian = GaussianFields(self.noise_channels, shape, levels=self.depth + 2, padding=padding)
        return CRPSModel(
            network,
            change,
            inputs=self.inputs(shape),
            noise_channels=self.noise_channels,
            gaussian=gaussian,
            equalizer=self.equalizer(shape),
        )
