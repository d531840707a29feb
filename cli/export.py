"""`wml export`: a run becomes one file, to hand on or to deploy."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.defaults import run_path
from cli.options import Overwrite, Run
from weatherml.places import EXPORTS, fresh, run_name


class Format(StrEnum):
    """What the file is for."""

    bundle = "bundle"
    torch = "torch"


def export(
    run: Run = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write, .safetensors or .pt2 (default: in exports/).")
    ] = None,
    as_format: Annotated[
        Format,
        typer.Option("--format", help="A bundle for this tool's own commands, or torch's program of one step."),
    ] = Format.bundle,
    data: Annotated[
        Path | None, typer.Option(help="The run's dataset, for the coordinates in a bundle (default: the run's own).")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a run as one file: a bundle, or a program for torch without this package."""
    from weatherml.errors import UsageError
    from weatherml.forecast.deploy import export_program
    from weatherml.run.bundle import SUFFIX
    from weatherml.run.exported import export_bundle

    chosen = run_path(run)
    if as_format is Format.bundle:
        made = export_bundle(chosen, output or fresh(EXPORTS, run_name(chosen), SUFFIX), data=data, overwrite=overwrite)
    elif data is None:
        made = export_program(chosen, output or fresh(EXPORTS, run_name(chosen), ".pt2"), overwrite=overwrite)
    else:
        raise UsageError("--data: is for bundles; a program takes its fields as inputs, leave it out")
    print(f"{as_format.value}: {made}")
