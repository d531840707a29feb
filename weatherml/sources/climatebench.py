"""ClimateBench (Watson-Parris et al. 2022, doi:10.1029/2021MS002954): NorESM2 under annual forcings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field, PositiveInt

from weatherml.errors import BadDataError
from weatherml.sources.base import SOURCES
from weatherml.sources.climate import Archive, ClimateConfig, Course, gathered, read_course, variables_in
from weatherml.sources.climate.variables import FORCINGS
from weatherml.sources.inputs import input_paths

UNITS = {"tas": "K", "diurnal_temperature_range": "K", "pr": "kg m-2 s-1", "pr90": "kg m-2 s-1"}
"""Where a file does not say."""


@SOURCES.register("climatebench")
class ClimateBench(ClimateConfig):
    """The files `inputs_EXPERIMENT.nc` and `outputs_EXPERIMENT.nc` of a folder; the test is ssp245, 2080-2100."""

    length: PositiveInt = 10
    targets: tuple[str, ...] = tuple(UNITS)
    train: tuple[str, ...] = ("historical", "ssp126", "ssp370", "ssp585")
    validation: dict[str, PositiveInt] = Field(default={"ssp370": 10})
    test: dict[str, PositiveInt] = Field(default={"ssp245": 21})

    def read(self, inputs: Sequence[str]) -> Archive:
        """Both files of each experiment; the mean over its members."""
        found = {path.name: path for path in input_paths(inputs, _is_file, what="inputs_*.nc and outputs_*.nc")}
        forcings = {name: _file(found, f"inputs_{name}.nc") for name in self.scenarios}
        outputs = {name: _file(found, f"outputs_{name}.nc") for name in self.scenarios}
        held = set.intersection(*(set(variables_in(path)) for path in forcings.values()))
        courses = {
            name: {
                **{each: read_course(forcings[name], each) for each in FORCINGS if each in held},
                **{each: _with_units(read_course(outputs[name], each), each) for each in self.targets},
            }
            for name in self.scenarios
        }
        parts = {name: self.part(name, len(each[self.targets[0]].months)) for name, each in courses.items()}
        return gathered(courses, parts, self.targets, [*forcings.values(), *outputs.values()])


def _is_file(path: Path) -> bool:
    return path.suffix == ".nc" and path.name.startswith(("inputs_", "outputs_"))


def _file(found: Mapping[str, Path], name: str) -> Path:
    if name not in found:
        raise BadDataError(f"{name}: not among {', '.join(sorted(found))}; add it, or set train, validation and test")
    return found[name]


def _with_units(course: Course, name: str) -> Course:
    return course if course.units else replace(course, units=UNITS.get(name, "1"))
