"""What an evaluation file must agree with: itself, its indicators and its waves table.

Each mistake is one sentence with its line; all are collected before any is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from did.errors import DidError, Mistakes, suggest
from did.project import yaml_files
from did.project.config import Evaluation
from did.project.config_parts import period
from did.project.data_mode import parse_mode
from did.project.indicator import Indicator, Population
from did.project.places import check_reference
from did.project.specification import Specification

# Choices of a specification that may be combined in a product.
PRODUCT_CHOICES = ("window", "boundaries", "denominator", "lags", "metropolitan", "predecessors", "partial", "overlap",
                   "membership", "controls", "weights", "scale")
# Choices that are made where a specification is fitted, and that the table of reported panels knows nothing of.
AT_FIT = ("weights", "scale")
# Choices of a specification that are about membership tables and merged areas, of which a waves table knows nothing.
TABLE_LACKS = ("boundaries", "metropolitan", "membership", "predecessors", "partial", "overlap")


def check(path: Path, evaluation: Evaluation, indicators: list[Indicator], mistakes: Mistakes) -> Evaluation:
    """Add every mistake of an evaluation to ``mistakes`` and return the evaluation, with the onset of a waves table.

    ``indicators`` are those of its indicators that could be read.
    """
    for each in (_names, _specifications, _estimators, _products, _dates):
        each(path, evaluation, mistakes)
    _headlines(path, evaluation, known_indicators(evaluation, indicators), mistakes)
    for indicator in indicators:
        if indicator.family not in evaluation.families:
            mistakes.lines.append(
                f"{yaml_files.key(path, 'families')} must describe '{indicator.family}', the family of {indicator.id}; "
                f"found {', '.join(evaluation.families)}{suggest(indicator.family, evaluation.families)}")
        _indicator(path, evaluation, indicator, mistakes)
    if evaluation.waves.table is not None:
        evaluation = _with_table(path, evaluation, indicators, mistakes)
    return evaluation


def _one_of(place: str, found: str, allowed: Iterable[str], mistakes: Mistakes, expected: str = "expected") -> None:
    allowed = list(allowed)
    if found not in allowed:
        mistakes.lines.append(f"{place} {expected} {', '.join(allowed) or 'none'}; found '{found}'"
                              f"{suggest(found, allowed)}")


def _names(path: Path, evaluation: Evaluation, mistakes: Mistakes) -> None:
    """Names that must be of something the file has, and lists that may name nothing twice."""
    with mistakes.collected():
        parse_mode(evaluation.data, yaml_files.key(path, "data"))
    default = evaluation.default_specification
    _one_of(yaml_files.key(path, "default_specification"), default, evaluation.specifications, mistakes, "must name a "
        "specification:")
    if default in evaluation.specifications and evaluation.specifications[default].families is not None:
        mistakes.lines.append(f"{yaml_files.key(path, 'specifications', default, 'families')} must be absent: the "
                              f"default "
                              "specification concerns every indicator; remove it")
    for key in ("indicators", "treatments", "estimators", "staggered_estimators", "clusters"):
        words = getattr(evaluation, key)
        twice = sorted({word for word in words if words.count(word) > 1})
        if twice:
            mistakes.lines.append(f"{yaml_files.key(path, key)} names '{twice[0]}' twice; remove one")
    if evaluation.own_folder in ("raw", "interim", "processed", "reference", "demo", "figures", "tables", "sweep"):
        mistakes.lines.append(f"{yaml_files.key(path, 'folder' if evaluation.folder else 'id')}: expected a name that "
                              f"no folder of the stages has; found '{evaluation.own_folder}'; choose another 'folder'")


def known_indicators(evaluation: Evaluation, indicators: list[Indicator]) -> list[str]:
    """Names that count as an evaluation's indicators: those it lists; if one of them cannot be read, those there are
    files of as well, since that one may be meant by any."""
    names = list(evaluation.indicators)
    if len(indicators) < len(names):
        names += sorted(file.stem for file in Path(evaluation.indicators_folder).glob("*.yaml"))
    return names


def _headlines(path: Path, evaluation: Evaluation, known: list[str], mistakes: Mistakes) -> None:
    for name, family in evaluation.families.items():
        for each in dict.fromkeys([family.headline, *family.parts, *family.sum_to_zero]):
            _one_of(yaml_files.key(path, "families", name), each, known, mistakes,
                    "must name indicators of this evaluation:")


def _specifications(path: Path, evaluation: Evaluation, mistakes: Mistakes) -> None:
    waves = evaluation.waves
    for name, specification in evaluation.specifications.items():
        for family in specification.families or []:
            _one_of(yaml_files.key(path, "specifications", name, "families"), family, evaluation.families, mistakes,
                    "must name families:")
        _reported_as_they_are(path, name, specification, evaluation, mistakes)
        if waves.table is not None:
            _specification_by_table(path, name, specification, evaluation, mistakes)
            continue
        _one_of(yaml_files.key(path, "specifications", name, "membership"), specification.membership,
                ["published", *waves.records], mistakes)
        if specification.cohorts in ("by_table", "own_dates"):
            mistakes.lines.append(f"{yaml_files.key(path, 'specifications', name, 'cohorts')} is "
                                  f"{specification.cohorts}: key "
                                  "'waves.table' must name the table; found none; add it")
        elif specification.staggered and not (waves.onsets and evaluation.staggered_estimators):
            mistakes.lines.append(f"{yaml_files.key(path, 'specifications', name, 'cohorts')} is "
                                  f"{specification.cohorts}: keys "
                                  "'waves.onsets' and 'staggered_estimators' must say from when and by what; found one "
                                  "of them empty")


def _reported_as_they_are(path: Path, name: str, specification: Specification, evaluation: Evaluation,
                          mistakes: Mistakes) -> None:
    """What is reported by itself is of units that count alike, on the outcome's own scale."""
    if not specification.staggered and name != evaluation.default_specification:
        return
    for choice in AT_FIT:
        usual = Specification.model_fields[choice].default
        if (found := getattr(specification, choice)) != usual:
            which = "the default specification" if name == evaluation.default_specification else (
                "one that treats units from different dates")
            mistakes.lines.append(f"{yaml_files.key(path, 'specifications', name, choice)} must be {usual} in {which}, "
                                  f"which is reported by itself; found {found}; name it in another specification")


