"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option("--data", help="Dataset; the newest in data/ where none is named.")]
Forcing = Annotated[
    Path | None,
    typer.Option("--forcing", help="Dataset or forecast of the large scale (default: that of the training)."),
]
Run = Annotated[
    Path | None, typer.Option("--run", help="Run directory or bundle; the newest in runs/ where none is named.")
]
Runs = Annotated[
    list[Path] | None,
    typer.Option("--run", help="Run directory or bundle; repeats, to blend. The newest in runs/ where none is named."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any configuration key, for example train.lr=0.001; repeats."),
]
Init = Annotated[
    list[str] | None,
    typer.Option(
        "--init",
        help="ISO time, `last`, `test` (all of the test part) or `test:6h` (its times at 0, 6, 12 and 18 UTC); "
        "repeats (default: 16 of test).",
    ),
]
Hours = Annotated[float | None, typer.Option("--hours", help="Length in hours (default: 24 steps).")]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Length in time steps of the model, instead of hours.")
]
Output = Annotated[
    Path | None, typer.Option("--output", help="Forecast to write, .zarr or .nc (default: a new one in forecasts/).")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where to compute; auto takes a GPU where there is one.")
]
Tile = Annotated[
    int | None,
    typer.Option(
        "--tile", min=16, help="Work in tiles of so many points to a side (default: the whole domain at once)."
    ),
]
