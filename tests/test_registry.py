"""Families: members by name, each once."""

from __future__ import annotations

from typing import Any

import pytest

from weatherml.errors import ConfigError
from weatherml.registry import Registry, suggest


def test_members_by_name() -> None:
    family: Registry[Any] = Registry("things")

    @family.register("one")
    class One:
        pass

    assert family["one"] is One
    assert One.kind == "one"  # type: ignore[attr-defined]
    assert list(family) == ["one"]
    assert len(family) == 1
    with pytest.raises(ConfigError, match="things: no member 'on'; did you mean 'one'"):
        family["on"]
    with pytest.raises(ValueError, match="'one' is registered twice"):
        family.register("one")(One)


def test_members_of_other_packages_join_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    family: Registry[Any] = Registry("things")
    asked: list[str] = []

    class Point:
        def load(self) -> None:
            family.register("far")(type("Far", (), {}))

    def entry_points(*, group: str) -> list[Point]:
        asked.append(group)
        return [Point()]

    monkeypatch.setattr("weatherml.registry.entry_points", entry_points)
    assert list(family) == ["far"]
    assert family["far"].__name__ == "Far"
    assert asked == ["weatherml.things"]  # once


def test_suggestions() -> None:
    assert suggest("dept", ["depth", "width"]) == "did you mean 'depth'?"
    assert suggest("zz", ["b", "a"]) == "known: a, b"
