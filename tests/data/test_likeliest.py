"""The transform of a skewed variable is that on which the world's own noise is even, and statistics go with it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest

from tests.conftest import Fields, WriteNetCDF
from weatherml.config import parse_member
from weatherml.data.likeliest import candidates, likeliest, log_likelihoods, transformed
from weatherml.data.packing import unpack
from weatherml.data.prepare import prepare
from weatherml.data.store import Dataset, open_dataset
from weatherml.sources import SOURCES
from weatherml.variables import TABLE, Transform, Variable

HOURS, SHAPE = 60, (16, 20)
LAWS: dict[str, tuple[Transform, Transform, Callable[[np.ndarray], np.ndarray]]] = {
    "fuel": ("sqrt", "log1p", lambda state: np.expm1(np.maximum(4 + state, 0))),
    "instability": ("log1p", "sqrt", lambda state: np.square(np.maximum(20 + 12 * state, 0))),
    "mass": ("none", "none", lambda state: 500 + 50 * state),
    "rain": ("none", "sqrt", lambda state: np.square(np.maximum(2 * state, 0))),
    "curl": ("signed_log1p", "signed_sqrt", lambda state: np.sign(state) * np.square(20 * state)),
    "still": ("log1p", "log1p", lambda state: np.full_like(state, 5.0)),
    "wind": ("none", "none", lambda state: 5 * state),
}
"""By variable: the transform of the table, the scale on which the law's noise is even, and from there to the values."""
SIGNED = ("curl", "wind")


def world(fields: Fields) -> None:
    """Each point forgets a little and is disturbed, on the variable's own scale."""
    draw = np.random.default_rng(0)
    fields.clear()
    for name, (_, _, law) in LAWS.items():
        states = [draw.standard_normal(SHAPE)]
        for _ in range(1, HOURS):
            states.append(0.9 * states[-1] + 0.43 * draw.standard_normal(SHAPE))
        fields[name] = law(np.stack(states))


@pytest.fixture(name="dataset", scope="module")
def _dataset(write_netcdf: WriteNetCDF, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("likeliest")
    path = write_netcdf(folder / "world.nc", hours=HOURS, shape=SHAPE, change=world, units=dict.fromkeys(LAWS, "1"))
    table = {
        name: {"transform": taken} | ({} if name in SIGNED else {"valid_min": 0.0})
        for name, (taken, _, _) in LAWS.items()
    }
    source = parse_member(SOURCES, {"kind": "netcdf", "variables": table}, at="source")
    return open_dataset(prepare(source, [str(path)], folder / "data.zarr").path)


def test_each_is_learnt_on_the_scale_of_its_noise(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        found = likeliest(dataset)
    assert {each.name: each.transform for each in found.variables} == {name: law[1] for name, law in LAWS.items()}
    said = [record.getMessage().split(", not")[0] for record in caplog.records]
    assert said == [
        "fuel: learnt as log1p",
        "instability: learnt as sqrt",
        "rain: learnt as sqrt",
        "curl: learnt as signed_sqrt",
    ]
    assert found.packings == dataset.packings
    assert dataset.variables[dataset.names.index("instability")].transform == "log1p"


def test_the_likelihood_is_that_of_the_values(dataset: Dataset) -> None:
    """In nats a point, so that scales compare: the root's own noise is 0.43 * 12, and a slope there 1 / (2 root)."""
    instability = dataset.variables[dataset.names.index("instability")]
    found = log_likelihoods(dataset, candidates(instability))
    packed = dataset.read(slice(0, HOURS), "instability")
    roots = np.sqrt(unpack(packed, dataset.packings[dataset.names.index("instability")]))
    expected = -np.log(2 * roots[roots > 0]).mean() - np.log(0.43 * 12)
    assert found["sqrt"] == pytest.approx(expected, abs=0.1)
    assert found["sqrt"] > found["log1p"] + 0.1


def test_statistics_are_those_of_a_dataset_prepared_so(dataset: Dataset) -> None:
    channel = dataset.names.index("instability")
    instability = dataset.variables[channel]
    there = transformed(dataset, channel, instability.model_copy(update={"transform": "sqrt"}))
    packed = np.stack([dataset.read(int(time), "instability")[0] for time in dataset.part("train")])
    roots = np.sqrt(unpack(packed, dataset.packings[channel]))
    found = {
        name: float(getattr(there.statistics, name)[channel]) for name in ("mean", "std", "min", "max", "delta_std")
    }
    expected = {"mean": roots.mean(), "std": roots.std(), "delta_std": np.diff(roots, axis=0).std()}
    expected |= {"min": roots.min(), "max": roots.max()}
    assert found == pytest.approx(expected, rel=0.02)
    others = [c for c in range(len(LAWS)) if c != channel]
    for name, values in there.statistics.select(others).settings().items():
        assert values == dataset.statistics.select(others).settings()[name]
    assert there.statistics.zero_share[channel] == dataset.statistics.zero_share[channel]


@pytest.mark.parametrize(
    ("variable", "among"),
    [
        (TABLE["cape"], {"none", "sqrt", "log1p"}),
        (TABLE["cin"], {"none", "signed_sqrt", "signed_log1p"}),
        (TABLE["refc"], set()),
        (TABLE["t2m"], set()),
        (TABLE["u10"], set()),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_what_is_not_skewed_stays(variable: Variable, among: set[Transform]) -> None:
    assert candidates(variable).keys() == among


def test_what_is_never_negative_stays_so() -> None:
    free = Variable(name="rain", units="mm h-1", transform="log1p")
    assert {each.valid_min for each in candidates(free).values()} == {0.0}


def test_of_few_points_nothing_is_known(dataset: Dataset) -> None:
    dry = dataset.select(["still"])
    assert log_likelihoods(dry, candidates(dry.variables[0])) == {}
    assert likeliest(dry).variables == dry.variables
