"""States a second from a store to normalised batches, beside xarray's default store and a raw memory map.

    python -m benchmarks.loader            # full CONUS, 24 hours, seven channels: about 4 GB of disk in --work

Three fields are real, whole messages of HRRR: composite reflectivity, 2 m dew point and 10 m wind along x. The other
four channels follow from them and from a real boundary-layer height: 2 m temperature from the height of the lifting
condensation level (125 m for each kelvin above the dew point), the wind along y as that along x half a domain away,
CAPE and CIN from dew point and height, with the source's step of 1/16. Each hour is the one before moved by 13 columns
and 5 rows, so values, gradients and noise are those of real fields, but no hour is new.

All go through `wml prepare` once and through xarray's `to_zarr` as it stands (float32). Windows of two states are then
read in the same random order, by two threads, in turns: by the loader; by `isel(time=...).load()`, and the transform
and z-score in numpy; and from a raw int16 memory map of the same packed values through the loader's own arithmetic. All
give normalised states and a mask of what is known; `loader_with_known` is what training gets, with the fields known at
each valid time (the sun's height, the clock's), which the others do not compute. `ours` and `rival` are states a second
of loader and xarray, best of the rounds; asked are 8 x xarray and 0.4 x the memory map: `ratio` is the smaller of what
is reached over what is asked.

`bytes_per_value` is of each real field alone, packed within half a step of the source's.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
import yaml
import zarr
from torch import Tensor

from benchmarks.files import cf_dataset
from benchmarks.tool import wml
from weatherml.data.chunks import WHOLE, Box
from weatherml.data.known import KnownFields
from weatherml.data.layout import add_variable
from weatherml.data.loader import DataConfig, Loader, assemble, prefetched
from weatherml.data.packing import choose_packing, pack, unpack
from weatherml.data.store import Dataset, open_dataset
from weatherml.data.transforms import Normaliser
from weatherml.grid import Grid
from weatherml.sources import grib
from weatherml.variables import TABLE, Variable

Array = npt.NDArray[Any]
FILES = {
    "refc": ("hrrr_kerchunk/hrrr.wrfsubhf.sample.grib2", 0),
    "d2m": ("hrrr_reformatters/dpt2m.grib2", 0),
    "u10": ("hrrr_gribberish/hrrr.t06z.wrfsfcf01-UGRD.grib2", 0),
    "hpbl": ("hrrr_gribberish/hrrr.t00z.wrfsfcf00-HPBL.grib2", 0),
    "vbdsf": ("hrrr_kerchunk/hrrr.wrfsubhf.sample.grib2", 1),
}
"""Each real field's file, and its place among the file's messages."""
SOURCE_STEP = 1 / 16
NOT_IN_TABLE = {
    "hpbl": Variable(name="hpbl", units="m", packing_step=SOURCE_STEP, add_offset=2048.0),
    "vbdsf": Variable(name="vbdsf", units="W m-2", packing_step=1.0),
}
START, HOUR = np.datetime64("2024-06-01T00:00:00", "s"), np.timedelta64(3600, "s")
MOVED = (5, 13)  # rows and columns an hour
STATES = 2
THREADS = 2
ASKED = {"xarray": 8.0, "memory_map": 0.4}
DISK_ASKED = 0.95


def main() -> None:
    """Read, and print the rates."""
    options = parse_options()
    torch.set_num_threads(1)
    fields = {name: real_field(options.data / file, number) for name, (file, number) in FILES.items()}
    paths = write_all(fields, options.hours, options.work)
    dataset = open_dataset(paths["store"])
    readers = make_readers(dataset, paths)
    firsts = np.random.default_rng(0).permutation(options.hours - STATES)[: options.windows]
    by_clock, by_processor = in_turn(readers, firsts, options.rounds)
    rates = by_processor if options.processor else by_clock
    reached = {name: rates["loader"] / rates[name] for name in ASKED}
    disk = rounded({name: bytes_per_value(name, values) for name, values in fields.items()})
    print(
        json.dumps(
            {
                "benchmark": "loader",
                "grid": list(dataset.grid.shape),
                "channels": dataset.names,
                "hours": options.hours,
                "threads": THREADS,
                "states_per_s": rounded(by_clock),
                "states_per_processor_s": rounded(by_processor),
                "reached": rounded(reached),
                "asked": ASKED,
                "bytes_per_value": disk,
                "bytes_per_value_asked": DISK_ASKED,
                "ours": round(rates["loader"], 2),
                "rival": round(rates["xarray"], 2),
                "ratio": round(min(reached[name] / ASKED[name] for name in ASKED), 3),
            }
        )
    )


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """To what means something."""
    return {name: round(value, 3) for name, value in values.items()}


def real_field(path: Path, number: int) -> Array:
    """(H, W) float32 of a message."""
    with path.open("rb") as stream:
        chosen = list(grib.scan(stream, path.stat().st_size))[number]
    content = path.read_bytes()[chosen.offset : chosen.offset + chosen.length]
    found, message = grib.extract(content, chosen.number)
    return grib.decode(message, grib.grid_of(found.grid).shape)


def channels(fields: Mapping[str, Array]) -> dict[str, Array]:
    """The seven channels at the first hour, see the head of this file."""
    refc, d2m, u10, height = (fields[name] for name in ("refc", "d2m", "u10", "hpbl"))
    cape = 90 * np.maximum(d2m - 283, 0) * np.minimum(height / 1000, 1)
    made = {
        "refc": refc,
        "t2m": d2m + height / 125,
        "d2m": d2m,
        "u10": u10,
        "v10": np.roll(u10, tuple(size // 2 for size in u10.shape), (0, 1)),
        "cape": np.rint(cape / SOURCE_STEP) * SOURCE_STEP,
        "cin": np.where(cape > 0, np.rint(-30000 / (height + 100) / SOURCE_STEP) * SOURCE_STEP, 0.0),
    }
    return {name: values.astype(np.float32) for name, values in made.items()}


def write_all(fields: Mapping[str, Array], hours: int, work: Path) -> dict[str, Path]:
    """The same hours as a dataset, as xarray's default store and as a memory map; what is there is kept."""
    folder = work / "loader" / str(hours)
    paths = {"store": folder / "data.zarr", "xarray": folder / "xarray.zarr", "map": folder / "packed.npy"}
    if not paths["map"].exists():  # it is written last
        folder.mkdir(parents=True, exist_ok=True)
        write_stores(channels(fields), hours, folder, paths)
        write_map(open_dataset(paths["store"]), paths["map"])
    return paths


