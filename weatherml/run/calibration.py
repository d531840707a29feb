"""What was fitted to a generative run after training: how much noise its spread takes to be right."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weatherml.config import Settings
from weatherml.errors import BadDataError
from weatherml.seal import content, read_description, write_description

FILE = "calibration.json"
HOTTEST = 10
"""A bound on what is read; fits lie near 1."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fit, valid for the sampler that it was made with.

    Attributes:
        temperature: of each field that is drawn, see `GenerativeModel`.
        sampler: settings of the sampler; None where a sample is one network call.
        before: spread-skill ratio by variable on the validation part, as it was learnt.
        after: the same as it was fitted.
        gains: of the bands of each field, see `weatherml.nn.equalizer.Equalizer`; none where nothing has bands.
        bands_before: spread-skill ratio of each variable's bands, the widest waves first, as it was learnt.
        bands_after: the same as it was fitted.
    """

    temperature: tuple[float, ...]
    sampler: Settings | None
    before: dict[str, float]
    after: dict[str, float]
    gains: tuple[float, ...] = ()
    bands_before: dict[str, list[float]] = field(default_factory=dict)
    bands_after: dict[str, list[float]] = field(default_factory=dict)

    def describe(self) -> str:
        """Before and after in one line."""
        change = (f"{name} {self.before[name]:.2f} -> {self.after[name]:.2f}" for name in self.before)
        return f"calibrated on the validation part, spread over error: {', '.join(change)}"

    def settings(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"temperature": list(self.temperature), "gains": list(self.gains)}

    def save(self, run: Path) -> None:
        """Write it into a run."""
        write_description(run / FILE, "calibration", self.settings())

    @classmethod
    def load(cls, run: Path) -> Calibration | None:
        """A run's calibration; None where there is none.

        Raises:
            BadDataError: a file that does not read, or was changed since it was written.
        """
        path = run / FILE
        return cls.from_settings(content(read_description(path, "calibration")), path) if path.is_file() else None

    @classmethod
    def from_settings(cls, known: dict[str, Any], path: Path) -> Calibration:
        """The inverse of `settings`; `path` is where they stand.

        Raises:
            BadDataError: settings that do not read.
        """
        try:
            factors = {name: tuple(map(float, known.get(name, ()))) for name in ("temperature", "gains")}
            fit = cls(**known | factors)
            for name, each in factors.items():
                if not all(0 < factor <= HOTTEST for factor in each):
                    raise ValueError(f"{name} {each} is not between 0 and {HOTTEST}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadDataError(f"{path}: no calibration ({error}); remove it, or train again") from None
        return fit
