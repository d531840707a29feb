"""Reading times one by one, in this process or in workers that may die without taking it along."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from weatherml.errors import BadDataError, TemporaryError, UnavailableError, WMLError
from weatherml.sources.base import Frame, Source

Array = npt.NDArray[Any]
Result = TypeVar("Result")
Outcome = tuple[np.datetime64, Result | WMLError]
DASHBOARD = "127.0.0.1:0"
"""Any free port: the usual one is taken where two jobs run, and None means the usual one."""

SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    # fields are megabytes: memory that is given back and asked for again with each costs as much as decoding it
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_ARENA_MAX": 1,
        "MALLOC_MMAP_THRESHOLD_": 1 << 30,
        "MALLOC_TRIM_THRESHOLD_": 1 << 30,
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
}


def each_time(
    source: Source, times: Array, then: Callable[[Frame], Result], *, workers: int, dask: str | None = None
) -> Iterator[Outcome[Result]]:
    """Apply `then` to the frame of each time, in order; an unreadable time yields its error instead.

    What passes is no property of a time: a TemporaryError ends the job, which goes on where it stood when it is
    run again.

    Args:
        source: read in worker processes if it is `isolated`, else here.
        times: entries of the source's description.
        then: runs where the frame was read, so that only its result travels; picklable.
        workers: processes of a local cluster.
        dask: address of a dask scheduler to use instead.
    """
    if not source.isolated and dask is None:
        yield from _here(source, times, then)
        return
    with client_of(workers, dask, threads=source.threads) as client:
        yield from _there(client, source, times, then)


def _here(source: Source, times: Array, then: Callable[[Frame], Result]) -> Iterator[Outcome[Result]]:
    frames = source.read(times)
    for index, time in enumerate(times):
        try:
            frame = next(frames)
        except WMLError:
            # a source may read several times at once: read alone, this one may be sound
            yield time, _attempt(read_one, source, time, then)
            frames = source.read(times[index + 1 :])  # a generator that raised is spent
            continue
        yield time, _attempt(then, frame)


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
    return time, BadDataError(f"{time}Z: reading it crashed the decoder twice; the time is left out")


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