def write_stores(first: Mapping[str, Array], hours: int, folder: Path, paths: Mapping[str, Path]) -> None:
    """Write the dataset and xarray's store, from one NetCDF file."""
    moved = [
        np.stack([np.roll(field, np.multiply(MOVED, n), (0, 1)) for field in first.values()]) for n in range(hours)
    ]
    axes = {"time": (START + HOUR * np.arange(hours), {"standard_name": "time"})}
    units = {name: {"units": TABLE[name].units} for name in first}
    world = cf_dataset(np.stack(moved), units, axes, spacing=3000.0)
    world.to_zarr(paths["xarray"], mode="w")
    file, config = folder / "world.nc", folder / "prepare.yaml"
    world.to_netcdf(file, engine="netcdf4", encoding={"time": {"units": f"hours since {START}"}})
    config.write_text(yaml.safe_dump({"split": {"validation": 0, "test": 0}}), encoding="utf-8")
    wml("prepare", "netcdf", "--config", config, "--input", file, "--output", paths["store"], "--overwrite")
    file.unlink()


def write_map(dataset: Dataset, path: Path) -> None:
    """Write the (N, C, H, W) packed values as they are."""
    shape = (len(dataset.times), len(dataset.names), *dataset.grid.shape)
    target = np.lib.format.open_memmap(path.with_suffix(".partial"), "w+", np.int16, shape)
    for c, name in enumerate(dataset.names):
        target[:, c] = dataset.read(slice(0, len(dataset.times)), name)
    target.flush()
    path.with_suffix(".partial").rename(path)


