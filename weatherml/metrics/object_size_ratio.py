"""Ratio of the mean sizes of objects."""

from __future__ import annotations

from torch import Tensor

from weatherml.metrics.base import METRICS, Statistics
from weatherml.metrics.objects import ObjectMetric
from weatherml.metrics.reduce import ratio


@METRICS.register("object_size_ratio")
class ObjectSizeRatio(ObjectMetric):
    """Mean cells of the forecast's objects over those of the truth's: above 1 its storms are too large."""

    def value(self, sums: Statistics) -> Tensor:
        """The ratio; NaN where one of the two has none."""
        forecast, truth = (
            ratio(sums[f"{name}_cells"], sums[f"{name}_objects"].sum(-1)) for name in ("forecast", "truth")
        )
        return ratio(forecast, truth)
