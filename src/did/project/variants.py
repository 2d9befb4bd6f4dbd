"""An evaluation with one of its choices changed for a run: another specification, a system or a period left out."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import yaml

from did.errors import DidError, one_of
from did.project import yaml_files
from did.project.change import Change
from did.project.config import Evaluation
from did.project.file_checks import codes
from did.project.loading import load_evaluation, load_indicator
from did.readers.reference import read_reference
from did.store.provenance import write_text

FOLDER = Path("data/variants")
# What a period looks like -> frequency of the outcomes that it can be left out of.
PERIODS = {r"\d{4}": "Y", r"\d{4}Q[1-4]": "Q", r"\d{4}-\d{2}": "M"}


def write(config: str | Path, change: Change) -> tuple[Path, list[str]]:
    """Write the evaluation ``config`` with ``change`` to its own file; return that and the indicators it is about.

    Title and folder say what is changed, so that its results lie in a folder of their own. A specification of some
    families, and a period, which is of one frequency, leave the other families out, with their claims. Raises DidError
    for a specification or system that there is none of, a period that is none or that no outcome has, and whatever
    the evaluation itself is refused for, with the change in it; then no file is left.
    """
    before = load_evaluation(config)
    _check(str(config), before, change)
    families = _families(before, change)
    held = yaml_files.values(config) | {
        "title": f"{before.title} ({change.words})", "folder": "_".join(filter(None, [before.own_folder, change.name])),
        "indicators": [name for name in before.indicators if _family(name, before) in families]}
    held["families"] = {name: each for name, each in held["families"].items() if name in families}
    held["products"] = {name: each for name, each in (held.get("products") or {}).items() if name in families}
    held["specifications"] = _specifications(held["specifications"], families, change)
    if change.specification:
        held["default_specification"] = change.specification
    for sample in held["samples"]:
        own = dict(held["samples"][sample] or {})
        own["without_systems"] = list(dict.fromkeys([*(own.get("without_systems") or []), *change.without_systems]))
        held["samples"][sample] = own
    path = FOLDER / f"{held['folder']}.yaml"
    if before.published:
        held["published"] = str(path.with_suffix(".csv"))
        claims = read_reference(before.published, ["claim", "indicator"], ["claim"])
        write_text(path.with_suffix(".csv"), claims[claims["indicator"].isin(held["indicators"])].to_csv(index=False))
    write_text(path, f"# {config}, {change.words}; written by did run\n"
                     + yaml.safe_dump(held, sort_keys=False, allow_unicode=True, width=120))
    try:
        load_evaluation(path)
    except DidError:
        path.unlink()
        path.with_suffix(".csv").unlink(missing_ok=True)
        raise
    return path, held["indicators"]


def _check(config: str, evaluation: Evaluation, change: Change) -> None:
    if change.specification:
        one_of(f"{config}: specification", change.specification, evaluation.specifications)
    if change.without_systems:
        known = sorted(codes(evaluation)["system"])
        for each in change.without_systems:
            one_of(f"{config}: system", each, known)
    for each in change.without_periods:
        _frequency(config, each)


def _frequency(config: str, text: str) -> str:
    """The frequency of a period, or of a span of them."""
    for part in text.split(" to "):
        kinds = [frequency for pattern, frequency in PERIODS.items() if re.fullmatch(pattern, part)]
        if not kinds:
            raise DidError(f"{config}: without period: expected a month (2017-06), quarter (2017Q2), year (2017), or a "
                           f"span such as 2015-04 to 2017-05; found '{text}'")
    return kinds[0]


def _family(indicator: str, evaluation: Evaluation) -> str:
    return load_indicator(indicator, evaluation.indicators_folder).family


def _families(evaluation: Evaluation, change: Change) -> list[str]:
    """The families that the change is about: those of its specification, and of outcomes with such periods."""
    frequencies = {_frequency("", each) for each in change.without_periods}
    named = evaluation.specifications[change.specification].families if change.specification else None
    known = pd.DataFrame([(each.family, each.frequency) for each in (
        load_indicator(name, evaluation.indicators_folder) for name in evaluation.indicators)],
        columns=["family", "frequency"])
    fits = known.groupby("family", sort=False)["frequency"].agg(lambda own: not frequencies or set(own) == frequencies)
    found = [family for family, fit in fits.items() if fit and (named is None or family in named)]
    if not found:
        there = ", ".join(f"{row.family} ({row.frequency})" for row in known.drop_duplicates().itertuples())
        raise DidError(f"{change.words}: expected an outcome that this is about; found none: the outcomes are {there}")
    return found


def _specifications(held: dict, families: list[str], change: Change) -> dict:
    """The specifications of the families that are left, without the periods; the one that is reported is of all."""
    found = {}
    for name, each in held.items():
        own = dict(each or {})
        if own.get("families") is not None:
            own["families"] = [family for family in own["families"] if family in families]
            if not own["families"]:
                continue
        if name == change.specification:
            own.pop("families", None)
        if change.without_periods:
            own["drop_periods"] = list(dict.fromkeys([*(own.get("drop_periods") or []), *change.without_periods]))
        found[name] = own
    return found
