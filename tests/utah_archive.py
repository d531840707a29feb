"""A small archive laid out like the University of Utah's of HRRR, written by zarr itself in its version 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zarr
from numcodecs import Blosc

from weatherml.sources.hrrrzarr import PATHS, STATIC_PATHS

SHAPE = (1059, 1799)
BEFORE, AFTER = (np.datetime64(f"2024-{day}T00:00:00", "s") for day in ("05-31", "06-02"))
"""The archive held float16 before 2024-06-01, and float32 since."""


def array_folder(root: Path, time: np.datetime64, path: str, *, lead: int = 0) -> Path:
    """Where the array valid at `time` lies, as the archive's documentation says."""
    run = (time - np.timedelta64(lead, "h")).item()
    kind = "fcst" if lead else "anl"
    return root / f"sfc/{run:%Y%m%d}/{run:%Y%m%d_%H}z_{kind}.zarr/{path}/{path}"


def write_array(
    folder: Path, values: np.ndarray, dtype: str, *, rows: slice = slice(None), columns: slice = slice(None)
) -> None:
    """Write the rows and columns of a field, or of hours of it; chunks that hold none of them are not written."""
    hours = values.shape[:-2]
    array = zarr.create_array(
        str(folder),
        shape=values.shape,
        chunks=(*hours, 150, 150),
        dtype=dtype,
        fill_value=-9999.0,
        compressors=Blosc(cname="lz4", clevel=1),
        zarr_format=2,
        config={"write_empty_chunks": True},
    )
    with np.errstate(over="ignore"):
        array[..., rows, columns] = values[..., rows, columns].astype(dtype)


def write_hour(root: Path, time: np.datetime64, dtype: str, rows: slice, columns: slice) -> dict[str, np.ndarray]:
    """Write part of the seven channels and the static fields of one analysis; they are returned as they read back."""
    fields = fields_at(time)
    for name, path in (PATHS | STATIC_PATHS).items():
        write_array(array_folder(root, time, path), fields[name], dtype, rows=rows, columns=columns)
    return {name: field.astype(dtype).astype(np.float32) for name, field in fields.items()}


def fields_at(time: np.datetime64) -> dict[str, np.ndarray]:
    """(1059, 1799) float32 of every channel and static field, another at each point and hour, all plausible."""
    y, x = np.meshgrid(*(np.linspace(0, 1, size, dtype=np.float32) for size in SHAPE), indexing="ij")
    hour = int(time.astype("datetime64[h]").astype(int)) % 24 / 24
    wave = np.sin(9 * x + 7 * y + hour)
    return {
        "refc": 35 + 30 * wave,
        "t2m": 290 + 10 * wave,
        "d2m": 285 + 9 * wave,
        "u10": 12 * wave + 3 * y,
        "v10": 8 * x - 5 * wave,
        "cape": 1500 + 1400 * wave,
        "cin": -60 + 50 * wave,
        "orography": 900 + 800 * wave,
        "land_binary_mask": (wave > 0).astype(np.float32),
    }


@contextmanager
def s3_server(files: Mapping[str, bytes]) -> Iterator[str]:
    """The address of an S3 server (moto) whose bucket `hrrrzarr` holds `files`, for all to read."""
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys)
    client.create_bucket(Bucket="hrrrzarr", ACL="public-read")  # listed by all, so that what is absent is a 404
    for key, content in files.items():
        client.put_object(Bucket="hrrrzarr", Key=key, Body=content, ACL="public-read")
    yield f"http://{host}:{port}"
    client.close()
    running.stop()
