"""Any CMIP-like pair of forcings and output, scenario by scenario, found by the names of the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, PositiveInt

from weatherml.config import Config
from weatherml.errors import MissingInputError
from weatherml.sources.base import SOURCES
from weatherml.sources.cf import is_cf
from weatherml.sources.climate import Archive, ClimateConfig, Course, gathered, read_course
from weatherml.sources.climate.files import joined, matching
from weatherml.sources.climate.tables import at_months, read_annual
from weatherml.sources.inputs import input_paths

SCENARIO = "{scenario}"
"""Stands for a scenario's name in patterns and tables."""


class Output(Config):
    """Where a target is found.

    Attributes:
        file: a name or glob, with `{scenario}` in it; files that follow each other in time are joined.
        variable: its name there; None takes the target's.
    """

    file: str
    variable: str | None = None


class Forcing(Output):
    """Where a forcing is found: a NetCDF variable at the targets' dates, or annual means of the world from CSV.

    Attributes:
        where: of a CSV with a column for each year, what identifies the row, by column; without it the years
            are in the first column, and `variable` names the column of the values.
        units: of a CSV's values.
    """

    where: dict[str, str] = Field(default={})
    units: str = ""


def _rcmip(kind: str, name: str, units: str) -> Forcing:
    """A row of the tables of RCMIP (Nicholls et al. 2020, doi:10.5194/gmd-13-5175-2020)."""
    table = "rcmip-concentrations-*.csv" if kind == "Atmospheric Concentrations" else "rcmip-emissions-*.csv"
    where = {"Scenario": SCENARIO, "Region": "World", "Variable": f"{kind}|{name}"}
    return Forcing(file=table, where=where, units=units)


RCMIP = {
    "co2": _rcmip("Atmospheric Concentrations", "CO2", "ppm"),
    "so2": _rcmip("Emissions", "Sulfur", "Mt year-1"),
    "ch4": _rcmip("Atmospheric Concentrations", "CH4", "ppb"),
    "bc": _rcmip("Emissions", "BC", "Mt year-1"),
}


@SOURCES.register("cmip")
class CMIP(ClimateConfig):
    """Files of any CMIP model, with the forcings of RCMIP unless told otherwise; the test is ssp126, 2080-2100.

    Attributes:
        outputs: where each target is found; one that is not named in files of monthly means, as CMIP names them.
        forcings: where each forcing is found; those left out do not enter.
    """

    targets: tuple[str, ...] = ("tas",)
    train: tuple[str, ...] = ("ssp585",)
    test: dict[str, PositiveInt] = Field(default={"ssp126": 252})
    log_co2: bool = True
    outputs: dict[str, Output] = Field(default={})
    forcings: dict[str, Forcing] = Field(default=RCMIP)

    def read(self, inputs: Sequence[str]) -> Archive:
        """The files whose names the patterns match."""
        paths = input_paths(inputs, _is_file, what="NetCDF or CSV")
        files: dict[str, dict[str, list[Path]]] = {}
        courses = {}
        for scenario in self.scenarios:
            places = {**{name: self._output(name) for name in self.targets}, **self.forcings}
            files[scenario] = {name: _found(paths, place, scenario) for name, place in places.items()}
            courses[scenario] = self._courses(scenario, files[scenario])
        parts = {name: self.part(name, len(each[self.targets[0]].months)) for name, each in courses.items()}
        read = sorted({path for each in files.values() for some in each.values() for path in some})
        return gathered(courses, parts, self.targets, read)

    def _output(self, name: str) -> Output:
        return self.outputs.get(name) or Output(file=f"{name}_*mon_*_{SCENARIO}_*.nc")

    def _courses(self, scenario: str, files: dict[str, list[Path]]) -> dict[str, Course]:
        """Targets and forcings of a scenario."""
        targets = {
            name: joined({path: read_course(path, self._output(name).variable or name) for path in files[name]})
            for name in self.targets
        }
        wanted = targets[self.targets[0]]
        forcings = {name: _forcing(place, name, scenario, files[name], wanted) for name, place in self.forcings.items()}
        return {**forcings, **targets}


def _is_file(path: Path) -> bool:
    return is_cf(path) or path.suffix == ".csv"


def _found(paths: Sequence[Path], place: Output, scenario: str) -> list[Path]:
    """The files of a scenario; one table for all where the pattern does not name it."""
    pattern = place.file.replace(SCENARIO, scenario)
    found = matching(paths, pattern)
    if not found:
        raise MissingInputError(f"{pattern}: none of the {len(paths)} inputs has this name; add it, or set its file")
    return found


def _forcing(place: Forcing, name: str, scenario: str, files: Sequence[Path], wanted: Course) -> Course:
    if files[0].suffix != ".csv":
        return joined({path: read_course(path, place.variable or name) for path in files})
    where = {column: value.replace(SCENARIO, scenario) for column, value in place.where.items()}
    years, values = read_annual(files[0], place.variable or name, where)
    at = f"{files[0]}: {scenario}: {name}"
    return Course(months=wanted.months, values=at_months(years, values, wanted.months, at), units=place.units)
