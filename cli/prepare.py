"""`wml prepare`: an archive becomes a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.display import bar, say
from cli.options import Overwrite, Set


def prepare(
    source: Annotated[str, typer.Argument(help="hrrr, netcdf, synthetic, ... (`wml list sources`).")],
    inputs: Annotated[list[str] | None, typer.Option("--input", help="File, folder, glob or URL; repeats.")] = None,
    output: Annotated[Path, typer.Option("--output", help="The dataset to write.")] = Path("data/dataset.zarr"),
    config: Annotated[str | None, typer.Option("--config", help="YAML file with the source's settings.")] = None,
    start: Annotated[str | None, typer.Option(help="First time kept, ISO 8601 UTC.")] = None,
    end: Annotated[str | None, typer.Option(help="Last time kept, ISO 8601 UTC.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes that decode.")] = 2,
    dask: Annotated[str | None, typer.Option(help="Address of a dask scheduler to use instead.")] = None,
    overwrite: Overwrite = False,
    assignments: Set = None,
) -> None:
    """Turn an archive into a dataset that trains: checked, packed, with statistics and splits."""
    from weatherml.config import load, merge, override, parse_member
    from weatherml.data.prepare import Options, prepare
    from weatherml.sources import SOURCES

    given = {key: value for key, value in {"start": start, "end": end}.items() if value is not None}
    settings = override(merge(load(config) if config else {}, given | {"kind": source}), assignments or [])
    with bar("prepare") as progress:
        dataset = prepare(
            parse_member(SOURCES, settings, at=source),
            inputs or [],
            output,
            options=Options(workers=workers, dask=dask, overwrite=overwrite),
            progress=progress,
        )
    say_quality(dataset.path)
    first, last = dataset.times[0], dataset.times[-1]
    say(f"{len(dataset.times)} times {first}Z to {last}Z, {' x '.join(map(str, dataset.grid.shape))} points")
    say(f"variables: {', '.join(dataset.names)}")
    print(f"dataset: {dataset.path}")


def say_quality(path: Path) -> None:
    """Tell what the quality checks found."""
    from weatherml.files import read_json

    report = read_json(path / "quality.json")
    for note in report["notes"]:
        say(f"note: {note}")
    for time, reason in report["quarantined"].items():
        say(f"quarantined: {time}: {reason}")
    for finding in report["findings"]:
        if finding["finding"] == "masked":
            values = " to ".join(f"{value:g}" for value in sorted({finding["lowest"], finding["highest"]}))
            valid = " to ".join(f"{value:g}" for value in finding["valid"])
            where = f"{finding['variable']} at {finding['time']}"
            say(f"masked: {where}: {finding['points']} point(s) at {values}; valid is {valid}")
    if report["missing"]:
        say(f"missing: {len(report['missing'])} time(s), the first {report['missing'][0]}; see {path}/quality.json")
