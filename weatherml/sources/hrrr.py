"""HRRR, and anything else in GRIB2 on one grid: files or the public buckets, variables chosen by message keys.

Files are scanned once, headers only, and of a bucket the `.idx` files are read, into a table of places (file,
byte offset, length) by time and variable; reading goes straight to them. Local runs may overlap (f00 beside
f01): a state is taken from the run with the shortest lead that has it whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PrivateAttr, model_validator

from weatherml.errors import ConfigError, UsageError
from weatherml.sources import grib
from weatherml.sources.base import SOURCES, Array, Source, SourceConfig, utc
from weatherml.sources.grib import INSTANT, Keys
from weatherml.sources.inputs import input_paths
from weatherml.sources.known import GROUND_ATTRIBUTES, known_variable
from weatherml.sources.remote import Bucket, is_url

ARCHIVE = "s3://noaa-hrrr-bdp-pds"
HOUR = np.timedelta64(3600, "s")
LONGEST = 48
"""Hours of HRRR's longest forecasts."""


def _keys(discipline: int, category: int, number: int, surface: int, level: float) -> Keys:
    return {
        "discipline": discipline,
        "parameterCategory": category,
        "parameterNumber": number,
        "typeOfFirstFixedSurface": surface,
        "level": level,
        "productDefinitionTemplateNumber": INSTANT,
    }


CHANNEL_KEYS: dict[str, Keys] = {
    "refc": _keys(0, 16, 196, 10, 0),
    "t2m": _keys(0, 0, 0, 103, 2),
    "d2m": _keys(0, 0, 6, 103, 2),
    "u10": _keys(0, 2, 2, 103, 10),
    "v10": _keys(0, 2, 3, 103, 10),
    "cape": _keys(0, 7, 6, 1, 0),
    "cin": _keys(0, 7, 7, 1, 0),
}
"""Never by message number: CAPE at the surface is message 105 of an f00 file and 108 of an f05 file."""

STATIC_KEYS: dict[str, Keys] = {
    "orography": _keys(0, 3, 5, 1, 0),
    "land_binary_mask": _keys(2, 0, 0, 1, 0),
}
SIDECARS: dict[str, str] = {
    "refc": "REFC:entire atmosphere",
    "t2m": "TMP:2 m above ground",
    "d2m": "DPT:2 m above ground",
    "u10": "UGRD:10 m above ground",
    "v10": "VGRD:10 m above ground",
    "cape": "CAPE:surface",
    "cin": "CIN:surface",
    "orography": "HGT:surface",
    "land_binary_mask": "LAND:surface",
}
"""The same messages in the words of `.idx` files."""


