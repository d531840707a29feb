"""Another run's weights for this run's model: bound to variables by name, whatever their order or number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from weatherml.errors import BadDataError
from weatherml.models.base import Model
from weatherml.run.binding import Binding, Labels
from weatherml.run.directory import Run
from weatherml.run.lineage import Lineage

Pairs: TypeAlias = list[list[tuple[int, int]]]
SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What a model took from a run, by the names of its tensors.

    Attributes:
        source: the run, in words.
        taken: whole.
        partly: in part, since the variables or times of the two runs differ.
        new: not at all; they stay as they were built.
        left: of the run, and not of the model.
        transforms: variables that both know, each under a transform of its own.
    """

    source: str
    taken: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    transforms: list[str] = field(default_factory=list)

    def add(self, name: str, pairs: Pairs | None, ours: Tensor, theirs: Tensor) -> None:
        """Count a tensor by the places that were matched."""
        if pairs is None:
            self.new.append(name)
        elif ours.shape == theirs.shape == tuple(len(both) for both in pairs):
            self.taken.append(name)
        else:
            self.partly.append(name)

    def describe(self) -> str:
        """A short table."""
        rows = {"taken": self.taken, "partly taken": self.partly, "new": self.new, "left over": self.left}
        table = [f"weights of {self.source}:", *(_row(title, names) for title, names in rows.items())]
        warnings = [
            f"  {each}: what was learnt of it does not fit; set data.transforms alike" for each in self.transforms
        ]
        return "\n".join(table + warnings)


def start_from(model: Model, run: Run, other: Run) -> Transfer:
    """Give the fresh model of `run` what `other` has learnt.

    Inputs are matched by variable, kind and age, outputs by variable and lead; all else must agree in size, as it
    does on any grid. Weights of inputs that `other` did not have begin as 0, so that the forecast is at first that of
    `other`; outputs that it did not have stay as they were built.

    Raises:
        BadDataError: no weight fits.
        MissingInputError: the other run has nothing saved yet.
    """
    source = other.load_model()
    theirs, ours = source.state_dict(), model.state_dict()
    binding, their_binding, kernels = Binding(run, model), Binding(other, source), dict(model.named_parameters())
    found = Transfer(source=f"{other.path} ({other.experiment.model.kind})", left=[n for n in theirs if n not in ours])
    found.new.extend(name for name in ours if name not in theirs)
    found.transforms.extend(_bent(run, other))
    for name in [name for name in ours if name in theirs]:
        tensor, given = ours[name], theirs[name]
        pairs = matched(binding.labels(name, tensor.shape), their_binding.labels(name, given.shape))
        found.add(name, pairs, tensor, given)
        if pairs is not None:
            ours[name] = merged(tensor, given, pairs, clear=name in kernels)
    if not (found.taken or found.partly):
        raise BadDataError(
            f"train.start: no weight of {found.source} fits this {run.experiment.model.kind}; "
            "take a run of the same model and widths"
        )
    model.load_state_dict(ours)
    return found


def _bent(run: Run, other: Run) -> Iterator[str]:
    """What stands under different transforms in two runs that forecast, in words."""
    if isinstance(run.lineage, Lineage) and isinstance(other.lineage, Lineage):
        theirs = {variable.name: variable.transform for variable in other.lineage.variables}
        for variable in run.lineage.variables:
            if theirs.get(variable.name, variable.transform) != variable.transform:
                yield f"{variable.name} is {variable.transform} here and {theirs[variable.name]} there"


def matched(ours: Sequence[Labels], theirs: Sequence[Labels]) -> Pairs | None:
    """For each dimension the places, ours and theirs, that have the same label; None where one has none in common."""
    if len(ours) != len(theirs):
        return None
    places = [{label: place for place, label in enumerate(labels)} for labels in theirs]
    pairs = [
        [(place, its[label]) for place, label in enumerate(labels) if label in its]
        for labels, its in zip(ours, places, strict=True)
    ]
    return pairs if all(pairs) else None


def merged(ours: Tensor, theirs: Tensor, pairs: Pairs, *, clear: bool) -> Tensor:
    """Our tensor with their numbers where both have a place, and, to `clear`, 0 for inputs that they do not have."""
    out, block, index = ours.clone(), theirs.to(ours), []
    for dim, both in enumerate(pairs):
        mine, its = torch.tensor(both, device=ours.device).T
        if clear and dim:
            known = torch.zeros(ours.shape[dim], dtype=torch.bool, device=ours.device).index_fill(0, mine, True)
            out.index_fill_(dim, (~known).nonzero().flatten(), 0.0)
        block = block.index_select(dim, its)
        index.append(mine.view(-1, *[1] * (ours.ndim - 1 - dim)))
    out[tuple(index)] = block
    return out


def _row(title: str, names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"  {title:<14}{len(names):>4}  {', '.join(names[:SHOWN])}{more}".rstrip()
