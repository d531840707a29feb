"""The four tasks."""

from __future__ import annotations

from typing import Literal

Task = Literal["forecast", "emulate", "classify", "segment"]
