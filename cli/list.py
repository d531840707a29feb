"""`wml list`: the members of each family."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import Json


def list_members(
    family: Annotated[
        str | None,
        typer.Argument(
            help="sources, models, samplers, levels, losses, combiners, metrics, baselines or configs (default: all)."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what there is to choose from, with a line about each."""
    import json

    from cli.families import families, members
    from weatherml.errors import UsageError
    from weatherml.registry import suggest

    known = families()
    if family is not None and family not in known:
        raise UsageError(f"{family}: no such family; {suggest(family, known)}")
    found = {name: members(name) for name in ([family] if family else known)}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, entries in found.items():
        print(name)
        for member, line in entries.items():
            print(f"  {member:<24} {line}")
