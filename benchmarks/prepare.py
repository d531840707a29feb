"""`wml prepare hrrr` from local files, beside cfgrib + xarray + `to_zarr` on the same files in the same process.

    python -m benchmarks.prepare                     # 24 hours of full CONUS, seven channels, made from real messages
    python -m benchmarks.prepare --crops             # the 24 real hours of the test data, 41 x 78 points
    python -m benchmarks.prepare --memory            # peak memory of `wml prepare` at 24 and at 240 hours (GiB)
    python -m benchmarks.prepare --netcdf            # a NetCDF file of 500 x 400 points, beside this process alone

Needs `WML_TEST_DATA`, cfgrib and dask. The archive's hours hold real full-CONUS messages under the keys of the seven
channels, shifted along the rows from hour to hour; they are made once, below `--work`. Ours decodes in two workers, the
rival in two dask threads, which write too. `ours` and `rival` are seconds by the clock, the least of `--repeats` runs
that take turns; `cpu_ratio` compares processor seconds, which other work on the machine does not change.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import psutil  # type: ignore[import-untyped]
import pyproj  # noqa: F401 - before eccodes: both bundle libproj, and the other order fails

from benchmarks.tool import Cost, timed, wml
from weatherml.data.prepare import Options, prepare
from weatherml.files import remove, tree_size
from weatherml.sources.hrrr import CHANNEL_KEYS, HRRR
from weatherml.sources.netcdf import NetCDF, NetCDFSource

Array = npt.NDArray[Any]
DATA = Path(os.environ.get("WML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
CROPS = DATA / "hrrr_smrf_rme"
START = np.datetime64("2024-07-01T00", "h")
NETCDF_SHAPE = (500, 400)
VARIANTS, SHIFT = 4, 16  # different states, and the columns from one to the next
SAMPLE_SECONDS = 0.1
GIB = 2**30

Run = Callable[[Path, Path], None]
Make = Callable[[dict[str, Array]], Array]
REAL = {
    "refc": "hrrr_kerchunk/hrrr.wrfsubhf.sample.grib2",
    "d2m": "hrrr_reformatters/dpt2m.grib2",
    "u10": "hrrr_gribberish/hrrr.t06z.wrfsfcf01-UGRD.grib2",
    "hpbl": "hrrr_gribberish/hrrr.t00z.wrfsfcf00-HPBL.grib2",
}
CHANNELS: dict[str, tuple[str, Make]] = {
    "refc": ("refc", lambda real: real["refc"]),
    "t2m": ("d2m", lambda real: real["d2m"] + 14),
    "d2m": ("d2m", lambda real: real["d2m"] + 10),
    "u10": ("u10", lambda real: real["u10"]),
    "v10": ("u10", lambda real: real["u10"][:, ::-1]),
    "cape": ("hpbl", lambda real: real["hpbl"]),
    "cin": ("refc", lambda real: -4 * np.maximum(real["refc"] + 10, 0)),
}
"""By channel, the real message whose packing is kept, and the values: whole steps of 1/16, as in the source."""


def archive(folder: Path, hours: int) -> Path:
    """A folder of `hours` full-CONUS files of the seven channels, hourly from START on."""
    folder.mkdir(parents=True, exist_ok=True)
    messages: list[list[bytes]] = []
    for hour in range(hours):
        file = folder / f"hrrr.{START + hour}.grib2"
        if not file.exists():
            messages = messages or [variant(number * SHIFT) for number in range(VARIANTS)]
            file.write_bytes(b"".join(dated(message, START + hour) for message in messages[hour % VARIANTS]))
    return folder


def variant(shift: int) -> list[bytes]:
    """The seven channels' messages, their values moved by `shift` columns."""
    real = {name: field(DATA / path) for name, path in REAL.items()}
    return [
        written(DATA / REAL[like], np.roll(make(real), shift, axis=1), CHANNEL_KEYS[name])
        for name, (like, make) in CHANNELS.items()
    ]


