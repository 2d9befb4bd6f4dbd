"""Effect on the treated from two repeated cross-sections: other units before and after, with or without covariates.

Every function takes the observations of both periods (rows): outcome, whether after, whether of the treated group,
design and weight. Each returns the effect and the influence of each observation, scaled so that its square sums to the
variance. Formulas: Sant'Anna and Zhao 2020, Journal of Econometrics 219:101-122 (regression, section 2.1; inverse
probability weights that sum to one; the locally efficient doubly robust estimator for repeated cross-sections, section
3.2, with a logit and least squares). They equal R's DRDID reg_did_rc, std_ipw_did_rc and drdid_rc. All suppose that
who is observed before and who after are drawn from the same population.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from did.estimators.drdid import TRIMMED, dependence, propensity, standardised
from did.estimators.group_time import Cohort, Sample, control_blocks

NO_GROUP = "no treated unit or no control has an outcome in one of the two periods"


@dataclasses.dataclass(frozen=True)
class Sections:
    """Observations of two periods, (rows,) each: outcome, weight above 0, whether ``after``, whether ``treated``;
    ``design`` (rows, columns) is a constant and the covariates ``names``."""

    outcome: np.ndarray
    after: np.ndarray
    treated: np.ndarray
    design: np.ndarray
    weight: np.ndarray
    names: Sequence[str]

    def share(self, treated: bool, after: bool) -> np.ndarray:
        """Return (rows,) weights of one of the four groups, which add to one."""
        own = self.weight * ((self.treated == treated) & (self.after == after))
        return own / own.sum()


def four_means(data: Sections) -> tuple[float, np.ndarray, str]:
    """Return the change of the treated group's mean less that of the controls'."""
    effect, influence = 0.0, np.zeros(len(data.outcome))
    for treated in (True, False):
        for after in (True, False):
            sign = 1.0 if treated == after else -1.0
            mean, own = _mean(data.outcome, data.share(treated, after))
            effect, influence = effect + sign * mean, influence + sign * own
    return effect, influence, ""


def regression(data: Sections) -> tuple[float, np.ndarray, str]:
    """Return the change of the treated group's mean less the change that the controls' regressions predict for it."""
    reason = _dependence(data, (False,))
    if reason:
        return _nothing(data, reason)
    data = _standardised(data)
    predicted, scores = _controls(data)
    after, own_after = _mean(data.outcome, data.share(True, True))
    before, own_before = _mean(data.outcome, data.share(True, False))
    everyone = data.weight * data.treated / (data.weight * data.treated).sum()
    change, own_change = _mean(predicted[True] - predicted[False], everyone)
    own_change += (scores[True] - scores[False]) @ (everyone @ data.design)
    return after - before - change, own_after - own_before - own_change, ""


def inverse_probability(data: Sections) -> tuple[float, np.ndarray, str]:
    """Return the change of the treated group's mean less that of controls weighted by the odds of treatment."""
    score, reason = propensity(data.treated, data.design, data.weight, data.names)
    if reason:
        return _nothing(data, reason)
    data = _standardised(data)
    zero = {True: np.zeros(len(data.outcome)), False: np.zeros(len(data.outcome))}
    return (*_weighted(data, score, zero, None), "")


def doubly_robust(data: Sections) -> tuple[float, np.ndarray, str]:
    """Return `inverse_probability` applied to what the controls' regressions leave, with regressions of the treated
    for efficiency. Right if either the logit or the controls' regressions are."""
    score, reason = propensity(data.treated, data.design, data.weight, data.names)
    reason = reason or _dependence(data, (False, True))
    if reason:
        return _nothing(data, reason)
    data = _standardised(data)
    predicted, scores = _controls(data)
    effect, influence = _weighted(data, score, predicted, scores)
    own, own_scores = _fitted(data, treated=True)
    everyone = data.weight * data.treated / (data.weight * data.treated).sum()
    for after, sign in ((True, 1.0), (False, -1.0)):
        gap = own[after] - predicted[after]
        over_all, part_all = _mean(gap, everyone)
        over_one, part_one = _mean(gap, data.share(True, after))
        moved = everyone @ data.design - data.share(True, after) @ data.design
        effect += sign * (over_all - over_one)
        influence += sign * (part_all - part_one + (own_scores[after] - scores[after]) @ moved)
    return effect, influence, ""


CONDITIONAL = {"unconditional": four_means, "reg": regression, "ipw": inverse_probability, "dr": doubly_robust}


