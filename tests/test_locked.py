"""The pins, and the hashes that CI installs by, are of the same versions."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", flags=re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """Versions by name, as a file of requirements has them."""
    return dict(PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def test_every_pin_but_torch_has_hashes() -> None:
    locked = pins("constraints.lock")
    assert locked | {"torch": pins("constraints.txt")["torch"]} == pins("constraints.txt")
    text = (ROOT / "constraints.lock").read_text(encoding="utf-8")
    assert len(re.findall(r"==\S+(?: ; [^\\]*)? \\\n    --hash=sha256:[0-9a-f]{64}", text)) == len(locked)
