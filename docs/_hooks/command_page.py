"""The command line, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from typing import Any

from markdown_text import prose, table
from typer.main import get_command

from cli.main import app


def commands() -> str:
    """A section a command."""
    group: Any = get_command(app)
    return "\n\n".join(section(name, command) for name, command in group.commands.items())


def section(name: str, command: Any) -> str:
    """What a command does, how it is called, and what it takes."""
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    records = [each.get_help_record(context) for each in command.params]
    rows = [(f"`{one_value(what)}`", prose(meaning)) for what, meaning in records]
    text = prose(inspect.cleandoc(command.help or ""))
    return f"## wml {name}\n\n{text}\n\n    wml {name} {usage}\n\n{table(('option', 'meaning'), rows)}"


def one_value(option: str) -> str:
    """`--input <str>` for `--input <list[str]>`, `--steps <int>` for `--steps <int range>`: what is given each time."""
    return re.sub(r"<(?:list\[)?(\w+)(?:\]| range)?>", r"<\1>", option)
