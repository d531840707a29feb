"""Power spectra of forecasts and truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weatherml.page.charts import Axis, Chart, Series, chart, power_axis
from weatherml.verify.report.styles import styles
from weatherml.verify.scores.scores import TRUTH, Scores

Array = npt.NDArray[Any]
FLOOR = 1e-8  # of the largest power; below lies the floor of rounding, which is no science
WAVENUMBERS = tuple(2**power for power in range(10))


def spectrum_charts(scores: Scores, variable: str, spacing_km: float | None, cells: int) -> list[Chart]:
    """Power against wavelength at the first and the last lead that were scored."""
    spectra = {name: power[variable].numpy() for name, power in scores.spectra.items() if variable in power}
    if TRUTH not in spectra:
        return []
    known = np.flatnonzero(np.isfinite(spectra[TRUTH]).all(axis=-1) & (spectra[TRUTH] > 0).any(axis=-1))
    return [
        _spectrum_chart(scores, variable, lead, spectra, wavelengths=(cells * (spacing_km or 1.0), bool(spacing_km)))
        for lead in sorted({known[0], known[-1]} if len(known) else ())
    ]


def _spectrum_chart(
    scores: Scores, variable: str, lead: int, spectra: dict[str, Array], *, wavelengths: tuple[float, bool]
) -> Chart:
    look, (longest, in_km) = styles(scores) | {TRUTH: "truth"}, wavelengths
    wavenumber = np.arange(1, spectra[TRUTH].shape[-1] + 1)
    series = [
        Series(name=name, style=look[name], x=wavenumber, y=spectra[name][lead])
        for name in (*scores.names, TRUTH)
        if name in spectra
    ]
    reach = np.concatenate([line.y for line in series])
    y = power_axis(np.where(reach > FLOOR * np.nanmax(reach, initial=0.0), reach, np.nan))
    return chart(
        f"spectrum at {scores.cases.lead_hours[lead]:g} h", f"power, {scores.variables[variable].units} squared",
        series, wavelength_axis(len(wavenumber), longest), y, x_label=f"wavelength ({'km' if in_km else 'cells'})",
    )  # fmt: skip


def wavelength_axis(bins: int, longest: float) -> Axis:
    """Wavenumbers 1 .. bins on a logarithmic axis, labelled with their wavelengths; `longest` is that of 1."""
    ticks = [(float(number), _length(longest / number)) for number in WAVENUMBERS if number <= bins]
    return Axis(low=1.0, high=float(max(bins, 2)), ticks=ticks, log=True)


def _length(length: float) -> str:
    return f"{length:.0f}" if length >= 100 else f"{length:.3g}"
