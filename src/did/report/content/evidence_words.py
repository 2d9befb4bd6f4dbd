"""The evidence in words: each question, its answer with the reason, and the numbers it rests on, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from did.evidence.comparison import REASONS as NUMBER_REASONS
from did.report.content.answer import margin_decimals
from did.report.content.table import Table, text_table
from did.words import interval, number

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


def evidence_table(evidence: pd.DataFrame, verdict: Mapping) -> Table:
    """Return the steps about one target as a table: question, answer, why, and the numbers.

    ``evidence`` is that table, of any targets; ``verdict`` the row of the verdicts it is about.
    """
    rows = evidence.loc[evidence["target"].eq(verdict["target"])].sort_values("step")
    decimals = margin_decimals(verdict)
    return text_table("evidence", "Evidence", [{
        "Question": QUESTIONS[row["question"]], "Answer": ANSWERS[row["answer"]],
        "Why": REASONS.get(row["reason"]) or NUMBER_REASONS.get(row["reason"], row["reason"].replace("_", " ")),
        "Numbers": _numbers(row, decimals)} for row in rows.to_dict("records")])


def _numbers(row: Mapping, decimals: int) -> str:
    def shown(value: float) -> str:
        return number(value, decimals, signed=True)

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