def make_readers(dataset: Dataset, paths: Mapping[str, Path]) -> dict[str, Callable[[Array], Iterable[object]]]:
    """From first indices of windows to their batches, each with `THREADS` threads."""
    normaliser = Normaliser(dataset.variables, dataset.packings, dataset.statistics)
    settings: dict[str, Any] = {"normaliser": normaliser, "batch": 1, "seed": 0}
    with_known = Loader(dataset, "train", DataConfig(cache_gib=0), known=KnownFields(dataset), **settings)
    nothing = NothingKnown(dataset)
    loader = Loader(dataset, "train", DataConfig(cache_gib=0), known=nothing, **settings)
    store = xr.open_zarr(paths["xarray"], chunks=None)
    packed = np.load(paths["map"], mmap_mode="r")

    def by_xarray(first: int) -> object:
        states = np.stack([plainly_normalised(store.isel(time=first + n).load(), dataset) for n in range(STATES)])
        known_points = np.isfinite(states)
        return np.where(known_points, states, np.float32(0)), known_points

    def mapped(first: int) -> object:
        times = dataset.times[None, first + 1 : first + STATES]
        window = torch.from_numpy(np.array(packed[None, first : first + STATES]))
        return assemble(window, times, history=1, tables=loader.tables, known=nothing)

    def threaded(read: Callable[[int], object]) -> Callable[[Array], Iterable[object]]:
        def run(firsts: Array) -> Iterable[object]:
            with ThreadPoolExecutor(THREADS) as pool:
                yield from pool.map(read, firsts.tolist())

        return run

    return {
        "loader": lambda firsts: prefetched(lambda first: loader.cases([first]), firsts.tolist(), threads=THREADS),
        "loader_with_known": lambda firsts: prefetched(
            lambda first: with_known.cases([first]), firsts.tolist(), threads=THREADS
        ),
        "xarray": threaded(by_xarray),
        "memory_map": threaded(mapped),
    }


class NothingKnown(KnownFields):
    """No known fields: K and S are 0."""

    def __init__(self, dataset: Dataset) -> None:
        self.static = torch.zeros(0, *dataset.grid.shape)

    def at(self, times: Array, box: Box = WHOLE, init_times: Array | None = None) -> Tensor:  # noqa: ARG002
        """(N, 0, H, W)."""
        return self.static.expand(len(times), -1, -1, -1)[..., box[0], box[1]]


def plainly_normalised(state: xr.Dataset, dataset: Dataset) -> Array:
    """(C, H, W) of a state, as one writes it in numpy."""
    transforms: dict[str, Callable[[Array, Variable], Array]] = {
        "none": lambda x, _: x,
        "log1p": lambda x, _: np.log1p(np.maximum(x, 0)),
        "signed_log1p": lambda x, _: np.sign(x) * np.log1p(np.abs(x)),
        "clip": lambda x, variable: np.maximum(x, np.float32(variable.valid_min)),
    }
    mean, std = (np.asarray(values, np.float32) for values in (dataset.statistics.mean, dataset.statistics.std))
    return np.stack(
        [
            (transforms[variable.transform](state[variable.name].values, variable) - mean[c]) / std[c]
            for c, variable in enumerate(dataset.variables)
        ]
    )


def in_turn(
    readers: Mapping[str, Callable[[Array], Iterable[object]]], firsts: Array, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """States a second of the clock and of processors, the best of the rounds; they take turns: neighbours change."""
    clocks = time.perf_counter, time.process_time
    best = {name: [math.inf] * len(clocks) for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            began = [now() for now in clocks]
            for _batch in read(firsts):
                pass
            best[name] = [min(b, now() - at) for b, now, at in zip(best[name], clocks, began, strict=True)]
    wall, processor = ({name: STATES * len(firsts) / each[i] for name, each in best.items()} for i in range(2))
    return wall, processor


def bytes_per_value(name: str, values: Array) -> float:
    """What a field takes in a store of its own.

    Raises:
        ValueError: a value that comes back farther away than half a step of the source's packing.
    """
    variable = TABLE.get(name) or NOT_IN_TABLE[name]
    packing = choose_packing(variable, float(values.min()), float(values.max()))
    packed = pack(values, packing)
    error = np.abs(unpack(packed, packing) - values).max()
    step = max(SOURCE_STEP, packing.scale_factor) if name in NOT_IN_TABLE else SOURCE_STEP
    if error > step / 2:
        raise ValueError(f"{name}: off by {error}, more than half of {step}")
    grid = Grid(kind="projected", y=np.arange(float(values.shape[0])), x=np.arange(float(values.shape[1])))
    array = add_variable(zarr.create_group({}), variable, packing, grid, times=1, shard=1, tile=None)
    array[0] = packed
    return array.nbytes_stored() / values.size


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of real messages")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--windows", type=int, default=12, help="of two states, read in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor", action="store_true", help="judge by processor time, where others work too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
