"""The forcings and fields of climate archives: names, units, and what turns one unit into another."""

from __future__ import annotations

from weatherml.variables import Variable

FORCINGS = {
    "co2": "carbon dioxide",
    "so2": "sulfur dioxide emissions",
    "ch4": "methane",
    "bc": "black carbon emissions",
    "rsdt": "incoming solar radiation",
}
LOG_CO2 = Variable(name="co2", long_name="ln(CO2 / 1 ppm)", units="1")
MONTH_SIN = Variable(name="month_sin", long_name="sine of the month", units="1")
MONTH_COS = Variable(name="month_cos", long_name="cosine of the month", units="1")
LATITUDE = Variable(name="latitude_scaled", long_name="latitude / 90 degrees", units="1")

CONVERSIONS = {"kg m-2 s-1": (86400.0, "mm day-1"), "mm/day": (1.0, "mm day-1"), "mm d-1": (1.0, "mm day-1")}
"""A factor and the units that it gives."""

FIELDS = {
    "tas": Variable(
        name="tas", long_name="2 m temperature", standard_name="air_temperature", units="K", colormap="RdYlBu_r"
    ),
    "pr": Variable(
        name="pr",
        long_name="precipitation",
        standard_name="lwe_precipitation_rate",
        units="mm day-1",
        valid_min=0.0,
        colormap="BrBG",
    ),
    "pr90": Variable(
        name="pr90",
        long_name="90th percentile of daily precipitation",
        units="mm day-1",
        valid_min=0.0,
        colormap="BrBG",
    ),
    "diurnal_temperature_range": Variable(
        name="diurnal_temperature_range", long_name="diurnal temperature range", units="K", colormap="magma_r"
    ),
}


def converted(units: str) -> tuple[float, str]:
    """The factor to the units that are kept, and those."""
    return CONVERSIONS.get(units, (1.0, units))


def forcing(name: str, units: str) -> Variable:
    """A forcing in the units of its file."""
    return Variable(name=name, long_name=FORCINGS.get(name, name), units=units or "1")


def field(name: str, units: str) -> Variable:
    """A field to learn, in the units that are kept."""
    return FIELDS.get(name, Variable(name=name, units="1")).model_copy(update={"units": units} if units else {})
