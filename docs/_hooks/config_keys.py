"""The keys of a configuration, from its JSON schema and the `Attributes:` of its docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from griffe import Docstring, DocstringSectionKind
from markdown_text import code, prose, table

from cli.families import registries
from weatherml.config import Config

Schema = Mapping[str, Any]
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
WORDS = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key as users write it: `validation.every` of the training.

    Attributes:
        path: with dots; `[]` stands for each entry of a list, `NAME` for each key of a mapping.
        type: what it takes, in words.
        default: as YAML; empty where the key must be given, or its parts have defaults of their own.
        meaning: what its docstring says.
    """

    path: str
    type: str
    default: str
    meaning: str


def key_table(found: Iterable[Key]) -> str:
    """Keys as a table."""
    rows = [(code(key.path), key.type, code(key.default), prose(key.meaning)) for key in found]
    return table(("key", "takes", "default", "meaning"), rows)


def keys(kind: type[Config]) -> list[Key]:
    """The keys of a configuration, those of the configurations within it below their own."""
    schema = kind.model_json_schema()
    return list(_keys(schema, schema.get("$defs", {}), meanings(kind), ""))


def _keys(schema: Schema, known: Mapping[str, Schema], meaning: Mapping[str, str], above: str) -> Iterator[Key]:
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        path, inner = f"{above}{name}", dict(_inside(each, known))
        written = "" if name in required or "" in inner else written_as_yaml(each.get("default"))
        kind = words(each, known) + (", must be given" if name in required else "")
        yield Key(path=path, type=kind, default=written, meaning=meaning.get(name, ""))
        for tail, below in inner.items():
            yield from _keys(below, known, attributes(below.get("description", "")), f"{path}{tail}.")


def _inside(schema: Schema, known: Mapping[str, Schema], tail: str = "") -> Iterator[tuple[str, Schema]]:
    """The configurations that a value holds, each with what its keys' path has between: nothing, `[]` or `.NAME`."""
    if "$ref" in schema and (name := _name(schema)) not in family_of_base():
        yield tail, known[name]
    for option in schema.get("anyOf", ()):
        yield from _inside(option, known, tail)
    if isinstance(schema.get("items"), Mapping):
        yield from _inside(schema["items"], known, f"{tail}[]")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _inside(schema["additionalProperties"], known, f"{tail}.NAME")


def words(schema: Schema, known: Mapping[str, Schema]) -> str:
    """What a value may be: `integer, above 0`, `one of adamw, muon`, `list of text`."""
    if "$ref" in schema:
        name = _name(schema)
        family = family_of_base().get(name)
        return f"a member of the [{family}]({family}.md)" if family else words(known[name], known)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(words(each, known) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(code(str(each)) for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return _list_words(schema, known)
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"names, each with {words(inner, known)}" if isinstance(inner, Mapping) else "keys"
    bounds = [f"{word} {schema[key]:g}" for key, word in BOUNDS.items() if key in schema]
    return ", ".join([WORDS.get(schema.get("type", ""), "anything"), *bounds])


def _list_words(schema: Schema, known: Mapping[str, Schema]) -> str:
    if "prefixItems" in schema:
        return "[" + ", ".join(words(each, known) for each in schema["prefixItems"]) + "]"
    return f"list of {words(schema['items'], known)}"


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


@cache
def family_of_base() -> dict[str, str]:
    """The families by the name of the class that all their members are of."""
    return {
        base_of(member).__name__: family
        for family, registry in registries().items()
        for member in (registry[name] for name in registry)
    }


def base_of(member: type) -> type[Config]:
    """The configuration that makes a class a member of its family."""
    line = member.__mro__
    base: type[Config] = line[line.index(Config) - 1]
    return base


def written_as_yaml(value: Any) -> str:
    """A default as a user writes it, in one line."""
    return re.sub(r"\n(\.\.\.\n)?$", "", yaml.safe_dump(value, default_flow_style=True, width=10_000))


def meanings(kind: type) -> dict[str, str]:
    """What the docstrings of a class and of those it comes from say of its attributes."""
    documented = [vars(each).get("__doc__") or "" for each in reversed(kind.__mro__) if issubclass(each, Config)]
    return {name: text for doc in documented for name, text in attributes(doc).items()}


def attributes(doc: str) -> dict[str, str]:
    """The entries of the section `Attributes:` of a docstring."""
    return {
        each.name: each.description
        for section in _sections(doc)
        if section.kind is DocstringSectionKind.attributes
        for each in section.value
    }


def description(kind: type) -> str:
    """What a class's docstring says above its sections."""
    sections = _sections(vars(kind).get("__doc__") or "")
    return "\n\n".join(each.value for each in sections if each.kind is DocstringSectionKind.text)


def _sections(doc: str) -> list[Any]:
    return list(Docstring(inspect.cleandoc(doc)).parse("google", warnings=False))
