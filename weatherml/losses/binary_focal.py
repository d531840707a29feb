"""The focal loss with events weighted up."""

from __future__ import annotations

from pydantic import Field

from weatherml.losses.base import LOSSES
from weatherml.losses.focal import Focal


@LOSSES.register("binary-focal")
class BinaryFocal(Focal):
    """The focal loss on logits with three quarters of the weight on events: a miss costs more than a false alarm."""

    alpha: float | None = Field(0.75, ge=0, le=1)
