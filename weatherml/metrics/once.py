"""What several metrics need of one field is computed once: the truth's spectrum, an event's sums."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

P = ParamSpec("P")
R = TypeVar("R")


def once(function: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """Remember `function(tensor, ...)` for as long as that very tensor lives.

    Tensors count by identity, so they must not be changed in place.
    """
    results: MutableMapping[Tensor, dict[Any, Any]] = WeakTensorKeyDictionary()

    @wraps(function)
    def remembered(first: Tensor, /, *rest: P.args, **named: P.kwargs) -> R:
        known = results.setdefault(first, {})
        arguments = (*rest, *named.items())
        key = tuple(id(item) if isinstance(item, Tensor) else item for item in arguments)
        if key not in known:
            # the arguments are kept beside the result: an id is unique only while its object lives
            known[key] = (arguments, function(first, *rest, **named))
        result: R = known[key][1]
        return result

    return remembered
