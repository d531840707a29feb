"""Programs of torch: one step of a run, equal to the run's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.run.test_bundle import saved_run
from weatherml.config import parse_member
from weatherml.data.known import KnownFields
from weatherml.data.reader import WindowReader
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import ConfigError, MissingInputError, OutputError, UsageError
from weatherml.forecast.deploy import METADATA, Draws, export_program
from weatherml.run.calibration import Calibration
from weatherml.run.directory import Run, create_run
from weatherml.run.noise import MemberNoise
from weatherml.run.stepping import known_batch, roll
from weatherml.samplers import SAMPLERS

UNET: dict[str, Any] = {"kind": "unet-residual", "base_features": 8, "depth": 0, "blocks": 1}
CRPS: dict[str, Any] = {"kind": "crps", "base_features": 8, "depth": 0, "blocks": 1}
EDM: dict[str, Any] = {"kind": "edm", "base_features": 8, "depth": 0, "blocks": 1, "wide": (4, 64)}
HOUR = np.timedelta64(1, "h")


def loaded(path: Path) -> tuple[Any, dict[str, Any]]:
    """The program, to be called, and what it says of itself."""
    extra = {METADATA: ""}
    program = torch.export.load(path, extra_files=extra)
    return program.module(), json.loads(extra[METADATA])


def given(run: Run, dataset: Dataset, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Physical history, forcing and static fields of some initial times."""
    T, L = run.experiment.data.history, run.experiment.data.lead
    packed = np.stack([WindowReader(dataset, cache_bytes=0).window(index - T + 1, T) for index in indices])
    history = run.normaliser(dataset.packings).unpack(torch.from_numpy(packed))
    times = dataset.times[indices]
    batch = known_batch(history, times[:, None] + HOUR * np.arange(1, L + 1), KnownFields(dataset), times)
    return history, batch.forcing, batch.static


def own_step(run: Run, dataset: Dataset, indices: list[int], noise: MemberNoise | None) -> torch.Tensor:
    """The states of the run's first call, (B, L, C, H, W), as a rollout in float32 makes them."""
    normaliser, lead = run.normaliser(dataset.packings), run.experiment.data.lead
    history, _, _ = given(run, dataset, indices)
    with torch.inference_mode():
        states = roll(
            run.load_model(),
            torch.nan_to_num(normaliser.normalise(history)),
            dataset.times[indices],
            step=HOUR,
            steps=lead,
            lead=lead,
            normaliser=normaliser,
            known=KnownFields(dataset),
            noise=noise,
        )
        return torch.stack(list(states), dim=1)


def test_a_step_of_a_deterministic_run(small_dataset: Path, tmp_path: Path) -> None:
    """Any number of cases, on other grids too where the network allows it."""
    dataset = open_dataset(small_dataset)
    run = saved_run(tmp_path / "run", small_dataset, UNET)
    step, told = loaded(export_program(run.path, tmp_path / "run.pt2"))
    for indices in ([5], [9, 30, 60]):
        wanted = own_step(run, dataset, indices, None)[:, 0]
        got = step(*given(run, dataset, indices))
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=0)
    history, forcing, static = given(run, dataset, [5])
    history[0, -1, 0, 3, 4] = torch.nan  # missing: the mean, as in training
    assert step(history, forcing, static).isfinite().all()
    assert step(history[..., :12, :16], forcing[..., :12, :16], static[..., :12, :16]).shape == (1, 5, 12, 16)
    assert told["inputs"]["history"] == {
        "dims": ["case", "time", "variable", "y", "x"],
        "variables": dataset.names,
        "shape": [None, 1, 5, None, None],
    }
    assert told["inputs"]["static"]["fields"] == ["orography"]
    assert told["inputs"]["forcing"]["fields"][0] == "cos_zenith_equinox"
    assert told["output"]["dims"] == ["case", "variable", "y", "x"]
    assert [each["units"] for each in told["variables"]] == [each.units for each in dataset.variables]
    assert (told["step_seconds"], told["grid"]["digest"]) == (3600, dataset.grid.digest)


