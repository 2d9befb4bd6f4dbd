"""YAML files read into typed models, with one sentence, a line number and a suggestion for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from did.errors import DidError, suggest

Model = TypeVar("Model", bound=BaseModel)


# The loader in C, where PyYAML has it, is ten times faster; every job reads the config.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """SafeLoader that leaves dates as the text that was written and refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is written twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: str | Path, model: type[Model]) -> Model:
    """Read a YAML file into ``model``.

    Raises DidError, with the line, for a missing file, text that is not UTF-8 or not YAML, a key written
    twice, an unknown key (with a suggestion), a missing key or a value of the wrong kind. The first mistake is
    told in full; the others are counted and named.
    """
    path = Path(path)
    if not path.is_file():
        raise DidError(f"{path}: expected a YAML file; found none; add it or correct the name")
    try:
        loader = _Loader(path.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        value = loader.construct_document(node) if node is not None else None
    except UnicodeDecodeError as error:
        raise DidError(f"{path}: expected UTF-8 text; found another encoding at byte {error.start}; "
                       "save the file as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise DidError(f"{path}{line}: expected YAML; found {getattr(error, 'problem', None) or error}; "
                       "check indentation, colons and quotes") from error
    if not isinstance(value, dict):
        raise DidError(f"{path}: expected a mapping with the keys {', '.join(model.model_fields)}; "
                       f"found {type(value).__name__}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DidError(_sentence(path, node, value, model, error)) from error


def _sentence(path: Path, node: yaml.Node, value: dict, model: type[BaseModel], error: ValidationError) -> str:
    # An unknown key explains the missing one it was meant to be, so it is told first.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    first, rest = problems[0], problems[1:]
    location, kind, found = _written(first["loc"], value), first["type"], first["input"]
    line = _line_of(node, location)
    place = f"{path}" + (f" line {line}" if line else "") + f": key '{_named(location, value)}'"
    if kind == "extra_forbidden":
        allowed = _allowed(model, location)
        remedy = suggest(location[-1], allowed) or f"; expected one of {', '.join(allowed)}"
        sentence = f"{place} is not known{remedy}"
    elif kind == "missing":
        sentence = f"{place} is missing; add it"
    elif kind == "value_error":
        sentence = f"{place}: {first['ctx']['error']}"
    else:
        hint = "; put it in quotes" if kind == "string_type" and isinstance(found, int | float) else ""
        sentence = f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}; found {found!r}{hint}"
    if rest:
        others = ", ".join(_named(problem["loc"], value) for problem in rest[:5])
        sentence += f" (and {len(rest)} more: {others})"
    return sentence


def _written(location: tuple, value: Any) -> tuple:
    """``location`` without the steps that name a kind of model and not a key of the file."""
    kept = []
    for step in location[:-1]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            continue
        kept.append(step)
    return (*kept, *location[-1:])


def _line_of(node: yaml.Node, location: tuple) -> int | None:
    """Line (from 1) of the key or item at ``location``, or of the nearest thing around it that is there."""
    line = None
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _named(location: tuple, value: Any) -> str:
    """``files.4 (a.csv).sha256``: the way to a key, list items counted from 1 and named where they have a name."""
    parts = []
    for step in location:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        if isinstance(step, int):
            name = value.get("name") if isinstance(value, dict) else None
            parts.append(f"{step + 1} ({name})" if isinstance(name, str) else f"{step + 1}")
        else:
            parts.append(str(step))
    return ".".join(parts)


def _allowed(model: type[BaseModel], location: tuple) -> list[str]:
    """Keys that the model allows at the place whose last step is a wrong key."""
    current: Any = model
    for step in location[:-1]:
        if isinstance(current, type) and issubclass(current, BaseModel) and step in current.model_fields:
            current = current.model_fields[step].annotation
        current = next((part for part in getattr(current, "__args__", ())
                        if isinstance(part, type) and issubclass(part, BaseModel)), current)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