@SOURCES.register("hrrr")
class HRRR(SourceConfig):
    """GRIB2 files (folders searched through, globs or files, any mix of analyses and forecasts), or a bucket.

    Without an input it is NOAA's bucket on AWS; `gs://high-resolution-rapid-refresh` and any other address with
    the same keys below it will do.

    `variables` maps names to settings of `Variable` with `keys`, `missing` and `sidecar` (see `GribVariable`).
    The seven channels (`refc`, `t2m`, `d2m`, `u10`, `v10`, `cape`, `cin`) are known by name, so that
    `{refc: {}, t2m: {}}` is a subset; anything else needs `units` and `keys`, for example
    `{rain: {keys: {discipline: 209, parameterCategory: 6, parameterNumber: 1}, units: mm h-1, missing: -3}}`.

    Attributes:
        lead: hours from a run to the state taken from it, stored at its valid time; None takes the shortest lead
            that stands in the files, and the analyses of a bucket.
        forecast_hours: store whole forecasts up to this lead, of the initial times that `start`, `end`, `months`
            and `hours_of_day` choose, instead of one state a time.
        lagged: hours by which the runs began before the initial time whose forecasts are the members of an ensemble
            (`[0, 1, 2, 3]`), all to the same valid times; None takes the run of the initial time alone.
        members: of an ensemble of several models on one grid, by name, the files or folder of each, instead of an
            input; together with `lagged` each model has all these runs, as in HREF.
        budget_seconds: how long an answer of a bucket is tried for.
    """

    lead: Annotated[int, Field(ge=0, le=LONGEST)] | None = None
    forecast_hours: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    lagged: tuple[NonNegativeInt, ...] | None = Field(None, min_length=2)
    members: dict[str, str] | None = Field(None, min_length=2)
    budget_seconds: PositiveFloat = 120.0

    @model_validator(mode="after")
    def _variables_are_known(self) -> HRRR:
        self.selection()
        return self

    @model_validator(mode="after")
    def _one_lead_or_all(self) -> HRRR:
        if self.lead is not None and self.forecast_hours is not None:
            raise ConfigError("lead, forecast_hours: both are set; leave out one")
        return self

    @model_validator(mode="after")
    def _members_are_forecasts(self) -> HRRR:
        for key in ("lagged", "members"):
            if getattr(self, key) is not None and self.forecast_hours is None:
                raise ConfigError(f"{key}: members are whole forecasts; set forecast_hours too")
        lags = self.lagged or (0,)
        if len(set(lags)) < len(lags):
            raise ConfigError(f"lagged: {list(lags)} has a run twice; a run is one member")
        if (self.forecast_hours or 0) + max(lags) > LONGEST:
            raise ConfigError(
                f"lagged: a run {max(lags)} h before the initial time does not reach {self.forecast_hours} h "
                f"beyond it, the longest has {LONGEST} h; lower forecast_hours"
            )
        return self

    def selection(self) -> tuple[grib.GribVariable, ...]:
        """The wanted variables, in order.

        Raises:
            ConfigError: an unknown setting or key, or a name with neither keys nor a table entry.
        """
        wanted: dict[str, dict[str, Any]] = self.variables or {name: {} for name in CHANNEL_KEYS}
        known = {name: {"keys": keys, "sidecar": SIDECARS[name]} for name, keys in CHANNEL_KEYS.items()}
        return tuple(known_variable(grib.GribVariable, name, each, known, key="keys") for name, each in wanted.items())

    def wanted(self) -> grib.Wanted:
        """The selection and the fields that do not change."""
        return grib.Wanted(
            variables=self.selection(),
            named=bool(self.variables),
            statics={
                name: grib.StaticField(keys=keys, sidecar=SIDECARS[name], attributes=GROUND_ATTRIBUTES[name])
                for name, keys in STATIC_KEYS.items()
            },
            lead=None if self.lead is None else self.lead * HOUR,
        )

    def forecasts(self, inputs: Sequence[str]) -> list[dict[np.timedelta64, Source]]:
        """Of each member, by lead time up to `forecast_hours`: the states of the chosen initial times.

        Raises:
            UsageError: inputs beside `members`.
            What `open` does.
        """
        if self.members and inputs:
            raise UsageError(f"{', '.join(inputs)}: members name their own files; leave out --input")
        models = [[files] for files in self.members.values()] if self.members else [inputs]
        return [leads for model in models for leads in self._runs(model)]

    def _runs(self, inputs: Sequence[str]) -> Iterator[dict[np.timedelta64, Source]]:
        """The members that one model gives."""
        settings = {name: getattr(self, name) for name in HRRR.model_fields}
        settings |= {"forecast_hours": None, "lagged": None, "members": None}
        scanned = self.scan(inputs) if are_files(inputs) else None
        for lag in self.lagged or (0,):
            yield {
                hours * HOUR: HRRRForecast(**(settings | {"lead": hours + lag})).of(scanned, lag * HOUR).open(inputs)
                for hours in range(1, (self.forecast_hours or 0) + 1)
            }

    def build(self, inputs: Sequence[str]) -> grib.GribSource:
        """Find out what the files, or the bucket, hold at which hours.

        Raises:
            MissingInputError: no GRIB file, or no hour of the range in the bucket.
            BadDataError: no usable hour, a variable asked for that is absent, the same field twice, two grids,
                or irregular times.
            ConfigError: a bucket without `start` and `end`, or whole forecasts, which are no dataset.
            TemporaryError: the bucket does not answer.
        """
        if self.forecast_hours is not None:
            raise ConfigError("forecast_hours: whole forecasts are no dataset; set lead for states at one lead time")
        if are_files(inputs):
            return grib.open_files(self.wanted(), self.scan(inputs), self.within, at=", ".join(inputs))
        if len(inputs) > 1:
            raise UsageError(f"{', '.join(inputs)}: one bucket at a time, and no files beside it; give one --input")
        bucket = Bucket(inputs[0] if inputs else ARCHIVE, self.budget_seconds)
        return grib.open_bucket(self.wanted(), bucket, self.remote_files())

    def scan(self, inputs: Sequence[str]) -> list[grib.ScannedFile]:
        """The headers of all files, searched for what is wanted.

        Raises:
            MissingInputError: no GRIB file.
        """
        keys = self.wanted().keys
        files = [grib.scan_file(path, keys) for path in input_paths(inputs, grib.is_grib, what="GRIB2")]
        return files if self.lead is None else grib.at_lead(files, self.lead * HOUR)

    def remote_files(self) -> dict[np.datetime64, grib.RemoteFile]:
        """The files of a bucket that hold the states asked for, by valid time.

        Raises:
            ConfigError: no `start` or `end`, or nothing between them.
        """
        if self.start is None or self.end is None:
            raise ConfigError(f"{'end' if self.start else 'start'}: a bucket holds years; set --start and --end")
        lead = (self.lead or 0) * HOUR
        first, last = (utc(text, key) for text, key in ((self.start, "start"), (self.end, "end")))
        hours = np.arange(first.astype("datetime64[h]"), last + lead + HOUR, HOUR).astype("datetime64[s]")
        times = self.within(hours)
        if not len(times):
            raise ConfigError(f"start, end: no hour from {first}Z to {last}Z is chosen; widen them")
        return {time: _remote_file(time - lead, lead) for time in times}


