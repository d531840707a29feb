"""A run directory: configuration, weights, statistics, lineage; all that inference needs."""
