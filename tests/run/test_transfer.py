"""Pretrained starts: variables are bound by name, whatever their order and number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from weatherml.config import parse
from weatherml.data.likeliest import transformed
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import BadDataError
from weatherml.fields import Batch, Fields
from weatherml.models import MODELS
from weatherml.models.base import Model
from weatherml.run import checkpoint
from weatherml.run.checkpoint import Checkpoint
from weatherml.run.directory import Run, create_run
from weatherml.run.experiment import Experiment
from weatherml.run.transfer import start_from

FORECASTERS = [name for name in MODELS if MODELS[name].trainable and "forecast" in MODELS[name].tasks]
SMALL: dict[str, Any] = {"base_features": 8, "blocks": 1}
ORDER = [3, 0, 4, 2, 1]


@pytest.fixture(scope="module")
def dataset(small_dataset: Path) -> Dataset:
    return open_dataset(small_dataset)


def make_run(path: Path, dataset: Dataset, kind: str = "unet-residual", *, history: int = 1, **model: Any) -> Run:
    depth = {} if kind == "simple-cnn" else {"depth": 1}
    sampler = {"sampler": {"steps": 2}} if MODELS[kind].sampler else {}
    settings = {"model": {"kind": kind, **SMALL, **depth, **model}, "data": {"history": history}, **sampler}
    return create_run(path, parse(Experiment, settings), dataset)


def trained(run: Run) -> Model:
    """The run's model with weights that are no longer fresh, saved."""
    torch.manual_seed(1)
    model = run.build_model()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    saved = Checkpoint(step=0, weights={}, average=model.state_dict(), optimizer=None, progress={})
    checkpoint.save(run.checkpoints, saved, name="best")
    return model.eval()


def started(run: Run, other: Run) -> Model:
    torch.manual_seed(2)
    model = run.build_model()
    start_from(model, run, other)
    return model.eval()


def make_batch(run: Run, size: tuple[int, int] = (16, 24)) -> Batch:
    shape = run.lineage.model_shape(run.experiment)
    draw = torch.Generator().manual_seed(0)
    return Batch(
        history=torch.randn(2, shape.history, shape.channels, *size, generator=draw),
        forcing=torch.randn(2, shape.lead, shape.forcing, *size, generator=draw),
        static=torch.randn(shape.static, *size, generator=draw),
        valid_time=torch.zeros(2, shape.lead, dtype=torch.int64),
    )


def forecast(model: Model, batch: Batch) -> Fields:
    with torch.no_grad():
        return model.step(batch, lambda shape: torch.zeros(tuple(shape)))


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    """Sums over channels are taken in another order."""
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("kind", FORECASTERS)
def test_permuted_variables_give_the_permuted_forecast(dataset: Dataset, tmp_path: Path, kind: str) -> None:
    first = make_run(tmp_path / "first", dataset, kind, history=2)
    run = make_run(tmp_path / "run", dataset.select([dataset.names[i] for i in ORDER]), kind, history=2)
    theirs, ours = trained(first), run.build_model()
    found = start_from(ours, run, first)
    assert (found.partly, found.new, found.left) == ([], [], [])
    batch = make_batch(first)
    permuted = replace(batch, history=batch.history[:, :, ORDER])
    expected = forecast(theirs, batch)
    assert (expected - batch.history[:, -1:]).abs().max() > 0.01
    assert_close(forecast(ours.eval(), permuted), expected[:, :, ORDER])


