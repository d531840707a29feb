"""One step of a run as a program of torch, from physical fields to physical fields, for use without this package."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim, ExportedProgram

from weatherml.data.packing import Packing
from weatherml.data.transforms import Normaliser
from weatherml.errors import ConfigError, UsageError
from weatherml.fields import Batch, Fields
from weatherml.files import output_lock, refuse_existing, replacing, require_free
from weatherml.models.base import Model
from weatherml.run.directory import Run, open_run

SUFFIX = ".pt2"
METADATA = "weatherml.json"
"""The extra file within the program that tells of its inputs and output."""
MOST_CALLS = 64
"""Of the network in one sample: each is written out in the program."""
PLANES = ("y", "x")
UNPACKED = Packing(scale_factor=1.0, add_offset=0.0)


class Step(nn.Module):
    """What a rollout does at every step: normalise, predict, back to physical values within their bounds."""

    def __init__(self, model: Model, normaliser: Normaliser) -> None:
        super().__init__()
        self.model, self.normaliser = model, normaliser

    def forward(self, history: Fields, forcing: Tensor, static: Tensor, noise: Tensor | None = None) -> Fields:
        """The next state, (B, C, H, W) in physical units; the next L, (B, L, C, H, W), where L is not 1.

        Args:
            history: (B, T, C, H, W), physical, NaN where missing.
            forcing: (B, L, K, H, W), known fields at the valid times.
            static: (S, H, W), as the model reads them.
            noise: (B, N, Z, H, W), the N draws of a generative model, standard normal; None of others.
        """
        batch = batch_of(torch.nan_to_num(self.normaliser.normalise(history)), forcing, static)
        draws = iter(() if noise is None else noise.unbind(1))
        states = self.model.step(batch, None if noise is None else lambda shape: next(draws))  # noqa: ARG005
        return self.normaliser.forecast(states).squeeze(1)


def batch_of(history: Fields, forcing: Tensor, static: Tensor) -> Batch:
    """A batch of normalised fields; the networks that are exported do not read the valid times."""
    times = torch.zeros(forcing.shape[:2], dtype=torch.int64, device=forcing.device)
    return Batch(history=history, forcing=forcing, static=static, valid_time=times)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The noise of one step of a model: N draws of Z maps each; none of a deterministic one."""

    number: int
    maps: int

    @classmethod
    def of(cls, run: Run) -> Draws:
        """Those of a run's model, counted as it asks for them.

        Raises:
            ConfigError: a sample of too many calls.
        """
        experiment = run.experiment
        if not type(experiment.model).generative:
            return cls(number=0, maps=0)
        calls = experiment.sampler.calls if experiment.sampler else 1
        if calls > MOST_CALLS:
            raise ConfigError(
                f"{run.path}: a sample takes {calls} calls of the network, a program holds at most {MOST_CALLS}; "
                "export it with --format bundle, or train with fewer sampler.steps"
            )
        seen: list[Sequence[int]] = []

        def draw(shape: Sequence[int]) -> Tensor:
            seen.append(tuple(shape))
            return torch.empty(tuple(shape))

        model = run.build_model().eval()
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):  # shapes without numbers
            model.step(batch_of(*inputs(run)), draw)
        return cls(number=len(seen), maps=seen[0][1])


def export_program(run: Path, output: Path, *, overwrite: bool = False) -> Path:
    """Write one step of the run at `run`, with all that normalises and bounds it, as `torch.export` saves programs.

    Raises:
        MissingInputError: no such run, or nothing saved yet.
        UsageError: a run that does not forecast, or an output of another suffix.
        ConfigError: a sample of too many calls of the network.
        OutputError: the output exists or is being written.
    """
    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: a program of torch is a {SUFFIX} file; give --output NAME{SUFFIX}")
    with output_lock(output):
        refuse_existing(output, overwrite=overwrite)
        opened = open_run(run)
        program = traced(opened)
        described = json.dumps(description(opened, program), indent=1)
        require_free(output, sum(tensor.nbytes for tensor in program.state_dict.values()))
        with replacing(output) as temporary, temporary.open("wb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(program, file, extra_files={METADATA: described})
    return output


def step_of(run: Run) -> Step:
    """The run's step, from its weights, statistics and bounds."""
    packings = [UNPACKED] * len(run.forecast_lineage.variables)
    return Step(run.load_model(), run.normaliser(packings)).eval()


def traced(run: Run) -> ExportedProgram:
    """The program of a run's step, for any number of cases, and any grid where the network does not fix it."""
    step, draws = step_of(run), Draws.of(run)
    example = inputs(run)
    if draws.number:
        example += (torch.zeros(len(example[0]), draws.number, draws.maps, *run.lineage.shape),)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of its own internals
        program = torch.export.export(step, example, dynamic_shapes=tuple(map(_free, example)), strict=True)
    program.example_inputs = None  # else they are saved too, as large as the grid
    return program


def inputs(run: Run) -> tuple[Tensor, ...]:
    """History, forcing and static fields of the run's sizes, two cases of them: torch would take one for a constant."""
    lineage, data = run.forecast_lineage, run.experiment.data
    sizes = (
        (2, data.history, len(lineage.variables), *lineage.shape),
        (2, data.lead, len(lineage.forcing), *lineage.shape),
        (len(lineage.static), *lineage.shape),
    )
    return tuple(torch.zeros(size) for size in sizes)


def _free(example: Tensor) -> dict[int, Any]:
    """The dimensions that torch may leave open: rows, columns and cases."""
    last = example.ndim - 1
    return dict.fromkeys([*([0] if last > 2 else []), last - 1, last], Dim.AUTO)


def description(run: Run, program: ExportedProgram) -> dict[str, Any]:
    """What a user of the program must know, as JSON types; sizes that torch left open are null."""
    lineage, data = run.forecast_lineage, run.experiment.data
    names: dict[str, dict[str, Any]] = {
        "history": {"dims": ["case", "time", "variable", *PLANES], "variables": lineage.names},
        "forcing": {"dims": ["case", "lead", "field", *PLANES], "fields": list(lineage.forcing)},
        "static": {"dims": ["field", *PLANES], "fields": list(lineage.static)},
        "noise": {"dims": ["case", "draw", "map", *PLANES]},
    }
    sizes = _sizes(program)
    out = ["case", "variable", *PLANES] if data.lead == 1 else ["case", "lead", "variable", *PLANES]
    return {
        "weatherml": version("weatherml"),
        "model": run.experiment.model.kind,
        "step_seconds": lineage.step_seconds,
        "inputs": {name: names[name] | {"shape": shape} for name, shape in sizes.items()},
        "output": {"dims": out, "variables": lineage.names},
        "variables": [variable.settings() for variable in lineage.variables],
        "grid": {"digest": lineage.grid, "shape": list(lineage.shape), "periodic_x": lineage.periodic_x},
    }


def _sizes(program: ExportedProgram) -> dict[str, list[int | None]]:
    wanted = set(program.graph_signature.user_inputs)
    given = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    return {node.name: [_fixed(size) for size in node.meta["val"].shape] for node in given}


def _fixed(size: int | torch.SymInt) -> int | None:
    fixed: int | None = size if isinstance(size, int) else size.node.maybe_as_int()
    return fixed
