"""A denoising diffusion probabilistic model (Ho et al. 2020, arXiv 2006.11239) of the next state or its change."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import nn

from weatherml.config import Settings
from weatherml.diffusion.schedule import Curve, Schedule
from weatherml.diffusion.spacing import tangent
from weatherml.fields import Shape
from weatherml.models.base import MODELS, Model, edges
from weatherml.models.diffusion import DiffusionModel, Target
from weatherml.models.noisy_views import NoisyViews
from weatherml.models.unet import UNet
from weatherml.nn.blocks import Conv, FiLM, NormKind
from weatherml.tasks import Task


@MODELS.register("ddpm")
class DDPM(UNet):
    """The parameters of `unet`, and diffusion in T discrete steps.

    A conditioning network reads the history, the known and the static fields; what it makes of them enters the
    U-Net beside the noisy target.

    Attributes:
        schedule: curve of the noise.
        timesteps: T.
        shift: of the noise levels, see `Schedule`.
        prediction: what the network predicts: the noise `epsilon`, `v`, or the clean `x0`.
        target: what is drawn: the next `state`, its `change` since the last, or the `forecast-error` of a deterministic
            network of the same size, which is trained beside.
        condition_features: channels of the conditioning network; 0 gives the inputs as they are.
        drop: share of training cases without condition, for guidance.
        guidance: w in D = D_without + w (D_with - D_without) (Ho & Salimans 2022, arXiv 2207.12598); 1 is none.
        spacing: of a sample's levels: `trailing`, equal strides in t, or `tangent`, the schedule's nearest to those
            that few steps of second order need.
        embedding: width of the noise level's vector.
        attention: see `unet`; the two coarsest levels unless given, as in the founding plan.
        norm: see `unet`.
        mean_norm: of the deterministic network beside; `norm` where it is not given.
        scaled_inputs: see `unet`.
        wide: sides of blocks, in points, over whose means the network is told the noisy y too: the large waves.
        fine: it is told its finest detail too, and has linear filters of it beside: no grain in smooth fields.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast"})
    generative: ClassVar[bool] = True
    sampler: ClassVar[Settings | None] = {"kind": "dpm-solver++", "steps": 16}
    discrete: ClassVar[bool] = True
    loss: ClassVar[str] = "mse"

    schedule: Curve = "cosine"
    timesteps: int = Field(1000, ge=50)
    shift: float = 0.0
    prediction: Literal["epsilon", "v", "x0"] = "epsilon"
    target: Target = "change"
    condition_features: NonNegativeInt = 32
    drop: float = Field(0.0, ge=0, lt=1)
    guidance: NonNegativeFloat = 1.0
    spacing: Literal["tangent", "trailing"] = "tangent"
    embedding: PositiveInt = 64
    attention: tuple[NonNegativeInt, ...] = (2, 3)
    norm: NormKind = "point"
    mean_norm: NormKind | None = None
    scaled_inputs: bool = True
    wide: tuple[PositiveInt, ...] = ()
    fine: bool = False

    @model_validator(mode="before")
    @classmethod
    def _two_depths(cls, settings: Any) -> Any:
        if isinstance(settings, Mapping) and isinstance(settings.get("depth"), int) and "attention" not in settings:
            depth = settings["depth"]
            return {**settings, "attention": sorted({max(depth - 1, 0), depth})}
        return settings

    @property
    def changes(self) -> bool:
        """Whether a deterministic network of it predicts the change: where its error is drawn."""
        return self.target == "forecast-error"

    @property
    def _mean(self) -> UNet:
        return self.model_copy(update={"norm": self.mean_norm or self.norm, "attention": ()})

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        schedule = Schedule(curve=self.schedule, steps=self.timesteps, shift=self.shift)
        inputs = self.inputs(shape)
        padding = edges(self.padding, shape)
        views = NoisyViews(shape, wide=self.wide, fine=self.fine, vector=self.embedding, padding=padding)
        channels = (self.condition_features or inputs.channels) + views.channels
        return DiffusionModel(
            self.network(shape, channels=channels, zero=True, condition=partial(FiLM, vector=self.embedding)),
            shape,
            views=views,
            inputs=inputs,
            levels=schedule,
            spacing=schedule.trailing if self.spacing == "trailing" else lambda steps: schedule.nearest(tangent(steps)),
            prediction=self.prediction,
            target=self.target,
            mean=self._mean.changing(shape) if self.changes else None,
            equalizer=self.equalizer(shape) if self.changes else None,
            padding=padding,
            encoder=self._encoder(shape, inputs.channels) if self.condition_features else None,
            embedding=self.embedding,
            drop=self.drop,
            guidance=self.guidance,
        )

    def _encoder(self, shape: Shape, channels: int) -> nn.Module:
        width, padding = self.condition_features, edges(self.padding, shape)
        return nn.Sequential(Conv(channels, width, padding=padding), nn.SiLU(), Conv(width, width, padding=padding))
