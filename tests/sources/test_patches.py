"""Image time series in every format become the same sequences; what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from weatherml.config import parse, parse_member
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.errors import BadDataError, ConfigError, MissingInputError
from weatherml.files import read_json
from weatherml.sources import SOURCES
from weatherml.sources.patches import Patches
from weatherml.sources.sequences import PARTS, Sequences

Arrays = dict[str, Any]
DATES = np.datetime64("2021-03-01T10:00:00", "s") + 10 * np.timedelta64(86400, "s") * np.arange(5)
SMALL = {"size": 4, "stride": 4, "split": {"validation": 0.2, "test": 0.2}}


def arrays() -> Arrays:
    """Five dates of 8 x 20 pixels, four bands; half of the second date is under clouds; a square is cleared."""
    rng = np.random.default_rng(0)
    label = np.zeros((5, 8, 20), np.uint8)
    label[3:, 1:3, 1:3] = 1
    cloud = np.zeros((5, 8, 20), np.uint8)
    cloud[1, :, :10] = 1
    bands = rng.uniform(0, 1, (5, 8, 20, 4)).astype(np.float32)
    return {"dates": DATES, "bands": bands, "cloud": cloud, "label": label}


def as_npz(data: Arrays, folder: Path) -> Path:
    np.savez_compressed(folder / "scene.npz", **data)
    return folder / "scene.npz"


def as_folder(data: Arrays, folder: Path) -> Path:
    path = folder / "scene"
    path.mkdir()
    for name in data.keys() - {"dates"}:
        np.save(path / f"{name}.npy", data[name][..., None] if name != "bands" else data[name])
    (path / "dates.json").write_text(json.dumps([f"{date}Z" for date in data["dates"]]))
    return path


def as_xarray(data: Arrays) -> xr.Dataset:
    fields = {
        "bands": (("time", "y", "x", "band"), data["bands"]),
        "cloud": (("time", "y", "x"), data["cloud"]),
        "label": (("time", "y", "x"), data["label"]),
    }
    return xr.Dataset(fields, coords={"time": data["dates"].astype("datetime64[ns]")})


def as_netcdf(data: Arrays, folder: Path) -> Path:
    as_xarray(data).transpose("band", "y", "x", "time").to_netcdf(folder / "scene.nc", engine="netcdf4")
    return folder / "scene.nc"


def as_zarr(data: Arrays, folder: Path) -> Path:
    as_xarray(data).to_zarr(folder / "scene.zarr", zarr_format=3, consolidated=False)
    return folder / "scene.zarr"


def built(data: Arrays, folder: Path, write: Callable[[Arrays, Path], Path] = as_npz, **settings: object) -> Sequences:
    return parse(Patches, {**SMALL, **settings}).build([str(write(data, folder))])


@pytest.mark.parametrize("write", [as_npz, as_folder, as_netcdf, as_zarr])
def test_every_format_is_read_alike(write: Callable[[Arrays, Path], Path], tmp_path: Path) -> None:
    data = arrays()
    found = built(data, tmp_path, write)
    assert [variable.name for variable in found.inputs] == ["blue", "green", "red", "nir"]
    assert found.series[0] == "scene/0/0/2021-03-01T10:00:00"
    np.testing.assert_array_equal(found.times[0], DATES[[0, 2, 3]])  # the second date is under clouds there
    for index, name in enumerate(("blue", "green", "red", "nir")):
        np.testing.assert_array_equal(found.values[name][0], data["bands"][[0, 2, 3], :4, :4, index])
    np.testing.assert_array_equal(found.values["label"][0, -1], data["label"][3, :4, :4])
    assert np.isnan(found.values["label"][0, :-1]).all()
    assert [Path(file).stem for file in found.files] == ["scene"]
    assert min(found.files.values()) > 0


def test_parts_are_columns_that_share_no_pixel(tmp_path: Path) -> None:
    found = built(arrays(), tmp_path, stride=2)
    columns = np.array([int(name.split("/")[2]) for name in found.series])
    assert (found.part[:, :-1] == -1).all()
    reach = {
        part: {x for c in columns[found.part[:, -1] == number] for x in range(c, c + 4)}
        for number, part in enumerate(PARTS)
    }
    assert all(reach.values())
    assert max(reach["train"]) < min(reach["validation"])
    assert max(reach["validation"]) < min(reach["test"])


def test_clouds_and_invalid_pixels_are_missing(tmp_path: Path) -> None:
    data = arrays()
    data["cloud"][0, 0, 0] = 3
    data["use"] = np.ones((5, 8, 20), bool)
    data["use"][0, 0, 1] = False
    data["bands"][0, 0, 2, 3] = np.nan
    found = built(data, tmp_path, valid="use")
    assert np.isnan(found.values["nir"][0, 0, 0]).tolist() == [True, True, True, False]
    assert np.isnan(found.values["red"][0, 0, 0]).tolist() == [True, True, False, False]


def test_ranges_become_0_to_1(tmp_path: Path) -> None:
    data = arrays()
    data["bands"] = (10000 * data["bands"]).astype(np.uint16)
    data["bands"][0, 0, 0, 0] = 12000
    band = {"array": "bands", "high": 10000}
    found = built(data, tmp_path, bands={"red": band, "nir": {**band, "index": 3}})
    assert found.values["red"][0, 0, 0, 0] == 1
    np.testing.assert_allclose(found.values["nir"][0, 0, 0, 1], data["bands"][0, 0, 1, 3] / 10000, rtol=1e-6)
    assert any("0.14% of red beyond 0 to 10000, clipped" in note for note in found.notes)  # 1 of 8 * 20 * 5 - 80 pixels


def test_a_change_is_what_became_positive(tmp_path: Path) -> None:
    data = arrays()
    data["label"][0, 0, 0] = 1  # and is not any more
    found = built(data, tmp_path, label={"change": True})
    np.testing.assert_array_equal(found.values["label"][0, -1], data["label"][3, :4, :4])
    later = found.series.index("scene/0/0/2021-03-21T10:00:00")
    assert found.values["label"][later, -1].sum() == 4  # not cleared on 2021-03-21, cleared on 04-10
    steady = built(data | {"label": np.repeat(data["label"][-1:], 5, 0)}, tmp_path, label={"change": True})
    assert np.nansum(steady.values["label"]) == 0


def test_classes_become_labels(tmp_path: Path) -> None:
    data = arrays()
    cover = np.full((8, 20), 1, np.uint16)
    cover[0, :3] = [2, 3, 0]
    found = built(data | {"label": cover}, tmp_path, label={"positive": [2, 3], "unknown": [0]})
    np.testing.assert_array_equal(found.values["label"][0, -1, 0], [1, 1, np.nan, 0])


def test_class_balance_and_losses_are_reported(tmp_path: Path) -> None:
    config = parse_member(SOURCES, {"kind": "patches", **SMALL}, at="patches")
    dataset = prepare_sequences(config, [str(as_npz(arrays(), tmp_path))], tmp_path / "data.zarr")
    report = read_json(dataset.path / "quality.json")
    # columns 0 to 8 train, two rows: sequences of 4, 4, 5 clear dates or more; the square is in two of row 0, column 0
    assert report["train"]["samples"] == 2 * (2 + 2 + 2)
    assert report["train"]["positive"] == 2 * 4
    assert report["train"]["base_rate"] == pytest.approx(8 / (12 * 16))
    assert "left out: 6 of 50 patches at one date as not clear enough" in report["notes"][0]


def wrong_label(data: Arrays) -> None:
    data["label"][0, 0, 0] = 7


def unsorted(data: Arrays) -> None:
    data["dates"] = DATES[[0, 2, 1, 3, 4]]


def twice(data: Arrays) -> None:
    data["dates"] = DATES[[0, 1, 1, 3, 4]]


def no_cloud(data: Arrays) -> None:
    data["clouds"] = data.pop("cloud")


def few_dates(data: Arrays) -> None:
    data["dates"] = DATES[:4]


def reflectance_in_counts(data: Arrays) -> None:
    data["bands"] *= 10000


def other_grid(data: Arrays) -> None:
    data["label"] = data["label"][:, :7]


def numbers_for_dates(data: Arrays) -> None:
    data["dates"] = np.arange(5)


def all_cloudy(data: Arrays) -> None:
    data["cloud"][:] = 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (wrong_label, r"scene.npz: label is 7 somewhere; labels are 0 or 1"),
        (unsorted, r"scene.npz: dates: 2021-03-11T10:00:00Z comes after 2021-03-21T10:00:00Z; give each date once"),
        (twice, r"scene.npz: dates: 2021-03-11T10:00:00Z stands twice; give each date once, in order"),
        (no_cloud, r"scene.npz: no array 'cloud'; did you mean 'clouds'\?"),
        (few_dates, r"bands is \(5, 8, 20, 4\), there are 4 dates; write \(dates, y, x\[, band\]\)"),
        (reflectance_in_counts, r"blue is \d+ at the median, its range 0 to 1; set bands.blue.low and bands.blue.high"),
        (other_grid, r"label is \(5, 7, 20\), the bands are \(5, 8, 20\); write all on one grid"),
        (numbers_for_dates, r"dates: int64 of shape \(5,\); write \(T,\) datetime64 or ISO 8601 texts"),
        (all_cloudy, r"50 of 50 patches at one date as not clear enough.*nothing is left to train on: set a smaller"),
    ],
)
def test_bad_data_is_one_line(spoil: Callable[[Arrays], None], message: str, tmp_path: Path) -> None:
    data = arrays()
    spoil(data)
    with pytest.raises(BadDataError, match=message) as caught:
        built(data, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 9}, r"8 x 20 pixels, a patch has 9; set a smaller size"),
        ({"label": {"array": "cover", "change": True}}, r"cover has no dates; a change needs a mask at each"),
        (
            {"label": {"array": "cover"}, "split": {"by": ["dates"]}},
            r"has the same answers in every part; split.by must have columns or scenes",
        ),
        ({"bands": {"swir": {"index": 4}}}, r"bands has 4 bands, not a band 4; count from 0"),
        ({"bands": {"swir": {"array": "cover"}}}, r"cover is \(8, 20\), there are 5 dates"),
    ],
)
def test_settings_that_do_not_fit_the_data(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=message):
        built(arrays() | {"cover": np.zeros((8, 20), np.uint8)}, tmp_path, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bands": {"label": {}}}, "is the target's name"),
        ({"bands": {"red": {"low": 1, "high": 1}}}, "low 1.0 is not below high 1.0"),
        ({"split": {"by": ["rows"]}}, "columns"),
        ({"max_gap": 3}, "did you mean 'max_gap_days'"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Patches, settings, at="patches")


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [as_npz, as_folder])
def test_nothing_is_unpickled(write: Callable[[Arrays, Path], Path], tmp_path: Path) -> None:
    data = arrays()
    data["label"] = np.full((5, 8, 20), Canary(tmp_path / "touched"), dtype=object)
    with pytest.raises(BadDataError, match="label is not readable"):
        built(data, tmp_path, write)
    assert not (tmp_path / "touched").exists()


def test_a_header_cannot_claim_more_than_there_is(tmp_path: Path) -> None:
    path = as_folder(arrays(), tmp_path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**3)})
    (path / "bands.npy").write_bytes(header.getvalue() + bytes(64))
    with pytest.raises(BadDataError, match="bands is not readable"):
        parse(Patches, SMALL).build([str(path)])


def test_an_archive_cannot_unpack_to_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weatherml.sources.imagery.files.MOST_BYTES", 1000)
    with pytest.raises(BadDataError, match="bands unpacks to 0 GiB; cut the scene into smaller ones"):
        built(arrays(), tmp_path)


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "scene.npz").write_bytes(b"no archive")
    with pytest.raises(BadDataError, match="archive is not readable"):
        parse(Patches, SMALL).build([str(tmp_path / "scene.npz")])
    with pytest.raises(MissingInputError, match="no input"):
        parse(Patches, SMALL).build([])
    with zipfile.ZipFile(tmp_path / "scene.npz", "w") as archive:
        archive.writestr("bands.npy", b"no array")
    with pytest.raises(BadDataError, match="no array 'dates'"):
        parse(Patches, SMALL).build([str(tmp_path / "scene.npz")])


def test_several_scenes_split_by_scene(tmp_path: Path) -> None:
    for name in "abcd":
        np.savez(tmp_path / f"{name}.npz", **arrays())
    found = parse(Patches, {**SMALL, "split": {"by": ["scenes"], "validation": 0.25, "test": 0.25}}).build(
        [str(tmp_path)]
    )
    scene = np.array([name[0] for name in found.series])
    parts = {PARTS[part]: set(scene[found.part[:, -1] == part]) for part in range(3)}
    assert parts == {"train": {"a", "b"}, "validation": {"c"}, "test": {"d"}}


def test_scenes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        as_npz(arrays(), tmp_path / name)
    found = parse(Patches, SMALL).build([str(tmp_path)])
    assert len(set(found.series)) == len(found.series)


def test_real_sentinel_2(shared_data: Path, tmp_path: Path) -> None:
    settings = {
        "bands": {"ndvi": {"array": "NDVI", "low": -0.2, "high": 1.0}},
        "dates": "timestamps",
        "cloud": "CLM",
        "valid": "IS_VALID",
        "label": {"array": "LULC", "positive": [2], "unknown": [0]},
        "size": 32,
        "stride": 16,
    }
    config = parse(Patches, settings)
    dataset = prepare_sequences(config, [str(shared_data / "s2_eolearn")], tmp_path / "s2.zarr")
    assert dataset.times.shape[1] == 3
    assert (np.diff(dataset.times, axis=1) <= np.timedelta64(45, "D")).all()
    ndvi = dataset.values["ndvi"]
    assert 0 <= np.nanmin(ndvi) < np.nanmax(ndvi) <= 1
    assert (np.isfinite(ndvi).mean((2, 3)) >= 0.7).all()
    columns = {part: {int(dataset.series[n].split("/")[2]) for n, _ in dataset.samples(part)} for part in PARTS}
    assert columns == {"train": {0}, "validation": {32}, "test": {64}}  # 101 x 100 pixels; 16 and 48 overlap them
