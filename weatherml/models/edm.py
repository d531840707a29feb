"""A denoising diffusion model after Karras et al. 2022 (arXiv 2206.00364), on the change of a step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, SerializeAsAny, field_validator, model_validator
from torch import Tensor

from weatherml.config import Settings, parse_member
from weatherml.diffusion.levels import LEVELS
from weatherml.diffusion.levels.base import Levels
from weatherml.diffusion.spacing import karras, tangent
from weatherml.fields import Shape
from weatherml.models.base import MODELS, Model, edges
from weatherml.models.diffusion import DiffusionModel
from weatherml.models.noisy_views import NoisyViews
from weatherml.models.unet import UNet
from weatherml.nn.blocks import FiLM, NormKind
from weatherml.tasks import Task

SPACINGS: dict[str, Callable[..., Tensor]] = {"tangent": tangent, "karras": karras}


@MODELS.register("edm")
class EDM(UNet):
    """The parameters of `unet`, and diffusion.

    sigma_data is 1 for every variable: y is divided by the standard deviation of its change in training.

    Attributes:
        target: what is drawn: the `change` since the last state, or the `forecast-error` of a deterministic
            network of the same size, which is trained beside.
        levels: law of noise levels in training, by `kind`.
        spacing: of the levels of a sample, see `weatherml.diffusion.spacing`.
        sigma_min: the least level of a sample above 0.
        sigma_max: the greatest.
        embedding: width of the noise level's vector.
        norm: see `unet`.
        mean_norm: of the deterministic network beside; `norm` where it is not given.
        scaled_inputs: see `unet`.
        wide: sides of blocks, in points, over whose means the network is told the noisy y too: the large waves.
        fine: it is told its finest detail too, and has linear filters of it beside: no grain in smooth fields.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"forecast"})
    generative: ClassVar[bool] = True
    sampler: ClassVar[Settings | None] = {"kind": "dpm-solver++", "steps": 16}
    loss: ClassVar[str] = "mse"

    target: Literal["change", "forecast-error"] = "change"
    levels: SerializeAsAny[Levels] = Field(default={"kind": "sech"}, validate_default=True)
    spacing: Literal["tangent", "karras"] = "tangent"
    sigma_min: PositiveFloat = 0.01
    sigma_max: PositiveFloat = 240.0
    embedding: PositiveInt = 64
    norm: NormKind = "point"
    mean_norm: NormKind | None = None
    scaled_inputs: bool = True
    wide: tuple[PositiveInt, ...] = ()
    fine: bool = False

    @field_validator("levels", mode="before")
    @classmethod
    def _levels(cls, value: Any) -> Any:
        return parse_member(LEVELS, value, at="model.levels")

    @model_validator(mode="after")
    def _levels_fall(self) -> EDM:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min ({self.sigma_min}) must be below sigma_max ({self.sigma_max})")
        return self

    @property
    def changes(self) -> bool:
        """Whether a deterministic network of it predicts the change: where its error is drawn."""
        return self.target == "forecast-error"

    @property
    def _mean(self) -> UNet:
        return self.model_copy(update={"norm": self.mean_norm or self.norm})

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`."""
        inputs = self.inputs(shape)
        padding = edges(self.padding, shape)
        views = NoisyViews(shape, wide=self.wide, fine=self.fine, vector=self.embedding, padding=padding)
        channels = inputs.channels + views.channels
        return DiffusionModel(
            self.network(shape, channels=channels, zero=True, condition=partial(FiLM, vector=self.embedding)),
            shape,
            views=views,
            inputs=inputs,
            levels=self.levels,
            spacing=partial(SPACINGS[self.spacing], low=self.sigma_min, high=self.sigma_max),
            prediction="edm",
            target=self.target,
            mean=self._mean.changing(shape) if self.changes else None,
            equalizer=self.equalizer(shape) if self.changes else None,
            padding=padding,
            embedding=self.embedding,
        )
