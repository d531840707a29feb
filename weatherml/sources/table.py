"""Daily tables of places: sequences of features, and whether an event followed."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeInt, PositiveInt

from weatherml.config import Config, parse
from weatherml.errors import BadDataError
from weatherml.grid import Grid
from weatherml.registry import suggest
from weatherml.sources.base import SOURCES
from weatherml.sources.inputs import input_paths
from weatherml.sources.sequences import NO_PART, SequenceConfig, Sequences, complete_samples
from weatherml.sources.tables.format import TableFormat
from weatherml.sources.tables.split import DAY, TableSplit
from weatherml.tasks import Task
from weatherml.variables import Variable

if TYPE_CHECKING:
    from weatherml.sources.tables.days import Days

Array = npt.NDArray[Any]
POINT = Grid(kind="index", y=np.zeros(1), x=np.zeros(1))


class Exceeds(Config):
    """The event that a column is above what it exceeds on few days.

    Attributes:
        column: what is high at the event; it is no feature unless it is named as one.
        quantile: of the column in the training period of each place; above it is the event.
    """

    column: str
    quantile: float = Field(gt=0, lt=1)


@SOURCES.register("table")
class Table(SequenceConfig):
    """Tables with a row for each place and day: CSV or other text, parquet, NetCDF.

    Names of columns are taken in lower case, without units in brackets, and with `_` for all but letters and digits.

    Attributes:
        formats: how to read the files; each is read by the first whose glob fits its name. Files of one format follow
            one below the other, formats stand side by side.
        features: columns that enter, in order; None takes all with numbers but the label's.
        label: a column of 0 and 1, or the event that a column is high.
        length: S, the days of a sequence.
        lead: days from the last of them to the label's.
        split: the division into parts.
        variables: by column, settings of `Variable`: `{prcp: {transform: log1p}}`.
    """

    task: ClassVar[Task] = "classify"
    isolated: ClassVar[bool] = True

    formats: tuple[TableFormat, ...] = Field((TableFormat(),), min_length=1)
    features: tuple[str, ...] | None = None
    label: str | Exceeds = "label"
    length: PositiveInt = 30
    lead: NonNegativeInt = 1
    split: TableSplit = TableSplit()
    variables: dict[str, dict[str, Any]] = Field(default={})

    def build(self, inputs: Sequence[str]) -> Sequences:
        """Read the tables, join them, mark the events and divide the samples.

        Raises:
            MissingInputError: no file.
            BadDataError: files that cannot be read or joined, a column that is not there, or no label.
            ConfigError: a held-out place that is not there.
        """
        paths = input_paths(inputs, lambda path: self._format(path) is not None, what="tables")
        at = ", ".join(inputs)
        days = self._read(paths, at)
        features = [self._column(name, days, at) for name in self._features(days)]
        label, ends, notes = self._label(days, at)
        values = {name: days.columns[name] for name in features}
        seen = np.logical_or.reduce([np.isfinite(column) for column in values.values()])
        times = np.where(seen, days.times, np.datetime64("NaT"))  # a day without weather is a gap
        known = complete_samples(times, length=self.length, lead=self.lead, step=DAY) & np.isfinite(label)
        return Sequences(
            task=type(self).task,
            length=self.length,
            lead=self.lead,
            grid=POINT,
            series=days.series,
            times=days.times,
            inputs=tuple(self._variable(name, days) for name in features),
            targets=(Variable(name=self.target, units="1", valid_min=0.0, valid_max=1.0),),
            values={name: column[..., None, None] for name, column in (values | {self.target: label}).items()},
            part=np.where(known, self.split.parts(days.times, days.series, ends), NO_PART).astype(np.int8),
            files={str(path): path.stat().st_size for path in paths},
            notes=(*notes, *self._short(days)),
        )

    @property
    def target(self) -> str:
        """The name of what is to be told."""
        return self.label if isinstance(self.label, str) else f"{self.label.column}_event"

    def _format(self, path: Path) -> int | None:
        """The position of the first format that fits a file."""
        fits = (number for number, layout in enumerate(self.formats) if fnmatchcase(path.name, layout.files))
        return next(fits, None)

    def _read(self, paths: Sequence[Path], at: str) -> Days:
        from weatherml.sources.tables.days import join  # noqa: PLC0415 - pandas is slow to import
        from weatherml.sources.tables.files import read_table  # noqa: PLC0415

        tables = [
            [read_table(path, layout) for path in paths if self._format(path) == number]
            for number, layout in enumerate(self.formats)
        ]
        return join(tables, at)

    def _features(self, days: Days) -> Sequence[str]:
        labelled = self.label if isinstance(self.label, str) else self.label.column
        return [name for name in days.columns if name != labelled] if self.features is None else self.features

    @staticmethod
    def _column(name: str, days: Days, at: str) -> str:
        if name not in days.columns:
            raise BadDataError(f"{at}: no column {name!r}; {suggest(name, days.columns)}")
        return name

    def _variable(self, name: str, days: Days) -> Variable:
        stated = {"units": days.units.get(name, "1"), **self.variables.get(name, {}), "name": name}
        return parse(Variable, stated, at=f"variables.{name}")

    def _label(self, days: Days, at: str) -> tuple[Array, Array, list[str]]:
        """(N, T) 0, 1, or NaN where unknown, the ends of the parts, and what is to be noted."""
        rule = self.label
        values = days.columns[self._column(rule if isinstance(rule, str) else rule.column, days, at)]
        labelled = np.where(np.isfinite(values), days.times, np.datetime64("NaT"))
        if np.isnat(labelled).all():
            raise BadDataError(f"{at}: no day has a {self.target}; see the source's label and missing")
        ends = self.split.ends(labelled, self.length + self.lead if self.split.gap is None else self.split.gap)
        if isinstance(rule, str):
            return values, ends, []
        training = np.where(days.times < ends[0], values, np.nan)
        if (none := ~np.isfinite(training).any(axis=1)).any():
            place = days.series[int(np.flatnonzero(none)[0])]
            raise BadDataError(f"{at}: place {place} has no {rule.column} before {ends[0]}, leave it out of the inputs")
        threshold = np.nanquantile(training, rule.quantile, axis=1, keepdims=True)
        event = np.where(np.isfinite(values), values > threshold, np.nan).astype(np.float32)
        over = zip(days.series, threshold.flat, strict=True)
        return event, ends, [f"{place}: the event is {rule.column} above {value:g}" for place, value in over]

    def _short(self, days: Days) -> list[str]:
        """A note for each place that has too few days for one sample."""
        needed, counts = self.length + self.lead, (~np.isnat(days.times)).sum(axis=1)
        short = [(place, count) for place, count in zip(days.series, counts, strict=True) if count < needed]
        return [f"{place}: {count} days, a sample needs {needed}; left out" for place, count in short]