class HRRRForecast(HRRR):
    """States at one lead of whole forecasts, chosen by their initial times; without the fields that do not change."""

    _scanned: list[grib.ScannedFile] | None = PrivateAttr(None)
    _lag: np.timedelta64 = PrivateAttr(0 * HOUR)

    def of(self, scanned: list[grib.ScannedFile] | None, lag: np.timedelta64) -> HRRRForecast:
        """The same with files that were scanned before, of runs that began `lag` before the initial time."""
        self._scanned, self._lag = scanned, lag
        return self

    def scan(self, inputs: Sequence[str]) -> list[grib.ScannedFile]:
        """The fields of the files at this lead."""
        return super().scan(inputs) if self._scanned is None else grib.at_lead(self._scanned, (self.lead or 0) * HOUR)

    def build(self, inputs: Sequence[str]) -> grib.GribSource:
        """The states alone."""
        return replace(super().build(inputs), statics={})

    def within(self, times: Array) -> Array:
        """Those of the valid `times` whose initial times the settings choose."""
        ahead = (self.lead or 0) * HOUR - self._lag
        return super().within(times - ahead) + ahead


def are_files(inputs: Sequence[str]) -> bool:
    """Whether local files are named, and no bucket."""
    return bool(inputs) and not any(map(is_url, inputs))


def _remote_file(reference: np.datetime64, lead: np.timedelta64) -> grib.RemoteFile:
    day, hour = str(reference.astype("datetime64[h]")).split("T")
    name = f"hrrr.t{hour}z.wrfsfcf{lead // HOUR:02d}.grib2"
    return grib.RemoteFile(key=f"hrrr.{day.replace('-', '')}/conus/{name}", reference=reference, lead=lead)
