"""The third stage: a run and initial states become a forecast on disk."""
