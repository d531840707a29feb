"""Where an unfinished microbatch stands: what a killed job needs to go on with its next lead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from weatherml.tensors import save_tensors


@dataclass(frozen=True, kw_only=True)
class State:
    """Rows of a forecast, some leads on their way. The noise needs nothing but the lead.

    Attributes:
        rows: (B,) int64, which rows.
        lead: leads done.
        history: (B, T, C, H, W) physical, the last T states.
        kept: (B,) int64, leads until the row turned non-finite; `lead` where it did not.
    """

    rows: Tensor
    lead: int
    history: Tensor
    kept: Tensor

    @classmethod
    def initial(cls, rows: list[int], history: Tensor) -> State:
        """The rows before their first lead."""
        return cls(rows=torch.tensor(rows), lead=0, history=history, kept=torch.zeros(len(rows), dtype=torch.int64))

    def after(self, states: Tensor, kept: Tensor) -> State:
        """The rows when (B, l, C, H, W) more physical states are written."""
        T = self.history.shape[1]
        history = torch.cat([self.history.to(states.device), states], dim=1)[:, -T:]
        return replace(self, lead=self.lead + states.shape[1], history=history, kept=kept.clone())

    def save(self, path: Path) -> None:
        """Replace the file at `path` in one step, durably."""
        tensors = {
            "rows": self.rows,
            "lead": torch.tensor(self.lead),
            "history": self.history.cpu().contiguous(),
            "kept": self.kept,
        }
        save_tensors(path, tensors)

    @classmethod
    def load(cls, path: Path) -> State:
        """Read what `save` wrote, to the CPU."""
        found = load_file(path)
        return cls(rows=found["rows"], lead=int(found["lead"]), history=found["history"], kept=found["kept"])
