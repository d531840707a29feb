"""Inputs made to do harm: files that carry code, claim or inflate to any size, or name places outside."""

from __future__ import annotations

import gzip
import json
import math
import os
import pickle
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

CANARY = "canary"
"""The file, in the folder above, that comes to be where code was run or a name was followed."""
HUGE = 1 << 40
HOURS = 48
SHAPE = [HOURS, 3, 4]
OUTSIDE = Path(tempfile.gettempdir()) / f"canary-{os.getpid()}"
"""Where an absolute name would lead."""
ESCAPES = {"up": "../../canary", "absolute": str(OUTSIDE), "dots": "a/../../canary"}
Maker = Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class Payload:
    """A harmful input.

    Attributes:
        make: writes it into a folder that holds copies of the sound world.
        command: what is made to read it.
        harmless: it may also be read, without harm.
        writes: what it writes in beside what it makes.
    """

    make: Maker
    command: str
    harmless: bool = False
    writes: tuple[str, ...] = ()


class Trap:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (f"../{CANARY}",)


def pickled(name: str) -> Maker:
    """A pickle in place of a file."""
    return lambda folder: replace(folder / name, pickle.dumps(Trap()))


def written(name: str, content: bytes | str) -> Maker:
    """Some content in place of a file."""
    return lambda folder: replace(folder / name, content.encode() if isinstance(content, str) else content)


