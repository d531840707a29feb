"""GRIB messages whose places are known, in files or in a bucket, read hour by hour and checked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.sources.grib.decode import decode, decode_apart
from weatherml.sources.grib.grid import grid_of, relative_to_grid
from weatherml.sources.grib.headers import Field, Keys
from weatherml.sources.grib.message import extract, read_bytes
from weatherml.sources.grib.octets import GribError
from weatherml.sources.grib.table import PlaceTable, Spot
from weatherml.sources.grib.variable import GribVariable
from weatherml.sources.remote import Bucket
from weatherml.sources.source import Array, Description, Frame, Source, Static

REMOTE_THREADS = 4
"""Hours in flight in each worker, while one decodes."""


@dataclass(frozen=True, kw_only=True)
class StaticField:
    """A field that does not change: its keys, `.idx` form, CF attributes, and the places to try in turn."""

    keys: Keys
    sidecar: str
    attributes: dict[str, str]
    spots: tuple[Spot, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GribSource(Source):
    """Messages at known places.

    Attributes:
        variables: the channels with their keys.
        section: section 3 of a message, which defines the grid.
        inputs: name to size.
        step: the regular time step.
        table: the hours that are whole, and where their fields lie.
        statics: by name.
        notes: in words, what was left out.
        quarantined: hours that are not whole, with the reason.
        attributes: global attributes.
        bucket: where the paths are keys; None reads files.
        lead: valid time minus reference time of all; None is any.
    """

    isolated: ClassVar[bool] = True

    variables: tuple[GribVariable, ...]
    section: bytes
    inputs: dict[str, int]
    step: np.timedelta64
    table: PlaceTable
    statics: dict[str, StaticField]
    notes: tuple[str, ...]
    quarantined: dict[str, str]
    attributes: dict[str, str]
    bucket: Bucket | None = None
    lead: np.timedelta64 | None = None

    @property
    def threads(self) -> int:  # type: ignore[override]
        """Hours that a worker reads at the same time: several where the network is waited for."""
        return 1 if self.bucket is None else REMOTE_THREADS

    @property
    def grid(self) -> Grid:
        """The grid of all fields."""
        return grid_of(self.section)

    def horizontal_grid(self) -> Grid:
        """The same, as every source gives it: no field is decoded for it."""
        return self.grid

    @property
    def times(self) -> Array:
        """(N,) datetime64[s], the hours that are whole."""
        return self.table.times

    def describe(self) -> Description:
        """What the archive holds; the first call decodes the static fields."""
        return self._description

    @cached_property
    def _description(self) -> Description:
        decoded = decode_apart({name: self._sound(static) for name, static in self.statics.items()}, self.grid.shape)
        broken = tuple(f"{name}: cannot be decoded, left out" for name in self.statics if name not in decoded)
        return Description(
            grid=self.grid,
            variables=tuple(variable.channel for variable in self.variables),
            times=self.times,
            step=self.step,
            static={
                name: Static(values=field, attributes=self.statics[name].attributes) for name, field in decoded.items()
            },
            inputs=self.inputs,
            notes=self.notes + broken,
            quarantined=self.quarantined,
            attributes=self.attributes,
        )

    def narrowed(self, time: np.datetime64) -> GribSource:
        """This one time's messages: a few kB, whatever the archive's size."""
        return replace(self, table=self.table.only(time), inputs={}, statics={}, notes=(), quarantined={})

    def read(self, times: Array) -> Iterator[Frame]:
        """The fields at `times`, decoded by eccodes in this process.

        Raises:
            BadDataError: what stands at a place is not, or no more, the field that was found there.
            TemporaryError: the bucket does not answer.
        """
        for time in times:
            yield self._state(time, self.table.row(time))

    def _state(self, time: np.datetime64, row: Sequence[Spot]) -> Frame:
        try:
            return self._fields(time, row)
        except BadDataError:
            if self.bucket is None:
                raise
        return self._fields(time, row)  # the network may have broken it: fetched again once

    def _fields(self, time: np.datetime64, row: Sequence[Spot]) -> Frame:
        try:
            messages = self._messages(row)
        except OSError as error:
            raise BadDataError(f"{error.filename}: state at {time}Z: {error}; fetch the file again") from None
        return {
            variable.name: self._values(variable, time, spot, message)
            for variable, spot, message in zip(self.variables, row, messages, strict=True)
        }

    def _messages(self, row: Sequence[Spot]) -> list[bytes]:
        """The bytes at each place, those of a bucket fetched together."""
        if self.bucket is None:
            return [read_bytes(spot.path, spot.offset, spot.length) for spot in row]
        (path,) = {spot.path for spot in row}
        messages = self.bucket.ranges(path.as_posix(), [(spot.offset, spot.length) for spot in row])
        if messages is None:
            raise BadDataError(f"{self.bucket.at(path.as_posix())}: not there, and its index is; the hour is left out")
        return messages

    def _values(self, variable: GribVariable, time: np.datetime64, spot: Spot, message: bytes) -> Array:
        """(H, W) float32 of one variable at one time, NaN where missing."""
        try:
            field, alone = self._checked(message, spot.number, variable.keys)
            if field.valid != time or self.lead not in (None, field.lead):
                raise GribError(f"it is of {field.valid}Z, {field.lead / np.timedelta64(1, 'h'):g} h after its run")
            if self.bucket and variable.component and relative_to_grid(field.grid) != relative_to_grid(self.section):
                raise GribError("its wind has another orientation than that of the first hour")
            values = decode(alone, self.grid.shape)
        except GribError as error:
            at = f"{variable.name} at {time}Z: {error}"
            if self.bucket is None:
                raise BadDataError(f"{spot.path}: {at}; fetch the file again") from None
            raise BadDataError(f"{self.bucket.at(spot.path.as_posix())}: {at}; the hour is left out") from None
        if variable.missing is not None:
            values[values == np.float32(variable.missing)] = np.nan
        return values

    def _checked(self, message: bytes, number: int, keys: Keys) -> tuple[Field, bytes]:
        """A field of a message, and a message that holds it alone.

        Raises:
            GribError: not one whole message, or another field or grid than was found there.
        """
        field, alone = extract(message, number)
        if field.length != len(message):
            raise GribError(f"a message of {field.length} bytes where {len(message)} were found")
        if not field.matches(keys):
            raise GribError("another message now stands at its place")
        if field.grid != self.section and (difference := self.grid.difference(grid_of(field.grid))):
            raise GribError(difference)
        return field, alone

    def _sound(self, static: StaticField) -> Iterator[bytes]:
        """The messages of a static field that can be decoded, as far as headers tell."""
        for spot in static.spots:
            try:
                (message,) = self._messages([spot])
                _, alone = self._checked(message, spot.number, static.keys)
            except (OSError, BadDataError):
                continue
            yield alone
