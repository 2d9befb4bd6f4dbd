"""What is said of one panel's evidence, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from did.api.fit import Fit
from did.estimators import entry
from did.inference.few_clusters import FEW_TREATED as FEW_CLUSTERS
from did.inference.joint_test import FEW_TREATED
from did.report.content.notes import placebo_share

if TYPE_CHECKING:
    from did.api.evidence import Evidence


def sentences(found: Evidence) -> list[str]:
    """Return the effect, the number that was printed, other estimators, and what each check found."""
    return [*_of_headline(found.headline), *_of_published(found), *_of_comparison(found), *_of_leave_outs(found),
            *_of_tests(found), *_of_placebos(found), *_of_bounds(found)]


def _number(value: float, like: float) -> str:
    """A number with three digits of the size of ``like``, such as a standard error."""
    size = abs(like) if np.isfinite(like) and like else abs(value)
    decimals = max(0, 2 - int(np.floor(np.log10(size)))) if size and np.isfinite(size) else 2
    return f"{value:.{min(decimals, 8)}f}"


def _spread(fit: Fit) -> float:
    """The standard error of one effect, or what stands for it, by which numbers are rounded."""
    row = fit.rows.iloc[0]
    return float(row["std_error"] if np.isfinite(row["std_error"]) else (row["ci_high"] - row["ci_low"]) / 4)


def _of_headline(fit: Fit) -> list[str]:
    row, spread = fit.rows.iloc[0], _spread(fit)
    units = (f"{row['n_treated']:,} of {row['n_units']:,} units treated, in {row['n_treated_clusters']:,} of "
             f"{row['n_clusters']:,} clusters by {row['cluster']}")
    effect = f"Effect on {fit.panel.outcome} by {entry(fit.estimator).label}: {_number(row['estimate'], spread)}"
    if not np.isfinite(row["ci_low"]) and not np.isfinite(row["ci_high"]):
        return [f"{effect}; no interval can be given; {units}.", *_left_out(fit), *_why(fit)]
    ends = " to ".join("no end" if not np.isfinite(row[end]) else _number(row[end], spread)
                       for end in ("ci_low", "ci_high"))
    zero = row["ci_low"] <= 0 <= row["ci_high"]
    told = ("The interval includes zero: an effect is not shown, which is not the same as no effect." if zero else
            "The interval leaves out zero.")
    return [f"{effect}, {100 * fit.asked.confidence:g}% interval {ends}; {units}.", told, *_left_out(fit),
            *_why(fit)]


def _left_out(fit: Fit) -> list[str]:
    """How many of the panel's units the estimate is not of, and why, in the words of its note."""
    row, n_units = fit.rows.iloc[0], fit.panel.data.n_units
    lost = n_units - int(row["n_units"])
    said = next((part for part in row["note"].split("; ") if "left out" in part), "its notes say which")
    return [f"{lost:,} of the panel's {n_units:,} units are not in it: {said}."] if lost else []


def _why(fit: Fit) -> list[str]:
    from did.api.errors import spoken

    return [f"{spoken(line)[:1].upper()}{spoken(line)[1:]}." for line in fit._judged.lines]


def _of_published(found: Evidence) -> list[str]:
    if found.published is None:
        return []
    text, name = found.published
    fit = found.comparison.fits.get(name)
    if fit is None:
        return [f"The printed number {text} cannot be compared: {found.skipped.get(name, f'{name} was not fitted')}."]
    ours = float(fit.effects["estimate"].iloc[0])
    digits = len(text.partition("e")[0].partition("E")[0].partition(".")[2])
    printed = float(text)
    same = np.isclose(ours, printed) if "e" in text.lower() else round(ours, digits) == round(printed, digits)
    word = "comes out again" if same else "does not come out again"
    return [f"The printed number {text} {word} by {name}: {ours:.{digits + 2}f} here."]


def _of_comparison(found: Evidence) -> list[str]:
    rows = found.comparison.to_frame()
    rows = rows.loc[rows["status"].eq("done")]
    lead = float(found.headline.effects["estimate"].iloc[0])
    same = int((np.sign(rows["estimate"].astype(float)) == np.sign(lead)).sum())
    apart = int(((rows["ci_low"] > 0) | (rows["ci_high"] < 0)).sum())
    low, high = rows["estimate"].astype(float).agg(["min", "max"])
    spread = _spread(found.headline)
    span = f"{_number(low, spread)} to {_number(high, spread)}"
    many = "intervals leave" if apart != 1 else "interval leaves"
    return [f"By {len(rows)} estimators the effect is {span}: {same} have the sign of the leading one, and {apart} "
            f"{many} out zero."]


def _of_leave_outs(found: Evidence) -> list[str]:
    if "leave_one_out" not in found.findings:
        return []
    rows = found.findings["leave_one_out"].frame
    rows = rows.loc[rows["status"].eq("done") & rows["estimator"].eq(found.headline.estimator)]
    lead = float(found.headline.effects["estimate"].iloc[0])
    if rows.empty:
        return []
    low, high = rows["value"].agg(["min", "max"])
    spread = _spread(found.headline)
    kept = int((np.sign(rows["value"]) == np.sign(lead)).sum())
    return [f"Without one cluster the effect is {_number(low, spread)} to {_number(high, spread)}; the sign is "
            f"kept in {kept} of {len(rows)}."]


def _of_tests(found: Evidence) -> list[str]:
    said = []
    for name, test in found.tests.items():
        few = " Few clusters are treated, and such tests then find differences too often." if (
            test.n_treated_clusters < FEW_TREATED * test.df) else ""
        told = ("Before treatment the treated and their controls already moved apart" if test.p_value < 0.05 else
                "No difference before treatment is found, which does not show that there is none")
        said.append(f"{told} ({name}: {test}).{few}")
    return said


def _of_placebos(found: Evidence) -> list[str]:
    if "placebo_in_time" not in found.findings:
        return []
    rows = found.findings["placebo_in_time"].frame
    shares = rows.loc[rows["diagnostic"].eq("placebo_in_time_share") & rows["status"].eq("done")
                      & rows["estimator"].eq(found.headline.estimator)]
    return [f"With pretended onsets: {placebo_share(row)}." for row in shares.to_dict("records")]


def _of_bounds(found: Evidence) -> list[str]:
    if "bounds" not in found.findings:
        return []
    check = found.findings["bounds"]
    rows = check.frame.loc[check.frame["method"].ne("original")]
    rows = rows.loc[rows["method"].eq("relative_magnitudes") & rows["target"].eq("average") & rows["status"].eq("done")]
    if rows.empty:
        return []
    value = float(rows["breakdown"].iloc[0])
    if value == 0:
        return [f"By {check.of} the interval of the average effect includes zero even if trends were parallel."]
    said = "beyond all that was tried" if np.isinf(value) else f"up to {value:.2g}"
    step = "bin" if " in bins of " in check.of else "period"
    few = int(rows["n_treated_clusters"].iloc[0])
    short = f"; with {few} treated clusters such intervals may be too short" if few < FEW_CLUSTERS else ""
    return [f"By {check.of} the interval of the average effect leaves out zero if trends part after treatment, per "
            f"{step}, by {said} times the most they did before{short}."]

