"""The rows of a forecast, (initial time, member) pairs, stepped some at a time and written as they come."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weatherml.errors import UnavailableError
from weatherml.fields import Fields
from weatherml.forecast.perturbation import Perturbation
from weatherml.forecast.roller import Roller
from weatherml.forecast.state import State
from weatherml.forecast.store import ForecastWriter
from weatherml.progress import Progress
from weatherml.run.noise import MemberNoise
from weatherml.run.stepping import finite
from weatherml.signals import stop_request

Array = npt.NDArray[Any]
BATCH_POINTS = 1 << 17
"""Grid points stepped together: many rows of a small grid, one of a large."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is to be forecast. Row r is member r % M of initial time r // M.

    Attributes:
        roller: steps the run's model.
        indices: (N,) of the initial times in the dataset.
        steps: leads of each row.
        members: M; None is one row for each initial time.
        seed: of the members' noise.
        correlation: of the noise in time; see `MemberNoise`.
        perturbation: of the initial states; None leaves them as they are.
    """

    roller: Roller
    indices: Array
    steps: int
    members: int | None = None
    seed: int = 0
    correlation: float = 0.0
    perturbation: Perturbation | None = None

    def __len__(self) -> int:
        return len(self.indices) * (self.members or 1)

    @property
    def times(self) -> Array:
        """(N,) datetime64, the initial times."""
        return self.roller.dataset.times[self.indices]

    def start(self, rows: Sequence[int]) -> State:
        """Some rows before their first lead."""
        indices = self.indices[self._split(rows)[0]]
        history = self.roller.history(indices)
        if self.perturbation:
            history = self.perturbation(history, indices, self._noise(rows), self.roller)
        return State.initial(list(rows), history)

    def leads(self, state: State) -> Iterator[Fields]:
        """(B, C, H, W) physical fields of each lead that these rows do not have yet."""
        rows = state.rows.tolist()
        history = state.history.to(self.roller.device)
        noise = self._noise(rows, self.correlation)
        times = self.times[self._split(rows)[0]]
        return self.roller.leads(history, times, noise, steps=self.steps, first=state.lead)

    def label(self, row: int) -> str:
        """A row in words."""
        case, member = divmod(row, self.members or 1)
        return f"{self.times[case]}Z" if self.members is None else f"{self.times[case]}Z member {member}"

    def _split(self, rows: Sequence[int]) -> tuple[Array, Array]:
        cases, members = np.divmod(np.asarray(rows), self.members or 1)
        return cases, members

    def _noise(self, rows: Sequence[int], correlation: float = 0.0) -> MemberNoise:
        cases, members = self._split(rows)
        return MemberNoise(self.seed, self.times[cases], members, device=self.roller.device, correlation=correlation)


def forecast_rows(rows: Rows, writer: ForecastWriter, *, batch: int | None = None, progress: Progress) -> None:
    """Forecast every row that the writer does not have yet, some at a time; half as many where memory runs out.

    Args:
        rows: all of them.
        writer: of the store, laid out.
        batch: rows stepped together; None takes what `BATCH_POINTS` holds.
        progress: is told the leads done, of all rows.

    Raises:
        UnavailableError: not even one row fits.
        StoppedError: a signal came; what is written is kept.
    """
    H, W = rows.roller.dataset.grid.shape
    batch = batch or max(1, BATCH_POINTS // (H * W))
    done = set(writer.done)
    left = [row for row in range(len(rows)) if row not in done]
    with stop_request() as stop:
        while left:
            chosen, before = left[:batch], len(writer.done)
            try:
                for lead in write_leads(rows, writer, chosen):
                    progress(before * rows.steps + lead * len(chosen), len(rows) * rows.steps)
                    stop.raise_if_set(f"{writer.output}: stopped after {before} of {len(rows)} forecasts")
            except torch.OutOfMemoryError:
                batch = smaller_batch(len(chosen), rows)
            else:
                left = left[len(chosen) :]


def smaller_batch(batch: int, rows: Rows) -> int:
    """Half of a batch that did not fit in memory.

    Raises:
        UnavailableError: it was one row.
    """
    if batch == 1:
        raise UnavailableError(
            f"{rows.roller.device}: one step does not fit in its memory; take smaller --tile, or another --device"
        ) from None
    logger.warning("out of memory: going on with %d forecasts at a time instead of %d", batch // 2, batch)
    torch.cuda.empty_cache()
    return batch // 2


def write_leads(rows: Rows, writer: ForecastWriter, chosen: Sequence[int]) -> Iterator[int]:
    """Write the leads of some rows shard by shard, yielding how many are done.

    From the first non-finite lead of a row on, it is written as missing.
    """
    state = writer.running(chosen) or rows.start(chosen)
    kept, block = state.kept.clone(), list[Tensor]()
    for lead, fields in enumerate(rows.leads(state), state.lead + 1):
        alive = (kept == lead - 1) & finite(fields).cpu()
        kept += alive
        block.append(torch.where(alive.view(-1, 1, 1, 1), fields.cpu(), torch.nan))
        if lead % writer.shard == 0 or lead == rows.steps:
            states = torch.stack(block, dim=1)
            writer.write(chosen, lead - len(block), states.numpy())
            state, block = state.after(states, kept), []
            writer.save(state)
        yield lead
    stopped = {rows.label(row): leads for row, leads in zip(chosen, kept.tolist(), strict=True) if leads < rows.steps}
    writer.complete(chosen, stopped)
