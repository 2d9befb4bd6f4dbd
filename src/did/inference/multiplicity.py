"""Many outcomes, one question: p-values adjusted for their number, with or without the dependence between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from did.errors import DidError
from did.inference.joint_reassignment import step_down
from did.inference.multiplier import multiplier_draws


def holm(p: Sequence[float]) -> np.ndarray:
    """Return p-values adjusted by Holm 1979 (Scandinavian J. of Statistics 6:65-70), (outcomes,).

    The chance of one or more false rejections stays below the level, whatever the dependence. A missing p-value
    stays missing and does not count among the outcomes. Raises DidError for one outside 0 to 1.
    """
    return _adjusted(p, "holm")


def benjamini_hochberg(p: Sequence[float]) -> np.ndarray:
    """Return p-values adjusted by Benjamini and Hochberg 1995 (J. Royal Statistical Society B 57:289-300), (outcomes,).

    The expected share of false rejections among the rejections stays below the level, if outcomes are independent or
    positively dependent. A missing p-value stays missing and does not count. Raises DidError for one outside 0 to 1.
    """
    return _adjusted(p, "fdr_bh")


def romano_wolf(estimates: Sequence[float] | np.ndarray, std_errors: Sequence[float] | np.ndarray, draws: np.ndarray
                ) -> np.ndarray:
    """Return p-values of two-sided tests adjusted by step-down of the largest |t|, (outcomes,).

    ``draws`` (draws, outcomes) are bootstrap deviations of the estimates about their centre, with the dependence
    between outcomes in each row, in the units of estimates and std_errors (outcomes,). With |t| in
    falling order, the adjusted p-value of the j-th is (1 + number of draws whose largest |deviation| / error over the
    j-th and all after it reaches |t_j|) / (1 + draws), and no smaller than the one before (Romano and Wolf 2005,
    Econometrica 73:1237-1282; 2016, Statistics & Probability Letters 113:38-40). The chance of one or more false
    rejections stays near or below the level, with more power than Holm's where outcomes go together. Errors are not
    drawn again.

    An outcome without an estimate, a positive error or draws gets NaN and does not count. Raises DidError if shapes do
    not fit or there is no draw.
    """
    estimates, std_errors = np.asarray(estimates, dtype=float), np.asarray(std_errors, dtype=float)
    draws = np.asarray(draws, dtype=float)
    if estimates.shape != std_errors.shape or draws.ndim != 2 or draws.shape[1:] != estimates.shape or not len(draws):
        raise DidError(f"romano_wolf: expected draws x outcomes deviations for {estimates.shape} estimates; found "
                       f"errors {std_errors.shape} and draws {draws.shape}")
    used = np.flatnonzero(np.isfinite(estimates) & (std_errors > 0) & np.isfinite(draws).all(axis=0))
    adjusted = np.full(len(estimates), np.nan)
    if not len(used):
        return adjusted
    statistic = np.abs(estimates[used] / std_errors[used])
    order = np.argsort(-statistic, kind="stable")
    spread = np.abs(draws[:, used[order]] / std_errors[used[order]])
    largest_from_here = np.maximum.accumulate(spread[:, ::-1], axis=1)[:, ::-1]
    reached = (largest_from_here >= statistic[order]).sum(axis=0)
    adjusted[used[order]] = np.maximum.accumulate((1 + reached) / (1 + len(draws)))
    return adjusted


def with_tested_p(rows: pd.DataFrame, headline: pd.DataFrame) -> pd.DataFrame:
    """Return estimates with the p-values to adjust: those of the headline intervals where there are any.

    ``rows``: indicator, sample, treatment, estimator, estimand and the clustered p_value of estimates under one
    specification; ``headline``: rows of that table under the same. Adds ``p_tested``, 0 to 1: the headline's p-value of
    an overall effect, whatever level the row is clustered at, since clustered p-values do not hold their level with few
    treated clusters; otherwise ``p_value``. ``p_method``: the method that it is by, ``clustered`` where there is no
    headline, empty where there is no p-value. ``p_size``: the share of true nulls that the method rejects at 5% in
    placebo assignments (`did.inference.calibration`), NaN where that was not measured. The order of the rows and their
    index stay. Raises nothing.

    >>> keys = {"indicator": "days", "sample": "full", "treatment": "binary", "estimator": "did", "estimand": "overall"}
    >>> lead = pd.DataFrame([keys | {"p_value": 0.2, "method": "CR2", "coverage": 0.94}])
    >>> rows = pd.DataFrame([keys | {"p_value": 0.01}, keys | {"p_value": 0.03, "sample": "part"}])
    >>> with_tested_p(rows, lead)[["p_tested", "p_method", "p_size"]].round(2).values.tolist()
    [[0.2, 'CR2', 0.06], [0.03, 'clustered', nan]]
    """
    keys = ["indicator", "sample", "treatment", "estimator"]
    known = headline.loc[headline["p_value"].notna(), [*keys, "p_value", "method", "coverage"]]
    known = known.rename(columns={"p_value": "p_lead"})
    joined = rows[[*keys, "estimand", "p_value"]].merge(known, on=keys, how="left", validate="many_to_one")
    joined.index = rows.index
    leads = joined["p_lead"].notna() & joined["estimand"].eq("overall")
    by = joined["method"].where(leads, np.where(joined["p_value"].notna(), "clustered", ""))
    return rows.assign(p_tested=joined["p_lead"].where(leads, joined["p_value"]), p_method=by,
                       p_size=(1 - joined["coverage"]).where(leads))


def family_tests(estimates: pd.DataFrame, influence: pd.DataFrame, headline: pd.DataFrame,
                 families: Mapping[str, Sequence[str]], *, draws: int = 9999, seed: int = 20170601,
                 reassigned: Mapping[tuple[str, str, str], pd.DataFrame] | None = None) -> pd.DataFrame:
    """Return the overall estimates of each family of outcomes with p-values adjusted over the family.

    ``estimates`` rows of the estimates table of one specification (overall effects; others are left aside);
    ``influence`` the table of that name: each cluster's scaled share of an estimate; ``headline`` rows of that table
    under the same specification; ``families`` family -> its indicators. Outcomes of one sample, treatment, estimator
    and cluster level are adjusted together. Columns: family, the keys, estimate, std_error, the clustered p_value, what
    `with_tested_p` adds, p_holm and p_benjamini_hochberg of p_tested, p_romano_wolf, p_adjusted, n_tests and
    is_synthetic. Romano and Wolf's rests on clustered errors; where an outcome of the cell has a headline, because
    clusters are few, on ``reassigned``: sample, treatment and estimator -> `did.inference.joint_reassignment` of
    its outcomes, and it is then no smaller than p_tested. Without these it is NaN, and p_adjusted, the one to report,
    is Holm's. An estimate without a p-value has no adjusted one and is not counted. Raises DidError for an estimate
    whose influence is missing.
    """
    keys = ["sample", "treatment", "estimator", "cluster"]
    overall = with_tested_p(estimates.loc[estimates["estimand"] == "overall"], headline)
    shares = {key: rows.set_index("label")["value"]
              for key, rows in influence.groupby(["indicator", *keys], sort=False)}
    tested = ["p_tested", "p_method", "p_size"]
    found = []
    for family, members in families.items():
        here = overall.loc[overall["indicator"].isin(members)]
        for cell, rows in here.groupby(keys, sort=False):
            rows = rows.set_index("indicator").loc[[name for name in members if name in set(rows["indicator"])]]
            try:
                sums = pd.concat({name: shares[name, *cell] for name in rows.index}, axis=1).fillna(0.0).sort_index()
            except KeyError as error:
                raise DidError(f"influence table: expected {family}, {', '.join(cell)}; found no {error}; run the fit "
                               "stage again") from error
            by_holm, by_steps = holm(rows["p_tested"]), np.full(len(rows), np.nan)
            if rows["p_method"].isin(["clustered", ""]).all():
                deviations = multiplier_draws(sums.to_numpy(), sums.index.to_numpy(), draws=draws, seed=seed)
                by_steps = romano_wolf(rows["estimate"], rows["std_error"], deviations)
            elif (joint := (reassigned or {}).get(cell[:3])) is not None and set(rows.index) <= set(joint.columns):
                by_steps = np.fmax(step_down(joint[list(rows.index)].to_numpy()), rows["p_tested"].to_numpy())
            found.append(rows.reset_index()[["indicator", "estimate", "std_error", "p_value", *tested,
                                             "is_synthetic"]].assign(
                family=family, **dict(zip(keys, cell, strict=True)), p_holm=by_holm,
                p_benjamini_hochberg=benjamini_hochberg(rows["p_tested"]), p_romano_wolf=by_steps,
                p_adjusted=np.where(np.isnan(by_steps), by_holm, by_steps),
                n_tests=int(rows["p_tested"].notna().sum())))
    columns = ["family", "indicator", *keys, "estimate", "std_error", "p_value", *tested, "p_holm",
               "p_benjamini_hochberg", "p_romano_wolf", "p_adjusted", "n_tests", "is_synthetic"]
    return pd.concat(found, ignore_index=True)[columns]


def _adjusted(p: Sequence[float], method: str) -> np.ndarray:
    values = np.asarray(pd.to_numeric(pd.Series(p)), dtype=float)
    present = ~np.isnan(values)
    wrong = present & ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise DidError(f"p-values: expected numbers from 0 to 1; found {values[wrong][0]} at position "
                       f"{int(np.flatnonzero(wrong)[0]) + 1}")
    # As statsmodels' multipletests (the tests compare), which takes 30 ms a call: families are many and small.
    order = np.argsort(values[present], kind="stable")
    rising, n = values[present][order], int(present.sum())
    if method == "holm":
        stepped = np.maximum.accumulate(rising * np.arange(n, 0, -1))
    else:
        stepped = np.minimum.accumulate((rising * n / np.arange(1, n + 1))[::-1])[::-1]
    adjusted = values.copy()
    adjusted[np.flatnonzero(present)[order]] = np.minimum(stepped, 1.0)
    return adjusted
