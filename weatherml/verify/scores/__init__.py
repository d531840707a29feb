"""From sums to scores with intervals, and their files."""