@contextmanager
def first_message(path: Path) -> Iterator[Any]:
    """Eccodes' handle of the first message of a file."""
    import eccodes  # noqa: PLC0415 - as weatherml does, only where it reads

    with path.open("rb") as file:
        handle = eccodes.codes_grib_new_from_file(file)
    try:
        yield handle
    finally:
        eccodes.codes_release(handle)


def field(path: Path) -> Array:
    """Values (H, W) of a file's first message."""
    import eccodes  # noqa: PLC0415 - as above

    with first_message(path) as handle:
        shape = eccodes.codes_get(handle, "Nj"), eccodes.codes_get(handle, "Ni")
        return np.asarray(eccodes.codes_get_values(handle)).reshape(shape)


def written(like: Path, values: Array, keys: Any) -> bytes:
    """A message packed like the first of a file, an analysis with these values and keys."""
    import eccodes  # noqa: PLC0415 - as above

    with first_message(like) as handle:
        settings = dict(keys) | {"scaleFactorOfFirstFixedSurface": 0, "forecastTime": 0}
        settings["scaledValueOfFirstFixedSurface"] = int(settings.pop("level"))
        for key, value in settings.items():
            eccodes.codes_set(handle, key, value)
        eccodes.codes_set_values(handle, values.ravel())
        return bytes(eccodes.codes_get_message(handle))


def dated(message: bytes, hour: np.datetime64) -> bytes:
    """The message under another reference time: octets 13 to 19 of section 1, which follows the 16 of section 0."""
    at: datetime = hour.astype("datetime64[s]").item()
    stamp = at.year.to_bytes(2, "big") + bytes([at.month, at.day, at.hour, at.minute, at.second])
    return message[:28] + stamp + message[35:]


def ours(folder: Path, output: Path) -> None:
    """Prepare, in two worker processes."""
    prepare(HRRR(), [str(folder)], output, options=Options(workers=2, overwrite=True))


def rival(folder: Path, output: Path) -> None:
    """Open every channel over all files by its keys, a dask chunk a time; write with xarray's defaults."""
    import dask  # noqa: PLC0415 - the rival's
    import xarray as xr  # noqa: PLC0415

    files = sorted(folder.rglob("*.grib2"))
    names = present(files[0])
    with dask.config.set(scheduler="threads", num_workers=2):
        channels = [channel(files, name) for name in names]
        merged = xr.merge(channels, compat="override", join="exact")
        for array in merged.variables.values():
            array.encoding.clear()  # GRIB's own, which zarr does not take
        merged.to_zarr(output, mode="w", consolidated=False)


def present(file: Path) -> list[str]:
    """The channels that a file has: the crops lack reflectivity."""
    source = HRRR().build([str(file)])
    return [variable.name for variable in source.variables]


def channel(files: list[Path], name: str) -> Any:
    """One channel over all files, lazily; identified as cfgrib's users do, by few keys."""
    import xarray as xr  # noqa: PLC0415 - as above

    keys = CHANNEL_KEYS[name]
    wanted: dict[str, Any] = {key: keys[key] for key in ("discipline", "parameterCategory", "parameterNumber", "level")}
    wanted |= {"typeOfLevel": LEVEL_TYPES[int(keys["typeOfFirstFixedSurface"])], "stepType": "instant"}
    opened = xr.open_mfdataset(
        [str(file) for file in files], engine="cfgrib", combine="nested", concat_dim="time",
        coords="minimal", data_vars="minimal", compat="override", join="override",
        backend_kwargs={"indexpath": "", "filter_by_keys": wanted, "read_keys": list(wanted)}, chunks={},
    )  # fmt: skip
    (found,) = opened.data_vars
    return opened[[found]].rename({found: name}).drop_vars(SCALARS, errors="ignore")


LEVEL_TYPES = {1: "surface", 10: "atmosphere", 103: "heightAboveGround"}
SCALARS = ("step", "valid_time", "surface", "atmosphere", "heightAboveGround")


