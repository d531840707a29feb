"""Outputs are old or new, never half, and have one writer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from weatherml.errors import BadDataError, DiskError, OutputError
from weatherml.files import (
    output_lock,
    partial_path,
    publish,
    read_json,
    readable_size,
    refuse_existing,
    remove,
    require_free,
    sync,
    tree_size,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_text_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one\ntwo\n")
    write_text(tmp_path / "a.txt", "drei ö\n")
    assert (tmp_path / "a.txt").read_bytes() == "drei ö\n".encode()
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_text_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_broken_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadDataError, match=r"a\.json: cannot be read as JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(BadDataError, match=r"b\.json: cannot be read as JSON"):
        read_json(tmp_path / "b.json")


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"a": [1, 0.1, None, "°"], "b": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_publishing_replaces_the_old_tree(tmp_path: Path) -> None:
    path = tmp_path / "store"
    for text in ("old", "new"):
        (partial_path(path) / "inner").mkdir(parents=True)
        (partial_path(path) / "inner" / "a").write_text(text)
        publish(partial_path(path), path)
    assert (path / "inner" / "a").read_text() == "new"
    assert names(tmp_path) == ["store"]


def test_publishing_a_file_over_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "new").write_text("x")
    publish(tmp_path / "new", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "x"


def test_a_failed_sync_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "a").write_text("x")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        sync(tmp_path)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.zarr"
    with output_lock(path):
        refused = pytest.raises(OutputError, match=rf"out\.zarr: process {os.getpid()} is writing it; wait for it")
        with refused, output_lock(path):
            pytest.fail("two writers")
        with output_lock(path.with_name("other.zarr")):
            pass
    with output_lock(path):
        pass
    assert names(path.parent) == []


def test_another_process_is_named(tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    program = (
        "import sys; from pathlib import Path; from weatherml.files import output_lock\n"
        "with output_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"process {other.pid} is writing it"), output_lock(path):
            pytest.fail("two writers")
        other.kill()  # it leaves its files behind
        other.wait()
        with output_lock(path):
            assert (tmp_path / ".out.zarr.holder").read_text() == f"process {os.getpid()}"
    assert names(tmp_path) == []


def test_an_error_inside_is_not_the_outputs(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="input"), output_lock(tmp_path / "out"):
        raise PermissionError(13, "input")
    with output_lock(tmp_path / "out"):
        pass


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = pytest.raises(OutputError, match=r"out: cannot be written \(.*\); choose another output")
    with refused, output_lock(tmp_path / "file" / "out"):
        pytest.fail("locked")


def test_existing_outputs(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "new", overwrite=False)
    refuse_existing(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="exists; choose another --output, or replace it with --overwrite"):
        refuse_existing(tmp_path, overwrite=False)


def test_too_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**12, 0, 3 * 2**20))
    require_free(tmp_path / "not" / "yet" / "there", 3 * 2**20)
    with pytest.raises(DiskError, match=r"needs 2\.0 GiB, 3\.0 MiB free; make room"):
        require_free(tmp_path / "a", 2**31)


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"x" * 1000)
    (tmp_path / "b").write_bytes(b"x" * 500)
    assert tree_size(tmp_path) == 1500
    assert tree_size(tmp_path / "b") == 500
    assert [readable_size(size) for size in (0, 1023, 1024, 1.5 * 2**30, 2**42)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 GiB",
        "4.0 TiB",
    ]


def test_removing_what_is_and_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for name in ("folder", "absent"):
        remove(tmp_path / name)
    assert names(tmp_path) == []
