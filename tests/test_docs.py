"""What the documents and scripts show is what the tool takes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from cli.main import app
from weatherml.config import load, parse_member, shipped_names
from weatherml.run.experiment import resolve
from weatherml.sources import SOURCES

ROOT = Path(__file__).parents[1]
TEXTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "scripts").glob("*.sh"),
    ROOT / "train_optimized.sh",
]


def commands() -> list[str]:
    """Every `wml ...` line, continuation lines joined, comments and redirections cut."""
    found = []
    for path in TEXTS:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = re.findall(
            r"(?:^|\s|exec )(wml (?:prepare|train|rollout|ensemble|evaluate|plot|plan|inspect|list)\b[^`\n]*)", text
        )
        found += [re.split(r"\s[|>#]|>>|\s+;", line)[0].strip() for line in lines]
    return sorted(set(found))


@pytest.mark.parametrize("command", commands())
def test_every_documented_command_parses(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if word not in ("$@", '"$@"')]
    group = typer.main.get_command(app)
    name, rest = words[0], words[1:]
    group.commands[name].make_context(name, rest)  # type: ignore[attr-defined]


def test_the_grib_table_of_the_readme_is_a_configuration() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    config = parse_member(SOURCES, {"kind": "hrrr", **yaml.safe_load(block)}, at="hrrr")
    assert config.variables["rain"]["missing"] == -3


def test_the_settings_of_the_archive_are_a_configuration() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/archive.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    settings = yaml.safe_load(block)
    config = parse_member(SOURCES, {"kind": "hrrr", **settings}, at="hrrr")
    assert set(config.variables) == {"refc", "t2m", "u10", "v10", "cape"}  # what the formulas need is read
    assert config.stored == tuple(settings["stored"])


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_configuration_resolves(name: str) -> None:
    if name.startswith("model/"):
        kind = load(name)["kind"]
        assert resolve(None, model=kind).settings()["model"].items() >= load(name).items()
    else:
        assert resolve(name).settings()["train"]


def test_the_readme_shows_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("bash scripts/quickstart.sh", "bash scripts/test.sh"):
        assert command in text
    for image in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (ROOT / image).is_file(), image


@pytest.mark.parametrize(
    "script", sorted([*(ROOT / "scripts").glob("*.sh"), ROOT / "train_optimized.sh"]), ids=lambda p: p.name
)
def test_every_script_parses(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
