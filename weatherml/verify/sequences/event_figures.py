"""Figures of rare events: precision against recall, reliability, and masks over their images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve

from weatherml.data.sequences.store import SequenceDataset
from weatherml.data.windows import evenly
from weatherml.page.charts import BOTTOM, HEIGHT, TOP, WIDTH, Chart, Series, chart, numbers, picture, unit_axis
from weatherml.variables import Variable
from weatherml.verify.colors import spread_scale
from weatherml.verify.report.maps import MapFrame
from weatherml.verify.report.words import bar
from weatherml.verify.sequences.emulation import ratio
from weatherml.verify.sequences.events import Outcomes, outcomes
from weatherml.verify.sequences.results import Results

Array = npt.NDArray[Any]
POINTS = 300
RELIABILITY_BINS = 10
READ = "step that is read"
RGB = (("red", "b04", "b4"), ("green", "b03", "b3"), ("blue", "b02", "b2"))
MASKS = ("last image", "truth", "probability", "decision")
COLORS = {"hit": "#18a558", "false alarm": "#f2a900", "miss": "#d7263d"}


def event_charts(results: Results, target: str, look: dict[str, str]) -> list[Chart]:
    """Precision-recall curves with the base rate, and reliability."""
    cell = np.zeros(len(results.cases.times), np.int64)
    truth = results.cases.truth[target]
    found = {name: outcomes(results.cases.forecasts[name][target], truth, cell) for name in look}
    rate = next(iter(found.values())).base_rate
    told = [(name, look[name], each) for name, each in found.items() if name != results.baseline]
    curves = [_precision_recall(*each) for each in told]
    shares = [_reliability(*each) for each in told]
    said, share, unit = "probability; observed share upwards", "observed share", unit_axis()
    return [
        chart(
            "precision and recall", f"base rate {rate:.3g}", curves, unit, unit,
            x_label="recall; precision upwards", y_label="precision", mark=rate,
        ),
        chart("reliability", "", shares, unit, unit, x_label=said, y_label=share, diagonal=True),
    ]  # fmt: skip


def _precision_recall(name: str, style: str, found: Outcomes) -> Series:
    precision, recall, _ = precision_recall_curve(found.event, found.probability, drop_intermediate=True)
    return Series(name=name, style=style, x=evenly(recall, POINTS), y=evenly(precision, POINTS))


def _reliability(name: str, style: str, found: Outcomes) -> Series:
    observed, said = calibration_curve(found.event, found.probability, n_bins=RELIABILITY_BINS)
    return Series(name=name, style=style, x=said, y=observed)


def attention_chart(name: str, weights: Array) -> Chart:
    """How much each step (downwards) reads from each (to the right), (S, S), oldest first."""
    side, steps = HEIGHT - TOP - BOTTOM, np.arange(len(weights))
    frame = MapFrame(len(steps), float(len(steps)), flip_rows=False, flip_columns=False, path="")
    image = frame.png(weights, spread_scale(weights))
    parts = [
        f'<image x="{(WIDTH - side) / 2}" y="{TOP}" width="{side}" height="{side}" href="{image}"/>',
        f'<text class="x" x="{WIDTH / 2}" y="{HEIGHT - 12}">{READ}, oldest first; reading step downwards</text>',
    ]
    rows = [Series(name=f"reading step {step}", style="", x=steps, y=weights[step]) for step in steps]
    return Chart(
        name=name,
        units=f"0 to {weights.max():.2g}; {1 / len(steps):.2g} reads all alike",
        svg=picture(parts, HEIGHT, f"attention of {name}: how much each step reads from each"),
        csv=numbers(rows, READ, "weight"),
    )


def mask_groups(results: Results, variable: Variable, frame: MapFrame) -> list[dict[str, Any]]:
    """The best, the median and the worst case of each forecast, over the last image."""
    names = [name for name in results.scores if name != results.baseline]
    return [group for name in names for group in _masks(results, name, variable.name, frame)]


def _masks(results: Results, name: str, target: str, frame: MapFrame) -> list[dict[str, Any]]:
    threshold = results.scores[name][target]["threshold"].value
    truth, said = results.cases.truth[target] > 0.5, results.cases.forecasts[name][target]
    iou = case_iou(said >= threshold, truth)
    ranked = np.argsort(-iou)[: int(truth.any(axis=(1, 2)).sum())]  # those with a positive stand first
    chosen = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
    scale = spread_scale(said[list(chosen.values())])

    def pictures(case: int) -> list[str]:
        image = last_image(results.truth, *results.cases.samples[case])
        masks = decisions(said[case] >= threshold, truth[case])
        return [
            frame.picture(image),
            frame.picture(painted(image, {"hit": truth[case]})),
            frame.png(said[case], scale),
            frame.picture(painted(image, masks)),
        ]

    return [
        {
            "title": f"{name}: cases by their IoU",
            "titles": MASKS,
            "rows": [
                {"label": f"{label}, {iou[case]:.2f}", "pictures": list(zip(MASKS, pictures(case), strict=True))}
                for label, case in chosen.items()
            ],
            "remark": f"Decisions from {threshold:.3g} on: hits green, false alarms yellow, misses red.",
            "bars": [("probability", bar(scale, "1"))],
        }
    ]


def decisions(said: Array, event: Array) -> dict[str, Array]:
    """What became of each pixel that was said to be positive, or was."""
    return {"hit": said & event, "false alarm": said & ~event, "miss": ~said & event}


def case_iou(said: Array, event: Array) -> Array:
    """(n,) intersection over union of each (n, H, W) case with a positive; the others have -1."""
    both, either = ((said & event).sum(axis=(1, 2)), (said | event).sum(axis=(1, 2)))
    return np.where(event.any(axis=(1, 2)), ratio(both, either), -1.0)


def painted(image: Array, masks: dict[str, Array]) -> Array:
    """An image (H, W, 4) with masks in their `COLORS` over it."""
    found = image.copy()
    for name, mask in masks.items():
        found[mask] = (np.array(to_rgba(COLORS[name])) * 255).astype(np.uint8)
    return found


def last_image(truth: SequenceDataset, series: int, target: int) -> Array:
    """The last input of a sample as colours (H, W, 4) uint8: its red, green and blue, or else its first variable."""
    names = {variable.name.lower(): variable.name for variable in truth.inputs}
    bands = [next((names[name] for name in choice if name in names), None) for choice in RGB]
    chosen = [band or truth.inputs[0].name for band in (bands if all(bands) else [None] * 3)]
    last = truth.window(target).stop - 1
    channels = [_stretched(truth.values[name][series, last]) for name in chosen]
    return np.stack([*channels, np.full(channels[0].shape, 255, np.uint8)], axis=-1)


def _stretched(band: Array) -> Array:
    """0 to 255 between the 2nd and the 98th percentile."""
    low, high = np.nanquantile(band, (0.02, 0.98)) if np.isfinite(band).any() else (0.0, 1.0)
    share = (band - low) / max(high - low, 1e-9)
    return np.asarray(np.nan_to_num(share).clip(0, 1) * 255).astype(np.uint8)
