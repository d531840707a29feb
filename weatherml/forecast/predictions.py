"""Predictions of sequences, for the stage that makes them."""

from weatherml.data.sequences.predictions import Predictions as Predictions
from weatherml.data.sequences.predictions import is_predictions as is_predictions
from weatherml.data.sequences.predictions import open_predictions as open_predictions
from weatherml.data.sequences.predictions import write_predictions as write_predictions
