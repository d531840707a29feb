"""`wml prepare`: an archive becomes a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.display import bar, duration, say
from cli.options import Json, Overwrite, Set

if TYPE_CHECKING:
    from weatherml.data.estimate import Estimate
    from weatherml.data.prepare import Options
    from weatherml.sources.base import SourceConfig
    from weatherml.sources.hrrr import HRRR

WORKERS = 2
MOST_NAMED = 5


def prepare(
    source: Annotated[str, typer.Argument(help="Kind of archive: hrrr, netcdf, synthetic, ... (`wml list sources`).")],
    inputs: Annotated[list[str] | None, typer.Option("--input", help="File, folder, glob or URL; repeats.")] = None,
    output: Annotated[Path, typer.Option("--output", help="The dataset to write.")] = Path("data/dataset.zarr"),
    config: Annotated[str | None, typer.Option("--config", help="YAML file with the source's settings.")] = None,
    start: Annotated[
        str | None, typer.Option(help="First time kept, ISO 8601 UTC (default: the first there is).")
    ] = None,
    end: Annotated[str | None, typer.Option(help="Last time kept, ISO 8601 UTC (default: the last there is).")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes that decode (default: 2).")] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a dask scheduler whose workers decode instead.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what it will take: hours, bytes, minutes; write nothing.")
    ] = False,
    as_json: Json = False,
    overwrite: Overwrite = False,
    assignments: Set = None,
) -> None:
    """Turn an archive into a dataset that trains: checked, packed, with statistics and splits."""
    from weatherml.config import load, merge, override, parse_member
    from weatherml.data.estimate import estimate
    from weatherml.data.prepare import Options
    from weatherml.data.sequences.prepare import prepare_sequences
    from weatherml.errors import UsageError
    from weatherml.sources import SOURCES
    from weatherml.sources.hrrr import HRRR
    from weatherml.sources.sequences import SequenceConfig

    given = {key: value for key, value in {"start": start, "end": end}.items() if value is not None}
    refuse_unknown(source, given, {"workers": workers, "dask": dask, "dry-run": dry_run or None})
    if as_json and not dry_run:
        raise UsageError("--json: only with --dry-run; `wml inspect --json` tells what a dataset holds")
    settings = override(merge(load(config) if config else {}, given | {"kind": source}), assignments or [])
    member = parse_member(SOURCES, settings, at=source)
    if isinstance(member, SequenceConfig):
        say_sequences(prepare_sequences(member, inputs or [], output, overwrite=overwrite).path)
    else:
        options = Options(workers=workers or WORKERS, dask=dask, overwrite=overwrite)
        if dry_run:
            say_estimate(estimate(member, inputs or [], output, options=options), output, as_json=as_json)
            return
        if isinstance(member, HRRR) and member.forecast_hours is not None:
            prepare_archived(member, inputs or [], output, options)
            return
        prepare_states(member, inputs or [], output, options)
    print(f"dataset: {output}")


def refuse_unknown(source: str, times: dict[str, str], processes: dict[str, Any]) -> None:
    """Raise UsageError for an option that a source of sequences has no use for."""
    from weatherml.errors import UsageError
    from weatherml.sources import SOURCES
    from weatherml.sources.sequences import SequenceConfig

    kind = SOURCES[source]
    if not issubclass(kind, SequenceConfig):
        return
    unused = [key for key in times if key not in kind.model_fields]
    for key in [*unused, *(key for key, value in processes.items() if value is not None)]:
        raise UsageError(f"--{key}: {source} does not take it; leave it out, or see its keys with --set")


def prepare_states(config: SourceConfig, inputs: list[str], output: Path, options: Options) -> None:
    """Prepare a dataset that forecasts learn from, and say what it holds."""
    from weatherml.data.prepare import prepare

    with bar("prepare") as progress:
        dataset = prepare(config, inputs, output, options=options, progress=progress)
    say_quality(dataset.path)
    first, last = dataset.times[0], dataset.times[-1]
    say(f"{len(dataset.times)} times {first}Z to {last}Z, {' x '.join(map(str, dataset.grid.shape))} points")
    say(f"variables: {', '.join(dataset.names)}")


def prepare_archived(config: HRRR, inputs: list[str], output: Path, options: Options) -> None:
    """Store forecasts that a weather service made, and say what is missing of them."""
    from weatherml.forecast.archive import prepare_forecasts

    with bar("forecasts") as progress:
        made = prepare_forecasts(config, inputs, output, options=options, progress=progress)
    for initial, reasons in made.missing.items():
        say(f"missing: {initial} + {', '.join(reasons)}: {next(iter(reasons.values()))}")
    first, last = made.init_times[0], made.init_times[-1]
    say(f"{len(made.init_times)} initial time(s) {first}Z to {last}Z, {config.forecast_hours} hours each")
    print(f"forecast: {output}")


def say_estimate(found: Estimate, output: Path, *, as_json: bool) -> None:
    """Print what a preparation will take."""
    import json
    from dataclasses import asdict

    from weatherml.files import readable_size

    if as_json:
        print(json.dumps(asdict(found) | {"fits": found.fits}))
        return
    stored, free = readable_size(found.store_bytes), readable_size(found.free_bytes)
    print(f"times: {found.times}, {found.first} to {found.last}")
    for what in ("missing", "out_of_reach", "quarantined"):
        named = list(getattr(found, what))
        tail = ": " + ", ".join(named[:MOST_NAMED]) + (", ..." if len(named) > MOST_NAMED else "") if named else ""
        print(f"{what.replace('_', ' ')}: {len(named)}{tail}")
    print(f"to fetch: {readable_size(found.fetch_bytes)}")
    print(f"dataset: {stored}, {free} free at {output}" + ("" if found.fits else ": too little, make room"))
    print(f"time: about {duration(found.seconds)}")


def say_sequences(path: Path) -> None:
    """Tell what a dataset of sequences holds: samples by part, positives, and what was left out."""
    from weatherml.files import read_json
    from weatherml.sources.sequences import PARTS

    report = read_json(path / "quality.json")
    for note in report["notes"]:
        say(f"note: {note}")
    say(f"{report['series']} series")
    for part in PARTS:
        counts = report[part]
        positives = f", {counts['positive']} positives: {counts['base_rate']:.3g}" if "positive" in counts else ""
        say(f"{part}: {counts['samples']} samples{positives and positives + ' of all values'}")


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
