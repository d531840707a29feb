"""Real commands in processes of their own, killed or starved of disk at a chosen call to the system."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
HEAD = struct.Struct("qqq")
Fault = Literal["count", "kill", "stop", "full"]
MODES = {"count": 0, "kill": 1, "stop": 2, "full": 3}
WARM = ("cli.main", "weatherml.data.prepare", "weatherml.train.trainer", "weatherml.forecast.ensemble",
        "weatherml.verify.evaluation", "weatherml.models", "xarray", "zarr", "netCDF4")  # fmt: skip
LONGEST_S = 120.0
WML = "cli.main:app"


class Commands:
    """Runs `wml` commands in folders below `root`, whose calls to the system are counted."""

    def __init__(self, root: Path, server: subprocess.Popen[str], control: mmap.mmap) -> None:
        self.root = root
        self._print = root.parent / "printed"
        self.server = server
        self.control = control

    def run(
        self,
        command: str,
        folder: Path,
        *,
        fault: Fault = "count",
        at: int = 0,
        seconds: float = LONGEST_S,
        signal: int = 9,
        entry: str = WML,
    ) -> int:
        """Exit code of a command, or minus the signal's number.

        Args:
            command: without `wml`.
            folder: where it runs.
            fault: nothing; SIGKILL or SIGTERM at the call number `at`; or a disk that is full from that call on.
            at: counted from 1.
            seconds: after which `signal` is sent.
            signal: its number.
            entry: the function that takes the arguments, `module:name`.
        """
        self.control[: HEAD.size] = HEAD.pack(0, at, MODES[fault])
        where = {"folder": str(folder), "printed": str(self._print)}
        request = {"arguments": command.split(), **where, "seconds": seconds, "signal": signal, "entry": entry}
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    @property
    def printed(self) -> str:
        """What the last command printed, stdout and stderr."""
        return self._print.read_text()

    @property
    def calls(self) -> int:
        """How many calls the last command made that change what is on the disk."""
        return int(HEAD.unpack(self.control[: HEAD.size])[0])


@contextmanager
def commands(root: Path) -> Iterator[Commands]:
    """A server of commands; of calls, those to files below `root` count."""
    shim, control = root.parent / "shim.so", root.parent / "control"
    compiler = shutil.which("cc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, HERE / "shim.c", "-ldl"], check=True)
    control.write_bytes(HEAD.pack(0, 0, 0) + os.fsencode(f"{root}/").ljust(4096, b"\0"))
    environment = {**os.environ, "LD_PRELOAD": str(shim), "FAULT_CONTROL": str(control), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(HERE.parents[1])
    words = [sys.executable, HERE / "fork_server.py", *WARM]
    with (
        control.open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as shared,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as server,
    ):
        yield Commands(root, server, shared)  # its stdin is closed behind it, which ends the server
