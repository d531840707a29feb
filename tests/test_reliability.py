"""Every fault that the documents name is made to happen in a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reliability.md"
HELD = PAGE.read_text(encoding="utf-8").split("## The tests that hold it")[1]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in HELD.splitlines() if line.startswith("|")][2:]


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 17  # the faults that were promised, of which some have several rows
    assert len({fault for fault, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("fault", "commands", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_every_fault_has_its_tests(fault: str, commands: str, tests: str) -> None:
    named = re.findall("`(.+?)`", tests)
    assert named, f"{fault} of {commands}"
    for name in named:
        file, _, function = name.partition("::")
        assert f"def {function or 'test_'}" in (TESTS / file).read_text(encoding="utf-8"), name
