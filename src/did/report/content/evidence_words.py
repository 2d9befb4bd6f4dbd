"""The evidence in words: each question, its answer with the reason, and the numbers it rests on, as a table; and as
rows of a figure: the number, its intervals, and every estimate that a check made."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.evidence.comparison import REASONS as NUMBER_REASONS
from did.report.content.answer import margin_decimals
from did.report.content.facts import having, mappings, own_dates_names
from did.report.content.robustness_rows import leaves_out_zero
from did.report.content.table import Table, text_table
from did.words import interval, listed, number

QUESTIONS = {
    "second_program": "Does a second program give our number?",
    "same_number": "Does the published number come out?",
    "apart_from_zero": "Can it be told apart from no change?",
    "trends": "Does it stand when earlier trends are taken out?",
    "own_dates": "Does it stand with each wave from its own date?",
    "one_thing": "Does it rest on more than one thing?",
}
ANSWERS = {"yes": "yes", "no": "no", "not_applicable": "does not apply"}
# Reason codes of the evidence -> what each says. Those of step 1 that are no word for the number are of the comparison.
REASONS = {
    "second_program_agrees": "equal but for rounding",
    "second_program_differs": "the two programs differ by more than rounding",
    "not_checked": "there is no second program for it",
    "exact": "our estimate rounds to it, with its sign, significance and number of observations",
    "close": "our estimate is within a small share of its standard error of it",
    "agrees": "no number was printed, and what was said of it is what we find",
    "nothing_printed": "nothing was printed about it",
    "leaves_out_zero": "the interval of measured coverage leaves out zero",
    "holds_zero": "the interval of measured coverage holds zero",
    "leaves_out_zero_no_method_holds": "the interval leaves out zero, but no method of inference holds its level here",
    "holds_zero_no_method_holds": "the interval holds zero; no method of inference holds its level here",
    "leaves_out_zero_not_measured": "the interval leaves out zero; the coverage of its method was not measured",
    "holds_zero_not_measured": "the interval holds zero; the coverage of its method was not measured",
    "not_calibrated": "no interval of measured coverage is made for it",
    "no_method_gives_an_interval": "no method gives it an interval",
    "trends_do_not": "it keeps its sign and leaves out zero, and few placebo onsets give as much",
    "detrended_turns_round": "it changes its sign once each one's own line from before is taken out",
    "detrended_holds_zero": "its interval holds zero once each one's own line from before is taken out",
    "placebo_onsets_as_large": "too many placebo onsets give as much",
    "neither_could_be_tried": "neither a trend nor a placebo onset could be tried",
    "waves_agree": "every way keeps the sign, and most intervals leave out zero",
    "estimators_differ_in_sign": "the ways differ in sign",
    "intervals_hold_zero": "most intervals hold zero",
    "one_date": "all are treated from one date",
    "not_fitted_for_this_cell": "the estimators for several dates are not fitted to this sample and treatment",
    "none_could_be_fitted": "none of the estimators for several dates could be fitted",
    "rests_on_no_one_thing": "the sign is kept throughout, and nearly always what the interval says",
    "sign_turns_round": "the sign changes under some of the choices",
    "intervals_change": "too often the interval says something else",
    "nothing_could_be_left_out": "nothing could be left out",
}
# What the two counts of a step are.
COUNTED = {"trends": "{met} of {tried} placebo onsets give less",
           "own_dates": "{met} of {tried} intervals leave out zero",
           "one_thing": "{met} of {tried} keep sign and interval"}
# Columns of the rows of a figure, and kinds of them that are no item of the evidence.
COLUMNS = ["target", "kind", "words", "estimate", "ci_low", "ci_high", "smallest", "largest", "is_synthetic"]
PRINTED, OURS, AS_PUBLISHED, RANGE = "printed", "ours", "as_published", "range"
# Kind of an item of the evidence -> what its row says, in order.
WORDS = {
    "detrended": "Allowing for earlier trends",
    "own_dates": "Each wave from its own date: {estimator}",
    "without_cluster": "Without {called}",
    "controls_in_regions": "Against others in the same regions",
    "controls_at_levels": "Compared at similar levels",
}
RANGES = {"specification": "{n} other choices of data or method", "own_dates": "Each wave from its own date, {n} ways"}


def evidence_table(evidence: pd.DataFrame, verdict: Mapping) -> Table:
    """Return the steps about one target as a table: question, answer, why, and the numbers. ``evidence`` is that table,
    of any targets; ``verdict`` the row of the verdicts it is about."""
    rows = evidence.loc[evidence["target"].eq(verdict["target"])].sort_values("step")
    decimals = margin_decimals(verdict)
    return text_table("evidence", "Evidence", [{
        "Question": QUESTIONS[row["question"]], "Answer": ANSWERS[row["answer"]],
        "Why": REASONS.get(row["reason"]) or NUMBER_REASONS.get(row["reason"], row["reason"].replace("_", " ")),
        "Numbers": _numbers(row, decimals)} for row in mappings(rows)])


def _numbers(row: Mapping, decimals: int) -> str:
    shown = functools.partial(number, decimals=decimals, signed=True)
    said = []
    if pd.notna(row["estimate"]) and row["step"] != 0:
        is_known = pd.notna(row["ci_low"]) and pd.notna(row["ci_high"])
        span = f" ({interval(row['ci_low'], row['ci_high'], decimals)})" if is_known else ""
        said.append(f"{shown(row['estimate'])}{span}")
    if pd.notna(row["smallest"]):
        said.append(f"{shown(row['smallest'])} to {shown(row['largest'])}")
    if row["step"] == 0 and pd.notna(row["share"]):
        said.append(f"largest difference {row['share']:.0e} of it")
    elif pd.notna(row["n_tried"]):
        said.append(COUNTED[row["question"]].format(met=int(row["n_met"]), tried=int(row["n_tried"])))
    return "; ".join(said)


def evidence_rows(verdict: pd.Series | None, evidence: pd.DataFrame, items: pd.DataFrame, *, units: str,
                  brief: bool = False) -> pd.DataFrame:
    """Return one row for each line of the figure, in `COLUMNS`, the number itself first; none without a ``verdict``.

    ``verdict`` is a row of the verdicts; ``evidence`` and ``items`` are those tables, of any targets; ``units`` is what
    units are called. ``kind`` is `PRINTED`, `OURS` (with the headline interval), `AS_PUBLISHED` (errors by unit), the
    kind of an item, or `RANGE` of several, whose ends are smallest and largest. ``brief`` leaves the rows that say
    most: of the systems left out the one that moves the estimate most, and waves from their own dates as a range.
    """
    if verdict is None:
        return pd.DataFrame(columns=COLUMNS)
    target = verdict["target"]
    steps = evidence.loc[evidence["target"].eq(target)].set_index("step")
    own = items.loc[items["target"].eq(target)]
    own = own.loc[own["estimate"].notna()]
    rows = []
    if pd.notna(verdict["published_value"]):
        rows.append({"kind": PRINTED, "words": "As printed", "estimate": verdict["published_value"]})
    rows.append({"kind": OURS, "words": "Ours, with its margin of error",
                 **{name: verdict[name] for name in ("estimate", "ci_low", "ci_high")}})
    if verdict["claim"] and 1 in steps.index and not brief and pd.notna(steps.loc[1, "ci_low"]):
        rows.append({"kind": AS_PUBLISHED, "words": f"Ours, taking {units} as independent, as published",
                     **{name: steps.loc[1, name] for name in ("estimate", "ci_low", "ci_high")}})
    kinds = {kind: own.loc[own["kind"].eq(kind)] for kind in [*WORDS, "specification"]}
    kinds["without_cluster"] = without = kinds["without_cluster"].sort_values("estimate")
    if brief:
        rests = without.loc[without["label"].eq(verdict["rests_on"])]
        moved = (without["estimate"] - verdict["estimate"]).abs().sort_values(ascending=False, kind="stable")
        kinds["without_cluster"] = rests if len(rests) else without.loc[moved.index[:1]]
        del kinds["controls_at_levels"]
    called = own_dates_names()
    for kind, items in kinds.items():
        if kind == "specification" or brief and kind == "own_dates":
            rows += [{"kind": RANGE, "words": RANGES[kind].format(n=len(items)), "smallest": items["estimate"].min(),
                      "largest": items["estimate"].max()}] if len(items) else []
        else:
            rows += [item | {"kind": kind, "words": WORDS[kind].format(
                called=item["called"] or item["label"], estimator=called.get(item["estimator"], item["estimator"]))}
                for item in items.to_dict("records")]
    frame = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return frame.assign(target=target, is_synthetic=bool(verdict["is_synthetic"]))


def leading(verdicts: pd.DataFrame, cell: Mapping[str, str]) -> pd.Series | None:
    """Return the verdict that an outcome is answered by: of the ``cell`` (sample, treatment, estimator) or, if none is
    on it, the first of that sample and treatment; None if there is none. ``verdicts``: rows of one outcome."""
    near = having(verdicts, sample=cell["sample"], treatment=cell["treatment"])
    own = having(near, estimator=cell["estimator"])
    found = own if len(own) else near
    return found.iloc[0] if len(found) else None


def in_words(rows: pd.DataFrame) -> str:
    """Which rows keep the sign of the estimate and leave out zero, for an alternative text."""
    ours = rows.loc[rows["kind"].eq(OURS), "estimate"]
    if ours.empty or not len(rows):
        return ""
    checks = rows.loc[rows["estimate"].notna() & ~rows["kind"].isin([PRINTED, OURS, AS_PUBLISHED])]
    turned = checks.loc[np.sign(checks["estimate"]) != np.sign(ours.iloc[0]), "words"]
    said = (f"Of {len(checks)} checks {len(checks) - len(turned)} keep its sign and {leaves_out_zero(checks).sum()} "
            "leave out zero.")
    return f"{said} It reverses: {listed(turned.str.lower())}." if len(turned) else said
