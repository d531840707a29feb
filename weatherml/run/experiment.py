"""A whole experiment: data, model, loss, training. What `configs/*.yaml` hold and a run freezes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    field_validator,
)

from weatherml import losses, models
from weatherml.config import Config, Settings, load, merge, override, parse, parse_member, shipped_names
from weatherml.data.loader import DataConfig
from weatherml.losses.base import LossConfig
from weatherml.models.base import ModelConfig
from weatherml.run.device import Precision


class Validation(Config):
    """How skill is measured while training: short rollouts on the validation part.

    Attributes:
        every: steps between two validations.
        cases: initial times, spread evenly over the part.
        lead_steps: steps of each rollout.
        patience: validations without a better score after which training stops early; 0 never does.
    """

    every: PositiveInt = 500
    cases: PositiveInt = 8
    lead_steps: PositiveInt = 6
    patience: NonNegativeInt = 0


class TrainConfig(Config):
    """How a run trains.

    Attributes:
        steps: optimizer steps.
        epochs: passes over the training windows; where given, they decide instead of steps.
        batch: cases in a microbatch.
        accumulate: microbatches in an optimizer step; the effective batch is batch * accumulate.
        lr: peak learning rate of AdamW.
        warmup: steps of linear warm-up before the cosine to zero.
        weight_decay: of AdamW, on matrices and kernels only.
        clip: largest gradient norm.
        ema: decay of the average of weights that validation and inference use.
        horizon: forecast steps over which the last part of training follows the model, fed its own output.
        horizon_share: the part of the steps, at the end, that trains over the horizon.
        precision: `auto` takes bf16-mixed where the device computes in it, else 32-true.
        checkpointing: `blocks` recomputes activations in the backward pass to save memory.
        compile: torch.compile the network.
        cache_clear: steps between two clearings of the GPU's cache; 0 never clears.
        checkpoint_minutes: minutes between two checkpoints; a kill loses no more than that.
        validation: skill on short rollouts.
        seed: of weights, order, augmentation and noise.
    """

    steps: PositiveInt = 2000
    epochs: PositiveFloat | None = None
    batch: PositiveInt = 8
    accumulate: PositiveInt = 1
    lr: PositiveFloat = 1e-3
    warmup: NonNegativeInt = 100
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 1.0
    ema: float = Field(0.998, ge=0, lt=1)
    horizon: PositiveInt = 1
    horizon_share: float = Field(0.3, ge=0, le=1)
    precision: Precision = "auto"
    checkpointing: Literal["none", "blocks"] = "none"
    compile: bool = False
    cache_clear: NonNegativeInt = 0
    checkpoint_minutes: PositiveFloat = 5.0
    validation: Validation = Validation()
    seed: NonNegativeInt = 0


class Experiment(Config):
    """Everything that decides what a run becomes.

    Attributes:
        data: dataset, history, variables, augmentation.
        model: a member of the models, by `kind`.
        loss: a member of the losses, by `kind`.
        variable_weights: by name; what is not named weighs 1.
        train: optimizer, schedule, precision, validation.
    """

    data: DataConfig = DataConfig()
    model: SerializeAsAny[ModelConfig]
    loss: SerializeAsAny[LossConfig]
    variable_weights: dict[str, NonNegativeFloat] = Field(default={})
    train: TrainConfig = TrainConfig()

    @field_validator("model", mode="before")
    @classmethod
    def _model(cls, value: Any) -> Any:
        return parse_member(models.MODELS, value, at="model")

    @field_validator("loss", mode="before")
    @classmethod
    def _loss(cls, value: Any) -> Any:
        return parse_member(losses.LOSSES, value, at="loss")


DEFAULTS: Settings = {"model": {"kind": "unet-residual"}, "loss": {"kind": "weather"}}


def resolve(config: str | Path | None, *, model: str | None = None, assignments: Sequence[str] = ()) -> Experiment:
    """An experiment from a file or shipped name, a model's kind, and `--set` assignments, in that order.

    Raises:
        MissingInputError: no such configuration.
        ConfigError: an unknown key or a value that does not fit.
    """
    settings = merge(DEFAULTS, load(config)) if config is not None else dict(DEFAULTS)
    if model is not None:
        settings = merge(settings, {"model": model_settings(model)})
    settings = override(settings, assignments)
    return parse(Experiment, settings)


def model_settings(kind: str) -> Mapping[str, Any]:
    """The shipped parameters of a model (`configs/model/KIND.yaml`), or its kind alone."""
    name = f"model/{kind}"
    return {"kind": kind, **(load(name) if name in shipped_names() else {})}
