"""What the package may never do, wherever a file of a stranger might reach it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(file for folder in ("weatherml", "cli") for file in (ROOT / folder).rglob("*.py"))
MODULES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "cfgrib", "joblib"})
CALLS = frozenset({"eval", "exec", "compile", "__import__"})
"""By their bare names: `re.compile` and `model.eval()` are others."""
METHODS = frozenset({"extractall", "read_pickle", "to_pickle"})
LOADERS = frozenset({"load", "load_all", "full_load", "unsafe_load", "unsafe_load_all"})


def offences(tree: ast.AST) -> Iterator[str]:
    """What is banned in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)
        if isinstance(node, ast.Call):
            yield from called(node)


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    yield from (f"line {node.lineno}: import {name}" for name in modules if name.split(".")[0] in MODULES)


def called(node: ast.Call) -> Iterator[str]:
    owner, _, name = ast.unparse(node.func).rpartition(".")
    settings = {each.arg: ast.unparse(each.value) for each in node.keywords if each.arg}
    wrong = {
        "a name that runs code": not owner and name in CALLS,
        "a method that unpacks anything": name in METHODS,
        "torch.load without weights_only=True": (owner, name) == ("torch", "load")
        and settings.get("weights_only") != "True",
        "yaml.load: safe_load, or weatherml.config": owner == "yaml" and name in LOADERS,
        "allow_pickle": settings.get("allow_pickle", "False") != "False",
        "xarray would ask every plugin, cfgrib among them: name the engine": name in {"open_dataset", "open_mfdataset"}
        and owner in {"xr", "xarray"}
        and "engine" not in settings
        and all(each.arg for each in node.keywords),
        "a shell": settings.get("shell", "False") != "False" or (owner, name) in {("os", "system"), ("os", "popen")},
    }
    yield from (f"line {node.lineno}: {ast.unparse(node.func)}: {what}" for what, is_so in wrong.items() if is_so)


def test_nothing_banned() -> None:
    assert len(FILES) > 200
    found = {file: list(offences(ast.parse(file.read_text(encoding="utf-8")))) for file in FILES}
    assert {str(file.relative_to(ROOT)): lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import cfgrib.xarray_store",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "numpy.load(path, allow_pickle=True)",
        "archive.extractall()",
        "eval(text)",
        "exec(text)",
        "import shelve",
        "import marshal",
        "subprocess.run(text, shell=True)",
        "xr.open_dataset(path)",
    ],
)
def test_each_is_seen(code: str) -> None:
    assert list(offences(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["model.eval()", "re.compile(text)", "torch.load(path, weights_only=True)", "yaml.safe_load(text)"]
)
def test_what_is_safe_passes(code: str) -> None:
    assert not list(offences(ast.parse(code)))
