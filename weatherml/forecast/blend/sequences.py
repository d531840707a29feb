"""Blend what runs predict of sequences: emulated fields, probabilities of events, masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.data.sequences.predictions import Predictions, write_predictions
from weatherml.data.sequences.store import BINARY, SequenceDataset
from weatherml.errors import BadDataError, UsageError
from weatherml.files import output_lock, refuse_existing
from weatherml.forecast.blend.calibration import CALIBRATIONS, Calibrate
from weatherml.forecast.blend.cases import FEWEST_BLOCKS, Cases, known_cases, require_blocks, time_blocks
from weatherml.forecast.blend.config import BlendConfig, Fitted, chosen, write_blend
from weatherml.forecast.blend.fit import fit_blend
from weatherml.forecast.blend.judge import held_out, thresholds, validated, warn_of_loss
from weatherml.forecast.blend.runs import common_targets, names, open_runs
from weatherml.forecast.predict import HELD_OUT, matched, predictions
from weatherml.progress import Progress, silent
from weatherml.run.device import Device
from weatherml.sources.sequences import PARTS

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What K runs say of one dataset, and what was true.

    Attributes:
        dataset: that they say it of.
        runs: their names.
        values: by target, (K, N, T, H, W) float32.
        blocks: spans of time of the validation part.
    """

    dataset: SequenceDataset
    runs: tuple[str, ...]
    values: dict[str, Array]
    blocks: int

    def cases(self, target: str, part: str) -> Cases:
        """The known values of one part."""
        dataset = self.dataset
        chosen = dataset.part == PARTS.index(part)
        blocks = time_blocks(np.where(chosen, dataset.times, np.datetime64("NaT")), self.blocks)
        return known_cases(
            self.values[target],
            dataset.values[target],
            dataset.grid.row_weights[:, None],
            blocks[..., None, None],
            binary=dataset.task in BINARY,
        )


def blend_sequences(
    paths: Sequence[Path],
    data: Path,
    config: BlendConfig | None = None,
    *,
    weights: Path | None = None,
    output: Path,
    device: Device = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write what the runs together say of the validation and test parts to `output`, the fit to its `.blend.json`.

    Args:
        paths: of the runs.
        data: a dataset of sequences.
        config: how; the weights' own, or pool, where None.
        weights: the `.blend.json` of an earlier blend of these runs; None fits on the validation part.
        output: NetCDF.
        device: where to compute.
        overwrite: replace an output that exists.
        progress: is told the samples done, run after run.

    Raises:
        UsageError: fewer than two runs, of different tasks, or an output that is not NetCDF.
        MissingInputError: a run, dataset or weights that are not there.
        BadDataError: runs that differ in grid or targets, weights of other runs, or too little to fit on.
        ConfigError: settings that do not suit the task.
        OutputError: the output exists or is being written.
    """
    if output.suffix != ".nc":
        raise UsageError(f"{output}: predictions are one NetCDF file; give --output NAME.nc")
    runs = open_runs(paths)
    config, given = chosen(config, weights)
    targets = common_targets(runs, config)
    datasets = [matched(run, data) for run in runs]
    learning = config.learns(datasets[0].task)
    calibrate = CALIBRATIONS.get(config.calibration_for(datasets[0].task))
    if given is not None:
        given.require_for(datasets[0].task, names(runs), targets)
    elif learning and len(datasets[0].samples("validation")) == 0:
        raise BadDataError(f"{data}: no validation sample to fit a blend on; prepare it with another split")
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        pairs = zip(runs, datasets, strict=True)
        each = [predictions(run, dataset, HELD_OUT, device=device, progress=progress) for run, dataset in pairs]
        values = {target: np.stack([one.values[target] for one in each]) for target in targets}
        said = Said(dataset=datasets[0], runs=names(runs), values=values, blocks=config.blocks)
        fitted = fit(said, config, calibrate) if given is None else given
        report = judge(said, config, calibrate, fitted)
        write_predictions(output, blended(said, fitted, each[0]))
        write_blend(output, config, fitted, report)
    return output


def fit(said: Said, config: BlendConfig, calibrate: Calibrate | None) -> Fitted:
    """The blend of each target, from the validation part."""
    blends = {}
    for target in said.values:
        cases = said.cases(target, "validation")
        if config.learns(said.dataset.task):
            require_blocks(cases, f"{said.dataset.path}: {target}")
        blends[target] = (fit_blend(cases, config.combine, calibrate),)
    return Fitted(task=said.dataset.task, runs=said.runs, combine=config.combine.kind, blends=blends)


def judge(said: Said, config: BlendConfig, calibrate: Calibrate | None, fitted: Fitted) -> dict[str, Any]:
    """Scores by part and target: cross-fitted in the validation part, and of the test part as it is."""
    report: dict[str, Any] = {"validation": {}, "test": {}}
    for target, (blend,) in fitted.blends.items():
        validation, test = (said.cases(target, part) for part in ("validation", "test"))
        levels: dict[str, float | None] = {}
        if len(np.unique(validation.blocks)) >= FEWEST_BLOCKS:
            report["validation"][target] = stages = validated(validation, said.runs, config.combine, calibrate)
            warn_of_loss(stages, target)
            levels = thresholds(stages)
        if len(test.truth):
            report["test"][target] = held_out(test, said.runs, blend, levels)
    return report


def blended(said: Said, fitted: Fitted, like: Predictions) -> Predictions:
    """What the runs say together; the coefficients stand in the attributes."""
    values = {}
    for target, (blend,) in fitted.blends.items():
        series = [blend(said.values[target][:, n]).astype(np.float32) for n in range(len(said.dataset.series))]
        values[target] = np.stack(series)
    about = {"model": f"blend ({fitted.combine})", "run": " + ".join(said.runs), "blend": json.dumps(fitted.settings())}
    kept = tuple(target for target in like.targets if target.name in values)
    return replace(like, targets=kept, values=values, attributes=like.attributes | about)
