"""Reading times one after the other: in this process, or in others that may die without taking it along."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from weatherml.data.child import ENVIRONMENT, CrashError, stream
from weatherml.errors import BadDataError, TemporaryError, UnavailableError, WMLError
from weatherml.sources.base import Frame, Source

Array = npt.NDArray[Any]
Result = TypeVar("Result")
Outcome = tuple[np.datetime64, Result | WMLError]
DASHBOARD = "127.0.0.1:0"
"""Any free port: the usual one is taken where two jobs run, and None means the usual one."""

ALONE = 64
"""Times that are read one by one after a crash, to find the one it was of: as many as sources read at once."""
MOST_CRASHES = 2
SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
}


def each_time(
    source: Source, times: Array, then: Callable[[Frame], Result], *, workers: int, dask: str | None = None
) -> Iterator[Outcome[Result]]:
    """Apply `then` to the frame of each time, in order; an unreadable time yields its error instead.

    What passes is no property of a time: a TemporaryError ends the job, which goes on where it stood when it is
    run again.

    Args:
        source: read here, or if it is `isolated` in worker processes, one for all times if it reads `in_slabs`.
        times: entries of the source's description.
        then: runs where the frame was read, so that only its result travels; picklable.
        workers: processes of a local cluster.
        dask: address of a dask scheduler to use instead.
    """
    if dask is None and not source.isolated:
        yield from _here(source, times, then)
    elif dask is None and source.in_slabs:
        yield from _beside(source, times, then)
    else:
        with client_of(workers, dask, threads=source.threads) as client:
            yield from _there(client, source, times, then)


def _here(source: Source, times: Array, then: Callable[[Frame], Result], alone: int = 0) -> Iterator[Outcome[Result]]:
    """In this process, the first so many times `alone`."""
    for time in times[:alone]:
        yield time, _attempt(read_one, source, time, then)
    together = times[alone:]
    frames = source.read(together)
    for index, time in enumerate(together):
        try:
            frame = next(frames)
        except WMLError:
            # a source may read several times at once: read alone, this one may be sound
            yield time, _attempt(read_one, source, time, then)
            frames = source.read(together[index + 1 :])  # a generator that raised is spent
            continue
        yield time, _attempt(then, frame)


def _beside(source: Source, times: Array, then: Callable[[Frame], Result]) -> Iterator[Outcome[Result]]:
    """In one process beside this one; where it dies, the next one begins with the same time, once."""
    done, crashes, alone = 0, 0, 0
    while done < len(times):
        try:
            for outcome in stream(_here, source, times[done:], then, alone):
                yield outcome
                done, crashes = done + 1, 0
        except CrashError:
            crashes, alone = crashes + 1, ALONE
        if crashes == MOST_CRASHES:
            yield times[done], _crashed(times[done])
            done, crashes = done + 1, 0


def _attempt(function: Callable[..., Result], *arguments: Any) -> Result | WMLError:
    try:
        return function(*arguments)
    except TemporaryError:
        raise
    except WMLError as error:
        return error


def _there(client: Any, source: Source, times: Array, then: Callable[[Frame], Result]) -> Iterator[Outcome[Result]]:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    ahead = sum(worker["nthreads"] + 1 for worker in workers) or 2  # bounds what lies finished in memory
    waiting: deque[tuple[np.datetime64, Any]] = deque()

    def submit(time: np.datetime64) -> Any:
        return client.submit(read_one, source.narrowed(time), time, then, pure=False)

    for time in times:
        waiting.append((time, submit(time)))
        if len(waiting) > ahead:
            yield _outcome(*waiting.popleft(), submit)
    while waiting:
        yield _outcome(*waiting.popleft(), submit)


def read_one(source: Source, time: np.datetime64, then: Callable[[Frame], Result]) -> Result:
    """Read one time and apply `then`; runs in a worker."""
    return then(next(iter(source.read(np.array([time])))))


def _outcome(time: np.datetime64, future: Any, submit: Callable[[np.datetime64], Any]) -> Outcome[Any]:
    from distributed import KilledWorker  # noqa: PLC0415 - slow to import

    for again in (submit, None):  # a second chance: another time's death may have taken this one along
        try:
            return time, future.result()
        except TemporaryError:
            raise
        except WMLError as error:
            return time, error
        except KilledWorker:
            future = again(time) if again else None
    return time, _crashed(time)


def _crashed(time: np.datetime64) -> BadDataError:
    return BadDataError(f"{time}Z: reading it crashed the decoder twice; the time is left out")


@contextmanager
def client_of(workers: int, dask: str | None, *, threads: int) -> Iterator[Any]:
    """A distributed client: of the scheduler at address `dask`, or of a local cluster of processes."""
    import dask as dask_library  # noqa: PLC0415 - slow to import
    from distributed import Client, LocalCluster  # noqa: PLC0415

    with dask_library.config.set(SETTINGS):
        if dask is not None:
            try:
                client = Client(dask, timeout="10s")
            except OSError as error:
                raise UnavailableError(f"{dask}: no dask scheduler answers ({error}); check the address") from None
            with client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                dashboard_address=DASHBOARD,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
