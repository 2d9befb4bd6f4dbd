"""The ladder of questions between an estimate and the word for it, each answered from tables by a written rule.

0. second_program: a second program gives our estimates.
1. same_number: the published method gives the published number again.
2. apart_from_zero: the headline interval leaves out zero.
3. trends: the detrended estimate keeps the sign and leaves out zero, and few placebo onsets are as large.
4. own_dates: with each wave from its own date all estimates keep the sign, and most intervals leave out zero.
5. one_thing: without one treated system, with other controls and under every declared specification the sign is kept,
   and nearly always what the interval says.

docs/evidence.md has them with their reasons. Everything here is a function of frames; nothing is estimated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from did.evidence.comparison import CLOSE

# What identifies an estimate within a set of specifications.
CELL = ["indicator", "specification", "sample", "treatment", "estimator"]
YES, NO, NOT_APPLICABLE = "yes", "no", "not_applicable"
# Words for the number that answer step 1.
COMES_OUT = {"exact": YES, "close": YES, "agrees": YES, "differs": NO}
# Columns of the diagnostics table that tell its rows apart within one cell, for pointing at one of them.
ROW_OF = ["diagnostic", "variant", "left_out", "period"]
# Columns of diagnostics and specifications that are looked at: to take rows of all of them takes half as long again.
USED = [*CELL, *ROW_OF, "cluster", "part", "called", "status", "design", "value", "estimate", "ci_low", "ci_high",
        "n_treated", "n_tried"]


@dataclasses.dataclass(frozen=True)
class Rules:
    """Where the rules draw their lines: the section ``evidence`` of an evaluation, with the same defaults.

    close            share of our standard error that a printed number may be off and still be close
    placebo_share    largest share of placebo onsets that may be as large
    own_dates_share  more than this share of intervals must leave out zero
    kept_share       at least this share must keep what the interval says
    second_program   largest difference from a second program, as a share of the larger of estimate and standard error
    """

    close: float = CLOSE
    placebo_share: float = 0.1
    own_dates_share: float = 0.5
    kept_share: float = 0.9
    second_program: float = 1e-6


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to one question: a row of the table evidence, and the estimates it looks at (rows of evidence_items,
    without target, step and place)."""

    step: int
    question: str
    rule: str
    answer: str
    reason: str
    numbers: Mapping[str, object] = dataclasses.field(default_factory=dict)
    source_table: str = ""
    source_rows: str = ""
    items: tuple[dict, ...] = ()

    @property
    def row(self) -> dict[str, object]:
        """The row, without the target it is about."""
        own = {name: getattr(self, name) for name in ("step", "question", "rule", "answer", "reason", "source_table",
                                                      "source_rows")}
        return own | dict(self.numbers)


