"""Were leads shown to be small? Equivalence tests, with no difference as the alternative and not the hypothesis."""

from __future__ import annotations

import dataclasses

import numpy as np

from did.diagnostics.pretest_power import event_path, result_row
from did.errors import DidError
from did.estimators.base import Panel, Result
from did.inference.clustered import beyond, quantile
from did.inference.joint_test import skipped, tabled


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """A test that every lead is smaller than a margin.

    maximum, root_mean_square  of the estimated leads, in units of the outcome; both carry the leads' own noise
    statistic                  (margin - |lead|) / error where that is smallest
    p_value                    of the hypothesis that some lead is as large as the margin or larger
    smallest_margin            smallest margin at which the test would accept equivalence, in units of the outcome
    """

    maximum: float
    root_mean_square: float
    statistic: float
    p_value: float
    smallest_margin: float


def equivalence_test(
    estimate: np.ndarray, covariance: np.ndarray, margin: float, *, df: float = np.inf, alpha: float = 0.05
) -> Equivalence:
    """Test that every one of some coefficients lies strictly within -/+ ``margin``.

    estimate (leads,), covariance (leads, leads; only its diagonal enters) and ``margin`` in units of the outcome;
    ``df`` of Student's t, infinite or missing for the standard normal. The hypothesis is |lead| >= margin for at
    least one lead. Each lead is put to two one-sided tests, and the largest of their p-values is the p-value of all
    (Hartman and Hidalgo 2018, American Journal of Political Science 62:1000-1013; the intersection-union test of the
    maximum in Dette and Schumann 2024, J. Business and Economic Statistics 42, whose critical values are somewhat
    less strict). No correction for their number is due, and the more leads, the harder to pass. ``smallest_margin``
    is the largest |lead| + t x error, at level ``alpha``.

    Raises DidError if there is no lead, shapes do not fit, an error is not a positive number, margin is not positive,
    or alpha not between 0 and 1/2.
    """
    estimate, covariance = np.asarray(estimate, dtype=float), np.asarray(covariance, dtype=float)
    if not len(estimate) or covariance.shape != (len(estimate), len(estimate)):
        raise DidError(f"equivalence: expected one or more leads and their covariance; found {len(estimate)} leads and "
                       f"shape {covariance.shape}")
    if not (margin > 0 and np.isfinite(margin)):
        raise DidError(f"equivalence: margin: expected a positive number in units of the outcome; found {margin}")
    if not 0 < alpha < 0.5:
        raise DidError(f"equivalence: alpha: expected a level between 0 and 0.5; found {alpha}")
    std_error = np.sqrt(np.diag(covariance))
    if not (np.isfinite(estimate).all() and (std_error > 0).all() and np.isfinite(std_error).all()):
        raise DidError("equivalence: expected finite leads with positive errors; found one without; leave it out")
    of_t = np.array(df) if np.isfinite(df) else None
    size = np.abs(estimate)
    # of the two one-sided tests of a lead, the one on its own side decides
    statistic = float(((margin - size) / std_error).min())
    return Equivalence(
        maximum=float(size.max()), root_mean_square=float(np.sqrt((estimate**2).mean())), statistic=statistic,
        p_value=float(beyond(np.array(statistic), of_t)),
        smallest_margin=float((size + quantile(1 - alpha, of_t) * std_error).max()),
    )


@tabled
def equivalence_rows(
    result: Result, panel: Panel, level: str, *, effect: float | None = None, margin: float | None = None
) -> list[dict]:
    """Return equivalence tests of the leads of an event study, clustered by ``level``.

    Could the pre-period hide a difference as large as the effect? Rows of the diagnostics table (`COLUMNS`), named with
    the ending ``_bin_<width>`` for bins; numbers in units of the outcome (per unit of dose):

        leads_maximum, leads_root_mean_square   value: of the estimated leads, noise included
        equivalence_smallest_margin             value: smallest margin accepted at 5%
        equivalence_effect                      value: the margin |``effect``|, by default the plain mean of the
                                                coefficients from onset on; statistic and p_value of the test
        equivalence_stated                      the same for ``margin``; only if it is given

    A margin taken from the data is itself uncertain, and the test does not count that; the smallest margin has no
    such fault. Neither needs the covariance of leads to be of full rank. ``skipped`` with the reason where there is
    no lead, no error, or no effect. Raises DidError if ``margin`` is not positive.
    """
    path = event_path(result, panel, level)
    names = ["leads_maximum", "leads_root_mean_square", "equivalence_smallest_margin", "equivalence_effect"]
    names += ["equivalence_stated"] if margin is not None else []
    row = result_row("", result, panel, level)
    rows = {name: row | {"diagnostic": name + path.suffix} for name in names}
    if path.problem:
        return [skipped(row, path.problem) for row in rows.values()]
    leads = path.estimate[path.leads]
    covariance = path.covariance[np.ix_(path.leads, path.leads)]
    about = f"{len(leads)} leads with {path.n_treated} treated of {path.n_clusters} clusters"

    def tested(against: float) -> Equivalence:
        return equivalence_test(leads, covariance, against, df=path.df)

    effect_margin = abs(path.effect if effect is None else effect)
    found = tested(effect_margin if effect_margin > 0 else 1.0)
    for name, value in (("leads_maximum", found.maximum), ("leads_root_mean_square", found.root_mean_square),
                        ("equivalence_smallest_margin", found.smallest_margin)):
        rows[name] |= {"value": value, "reason": about}
    for name, against in (("equivalence_effect", effect_margin), ("equivalence_stated", margin)):
        if against is None:
            continue
        if name == "equivalence_effect" and not against > 0:
            rows[name] = skipped(rows[name], "no estimated effect to take as the margin")
            continue
        one = tested(against)
        rows[name] |= {"value": float(against), "statistic": one.statistic, "df_denominator": path.df,
                       "p_value": one.p_value, "reason": about}
    return list(rows.values())
