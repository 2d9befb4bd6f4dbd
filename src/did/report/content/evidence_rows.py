"""The evidence on one estimate as rows of a figure: the number, its intervals, and every estimate that a check made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.report.content.facts import having, own_dates_names
from did.words import listed

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
    out = ((checks["ci_low"] > 0) | (checks["ci_high"] < 0)).sum()
    said = f"Of {len(checks)} checks {len(checks) - len(turned)} keep its sign and {out} leave out zero."
    return f"{said} It reverses: {listed(turned.str.lower())}." if len(turned) else said
