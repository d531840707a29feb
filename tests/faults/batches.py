"""Many commands one after another in one process, each bounded in time and memory, and how each ended."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from tests.faults.commands import WML, Commands
from weatherml.data.child import spared
from weatherml.errors import WMLError

MEMORY = 2 << 30
"""Bytes of memory that a process may fill beyond what the interpreter fills; twice that it may ask for."""
SECONDS = 10
"""Of one case, as the processor counts: the machine may be busy."""
MOST_SECONDS = 60.0
"""Of one case, as the clock on the wall counts, averaged over the batch: what sleeps for ever is ended too."""
SIZE = 25
DOCUMENTED = {0, 2, *(kind.exit_code for kind in WMLError.__subclasses__())} - {1}
OUT_OF_MEMORY = re.compile(
    "MemoryError|(unable to|not|n't) allocate|bad_alloc|out of memory|not enough memory", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One command.

    Attributes:
        name: for the report.
        folder: where it runs.
        arguments: of `wml`, or of another entry.
        entry: the function that takes them, `module:name`.
    """

    name: str
    folder: str
    arguments: Sequence[str]
    entry: str = WML


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a case ended.

    Attributes:
        case: which.
        code: its exit code, or minus the signal's number.
        printed: what it printed.
        swollen: whether it filled more memory than it may.
    """

    case: Case
    code: int
    printed: str
    swollen: bool = False

    @property
    def fault(self) -> str:
        """In words, what is wrong with this end; empty where it is as documented."""
        errors = [line for line in self.printed.splitlines() if line.startswith("error: ")]
        wrong = {
            f"died of signal {-self.code}": self.code < 0,
            f"undocumented exit code {self.code}": self.code >= 0 and self.code not in DOCUMENTED,
            "traceback": "Traceback" in self.printed or "for the traceback" in self.printed,
            f"{len(errors)} error lines": self.code > 0 and len(errors) != 1,
            "over 2 GiB": self.swollen or OUT_OF_MEMORY.search(self.printed) is not None,
        }
        found = ", ".join(what for what, is_so in wrong.items() if is_so)
        return f"{self.case.name}: {found}: {self.printed[-600:]}" if found else ""


def ends(wml: Commands, cases: Sequence[Case]) -> Iterator[Outcome]:
    """How each of some cases ends; what one kills, another process goes on with."""
    rest, report = list(cases), wml.root.parent / "outcomes"
    while rest:
        batch = rest[:SIZE]
        report.write_text("")
        (wml.root.parent / "cases").write_text(json.dumps([asdict(case) for case in batch]))
        files = f"{wml.root.parent / 'cases'} {report}"
        code = wml.run(files, wml.root, seconds=MOST_SECONDS * len(batch), entry="tests.faults.batches:main")
        done = [json.loads(line) for line in report.read_text().splitlines()]
        for case, (ended, printed, swollen) in zip(batch, done, strict=False):
            yield Outcome(case=case, code=ended, printed=printed, swollen=swollen)
        if len(done) < len(batch):
            yield Outcome(
                case=batch[len(done)], code=code, printed=Path(f"{report}.printed").read_text("utf8", "replace")
            )
        rest = rest[len(done) + (len(done) < len(batch)) :]


def main(arguments: Sequence[str]) -> None:
    """Run the cases in one file, and append a line about each to another; a case may end the process."""
    cases, report = (Path(name) for name in arguments)
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    most, peak = int(held.split()[1]) * 1024 + 2 * MEMORY, _peak() + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with spared():
        for settings in json.loads(cases.read_text()):
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            with report.open("a") as file:
                before = _peak()
                code, printed = _end(Case(**settings), Path(f"{report}.printed"))
                file.write(json.dumps([code, printed, before <= peak < _peak()]) + "\n")


def _peak() -> int:
    """The most bytes of memory that this process ever filled."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _end(case: Case, printed: Path) -> tuple[int, str]:
    os.chdir(case.folder)
    output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    code = _code(case)
    sys.stdout.flush()
    sys.stderr.flush()
    return code, printed.read_text("utf8", "replace")


def _code(case: Case) -> int:
    from cli.main import explain, fail  # noqa: PLC0415 - imported before the fork

    module, _, name = case.entry.partition(":")
    try:
        getattr(import_module(module), name)(list(case.arguments))
    except SystemExit as end:
        return int(end.code or 0)
    except Exception as error:  # noqa: BLE001 - as the command line does
        return fail(*explain(error))
    return 0
