"""YAML files read into typed models, with one sentence, a line number and a suggestion for each mistake."""

from __future__ import annotations

import copy
import reprlib
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from did.errors import DidError, DidErrors, suggest

Model = TypeVar("Model", bound=BaseModel)
MAXIMUM_BYTES = 2_000_000
# Values of a file with its aliases written out: a few aliases of aliases can stand for billions.
MAXIMUM_NODES = 200_000
MAXIMUM_DEPTH = 40
# A name that becomes part of paths and commands.
IDENTIFIER = r"^[a-z][a-z0-9_]{0,59}$"
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80

# Kind of mistake, as pydantic names it -> what was expected, in words.
_MAPPING, _WHOLE, _NUMBER = "a mapping (key: value)", "a whole number", "a number"
_EXPECTED = {
    "dict_type": _MAPPING, "model_type": _MAPPING, "model_attributes_type": _MAPPING,
    "list_type": "a list, such as [one, another]", "too_short": "at least {min_length} in it",
    "too_long": "at most {max_length} in it", "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE, "float_type": _NUMBER, "float_parsing": _NUMBER, "number_type": _NUMBER,
    "finite_number": _NUMBER, "greater_than": "a number above {gt}", "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}", "less_than_equal": "a number of at most {le}", "string_type": "text",
    "string_too_short": "text of at least {min_length} characters", "string_too_long": "text of at most "
    "{max_length} characters", "string_pattern_mismatch": "text of the pattern {pattern}", "bool_type": "true or false",
    "bool_parsing": "true or false", "literal_error": "{expected}",
}


# The loader in C, where PyYAML has it, is ten times faster; every job reads the config.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """SafeLoader that leaves dates as the text that was written and refuses a key written twice."""

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        # Python takes minutes over some numbers of a million digits, and will not print one of 5,000.
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and len(node.value) > 100:
            raise yaml.MarkedYAMLError(problem="a number of more than 100 digits", problem_mark=node.start_mark)
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key that is a list or mapping", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is written twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: str | Path, model: type[Model]) -> Model:
    """Read a YAML file (UTF-8, with or without a byte-order mark, any line ends) into ``model``.

    Raises DidError, with the line, for a missing file or a folder in its place, a file over 2 MB, text that is not
    UTF-8 or not YAML, a key written twice, a tag, and aliases that stand for too much; and DidErrors with every
    unknown key (with a suggestion), missing key and value of the wrong kind.
    """
    path = Path(path)
    node, value = _parsed(path)
    if not isinstance(value, dict):
        found = "nothing" if value is None else type(value).__name__
        raise DidError(f"{path}: expected a mapping with the keys {', '.join(model.model_fields)}; found {found}; "
                       "write them in it")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DidErrors(_sentences(path, node, value, model, error)) from error


def values(path: str | Path) -> dict[str, Any]:
    """Return what a YAML file holds, as it is written, to change and write again.

    Raises DidError as `read` does for what is no YAML.
    """
    return copy.deepcopy(_parsed(Path(path))[1])


def key(path: str | Path, *location: str | int) -> str:
    """``config/ics.yaml line 12: key 'waves.onset'``: the place of a key for a sentence about a file that `read` has
    read; without the line if the key is not written there. List items are counted from 0."""
    path = Path(path)
    return _key(path, location, *_state(path))


@lru_cache(maxsize=4096)
def _key(path: Path, location: tuple[str | int, ...], *state: int) -> str:
    """`key` in one state of a file: every check asks for its place, and few find a mistake there."""
    node, value = _parse(path, *state)
    return _place(path, node, location, value)


def _parsed(path: Path) -> tuple[yaml.Node | None, Any]:
    return _parse(path, *_state(path))


