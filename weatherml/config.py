"""Configurations: frozen, keyword-only, checked when built; YAML in, the resolved YAML out.

A family's member is a `Config` with a `kind`; its `build(...)` makes the thing itself. Settings
come from a YAML file (`load`), then `--set a.b=c` (`override`), then validation (`parse`), where an
unknown key is refused by its full path with the nearest known one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from weatherml.errors import ConfigError, MissingInputError
from weatherml.registry import Registry, suggest

Settings = dict[str, Any]
C = TypeVar("C", bound="Config")
MOST_CHARACTERS = 1_000_000
TIMESTAMP = "tag:yaml.org,2002:timestamp"


class Config(BaseModel):
    """Base of every configuration: immutable, no unknown keys, defaults validated too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
    kind: ClassVar[str] = ""

    def settings(self) -> Settings:
        """The resolved settings as plain YAML types; the `kind` of family members included."""
        dumped = {name: plain(getattr(self, name)) for name in type(self).model_fields}
        return {"kind": self.kind, **dumped} if self.kind else dumped

    def digest(self) -> str:
        """A hash that two configurations share exactly when their settings are equal."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()


def plain(value: Any) -> Any:
    """A setting as YAML writes it: configurations, tuples and paths unwrapped."""
    if isinstance(value, Config):
        return value.settings()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def parse(kind: type[C], settings: Mapping[str, Any], *, at: str = "") -> C:
    """Build a configuration of class `kind`; `at` is the path of keys that leads to it.

    Raises:
        ConfigError: naming the full path of the first key that is unknown or wrong.
    """
    try:
        return kind(**settings)
    except ValidationError as error:
        raise ConfigError(_first_problem(error, kind, at)) from None
    except TypeError as error:
        raise ConfigError(f"{at or kind.__name__}: {error}; keys are words") from None


def parse_member(registry: Registry[Any], settings: Mapping[str, Any] | str | Config, *, at: str) -> Any:
    """A family's member from `{"kind": name, ...}`, or from its bare name."""
    if isinstance(settings, Config):
        return settings
    if isinstance(settings, str):
        settings = {"kind": settings}
    if not isinstance(settings, Mapping) or "kind" not in settings:
        raise ConfigError(f"{at}: needs a kind; known: {', '.join(registry)}")
    rest = {key: value for key, value in settings.items() if key != "kind"}
    return parse(registry[str(settings["kind"])], rest, at=at)


def load(name_or_path: str | Path) -> Settings:
    """Read a YAML configuration: a file, or the name of one that ships in `configs/`.

    Raises:
        MissingInputError: neither a file nor a shipped name.
        ConfigError: not YAML, or not a mapping.
    """
    path, shipped = Path(name_or_path), files("configs") / f"{name_or_path}.yaml"
    found = path if path.is_file() else shipped
    if not found.is_file():
        raise MissingInputError(f"{name_or_path}: no such configuration; {suggest(str(name_or_path), shipped_names())}")
    try:
        with found.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise ConfigError(f"{name_or_path}: not text in UTF-8; name a YAML file") from None
    return read_yaml(text, str(name_or_path))


def read_yaml(text: str, name: str) -> Settings:
    """Parse a YAML mapping; `name` stands in the error.

    Raises:
        ConfigError: not YAML that `StrictLoader` takes, not a mapping, or too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{name}: over {MOST_CHARACTERS} characters; a configuration is shorter")
    try:
        settings = _construct(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: not YAML ({' '.join(str(error).split())}); mend the file") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{name}: holds a {type(settings).__name__}, not keys and values; see `wml list configs`")
    return settings


class StrictLoader(yaml.SafeLoader):
    """Safe YAML, and stricter: no aliases, which can be bombs, no key twice; times stay text, as written."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias before it is followed."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken, write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice: the first would be lost without a word."""
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, times in keys.items() if times > 1]:
            raise yaml.YAMLError(f"{', '.join(twice)} stands twice, {node.start_mark}")
        return super().construct_mapping(node, deep=deep)


StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _construct(text: str) -> Any:
    loader = StrictLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def shipped_names() -> list[str]:
    """The names under which configurations ship: `hrrr`, `model/unet`, ..."""
    root = files("configs")
    below = [(f"{folder.name}/", folder) for folder in root.iterdir() if folder.is_dir()]
    entries = [(prefix, entry) for prefix, folder in [("", root), *below] for entry in folder.iterdir()]
    return sorted(prefix + entry.name[:-5] for prefix, entry in entries if entry.name.endswith(".yaml"))


def override(settings: Mapping[str, Any], assignments: Sequence[str]) -> Settings:
    """Apply `a.b=c` assignments; values are read as YAML (`3`, `true`, `[1, 2]`, `{k: v}`).

    Raises:
        ConfigError: an assignment without `=`, or a path through something that is not a mapping.
    """
    merged = merge({}, settings)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {assignment}: not KEY=VALUE; write for example --set train.lr=0.001")
        try:
            value = _construct(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ConfigError(f"--set {assignment:.200}: the value is not YAML; quote it") from None
        merged = _assign(merged, path.split("."), value, path)
    return merged


def _assign(settings: Settings, path: list[str], value: Any, full: str) -> Settings:
    key, *rest = path
    if not rest:
        return {**settings, key: value}
    inner = settings.get(key) or {}
    if isinstance(inner, str):  # `model: unet` and `--set model.depth=3` agree
        inner = {"kind": inner}
    if not isinstance(inner, dict):
        raise ConfigError(f"--set {full}: {key} holds {inner!r}, not keys; set {key} itself")
    return {**settings, key: _assign(inner, rest, value, full)}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Settings:
    """`over` laid on `base`, mapping by mapping; anything else is replaced whole.

    A different `kind` replaces its mapping: the keys of another member would not be known.
    """
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        same = both and value.get("kind", old.get("kind")) == old.get("kind")  # type: ignore[union-attr]
        merged[key] = merge(old, value) if same else value  # type: ignore[arg-type]
    return merged


def dump(settings: Mapping[str, Any]) -> str:
    """Settings as YAML, in the order they were declared."""
    return yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True)  # copies: nothing becomes an alias


def _first_problem(error: ValidationError, kind: type[Config], at: str) -> str:
    problem = error.errors(include_url=False)[0]
    path = ".".join([*([at] if at else []), *(str(part) for part in problem["loc"])]) or kind.__name__
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key; {suggest(str(problem['loc'][-1]), _known_keys(kind, problem['loc'][:-1]))}"
    got = "" if problem["type"] == "missing" else f", got {problem['input']!r:.200}"
    return f"{path}: {problem['msg'].removeprefix('Value error, ')}{got}; set {path}"


def _known_keys(kind: type[Config], path: tuple[int | str, ...]) -> list[str]:
    for part in path:  # the index or key of a container names no field and leads no deeper
        field = kind.model_fields.get(str(part))
        kind = (_config_in(field.annotation) if field else None) or kind
    return list(kind.model_fields)


def _config_in(annotation: Any) -> type[Config] | None:
    """The configuration that an annotation holds: itself, or inside `X | None`, `tuple[X, ...]`, `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation
    return next((inner for each in get_args(annotation) if (inner := _config_in(each))), None)
