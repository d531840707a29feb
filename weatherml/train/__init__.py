"""The second stage: a dataset becomes a run."""
