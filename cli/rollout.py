"""`wml rollout`: a run becomes a forecast."""

from __future__ import annotations

from cli.defaults import FORECASTS, dataset_path, fresh, run_path
from cli.display import bar, say
from cli.options import Data, Device, DeviceOption, Hours, Init, Output, Overwrite, Run, Steps, Tile


def rollout(
    run: Run = None,
    data: Data = None,
    init: Init = None,
    hours: Hours = None,
    steps: Steps = None,
    output: Output = None,
    tile: Tile = None,
    device: DeviceOption = Device.auto,
    overwrite: Overwrite = False,
) -> None:
    """Step a trained model forward in time, from one or many initial times."""
    from weatherml.forecast.length import forecast_steps
    from weatherml.forecast.rollout import rollout

    chosen = run_path(run)
    with bar("rollout") as progress:
        forecast = rollout(
            chosen,
            dataset_path(data),
            init=init or [],
            steps=forecast_steps(chosen, hours=hours, steps=steps),
            output=output or fresh(FORECASTS, chosen.resolve().name, ".zarr"),
            device=device.value,
            tile=tile,
            overwrite=overwrite,
            progress=progress,
        )
    first, last = forecast.init_times[0], forecast.init_times[-1]
    say(f"{len(forecast.init_times)} initial time(s) {first}Z to {last}Z, {forecast.steps} steps each")
    print(f"forecast: {forecast.path}")
