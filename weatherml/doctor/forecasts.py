"""Checks of forecasts, zarr stores and NetCDF files: leads, members, and values that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.foreign import require_opens
from weatherml.data.store import verify_marker
from weatherml.doctor.finding import Finding, Subject, note, ok, problem
from weatherml.doctor.stores import chunks as store_chunks
from weatherml.errors import BadDataError, reason
from weatherml.schema import KEY, SCHEMAS

Array = npt.NDArray[Any]
DECLARED = ("stopped", "missing")
"""Attributes in which a forecast says itself what it lacks, and why."""
AXES = ("init_time", "lead_time", "member")
NOTHING: tuple[Any, ...] = (None, {}, "{}")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The forecast as xarray shows it.

    Raises:
        BadDataError: unfinished, of another schema, its metadata changed, or no forecast.
    """
    import xarray as xr  # noqa: PLC0415 - slow to import

    if path.is_dir():
        verify_marker(path, "forecast")
    else:
        require_opens(path)
    with xr.open_zarr(str(path)) if path.is_dir() else xr.open_dataset(path, engine="netcdf4") as forecast:
        if not {"init_time", "lead_time"} <= set(forecast.coords):
            raise BadDataError(f"{path}: has no init_time and lead_time; give a forecast")
        yield forecast


def forecast(subject: Subject) -> Iterator[Finding]:
    """Marker, schema, metadata, and what it holds; with `deep` of NetCDF first of all the seal."""
    if subject.deep and subject.path.is_file():
        yield sealed(subject.path)
    with opened(subject.path) as found:
        if KEY in found.attrs:  # anyone's forecast may lie there
            SCHEMAS["forecast"].upgraded({KEY: int(found.attrs[KEY])}, subject.path)
        sizes = ", ".join(f"{found.sizes[name]} {name}s" for name in AXES if name in found.dims)
        yield ok(f"{sizes} of {', '.join(fields(found))}")


def sealed(path: Path) -> Finding:
    """Whether a NetCDF file is as it was written, before HDF5, which a changed header may crash, opens it."""
    if require_opens(path, whole=True):
        return ok("every byte is as it was written")
    return note("keeps no checksum of all its bytes: another program wrote it, or its last line is lost")


def chunks(subject: Subject) -> Iterator[Finding]:
    """The files of every array of a store, or with `deep` every value of a NetCDF file."""
    if subject.path.is_dir():
        yield from store_chunks(subject)
    elif subject.deep:
        with opened(subject.path) as found:
            for name in found.variables:
                found[name].load()
        yield ok("every value reads")


def leads(subject: Subject) -> Iterator[Finding]:
    """Leads and members without a hole, initial times in order."""
    with opened(subject.path) as found:
        axes = {name: _numbers(found[name].values) for name in AXES if name in found.coords}
    broken = {name: place for name, axis in axes.items() if (place := _break(name, axis)) is not None}
    for name, place in broken.items():
        yield problem(f"{name}: out of step after entry {place} of {len(axes[name])}", "make the forecast again")
    if not broken:
        yield ok(f"{', '.join(axes)}: in step")


def declared(subject: Subject) -> Iterator[Finding]:
    """What the forecast itself says that it lacks."""
    with opened(subject.path) as found:
        for name in DECLARED:
            if found.attrs.get(name) not in NOTHING:
                yield note(f"{name}: {found.attrs[name]}", "train longer, or prepare what the archive has by now")


def values(subject: Subject) -> Iterator[Finding]:
    """Missing values: of every field with `deep`, else of the first and the last forecast's last lead."""
    with opened(subject.path) as found:
        known = any(found.attrs.get(name) not in NOTHING for name in DECLARED)
        cases, last = range(found.sizes["init_time"]), found.sizes["lead_time"] - 1
        places = list(product(cases, range(last + 1)) if subject.deep else product({0, cases[-1]}, [last]))
        for name in fields(found):
            yield _missing(found[name], places, known=known)


def fields(found: Any) -> list[str]:
    """The names of what has leads."""
    return [str(name) for name, array in found.data_vars.items() if {"init_time", "lead_time"} <= set(array.dims)]


def _missing(array: Any, places: list[tuple[int, int]], *, known: bool) -> Finding:
    """What is missing of one variable at some (initial time, lead)."""
    shares = np.array([_share(array.isel(init_time=case, lead_time=lead)) for case, lead in places])
    if not shares.any():
        return ok(f"{array.name}: no value missing in {len(shares)} fields")
    case, lead = places[int(shares.argmax())]
    where = f"most at {_label(array.isel(init_time=case, lead_time=lead))}"
    if (shares == 1).any() and not known:
        empty = (shares == 1).sum()
        return problem(f"{array.name}: {empty} fields of {len(shares)} are empty, {where}", "make it again")
    return note(f"{array.name}: {shares.mean():.2%} of the values of {len(shares)} fields are missing, {where}")


def _share(field: Any) -> float:
    """Of the values of one field, how many are missing.

    Raises:
        BadDataError: its chunk is damaged.
    """
    try:
        return float(np.isnan(field.values).mean())
    except Exception as error:  # noqa: BLE001 - codecs raise ValueError, RuntimeError and their own
        where = f"{field.name} at {_label(field)}"
        raise BadDataError(f"{where}: damaged ({reason(error)}); make the forecast again") from None


def _label(field: Any) -> str:
    hours = _numbers(field["lead_time"].values) / 3600
    return f"{field['init_time'].values:.19}Z + {hours:g} h"


def _break(name: str, axis: Array) -> int | None:
    """How many entries go well before the first that is out of step; None where all do."""
    steps = np.diff(axis)
    wrong = np.flatnonzero(steps <= 0 if name == "init_time" else steps != steps[:1])
    return int(wrong[0]) + 1 if len(wrong) else None


def _numbers(axis: Array) -> Array:
    """Times in seconds, members as they are."""
    return axis.astype(f"{axis.dtype.kind}8[s]").astype(np.int64) if axis.dtype.kind in "mM" else axis