def test_a_draw_of_a_single_pass_run(small_dataset: Path, tmp_path: Path) -> None:
    """Two leads in one call; the noise is an input, and calibration's temperature is inside."""
    dataset, indices = open_dataset(small_dataset), [5, 30]
    run = saved_run(tmp_path / "run", small_dataset, CRPS, loss="crps", data={"history": 2, "lead": 2})
    Calibration(temperature=(1.5,) * 10, sampler=None, before={}, after={}).save(run.path)
    noise = MemberNoise(1, dataset.times[indices], np.array([0, 1]))
    step, told = loaded(export_program(run.path, tmp_path / "run.pt2"))
    drawn = noise.at(0)((2, 8, *dataset.grid.shape))[:, None]
    got = step(*given(run, dataset, indices), drawn)
    torch.testing.assert_close(got, own_step(run, dataset, indices, noise), rtol=1e-6, atol=0)
    assert not torch.equal(got, step(*given(run, dataset, indices), drawn / 1.5))
    assert told["inputs"]["noise"]["shape"] == [None, 1, 8, *dataset.grid.shape]  # mirrored edges fix the grid
    assert told["output"]["dims"] == ["case", "lead", "variable", "y", "x"]


@pytest.mark.slow
def test_a_sample_of_a_diffusion_run(small_dataset: Path, tmp_path: Path) -> None:
    """All calls of its sampler are in the program."""
    dataset, indices = open_dataset(small_dataset), [5, 30]
    sampler = {"kind": "ddpm", "steps": 2}
    run = saved_run(tmp_path / "run", small_dataset, EDM, loss="mse", sampler=sampler)
    noise = MemberNoise(1, dataset.times[indices], np.array([0, 1]))
    step, told = loaded(export_program(run.path, tmp_path / "run.pt2"))
    draws = told["inputs"]["noise"]["shape"][1]
    assert draws == 2  # the start, and one for the first of two steps: the last is to no noise
    draw = noise.at(0)
    drawn = torch.stack([draw((2, 5, *dataset.grid.shape)) for _ in range(draws)], dim=1)
    got = step(*given(run, dataset, indices), drawn)
    torch.testing.assert_close(got, own_step(run, dataset, indices, noise)[:, 0], rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", sorted(SAMPLERS))
def test_the_draws_of_every_sampler_are_counted(small_dataset: Path, tmp_path: Path, kind: str) -> None:
    sampler = parse_member(SAMPLERS, {"kind": kind, "steps": 3}, at="sampler")
    run = saved_run(tmp_path / "run", small_dataset, EDM, loss="mse", sampler=sampler.settings())
    found = Draws.of(run)
    assert found.maps == 5  # one for each variable
    assert found.number in ((1, 3, 4) if sampler.stochastic else (1,))  # the start, and none or one for each step


def test_what_cannot_be_exported_is_refused(small_dataset: Path, tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", small_dataset, EDM, loss="mse", sampler={"kind": "heun", "steps": 40})
    with pytest.raises(ConfigError, match="a sample takes 79 calls of the network, a program holds at most 64"):
        export_program(run.path, tmp_path / "run.pt2")  # two a step, and one at the last
    with pytest.raises(UsageError, match=r"give --output NAME\.pt2"):
        export_program(run.path, tmp_path / "run.zip")
    (tmp_path / "there.pt2").touch()
    with pytest.raises(OutputError, match="exists"):
        export_program(run.path, tmp_path / "there.pt2")
    create_run(tmp_path / "fresh", run.experiment, open_dataset(small_dataset))
    with pytest.raises(MissingInputError, match="no checkpoint yet"):
        export_program(tmp_path / "fresh", tmp_path / "fresh.pt2")
    assert not (tmp_path / "fresh.pt2").exists()
