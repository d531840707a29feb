"""Harmful files of ours whose seals and hashes their maker made again: only what reads behind these can refuse them."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from tests.faults.hostile import EXPORT, HUGE, ROLLOUT, Maker, Payload, Trap, replace
from tests.faults.outputs import COMMANDS
from weatherml.run.bundle import KEY, checksum

Document = dict[str, Any]
BEST, NEWEST = "r/checkpoints/best", "r/checkpoints/step-6"
BUNDLE = "b.safetensors"
RESUME = COMMANDS["train"][0]
FORECAST = ROLLOUT.replace("--run r", f"--run {BUNDLE}")


def sealed(path: Path, change: Callable[[Document], object]) -> None:
    """Change a description, and seal it again where it was sealed."""
    found = json.loads(path.read_text())
    kept = "seal" in found
    found = {key: value for key, value in found.items() if key != "seal"}
    change(found)
    seal = {"seal": hashlib.sha256(json.dumps(found).encode()).hexdigest()} if kept else {}
    replace(path, (json.dumps(found | seal, indent=2, ensure_ascii=False) + "\n").encode())


def put(path: str, value: object) -> Callable[[Document], object]:
    """Sets a value of a document, at a path of keys."""
    *outer, last = path.split(".")

    def change(document: Document) -> None:
        for key in outer:
            document = document[key]
        document[last] = value

    return change


def listed(marker: Path, names: Iterable[str] = ()) -> None:
    """Hash some files beside a marker again, or all."""
    names = names or sorted(each.name for each in marker.parent.iterdir() if each != marker)
    hashes = {name: hashlib.sha256((marker.parent / name).read_bytes()).hexdigest() for name in names}
    sealed(marker, put("files", hashes))


def saved(name: str, content: Callable[[], bytes], at: str) -> Maker:
    """A checkpoint with a file of any content."""

    def make(folder: Path) -> None:
        replace(folder / at / name, content())
        listed(folder / at / "complete.json")

    return make


def marked(path: str, value: object) -> Maker:
    """A checkpoint to go on from whose marker says anything."""
    return lambda folder: sealed(folder / NEWEST / "complete.json", put(path, value))


def unfinished(make: Maker) -> Maker:
    """The same of a run that stopped, and is gone on with."""

    def both(folder: Path) -> None:
        make(folder)
        sealed(folder / "r/status.json", put("state", "stopped"))

    return both


def configured(old: str, new: str) -> Maker:
    """A run of another configuration than its weights."""

    def make(folder: Path) -> None:
        text = (folder / "r/config.yaml").read_text()
        assert old in text
        replace(folder / "r/config.yaml", text.replace(old, new, 1).encode())
        listed(folder / "r/data.json", ["config.yaml"])

    return make


def described(name: str, path: str, value: object) -> Maker:
    """A run, one of whose descriptions says anything."""

    def make(folder: Path) -> None:
        sealed(folder / "r" / name, put(path, value))
        if name in json.loads((folder / "r/status.json").read_text()).get("files", ()):
            listed(folder / "r/status.json", [name])

    return make


def bundled(path: str, value: object) -> Maker:
    """A bundle whose document says anything; whose tensor is another where the path begins with a slash."""

    def make(folder: Path) -> None:
        with safe_open(folder / BUNDLE, framework="pt") as file:
            document = json.loads(file.metadata()[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        document.pop("sha256")
        if path.startswith("/"):
            tensors[path[1:]] = value
        else:
            put(path, value)(document)
        text = json.dumps(document | {"sha256": checksum(document, tensors)})
        replace(folder / BUNDLE, save(tensors, metadata={KEY: text}))

    return make


def tensors(header: object, size: int | None = None, body: bytes = b"") -> Callable[[], bytes]:
    """A safetensors file of a header that says anything, also of its own size."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda: struct.pack("<Q", len(text) if size is None else size) + text + body


def tensor(shape: list[int], end: int, kind: str = "F32") -> Document:
    """The header of one tensor."""
    return {"a": {"dtype": kind, "shape": shape, "data_offsets": [0, end]}}


def torch_saved(value: object, **options: Any) -> Callable[[], bytes]:
    """As torch saves."""

    def content() -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer, **options)
        return buffer.getvalue()

    return content