def effects(sample: Sample, cohorts: list[Cohort], *, never_treated_only: bool, method: str
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return effect (cells,), influence and treated (units, cells) and reason (cells,) of all cells.

    As `did.estimators.group_time.effects`, but a cell compares whoever has an outcome in its period with whoever has
    one in its base period, each with its own weight and covariates. The influence of a unit seen in both is the sum of
    its observations'.
    """
    method = method if len(sample.covariates) else "unconditional"
    n_cells = sum(len(cohort.period) for cohort in cohorts)
    effect, reasons = np.zeros(n_cells), [""] * n_cells
    influence = np.zeros((len(sample.outcome), n_cells))
    treated = np.zeros((len(sample.outcome), n_cells), dtype=bool)
    start = 0
    for cohort in cohorts:
        members = sample.first == cohort.first
        for cells, controls in control_blocks(sample, cohort, never_treated_only):
            for cell in range(cells.start, cells.stop):
                place = start + cell
                if cohort.reference[cell]:
                    treated[:, place] = members & np.isfinite(sample.outcome[:, cohort.period[cell]])
                    continue
                units, data = _sections(sample, cohort, cell, members, members | controls)
                treated[units[data.treated], place] = True
                four = [((data.treated == one) & (data.after == late)).any() for one in (True, False)
                        for late in (True, False)]
                found = CONDITIONAL[method](data) if all(four) else _nothing(data, NO_GROUP)
                effect[place], reasons[place] = found[0], found[2]
                np.add.at(influence[:, place], units, found[1])
        start += len(cohort.period)
    return effect, influence, treated, reasons


def _sections(sample: Sample, cohort: Cohort, cell: int, members: np.ndarray, used: np.ndarray
              ) -> tuple[np.ndarray, Sections]:
    """Return the (rows,) units of a cell's observations, and these."""
    units, periods = [], []
    for period in (cohort.period[cell], cohort.base[cell]):
        seen = used & np.isfinite(sample.outcome[:, period])
        if len(sample.covariates):
            seen &= np.isfinite(sample.covariates[:, :, period]).all(axis=0)
        units.append(np.flatnonzero(seen))
        periods.append(np.full(int(seen.sum()), period))
    unit, period = np.concatenate(units), np.concatenate(periods)
    weight = np.ones(len(unit)) if sample.weight is None else sample.weight[unit, period]
    design = np.column_stack([np.ones(len(unit)), sample.covariates[:, unit, period].T])
    return unit, Sections(sample.outcome[unit, period], period == cohort.period[cell], members[unit], design, weight,
                          sample.names)


def _mean(values: np.ndarray, share: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of ``values`` by weights that add to one, and its influence."""
    mean = float(share @ values)
    return mean, share * (values - mean)


def _fitted(data: Sections, *, treated: bool) -> tuple[dict[bool, np.ndarray], dict[bool, np.ndarray]]:
    """Return, for after and before, what a group's regression predicts for all (rows,), and the (rows, columns)
    influence of its coefficients."""
    predicted, scores = {}, {}
    for after in (True, False):
        rows = (data.treated == treated) & (data.after == after)
        root = np.sqrt(data.weight[rows])[:, None]
        q, r = np.linalg.qr(data.design[rows] * root)
        inverse = np.linalg.inv(r)
        slope = inverse @ (q.T @ (data.outcome[rows] * root[:, 0]))
        predicted[after] = data.design @ slope
        residual = data.weight * rows * (data.outcome - predicted[after])
        scores[after] = (data.design * residual[:, None]) @ (inverse @ inverse.T)
    return predicted, scores


def _controls(data: Sections) -> tuple[dict[bool, np.ndarray], dict[bool, np.ndarray]]:
    return _fitted(data, treated=False)


def _weighted(data: Sections, score: np.ndarray, predicted: dict[bool, np.ndarray],
              scores: dict[bool, np.ndarray] | None) -> tuple[float, np.ndarray]:
    """The double difference of residuals, controls weighted by odds, with the influence of logit and regressions."""
    odds = data.weight * ~data.treated * (score < TRIMMED) * score / (1 - score)
    curvature = data.weight * score * (1 - score)
    information = np.linalg.inv(data.design.T @ (data.design * curvature[:, None]))
    of_logit = (data.design * (data.weight * (data.treated - score))[:, None]) @ information
    effect, influence = 0.0, np.zeros(len(data.outcome))
    for after, sign in ((True, 1.0), (False, -1.0)):
        residual = data.outcome - predicted[after]
        treated = data.share(True, after)
        control = odds * (data.after == after) / (odds * (data.after == after)).sum()
        own, part = _mean(residual, treated)
        other, other_part = _mean(residual, control)
        other_part = other_part + of_logit @ (data.design.T @ (control * (residual - other)))
        if scores is not None:
            part = part - scores[after] @ (treated @ data.design - control @ data.design)
        effect += sign * (own - other)
        influence += sign * (part - other_part)
    return effect, influence


def _dependence(data: Sections, sides: Sequence[bool]) -> str:
    for treated in sides:
        for after in (True, False):
            rows = (data.treated == treated) & (data.after == after)
            who = f" among the {'treated' if treated else 'controls'} {'after' if after else 'before'}"
            reason = dependence(data.design[rows], data.weight[rows], data.names, who)
            if reason:
                return reason
    return ""


def _standardised(data: Sections) -> Sections:
    return dataclasses.replace(data, design=standardised(data.design, data.weight))


def _nothing(data: Sections, reason: str) -> tuple[float, np.ndarray, str]:
    return np.nan, np.zeros(len(data.outcome)), reason
