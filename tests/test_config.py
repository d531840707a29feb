"""Configurations: unknown keys by their full path, YAML without bombs, the resolved settings round trip."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from weatherml.config import Config, dump, load, merge, override, parse, parse_member, read_yaml, shipped_names
from weatherml.errors import ConfigError, MissingInputError
from weatherml.registry import Registry

text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
FAMILY: Registry[Any] = Registry("shapes")


class Leaf(Config):
    depth: int = 3
    name: str = ""
    widths: tuple[int, ...] = (1, 2)


class Branch(Config):
    leaf: Leaf = Leaf()
    maybe: Leaf | None = None
    many: tuple[Leaf, ...] = ()
    named: dict[str, Leaf] = Field(default={})
    path: Path | None = None


@FAMILY.register("round")
class Round(Config):
    radius: float = 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"leaff": {}}, "top.leaff: unknown key; did you mean 'leaf'?"),
        ({"leaf": {"dept": 1}}, "top.leaf.dept: unknown key; did you mean 'depth'?"),
        ({"maybe": {"dept": 1}}, "top.maybe.dept: unknown key; did you mean 'depth'?"),
        ({"many": [{}, {"dept": 1}]}, "top.many.1.dept: unknown key; did you mean 'depth'?"),
        ({"named": {"a": {"dept": 1}}}, "top.named.a.dept: unknown key; did you mean 'depth'?"),
        ({"leaf": {"zzz": 1}}, "top.leaf.zzz: unknown key; known: depth, name, widths"),
        ({"leaf": {"depth": "many"}}, "top.leaf.depth: .*valid integer.*, got 'many'; set top.leaf.depth"),
        ({"leaf": {"depth": float("nan")}}, "top.leaf.depth: .*, got nan; set top.leaf.depth"),
        ({1: 2}, "top: .*keys are words"),
    ],
)
def test_what_is_wrong_is_named_by_its_full_path(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")) as refused:
        parse(Branch, settings, at="top")
    assert "\n" not in str(refused.value)


def test_a_long_wrong_value_does_not_flood_the_line() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(Branch, {"leaf": {"depth": "9" * 100_000 + "x"}})
    assert len(str(refused.value)) < 500


@given(
    st.builds(
        Branch,
        leaf=st.builds(Leaf, depth=st.integers(), name=text, widths=st.lists(st.integers()).map(tuple)),
        maybe=st.none() | st.builds(Leaf),
        named=st.dictionaries(text, st.builds(Leaf, name=st.text(" :#'0123456789e.-_"))),
        path=st.none() | st.sampled_from([Path("a/b"), Path("12"), Path("1e3"), Path("null")]),
    )
)
def test_dumped_settings_parse_to_the_same(config: Branch) -> None:
    again = parse(Branch, read_yaml(dump(config.settings()), "dumped"))
    assert again == config
    assert again.digest() == config.digest()


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Leaf().depth = 4  # type: ignore[misc]


def test_the_digest_tells_settings_apart() -> None:
    assert Leaf(depth=4).digest() != Leaf().digest()
    assert Leaf(depth=3).digest() == Leaf().digest()


def test_members_by_mapping_by_name_and_as_they_are() -> None:
    assert parse_member(FAMILY, "round", at="shape") == Round()
    assert parse_member(FAMILY, {"kind": "round", "radius": 2}, at="shape").settings() == {
        "kind": "round",
        "radius": 2.0,
    }
    assert parse_member(FAMILY, Round(), at="shape") == Round()
    with pytest.raises(ConfigError, match="shapes: no member 'roud'; did you mean 'round'"):
        parse_member(FAMILY, "roud", at="shape")
    with pytest.raises(ConfigError, match=r"shape.radios: unknown key; did you mean 'radius'"):
        parse_member(FAMILY, {"kind": "round", "radios": 2}, at="shape")
    for nothing in ({}, {"radius": 2}, 7, None):
        with pytest.raises(ConfigError, match="shape: needs a kind; known: round"):
            parse_member(FAMILY, nothing, at="shape")  # type: ignore[arg-type]


def test_set_reaches_nested_keys_and_the_short_form_of_a_kind() -> None:
    settings = override({"model": "unet", "train": {"lr": 1}}, ["model.depth=3", "train.seed=7", "data.crop=[8, 9]"])
    assert settings == {
        "model": {"kind": "unet", "depth": 3},
        "train": {"lr": 1, "seed": 7},
        "data": {"crop": [8, 9]},
    }
    assert override({}, ["start=2024-05-01", "a=x=y"]) == {"start": "2024-05-01", "a": "x=y"}  # a date stays text


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("model", "not KEY=VALUE"),
        ("=3", "not KEY=VALUE"),
        ("a=[1", "the value is not YAML"),
        ("a=!!python/object/apply:os.getcwd []", "the value is not YAML"),
        ("a=" + "[" * 5000, "the value is not YAML"),
        ("list.0=3", "list holds"),
    ],
)
def test_assignments_that_cannot_be(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override({"list": [1, 2]}, [assignment])


def test_set_leaves_what_it_was_given_alone() -> None:
    settings = {"train": {"lr": 1}}
    override(settings, ["train.lr=2"])
    assert settings == {"train": {"lr": 1}}


def test_another_kind_replaces_its_mapping() -> None:
    base = {"model": {"kind": "unet", "depth": 3}, "train": {"lr": 1, "steps": 2}}
    assert merge(base, {"model": {"kind": "cnn"}, "train": {"lr": 5}}) == {
        "model": {"kind": "cnn"},
        "train": {"lr": 5, "steps": 2},
    }
    assert merge(base, {"model": {"depth": 4}})["model"] == {"kind": "unet", "depth": 4}


def bomb() -> str:
    """Nine levels of nine references each: 387 million words where they are followed."""
    levels = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(levels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), "aliases are not taken"),
        ("a: &a [*a]", "aliases are not taken"),
        ("a: !!python/object/apply:os.system [echo]", "not YAML"),
        ("a: !!python/name:os.system", "not YAML"),
        ("a: [1", "not YAML"),
        ("[" * 100_000, "not YAML"),
        ("a: " + "9" * 5000, "not YAML"),
        ("a: 1\nb: 2\na: 3", "a stands twice"),
        ("a: {b: 1, b: 2}", "b stands twice"),
        ("x" * 1_000_001, "over 1000000 characters"),
        ("- 1", "holds a list"),
        ("", "holds a NoneType"),
    ],
)
def test_yaml_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"given.yaml: .*{message}") as refused:
        read_yaml(text, "given.yaml")
    assert len(str(refused.value)) < 1000


def test_dumping_shares_nothing() -> None:
    shared = [1, 2]
    text = dump({"a": shared, "b": shared})
    assert "&" not in text
    assert yaml.safe_load(text) == {"a": [1, 2], "b": [1, 2]}


def test_a_time_stays_as_it_was_written() -> None:
    assert read_yaml("start: 2024-05-01T06:00Z\nday: 2024-05-01", "x") == {
        "start": "2024-05-01T06:00Z",
        "day": "2024-05-01",
    }
    assert isinstance(yaml.safe_load("2024-05-01"), dt.date)  # what it would be otherwise


def test_files_shipped_names_and_neither(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a: 1")
    assert load(file) == {"a": 1}
    assert shipped_names()
    for name in shipped_names():
        assert isinstance(load(name), dict)
    with pytest.raises(MissingInputError, match="hrr: no such configuration; did you mean 'hrrr'"):
        load("hrr")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        load(file)
