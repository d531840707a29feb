"""Rain in decibels, in which nowcasts follow and perturb it: reflectivity as it is, rates by their logarithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weatherml.variables import Variable
from weatherml.verify.baselines.base import Array
from weatherml.verify.files.reading import plain_units

DRIZZLE = 0.1
"""mm/h, the least that counts as rain."""
MARSHALL_PALMER = (200.0, 1.6)
"""Z = a R^b, mm6 m-3 of R in mm/h (Marshall and Palmer 1948)."""
BELOW = 5.0
"""dB from the least rain down to the value of what is dry (pysteps' habit)."""
RATES = {
    "mm h-1": 1.0,
    "mm hr-1": 1.0,
    "kg m-2 h-1": 1.0,
    "kg m-2 s-1": 3600.0,
    "mm s-1": 3600.0,
    "mm d-1": 1 / 24,
    "mm day-1": 1 / 24,
}
"""mm/h in one of these units, of liquid water."""


@dataclass(frozen=True, kw_only=True)
class Decibels:
    """The way of a variable to decibels and back.

    Attributes:
        threshold: dB, the least that is rain.
        dry: what the variable has where there is none.
        rate: mm/h in one of its units; None of what is in decibels already.
    """

    threshold: float
    dry: float
    rate: float | None

    def encode(self, values: Array) -> Array:
        """Decibels, float64, `BELOW` under the threshold where it is dry; NaN stays."""
        decibels = values.astype(float)
        if self.rate is not None:
            decibels = 10 * np.log10(np.maximum(decibels * self.rate, DRIZZLE / 10))
        return np.where(decibels < self.threshold, self.threshold - BELOW, decibels)

    def decode(self, decibels: Array) -> Array:
        """The variable, float32; NaN stays."""
        values = decibels if self.rate is None else 10 ** (decibels / 10) / self.rate
        return np.where(decibels < self.threshold, self.dry, values).astype(np.float32)


def decibels(variable: Variable) -> Decibels | None:
    """Those of reflectivity or of a rate of precipitation, told by the units; None of anything else."""
    units = plain_units(variable.units)
    if units == "dBZ":
        a, b = MARSHALL_PALMER
        threshold = 10 * float(np.log10(a * DRIZZLE**b))
        dry = threshold - BELOW if variable.valid_min is None else variable.valid_min
        return Decibels(threshold=threshold, dry=dry, rate=None)
    if units in RATES:
        return Decibels(threshold=10 * float(np.log10(DRIZZLE)), dry=0.0, rate=RATES[units])
    return None
