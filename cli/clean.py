"""`wml clean`: disk space back from killed writers and old checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.display import say
from weatherml.places import DATA, EVALUATION, FORECASTS, RUNS


def clean(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Outputs, or folders of them (default: data/, runs/, forecasts/ and evaluation/)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    keep_checkpoints: Annotated[
        int, typer.Option(min=1, help="How many of the newest stay in each run, beside the best.")
    ] = 2,
    recent: Annotated[bool, typer.Option("--all", help="Remove also what was written within the last hour.")] = False,
) -> None:
    """Remove what killed writers left and checkpoints beyond the newest; never a finished output."""
    from weatherml.doctor.cleaning import clean
    from weatherml.files import readable_size

    places = paths or [folder for folder in (DATA, RUNS, FORECASTS, EVALUATION) if folder.is_dir()]
    freed = 0
    for each in clean(places, dry_run=dry_run, keep_checkpoints=keep_checkpoints, recent=recent):
        freed += 0 if each.kept else each.size
        verb = "kept" if each.kept else "would remove" if dry_run else "removed"
        print(f"{verb} {each.path} ({readable_size(each.size)}){f': {each.kept}' if each.kept else ''}")
    say(f"{'would free' if dry_run else 'freed'} {readable_size(freed)}")
