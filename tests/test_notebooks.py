"""The tutorials run from nothing, and come to the numbers that they tell of."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
USED = {"weatherml", "numpy", "xarray", "pandas", "matplotlib", "pathlib"}
LEAST = {"forecast": 20, "ensemble": 20, "emulate": 1, "classify": 0.3, "segment": 0.8}
"""By notebook, what its last number must reach."""
MOST = {"forecast": 100, "ensemble": 100, "emulate": 40, "classify": 1, "segment": 1}


def ran(name: str, folder: Path) -> nbformat.NotebookNode:
    """A tutorial after it ran in `folder`; raises where a cell does."""
    notebook = nbformat.read(TUTORIALS / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", timeout=180, resources={"metadata": {"path": str(folder)}})
    return client.execute()


@pytest.mark.parametrize(
    "name",
    [
        "forecast",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("ensemble", "emulate", "classify", "segment")),
    ],
)
def test_a_tutorial_runs_to_its_last_number(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel draws into the notebook
    cells = [cell for cell in ran(name, tmp_path).cells if cell.cell_type == "code"]
    (told,) = [output["data"]["text/plain"] for output in cells[-1].outputs if "data" in output]
    number = float(re.findall(r"[\d.]+", told)[0])
    assert LEAST[name] <= number <= MOST[name], told
    pictures = [output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2


@pytest.mark.parametrize("path", sorted(TUTORIALS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_tutorial_is_stored_clean_and_needs_little(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    imported = re.findall(r"^(?:import|from) (\w+)", "\n".join(cell.source for cell in code), flags=re.MULTILINE)
    assert set(imported) <= USED
    assert path.stem in LEAST
