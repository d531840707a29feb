"""Forks a warm interpreter for every `wml` command: a request as a line of JSON in, its exit code out.

Run as `python fork_server.py MODULE...`, which imports the modules once. A request has the `arguments` of a command,
the `folder` where it runs, the file `printed` for what it prints, the `signal` that its process group gets after
so many `seconds`, and the `entry`, `module:name`, that takes the arguments.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import Any

POLL_S = 0.002


def serve() -> None:
    """Answer requests until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            run(request)
        print(ended(child, request["seconds"], request["signal"]), flush=True)


def run(request: dict[str, Any]) -> None:
    """Be the command, and never come back."""
    os.setsid()
    os.chdir(request["folder"])
    output = os.open(request["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    module, _, name = request["entry"].partition(":")
    code = 1
    try:
        getattr(importlib.import_module(module), name)(request["arguments"])
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int, seconds: float, number: int) -> int:
    """The exit code of a child, minus the signal's number where one ended it; `number` is sent after so long."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, number)
            deadline, number = deadline + 60, signal.SIGKILL
        time.sleep(POLL_S)


if __name__ == "__main__":
    for module in sys.argv[1:]:
        importlib.import_module(module)
    serve()