def _specification_by_table(path: Path, name: str, specification: Specification, evaluation: Evaluation,
                            mistakes: Mistakes) -> None:
    """With a waves table each unit has its own date, and choices about memberships say nothing."""
    place = yaml_files.key(path, "specifications", name, "cohorts")
    if name == evaluation.default_specification and specification.cohorts != "by_table":
        mistakes.lines.append(f"{place} must be by_table in the default specification, since 'waves.table' gives the "
                              f"dates; "
                              f"found {specification.cohorts}; write cohorts: by_table")
    elif specification.cohorts not in ("by_table", "own_dates"):
        mistakes.lines.append(f"{place} must be by_table or own_dates, since 'waves.table' gives the dates; found "
                              f"{specification.cohorts}; write one of the two")
    elif specification.cohorts == "own_dates" and not evaluation.staggered_estimators:
        mistakes.lines.append(f"{place} is own_dates: key 'staggered_estimators' must say by what; found none; add it")
    for choice in TABLE_LACKS:
        if getattr(specification, choice) != Specification.model_fields[choice].default:
            mistakes.lines.append(f"{yaml_files.key(path, 'specifications', name, choice)} is about membership tables "
                                  f"and "
                                  "merged areas; 'waves.table' has neither; remove it")


def _estimators(path: Path, evaluation: Evaluation, mistakes: Mistakes) -> None:
    """Estimators that are known, can be fitted to the treatments, and give what figures show of them."""
    from did.estimators import entries
    from did.estimators.registry import BINARY, NEIGHBOURS

    known = entries()
    staggered = [specification for specification in evaluation.specifications.values() if specification.staggered]
    treatments = {"estimators": evaluation.treatments,
                  "staggered_estimators": evaluation.treatments[:1] if staggered else []}
    for key, fitted in treatments.items():
        for estimator in getattr(evaluation, key):
            _one_of(yaml_files.key(path, key), estimator, known, mistakes)
            if estimator in known and NEIGHBOURS in known[estimator].needs:
                mistakes.lines.append(f"{yaml_files.key(path, key)}: {estimator} needs to know which units border each "
                                      "other; name a table of them under robustness.neighbours, by which it is among "
                                      "the diagnostics, and remove it here")
            if "intensity" in fitted and estimator in known and BINARY in known[estimator].needs:
                mistakes.lines.append(f"{yaml_files.key(path, key)}: {estimator} is for a binary treatment; found that "
                                      f"it would be fitted to intensity as well; remove it, or intensity from "
                                      "'treatments' (for staggered_estimators: write binary first there)")
    named, over_time = evaluation.staggered_estimators, [name for name, each in known.items() if each.over_time]
    for_all = any(specification.families is None for specification in staggered)
    if named and for_all and not set(named) & set(over_time):
        mistakes.lines.append(f"{yaml_files.key(path, 'staggered_estimators')}: expected one with effects over event "
                              f"time, which a figure shows ({', '.join(over_time)}); found {', '.join(named)}; "
                              "add one")


