"""What the tool knows of each variable: units, valid range, packing, transform, thresholds.

`TABLE` holds the variables of HRRR under the names of their stores, `DERIVED` those that follow from them by
formula. Any other variable is built from what its file says (`Variable(name=..., units=...)`) and the user's
`variables:` table.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from pydantic import Field, PositiveFloat, model_validator

from weatherml.config import Config

Transform = Literal["none", "log1p", "signed_log1p", "sqrt", "signed_sqrt", "clip"]
NAME = re.compile(r"\w[^/\\\x00-\x1f]*")
"""An array's name is a folder's in a store: none may lead out of it."""


class Variable(Config):
    """One channel of the state.

    Attributes:
        name: the array's name in the store, in lower case.
        long_name: a few words for plots and tables.
        standard_name: the CF standard name, where there is one.
        units: CF units of the stored values.
        valid_min: the smallest physical value; below it data are masked and rollouts bounded.
        valid_max: the largest physical value.
        packing_step: the int16 packing step, a power of two; None lets `prepare` choose from the data.
        add_offset: the packing offset, a multiple of the step.
        transform: what is done before the z-score: `log1p` and `sqrt` of max(x, 0), `signed_log1p` and `signed_sqrt`
            of |x|, with the sign of x, `clip` at `valid_min`.
        component: `x` or `y` for the parts of a vector, so that flips negate them.
        not_above: a variable that this one cannot exceed at the same point.
        thresholds: event thresholds for categorical and neighbourhood scores, in `units`.
        event: `above` where exceeding a threshold is the event, `below` for the other side.
        colormap: matplotlib's name of the colours for maps.
        formula: how it follows from other variables (`weatherml.sources.formula`); empty where it is read.
    """

    name: str
    long_name: str = ""
    standard_name: str = ""
    units: str
    valid_min: float | None = None
    valid_max: float | None = None
    packing_step: PositiveFloat | None = None
    add_offset: float = 0.0
    transform: Transform = "none"
    component: Literal["x", "y"] | None = None
    not_above: str | None = None
    thresholds: tuple[float, ...] = Field(default=())
    event: Literal["above", "below"] = "above"
    colormap: str = "viridis"
    formula: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Variable:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r:.80} names no array: begin it with a letter, digit or _, and use no slash")
        if self.transform == "clip" and self.valid_min is None:
            raise ValueError(f"{self.name}: transform clip needs valid_min")
        if self.packing_step is not None and math.frexp(self.packing_step)[0] != 0.5:
            raise ValueError(f"{self.name}: packing_step {self.packing_step} is not a power of two")
        if self.valid_min is not None and self.valid_max is not None and self.valid_min >= self.valid_max:
            raise ValueError(f"{self.name}: valid_min {self.valid_min} is not below valid_max {self.valid_max}")
        return self

    @property
    def channel(self) -> Variable:
        """The variable alone, without the keys by which a source finds it."""
        return Variable(**{name: getattr(self, name) for name in Variable.model_fields})

    def reaches(self, values: Any, threshold: float) -> Any:
        """Where values are an event: at the threshold or beyond it, on the variable's side; arrays or tensors."""
        return values >= threshold if self.event == "above" else values <= threshold

    @property
    def label(self) -> str:
        """Name and units for an axis."""
        return f"{self.long_name or self.name} ({self.units})"


_HRRR = (
    Variable(
        name="refc",
        long_name="composite reflectivity",
        standard_name="equivalent_reflectivity_factor",
        units="dBZ",
        valid_min=-10.0,  # HRRR's no-echo value
        valid_max=90.0,
        packing_step=1 / 64,
        transform="clip",
        thresholds=(20.0, 30.0, 40.0, 50.0),
        colormap="reflectivity",
    ),
    Variable(
        name="t2m",
        long_name="2 m temperature",
        standard_name="air_temperature",
        units="K",
        valid_min=205.0,
        valid_max=335.0,
        packing_step=1 / 64,
        add_offset=256.0,
        colormap="RdYlBu_r",
    ),
    Variable(
        name="d2m",
        long_name="2 m dew point",
        standard_name="dew_point_temperature",
        units="K",
        valid_min=213.15,  # -60 C: drier than any observation in the domain; the known bad point is 209.4 K
        valid_max=313.15,
        packing_step=1 / 64,
        add_offset=256.0,
        not_above="t2m",
        colormap="BrBG",
    ),
    Variable(
        name="u10",
        long_name="10 m wind along the grid's x",
        standard_name="x_wind",
        units="m s-1",
        valid_min=-100.0,
        valid_max=100.0,
        packing_step=1 / 64,
        component="x",
        colormap="RdBu_r",
    ),
    Variable(
        name="v10",
        long_name="10 m wind along the grid's y",
        standard_name="y_wind",
        units="m s-1",
        valid_min=-100.0,
        valid_max=100.0,
        packing_step=1 / 64,
        component="y",
        colormap="RdBu_r",
    ),
    Variable(
        name="cape",
        long_name="surface-based CAPE",
        standard_name="atmosphere_convective_available_potential_energy",
        units="J kg-1",
        valid_min=0.0,
        valid_max=10000.0,
        packing_step=1 / 4,  # 1/16 in the source: int16 would end at 4096 J/kg
        add_offset=8191.0,
        transform="log1p",
        thresholds=(250.0, 1000.0, 2500.0),
        colormap="magma_r",
    ),
    Variable(
        name="cin",
        long_name="surface-based convective inhibition",
        standard_name="atmosphere_convective_inhibition",
        units="J kg-1",
        valid_min=-2000.0,
        valid_max=0.0,
        packing_step=1 / 16,
        add_offset=-2000.0,
        transform="signed_log1p",
        thresholds=(-100.0, -25.0),
        event="below",
        colormap="cividis",
    ),
)

TABLE: dict[str, Variable] = {variable.name: variable for variable in _HRRR}

_DERIVED = (
    Variable(
        name="wind_speed",
        long_name="10 m wind speed",
        standard_name="wind_speed",
        units="m s-1",
        valid_min=0.0,
        valid_max=142.0,  # both components at their limit: sqrt(2) * 100
        packing_step=1 / 64,
        thresholds=(10.8, 17.2, 24.5),  # Beaufort 6, 8 and 10
        formula="sqrt(u10**2 + v10**2)",
    ),
    Variable(
        name="dewpoint_depression",
        long_name="2 m dew-point depression",
        standard_name="dew_point_depression",
        units="K",
        valid_min=0.0,
        valid_max=120.0,
        packing_step=1 / 64,
        colormap="YlOrBr",
        formula="t2m - d2m",
    ),
)

DERIVED: dict[str, Variable] = {variable.name: variable for variable in _DERIVED}
