"""`wml doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.defaults import dataset_path, forecast_path, run_path
from cli.display import say
from cli.options import Json
from weatherml.errors import BadDataError, MissingInputError

if TYPE_CHECKING:
    from weatherml.doctor.finding import Finding

NEWEST: tuple[Callable[[], Path], ...] = (partial(dataset_path, None), partial(run_path, None), forecast_path)
STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Outputs, or folders of them (default: the installation, and the newest outputs)."),
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte and verify its checksum.")] = False,
    as_json: Json = False,
) -> None:
    """Check outputs, or the installation and the newest outputs; the exit code is 65 where there is a problem."""
    import json
    from dataclasses import asdict

    from weatherml.doctor.examination import examine
    from weatherml.doctor.installation import installation

    found = [finding for path in paths or newest() for finding in examine(path, deep=deep)]
    if not paths:
        found = [*installation(), *found]
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        show(found)
    problems = sum(finding.level == "problem" for finding in found)
    say(f"{problems} problems in {len(found)} findings")
    if problems:
        raise typer.Exit(BadDataError.exit_code)


def newest() -> Iterator[Path]:
    """The newest dataset, run and forecast, as far as there are any."""
    for find in NEWEST:
        try:
            yield find()
        except MissingInputError as error:
            say(str(error))


def show(found: list[Finding]) -> None:
    """A table on a terminal, elsewhere one line a finding."""
    if not sys.stdout.isatty():
        for finding in found:
            todo = f"; {finding.todo}" if finding.todo else ""
            print(f"{finding.level}: {finding.about}: {finding.what}{todo}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "about", "found", "what to do", box=None)
    for finding in found:
        level = Text(finding.level, style=STYLES[finding.level])
        table.add_row(level, Text(finding.about), Text(finding.what), Text(finding.todo))
    Console().print(table)
