"""The sources that an evaluation's indicators name, with what their readers can say before any file is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from did.errors import DidError, Mistakes, listed, suggest
from did.project import yaml_files
from did.project.config import Evaluation
from did.project.indicator import Counts, Indicator, Measure, Population
from did.project.places import check_folder
from did.project.registry import Source, load_named
from did.readers import checked, measures_of

Location = tuple[str, ...]


def check_sources(path: Path, evaluation: Evaluation, indicators: list[Indicator], mistakes: Mistakes) -> None:
    """Add every mistake in the files of the sources, their options and the measures that indicators take of them."""
    known = len(mistakes.lines)
    with mistakes.collected():
        check_folder(path, evaluation, "sources_folder")
    if len(mistakes.lines) > known:
        return
    sources: dict[str, Source] = {}
    for name in dict.fromkeys(source for each in indicators for source in each.sources):
        file = Path(evaluation.sources_folder) / f"{name}.yaml"
        try:
            source = load_named(name, evaluation.sources_folder)
            _check_options(file, source)
            sources[name] = source
        except DidError as error:
            own = [] if file.is_file() else [_own(evaluation, each) for each in indicators if name in each.sources]
            mistakes.lines += [f"{yaml_files.key(place, *_naming(yaml_files.values(place), name))}: {error}"
                               for place in own] or error.lines
    for indicator in indicators:
        for location, names, measure in _taken(indicator):
            with mistakes.collected():
                _check_measure(yaml_files.key(_own(evaluation, indicator), *location), [
                    sources.get(name) for name in names], measure)


def _check_options(file: Path, source: Source) -> None:
    """Raise DidError, beginning with the key, for an option that the reader can tell to be wrong."""
    try:
        checked(source.reader, source.id, source.options)
    except DidError as error:
        named = re.search(r"option '([^']*)'", str(error))
        raise DidError(f"{yaml_files.key(file, 'options', *([named[1]] if named else []))}: {error}") from error


def _check_measure(where: str, sources: list[Source | None], measure: str) -> None:
    """Raise DidError for a measure that none of the sources has, where all say what they have."""
    known: list[str] = []
    for source in sources:
        found = None if source is None else measures_of(source.reader, source.options)
        if found is None:
            return
        known += found
    if measure not in known:
        names = ", ".join(source.id for source in sources if source is not None)
        raise DidError(f"{where}: expected a measure of source {names}, which has {listed(known, 20)}; found "
                       f"'{measure}'{suggest(measure, known) or '; correct it, or add it to the options there'}")


def _taken(indicator: Indicator) -> Iterator[tuple[Location, list[str], str]]:
    """Where an indicator names a measure, the sources it is of, and its name."""
    parts: list[tuple[Location, Counts | Population | Measure | None]] = [
        (("numerator",), indicator.numerator), (("rate",), indicator.rate), (("residents",), indicator.residents)]
    if indicator.rate is not None and indicator.rate.is_weighted:
        parts.append((("rate", "weights"), indicator.rate.weights))
    parts += [(("denominators", name), part) for name, part in indicator.denominators.items()]
    for location, part in parts:
        if isinstance(part, Counts):
            yield from (((*location, "measures"), part.sources, measure) for measure in part.measures)
        elif part is not None:
            named = {("measure",): part.measure}
            if isinstance(part, Population):
                named |= {("all_ages",): part.all_ages}
                named |= {("earlier",): part.earlier} if part.earlier is not None else {}
                named |= {("census", key): getattr(part.census, key) for key in ("measure", "all_ages") if part.census}
            yield from (((*location, *key), [part.source], measure) for key, measure in named.items())


def _own(evaluation: Evaluation, indicator: Indicator) -> Path:
    return Path(evaluation.indicators_folder) / f"{indicator.id}.yaml"


def _naming(value: object, name: str) -> tuple[str | int, ...]:
    """The way to the first key 'source' of a file's values that names a source; empty if there is none."""
    for key, part in value.items() if isinstance(value, dict) else ():
        if key == "source" and (part == name or isinstance(part, list) and name in part):
            return (key,)
        if below := _naming(part, name):
            return (key, *below)
    return ()
