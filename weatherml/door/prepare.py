"""An archive becomes a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from weatherml.config import load, merge, parse_member
from weatherml.data.prepare import Options
from weatherml.data.prepare import prepare as prepare_states
from weatherml.data.sequences.prepare import prepare_sequences
from weatherml.door.stores import open_dataset, open_forecast
from weatherml.forecast.archive import prepare_forecasts
from weatherml.places import DATA
from weatherml.sources import SOURCES
from weatherml.sources.hrrr import HRRR
from weatherml.sources.sequences import SequenceConfig


def prepare(
    source: str,
    inputs: str | Path | Sequence[str | Path] = (),
    output: str | Path | None = None,
    *,
    config: str | Path | None = None,
    workers: int = 2,
    overwrite: bool = False,
    **settings: Any,
) -> xr.Dataset:
    """Make a dataset, as `wml prepare` does: checked, packed, with statistics and splits.

    A finished dataset of states is extended where there are later times, as by the command.

    Args:
        source: `hrrr`, `netcdf`, `synthetic`, `table`, ... (`wml list sources`).
        inputs: files, folders, globs or URLs.
        output: the store; `data/dataset.zarr` where None.
        config: YAML file with the source's settings.
        workers: processes that decode, for sources that need them.
        overwrite: replace a finished dataset.
        **settings: of the source, over those of `config`: `hours=240, split={"test": 0.1}`.

    Returns:
        The dataset, see `open_dataset`; of HRRR with `forecast_hours` the forecasts, see `open_forecast`.

    Raises:
        ConfigError: an unknown setting, or a value that does not fit.
        MissingInputError: no input.
        BadDataError: inputs that cannot be one dataset.
        OutputError: the output is being written, or exists and there is nothing to add.
        DiskError: too little room.
    """
    target = Path(output) if output is not None else DATA / "dataset.zarr"
    paths = [str(inputs)] if isinstance(inputs, str | Path) else [str(path) for path in inputs]
    chosen = merge(load(config) if config else {}, settings | {"kind": source})
    member = parse_member(SOURCES, chosen, at=source)
    if isinstance(member, SequenceConfig):
        return open_dataset(prepare_sequences(member, paths, target, overwrite=overwrite).path)
    options = Options(workers=workers, overwrite=overwrite)
    if isinstance(member, HRRR) and member.forecast_hours is not None:
        prepare_forecasts(member, paths, target, options=options)
        return open_forecast(target)
    return open_dataset(prepare_states(member, paths, target, options=options).path)
