"""External forcing: fields of a plane are exact anywhere, times by hand, cases that it does not cover left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import START
from tests.large_scale import HOURS, LATITUDES, LONGITUDES, large_scale, on_grid
from weatherml.config import parse
from weatherml.data.external import (
    Analyses,
    Between,
    External,
    ExternalFields,
    beside,
    between,
    chosen,
    external_of,
    with_forcing,
)
from weatherml.data.known import KnownFields, forcing_names
from weatherml.data.loader import DataConfig, Loader
from weatherml.data.regrid import locate
from weatherml.data.statistics import STATISTICS, Statistics
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.data.windows import covered, require_covered, windows
from weatherml.errors import BadDataError, MissingInputError
from weatherml.grid import Grid
from weatherml.variables import Variable

HOUR = np.timedelta64(1, "h")
ROUNDING = 0.02
"""Metres: half a packing step of the large scale, and float32."""


@pytest.fixture(scope="module")
def dataset(small_dataset: Path) -> Dataset:
    return open_dataset(small_dataset)


@pytest.fixture(scope="module")
def forced(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return with_forcing(dataset, large_scale(tmp_path_factory.mktemp("forcing")))


@dataclass(frozen=True)
class Drawn:
    """A record of given fields (N, h, w), hourly, that counts what is read."""

    fields: np.ndarray
    grid: Grid = field(default_factory=lambda: Grid(kind="latlon", y=LATITUDES, x=LONGITUDES))
    path: Path = Path("drawn.zarr")
    units: Any = field(default_factory=lambda: {"rain": "kg m-2"})
    taken: list[int] = field(default_factory=list)

    def between(self, times: np.ndarray, init_times: np.ndarray | None) -> Between:
        return between(START + np.arange(len(self.fields)) * HOUR, times, HOUR)

    def read(self, name: str, place: int) -> np.ndarray:
        self.taken.append(place)
        return np.asarray(self.fields[place], np.float32)

    def reason(self, time: np.datetime64, init_time: np.datetime64 | None) -> str:
        return "it is only drawn"


def rain(dataset: Dataset, record: Drawn, *, mean: float, std: float) -> External:
    numbers = dict.fromkeys(STATISTICS, np.zeros(1)) | {"mean": np.array([mean]), "std": np.array([std])}
    variable = Variable(name="rain", units="kg m-2", transform="log1p")
    return chosen(record, [variable], Statistics(**numbers), locate(record.grid, dataset.grid, record.path))


def at(hours: Any) -> Any:
    return START + (np.asarray(hours) * 3600).astype("timedelta64[s]")


def test_times_are_exact_or_between_two_no_further_apart_than_a_step() -> None:
    times = at([0, 6, 12, 24])  # 18 is absent
    found = between(times, at([-1, 0, 3, 6, 10.5, 12, 13, 18, 24, 25]), 6 * HOUR)
    assert found.before.tolist() == [-1, 0, 0, 1, 1, 2, -1, -1, 3, -1]
    assert found.covered.tolist() == [False, True, True, True, True, True, False, False, True, False]
    there = found.covered
    assert found.after[there].tolist() == [0, 1, 1, 2, 2, 3]
    assert found.weight[there].tolist() == [0, 0.5, 0, 0.75, 0, 0]  # 3 / 6; (10.5 - 6) / 6


def test_fields_are_the_plane_at_any_point_and_time(forced: Dataset) -> None:
    external, hours = external_of(forced), np.array([0.0, 1.0, 2.0, 30.0, 31.5, 72.0])
    assert external is not None
    normalised = ExternalFields(external).at(at(hours))
    assert normalised.shape == (6, 1, 24, 20)
    statistics = external.statistics
    physical = normalised[:, 0].numpy() * statistics.std[0] + statistics.mean[0]
    np.testing.assert_allclose(physical, on_grid(hours, forced.grid), atol=ROUNDING)


def test_statistics_are_those_of_the_forcing(forced: Dataset) -> None:
    # of its training part, the first 15 of 25 times: hours 0 to 42, mean 21; the grid's middle is 38.5 N 97.5 W
    external = external_of(forced)
    assert external is not None
    assert external.record.path.name == "large.zarr"
    assert external.statistics.mean[0] == pytest.approx(5500 + 2 * 21, abs=ROUNDING)


def test_transforms_come_after_interpolation_and_missing_is_the_mean(dataset: Dataset) -> None:
    fields = np.zeros((2, len(LATITUDES), len(LONGITUDES)))
    fields[0], fields[1] = 1.0, 5.0
    fields[1, :, -1] = np.nan  # 96 W, far from the model's 97.2 to 97.8 W
    there = ExternalFields(rain(dataset, Drawn(fields), mean=0.5, std=2.0)).at(at([0.25]))
    # a quarter of the way from 1 to 5 is 2: (log 3 - 0.5) / 2
    torch.testing.assert_close(there, torch.full((1, 1, 24, 20), (np.log(3.0) - 0.5) / 2, dtype=torch.float32))
    fields[1] = np.nan
    lost = ExternalFields(rain(dataset, Drawn(fields), mean=0.5, std=2.0)).at(at([0.25, 0.0]))
    assert lost[0].eq(0).all()
    torch.testing.assert_close(lost[1], torch.full((1, 24, 20), (np.log(2.0) - 0.5) / 2, dtype=torch.float32))


def test_only_the_two_times_around_are_read_and_few_are_kept(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weatherml.data.external.KEPT_BYTES", 0)
    record = Drawn(np.random.default_rng(0).random((40, len(LATITUDES), len(LONGITUDES))))
    fields = ExternalFields(rain(dataset, record, mean=0.0, std=1.0))
    fields.at(at([3.5, 3.5, 3.25, 5.0]))
    assert record.taken == [3, 4, 5]
    for hour in range(40):
        fields.at(at([hour]))
    assert len(record.taken) == 3 + 37  # 3, 4 and 5 were still there
    fields.at(at([0.0]))
    assert record.taken[-1] == 0


def test_known_fields_come_first_and_are_the_same_without(dataset: Dataset, forced: Dataset) -> None:
    assert forcing_names(dataset) == ("cos_zenith_equinox", "hour_sin", "hour_cos")
    assert forcing_names(forced) == ("cos_zenith_equinox", "hour_sin", "hour_cos", "z500")
    times, box = at([4, 5]), (slice(2, 9), slice(5, 20))
    without, known = KnownFields(dataset), KnownFields(forced)
    assert torch.equal(known.at(times)[:, :3], without.at(times))
    torch.testing.assert_close(known.at(times, box), known.at(times)[:, :, 2:9, 5:20], rtol=0, atol=1e-6)
    assert torch.equal(known.at(times, box)[:, 3:], known.at(times)[:, 3:, 2:9, 5:20])


def test_batches_hold_the_forcing_at_their_valid_times(forced: Dataset) -> None:
    normaliser = Normaliser(forced.variables, forced.packings, forced.statistics)
    config = parse(DataConfig, {"lead": 2, "crop": [8, 12]})
    data = Loader(forced, "train", config, normaliser=normaliser, known=KnownFields(forced), batch=3, seed=0)
    batch = data.load(0)
    assert batch.forcing.shape == (3, 2, 4, 8, 12)
    external = external_of(forced)
    assert external is not None
    rises, std = batch.forcing[:, 1, 3] - batch.forcing[:, 0, 3], external.statistics.std[0]
    # 2 m an hour, wherever the crop lies
    torch.testing.assert_close(rises, torch.full_like(rises, 2.0 / std), rtol=0, atol=ROUNDING / std)


def test_cases_that_are_not_covered_are_left_out(dataset: Dataset, tmp_path: Path) -> None:
    hours = HOURS[(HOURS < 12) | (HOURS > 18)]  # from 9 to 21 is a gap; training is hours 0 to 41
    gap = with_forcing(dataset, large_scale(tmp_path, hours))
    whole = windows(dataset, "train", history=1, lead=2)
    assert whole.tolist() == list(range(40))
    # valid times i + 1 and i + 2 must be at most 9, or at least 21
    assert windows(gap, "train", history=1, lead=2).tolist() == [*range(8), *range(20, 40)]
    assert covered(gap, np.array([3, 5, 30]), 5).tolist() == [3, 30]
    assert covered(dataset, whole, 99) is whole
    require_covered(dataset, whole, 99)
    why = (
        r"large.zarr: no forcing for 2024-06-01T10:00:00Z, hour 5 of the forecast from 2024-06-01T05:00:00Z: it has a "
    )
    with pytest.raises(
        BadDataError, match=why + "gap from 2024-06-01T09:00:00Z to 2024-06-01T21:00:00Z; take one that"
    ):
        require_covered(gap, np.array([3, 5]), 5)


def test_a_forcing_of_another_time_covers_nothing(dataset: Dataset, tmp_path: Path) -> None:
    late = with_forcing(dataset, large_scale(tmp_path / "late", HOURS + 200))
    with pytest.raises(
        BadDataError, match=r"no forcing for 2024-06-01T01:00:00Z, hour 1 .* first time is 2024-06-09T08"
    ):
        windows(late, "train", history=1, lead=1)
    early = with_forcing(dataset, large_scale(tmp_path / "early", HOURS - 200))
    with pytest.raises(BadDataError, match="its last time is 2024-05-26T16:00:00Z"):
        KnownFields(early).at(at([0]))


def test_what_cannot_be_forcing_is_refused(dataset: Dataset, forced: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such dataset"):
        with_forcing(dataset, tmp_path / "nowhere.zarr")
    with pytest.raises(BadDataError, match=r"latitude runs from 37 to 38, the model's grid from 38\.1"):
        with_forcing(dataset, large_scale(tmp_path, latitudes=LATITUDES[4:]))
    external = external_of(forced)
    assert external is not None
    wanted = Variable(name="z50", units="m")
    with pytest.raises(BadDataError, match=r"has no 'z50', which the run takes as forcing; .*z500"):
        chosen(external.record, [wanted], external.statistics, external.points)
    with pytest.raises(BadDataError, match="z500 in m, the run was trained on dam; prepare it alike"):
        chosen(external.record, [Variable(name="z500", units="dam")], external.statistics, external.points)


def test_a_narrowed_dataset_keeps_its_forcing(dataset: Dataset, forced: Dataset) -> None:
    external = external_of(forced)
    assert external is not None
    assert external_of(forced.select(["t2m"])) is external
    assert external_of(beside(dataset, external)) is external
    assert external_of(dataset) is None
    assert isinstance(external.record, Analyses)
