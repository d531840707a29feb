"""A part of an evaluation: the sums of a block of cases, which add up and lie in one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from weatherml.files import replacing
from weatherml.verify.files.truth import Array, RollingFrames
from weatherml.verify.scoring.case import Cards, CaseSums, score_case
from weatherml.verify.scoring.columns import Columns, Key, pack
from weatherml.verify.scoring.inputs import Inputs

TENSORS = ("conditional", "others", "errors", "liveliness")
COLUMNS = ("conditional_columns", "other_columns")
ERROR = "crps"


@dataclass(frozen=True, kw_only=True)
class Part:
    """The sums of some cases; two parts, of different cases, add up to that of all.

    Attributes:
        conditional_columns: of the metrics that are asked under conditions too.
        conditional: (1 + labels, L, columns) float64: of all cases, then of each label.
        other_columns: of the other metrics.
        others: (L, columns) float64.
        errors: (readers, variables, I) float64, mean error of each case; NaN where nothing was scored.
        liveliness: (I,) float64, variance of each case's truth.
    """

    conditional_columns: Columns
    conditional: Tensor
    other_columns: Columns
    others: Tensor
    errors: Tensor
    liveliness: Tensor

    @property
    def cases(self) -> int:
        """I."""
        return len(self.liveliness)

    def __add__(self, other: Part) -> Part:
        return Part(
            conditional_columns=self.conditional_columns,
            conditional=self.conditional + other.conditional,
            other_columns=self.other_columns,
            others=self.others + other.others,
            errors=torch.cat([self.errors, other.errors], dim=-1),
            liveliness=torch.cat([self.liveliness, other.liveliness]),
        )

    def save(self, path: Path) -> None:
        """Write it durably, in one step.

        Raises:
            OSError: the disk is full or fails.
        """
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        columns = {name: json.dumps(getattr(self, name).plain()) for name in COLUMNS}
        with replacing(path) as temporary:
            temporary.write_bytes(save(tensors, metadata=columns))

    @classmethod
    def load(cls, path: Path) -> Part:
        """Map a file's sums into memory.

        Raises:
            SafetensorError: not such a file.
        """
        with safe_open(path, framework="pt") as file:
            columns = (Columns.from_plain(json.loads(file.metadata()[name])) for name in COLUMNS)
            conditional_columns, other_columns = columns
            tensors = {name: file.get_tensor(name) for name in TENSORS}
        return cls(conditional_columns=conditional_columns, other_columns=other_columns, **tensors)


def score_part(
    inputs: Inputs,
    init_times: Array,
    frames: RollingFrames,
    count: Callable[[], object] = lambda: None,
    *,
    begun: Part | None = None,
    ends: Callable[[], bool] = lambda: False,
) -> Part:
    """The sums of some cases, one in memory at a time.

    Args:
        inputs: opened.
        init_times: (I,) of the cases, one at least.
        frames: of the truth.
        count: called after each case.
        begun: the sums of the first cases, which are not scored again.
        ends: asked after each case, whether to leave it at those scored so far.
    """
    part = begun
    for init_time in init_times[part.cases if part else 0 :]:
        case = score_one(inputs, init_time, frames)
        part = part + case if part else case
        count()
        if ends():
            break
    assert part is not None
    return part


def score_one(inputs: Inputs, init_time: np.datetime64, frames: RollingFrames) -> Part:
    """The sums of one case; leads without truth are not read, and count nothing."""
    valid_times = init_time + inputs.cases.lead_times
    seen = inputs.truth.has(valid_times)
    fields = frames.read(valid_times[seen])
    rows = torch.from_numpy(inputs.truth.grid.row_weights)
    case = score_case(
        inputs.readers, fields, init_time, inputs.cases.lead_times[seen],
        cards=inputs.cards, rows=rows, regions=inputs.conditions.regions, climatology=inputs.climatology,
    )  # fmt: skip
    belongs = inputs.conditions.belongs(valid_times[seen], fields, rows)
    conditional_columns, conditional = _by_label(case, belongs)
    other_columns, others = pack(case.others)
    names = [reader.name for reader in inputs.readers]
    return Part(
        conditional_columns=conditional_columns,
        conditional=_at(seen, conditional),
        other_columns=other_columns,
        others=_at(seen, others),
        errors=case_errors(case, names, inputs.cards),
        liveliness=torch.tensor([liveliness(fields[inputs.animated], len(seen))], dtype=torch.float64),
    )


def _by_label(case: CaseSums, belongs: Tensor) -> tuple[Columns, Tensor]:
    """The table of all, of each condition's leads, and of each region: (1 + labels, L, columns)."""
    columns, whole = pack(case.conditional)
    apart = torch.where(belongs.unsqueeze(-1), whole, 0)
    regions = [pack(sums)[1] for sums in case.regions.values()]
    return columns, torch.cat([whole.unsqueeze(0), apart, *(region.unsqueeze(0) for region in regions)])


def _at(seen: Array, table: Tensor) -> Tensor:
    """A table (..., l, columns) of the leads `seen` among all leads (..., L, columns); 0 at the others."""
    whole = table.new_zeros(*table.shape[:-2], len(seen), table.shape[-1])
    whole[..., torch.from_numpy(seen), :] = table
    return whole


def case_errors(case: CaseSums, names: Sequence[str], cards: Cards) -> Tensor:
    """Fair CRPS over points and leads, (readers, variables, 1); NaN where nothing was scored."""
    errors = torch.full((len(names), len(cards), 1), torch.nan, dtype=torch.float64)
    for j, (variable, card) in enumerate(cards.items()):
        for i, name in enumerate(names):
            key: Key = (name, variable, ERROR)
            sums = case.conditional.get(key)
            if sums is not None:
                errors[i, j] = card[ERROR].value({part: value.sum(0, keepdim=True) for part, value in sums.items()})
    return errors


def liveliness(truth: Array, leads: int) -> float:
    """Variance of a field over points and the leads seen (l, H, W); unknown points, and leads unseen, count as calm."""
    known = np.isfinite(truth)
    return float(np.var(truth, where=known)) * float(known.mean()) * len(truth) / leads if known.any() else 0.0
