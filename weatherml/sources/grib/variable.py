"""A variable that is found by the keys of its messages."""

from __future__ import annotations

from pydantic import model_validator

from weatherml.errors import ConfigError
from weatherml.registry import suggest
from weatherml.sources.grib.headers import KEYS, Keys
from weatherml.variables import Variable


class GribVariable(Variable):
    """A `Variable` and where to find it.

    Attributes:
        keys: names of `headers.KEYS` with the values that a message must have.
        missing: a value that stands for no data, besides the bitmap.
        sidecar: short name and level in the `.idx` file of a remote archive, `PRATE:surface`; for a field over an
            interval with the forecast's words, `APCP:surface:0-1 hour acc fcst`.
    """

    keys: Keys
    missing: float | None = None
    sidecar: str | None = None

    @model_validator(mode="after")
    def _known_keys(self) -> GribVariable:
        for key in self.keys:
            if key not in KEYS:
                raise ConfigError(f"variables.{self.name}.keys.{key}: unknown key; {suggest(key, KEYS)}")
        if not self.keys:
            raise ConfigError(f"variables.{self.name}.keys: empty; set at least discipline and parameterNumber")
        return self
