"""Which place in a model's tensors belongs to which variable: found out, not listed model by model.

A dimension that grows when the data have one more variable is one of variables. The order within is that in which
`weatherml.nn.inputs` stacks what enters, and `weatherml.models.prediction` reads what leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import torch

from weatherml.errors import ConfigError
from weatherml.fields import Shape
from weatherml.models.base import Model
from weatherml.nn.inputs import ScaledInputs
from weatherml.run.directory import Run
from weatherml.run.lineage import Lineage

Labels: TypeAlias = tuple[Hashable, ...]
"""What stands at each place of a dimension."""
Sizes: TypeAlias = dict[str, tuple[int, ...]]
ANOTHER = "another"


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a model's data consist of.

    Attributes:
        inputs: variables of a state that enters, in order.
        outputs: variables of a state that leaves.
        forcing: known fields.
        static: static fields.
        history: T.
        lead: L.
        scaled: whether what enters is `ScaledInputs`.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    forcing: tuple[str, ...]
    static: tuple[str, ...]
    history: int
    lead: int
    scaled: bool

    @classmethod
    def of(cls, run: Run, model: Model) -> Names:
        """Those of a run's own model."""
        lineage, shape = run.lineage, run.lineage.model_shape(run.experiment)
        known = (lineage.forcing, lineage.static) if isinstance(lineage, Lineage) else ((), ())
        return cls(
            inputs=shape.names or tuple(lineage.names),
            outputs=tuple(lineage.names),
            forcing=known[0],
            static=known[1],
            history=shape.history,
            lead=shape.lead,
            scaled=any(isinstance(part, ScaledInputs) for part in model.modules()),
        )


Layout: TypeAlias = Callable[[Names], Labels]


def states(names: Names) -> Labels:
    """One state that enters."""
    return names.inputs


def predicted(names: Names) -> Labels:
    """L states that leave."""
    return tuple(product(("predicted",), range(names.lead), names.outputs))


def carried(names: Names) -> Labels:
    """The same, the flow of all, and what each departs from it, y before x."""
    flow = product(("flow",), range(names.lead), "yx")
    return (*predicted(names), *flow, *product(("departure",), range(names.lead), names.outputs, "yx"))


def read(names: Names) -> Labels:
    """What is stacked before a network: a state's age counts from the last one, so that a longer history adds to it."""
    ages = range(names.history - 1, -1, -1)
    if names.scaled:
        changes = product(("change",), ages[1:], names.inputs)
        history = (*changes, *product(("state",), (0,), names.inputs), *product(("detail",), names.inputs))
    else:
        history = tuple(product(("state",), ages, names.inputs))
    known = product(("known",), range(names.lead), names.forcing)
    return (*history, *known, *product(("static",), names.static))


def noisy(names: Names) -> Labels:
    """A noisy sample, and what is stacked."""
    return (*predicted(names), *read(names))


LEAVING: tuple[Layout, ...] = (predicted,)
ENTERING: tuple[Layout, ...] = (read, noisy, predicted, states)
BEFORE_OTHERS: tuple[Layout, ...] = (carried, predicted, states)
"""What may stand before channels that are no variables: features, or a hidden state."""


class Binding:
    """Labels the dimensions of a model's tensors with the variables of its run.

    A model that takes no other number of variables than it has is bound by position.
    """

    def __init__(self, run: Run, model: Model) -> None:
        self.names = Names.of(run, model)
        built = {probe: _sizes(run, shape) for probe, shape in _probes(self.names, run).items()}
        self.probes = [(probe, sizes) for probe, sizes in built.items() if sizes is not None]

    def labels(self, name: str, size: Sequence[int]) -> list[Labels]:
        """What stands at each place of each dimension of the tensor `name`, whose size is `size`."""
        return [self._of(name, dim, length) for dim, length in enumerate(size)]

    def _of(self, name: str, dim: int, length: int) -> Labels:
        growth = [sizes[name][dim] - length for _, sizes in self.probes]
        if any(growth):
            for layout in self._fitting(dim, length):
                labels = layout(self.names)
                if [len(layout(probe)) - len(labels) for probe, _ in self.probes] == growth:
                    return (*labels, *positions(length - len(labels)))
        return positions(length)

    def _fitting(self, dim: int, length: int) -> list[Layout]:
        """The layouts that a dimension may have, the likeliest first."""
        exact = [layout for layout in (ENTERING if dim else LEAVING) if len(layout(self.names)) == length]
        return exact + [layout for layout in BEFORE_OTHERS if len(layout(self.names)) < length]


def positions(length: int) -> Labels:
    """Places that belong to no variable: each is itself among as many, and no other."""
    return tuple(product((length,), range(length)))


def _probes(names: Names, run: Run) -> dict[Names, Shape]:
    """The run's data with one more variable that enters, and with one more that leaves; of a forecast both in one."""
    shape = run.lineage.model_shape(run.experiment)
    entering, leaving = (*names.inputs, ANOTHER), (*names.outputs, ANOTHER)
    scale = (*shape.delta_std, 1.0)
    if shape.targets is None:
        more = replace(shape, channels=len(entering), delta_std=scale)
        return {replace(names, inputs=entering, outputs=leaving): more}
    return {
        replace(names, inputs=entering): replace(shape, channels=len(entering), names=entering),
        replace(names, outputs=leaving): replace(shape, targets=len(leaving), delta_std=scale),
    }


def _sizes(run: Run, shape: Shape) -> Sizes | None:
    """The sizes of the tensors of the run's model for other data; None where it takes none such."""
    try:
        with torch.device("meta"):
            model = run.experiment.model.build(shape)
    except ConfigError:
        return None
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
