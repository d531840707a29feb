"""The installation is checked against what it declares."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from weatherml.doctor import installation
from weatherml.doctor.installation import disk, disk_speeds, packages, python, room
from weatherml.doctor.installation import installation as everything


def test_what_is_installed_fits() -> None:
    assert [finding.level for finding in (*python(), *packages())] == ["ok", "ok"]


def test_packages_out_of_range_or_absent_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=99", "no-such-package", "torch>=2", "no-such-extra; extra == 'dev'"]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    found = {finding.what.split()[0]: finding for finding in packages()}
    assert set(found) == {"numpy", "no-such-package"}
    assert found["numpy"].what.endswith("needs >=99")
    assert all(finding.level == "problem" and "pip install" in finding.todo for finding in found.values())


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "problem"), (5 << 30, "note"), (1 << 40, "ok")])
def test_little_room_is_told(monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    monkeypatch.setattr(installation, "free_bytes", lambda path: free)
    assert [finding.level for finding in room()] == [level] * 3


def test_the_disk_is_timed_and_left_as_it_was(tmp_path: Path) -> None:
    written, read = disk_speeds(tmp_path, 4 << 20)
    assert min(written, read) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> tuple[float, float]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(installation, "disk_speeds", broken)
    found = {finding.check: finding for finding in everything()}
    assert {check.__name__ for check in installation.CHECKS} == set(found)
    assert found[disk.__name__].level == "problem"
    assert "Permission denied" in found[disk.__name__].what
