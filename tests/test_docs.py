"""What the documents and scripts show is what the tool takes, and runs."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

from cli.families import registries
from cli.main import app
from tests.cli.commands import wml
from tests.documented import BRIEF, PAGES, ROOT, SCRIPTS, SMALL, World, blocks, commands
from weatherml.config import load, parse_member, shipped_names
from weatherml.run.experiment import resolve
from weatherml.sources import SOURCES

SHOWN = commands(PAGES)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NOT_RUN = {
    r"\$|\.\.\.": "the names are filled in by a script, or by the reader",
    r"prepare hrrr": "asks the public archive: tests/sources run it on real messages and on a server of their own",
    r"prepare (cmip|patches)|camels": "needs published files: tests/sources run it on files like them",
    r"train .*(climate|forest)": "needs a dataset of those files: tests/train run these models",
    r"wml (doctor|clean)": "looks at the whole installation and folder: its own tests run it",
    r"--config \w+\.yaml": "the file is a block of the page, which is parsed, or what a command before it wrote",
}
"""Commands that are parsed and not run, and why."""

SLOW = (
    r"--find-lr|--vram|plan --model|--members 100|muon|pushforward|horizon=4$|overnight/|storm.gif|p40.gif|"
    r"forecasts/hrrr.zarr|data/(year|fortnight|decade)|--members 50 --hours 24$|runs/overnight|--weights|"
    r"--format torch|safetensors --data data/dataset.zarr --members|--combine pool|tflops|sampler heun|--fit$|"
    r"--perturb|synthetic$|runs/b --combine"
)
"""Variations on what is run anyway, for the long run of the tests."""


THERE = {"plains=35,45,-105,-95": "plains=31.8,32.1,-81.3,-81"}
"""Places of the documents, and where the small world has them."""


def reason_not_to_run(command: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, command)), None)


RUN = [command for command in SHOWN if reason_not_to_run(command) is None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("command", sorted({*SHOWN, *commands(SCRIPTS)}))
def test_every_documented_command_parses(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if word not in ("$@", '"$@"')]
    group = typer.main.get_command(app)
    name, rest = words[0], words[1:]
    group.commands[name].make_context(name, rest)  # type: ignore[attr-defined]


def test_inline_commands_name_what_there_is() -> None:
    """In running text commands are shortened; their names and options are real all the same."""
    known = {
        name: {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    }
    for path in PAGES:
        for name, rest in re.findall(r"`wml ([a-z]+)([^`]*)`", path.read_text(encoding="utf-8")):
            assert {*re.findall(r"--[a-z-]+", rest)} <= known[name], f"{path.name}: wml {name}{rest}"


@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=pytest.mark.slow) if re.search(SLOW, each) else each for each in RUN]
)
def test_every_command_that_a_small_world_serves_runs(
    command: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [THERE.get(word, word) for word in shlex.split(command)[1:]]
    world.furnish(tmp_path, words)
    monkeypatch.chdir(tmp_path)
    code, _, err = wml(*words, *shlex.split(in_small(command)))
    assert code == 0, err


def in_small(command: str) -> str:
    """What makes a command short: the last of an option that stands twice counts."""
    kind = command.split()[1]
    if kind == "train":
        calm = " --set data.storms.threshold=20" * ("data.storms" in command)
        return BRIEF if "floods" in command else f"{SMALL} {BRIEF}{calm}"
    if kind == "plan":
        return f"--no-time {SMALL}" + ("" if "--data" in command else " --grid 64x64")
    if kind != "ensemble" or "floods" in command:
        return ""
    fitted = "--combine" in command and "pool" not in command
    return "--members 2 --hours 2" + ("" if "--init" in command else " --init last") + " --set cases=3" * fitted


def configured_blocks() -> Iterator[Any]:
    """Each block of YAML with the source that it is for: that of the last `wml prepare SOURCE` before its keys."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for number, match in enumerate(re.finditer(r"```yaml\n(.*?)```", text, flags=re.DOTALL)):
            before = text[: match.start()] + match[1].partition("\n")[0]
            source = re.findall(r"wml prepare ([a-z0-9]+) ", before)[-1]
            yield pytest.param(source, match[1], id=f"{path.name}-{number}")


@pytest.mark.parametrize(("source", "block"), [*configured_blocks()])
def test_every_block_of_yaml_is_a_configuration(source: str, block: str) -> None:
    settings = yaml.safe_load(block)
    config = parse_member(SOURCES, {"kind": source, **settings}, at=source)
    assert settings.keys() <= type(config).model_fields.keys()


def test_the_settings_of_the_archive_read_what_the_formulas_need() -> None:
    (block,) = blocks(ROOT / "docs/archive.md", "yaml")
    config = parse_member(SOURCES, {"kind": "hrrr", **yaml.safe_load(block)}, at="hrrr")
    assert set(config.variables) == {"refc", "t2m", "u10", "v10", "cape"}
    assert config.stored == ("refc", "t2m", "wind_speed", "warm_cape")


def flood_cases() -> dict[str, Any]:
    """What the estimator's example is given: 60 cases of five days and three features, a third of them events."""
    random = np.random.default_rng(0)
    return {"X": random.normal(size=(60, 5, 3)).astype(np.float32), "y": np.arange(60) % 3 == 0}


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {"floods.md": flood_cases}
"""Names that a page's Python takes for granted."""

LENT = {"README.md": ["data/hrrr.zarr"], "data.md": ["data/hrrr.zarr"], "export.md": ["hrrr.safetensors", "hrrr.pt2"]}
"""What it opens without having made it."""

LONG = {"export.md": "torch.export takes its time"}
RUN_ELSEWHERE = {"CONTRIBUTING.md": "tests/test_contributing.py runs its members in training and scoring"}


def page_of(path: Path) -> Any:
    return pytest.param(path, id=path.name, marks=[pytest.mark.slow] if path.name in LONG else [])


@pytest.mark.filterwarnings("ignore:.*")  # as in a user's session: what others' packages deprecate is not an error
@pytest.mark.parametrize("page", [page_of(p) for p in PAGES if blocks(p, "python")])
def test_the_python_of_every_page_runs(
    page: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page's blocks are one program, in the order of the page."""
    if page.name in RUN_ELSEWHERE:
        pytest.skip(RUN_ELSEWHERE[page.name])
    program = "\n".join(blocks(page, "python"))
    world.furnish(tmp_path, ["python", *LENT.get(page.name, [])])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text(program)
    runpy.run_path("page.py", init_globals=GIVEN.get(page.name, dict)())


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_every_file_that_is_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    made = {ROOT / "docs/reference" / f"{family}.md" for family in registries()}
    made |= {path.with_suffix(".md") for path in (ROOT / "docs/tutorials").glob("*.ipynb")}
    for link in LINK.findall(text):
        target = (page.parent / link.partition("#")[0]).resolve()
        assert link.startswith(("http", "#")) or target.exists() or target in made, link
    named = re.findall(r"(?:scripts|benchmarks|configs|tests|weatherml|cli)/[\w/.-]+\.(?:sh|py|yaml|md)", text)
    examples = {"weatherml/losses/huber.py", "weatherml/metrics/miss_share.py"}  # what the reader is to write
    for name in [*named, *(f"benchmarks/{each}.py" for each in re.findall(r"python -m benchmarks\.(\w+)", text))]:
        assert (ROOT / name).exists() or name in examples, name


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=lambda path: path.name)
def test_every_script_parses(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
