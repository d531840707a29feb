"""Formulas over fields: arithmetic, comparisons and a few functions, point by point, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import simpleeval

from weatherml.errors import ConfigError

Array = npt.NDArray[Any]
MOST_CHARACTERS = 500
NODES = (ast.Name, ast.Constant, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Call)
"""No attributes: those of an array write files. No keywords: `out=` would write into the fields."""

UFUNCS = (
    *(np.sqrt, np.exp, np.log, np.log10, np.log1p, np.hypot, np.minimum, np.maximum),
    *(np.sin, np.cos, np.tan, np.arctan, np.arctan2, np.radians, np.degrees),
)
PROBLEMS = (*(simpleeval.InvalidExpression, SyntaxError, TypeError, ValueError, KeyError, RecursionError, MemoryError),)


def _elementwise(ufunc: np.ufunc, *arguments: Array) -> Any:
    """`ufunc` of exactly its inputs; one argument more would be written into."""
    if len(arguments) != ufunc.nin:
        raise TypeError(f"{ufunc.__name__} takes {ufunc.nin} values, not {len(arguments)}")
    return ufunc(*arguments)


def _compared(ufunc: np.ufunc, left: Array, right: Array) -> Any:
    """1 where true, else 0: numbers, of which the sum of two is 2."""
    return np.multiply(ufunc(left, right), 1.0)


def _where(condition: Array, there: Array, elsewhere: Array) -> Any:
    return np.where(condition, there, elsewhere)


OPERATORS = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.float_power,  # of two whole numbers too, so that none grows without bound
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Gt: partial(_compared, np.greater),
    ast.GtE: partial(_compared, np.greater_equal),
    ast.Lt: partial(_compared, np.less),
    ast.LtE: partial(_compared, np.less_equal),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {ufunc.__name__: partial(_elementwise, ufunc) for ufunc in UFUNCS}
FUNCTIONS |= {"abs": partial(_elementwise, np.absolute), "where": _where}


def inputs_of(formula: str, *, at: str) -> tuple[str, ...]:
    """The variables that a formula needs; `at` is its setting.

    Raises:
        ConfigError: no formula, or one that uses something else than numbers, variables and `FUNCTIONS`.
    """
    try:
        tree = _parse(formula)
        names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in FUNCTIONS]
        evaluate(formula, {name: np.ones(2) for name in names})
    except PROBLEMS as error:
        raise ConfigError(
            f"{at}: {formula!r:.200} is no formula ({' '.join(str(error).split()):.200}); "
            f"use variables, numbers, + - * / **, comparisons, {', '.join(sorted(FUNCTIONS))}"
        ) from None
    if not names:
        raise ConfigError(f"{at}: {formula!r:.200} names no variable; write for example 't2m - d2m'")
    return tuple(dict.fromkeys(names))


def evaluate(formula: str, fields: Mapping[str, Array]) -> Array:
    """The value of a formula of sound `fields`, float32, NaN where one of them is.

    Raises:
        ValueError, TypeError, ...: those of `PROBLEMS`, where `inputs_of` would refuse it.
    """
    doubles = {name: field.astype(np.float64) for name, field in fields.items()}
    evaluator = simpleeval.SimpleEval(operators=OPERATORS, functions=FUNCTIONS, names=doubles)
    evaluator.nodes = {kind: handle for kind, handle in evaluator.nodes.items() if kind in NODES}
    with np.errstate(all="ignore"):  # what is no number becomes NaN, and infinities are found as impossible values
        values = np.asarray(evaluator.eval(formula, previously_parsed=_parse(formula))).astype(np.float32)
    missing = np.logical_or.reduce([np.isnan(field) for field in doubles.values()])
    return np.where(missing, np.float32(np.nan), values)  # comparisons and `where` would take NaN for a number


def _parse(formula: str) -> ast.expr:
    if len(formula) > MOST_CHARACTERS:
        raise ValueError(f"{len(formula)} characters, over {MOST_CHARACTERS}")
    return ast.parse(formula.strip(), mode="eval").body
