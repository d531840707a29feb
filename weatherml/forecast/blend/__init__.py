"""Several runs become one forecast: one file a way to combine them, one import line each."""

from weatherml.forecast.blend import conditional as conditional
from weatherml.forecast.blend import pool as pool
from weatherml.forecast.blend import stacked as stacked
from weatherml.forecast.blend import weighted as weighted
from weatherml.forecast.blend.combiners import COMBINERS as COMBINERS
