"""Pattern scaling (Santer et al. 1990): each point follows the global mean, and that the forcing; both lines.

It is the baseline of climate emulation (ClimateBench, doi:10.1029/2021MS002954, calls it linear pattern scaling).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from weatherml.errors import ConfigError
from weatherml.fields import Batch, Fields, Shape
from weatherml.models.base import MODELS, FittedModel, Model, ModelConfig
from weatherml.registry import suggest
from weatherml.tasks import Task

MONTHS = 12
SECONDS_A_MONTH = 365.2425 * 86400 / MONTHS


@MODELS.register("pattern-scaling")
class PatternScaling(ModelConfig):
    """Two regressions, each target and each calendar month for itself.

    The global mean is regressed on the global means of the predictors at the target's time. CO2 alone, as its
    logarithm where the source gives that, is the usual one: the forcings of one scenario rise and fall
    together, so that more of them fit it better and others worse.

    Attributes:
        predictors: inputs, by name.
        ridge: penalty on the squared slopes, in units of a predictor's variance; for more than one predictor.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({"emulate"})
    trainable: ClassVar[bool] = False
    fitted: ClassVar[bool] = True

    predictors: tuple[str, ...] = Field(("co2",), min_length=1)
    ridge: NonNegativeFloat = 0.0

    def build(self, shape: Shape) -> Model:
        """The model for data of `shape`; before it is fitted it says the training mean."""
        for name in self.predictors:
            if name not in shape.names:
                raise ConfigError(f"model.predictors: no input {name!r}; {suggest(name, shape.names)}")
        return PatternScalingModel(shape, [shape.names.index(name) for name in self.predictors], self.ridge)


class PatternScalingModel(FittedModel):
    """Global mean = a + b . predictors, point = c + d global mean, by calendar month; P predictors.

    Attributes:
        global_slope: (12, V, P).
        global_intercept: (12, V).
        slope: (12, V, H, W).
        intercept: (12, V, H, W).
    """

    global_slope: Tensor
    global_intercept: Tensor
    slope: Tensor
    intercept: Tensor
    rows: Tensor

    def __init__(self, shape: Shape, predictors: list[int], ridge: float) -> None:
        super().__init__()
        self.predictors, self.ridge = predictors, ridge
        V, points = shape.predicted, (shape.height, shape.width)
        self.register_buffer("global_slope", torch.zeros(MONTHS, V, len(predictors)))
        self.register_buffer("global_intercept", torch.zeros(MONTHS, V))
        self.register_buffer("slope", torch.zeros(MONTHS, V, *points))
        self.register_buffer("intercept", torch.zeros(MONTHS, V, *points))
        self.register_buffer("rows", row_areas(shape), persistent=False)

    def forward(self, batch: Batch) -> Fields:
        """The targets at the batch's valid times, (B, 1, V, H, W)."""
        month = month_of(batch.valid_time[:, 0])
        mean = torch.einsum("bvp,bp->bv", self.global_slope[month], self.means(batch)) + self.global_intercept[month]
        return torch.addcmul(self.intercept[month], self.slope[month], mean[..., None, None])[:, None]

    def means(self, batch: Batch) -> Tensor:
        """(B, P), the global means of the predictors at the target's time."""
        return self.global_mean(batch.history[:, -1, self.predictors])

    def global_mean(self, values: Tensor, known: Tensor | None = None) -> Tensor:
        """(..., H, W) to (...), weighted by area, over the known points."""
        weight = self.rows.expand_as(values) if known is None else self.rows * known
        return (values * weight).sum((-2, -1)) / weight.sum((-2, -1)).clamp_min(1e-12)

    @torch.no_grad()
    def fit(self, batch: Batch) -> None:
        """Least squares, month by month; a month that training lacks takes the lines of all months."""
        assert batch.target is not None
        assert batch.mask is not None
        x, month = self.means(batch).double(), month_of(batch.valid_time[:, 0])
        target, known = batch.target[:, 0], batch.mask[:, 0]
        for m in range(MONTHS):
            chosen = month == m
            if not chosen.any():
                chosen = torch.ones_like(chosen)
            self._fit_month(m, x[chosen], target[chosen].double(), known[chosen])

    def _fit_month(self, month: int, x: Tensor, y: Tensor, known: Tensor) -> None:
        """From x (n, P) to y (n, V, H, W)."""
        mean = self.global_mean(y, known)
        self.global_slope[month], self.global_intercept[month] = ridge_lines(x, mean, self.ridge)
        self.slope[month], self.intercept[month] = point_lines(mean[..., None, None], y, known)


def ridge_lines(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Slopes (V, P) and intercepts (V,) of y (n, V) on x (n, P)."""
    x_mean, y_mean = x.mean(0), y.mean(0)
    x_from, y_from = x - x_mean, y - y_mean
    squares = x_from.T @ x_from
    penalty = ridge * squares.diagonal().diag()
    slope = torch.linalg.lstsq(squares + penalty, x_from.T @ y_from, driver="gelsd").solution.T
    return slope, y_mean - slope @ x_mean


def point_lines(x: Tensor, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and intercept (V, H, W) at each point of y (n, V, H, W) on x (n, V, 1, 1), where y is known."""
    count = known.sum(0).clamp_min(1)
    x_mean, y_mean = ((values * known).sum(0) / count for values in (x, y))
    x_from, y_from = (x - x_mean) * known, (y - y_mean) * known
    slope = (x_from * y_from).sum(0) / x_from.square().sum(0).clamp_min(1e-12)
    return slope, y_mean - slope * x_mean


def month_of(valid_time: Tensor) -> Tensor:
    """0 to 11 from seconds since 1970 of the first days of months."""
    # the first day of a month is at most two days from its place in a mean year, the middle of it is not near an edge
    middle = valid_time.double() + SECONDS_A_MONTH / 2
    return (middle / SECONDS_A_MONTH).floor().long() % MONTHS


def row_areas(shape: Shape) -> Tensor:
    """(H, 1): the cosine of latitude where the grid goes round the globe, its rows evenly from pole to pole; else 1."""
    if not shape.periodic_x:
        return torch.ones(shape.height, 1)
    return torch.sin((torch.arange(shape.height) + 0.5) * math.pi / shape.height)[:, None]