def netcdf(path: Path, hours: int) -> Path:
    """A NetCDF file of five variables, hourly: smooth fields and noise, compressed."""
    import xarray as xr  # noqa: PLC0415 - as weatherml does, only where it reads

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        rng = np.random.default_rng(0)
        (H, W), time = NETCDF_SHAPE, START + np.arange(hours)
        smooth = 280 + 10 * np.sin(np.arange(H) / 40)[:, None] * np.cos(np.arange(W) / 60)
        noise = rng.standard_normal((hours, H, W), np.float32).round(2)
        values = (smooth.astype(np.float32) + noise).round(2)
        fields = {f"v{number}": (("time", "lat", "lon"), values + number, {"units": "K"}) for number in range(5)}
        axes = {"time": time.astype("datetime64[ns]"), "lat": np.linspace(30, 45, H), "lon": np.linspace(5, 25, W)}
        encoding: Any = {name: {"zlib": True, "complevel": 1, "chunksizes": (1, H, W)} for name in fields}
        xr.Dataset(fields, axes).to_netcdf(path, engine="netcdf4", encoding=encoding)
    return path


def apart(path: Path, output: Path) -> None:
    """Prepare, reading in a process of its own."""
    prepare(NetCDF(), [str(path)], output, options=Options(overwrite=True))


def together(path: Path, output: Path) -> None:
    """Prepare, reading in this process."""
    with patch.object(NetCDF, "isolated", new=False), patch.object(NetCDFSource, "isolated", new=False):
        apart(path, output)


def alternate(folder: Path, work: Path, repeats: int, runs: Mapping[str, Run]) -> dict[str, list[Cost]]:
    """The costs of both, taking turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            remove(work / name)
            with timed() as cost:
                run(folder, work / name)
            costs[name].append(cost)
            print(f"{name}: {cost}", file=sys.stderr)
    return costs


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """One entry once the block has ended: the largest sum of the resident memory of this process's children."""
    stop, peak = threading.Event(), [0]

    def sample() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], sum(map(_resident, psutil.Process().children(recursive=True))))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peak
    finally:
        stop.set()
        sampler.join()


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def memory(folder: Path, output: Path) -> float:
    """GiB that `wml prepare` and its workers hold at most."""
    with peak_memory() as peak:
        wml("prepare", "hrrr", "--input", folder, "--output", output, "--workers", 2, "--overwrite")
    return peak[0] / GIB


def compared(folder: Path, work: Path, repeats: int, runs: Mapping[str, Run]) -> dict[str, Any]:
    """The line of a comparison of speed."""
    costs = alternate(folder, work, repeats, runs)
    wall = {name: min(cost.wall_s for cost in each) for name, each in costs.items()}
    cpu = {name: min(cost.cpu_s for cost in each) for name, each in costs.items()}
    return {
        **wall,
        "ratio": wall["rival"] / wall["ours"],
        "cpu_s": cpu,
        "cpu_ratio": cpu["rival"] / cpu["ours"],
        "store_mib": {name: tree_size(work / name) / 2**20 for name in costs},
        "archive_mib": tree_size(folder) / 2**20,
    }


def remembered(work: Path, hours: tuple[int, int]) -> dict[str, Any]:
    """The line of a comparison of memory: many hours beside few."""
    few, many = (memory(archive(work / f"conus-{count}", count), work / "ours") for count in hours)
    return {"ours": many, "limit": few, "ratio": few / many, "hours": hours}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", action="store_true", help="the 24 real hours, 41 x 78 points")
    parser.add_argument("--netcdf", action="store_true", help="a NetCDF file, read apart and in this process")
    parser.add_argument("--hours", type=int, default=24, help="hours of the full-CONUS archive, or of the NetCDF file")
    parser.add_argument("--memory", action="store_true", help="peak memory at --hours and at ten times as many")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks/prepare"))
    options = parser.parse_args()
    if options.memory:
        line = remembered(options.work, (options.hours, 10 * options.hours))
    elif options.netcdf:
        file = netcdf(options.work / f"hours-{options.hours}.nc", options.hours)
        line = compared(file, options.work, options.repeats, {"ours": apart, "rival": together})
    else:
        folder = CROPS if options.crops else archive(options.work / f"conus-{options.hours}", options.hours)
        line = compared(folder, options.work, options.repeats, {"ours": ours, "rival": rival})
    print(json.dumps(line))


if __name__ == "__main__":
    main()
