"""An experiment is completed with what is usual for its model, and refuses what does not fit together."""

from __future__ import annotations

from typing import Any

import pytest

from weatherml.config import load, parse
from weatherml.errors import ConfigError
from weatherml.models import MODELS
from weatherml.run.experiment import Experiment, resolve


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("bare", [False, True])
def test_loss_and_sampler_are_the_models_usual_ones(name: str, bare: bool) -> None:
    required = any(field.is_required() for field in MODELS[name].model_fields.values())
    if required and bare:
        pytest.skip("a bare name leaves out what must be given")
    model = load(f"model/{name}") if required else {"kind": name}
    found = parse(Experiment, {"model": name if bare else model})
    assert found.loss.kind == MODELS[name].loss
    assert (found.sampler is None) == (MODELS[name].sampler is None)
    assert parse(Experiment, found.settings()) == found


def test_what_is_given_stands() -> None:
    found = resolve(None, model="edm", assignments=["sampler.steps=5", "loss=l1"])
    assert found.sampler is not None
    assert (found.sampler.kind, found.sampler.steps, found.loss.kind) == ("dpm-solver++", 5, "l1")
    other = resolve(None, model="edm", assignments=["sampler=heun"])
    assert other.sampler is not None
    assert other.sampler.kind == "heun"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "crps", "sampler": "heun"}, "sampler: crps draws without one"),
        ({"model": "unet", "sampler": "heun"}, "sampler: unet draws without one"),
        ({"model": "edm", "sampler": None}, "sampler: edm cannot draw without one"),
        ({"model": "ddpm", "sampler": "heun-churn"}, "heun-churn asks for noise levels that ddpm was not trained at"),
        ({"model": "edm", "sampler": "huen"}, "did you mean 'heun'"),
        ({"model": "edm", "train": {"horizon": 2}}, "train.horizon: edm learns one step at a time"),
        ({"model": "edm", "loss": "crps"}, "loss: edm draws no members in training; take mse"),
        ({"model": "unet", "loss": "crps"}, "loss: unet draws no members in training; take weather"),
        ({"model": {"kind": "edn"}}, "did you mean 'edm'"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Experiment, settings)


def test_runs_from_before_the_modes_of_compilation_still_read() -> None:
    settings = resolve(None, model="simple-cnn").settings()
    for before, now in ((False, "none"), (True, "default")):
        train = settings["train"] | {"compile": before}
        assert parse(Experiment, settings | {"train": train}).train.compile == now
