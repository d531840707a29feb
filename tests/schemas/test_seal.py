"""Descriptions: they come back as they were written, and no bit of them changes unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weatherml.errors import BadDataError
from weatherml.schema import KEY, SCHEMAS
from weatherml.seal import MARKS, content, file_hashes, read_description, require_unchanged, write_description

ABOUT = {"state": "Zürich \u2028", "numbers": [1, 0.1, None], "nested": {"a": {"b": True}}}


@pytest.mark.parametrize("kind", ["run", "status", "scores"])
def test_every_flipped_bit_is_found(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "about.json"
    write_description(path, kind, ABOUT)
    assert content(read_description(path, kind)) == ABOUT
    sound = path.read_bytes()
    for bit in range(8 * len(sound)):
        spoiled = bytearray(sound)
        spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        with pytest.raises(BadDataError) as error:
            read_description(path, kind)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)


def test_what_was_read_can_be_written_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    write_description(first, "status", ABOUT | {"files": {}})
    write_description(second, "status", read_description(first, "status"))
    assert content(read_description(second, "status")) == ABOUT


@pytest.mark.parametrize("kind", [kind for kind, schema in SCHEMAS.items() if schema.plain])
def test_the_first_of_a_plain_kind_names_no_version(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "about.json"
    path.write_text(json.dumps(ABOUT))
    found = read_description(path, kind)
    assert (content(found), found[KEY], found["files"]) == (ABOUT, SCHEMAS[kind].current, {})
    for mark in MARKS:  # one that lost a mark or two is not one of those
        path.write_text(json.dumps(ABOUT | {mark: "x"}))
        with pytest.raises(BadDataError, match="names no schema version"):
            read_description(path, kind)


@pytest.mark.parametrize(
    "text", ["", "[]", "9" * 9999, "[" * 10**5, '{"a":' * 500 + "1" + "}" * 500, '{"seal": "\\ud800"}', "\ufeff{}"]
)
def test_what_is_no_description_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "about.json").write_text(text)
    with pytest.raises(BadDataError, match=r"about\.json: .*") as error:
        read_description(tmp_path / "about.json", "run")
    assert "\n" not in str(error.value)


def test_files_are_vouched_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    hashes = file_hashes(tmp_path, ["a"])
    assert hashes == {"a": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}  # FIPS 180-2, B.1
    require_unchanged(tmp_path, hashes, "make it again")
    for spoil in ((tmp_path / "a").unlink, lambda: (tmp_path / "a").write_text("abd")):
        spoil()
        with pytest.raises(BadDataError, match=r"/a: changed or lost since it was written; make it again"):
            require_unchanged(tmp_path, hashes, "make it again")
