"""Blocks of cases scored one after the other: here, or by the workers of a dask scheduler."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from weatherml.data.workers import client_of
from weatherml.errors import TemporaryError
from weatherml.progress import Progress
from weatherml.signals import StopRequest
from weatherml.verify.files.truth import Array
from weatherml.verify.scoring.inputs import Inputs, Request, open_inputs
from weatherml.verify.scoring.parts import Part, score_part
from weatherml.verify.scoring.resume import PartFolder

Blocks = Mapping[int, Array]
"""Initial times by block."""
ALONE = threading.Lock()


def score_blocks(
    inputs: Inputs,
    request: Request,
    blocks: Blocks,
    folder: PartFolder,
    *,
    stop: StopRequest,
    progress: Progress,
    dask: str | None,
) -> list[Part]:
    """The parts of all blocks in their order: those that are not in the folder yet are scored, and kept there.

    Args:
        inputs: opened.
        request: what they were opened from, for workers.
        blocks: initial times.
        folder: of the finished parts.
        stop: set by a signal.
        progress: called with (cases done, cases in all).
        dask: address of a scheduler; None scores here.

    Raises:
        StoppedError: a signal came; the cases until then are kept.
        DiskError: a part cannot be written.
        UnavailableError: no dask scheduler answers.
    """
    kept = {block: part for block in blocks if (part := folder.load(block)) is not None}
    parts = {block: part for block, part in kept.items() if part.cases == len(blocks[block])}
    begun = {} if dask else {block: part for block, part in kept.items() if block not in parts}
    missing = {block: times for block, times in blocks.items() if block not in parts}
    done = sum(part.cases for part in (*parts.values(), *begun.values()))
    count = Count(progress, total := sum(map(len, blocks.values())), done=done)
    scored = there(request, folder, missing, dask, count) if dask else here(inputs, missing, begun, stop, count)
    for block, part in scored:
        folder.keep(block, part)
        parts[block] = folder.load(block) or part  # mapped from the file: parts take no memory that fields want
        stop.raise_if_set(f"{folder.output}: stopped after {count.done} of {total} cases, kept")
    return [parts[block] for block in blocks]


class Count:
    """Tells the cases done to whoever watches."""

    def __init__(self, progress: Progress, total: int, *, done: int) -> None:
        self.progress, self.total, self.done = progress, total, done

    def __call__(self, cases: int = 1) -> None:
        """Count some more."""
        self.done += cases
        self.progress(self.done, self.total)


def here(
    inputs: Inputs, blocks: Blocks, begun: Mapping[int, Part], stop: StopRequest, count: Count
) -> Iterator[tuple[int, Part]]:
    """Score in this process, from the cases on that are `begun`; the part at which a signal came is not whole."""
    frames = inputs.frames()
    for block, init_times in blocks.items():
        yield block, score_part(inputs, init_times, frames, count, begun=begun.get(block), ends=stop.is_set)


def there(request: Request, folder: PartFolder, blocks: Blocks, dask: str, count: Count) -> Iterator[tuple[int, Part]]:
    """Score in the workers of a scheduler, which open the files themselves.

    Raises:
        TemporaryError: a worker died.
    """
    from distributed import KilledWorker  # noqa: PLC0415 - slow to import

    waiting: deque[tuple[int, Any]] = deque()
    with client_of(0, dask, threads=1) as client:
        ahead = sum(client.nthreads().values()) + 1  # bounds what lies finished in memory
        left = iter(blocks.items())
        while True:
            while len(waiting) < ahead and (following := next(left, None)):
                block, init_times = following
                waiting.append((block, client.submit(score_there, request, folder.fingerprint, init_times, pure=False)))
            if not waiting:
                return
            block, future = waiting.popleft()
            try:
                part = future.result()
            except KilledWorker as error:
                raise TemporaryError(f"{dask}: a worker died ({error}); run again to go on") from None
            count(len(blocks[block]))
            yield block, part


def score_there(request: Request, fingerprint: str, init_times: Array) -> Part:
    """Score one block; runs in a worker, one at a time in a process, since no file is made for several threads."""
    with ALONE:
        inputs = opened(request, fingerprint)
        return score_part(inputs, init_times, inputs.frames())


@lru_cache(maxsize=1)
def opened(request: Request, fingerprint: str) -> Inputs:  # noqa: ARG001 - of the files as they are now
    """What is scored, opened once for all blocks."""
    return open_inputs(request)