def replace(path: Path, content: bytes) -> None:
    """Write a file anew; the sound one that it was a link to stays as it is."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def torch_zip(name: str) -> Maker:
    """A zip archive as torch saves, with a pickle that runs code."""

    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        torch.save({"state": Trap()}, folder / name)

    return make


def escaping_zip(name: str) -> Maker:
    """An archive of torch whose members lie outside."""

    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        with zipfile.ZipFile(folder / name, "w") as archive:
            for escape in ESCAPES.values():
                archive.writestr(escape, b"harm")

    return make


def object_array(folder: Path) -> None:
    """An array of objects as zarr 2 keeps them: pickles."""
    array = {
        "zarr_format": 2, "shape": SHAPE, "chunks": SHAPE, "dtype": "|O", "compressor": None, "fill_value": 0,
        "order": "C", "filters": [{"id": "pickle", "protocol": 5}],
    }  # fmt: skip
    store(folder / "x.zarr", array, pickle.dumps(Trap()))


def numpy_pickle(folder: Path) -> None:
    """A pickle within .npy."""
    np.save(folder / "x.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    shutil.move(folder / "x.npy", folder / "x.nc")


def store(path: Path, array: dict[str, Any], chunk: bytes, dims: tuple[str, ...] = ("time", "y", "x")) -> None:
    """A store of zarr 2 with the array `t2m` of one chunk, as it says itself."""
    for name, size in zip(dims, SHAPE, strict=True):
        settings: dict[str, Any] = {
            "dtype": "<i8",
            "shape": [size],
            "chunks": [size],
            "compressor": None,
            "filters": None,
        }
        settings["fill_value"] = None
        attributes = {"_ARRAY_DIMENSIONS": [name]} | (
            {"units": "hours since 2024-06-01"} if name == "time" else {"units": "m"}
        )
        _zarr2(path / name, settings, attributes, {"0": np.arange(size, dtype="<i8").tobytes()})
    _zarr2(path / "t2m", array, {"_ARRAY_DIMENSIONS": list(dims), "units": "K"}, {"0.0.0": chunk})
    (path / ".zgroup").write_text('{"zarr_format": 2}')


def _zarr2(path: Path, settings: dict[str, Any], attributes: dict[str, Any], chunks: dict[str, bytes]) -> None:
    path.mkdir(parents=True)
    whole = {"zarr_format": 2, "order": "C", "fill_value": 0, **settings}
    (path / ".zarray").write_text(json.dumps(whole))
    (path / ".zattrs").write_text(json.dumps(attributes))
    for name, content in chunks.items():
        (path / name).write_bytes(content)


def bomb(codec: str) -> Maker:
    """A chunk of a few MiB at most that inflates to gigabytes, or says so."""
    chunk, settings = BOMBS[codec]

    def make(folder: Path) -> None:
        array = {"dtype": "<f4", "shape": SHAPE, "chunks": SHAPE, "compressor": settings, "filters": None}
        store(folder / "x.zarr", array, chunk())

    return make


def _deflated(bits: int) -> bytes:
    """Four GiB of zeros: one block, compressed once, again and again."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, bits)
    head = compressor.compress(b"") + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(bytes(1 << 24)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return head + 256 * block + compressor.flush()


def _blosc() -> bytes:
    """A header that promises 2 GiB."""
    return struct.pack("<BBBBIII", 2, 1, 0x21, 4, (1 << 31) - 17, 1 << 20, 64) + bytes(48)


BOMBS: dict[str, tuple[Callable[[], bytes], dict[str, Any]]] = {
    "gzip": (lambda: _deflated(31), {"id": "gzip", "level": 9}),
    "zlib": (lambda: _deflated(15), {"id": "zlib", "level": 9}),
    "lz4": (lambda: struct.pack("<i", (1 << 31) - 1) + bytes(64), {"id": "lz4", "acceleration": 1}),
    "blosc": (_blosc, {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}),
    "zstd": (
        lambda: b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", (1 << 32) - 1) + bytes(16),
        {"id": "zstd", "level": 1},
    ),
}
"""A chunk, and the codec that is to read it."""


def absurd_zarr(shape: list[int], chunks: list[int]) -> Maker:
    """An array that says that it is huge."""

    def make(folder: Path) -> None:
        array = {"dtype": "<f4", "shape": shape, "chunks": chunks, "compressor": None, "filters": None}
        store(folder / "x.zarr", array, b"")

    return make


def zarr3(folder: Path) -> None:
    """A coordinate of zarr 3 that says that it is huge."""
    group = zarr.open_group(str(folder / "x.zarr"), mode="w", zarr_format=3)
    group.create_array("time", shape=(HUGE,), dtype="i8", chunks=(HUGE,), dimension_names=("time",))
    group["time"].attrs["units"] = "hours since 2024-06-01"
    group.create_array("t2m", shape=(HUGE, 3, 4), dtype="f4", chunks=(1, 3, 4), dimension_names=("time", "y", "x"))


def huge_netcdf(size: int, chunk: int) -> Maker:
    """A file of kilobytes whose compressed variable has never been written, and has any size."""

    def make(folder: Path) -> None:
        import netCDF4  # noqa: PLC0415 - slow to import

        with netCDF4.Dataset(folder / "x.nc", "w") as file:
            for dim, length in {"time": 2, "y": size, "x": size}.items():
                file.createDimension(dim, length)
            times = file.createVariable("time", "i8", ("time",))
            times.units, times[:] = "hours since 2024-06-01", [0, 1]
            variable = file.createVariable("t2m", "f4", ("time", "y", "x"), zlib=True, chunksizes=(1, chunk, chunk))
            variable.units = "K"

    return make


def huge_grid(ni: int, nj: int) -> Maker:
    """GRIB that says that it has any number of points."""

    def make(folder: Path) -> None:
        content = bytearray((folder / "a.grib2").read_bytes())
        start = 16 + 21  # after sections 0 and 1
        content[start + 6 : start + 10] = struct.pack(">I", ni * nj % (1 << 32))
        content[start + 30 : start + 38] = struct.pack(">II", ni, nj)
        (folder / "a.grib2").unlink()
        (folder / "a.grib2").write_bytes(content)

    return make


def tensors(name: str, header: object, size: int | None = None) -> Maker:
    """A safetensors file of a header that says anything, also of its own size."""
    text = json.dumps(header).encode()
    return written(name, struct.pack("<Q", len(text) if size is None else size) + text)


def huge_tensor(name: str) -> Maker:
    """A tensor that is not there."""
    return tensors(name, {"weights/a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}})


def named(escape: str) -> Maker:
    """A store whose consolidated metadata have an array outside."""

    def make(folder: Path) -> None:
        array = {"dtype": "<f4", "shape": SHAPE, "chunks": SHAPE, "compressor": None, "filters": None}
        store(folder / "x.zarr", array, bytes(4 * math.prod(SHAPE)))
        files = {path.relative_to(folder / "x.zarr").as_posix(): path for path in (folder / "x.zarr").rglob(".z*")}
        found = {name: json.loads(path.read_text()) for name, path in files.items()}
        found |= {f"{escape}/{name}": found[f"t2m/{name}"] for name in (".zarray", ".zattrs")}
        whole = {"zarr_consolidated_format": 1, "metadata": found}
        (folder / "x.zarr" / ".zmetadata").write_text(json.dumps(whole))

    return make


def marker(kind: str) -> Maker:
    """A marker that names files outside to be read, or more than there are."""

    def make(folder: Path) -> None:
        path = folder / "d.zarr" / "complete.json"
        found = json.loads(path.read_text())
        found["metadata"] = {ESCAPES[kind]: "0" * 64}
        replace(path, (json.dumps(found, indent=1, sort_keys=True) + "\n").encode())

    return make


def checkpoint_names(folder: Path) -> None:
    """A checkpoint that names files outside."""
    path = folder / "r" / "checkpoints" / "best" / "checkpoint.json"
    path = next(iter(path.parent.glob("*.json")))
    replace(path, json.dumps(json.loads(path.read_text()) | {"files": {"../../../../canary": "0"}}).encode())


def outward_link(name: str, target: str) -> Maker:
    """A link out of a store."""

    def make(folder: Path) -> None:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return make


def configured(text: str) -> Maker:
    """A configuration."""
    return written("x.yaml", text)


LAUGHS = "\n".join(["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))])
DEEP = 100_000
READ_CONFIG = "train --config x.yaml --data absent.zarr --run x --device cpu"
READ_SOURCE = "prepare netcdf --config x.yaml --input a.nc --output o.zarr --dry-run"
READ_NETCDF = "prepare netcdf --input x.nc --output o.zarr"
READ_ZARR = "prepare netcdf --input x.zarr --output o.zarr"
READ_GRIB = "prepare hrrr --input a.grib2 --output o.zarr --dry-run"
READ_TABLE = "prepare table --input x.csv --output o.zarr"
LOOK, LOOK_DEEP = "inspect {} --json", "inspect {} --deep --json"
EXPORT = "export --run r --data d.zarr --output o.safetensors"
ROLLOUT = "rollout --run r --data d.zarr --init last --hours 1 --output o.zarr"
SCORE = "evaluate f.zarr --truth d.zarr --output ev"
CHUNK, LAST = "d.zarr/t2m/c/0/0/0", "r/checkpoints/best"
CODE = "!!python/object/apply:os.mkdir ['../canary']"

PAYLOADS: dict[str, Payload] = {
    "pickle.nc": Payload(make=pickled("x.nc"), command=READ_NETCDF),
    "pickle.nc, a forecast": Payload(make=pickled("x.nc"), command=LOOK.format("x.nc")),
    "pickle.nc, to score": Payload(make=pickled("x.nc"), command=SCORE.replace("f.zarr", "x.nc")),
    "pickle.npy in .nc": Payload(make=numpy_pickle, command=READ_NETCDF),
    "pickle.grib2": Payload(make=pickled("a.grib2"), command=READ_GRIB),
    "pickle.idx": Payload(make=pickled("a.grib2.idx"), command=READ_GRIB, harmless=True),
    "pickle of cfgrib": Payload(make=pickled("a.grib2.5b7b6.idx"), command=READ_GRIB, harmless=True),
    "pickle.yaml": Payload(make=pickled("x.yaml"), command=READ_CONFIG),
    "pickle.csv": Payload(make=pickled("x.csv"), command=READ_TABLE),
    "pickle.parquet": Payload(make=pickled("x.parquet"), command=READ_TABLE.replace("csv", "parquet")),
    "pickle.safetensors": Payload(make=pickled("x.safetensors"), command=LOOK.format("x.safetensors")),
    "pickle.pt2 as a run": Payload(make=pickled("x.pt2"), command=LOOK.format("x.pt2")),
    "pickle.pt as a run": Payload(make=pickled("x.pt"), command=ROLLOUT.replace("--run r", "--run x.pt")),
    "pickle in a chunk": Payload(make=pickled(CHUNK), command=LOOK_DEEP.format("d.zarr")),
    "pickle in a chunk, rolled out": Payload(make=pickled(CHUNK), command=ROLLOUT.replace("last", "2024-06-01T04:00")),
    "pickle in a chunk of a forecast": Payload(make=pickled("f.zarr/t2m/c/0/0/0/0"), command=SCORE),
    "pickle for zarr.json": Payload(make=pickled("d.zarr/zarr.json"), command=LOOK.format("d.zarr")),
    "pickle for a marker": Payload(make=pickled("d.zarr/complete.json"), command=LOOK.format("d.zarr")),
    "pickle for quality.json": Payload(make=pickled("d.zarr/quality.json"), command=LOOK.format("d.zarr")),
    "pickle for config.yaml": Payload(make=pickled("r/config.yaml"), command=LOOK.format("r")),
    "pickle for data.json": Payload(make=pickled("r/data.json"), command=LOOK.format("r")),
    "pickle for status.json": Payload(make=pickled("r/status.json"), command=LOOK.format("r")),
    "pickle for calibration": Payload(make=pickled("r/calibration.json"), command=ROLLOUT),
    "pickle for weights": Payload(make=pickled(f"{LAST}/average.safetensors"), command=EXPORT),
    "pickle for the optimizer": Payload(make=pickled(f"{LAST}/optimizer.pt"), command=EXPORT),
    "archive for the optimizer": Payload(make=torch_zip(f"{LAST}/optimizer.pt"), command=EXPORT),
    "archive for weights": Payload(make=torch_zip(f"{LAST}/average.safetensors"), command=EXPORT),
    "archive as a bundle": Payload(make=torch_zip("x.safetensors"), command=LOOK.format("x.safetensors")),
    "archive with members outside": Payload(make=escaping_zip(f"{LAST}/optimizer.pt"), command=EXPORT),
    "objects of zarr": Payload(make=object_array, command=READ_ZARR),
    "code in YAML": Payload(make=configured(f"model: {CODE}"), command=READ_CONFIG),
    "code in a source's YAML": Payload(make=configured(f"variables: {CODE}"), command=READ_SOURCE),
    "code in a run's YAML": Payload(make=written("r/config.yaml", f"model: {CODE}"), command=LOOK.format("r")),
    "code in --set": Payload(make=configured("{}"), command="train --data d.zarr --run x --set model=!!python/name:os"),
    "a module in YAML": Payload(make=configured("model: !!python/module:os"), command=READ_CONFIG),
    "_target_ in YAML": Payload(make=configured("model: {_target_: os.mkdir, kind: unet}"), command=READ_CONFIG),
    "billion laughs": Payload(make=configured(LAUGHS), command=READ_CONFIG),
    "billion laughs of a run": Payload(make=written("r/config.yaml", LAUGHS), command=LOOK.format("r")),
    "deep YAML": Payload(make=configured("a: " + "[" * DEEP), command=READ_CONFIG),
    "deep YAML of mappings": Payload(make=configured("{a: " * DEEP), command=READ_CONFIG),
    "endless YAML": Payload(make=configured("a: 1\n" * 1_000_000), command=READ_CONFIG),
    "deep JSON, marker": Payload(make=written("d.zarr/complete.json", "[" * DEEP), command=LOOK.format("d.zarr")),
    "deep JSON, zarr": Payload(make=written("d.zarr/zarr.json", "[" * DEEP), command=LOOK.format("d.zarr")),
    "deep JSON, run": Payload(make=written("r/data.json", '{"a":' * DEEP), command=LOOK.format("r")),
    "deep JSON, foreign store": Payload(make=written("x.zarr/zarr.json", "[" * DEEP), command=READ_ZARR),
    "huge number in JSON": Payload(make=written("r/status.json", "9" * 9999), command=LOOK.format("r")),
    **{f"{codec} bomb": Payload(make=bomb(codec), command=READ_ZARR) for codec in BOMBS},
    "gzip of gzip": Payload(make=written("x.nc", gzip.compress(gzip.compress(bytes(1 << 20)))), command=READ_NETCDF),
    "huge zarr": Payload(make=absurd_zarr([HOURS, 1 << 31, 1 << 31], SHAPE), command=READ_ZARR),
    "huge chunk of zarr": Payload(make=absurd_zarr([HOURS, 3, 4], [HUGE, 1 << 20, 1]), command=READ_ZARR),
    "negative zarr": Payload(make=absurd_zarr([HOURS, -3, 4], SHAPE), command=READ_ZARR),
    "chunks of zero": Payload(make=absurd_zarr([HOURS, 3, 4], [0, 0, 0]), command=READ_ZARR),
    "huge time of zarr 3": Payload(make=zarr3, command=READ_ZARR),
    "huge NetCDF": Payload(make=huge_netcdf(1 << 20, 1024), command=READ_NETCDF),
    "huge chunk of NetCDF": Payload(make=huge_netcdf(30_000, 30_000), command=READ_NETCDF),
    "huge GRIB": Payload(make=huge_grid((1 << 32) - 1, 1), command=READ_GRIB),
    "wide GRIB": Payload(make=huge_grid(1 << 16, 1 << 16), command=READ_GRIB),
    "large GRIB": Payload(make=huge_grid(1 << 14, 1 << 14), command=READ_GRIB, harmless=True),
    "huge header of a bundle": Payload(make=tensors("x.safetensors", {}, HUGE), command=LOOK.format("x.safetensors")),
    "huge header of weights": Payload(make=tensors(f"{LAST}/average.safetensors", {}, HUGE), command=EXPORT),
    "huge tensor": Payload(make=huge_tensor("x.safetensors"), command=LOOK.format("x.safetensors")),
    "huge tensor of weights": Payload(make=huge_tensor(f"{LAST}/average.safetensors"), command=EXPORT),
    **{
        f"array named {kind} outside": Payload(make=named(escape), command=READ_ZARR, harmless=True)
        for kind, escape in ESCAPES.items()
    },
    **{
        f"setting named {kind} outside": Payload(
            make=configured(f"variables: {{'{escape}': {{source_name: t2m, units: K}}}}"), command=READ_SOURCE[:-10]
        )
        for kind, escape in ESCAPES.items()
    },
    **{
        f"marker names {kind} outside": Payload(make=marker(kind), command=LOOK.format("d.zarr"))
        for kind in ESCAPES
    },
    "checkpoint names outside": Payload(make=checkpoint_names, command=EXPORT),
    "link out of a store": Payload(make=outward_link("d.zarr/t2m", "/etc"), command=LOOK_DEEP.format("d.zarr")),
    "link to itself": Payload(make=outward_link("d.zarr/t2m", "../d.zarr"), command=LOOK.format("d.zarr")),
    "link to a device": Payload(make=outward_link(CHUNK, "/dev/zero"), command=LOOK_DEEP.format("d.zarr")),
    "link to a device, YAML": Payload(make=outward_link("x.yaml", "/dev/zero"), command=READ_CONFIG),
    "link of weights outside": Payload(make=outward_link(f"{LAST}/average.safetensors", "/etc/passwd"), command=EXPORT),
}  # fmt: skip
"""By name."""
