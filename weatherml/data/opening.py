"""Opening what is to be prepared, in a process that a broken file may crash where that calls native libraries.

That process imports this module: nothing heavy stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from weatherml.data.child import CrashError, stream
from weatherml.errors import BadDataError
from weatherml.sources.base import Description, Source, SourceConfig
from weatherml.sources.sequences import SequenceConfig, Sequences

Config = TypeVar("Config", SourceConfig, SequenceConfig)


def opened(config: SourceConfig, inputs: Sequence[str]) -> tuple[Source, Description]:
    """The source of some inputs, and what it holds.

    Raises:
        MissingInputError: no input.
        BadDataError: inputs that cannot be one dataset, or hold no usable time.
    """
    ((source, description),) = _apart(_open, config, inputs)
    if len(description.times) == 0:
        raise BadDataError(f"{', '.join(inputs) or config.kind}: no usable time; {_reasons(description)}")
    return source, description


def _open(config: SourceConfig, inputs: Sequence[str]) -> Iterator[tuple[Source, Description]]:
    source = config.open(inputs)
    yield source, source.describe()


def _reasons(description: Description) -> str:
    return "; ".join([*description.quarantined.values(), *description.notes][:3]) or "check the input"


def read_sequences(config: SequenceConfig, inputs: Sequence[str]) -> Sequences:
    """All sequences of some inputs.

    Raises:
        MissingInputError: no input.
        BadDataError: inputs that cannot be samples.
    """
    bare, *values = _apart(_build, config, inputs)
    found: Sequences = replace(bare, values=dict(values))
    return found


def _build(config: SequenceConfig, inputs: Sequence[str]) -> Iterator[Any]:
    """The sequences without their values, then these by name: a variable at a time is in memory twice."""
    found = config.build(inputs)
    yield replace(found, values={})
    yield from found.values.items()


def _apart(
    read: Callable[[Config, Sequence[str]], Iterator[Any]], config: Config, inputs: Sequence[str]
) -> Iterator[Any]:
    """What `read` yields, in a process of its own where the source is `isolated`."""
    if not config.isolated:
        yield from read(config, inputs)
        return
    try:
        yield from stream(read, config, inputs)
    except CrashError:
        raise BadDataError(f"{', '.join(inputs)}: opening it crashed the decoder; fetch or write it again") from None