def _products(path: Path, evaluation: Evaluation, mistakes: Mistakes) -> None:
    for family, choices in evaluation.products.items():
        place = yaml_files.key(path, "products", family)
        _one_of(place, family, evaluation.families, mistakes, "must be a family:")
        for choice, values in choices.items():
            if choice not in PRODUCT_CHOICES:
                _one_of(place, choice, PRODUCT_CHOICES, mistakes, "must hold choices among")
                continue
            for value in values:
                try:
                    Specification(**{choice: value})
                except ValueError:
                    mistakes.lines.append(f"{yaml_files.key(path, 'products', family, choice)}: found '{value}', which "
                                          "no specification may hold; see the choices of 'specifications'")


def _dates(path: Path, evaluation: Evaluation, mistakes: Mistakes) -> None:
    waves = evaluation.waves
    written = [(("onset",), waves.onset)] if waves.table is None else []
    written += [(("onsets", str(wave)), month) for wave, month in waves.onsets.items()]
    written += [(("system_onsets", system), month) for system, month in waves.system_onsets.items()]
    for location, month in written:
        with mistakes.collected():
            period(month, "M", yaml_files.key(path, "waves", *location))


def _indicator(path: Path, evaluation: Evaluation, indicator: Indicator, mistakes: Mistakes) -> None:
    """The evaluation must know the indicator's areas, every specification that concerns it must fit, and the onset must
    lie inside its windows."""
    waves = evaluation.waves
    own = Path(evaluation.indicators_folder) / f"{indicator.id}.yaml"
    if waves.table is None:
        for key in ("membership", "systems"):
            known = getattr(waves, key)
            _one_of(yaml_files.key(path, "waves", key) + f" must name a table for the geography of indicator "
                    f"{indicator.id}; it has", indicator.geography, known, mistakes, "")
        if indicator.rate is not None and not indicator.rate.is_weighted:
            mistakes.lines.append(f"{yaml_files.key(own, 'rate', 'weights')} is missing: areas that merge need "
                                  "weights; add it")
    else:
        for name, denominator in indicator.denominators.items():
            if isinstance(denominator, Population):
                mistakes.lines.append(f"{yaml_files.key(own, 'denominators', name)} is a population by district of "
                                      "England; with 'waves.table' expected counts by unit: write source and measures")
    _one_of(yaml_files.key(own, "published_estimator"), indicator.published_estimator, evaluation.estimators, mistakes,
            f"must be an estimator of evaluation {evaluation.id}:")
    windows = set()
    for name, specification in evaluation.specifications_of(indicator).items():
        for kind, word, allowed in (("window", specification.window, indicator.windows),
                                    ("denominator", specification.denominator, indicator.denominators)):
            if word is not None:
                _one_of(yaml_files.key(path, "specifications", name, kind), word, allowed, mistakes,
                        f"must be one that indicator {indicator.id} has:")
        windows |= {specification.window} & set(indicator.windows)
        if specification.drop_periods and specification.window in indicator.windows:
            with mistakes.collected():
                _refuse_dropped(yaml_files.key(path, "specifications", name, "drop_periods"), evaluation, indicator,
                                specification)
    for kind, allowed in (("window", indicator.windows), ("denominator", indicator.denominators)):
        for word in evaluation.products.get(indicator.family, {}).get(kind, []):
            _one_of(yaml_files.key(path, "products", indicator.family, kind), word, allowed, mistakes,
                    f"must hold what indicator {indicator.id} has:")
            windows |= {word} & set(indicator.windows) if kind == "window" else set()
    if waves.table is None:
        for name in sorted(windows):
            with mistakes.collected():
                _refuse_onset_outside(path, evaluation, indicator, name)


