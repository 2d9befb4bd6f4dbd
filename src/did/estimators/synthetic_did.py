"""Synthetic difference-in-differences: weighted donors and weighted periods before treatment as the comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import one_of
from did.estimators.base import Panel, Result, join_notes, listed, parameter_table, scale_free
from did.estimators.shares import UnitShares
from did.estimators.synthetic_sample import COMBINE, Study, study
from did.estimators.synthetic_weights import ROUNDS, VARIANTS, Assignments, gaps, weights

ESTIMANDS = ("overall", "event_time", "cohort", "calendar")
# Groups left out at once: each is a row of weights over all units.
TOGETHER = 500


@scale_free
def estimate(
    panel: Panel,
    *,
    variant: str = "synthetic_did",
    estimands: Sequence[str] = ("overall", "event_time"),
    covariates: Sequence[str] = (),
    level: str = "unit",
    combine: str = "mean",
) -> Result:
    """Return effects of treatment against a weighted mean of never-treated units and of periods before treatment.

        effect(g, t) = sum_i a_i (Y_it - sum_s l_s Y_is),    a_i = 1 / treated for cohort g, -w_i for donors

    for each cohort g by itself, t from its onset on, s before it, with unit weights w and time weights l that
    `did.estimators.synthetic_weights` finds (Arkhangelsky, Athey, Hirshberg, Imbens and Wager 2021, American Economic
    Review 111:4088-4118, algorithm 1). ``variant``: ``synthetic_did``; ``synthetic_control``, no intercept and no time
    weights; ``did``, equal weights. Cohorts are averaged by their treated cells (the paper's appendix; Clarke,
    Pailanir, Athey and Imbens 2023, arXiv 2301.11859): ``estimands`` are any of ``overall``, ``event_time`` (from 0
    on), ``cohort`` and ``calendar``, in units of the outcome. Gaps before treatment are what the weights make small,
    and no test of trends; they are not given.

    ``covariates``, names of the panel's, are taken out by projection: their coefficients come from a two-way regression
    on untreated cells (Clarke et al., section 2.2, after Kranz 2022). ``level`` names a cluster level whose clusters
    take the place of units, as the ``mean``, ``sum`` or ``weighted_mean`` (by the panel's weights) of their units by
    ``combine``; each stands in the result as its first unit.

    `Result.weights` holds every weight. The error is the jackknife with fixed weights (algorithm 3), an influence that
    sums to zero over units; at a level above it is summed within clusters. It is not available where a cohort has one
    treated unit, or one donor all weight: the error is then missing and the note says so.
    `did.inference.synthetic_errors` has errors from placebo assignments and the bootstrap. Intervals are normal,
    without a small-sample factor.

    Left out by name: units without an outcome or covariate in a period that others have, units treated from the first
    period, cohorts with fewer than two periods before treatment (one for ``did``). Raises DidError for an unknown word
    or covariate, a treatment that is not binary, clusters whose units start at different times, weights that are asked
    for and do not exist or add to 0, no never-treated unit, no treated unit, or a covariate that untreated cells do not
    identify.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(30, 12, {8: 6}, 5.0, seed=1, noise=1.0)
    >>> result = estimate(Panel.from_frame(frame), estimands=["overall"])
    >>> result.estimate.round(1).tolist(), result.weights.groupby("kind")["weight"].sum().round(6).tolist()
    ([4.7], [1.0, 1.0])
    """
    names = [estimands] if isinstance(estimands, str) else list(dict.fromkeys(estimands))
    for name in names or [""]:
        one_of("synthetic_did: estimands", name, ESTIMANDS)
    one_of("synthetic_did: variant", variant, VARIANTS)
    one_of("synthetic_did: combine", combine, COMBINE)
    data = study(panel, variant, level, combine, list(covariates))
    chosen = observed_weights(data)
    effects = [gaps(data.outcome, unit, time, cohort.treated[None])[:, cohort.before:]
               for cohort, (unit, time) in zip(data.cohorts, chosen, strict=True)]
    parameters, cells = averages(panel, data, names)
    sizes = np.array([[cohort.treated.sum() for cohort in data.cohorts]])
    value = averaged(np.hstack(effects), sizes, data, cells)[0]
    n_rows = len(data.units)
    without = leave_out(data, chosen, np.arange(n_rows), cells)
    influence = -np.sqrt((n_rows - 1) / n_rows) * (without - without.mean(axis=0))
    parameters["note"] = _no_jackknife(data, influence, cells)
    members = np.array([cohort.treated > 0 for cohort in data.cohorts])
    rests_on = np.array([members[np.unique(data.cell_cohort[one])].any(axis=0) for one in cells])
    return Result(
        estimator="synthetic_did",
        parameters=parameters,
        estimate=value,
        shares=UnitShares(data.units, influence, rests_on.T),
        n_obs=data.outcome.size,
        n_parameters=None,
        note=join_notes("" if variant == VARIANTS[0] else f"variant {variant}", data.note),
        distribution="normal",
        weights=_weights_table(panel, data, chosen),
    )


def observed_weights(data: Study) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the (1, units) unit weights and (1, periods before) time weights of each cohort of ``data``.

    Raises nothing: a `Study` has what the weights need.
    """
    return [weights(data.outcome, cohort.before, Assignments(data.donors[None], cohort.treated[None]), cohort.noise,
                    variant=data.variant, n_cells=cohort.n_cells) for cohort in data.cohorts]


def assigned_effects(data: Study, donors: np.ndarray, treated: Sequence[np.ndarray], rounds: int = ROUNDS
                     ) -> np.ndarray:
    """Return the (assignments, cells) effects of other assignments of treatment, their weights found again.

    ``donors`` and, for each cohort, ``treated`` are (assignments, units), how often each unit counts. The ridge stays
    that of the data at hand, as in R's synthdid. In units of the outcome. Raises nothing.
    """
    parts = []
    for cohort, counts in zip(data.cohorts, treated, strict=True):
        unit, time = weights(data.outcome, cohort.before, Assignments(donors, counts), cohort.noise,
                             variant=data.variant, n_cells=cohort.n_cells, rounds=rounds)
        parts.append(gaps(data.outcome, unit, time, counts)[:, cohort.before:])
    return np.hstack(parts)


def averages(panel: Panel, data: Study, names: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the parameters of the estimands ``names`` and (parameters, cells), the cohort-periods of each.

    Raises nothing.
    """
    position = data.cell_position
    first = np.array([cohort.first for cohort in data.cohorts])[data.cell_cohort]
    tables, members = [], []
    for name in names:
        key = {"overall": np.zeros(len(position), dtype=int), "event_time": position - first, "cohort": first,
               "calendar": position}[name]
        values = np.unique(key)
        column = {"overall": {}, "event_time": {"event_time": values}, "cohort": {"cohort": panel.periods[values]},
                  "calendar": {"period": panel.periods[values]}}[name]
        tables.append(parameter_table(name, **column))
        members.append(key == values[:, None])
    return pd.concat(tables, ignore_index=True), np.vstack(members)


def averaged(effects: np.ndarray, sizes: np.ndarray, data: Study, cells: np.ndarray) -> np.ndarray:
    """Return (assignments, parameters) the means of (assignments, cells) effects, weighted by treated units.

    ``sizes`` (assignments, cohorts) treated units; ``cells`` of `averages`. NaN where a cell of a parameter is. Raises
    nothing.
    """
    weight = sizes[:, data.cell_cohort]
    return np.stack([(weight[:, one] * effects[:, one]).sum(axis=1) / weight[:, one].sum(axis=1) for one in cells],
                    axis=1)


def leave_out(data: Study, chosen: Sequence[tuple[np.ndarray, np.ndarray]], groups: np.ndarray, cells: np.ndarray
              ) -> np.ndarray:
    """Return the (groups, parameters) estimates without each group of units, the weights kept and made to add to one.

    ``groups`` (units,) codes from 0; ``chosen`` of `observed_weights`; ``cells`` of `averages`. NaN where a cohort is
    left without a treated unit or without a donor that has weight. In units of the outcome. Source: Arkhangelsky et al.
    2021, algorithm 3. Raises nothing.
    """
    parts = []
    for start in range(0, int(groups.max()) + 1, TOGETHER):
        codes = np.arange(start, min(start + TOGETHER, int(groups.max()) + 1))
        stays = (groups != codes[:, None]).astype(float)
        effects, sizes = [], []
        for cohort, (unit, time) in zip(data.cohorts, chosen, strict=True):
            kept, counts = unit * stays, cohort.treated * stays
            left = kept.sum(axis=1, keepdims=True)
            kept = np.divide(kept, left, out=np.full(kept.shape, np.nan), where=left > 0)
            effects.append(gaps(data.outcome, kept, np.repeat(time, len(codes), axis=0), counts)[:, cohort.before:])
            sizes.append(counts.sum(axis=1))
        parts.append(averaged(np.hstack(effects), np.stack(sizes, axis=1), data, cells))
    return np.vstack(parts)


def _no_jackknife(data: Study, influence: np.ndarray, cells: np.ndarray) -> list[str]:
    """Return for each parameter why it has no jackknife error, empty if it has one."""
    notes = []
    for one, missing in zip(cells, np.isnan(influence).any(axis=0), strict=True):
        cohorts = [data.cohorts[code] for code in np.unique(data.cell_cohort[one])]
        alone = [cohort.label for cohort in cohorts if cohort.treated.sum() == 1]
        why = (f"one treated {data.what} in cohort {listed(alone)}" if alone
               else f"one donor has all the weight in a cohort of {listed([cohort.label for cohort in cohorts])}")
        notes.append(f"no standard error: {why}, so there is no jackknife; use placebo inference" if missing else "")
    return notes


def _weights_table(panel: Panel, data: Study, chosen: Sequence[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    parts = []
    for cohort, (unit, time) in zip(data.cohorts, chosen, strict=True):
        before = panel.periods[data.positions[:cohort.before]]
        for kind, label, weight in (("unit", data.names[data.donors > 0], unit[0][data.donors > 0]),
                                    ("time", before.to_numpy(), time[0])):
            parts.append(pd.DataFrame({"cohort": cohort.label, "kind": kind, "label": label, "weight": weight}))
    table = pd.concat(parts, ignore_index=True)
    return table.astype({"cohort": "str", "kind": "str", "label": "str", "weight": float})