def test_with_advection_the_flow_goes_with_its_variable(dataset: Dataset, tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", dataset, advection=2.0)
    run = make_run(tmp_path / "run", dataset.select([dataset.names[i] for i in ORDER]), advection=2.0)
    theirs, batch = trained(first), make_batch(first)
    permuted = replace(batch, history=batch.history[:, :, ORDER])
    assert_close(forecast(started(run, first), permuted), forecast(theirs, batch)[:, :, ORDER])


def test_a_variable_that_is_new_changes_nothing_at_first(dataset: Dataset, tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", dataset.select(["v10", "t2m"]))
    run = make_run(tmp_path / "run", dataset.select(["t2m", "refc", "v10"]))
    theirs, ours, batch = trained(first), started(run, first), make_batch(run)
    expected = forecast(theirs, replace(batch, history=batch.history[:, :, [2, 0]]))
    got = forecast(ours, batch)
    assert_close(got[:, :, [2, 0]], expected)
    assert torch.equal(got[:, :, 1], batch.history[:, :, 1])  # the new output begins as persistence


def test_a_variable_that_is_gone_is_left_out(dataset: Dataset, tmp_path: Path) -> None:
    """As if it were at its mean, 0."""
    first = make_run(tmp_path / "first", dataset.select(["t2m", "refc", "v10"]))
    run = make_run(tmp_path / "run", dataset.select(["t2m", "v10"]))
    theirs, ours, batch = trained(first), started(run, first), make_batch(first)
    batch.history[:, :, 1] = 0
    got = forecast(ours, replace(batch, history=batch.history[:, :, [0, 2]]))
    assert_close(got, forecast(theirs, batch)[:, :, [0, 2]])


@pytest.mark.parametrize("scaled", [False, True])
def test_a_longer_history_changes_nothing_at_first(dataset: Dataset, tmp_path: Path, scaled: bool) -> None:
    first = make_run(tmp_path / "first", dataset, scaled_inputs=scaled)
    run = make_run(tmp_path / "run", dataset, history=3, scaled_inputs=scaled)
    theirs, ours, batch = trained(first), started(run, first), make_batch(run)
    assert_close(forecast(ours, batch), forecast(theirs, replace(batch, history=batch.history[:, -1:])))


def test_another_grid_and_another_kind_take_what_is_alike(dataset: Dataset, tmp_path: Path) -> None:
    """crps has what unet-residual has, and layers of noise that begin as 0; no weight depends on the grid."""
    first = make_run(tmp_path / "first", dataset, norm="point", scaled_inputs=True)
    run = make_run(tmp_path / "run", dataset, "crps")
    theirs, ours = trained(first), run.build_model()
    found = start_from(ours, run, first)
    assert not found.partly
    assert found.new
    assert "gaussian.mix.weight" in found.new
    assert all("condition" in name or "gaussian" in name for name in found.new)
    batch = make_batch(run, (20, 12))
    assert_close(forecast(ours.eval(), batch), forecast(theirs, batch))


def test_the_difference_is_told_in_a_short_table(dataset: Dataset, tmp_path: Path) -> None:
    first = make_run(tmp_path / "first", dataset.select(["t2m"]))
    run = make_run(tmp_path / "run", dataset.select(["t2m", "v10"]), blocks=2)
    trained(first)
    table = start_from(run.build_model(), run, first).describe().splitlines()
    assert table[0] == f"weights of {tmp_path / 'first'} (unet-residual):"
    assert [line[2:16].rstrip() for line in table[1:]] == ["taken", "partly taken", "new", "left over"]
    # what differs: the stem's inputs, the head's outputs and their bias
    assert table[2].endswith("3  network.stem.weight, network.head.2.weight, network.head.2.bias")
    assert table[4].split() == ["left", "over", "0"]


def test_a_variable_that_the_other_run_saw_under_another_transform_is_named(dataset: Dataset, tmp_path: Path) -> None:
    tracer = dataset.names.index("tracer")
    root = transformed(dataset, tracer, dataset.variables[tracer].model_copy(update={"transform": "sqrt"}))
    first, run = make_run(tmp_path / "first", dataset), make_run(tmp_path / "run", root)
    trained(first)
    (last,) = start_from(run.build_model(), run, first).describe().splitlines()[5:]
    assert last == (
        "  tracer is sqrt here and none there: what was learnt of it does not fit; set data.transforms alike"
    )


def test_what_cannot_serve_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    first, run = make_run(tmp_path / "first", dataset, "simple-cnn"), make_run(tmp_path / "run", dataset)
    trained(first)
    with pytest.raises(
        BadDataError, match=r"train\.start: no weight of .*first \(simple-cnn\) fits this unet-residual"
    ):
        start_from(run.build_model(), run, first)
