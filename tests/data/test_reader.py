"""Windows of a dataset in tiles: the same numbers as of one in whole fields, and crops that read less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weatherml.config import parse_member
from weatherml.data.chunks import PackedArray
from weatherml.data.prepare import prepare
from weatherml.data.reader import WindowReader
from weatherml.data.store import Dataset, open_dataset
from weatherml.errors import BadDataError
from weatherml.sources import SOURCES


@pytest.fixture(scope="module")
def tiled(small_netcdf: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """`small_dataset` in tiles of 10 x 10 points of its 24 x 20."""
    config = parse_member(SOURCES, {"kind": "netcdf", "tile": 10}, at="source")
    return prepare(config, [str(small_netcdf)], tmp_path_factory.mktemp("tiled") / "tiled.zarr")


@pytest.mark.parametrize(
    "box", [(slice(None), slice(None)), (slice(3, 11), slice(2, 20)), (slice(20, 24), slice(0, 1))]
)
def test_tiles_make_the_same_windows(tiled: Dataset, small_dataset: Path, box: tuple[slice, slice]) -> None:
    whole = WindowReader(open_dataset(small_dataset), cache_bytes=0)
    for first in (0, 22, 69):
        assert np.array_equal(
            WindowReader(tiled, cache_bytes=0).window(first, 3, box), whole.window(first, 3)[..., *box]
        )


@pytest.mark.parametrize(("box", "tiles"), [((slice(0, 10), slice(10, 20)), 1), ((slice(8, 12), slice(2, 9)), 2)])
def test_a_crop_reads_only_its_tiles(
    tiled: Dataset, monkeypatch: pytest.MonkeyPatch, box: tuple[slice, slice], tiles: int
) -> None:
    filled: list[tuple[int, ...]] = []
    original = PackedArray._fill

    def fill(self: PackedArray, file: int, place: np.ndarray, inside: tuple[slice, slice], out: np.ndarray) -> None:
        filled.append(out.shape)
        original(self, file, place, inside, out)

    monkeypatch.setattr(PackedArray, "_fill", fill)
    WindowReader(tiled, cache_bytes=0).window(4, 3, box)
    assert len(filled) == 3 * 5 * tiles  # times, channels


def test_a_window_goes_where_it_is_told(tiled: Dataset) -> None:
    reader, out = WindowReader(tiled, cache_bytes=0), np.zeros((2, 5, 24, 20), np.int16)
    assert reader.window(4, 2, out=out) is out
    assert np.array_equal(out, reader.window(4, 2))


def test_a_damaged_chunk_is_named_by_variable_and_time(small_netcdf: Path, tmp_path: Path) -> None:
    config = parse_member(SOURCES, "netcdf", at="source")
    dataset = prepare(config, [str(small_netcdf)], tmp_path / "d.zarr")
    reader = WindowReader(dataset, cache_bytes=0)
    (tmp_path / "d.zarr" / "v10" / "c" / "1" / "0" / "0").unlink()
    assert reader.window(22, 2).shape == (2, 5, 24, 20)
    with pytest.raises(BadDataError, match=r"^v10 at 2024-06-02T00:00:00Z: .*v10/c/1/0/0: missing"):
        reader.window(22, 4)
