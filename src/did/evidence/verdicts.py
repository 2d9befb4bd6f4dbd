"""A verdict on every published number, and on the headline of every outcome: the answers of the ladder in one word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from did.evidence.ladder import CELL, NO, NOT_APPLICABLE, YES, Answer, Rules, climb, items_of

# Words for the claim, with what each means.
MEANS = {
    "holds": "it is told apart from zero, and no other check says no",
    "fragile": "it is told apart from zero, and a check says no",
    "not_shown": "it is not told apart from zero",
    "not_shown_as_published": "no effect is shown, as was published",
    "shown_here": "an effect is told apart from zero where none was published",
    "contradicted": "what was published lies on the other side of zero, outside the interval",
    "cannot_run": "it cannot be judged here",
}
# Columns of a verdict that the comparison with what was printed has too.
PRINTED = ["claim", "figure", "outcome", "unit", "as_printed", "published_value", "rounding", "published_sign",
           "published_significance", "published_n", "not_comparable"]
HEADLINE = ["estimate", "ci_low", "ci_high", "p_value", "method", "holds", "coverage", "cluster", "n_obs", "n_units",
            "n_treated", "n_clusters", "n_treated_clusters"]
COUNTS = ["published_n", "n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters"]


def targets(comparison: pd.DataFrame, headline: pd.DataFrame, leading: Mapping[str, object]) -> list[dict]:
    """Return what is judged of one outcome: each claim that prints something; its headline, unless a claim is on it.

    Each has the keys target (name of the claim, or of the outcome), those of `CELL`, and number: its row of
    ``comparison`` (one row per claim and cluster level, of which the first is that published) as a mapping, None for a
    headline that nothing was published about. ``headline``: rows of that table; ``leading`` the specification, sample,
    treatment and estimator of the one that the outcome is answered by. Raises nothing.
    """
    found, cells = [], set()
    for _, group in comparison.groupby("claim", sort=False):
        row = group.iloc[0].to_dict()
        if row["number"] == "not_printed":
            continue
        found.append({name: row[name] for name in CELL} | {"target": row["claim"], "number": row})
        if row["estimand"] == "overall":
            cells.add(tuple(row[name] for name in CELL))
    lead = headline
    for name, value in leading.items():
        lead = lead.loc[lead[name].eq(value)]
    for row in lead.to_dict("records"):
        if tuple(row[name] for name in CELL) not in cells:
            found.append({name: row[name] for name in CELL} | {"target": row["indicator"], "number": None})
    return found


def judge(asked: Sequence[Mapping], tables: Mapping[str, pd.DataFrame], rules: Rules | None = None, *,
          staggered: str = "") -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the tables evidence, evidence_items and verdicts of what is ``asked`` (as from `targets`).

    ``tables``, ``rules`` and ``staggered`` are as for `did.evidence.ladder.climb`: any of headline, diagnostics,
    specifications and second_opinion, by name, as `did.store.tables` has them. So the same ladder serves a run, an
    evaluation without a publication, and anyone's panel: a frame of headlines by `did.inference.headline.headline` is
    enough, and each step without its table says that it does not apply. The frames lack the column is_synthetic.

    >>> lead = pd.DataFrame([dict(indicator="visits", specification="-", sample="full", treatment="binary",
    ...     estimator="did", cluster="unit", estimate=3.0, ci_low=1.0, ci_high=5.0, p_value=0.01, method="CR2",
    ...     holds=True, coverage=0.95, n_obs=400, n_units=40, n_treated=10, n_clusters=40, n_treated_clusters=10)])
    >>> none = pd.DataFrame(columns=["claim", "number"])
    >>> asked = targets(none, lead, {"estimator": "did"})
    >>> evidence, _, verdicts = judge(asked, {"headline": lead})
    >>> verdicts[["target", "verdict"]].values.tolist(), evidence["answer"].tolist()[2:4]
    ([['visits', 'holds']], ['yes', 'not_applicable'])
    """
    rules, evidence, items, verdicts = rules or Rules(), [], [], []
    for target in asked:
        answers = climb(target, target["number"], tables, rules, staggered=staggered)
        known = {"target": target["target"], "claim": (target["number"] or {}).get("claim", "")}
        cell = {name: target[name] for name in CELL}
        evidence += [known | cell | answer.row for answer in answers]
        items += [{"target": target["target"]} | item for item in items_of(answers)]
        verdicts.append(_verdict(target, cell, answers, tables.get("headline")))
    return (_frame("evidence", evidence, ["n_tried", "n_met"]), _frame("evidence_items", items, []),
            _frame("verdicts", verdicts, COUNTS))


