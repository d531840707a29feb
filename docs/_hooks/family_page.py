"""A page a family: its members, what sets them apart, and their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from config_keys import base_of, description, key_table, keys
from markdown_text import code, prose, table

from cli.families import members, registries
from weatherml.config import Config, dump, load, parse_member, shipped_names
from weatherml.fields import Shape
from weatherml.models import MODELS
from weatherml.run.experiment import model_settings
from weatherml.tasks import Task
from weatherml.variables import TABLE

Facts: TypeAlias = Mapping[str, Callable[[Any], str]]
CHOSEN = {
    "sources": "The first word of `wml prepare`; keys by `--set KEY=VALUE`, or in the file of `--config`.",
    "models": "`wml train --model KIND` or `model.kind`; keys by `--set model.KEY=VALUE`.",
    "samplers": "`wml ensemble --sampler KIND`, in training `sampler.kind`; keys by `--set sampler.KEY=VALUE`.",
    "levels": "Of the model `edm`: `model.levels.kind`, and its keys beside it.",
    "losses": "`loss.kind`; keys by `--set loss.KEY=VALUE`. The model's usual one where none is named.",
    "combiners": "`wml ensemble --combine KIND`; keys by `--set combine.KEY=VALUE`. [Blends](../blend.md) tells what "
    "they do.",
    "metrics": "`wml evaluate` takes all that suit a variable. Formulas and conventions: "
    "[verification](../verification.md).",
    "baselines": "`wml evaluate --baseline KIND`; repeats.",
}
"""How users choose a member of each family."""

FACTS: Mapping[str, Facts] = {
    "models": {
        "tasks": lambda member: ", ".join(sorted(member.tasks)),
        "draws": lambda member: "yes" if member.generative else "",
        "usual loss": lambda member: code(member.loss) if member.trainable else "",
        "usual sampler": lambda member: code((member.sampler or {}).get("kind", "")),
    },
    "samplers": {
        "order": lambda member: str(member.order),
        "stochastic": lambda member: "yes" if member.stochastic else "",
        "calls in 20 steps": lambda member: str(member(steps=20).calls),
    },
    "metrics": {
        "units": lambda member: code(member.units) if member.units else "the variable's",
        "best": lambda member: f"{member.perfect:g}",
        "of": lambda member: "ensembles" if member.needs_members else "all",
        "of reflectivity at 3 km": lambda member: ", ".join(
            code(each.name) for each in member.score_card(TABLE["refc"], 3.0)
        ),
    },
}
"""What the members of a family declare beside their keys."""

SHAPES: Mapping[Task, Shape] = {
    "forecast": Shape(channels=7, forcing=5, static=2, height=1059, width=1799, delta_std=(1.0,) * 7),
    "emulate": Shape(
        channels=8, history=6, height=48, width=72, delta_std=(1.0,) * 8, targets=2, names=("co2", *"1234567")
    ),
    "classify": Shape(channels=37, history=30, height=1, width=1, delta_std=(1.0,) * 37, targets=1),
    "segment": Shape(channels=4, history=3, height=64, width=64, delta_std=(1.0,) * 4, targets=1),
}
"""A case of each task, for which parameters are counted: full CONUS, 6 months, 30 days, 3 images."""


def family_page(family: str) -> str:
    """All of a family: a table of its members, what all take, and each by itself."""
    registry = registries()[family]
    kinds = {name: registry[name] for name in registry}
    shared = [shared_keys(base, kinds) for base in dict.fromkeys(map(base_of, kinds.values()))]
    each = [member_section(family, name, kind) for name, kind in kinds.items()]
    return "\n\n".join([f"# {family.capitalize()}", CHOSEN[family], overview(family, kinds), *shared, *each])


def overview(family: str, kinds: Mapping[str, type]) -> str:
    """A row a member."""
    facts, told = FACTS.get(family, {}), members(family)
    rows = [
        (f"[`{name}`](#{name_id(name)})", prose(told[name]), *(fact(kind) for fact in facts.values()))
        for name, kind in kinds.items()
    ]
    return table(("kind", "", *facts), rows)


def shared_keys(base: type[Config], kinds: Mapping[str, type]) -> str:
    """The keys that all members of a base have, named once."""
    taken = key_table(keys(base))
    names = ", ".join(code(name) for name, kind in kinds.items() if base_of(kind) is base)
    return f"## Keys of all of {names}\n\n{taken}" if taken else ""


def member_section(family: str, name: str, member: type[Config]) -> str:
    """A member: its documentation, its own keys, and what of it ships."""
    shared = set(keys(base_of(member)))
    own = key_table(key for key in keys(member) if key not in shared)
    told = [prose(members(family)[name]), prose(description(member))]
    parts = [f"## `{name}` {{ #{name_id(name)} }}", *told, own]
    shipped = f"{family.removesuffix('s')}/{name}"
    if shipped in shipped_names():
        parts.append(f"Shipped as `configs/{shipped}.yaml`:\n\n```yaml\n{dump(load(shipped))}```")
    return "\n\n".join(filter(None, parts))


def name_id(name: str) -> str:
    """The anchor of a member: `dpm-solver++` has signs that an address does not take."""
    return name.replace("+", "p")


def models_at_a_glance() -> str:
    """A row a model and task, with the parameters that it has as shipped."""
    rows = [
        (f"[`{name}`](reference/models.md#{name})", task, prose(members("models")[name]), count(name, task))
        for task in SHAPES
        for name in MODELS
        if task in MODELS[name].tasks
    ]
    return table(("model", "task", "what it is", "parameters"), rows)


def count(name: str, task: Task) -> str:
    """The parameters of a model as it ships, in words of three digits."""
    with torch.device("meta"):
        model = parse_member(MODELS, model_settings(name), at="model").build(SHAPES[task])
    return f"{sum(each.numel() for each in model.parameters()):,}"
