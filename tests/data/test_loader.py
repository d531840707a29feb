"""Batches: order, crops and augmentation are pure functions of the seed and the number, and keep the physics."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from tests.large_scale import large_scale
from weatherml.config import parse, parse_member
from weatherml.data.augment import flipped
from weatherml.data.external import ExternalFields, external_of, with_forcing
from weatherml.data.known import CLOCK, SUN, KnownFields, clock_features, forcing_names, static_fields, z_score
from weatherml.data.loader import DataConfig, Loader, prefetched
from weatherml.data.prepare import prepare
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import Normaliser, delta_scale
from weatherml.errors import BadDataError, ConfigError
from weatherml.fields import Batch
from weatherml.sources import SOURCES
from weatherml.sun import cos_zenith


def loader(dataset: Dataset, *, batch: int = 4, seed: int = 0, part: Any = "train", **settings: Any) -> Loader:
    normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics)
    config = parse(DataConfig, settings)
    return Loader(dataset, part, config, normaliser=normaliser, known=KnownFields(dataset), batch=batch, seed=seed)


@pytest.fixture(scope="module")
def dataset(small_dataset: Path) -> Dataset:
    return open_dataset(small_dataset)


def same(one: Batch, other: Batch) -> bool:
    names = ("history", "target", "forcing", "static", "mask", "valid_time")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_every_pass_takes_every_case_once(dataset: Dataset) -> None:
    data = loader(dataset, batch=7)
    assert len(data) == 41  # 42 training times, pairs
    order = [case for number in range(41) for case in data.order(number)]  # 41 * 7 = 7 passes
    passes = np.reshape(order, (7, 41))
    assert (np.sort(passes, axis=1) == np.arange(41)).all()
    assert not np.array_equal(passes[0], passes[1])
    assert [loader(dataset, batch=7).order(number) for number in range(3)] == [
        data.order(number) for number in range(3)
    ]
    assert loader(dataset, batch=7, seed=1).order(0) != data.order(0)


def test_a_batch_is_a_function_of_seed_and_number(dataset: Dataset) -> None:
    settings = {"flips": True, "noise": 0.1, "crop": [8, 12], "history": 2}
    one, other = loader(dataset, **settings), loader(dataset, cache_gib=0, **settings)
    for number in (5, 0, 11):  # in any order, from memory or from disk
        assert same(one.load(number), other.load(number))
    assert not same(one.load(0), one.load(1))
    assert not same(one.load(0), loader(dataset, seed=1, **settings).load(0))


def test_a_batch_holds_the_normalised_truth(dataset: Dataset, small_dataset: Path) -> None:
    data = loader(dataset, history=3, lead=2)
    batch = data.cases([10, 20])
    assert batch.target is not None
    assert batch.mask is not None
    assert (batch.history.shape, batch.target.shape) == ((2, 3, 5, 24, 20), (2, 2, 5, 24, 20))
    with xr.open_zarr(small_dataset) as store:
        for c, name in enumerate(dataset.names):
            physical = store[name].values
            golden = (physical - dataset.statistics.mean[c]) / dataset.statistics.std[c]
            assert np.allclose(batch.history[1, :, c], golden[18:21], atol=1e-4)
            assert np.allclose(batch.target[0, :, c], golden[11:13], atol=1e-4)
    assert batch.mask.all()
    assert batch.valid_time[0].tolist() == dataset.times[[11, 12]].astype(np.int64).tolist()


def test_flips_mirror_the_physical_wind(dataset: Dataset) -> None:
    data = loader(dataset)
    batch = data.cases([3, 9])
    unpack = data.normaliser.denormalise
    u, v, t = (dataset.names.index(name) for name in ("u10", "v10", "t2m"))
    mirrored = unpack(flipped(batch, dataset, rows=False, columns=True).history)
    before = unpack(batch.history)
    assert torch.allclose(mirrored[..., u, :, :], -before[..., u, :, :].flip(-1), atol=1e-4)
    assert torch.allclose(mirrored[..., v, :, :], before[..., v, :, :].flip(-1), atol=1e-4)
    upside_down = unpack(flipped(batch, dataset, rows=True, columns=False).history)
    assert torch.allclose(upside_down[..., v, :, :], -before[..., v, :, :].flip(-2), atol=1e-4)
    assert torch.allclose(upside_down[..., u, :, :], before[..., u, :, :].flip(-2), atol=1e-4)
    assert torch.allclose(upside_down[..., t, :, :], before[..., t, :, :].flip(-2), atol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(True, True), (True, False), (False, True)])
def test_flips_mirror_the_wind_of_the_forcing(dataset: Dataset, tmp_path: Path, rows: bool, columns: bool) -> None:
    components = {
        "z500": {"units": "m"},
        "u850": {"units": "m", "component": "x"},
        "v850": {"units": "m", "component": "y"},
    }
    forced = with_forcing(dataset, large_scale(tmp_path, variables=components, names=tuple(components)))
    external = external_of(forced)
    assert external is not None
    batch = loader(forced).cases([3, 9])
    mirrored = flipped(batch, forced, rows=rows, columns=columns)
    dims = [dim for dim, wanted in ((-2, rows), (-1, columns)) if wanted]
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (external.statistics.mean, external.statistics.std))
    signs = torch.tensor([1, -1 if columns else 1, -1 if rows else 1]).view(3, 1, 1)
    physical = ExternalFields(external).at(forced.times[[4, 10]]).double() * std + mean  # interpolated, not yet turned
    expected = (signs * physical.flip(dims) - mean) / std
    assert torch.allclose(mirrored.forcing[:, 0, -3:].double(), expected, atol=1e-3)
    assert torch.equal(mirrored.forcing[:, :, :-3], batch.forcing[:, :, :-3].flip(dims))  # the sun and the clock
    plain = flipped(loader(dataset).cases([3, 9]), dataset, rows=rows, columns=columns)
    assert torch.equal(plain.forcing, mirrored.forcing[:, :, :-3])
    assert torch.equal(plain.history, mirrored.history)


@pytest.mark.parametrize(("rows", "columns"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_flip_twice_is_none(dataset: Dataset, rows: bool, columns: bool) -> None:
    batch = loader(dataset).cases([4])
    again = flipped(flipped(batch, dataset, rows=rows, columns=columns), dataset, rows=rows, columns=columns)
    assert torch.allclose(again.history, batch.history, atol=1e-5)
    assert torch.equal(again.forcing, batch.forcing)
    assert torch.equal(again.static, batch.static)


def test_noise_is_of_the_size_of_a_step(dataset: Dataset) -> None:
    clean, noisy = loader(dataset, batch=8), loader(dataset, batch=8, noise=0.5)
    added = noisy.load(2).history - clean.load(2).history
    expected = 0.5 * np.array(delta_scale(dataset.statistics))
    assert added.std(dim=(0, 1, 3, 4)).numpy() == pytest.approx(expected, rel=0.1)
    assert torch.equal(noisy.load(2).target, clean.load(2).target)  # type: ignore[arg-type]


def test_a_crop_cuts_every_field_alike(dataset: Dataset) -> None:
    whole, cut = loader(dataset, batch=1).load(3), loader(dataset, batch=1, crop=[6, 9]).load(3)
    rows, columns = next(
        (slice(i, i + 6), slice(j, j + 9))
        for i in range(19)
        for j in range(12)
        if torch.equal(whole.history[..., i : i + 6, j : j + 9], cut.history)
    )
    for name in ("target", "forcing", "static", "mask"):
        assert torch.equal(getattr(whole, name)[..., rows, columns], getattr(cut, name)), name


@pytest.mark.parametrize("crop", [[25, 5], [5, 21]])
def test_a_crop_larger_than_the_grid(dataset: Dataset, crop: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"data.crop: .* exceeds the grid \(24, 20\)"):
        loader(dataset, crop=crop)


def test_missing_values_are_the_mean_and_masked(tmp_path: Path, write_netcdf: Any) -> None:
    def spoil(fields: dict[str, np.ndarray]) -> None:
        fields["t2m"][3, 0, :4] = np.nan
        fields["t2m"][4, 0, 2:6] = np.nan

    config = parse_member(SOURCES, {"kind": "netcdf", "split": {"validation": 0, "test": 0}}, at="source")
    data = prepare(config, [str(write_netcdf(tmp_path / "a.nc", hours=8, change=spoil))], tmp_path / "a.zarr")
    batch = loader(data).cases([3])
    assert batch.mask is not None
    assert batch.history.isfinite().all()
    assert (batch.history[0, 0, 0, 0, :4] == 0).all()
    assert batch.mask[0, 0, 0, 0].tolist() == [False] * 6 + [True] * 14  # missing before or after
    assert batch.mask[0, 0, 1:].all()


def test_the_known_fields(dataset: Dataset) -> None:
    known = KnownFields(dataset, names=("cos_zenith", *CLOCK))
    times = dataset.times[[0, 30]]
    fields = known.at(times)
    assert known.names == ("cos_zenith", "hour_sin", "hour_cos", "day_sin", "day_cos")
    assert dataset.grid.latlon is not None
    assert np.allclose(fields[:, 0], cos_zenith(times, *dataset.grid.latlon), atol=1e-6)
    # 06Z on the second day: a quarter of the day, sine 1 and cosine 0
    assert np.allclose(clock_features(times)[1, :2], [1, 0], atol=1e-12)
    assert known.static.mean().item() == pytest.approx(0, abs=1e-6)
    assert known.static.std(correction=0).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("length", "names"),
    [
        (np.timedelta64(12, "h"), ()),
        (np.timedelta64(42, "h"), ("cos_zenith_equinox", "hour_sin", "hour_cos")),
        (np.timedelta64(364, "D"), ("cos_zenith_equinox", "hour_sin", "hour_cos")),
        (np.timedelta64(365, "D"), ("cos_zenith", *CLOCK)),
    ],
)
def test_what_training_has_not_seen_go_round_once_is_not_told(
    dataset: Dataset, length: np.timedelta64, names: tuple[str, ...]
) -> None:
    times = dataset.times[0] + np.arange(length // np.timedelta64(1, "h")) * np.timedelta64(1, "h")
    record = replace(dataset, times=times, splits=dataset.splits | {"train": (times[0], times[-1])})
    assert forcing_names(record) == names
    told = KnownFields(dataset, names=names).at(dataset.times[[3]])
    suns = KnownFields(dataset, names=(*SUN, *CLOCK)).at(dataset.times[[3]])
    everything = dict(zip((*SUN, *CLOCK), suns.unbind(1), strict=True))
    assert len(names) == told.shape[1]
    assert all(torch.equal(field, everything[name]) for name, field in zip(names, told.unbind(1), strict=True))


def test_static_fields_that_say_little(dataset: Dataset) -> None:
    assert (z_score(np.full((2, 2), 7.0)) == 0).all()
    nothing = static_fields({"orography": np.full(dataset.grid.shape, np.nan)}, dataset.grid)
    assert (nothing == 0).all()
    mask = np.eye(24, 20)
    assert np.array_equal(static_fields({"land_binary_mask": mask}, dataset.grid)[0], mask.astype(np.float32))


def test_prefetching_keeps_order_and_errors(dataset: Dataset) -> None:
    data = loader(dataset)
    numbers = [4, 0, 7, 2, 9]
    for number, batch in zip(numbers, prefetched(data.load, numbers), strict=True):
        assert same(batch, data.load(number))

    def broken(number: int) -> Batch:
        raise BadDataError("t2m at 2024-06-01T00:00:00Z: damaged")

    with pytest.raises(BadDataError, match="damaged"):
        list(prefetched(broken, numbers))


def test_prefetching_reads_ahead_and_waits_in_turn(dataset: Dataset) -> None:
    """Two threads: while the first batch is slow the second is read, and still comes second."""
    second_done = threading.Event()

    def load(number: int) -> int:
        if number == 0:
            assert second_done.wait(10)
        if number == 1:
            second_done.set()
        return number

    assert list(prefetched(load, range(5), threads=2)) == list(range(5))


def test_readers_take_no_cores_from_the_step() -> None:
    """A reader works alone, and the caller with as many threads as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert set(prefetched(lambda _: torch.get_num_threads(), range(4))) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_a_thread_that_dies_is_heard_of_in_its_turn(error: type[BaseException]) -> None:
    def load(number: int) -> int:
        if number == 3:
            raise error
        return number

    batches = prefetched(load, count())
    assert list(islice(batches, 3)) == [0, 1, 2]
    with pytest.raises(error):
        next(batches)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_closing_early_leaves_no_thread_and_drops_what_has_not_begun() -> None:
    begun: list[int] = []
    with closing(prefetched(begun.append, count(), threads=2)) as batches:
        next(batches)
    assert len(begun) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_storms_are_taken_oftener_and_weigh_less(dataset: Dataset) -> None:
    storms = {"variable": "refc", "threshold": 30.0, "share": 0.5}
    data, plain = loader(dataset, storms=storms), loader(dataset)
    assert data.probabilities is not None
    for number in range(30):
        batch, order = data.load(number), data.order(number)
        assert batch.weight is not None
        assert batch.weight.tolist() == pytest.approx(1 / (41 * data.probabilities[order]))
        assert torch.equal(batch.history, plain.cases([data.initial[case] for case in order]).history)
    assert data.order(7) == loader(dataset, storms=storms).order(7)
    assert plain.load(0).weight is None


def test_a_part_without_windows(dataset: Dataset) -> None:
    with pytest.raises(BadDataError, match="test has no window of 11 \\+ 1 states among its 11 times"):
        loader(dataset, part="test", history=11)