def _state(path: Path) -> tuple[int, int]:
    """When a file was written and its size, by which one state of it is told from another."""
    try:
        state = path.stat()   # once, as every check of a key asks
    except (OSError, ValueError):
        state = None
    if state is None or not stat.S_ISREG(state.st_mode):
        found = "a folder" if state and stat.S_ISDIR(state.st_mode) else "none"
        raise DidError(f"{path}: expected a YAML file; found {found}; add it or correct the name")
    if state.st_size > MAXIMUM_BYTES:
        raise DidError(f"{path}: expected a config file of at most {MAXIMUM_BYTES / 1e6:.0f} MB; found "
                       f"{state.st_size / 1e6:,.0f} MB; name the right file")
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=4096)
def _parse(path: Path, *_state: int) -> tuple[yaml.Node | None, Any]:
    """The node and the value of one state of a file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        _refuse_depth(path, text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None and _size(node, {}, ()) > MAXIMUM_NODES:
            raise DidError(f"{path}: expected at most {MAXIMUM_NODES:,} values, aliases (*name) written out; found "
                           "more; write what they stand for once, where it is needed")
        return node, loader.construct_document(node) if node is not None else None
    except UnicodeDecodeError as error:
        raise DidError(f"{path}: expected UTF-8 text; found another encoding at byte {error.start}; "
                       "save the file as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).removeprefix("but ").removeprefix("found ")
        raise DidError(f"{path}{line}: expected YAML; found {problem}; {_remedy(problem, text, mark)}") from error


def _refuse_depth(path: Path, text: str) -> None:
    """Raise DidError for lists and mappings nested so deep that composing them would overrun the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(problem=f"the tag '{event.tag[:80]}'", problem_mark=event.start_mark)
        if depth > MAXIMUM_DEPTH:
            raise DidError(f"{path} line {event.start_mark.line + 1}: expected at most {MAXIMUM_DEPTH} levels of lists "
                           "and mappings; found more; close the brackets")


def _remedy(problem: str, text: str, mark: yaml.Mark | None) -> str:
    lines = text.splitlines()
    around = lines[max(mark.line - 1, 0):mark.line + 1] if mark else []
    if any("\t" in line[:len(line) - len(line.lstrip())] for line in around):
        return "indent with spaces, not tabs"
    if problem.startswith("the tag "):
        return "remove the tag (the word that begins with !)"
    if "another document" in problem:
        return "write one document, without ---, a file"
    if "twice" in problem:
        return "remove one of the two"
    return "check indentation, colons and quotes"


def _size(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """Number of values in a node with aliases written out; a node within itself counts as too many."""
    if id(node) in above:
        return MAXIMUM_NODES + 1
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known[id(node)] = 1 + sum(_size(part, known, (*above, id(node))) for part in parts)
    return known[id(node)]


def _sentences(path: Path, node: yaml.Node, value: dict, model: type[BaseModel], error: ValidationError) -> list[str]:
    # An unknown key explains the missing one it was meant to be, which is not reported.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    explained = set()
    for problem in problems:
        if problem["type"] == "extra_forbidden":
            location = _written(problem["loc"], value)
            meant = [name for name in _allowed(model, location) if suggest(location[-1], [name])]
            explained |= {(*problem["loc"][:-1], name) for name in meant}
    return [_sentence(path, node, value, model, problem) for problem in problems
            if problem["type"] != "missing" or problem["loc"] not in explained]


def _sentence(path: Path, node: yaml.Node, value: dict, model: type[BaseModel], problem: dict[str, Any]) -> str:
    kind, found = problem["type"], problem["input"]
    location = _written(problem["loc"], value)
    if location[-1:] == ("[key]",):   # pydantic's word for a mistake in the key itself
        location = location[:-1]
    place = _place(path, node, location, value) if location else str(path)
    if kind == "extra_forbidden":
        allowed = _allowed(model, location)
        remedy = suggest(location[-1], allowed) or f"; expected one of {', '.join(allowed)}"
        return f"{place} is not known{remedy}"
    if kind == "missing":
        return f"{place} is missing; add it"
    if kind == "value_error":
        return f"{place}: {problem['ctx']['error']}"
    if kind == "string_pattern_mismatch" and problem["ctx"]["pattern"].endswith(IDENTIFIER):
        return (f"{place}: expected a name of at most 60 small letters, digits and underscores, starting with a "
                f"letter; found {_SHORT.repr(found)}; rename it")
    expected = _EXPECTED[kind].format(**problem.get("ctx", {})) if kind in _EXPECTED else problem["msg"]
    if kind == "string_too_long":
        return f"{place}: expected {expected}; found {len(found):,}; shorten it"
    hint = "; put it in quotes" if kind == "string_type" and isinstance(found, int | float) else ""
    if kind == "literal_error" and isinstance(found, str):
        words = problem["ctx"]["expected"].replace(" or ", ", ").split(", ")
        hint = suggest(found, [word.strip("'") for word in words])
    return f"{place}: expected {expected}; found {_shown(found)}{hint or '; correct it'}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true (as YAML reads yes and on)" if value else "false (as YAML reads no and off)"
    return "nothing" if value is None else _SHORT.repr(value)


def _place(path: Path, node: yaml.Node | None, location: tuple, value: Any) -> str:
    line = _line_of(node, location) if node is not None else None
    return f"{path}" + (f" line {line}" if line else "") + f": key '{_named(location, value)}'"


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
        is_item = isinstance(step, int) and not isinstance(value, dict)
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        if is_item:
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
