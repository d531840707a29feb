"""The commands by name. To add one: a file with a function of its name, and its import here."""

from __future__ import annotations

from collections.abc import Callable

import typer

from cli.clean import clean
from cli.doctor import doctor
from cli.ensemble import ensemble
from cli.evaluate import evaluate
from cli.export import export
from cli.inspect import inspect
from cli.list import list_members
from cli.plan import plan
from cli.plot import plot
from cli.prepare import prepare
from cli.rollout import rollout
from cli.train import train


def add_commands(app: typer.Typer) -> None:
    """Give the app its commands, in the order of the data's way."""
    commands: dict[str, Callable[..., None]] = {
        "prepare": prepare,
        "train": train,
        "rollout": rollout,
        "ensemble": ensemble,
        "evaluate": evaluate,
        "plot": plot,
        "export": export,
        "plan": plan,
        "inspect": inspect,
        "list": list_members,
        "doctor": doctor,
        "clean": clean,
    }
    for name, command in commands.items():
        app.command(name)(command)
