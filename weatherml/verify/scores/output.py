"""Writing the scores and the report: beside their place first, then each moved there whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from weatherml.errors import DiskError, OutputError
from weatherml.files import output_lock, partial_path, refuse_existing, remove, write_text
from weatherml.schema import SCHEMAS, Description
from weatherml.seal import VOUCHED, file_hashes, read_description, require_unchanged, write_description
from weatherml.verify.scores.export import to_json, to_netcdf
from weatherml.verify.scores.scores import Scores

FILES = ("report.html", "scores.nc", "scores.json")  # the last one says that all are there
KIND = "scores"


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


def write_output(output: Path, scores: Scores, report: str, *, parts: Path) -> None:
    """Write all three files into the folder `output`, which is replaced file by file and not emptied.

    The folder `parts`, from which they were made, goes just before the last one comes: a kill leaves no litter beside
    finished scores.

    Raises:
        DiskError: the disk is full or fails; what stood there is still whole.
    """
    partial = partial_path(output / "scores")
    try:
        remove(partial)
        partial.mkdir()
        write_text(partial / "report.html", report)
        (partial / "scores.nc").write_bytes(to_netcdf(scores))
        write_scores(partial, to_json(scores), beside=FILES[:-1])
        (output / FILES[-1]).unlink(missing_ok=True)
        for name in FILES[:-1]:
            (partial / name).replace(output / name)
        remove(parts)
        (partial / FILES[-1]).replace(output / FILES[-1])
    except OSError as error:
        raise DiskError(f"{output}: {error.strerror or error}; make room or choose another output") from None
    finally:
        remove(partial)


def write_scores(folder: Path, scores: Description, *, beside: Sequence[str]) -> None:
    """Write scores.json, which says that all is there and vouches for what lies `beside` it."""
    write_description(folder / FILES[-1], KIND, scores | {VOUCHED: file_hashes(folder, beside)})


def read_scores(folder: Path) -> Description:
    """What `write_scores` wrote.

    Raises:
        BadDataError: it, or a file beside it, is lost or was changed since.
    """
    found = read_description(folder / FILES[-1], KIND)
    require_unchanged(folder, found[VOUCHED], SCHEMAS[KIND].again)
    return found
