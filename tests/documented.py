"""What the documents show: commands, blocks of code, links; and a small world on which the commands run."""

from __future__ import annotations

import re
import shlex
from contextlib import chdir
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import typer
import xarray as xr

from cli.main import app
from tests.cli.commands import wml

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
SCRIPTS = [*(ROOT / "scripts").glob("*.sh"), ROOT / "train_optimized.sh"]
NAMES = "|".join(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
COMMAND = re.compile(rf"(?:^|\s|exec )(wml (?:{NAMES})\b[^`\n]*)")


def commands(paths: list[Path]) -> list[str]:
    """Every `wml ...` line, continuation lines joined, comments and redirections cut."""
    texts = [path.read_text(encoding="utf-8").replace("\\\n", " ") for path in paths]
    lines = [line for text in texts for line in COMMAND.findall(text)]
    return sorted({re.split(r"\s[|>#]|>>|\s+;", line)[0].strip() for line in lines})


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language; of Python also indented ones, which begin with an import."""
    text = path.read_text(encoding="utf-8")
    fenced = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    indented = re.findall(r"\n\n((?:    import [^\n]*\n)(?:    [^\n]*\n)*)", text) if language == "python" else []
    return [*fenced, *(re.sub("^    ", "", block, flags=re.MULTILINE) for block in indented)]


SMALL = (
    "--set model.base_features=4 --set model.depth=1 --set model.blocks=1 --set train.precision=32-true "
    "--set model.multipliers=null"
)
STEPS = ["steps=2", "epochs=null", "minutes=null", "warmup=1", "accumulate=1", "batch=2"]
CHECKS = ["validation.cases=1", "validation.lead_steps=1", "calibration.cases=0"]
BRIEF = " ".join(f"--set train.{setting}" for setting in [*STEPS, *CHECKS])
CASES = "--data data/dataset.zarr --init 2024-07-02T18:00 --init 2024-07-03T00:00 --hours 6"
FLOODS = f"train --model cnn-convlstm --data data/floods.zarr {BRIEF}"
TRAIN = f"train --data data/dataset.zarr {SMALL} {BRIEF}"
TWO = '--set "data.variables=[refc, t2m]"'
MADE_BY = {
    "data/dataset.zarr": "prepare synthetic --set height=16 --set width=16 --set hours=240 --set first_time=2024-06-24",
    "data/era5.zarr": 'prepare netcdf --input "era5/*.nc"',
    "data/floods.zarr": "prepare table --input floods.csv --set split.validation=0.25",
    "runs/a": TRAIN,
    "runs/b": f"{TRAIN} --set train.seed=1",
    "runs/two": f"{TRAIN} {TWO}",
    "runs/crps": f"{TRAIN} --model crps",
    "runs/two-crps": f"{TRAIN} {TWO} --model crps",
    "runs/edm": f"{TRAIN} --model edm --set sampler.steps=2",
    "runs/forced": f"{TRAIN} --forcing data/era5.zarr",
    "runs/forced-crps": f"{TRAIN} --forcing data/era5.zarr --model crps",
    "runs/coarse": "train --model persistence --data data/era5.zarr",
    "runs/floods": FLOODS,
    "runs/floods-a": FLOODS,
    "runs/floods-b": f"{FLOODS} --set train.seed=1",
    "hrrr.safetensors": "export --run runs/crps",
    "hrrr.pt2": "export --run runs/a --format torch",
    "forecasts/first.zarr": f"rollout --run runs/two {CASES}",
    "forecasts/theirs.nc": f"rollout --run runs/two {CASES}",
    "forecasts/ensemble.zarr": f"ensemble --run runs/two-crps {CASES} --members 2",
    "forecasts/gfs.zarr": "rollout --run runs/coarse --data data/era5.zarr --init 2024-07-03 --hours 60",
    "forecasts/floods.nc": "rollout --run runs/floods --data data/floods.zarr",
    "forecasts/a-stacked.zarr": f"ensemble --run runs/a --run runs/b --combine stacked {CASES} --set cases=3",
}
"""What the documents take for granted, and the command that makes it in small, without its name."""

SAME = {
    "runs/mean": "runs/a",
    "runs/ensemble": "runs/crps",
    "data/hrrr.zarr": "data/dataset.zarr",
    "forecasts/mine.zarr": "forecasts/first.zarr",
    "forecasts/hrrr.zarr": "forecasts/first.zarr",
    "overnight/dataset.zarr": "data/dataset.zarr",
    "overnight/run": "runs/a",
    "overnight/forecast.zarr": "forecasts/first.zarr",
}
USUAL = {"data": "data/dataset.zarr", "runs": "runs/a", "forecasts": "forecasts/first.zarr"}
"""What other names in a folder stand for: `runs/year` is a run like any other."""

READS = {
    "train": ["data"],
    "rollout": ["data", "runs"],
    "ensemble": ["data", "runs"],
    "evaluate": ["data", "forecasts"],
    "export": ["runs"],
}
"""The folders in which a command looks for the newest where none is named."""

OUTPUTS = {"train": ("--run",), "plan": ("--apply",), "inspect": ("--plot",)}


class World:
    """A folder in which things are made when they are first asked for, and lent by symbolic links."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "era5").mkdir()
        large_scale(folder / "era5" / "june.nc")
        floods(folder / "floods.csv")

    def thing(self, name: str) -> Path:
        """The path of a documented input, made if need be."""
        if name.endswith(".blend.json"):  # what was fitted lies beside the forecast
            return self.thing(name.replace(".blend.json", ".zarr")).with_name(Path(name).name)
        name = SAME.get(name, name)
        if name not in MADE_BY and "/" in name:
            name = USUAL[name.partition("/")[0]]
        if not (self.folder / name).exists() and name in MADE_BY:
            self.make(name)
        return self.folder / name

    def make(self, name: str) -> None:
        """Run the command that makes a thing, after those that make what it reads."""
        words = shlex.split(MADE_BY[name])
        for needed in inputs(words):
            self.thing(needed)
        with chdir(self.folder):
            code, _, err = wml(*words, "--run" if words[0] == "train" else "--output", name)
        assert code == 0, f"{name}: {MADE_BY[name]}: {err}"

    def furnish(self, folder: Path, words: list[str]) -> None:
        """Put into a folder what a command reads under the names that it gives, and what that was made from."""
        named = {*newest(words), *inputs(words)}
        behind = {each for name in named for each in inputs(shlex.split(MADE_BY.get(name, "")))}
        for name in (named | behind) - outputs(words):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(self.thing(name))


def inputs(words: list[str]) -> list[str]:
    """The paths that a command reads; of a glob its folder."""
    named = [word.rpartition("=")[2].removesuffix("/*.nc") for word in words[1:]]
    paths = [
        name
        for name in named
        if re.fullmatch(r"(data|runs|forecasts|overnight)/[\w.-]+|era5|floods\.csv|hrrr\.(safetensors|pt2)", name)
    ]
    return [path for path in paths if path not in outputs(words)]


def newest(words: list[str]) -> list[str]:
    """What a command takes where it names nothing; of floods, where it is about them."""
    named = inputs(words)
    usual = USUAL | ({"data": "data/floods.zarr"} if any("floods" in name for name in named) else {})
    folders = READS.get(words[0], [])
    return [usual[folder] for folder in folders if not any(name.startswith(f"{folder}/") for name in named)]


def outputs(words: list[str]) -> set[str]:
    """The paths that a command writes."""
    options = {"--output", *OUTPUTS.get(words[0], ())}
    return {path for option, path in pairwise(words) if option in options}


def large_scale(path: Path) -> None:
    """A plane that moves, on a grid of a degree around the synthetic world, every three hours, for eleven days."""
    times = np.datetime64("2024-06-24T00:00", "ns") + np.arange(90) * np.timedelta64(3, "h")
    latitude, longitude = np.arange(36.0, 26.0, -1), np.arange(-86.0, -74.0)
    values = 5500 + np.arange(90.0)[:, None, None] + 20 * latitude[:, None] + 10 * longitude
    axes = {
        "time": times,
        "latitude": ("latitude", latitude, {"units": "degrees_north"}),
        "longitude": ("longitude", longitude, {"units": "degrees_east"}),
    }
    array = (("time", "latitude", "longitude"), values, {"units": "m"})
    xr.Dataset({"z500": array}, axes).to_netcdf(path, engine="netcdf4")


def floods(path: Path) -> None:
    """Two places over 500 days; a flood where the rain of two days is over 15 mm."""
    rain = np.random.default_rng(0).gamma(0.5, 10, (2, 500)).round(2)
    label = (rain + np.roll(rain, 1, axis=1) > 15).astype(int)
    days = pd.date_range("2020-01-01", periods=500).strftime("%Y-%m-%d")
    tables = [pd.DataFrame({"place": f"gauge {i}", "date": days, "rain": rain[i], "label": label[i]}) for i in range(2)]
    pd.concat(tables).to_csv(path, index=False)
