"""The third stage: a run and initial states become a forecast on disk."""

from weatherml.forecast.rollout import rollout as rollout
