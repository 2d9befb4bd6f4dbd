"""Checks of effects that must add up, because the outcomes do."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from did.estimators import entry
from did.report.content.facts import Facts, estimator_name
from did.words import listed, number, plural


def additivity(ours: pd.DataFrame, facts: Facts) -> str:
    """Return whether the parts' effects add up to the total's, by both estimators, over treatments and samples.

    Counts of the parts add up to the total's, so the coefficients of an estimator linear in the outcome must;
    they are said to add up if the gap is below a millionth of the total in every cell.
    """
    sentences = [f"Counts of {listed(facts.outcomes[part] for part in facts.parts)} add up to those of "
                 f"{facts.outcomes[facts.total]}."]
    for estimator in _estimators(facts):
        wide = _cells(ours, estimator, [facts.total, *facts.parts], facts)
        if wide is None:
            sentences.append(_not_possible(estimator))
            continue
        gap = (wide[facts.total] - wide[list(facts.parts)].sum(axis=1)).abs()
        added = wide.iloc[0][list(facts.parts)]
        shown = f"{' + '.join(number(value, 2) for value in added)} = {number(added.sum(), 2)}"
        holds = bool((gap <= 1e-6 * wide[facts.total].abs()).all())
        largest = "below a millionth of the total" if holds else number(gap.max(), 2)
        sentences.append(f"By {estimator_name(estimator)} the effects {'add' if holds else 'do not add'} up: "
                         f"{shown}, the total's is {number(wide.iloc[0][facts.total], 2)} (largest gap of "
                         f"{plural(len(wide), 'cell')}: {largest}).")
    return " ".join(sentences)


def sum_to_zero(ours: pd.DataFrame, facts: Facts) -> str:
    """Return whether effects on answers that exhaust one base add up to zero, by both estimators, over treatments
    and samples.

    The shares add up to the whole, so the coefficients of an estimator linear in the outcome must add up to zero;
    they are said to if the sum is below a millionth of the largest of them in every cell.
    """
    sentences = [f"{listed(facts.outcomes.get(each, each) for each in facts.sum_to_zero)} are shares of one base and "
                 "exhaust it, so what one gains the others lose."]
    for estimator in _estimators(facts):
        wide = _cells(ours, estimator, list(facts.sum_to_zero), facts)
        if wide is None:
            sentences.append(_not_possible(estimator))
            continue
        total = wide.sum(axis=1).abs()
        holds = bool((total <= 1e-6 * wide.abs().max(axis=1)).all())
        first = wide.iloc[0]
        shown = f"{' + '.join(f'({number(value, 3)})' if value < 0 else number(value, 3) for value in first)}"
        largest = "below a millionth of the largest effect" if holds else number(total.max(), 3)
        sentences.append(f"By {estimator_name(estimator)} the effects {'add' if holds else 'do not add'} up to zero: "
                         f"{shown} = {number(first.sum(), 3)} (largest sum of {plural(len(wide), 'cell')}: {largest}).")
    return " ".join(sentences)


def _estimators(facts: Facts) -> list[str]:
    """Return both estimators, the one by which effects must add up first."""
    return sorted({facts.estimator, facts.other_estimator}, key=lambda name: (not entry(name).is_additive, name))


def _cells(ours: pd.DataFrame, estimator: str, needed: Sequence[str], facts: Facts) -> pd.DataFrame | None:
    """Return one row per treatment and sample, one column per indicator; None unless every one is estimated."""
    rows = ours[ours["cluster"].eq(next(iter(facts.clusters))) & ours["estimator"].eq(estimator)]
    wide = rows.pivot_table(index=["treatment", "sample"], columns="indicator", values="estimate", sort=False)
    if wide.empty or not set(needed) <= set(wide.columns):
        return None
    wide = wide[list(needed)].dropna()
    return None if wide.empty else wide


def _not_possible(estimator: str) -> str:
    return f"By {estimator_name(estimator)} the check was not possible: not every part is estimated."
