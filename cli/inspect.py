"""`wml inspect`: what a dataset, run or forecast is, and whether it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.display import say
from cli.options import Json


def inspect(
    path: Annotated[Path, typer.Argument(help="A dataset, a run or a forecast.")],
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte and verify its checksum.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw a run's training curves, as .png, .svg or .pdf.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what a dataset, run or forecast holds: variables, times, gaps, size, health."""
    import json

    from weatherml.run.inspection import inspect

    found = inspect(path, deep=deep)
    if plot is not None:
        from weatherml.run.curves import plot_training

        plot_training(path, plot)
        say(f"training curves: {plot}")
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print_table(found)


def print_table(found: dict[str, Any]) -> None:
    """A two-column table of what was found; nested tables indented below their name."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    simple = {key: value for key, value in found.items() if not isinstance(value, dict)}
    table = Table(show_header=False, box=None, title=str(found.get("path", "")), title_justify="left")
    for key, value in simple.items():
        table.add_row(key.replace("_", " "), "\n".join(map(str, value)) if isinstance(value, list) else str(value))
    console.print(table)
    for key, value in found.items():
        if isinstance(value, dict) and value:
            console.print(nested(key, value))


def nested(name: str, rows: dict[str, Any]) -> Any:
    """A table of rows: of columns where each row is a mapping, else of one value each."""
    from rich.table import Table

    table = Table(title=name.replace("_", " "), title_justify="left", box=None)
    columns = list(next(iter(rows.values()))) if all(isinstance(row, dict) for row in rows.values()) else ["value"]
    for column in ["", *columns]:
        table.add_column(column.replace("_", " "))
    for key, row in rows.items():
        values = list(row.values()) if isinstance(row, dict) else [row]
        table.add_row(key, *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
    return table
