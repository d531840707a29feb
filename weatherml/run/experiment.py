"""A whole experiment: data, model, loss, training. What `configs/*.yaml` hold and a run freezes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from weatherml import losses, models, samplers
from weatherml.config import Config, Settings, load, merge, override, parse, parse_member, shipped_names
from weatherml.data.loader import DataConfig
from weatherml.errors import ConfigError
from weatherml.losses.base import LossConfig
from weatherml.models.base import ModelConfig
from weatherml.nn.recompute import Checkpointing
from weatherml.run.device import Precision
from weatherml.samplers.base import Sampler
from weatherml.tasks import Task

EVENTS: frozenset[Task] = frozenset({"classify", "segment"})
OptimizerKind: TypeAlias = Literal["adamw", "muon"]
StrategyKind: TypeAlias = Literal["ddp", "fsdp"]
CompileMode: TypeAlias = Literal["none", "default", "reduce-overhead", "max-autotune"]


class Validation(Config):
    """How skill is measured while training: short rollouts on the validation part.

    Attributes:
        every: steps between two validations.
        cases: initial times, spread evenly over the part.
        lead_steps: steps of each rollout.
        patience: validations without a better score after which training stops early; 0 never does.
        members: of each rollout of a generative model; deterministic ones have one.
    """

    every: PositiveInt = 500
    cases: PositiveInt = 8
    lead_steps: PositiveInt = 6
    patience: NonNegativeInt = 0
    members: int = Field(2, ge=2)


class Calibration(Config):
    """How the spread of a trained generative model is fitted on the validation part.

    Attributes:
        cases: initial times, spread evenly over the part; 0 leaves the spread as it was learnt.
        members: forecasts from each.
        lead_steps: steps of each.
    """

    cases: NonNegativeInt = 48
    members: int = Field(2, ge=2)
    lead_steps: PositiveInt = 1


class TrainConfig(Config):
    """How a run trains.

    Attributes:
        steps: optimizer steps.
        epochs: passes over the training windows; where given, they decide instead of steps.
        minutes: length by the clock, which decides instead of steps and epochs: the pace sets the
            number of steps, so a faster machine trains more; what comes after training takes its time on top.
        batch: cases in a microbatch.
        accumulate: microbatches in an optimizer step; the effective batch is batch * accumulate.
        optimizer: `adamw`, or `muon`, which learns more of each step with kernels, at a little more time.
        lr: peak learning rate.
        warmup: steps of linear warm-up before the cosine to zero.
        weight_decay: on matrices and kernels only.
        clip: largest gradient norm.
        ema: decay of the average of weights that validation and inference use.
        horizon: forecast steps over which the last part of training follows the model, fed its own output.
        horizon_share: the part of the steps, at the end, that trains over 2, 3, ... `horizon` forecast steps, each for
            as long as the others.
        pushforward: over more than one forecast step the loss is the last one's, with gradients through it alone:
            cheaper, and without the pull of gradients through a long forecast towards smooth fields.
        precision: `auto` takes bf16-mixed where the device computes in it, else 32-true.
        checkpointing: what is computed again in the backward pass to save memory, from fast to thrifty: `none`,
            `activations` (no convolution), `blocks`, `tiles` (networks that do not pool over the grid).
        offload: keep what the backward pass needs in the host's memory and not the card's; slower.
        compile: torch.compile's mode for the network: `default` fuses, `reduce-overhead` replays CUDA graphs too.
        strategy: of several processes: `ddp` copies the weights, `fsdp` shards them.
        cache_clear: steps between two clearings of the GPU's cache; 0 never clears.
        checkpoint_minutes: minutes between two checkpoints; a kill loses no more than that.
        validation: skill on short rollouts.
        calibration: of a generative model, at the end.
        start: a run whose weights this one begins with, bound to its variables by name.
        seed: of weights, order, augmentation and noise.
    """

    steps: PositiveInt = 2000
    epochs: PositiveFloat | None = None
    minutes: PositiveFloat | None = None
    batch: PositiveInt = 8
    accumulate: PositiveInt = 1
    optimizer: OptimizerKind = "adamw"
    lr: PositiveFloat = 1e-3
    warmup: NonNegativeInt = 100
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 1.0
    ema: float = Field(0.998, ge=0, lt=1)
    horizon: PositiveInt = 1
    horizon_share: float = Field(0.3, ge=0, le=1)
    pushforward: bool = False
    precision: Precision = "auto"
    checkpointing: Checkpointing = "none"
    offload: bool = False
    compile: CompileMode = "none"
    strategy: StrategyKind = "ddp"
    cache_clear: NonNegativeInt = 0
    checkpoint_minutes: PositiveFloat = 5.0
    validation: Validation = Validation()
    calibration: Calibration = Calibration()
    start: str | None = None
    seed: NonNegativeInt = 0

    @field_validator("compile", mode="before")
    @classmethod
    def _mode(cls, value: Any) -> Any:
        return {False: "none", True: "default"}.get(value, value)  # as earlier runs wrote it

    @model_validator(mode="after")
    def _pushes_over_several_steps(self) -> TrainConfig:
        if self.pushforward and self.horizon == 1:
            raise ValueError("pushforward is over several forecast steps; set train.horizon to 2 or more")
        return self

    @model_validator(mode="after")
    def _tiles_see_whole_weights(self) -> TrainConfig:
        if self.checkpointing == "tiles" and self.strategy == "fsdp":
            raise ValueError("checkpointing: tiles need whole weights, which fsdp shards; take ddp, or blocks")
        return self


class Experiment(Config):
    """Everything that decides what a run becomes.

    Attributes:
        data: dataset, history, variables, augmentation.
        model: a member of the models, by `kind`.
        loss: a member of the losses, by `kind`; the model's usual one unless given.
        sampler: a member of the samplers, by `kind`, for a model that needs one; its usual one unless given.
        variable_weights: by name; what is not named weighs 1.
        train: optimizer, schedule, precision, validation.
    """

    data: DataConfig = DataConfig()
    model: SerializeAsAny[ModelConfig]
    loss: SerializeAsAny[LossConfig]
    sampler: SerializeAsAny[Sampler] | None = None
    variable_weights: dict[str, NonNegativeFloat] = Field(default={})
    train: TrainConfig = TrainConfig()

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, settings: Any) -> Any:
        """Complete loss and sampler with what is usual for the model."""
        given = settings.get("model") if isinstance(settings, Mapping) else None
        kind = given.get("kind") if isinstance(given, Mapping) else given
        if not isinstance(kind, str):
            return settings
        model = models.MODELS[kind]
        usual: Settings = {"loss": {"kind": model.loss}}
        return merge(usual | ({"sampler": model.sampler} if model.sampler else {}), settings)

    @field_validator("model", mode="before")
    @classmethod
    def _model(cls, value: Any) -> Any:
        return parse_member(models.MODELS, value, at="model")

    @field_validator("loss", mode="before")
    @classmethod
    def _loss(cls, value: Any) -> Any:
        return parse_member(losses.LOSSES, value, at="loss")

    @field_validator("sampler", mode="before")
    @classmethod
    def _sampler(cls, value: Any) -> Any:
        return None if value is None else parse_member(samplers.SAMPLERS, value, at="sampler")

    @model_validator(mode="after")
    def _fits(self) -> Experiment:
        require_fit(self.model, self.sampler)
        if type(self.model).sampler is not None and self.sampler is None:
            raise ValueError(f"sampler: {self.model.kind} cannot draw without one; leave the key out for the usual one")
        if type(self.loss).compares_members and not (type(self.model).generative and self.sampler is None):
            raise ValueError(f"loss: {self.model.kind} draws no members in training; take {type(self.model).loss}")
        tells_events = bool(type(self.model).tasks & EVENTS)
        if type(self.loss).logits != tells_events:
            read = "logits of an event" if type(self.loss).logits else "states"
            raise ValueError(f"loss: {self.loss.kind} reads {read}, which {self.model.kind} does not give")
        if self.sampler is not None and self.train.horizon > 1:
            raise ConfigError(f"train.horizon: {self.model.kind} learns one step at a time; leave it at 1")
        return self


def require_fit(model: ModelConfig, sampler: Sampler | None) -> None:
    """Raise ConfigError where a sampler does not serve a model."""
    if sampler is None:
        return
    if type(model).sampler is None:
        raise ConfigError(f"sampler: {model.kind} draws without one; leave it out")
    if sampler.off_grid and type(model).discrete:
        raise ConfigError(
            f"sampler: {sampler.kind} asks for noise levels that {model.kind} was not trained at; take for example ddim"
        )


DEFAULTS: Settings = {"model": {"kind": "unet-residual"}}


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