def climb(cell: Mapping[str, object], number: Mapping[str, object] | None, tables: Mapping[str, pd.DataFrame],
          rules: Rules, *, staggered: str = "") -> list[Answer]:
    """Return the answers to all questions about one estimate, in the order of the steps.

    ``cell`` names it (`CELL`); ``number`` is what was printed with the word for it (a row of the comparison table as a
    mapping; None where nothing was published). ``tables`` are, by name, any of headline, diagnostics, specifications
    and second_opinion, of any indicators: a table that is not there answers nothing, and its step is not applicable.
    ``staggered`` names the specification with each wave from its own date, whose diagnostics answer step 4. Sign and
    interval are compared with those of the estimate itself, so that nothing depends on units. Raises nothing.
    """
    own = {name: _where(table, **{column: cell[column] for column in CELL})
           for name, table in tables.items() if name in ("headline", "second_opinion")}
    found, others = (tables.get(name, pd.DataFrame()).filter(items=USED) for name in ("diagnostics", "specifications"))
    about = {column: cell[column] for column in ("indicator", "sample", "treatment")}
    tests = _where(found, **about, specification=cell["specification"])
    dated = _where(found, **about, specification=staggered) if staggered else found.iloc[:0]
    cell = {name: cell[name] for name in CELL}
    headline = _row(own.get("headline"))
    estimate = headline.get("estimate", np.nan) if headline else (number or {}).get("estimate", np.nan)
    sign = float(np.sign(estimate)) if pd.notna(estimate) else np.nan
    level = headline["cluster"] if headline else _level(tests)
    asked = _Asked(cell, sign, level, rules, headline)
    return [_second(asked, own.get("second_opinion")), _number(number), _apart(asked), _trends(asked, tests),
            _own_dates(asked, dated, staggered), _one_thing(asked, tests, others)]


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What is asked about: the cell of an estimate, its sign, the level of assignment, the rules, and its headline."""

    cell: Mapping[str, object]
    sign: float
    level: str
    rules: Rules
    headline: Mapping[str, object] | None

    def key(self, **more: object) -> str:
        """Which rows a step looks at."""
        return _key({name: self.cell[name] for name in CELL} | more)


# Step 0 --------------------------------------------------------------------------------------------------------


def _second(asked: _Asked, rows: pd.DataFrame | None) -> Answer:
    about, rules = ("second_program", "largest_difference"), asked.rules
    done = rows.loc[rows["status"].eq("done")] if rows is not None and len(rows) else pd.DataFrame()
    if done.empty:
        return Answer(0, *about, NOT_APPLICABLE, "not_checked", {"threshold": rules.second_program})
    most = float(done["difference"].abs().max())
    right = most <= rules.second_program
    return Answer(0, *about, YES if right else NO, "second_program_agrees" if right else "second_program_differs",
                  {"threshold": rules.second_program, "share": most, "estimate": float(done["estimate"].iloc[0]),
                   "n_tried": len(done), "n_met": int(done["difference"].abs().le(rules.second_program).sum())},
                  "second_opinion", asked.key())


# Step 1 --------------------------------------------------------------------------------------------------------


def _number(number: Mapping | None) -> Answer:
    about = ("same_number", "exact_or_close")
    if number is None or number["number"] == "not_printed":
        return Answer(1, *about, NOT_APPLICABLE, "nothing_printed")
    answer = COMES_OUT.get(number["number"], NOT_APPLICABLE)
    numbers = {"estimate": number["estimate"], "ci_low": number["ci_low"], "ci_high": number["ci_high"]}
    # The first code says what is off; where nothing is, the word itself is the reason.
    codes = [code for code in str(number["reasons"]).split("; ") if code and code not in ("within_interval",)]
    reason = codes[0] if answer != YES and codes else number["number"]
    return Answer(1, *about, answer, reason, numbers, "comparison",
                  _key({"claim": number["claim"], "cluster": number["cluster"]}))


# Step 2 --------------------------------------------------------------------------------------------------------


def _apart(asked: _Asked) -> Answer:
    about, headline = ("apart_from_zero", "headline_interval_leaves_out_zero"), asked.headline
    if headline is None or not headline["method"]:
        why = "not_calibrated" if headline is None else "no_method_gives_an_interval"
        return Answer(2, *about, NOT_APPLICABLE, why)
    out = _leaves_out(headline["ci_low"], headline["ci_high"])
    reason = "leaves_out_zero" if out else "holds_zero"
    if pd.isna(headline["coverage"]):
        reason = f"{reason}_not_measured"
    elif not headline["holds"]:
        reason = f"{reason}_no_method_holds"
    numbers = {name: headline[name] for name in ("estimate", "ci_low", "ci_high")} | {"share": headline["coverage"]}
    return Answer(2, *about, YES if out else NO, reason, numbers, "headline", asked.key())


# Step 3 --------------------------------------------------------------------------------------------------------


def _trends(asked: _Asked, tests: pd.DataFrame) -> Answer:
    about, sign, rules = ("trends", "detrended_and_placebo_onsets"), asked.sign, asked.rules
    lines = _done(_where(tests, diagnostic="detrended", cluster=asked.level))
    shares = _done(_where(tests, diagnostic="placebo_in_time_share", estimator=asked.cell["estimator"]))
    limit = {"threshold": rules.placebo_share}
    if lines.empty and shares.empty:
        return Answer(3, *about, NOT_APPLICABLE, "neither_could_be_tried", limit)
    numbers, failed = dict(limit), ""
    if len(lines):
        line = lines.iloc[0]
        numbers |= {"estimate": line["value"], "ci_low": line["ci_low"], "ci_high": line["ci_high"]}
        if np.sign(line["value"]) != sign:
            failed = "detrended_turns_round"
        elif not _leaves_out(line["ci_low"], line["ci_high"]):
            failed = "detrended_holds_zero"
    if len(shares):
        share = shares.iloc[0]
        tried = int(share["n_tried"])
        numbers |= {"share": float(share["value"]), "n_tried": tried,
                    "n_met": tried - round(float(share["value"]) * tried)}
        if share["value"] > rules.placebo_share:
            failed = failed or "placebo_onsets_as_large"
    rows = asked.key(diagnostic="detrended, placebo_in_time_share", cluster=asked.level)
    return Answer(3, *about, NO if failed else YES, failed or "trends_do_not", numbers, "diagnostics", rows,
                  tuple(_item("detrended", row, sign, None, "diagnostics") for row in lines.to_dict("records")))


# Step 4 --------------------------------------------------------------------------------------------------------


def _own_dates(asked: _Asked, dated: pd.DataFrame, staggered: str) -> Answer:
    about, sign, rules = ("own_dates", "same_sign_and_most_intervals"), asked.sign, asked.rules
    rows = _done(_where(dated, diagnostic="own_dates", cluster=asked.level))
    limit = {"threshold": rules.own_dates_share}
    if rows.empty:
        return Answer(4, *about, NOT_APPLICABLE, _why_not_dated(dated, staggered), limit)
    same = np.sign(rows["value"]).eq(sign)
    out = pd.Series([_leaves_out(low, high) for low, high in zip(rows["ci_low"], rows["ci_high"], strict=True)])
    share = float(out.mean())
    failed = "" if same.all() else "estimators_differ_in_sign"
    if share <= rules.own_dates_share:
        failed = failed or "intervals_hold_zero"
    numbers = limit | _spread(rows["value"]) | {"share": share, "sign_share": float(same.mean()), "n_tried": len(rows),
                                                "n_met": int(out.sum())}
    key = asked.key(specification=staggered, diagnostic="own_dates", estimator="", cluster=asked.level)
    return Answer(4, *about, NO if failed else YES, failed or "waves_agree", numbers, "diagnostics", key,
                  tuple(_item("own_dates", row, sign, True, "diagnostics") for row in rows.to_dict("records")))


def _why_not_dated(dated: pd.DataFrame, staggered: str) -> str:
    if not staggered:
        return "one_date"
    return "not_fitted_for_this_cell" if dated.empty else "none_could_be_fitted"


# Step 5 --------------------------------------------------------------------------------------------------------


def _one_thing(asked: _Asked, tests: pd.DataFrame, specifications: pd.DataFrame) -> Answer:
    about, sign, rules = ("one_thing", "sign_and_most_intervals_kept"), asked.sign, asked.rules
    own = _where(tests, estimator=asked.cell["estimator"], cluster=asked.level)
    base, most = _clustered(asked, specifications), _n_treated(asked, own)
    items = []
    for kind in ("leave_one_out", "other_controls"):
        rows = _done(_where(own, diagnostic=kind))
        # Without a system that is not treated, little changes: only the treated ones are asked about.
        rows = rows.loc[rows["n_treated"].lt(most)] if kind == "leave_one_out" and len(rows) else rows
        items += [_item(row["variant"], row, sign, base, "diagnostics") for row in rows.to_dict("records")]
    for row in _declared(specifications, asked):
        items.append(_item("specification", row, sign, base, "specifications"))
    limit = {"threshold": rules.kept_share}
    if not items:
        return Answer(5, *about, NOT_APPLICABLE, "nothing_could_be_left_out", limit)
    frame = pd.DataFrame(items)
    kept = frame["interval_kept"].dropna().astype(bool)
    share = float(kept.mean()) if len(kept) else np.nan
    failed = "" if frame["sign_kept"].astype(bool).all() else "sign_turns_round"
    if len(kept) and share < rules.kept_share:
        failed = failed or "intervals_change"
    numbers = limit | _spread(frame["estimate"]) | {
        "share": share, "sign_share": float(frame["sign_kept"].astype(float).mean()), "n_tried": len(frame),
        "n_met": int((frame["sign_kept"].astype(bool) & frame["interval_kept"].fillna(True).astype(bool)).sum())}
    rows = asked.key(diagnostic="leave_one_out, other_controls", cluster=asked.level)
    return Answer(5, *about, NO if failed else YES, failed or "rests_on_no_one_thing", numbers,
                  "diagnostics, specifications", rows, tuple(items))


def _n_treated(asked: _Asked, own: pd.DataFrame) -> float:
    """How many treated units the estimate has: more than any without a treated cluster."""
    if asked.headline:
        return asked.headline["n_treated"]
    without = _where(own, diagnostic="leave_one_out")
    return without["n_treated"].max() if len(without) else 0


def _declared(specifications: pd.DataFrame, asked: _Asked) -> list[dict]:
    """The declared specifications of a cell but the one reported, as rows with the columns of diagnostics."""
    cell = asked.cell
    rows = _where(specifications, cluster=asked.level, design="one_at_a_time",
                  **{name: cell[name] for name in ("indicator", "sample", "treatment", "estimator")})
    if rows.empty:
        return []
    rows = rows.loc[rows["specification"].ne(cell["specification"]) & rows["estimate"].notna()]
    return [row | {"value": row["estimate"], "left_out": row["specification"], "called": row["specification"]}
            for row in rows.to_dict("records")]


def _clustered(asked: _Asked, specifications: pd.DataFrame) -> bool | None:
    """Whether the clustered interval of the estimate itself leaves out zero: what the others are compared with, like
    with like. Without it the headline interval; None where there is neither."""
    row, headline = _row(_where(specifications, cluster=asked.level, **asked.cell)), asked.headline
    if row and pd.notna(row["ci_low"]):
        return _leaves_out(row["ci_low"], row["ci_high"])
    return _leaves_out(headline["ci_low"], headline["ci_high"]) if headline and headline["method"] else None


# Rows ----------------------------------------------------------------------------------------------------------


def _item(kind: str, row: Mapping, sign: float, base: bool | None, table: str) -> dict:
    """One estimate that a step looks at; ``base``: whether the interval it is compared with leaves out zero."""
    out = _leaves_out(row["ci_low"], row["ci_high"]) if pd.notna(row["ci_low"]) else None
    columns = ROW_OF if table == "diagnostics" else ["specification"]
    key = {name: row[name] for name in [*CELL, *columns, "cluster"] if row.get(name) not in (None, "")}
    return {"kind": kind, "label": str(row.get("left_out") or row.get("part") or ""),
            "called": str(row.get("called") or ""), "estimator": row["estimator"], "estimate": float(row["value"]),
            "ci_low": row["ci_low"], "ci_high": row["ci_high"],
            "sign_kept": bool(np.sign(row["value"]) == sign),
            "interval_kept": None if out is None or base is None else out == base,
            "source_table": table, "source_row": _key(key)}


def _spread(values: pd.Series) -> dict[str, float]:
    return {"smallest": float(values.min()), "largest": float(values.max())}


def _leaves_out(low: float, high: float) -> bool:
    """Does an interval leave out zero? One without an end on that side reaches to infinity there."""
    return bool(low > 0 or high < 0)


def _where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Rows with these values; none of a table that lacks the columns, as an empty one."""
    if table.empty:
        return table
    hit = np.ones(len(table), dtype=bool)
    for column, value in values.items():
        hit &= table[column].eq(value).to_numpy(dtype=bool, na_value=False)
    return table[hit]


def _done(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.loc[rows["status"].eq("done") & rows["value"].notna()] if len(rows) else rows


def _row(rows: pd.DataFrame | None) -> dict | None:
    return None if rows is None or rows.empty else rows.iloc[0].to_dict()


def _level(tests: pd.DataFrame) -> str:
    """The level of assignment: the last one that the tests are clustered by."""
    levels = [name for name in tests["cluster"].unique() if name] if len(tests) else []
    return levels[-1] if levels else ""


def _key(columns: Mapping[str, object]) -> str:
    return "; ".join(f"{name}={value}" for name, value in columns.items())


def items_of(answers: list[Answer]) -> Iterator[dict]:
    """The estimates that the answers look at: rows of evidence_items without their target."""
    for answer in answers:
        for place, item in enumerate(answer.items):
            yield item | {"step": answer.step, "place": place}