def unavailable(lost: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts of claims that cannot run because their outcome has no files: one each, of those that print
    something; ``lost``: rows of the comparison table."""
    rows = [{name: row[name] for name in [*CELL, *PRINTED]} | {
        "target": row["claim"], "number": "cannot_run", "verdict": "cannot_run", "reason": "data_missing",
        "note": row["note"]} for row in lost.drop_duplicates("claim").to_dict("records")
        if pd.notna(row["published_value"]) or row["published_sign"] or row["published_significance"]]
    return _frame("verdicts", rows, COUNTS)


def word(answers: Sequence[Answer], number: Mapping | None, headline: Mapping | None) -> tuple[str, str]:
    """Return the word for a claim, a key of `MEANS`, and the code of what decides it.

    By what was published: ``number``, a row of the comparison (None: nothing). A claim without an estimate, or without
    a headline interval, cannot run. Of a printed statement of no significant effect: `not_shown_as_published`, or
    `shown_here`. Of all else: `contradicted` where the interval lies wholly on the other side of zero than what was
    printed, or leaves out the printed value and zero lies between it and our estimate; `not_shown` where the interval
    holds zero; else `fragile` or `holds`.
    """
    by_step = {answer.step: answer for answer in answers}
    if number is not None and number["number"] == "cannot_run":
        return "cannot_run", str(number["reasons"]).split("; ")[0]
    apart = by_step[2]
    if apart.answer == NOT_APPLICABLE:
        return "cannot_run", apart.reason
    if number is not None and number["published_significance"] == "not significant":
        return ("shown_here" if apart.answer == YES else "not_shown_as_published"), apart.reason
    if number is not None and _contradicted(number, headline):
        return "contradicted", "other_side_of_zero"
    if apart.answer == NO:
        return "not_shown", apart.reason
    failed = next((answer.reason for answer in answers if answer.step > 2 and answer.answer == NO), "")
    return ("fragile", failed) if failed else ("holds", "every_check")


def _contradicted(number: Mapping, headline: Mapping) -> bool:
    value = number["published_value"] if pd.notna(number["published_value"]) else 0.0
    sign = {"+": 1.0, "-": -1.0}.get(number["published_sign"], float(np.sign(value)))
    low, high = headline["ci_low"], headline["ci_high"]
    opposite = (high < 0) if sign > 0 else (low > 0) if sign < 0 else False
    outside = value != 0 and (value > high or value < low)
    return bool(opposite or (outside and sign * headline["estimate"] < 0))


def _verdict(target: Mapping, cell: Mapping, answers: Sequence[Answer], headline: pd.DataFrame | None) -> dict:
    number = target["number"]
    lead = None
    if headline is not None and len(headline) and (number is None or number["estimand"] == "overall"):
        hit = headline.loc[np.logical_and.reduce([headline[name].eq(cell[name]) for name in CELL])]
        lead = hit.iloc[0].to_dict() if len(hit) else None
    found, reason = word(answers, number, lead)
    by_step = {answer.step: answer for answer in answers}
    row = cell | {"target": target["target"], "number": "not_printed", "verdict": found, "reason": reason}
    row |= {f"answer_{step}": by_step[step].answer for step in range(1, 6)}
    if number is not None:
        row |= {name: number[name] for name in [*PRINTED, "number"]}
        row |= {name: number[name] for name in ("estimate", "n_obs", "n_units", "n_treated", "note")}
    if lead is not None:
        row |= {name: lead[name] for name in HEADLINE}
    if row["verdict"] != "cannot_run":
        row["note"] = ""
    return row | _rests_on(by_step[5]) | {"second_difference": by_step[0].numbers.get("share", np.nan)}


def _rests_on(answer: Answer) -> dict[str, object]:
    """The treated cluster without which the sign turns or the interval no longer leaves out zero; of several, the one
    that moves it most. One without which the estimate comes to be told apart from zero holds nothing up."""
    lost = [item for item in answer.items if item["kind"] == "without_cluster"
            and (not item["sign_kept"] or item["interval_kept"] is False
                 and not (item["ci_low"] > 0 or item["ci_high"] < 0))]
    if not lost:
        return {}
    centre = np.median([item["estimate"] for item in answer.items if item["kind"] == "without_cluster"])
    most = max(lost, key=lambda item: abs(item["estimate"] - centre))
    return {"rests_on": most["label"], "rests_on_called": most["called"], "rests_on_estimate": most["estimate"]}


def _frame(table: str, rows: list[dict], counts: list[str]) -> pd.DataFrame:
    # Imported here: pandera takes a while, and what only asks which words there are goes without.
    from did.store.tables import SCHEMAS

    columns = [name for name in SCHEMAS[table].columns if name != "is_synthetic"]
    frame = pd.DataFrame(rows).reindex(columns=columns)
    texts = [name for name in columns if str(SCHEMAS[table].columns[name].dtype).startswith("str")]
    frame[texts] = frame[texts].astype(object).fillna("")
    flags = {name: "boolean" for name in ("holds", "sign_kept", "interval_kept") if name in columns}
    return frame.astype(dict.fromkeys(counts, "Int64") | flags)