def _refuse_dropped(place: str, evaluation: Evaluation, indicator: Indicator, specification: Specification) -> None:
    """Raise DidError for periods left out that are none of the window, and where none is left before the onset or from
    it on."""
    start, end = _window(indicator, specification.window)
    kept = set(range(start.ordinal, end.ordinal + 1))
    for text in specification.drop_periods:
        ends = [period(each.strip(), indicator.frequency, place) for each in text.split(" to ")]
        if not start <= ends[0] <= ends[-1] <= end:
            raise DidError(f"{place} must name periods of the {indicator.id} window {specification.window}, {start} to "
                           f"{end}; found '{text}'; correct it")
        kept -= set(range(ends[0].ordinal, ends[-1].ordinal + 1))
    if evaluation.waves.table is not None:
        return   # each unit has its own onset
    try:
        onset = indicator.onset(str(period(evaluation.waves.onset, "M", "")))
    except DidError:
        return   # reported already
    if not kept or not min(kept) < onset.ordinal <= max(kept):
        raise DidError(f"{place} must leave periods before the onset {onset} of {indicator.id} and from it on; found "
                       f"{len(kept)} left, all on one side; leave out fewer")


def _refuse_onset_outside(path: Path, evaluation: Evaluation, indicator: Indicator, name: str) -> None:
    """Raise DidError unless treatment begins inside a window of the indicator."""
    try:
        first = period(evaluation.waves.onset, "M", "")
    except DidError:
        return   # reported already
    start, end = _window(indicator, name)
    onset = indicator.onset(str(first))
    if not start < onset <= end:
        raise DidError(f"{yaml_files.key(path, 'waves', 'onset')} must fall after the first period and by the last of "
                       f"the {indicator.id} window {name}, {start} to {end}; found {first}"
                       + ("" if str(onset) == str(first) else f", so {onset}")
                       + "; give figures from before the onset to after it, or change the window")


def _window(indicator: Indicator, name: str) -> tuple[pd.Period, pd.Period]:
    window = indicator.windows[name]
    return tuple(period(text, indicator.frequency, "") for text in (window.first, window.last))


def _with_table(path: Path, evaluation: Evaluation, indicators: list[Indicator], mistakes: Mistakes) -> Evaluation:
    """The evaluation with the earliest onset of its waves table that lies inside every window."""
    from did.project.waves_table import read_table

    try:
        check_reference(path, evaluation, evaluation.waves.table, "waves", "table")
        if evaluation.waves.units is not None:
            check_reference(path, evaluation, evaluation.waves.units, "waves", "units")
        table = read_table(evaluation)
    except DidError as error:
        mistakes.lines += error.lines
        return evaluation
    where = Path(evaluation.reference) / evaluation.waves.table
    months = set(table["first_treated"].dropna())
    some_never = table["first_treated"].isna().any()
    inside = set(months)
    for indicator in indicators:
        onsets = {month: indicator.onset(month) for month in months}
        for name in sorted({specification.window for specification in evaluation.specifications_of(indicator).values()
                            if specification.window in indicator.windows}):
            start, end = _window(indicator, name)
            seen = [month for month, onset in onsets.items() if start < onset <= end]
            inside &= set(seen)
            span = f"the {indicator.id} window {name}, {start} to {end}"
            if not seen:
                mistakes.lines.append(f"{where}: column 'first_treated': expected a unit first treated after the first "
                                      f"period and by the last of {span}; found none; widen the window or correct the "
                                      "dates")
            elif not some_never and max(onsets.values()) <= end:
                mistakes.lines.append(f"{where}: expected units that are not treated by the last period of {span}, to "
                                      f"compare with; found all {len(table)} treated; end the window before the last "
                                      "are treated, or add units that are not")
    if not inside and months and not mistakes.lines:
        mistakes.lines.append(f"{where}: expected a first treated period that lies in the windows of all indicators; "
                              "found none; bring the windows closer together")
    if not inside:
        return evaluation
    waves = evaluation.waves.model_copy(update={"onset": min(inside)})
    return evaluation.model_copy(update={"waves": waves})
