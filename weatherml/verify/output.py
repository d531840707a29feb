"""Writing the scores and the report: beside their place first, then each moved there whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weatherml.errors import DiskError, OutputError
from weatherml.files import output_lock, partial_path, refuse_existing, remove, write_json, write_text
from weatherml.verify.diagrams import diagrams_xarray
from weatherml.verify.scores import Scores, to_json, to_xarray

FILES = ("report.html", "scores.nc", "scores.json")  # the last one says that all are there


@contextmanager
def claim_output(output: Path, *, overwrite: bool) -> Iterator[None]:
    """Hold the only right to write scores into the folder `output`, for as long as it takes.

    Raises:
        OutputError: it holds scores already, another process writes there, or it cannot be written.
    """
    refuse_existing(output / FILES[-1], overwrite=overwrite)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made ({error.strerror}); choose another output") from None
    with output_lock(output / "scores"):
        yield


def write_output(output: Path, scores: Scores, report: str) -> None:
    """Write all three files into the folder `output`, which is replaced file by file and not emptied.

    Raises:
        DiskError: the disk is full or fails; what stood there is still whole.
    """
    partial = partial_path(output / "scores")
    try:
        remove(partial)
        partial.mkdir()
        write_text(partial / "report.html", report)
        to_xarray(scores).to_netcdf(partial / "scores.nc", engine="netcdf4")
        for name, diagrams in diagrams_xarray(scores.diagrams, scores.cases.lead_hours).items():
            diagrams.to_netcdf(partial / "scores.nc", engine="netcdf4", mode="a", group=f"diagrams/{name}")
        write_json(partial / "scores.json", to_json(scores))
        (output / FILES[-1]).unlink(missing_ok=True)
        for name in FILES:
            (partial / name).replace(output / name)
    except OSError as error:
        raise DiskError(f"{output}: {error.strerror or error}; make room or choose another output") from None
    finally:
        remove(partial)
