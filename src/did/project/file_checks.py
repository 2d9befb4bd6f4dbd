"""The files that an evaluation's indicators need, checked with the evaluation before a run.

Apart from did.project.checks, so that a stage does not depend on what reads files it does not use.
"""

from __future__ import annotations

from pathlib import Path

from did.errors import DidError, Mistakes, suggest
from did.project import yaml_files
from did.project.checks import known_indicators
from did.project.claims import load_claims
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.places import check_tables
from did.project.source_checks import check_sources
from did.readers.reference import read_reference


def check_files(path: Path, evaluation: Evaluation, indicators: list[Indicator], mistakes: Mistakes) -> None:
    """Add every mistake in the sources that the indicators name, every table that is not there, every mistake in the
    membership tables of their specifications, and the first in the claims file, to ``mistakes``."""
    check_sources(path, evaluation, indicators, mistakes)
    absent = Mistakes()
    check_tables(path, evaluation, absent)
    mistakes.lines += absent.lines
    if absent.lines:   # what is in the tables can be told when all are there
        return
    for indicator in indicators if evaluation.waves.table is None else []:
        for name in evaluation.specifications_of(indicator):
            with mistakes.collected():
                _check_membership(path, evaluation, indicator, name)
    with mistakes.collected():
        _check_samples(path, evaluation)
    with mistakes.collected():
        claims = load_claims(evaluation.published, known_indicators(evaluation, indicators),
                             samples=evaluation.samples)
        if len(claims) and not (evaluation.publication.citation and evaluation.publication.coefficients):
            raise DidError(f"{yaml_files.key(path, 'publication')} must have citation and coefficients, since "
                           f"{evaluation.published} holds claims; found one of them missing; add it")


def _check_samples(path: Path, evaluation: Evaluation) -> None:
    """Raise DidError for a system or a unit that a sample leaves out and no table of the waves knows."""
    known = codes(evaluation)
    for name, sample in evaluation.samples.items():
        for column, named in (("system", sample.without_systems), ("unit", sample.without_units)):
            for code in named:
                if code not in known[column]:
                    raise DidError(f"{yaml_files.key(path, 'samples', name, f'without_{column}s')}: expected a "
                                   f"{column} that the tables of waves name; found '{code}'"
                                   f"{suggest(code, known[column])}; correct it")


def codes(evaluation: Evaluation) -> dict[str, set[str]]:
    """Return the codes of every ``system`` and ``unit`` in an evaluation's tables of systems or of waves.

    Raises DidError for a table that cannot be read.
    """
    waves, known = evaluation.waves, {"system": set[str](), "unit": set[str]()}
    files = [*waves.systems.values()] if waves.table is None else [waves.table, *([waves.units] if waves.units else [])]
    for file in dict.fromkeys(files):
        held = read_reference(Path(evaluation.reference) / file, [], [])
        for column, found in known.items():
            found |= set(held[column]) - {""} if column in held else set()
    return known


def _check_membership(path: Path, evaluation: Evaluation, indicator: Indicator, name: str) -> None:
    """Raise DidError unless the specification's membership has a table for the indicator's areas, and doses in it where
    the stages fit intensity: in the default specification, and where intensity is the first treatment in staggered
    ones."""
    specification, waves = evaluation.specifications[name], evaluation.waves
    is_default = name == evaluation.default_specification
    published = specification.membership == "published"
    tables = waves.membership if published else waves.records.get(specification.membership, {})
    if indicator.geography not in tables:
        if specification.membership in waves.records:   # else reported already
            raise DidError(f"{yaml_files.key(path, 'waves', 'records', specification.membership)}: expected a table "
                           f"for "
                           f"{indicator.geography}, the areas of {indicator.id}, since specification '{name}' has this "
                           f"membership; found {', '.join(tables) or 'none'}; add it, or name the specification's "
                           f"families")
        return
    fitted = evaluation.treatments if is_default else evaluation.treatments[:1] if specification.staggered else []
    if "intensity" not in fitted:
        return
    table = Path(evaluation.reference) / tables[indicator.geography]
    doses = read_reference(table, ["wave", "partner_organisations"], [])["partner_organisations"]
    if (doses == "").all():
        raise DidError(f"{yaml_files.key(path, 'specifications', name, 'membership')} is {specification.membership}: "
                       f"expected "
                       f"doses in column 'partner_organisations' of {table}, since 'treatments' holds intensity; found "
                       "none; remove intensity from treatments, or take another membership")