class Called:
    """What calls a function where it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.called = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.called


def inflated() -> bytes:
    """An archive of torch whose pickle says that it inflates to gigabytes."""
    content = torch_saved({})()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(each for each in archive.infolist() if each.filename.endswith("data.pkl"))
    said = [member.CRC, member.compress_size, member.file_size]
    return content.replace(struct.pack("<III", *said), struct.pack("<III", *said[:2], 0xF000_0000))


def optimizer(state: object, groups: object) -> Callable[[], bytes]:
    """The state of an optimizer."""
    return torch_saved({"state": state, "param_groups": groups})


NAN = float("nan")
HEADERS: dict[str, Callable[[], bytes]] = {
    "a header of a terabyte": tensors({}, HUGE),
    "a header of 2^64 bytes": tensors({}, (1 << 64) - 1),
    "a tensor that is not there": tensors(tensor([HUGE], 4 * HUGE)),
    "a tensor of 2^66 bytes": tensors(tensor([1 << 32, 1 << 32], 0)),
    "a tensor of no rows": tensors(tensor([HUGE, 0], 0)),
    "a tensor of negative size": tensors(tensor([-1], -4)),
    "a tensor of many dimensions": tensors(tensor([1] * 10_000, 4), body=bytes(4)),
    "a tensor of an unknown type": tensors(tensor([1], 4, "OBJECT"), body=bytes(4)),
    "a deep header": tensors(b"[" * 100_000),
    "many tensors": tensors({f"{n}": tensor([0], 0)["a"] for n in range(10_000)}),
}
"""Of a safetensors file."""
STATES: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: pickle.dumps(Trap()),
    "an archive with a pickle": torch_saved({"state": Trap()}),
    "an archive of the old form": torch_saved({"state": Trap()}, _use_new_zipfile_serialization=False),
    "a bomb": inflated,
    "a huge array of bytes": torch_saved(Called(bytearray, HUGE)),
}
"""Of an optimizer, which `weights_only` refuses."""
ODD_STATES: dict[str, Callable[[], bytes]] = {
    "a list": torch_saved([]),
    "nothing": torch_saved(None),
    "a state of words": optimizer("state", []),
    "parameters that are not there": optimizer({999: {"step": torch.zeros(())}}, []),
    "parameters of words": optimizer({"a": {"step": "b"}}, []),
    "no groups": optimizer({}, []),
    "groups of words": optimizer({}, "ab"),
    "other shapes": optimizer(
        {0: {"step": torch.zeros(()), "exp_avg": torch.zeros(7), "exp_avg_sq": torch.zeros(7)}}, []
    ),
}
"""Of an optimizer, which are read and do not fit."""
DOCUMENTS: dict[str, tuple[str, object]] = {
    "no status": ("status", None),
    "no configuration": ("configuration", []),
    "a huge model": ("configuration.model.base_features", 10**9),
    "a huge history": ("configuration.data.history", 10**9),
    "a huge lead": ("configuration.data.lead", 10**9),
    "huge noise": ("configuration.model.noise_channels", 10**12),
    "a huge shape": ("data.shape", [HUGE, HUGE]),
    "a shape of words": ("data.shape", ["a", "b"]),
    "statics of words": ("data.static", "abc"),
    "no step": ("data.step_seconds", 0),
    "a step of hours": ("data.step_seconds", 1e300),
    "a variable twice": ("data.variables", [{"name": "t2m", "units": "K"}] * 2),
    "NaN in statistics": ("/statistics/std", torch.full((2,), NAN, dtype=torch.float64)),
    "more statistics": ("/statistics/mean", torch.zeros(3, dtype=torch.float64)),
    "an unknown tensor": ("/other", torch.zeros(1)),
    "a weight more": ("/weights/more", torch.zeros(1)),
}
"""Of a bundle: where, and what."""
TEMPERATURES: dict[str, object] = {
    "1e300": [1e300], "-1": [-1.0], "nan": [NAN], "infinite": [float("inf")], "none": [], "three": [1.0, 1.0, 1.0],
    "a word": "hot", "words": ["hot"], "nested": [[1.0]], "a number": 1.0, "null": None, "huge": [10**400],
}  # fmt: skip
"""Of a calibration."""
SETTINGS = {
    "a huge model": ("base_features: 4", f"base_features: {10**9}"),
    "blocks without end": ("blocks: 2", f"blocks: {10**9}"),
    "a huge history": ("history: 1", f"history: {10**9}"),
    "huge noise": ("noise_channels: 8", f"noise_channels: {10**12}"),
}
"""Of a run: what stood, and what stands."""
PROGRESS: dict[str, tuple[str, object]] = {
    "a step of words": ("step", "x"),
    "a step before the first": ("step", -1),
    "steps without end": ("progress.steps", 1e308),
    "no progress": ("progress", {}),
    "progress of a list": ("progress", [1]),
    "losses of words": ("progress.losses", ["x"]),
    "losses of a number": ("progress.losses", 1),
    "sums of words": ("progress.sums", ["x"]),
    "sums of a number": ("progress.sums", 1),
    "sums of another shape": ("progress.sums", [[[1.0, 2.0, 3.0]]]),
    "no pieces": ("progress.pieces", 0),
    "pieces of words": ("progress.pieces", "x"),
}
"""Of a checkpoint to go on from."""
LINEAGE: dict[str, tuple[str, object]] = {
    name: (path.removeprefix("data."), value) for name, (path, value) in DOCUMENTS.items() if path.startswith("data.")
} | {
    "NaN in statistics": ("statistics.std", [NAN, NAN]),
    "more statistics": ("statistics.mean", [0.0, 0.0, 0.0]),
    "fewer statistics": ("statistics.mean", []),
    "statistics of words": ("statistics.mean", "ab"),
}  # fmt: skip
"""Of a run's data."""
RESEALED: dict[str, Payload] = {
    **{
        f"weights, {name}": Payload(make=saved("average.safetensors", each, BEST), command=EXPORT)
        for name, each in HEADERS.items()
    },
    **{
        f"optimizer, {name}": Payload(
            make=unfinished(saved("optimizer.pt", each, NEWEST)), command=RESUME, writes=("r",)
        )
        for name, each in (STATES | ODD_STATES).items()
    },
    **{
        f"progress, {name}": Payload(make=unfinished(marked(*each)), command=RESUME, writes=("r",))
        for name, each in PROGRESS.items()
    },
    **{
        f"a run's data, {name}": Payload(make=described("data.json", *each), command=ROLLOUT)
        for name, each in LINEAGE.items()
    },
    **{f"a run, {name}": Payload(make=configured(*each), command=ROLLOUT) for name, each in SETTINGS.items()},
    **{
        f"temperature {name}": Payload(make=described("calibration.json", "temperature", each), command=ROLLOUT)
        for name, each in TEMPERATURES.items()
    },
    **{
        f"a bundle, temperature {name}": Payload(make=bundled("calibration.temperature", each), command=FORECAST)
        for name, each in TEMPERATURES.items()
    },
    **{f"a bundle, {name}": Payload(make=bundled(*each), command=FORECAST) for name, each in DOCUMENTS.items()},
}
"""By name."""
