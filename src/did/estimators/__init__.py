"""Panel to result: one file for each estimator and each step of the mathematics, and the registry of them.

How to add one: `did.estimators.registry`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from did.errors import DidError, one_of, suggest
from did.estimators.base import Panel, Result, refuse_cross_sections
from did.estimators.registry import COHORT_PERIOD, Estimator, Option, Words, entries, entry, names, parameters, register
from did.estimators.shares import UnitShares

if TYPE_CHECKING:
    from collections.abc import Callable

    from did.estimators.design import Design
    from did.estimators.parts import Parts

__all__ = ["Estimator", "Option", "Panel", "Result", "UnitShares", "Words", "design_of", "doses_of", "entries", "entry",
           "estimate", "estimates_of", "in_run", "names", "overall", "parts_of", "register"]
Found = TypeVar("Found")


def estimate(name: str, panel: Panel, **options: object) -> Result:
    """Return the Result of the estimator ``name`` on ``panel``.

    ``options`` are the keyword arguments of its fit function, whose module is imported on first use.
    Raises DidError if the name or an option is unknown (with the closest right word), if no unit has two outcomes (but
    for an estimator and option that take such), and whatever the estimator raises.
    """
    return _called(name, entry(name).call, panel, options)


def estimates_of(name: str, panel: Panel, outcomes: np.ndarray, **options: object) -> np.ndarray:
    """Return the (outcomes, parameters) estimates that `estimate` gives for each of (outcomes, units, periods) in place
    of the panel's own, missing where these are.

    Raises as `estimate` does.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(20, 8, {5: 6}, 3.0, seed=1)[0])
    >>> found = estimates_of("did", data, np.stack([data.outcome, 2 * data.outcome]))
    >>> found.shape, bool(np.isclose(found[1, 0], 2 * estimate("did", data).estimate[0]))
    ((2, 1), True)
    """
    many = entry(name).call_repeated
    found = None if many is None else _called(name, many, panel, {"outcomes": outcomes, **options})
    if found is not None:
        return found
    return np.array([estimate(name, dataclasses.replace(panel, outcome=outcome), **options).estimate
                     for outcome in outcomes])


def parts_of(name: str, panel: Panel, kept: np.ndarray, **options: object) -> Parts | None:
    """Return the one effect of the estimator ``name`` on each of the parts of ``panel`` that a column of ``kept``
    (units, parts) keeps, found together; None if it has no way to, or none for such a panel.

    Raises as `estimate` does of the whole panel.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(20, 8, {5: 6}, 3.0, seed=1)[0])
    >>> found = parts_of("did", data, ~np.eye(20, dtype=bool))   # without each unit
    >>> without = data.keep(np.arange(20) > 0)
    >>> bool(np.isclose(found.estimate[0], estimate("did", without).estimate[0]))
    True
    """
    many = entry(name).call_parts
    return None if many is None else _called(name, many, panel, {"kept": kept, **options})


def doses_of(name: str, panel: Panel, dose: np.ndarray, **options: object) -> Parts | None:
    """Return the one effect of the estimator ``name`` of each of several treatments in place of the panel's own, found
    together: the units' doses in a column of ``dose`` (units, treatments), 0 for those never treated, all from the
    panel's onset on. None if it has no way to, or none for such a panel.

    Raises as `estimate` does of the panel's own.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(20, 8, {5: 6}, 3.0, seed=1)[0])
    >>> found = doses_of("ldv", data, np.column_stack([data.dose, 2 * data.dose]))
    >>> bool(np.isclose(found.estimate[1], found.estimate[0] / 2))
    True
    """
    many = entry(name).call_doses
    return None if many is None else _called(name, many, panel, {"dose": dose, **options})


def design_of(name: str, panel: Panel, **options: object) -> Design:
    """Return the regression that the estimator ``name`` fits, for the estimators that are one (did, event_study, ldv).

    Raises DidError for another estimator, an unknown option, and whatever its ``design`` raises.
    """
    one_of("estimator with a design", name, [each.name for each in entries().values() if each.design])
    return _called(name, entry(name).call_design, panel, options)


def in_run(name: str, panel: Panel, lags: str) -> list[Result]:
    """Return everything that a run takes from the estimator ``name``, such as effects by period and by year.

    ``lags`` are those of the specification, for an estimator that needs them. Effects by cohort and period come as
    their averages: one effect, by event time, by cohort and by calendar period. Raises whatever the estimator raises.
    """
    known, found = entry(name), []
    for options in known.in_run(panel, lags):
        result = estimate(name, panel, **options)
        found += _averaged(result, panel) if known.kind == COHORT_PERIOD else [result]
    return found


def overall(name: str, panel: Panel, **options: object) -> Result:
    """Return the one effect ``overall`` of the estimator ``name``, averaged where it has several.

    Raises DidError if it has none, as an event study, and whatever the estimator raises.
    """
    one_of("estimator with one effect", name, names(overall=True))
    if "estimands" in entry(name).parameters:
        options = {"estimands": "overall", **options}
    return overall_of(estimate(name, panel, **options), panel)


def overall_of(result: Result, panel: Panel) -> Result:
    """Return the one effect ``overall`` of an estimator's ``result`` on ``panel``, averaged where it has several.

    Raises DidError if it has none.
    """
    if entry(result.estimator).kind == COHORT_PERIOD:
        from did.estimators.aggregation import aggregate

        return aggregate(result, panel, "simple")
    return result.only("overall")


def _averaged(result: Result, panel: Panel) -> list[Result]:
    from did.estimators.aggregation import KINDS, aggregate

    return [aggregate(result, panel, kind) for kind in KINDS]


def _called(name: str, call: Callable[..., Found], panel: Panel, options: dict[str, object]) -> Found:
    allowed = list(parameters(call))
    for option in options:
        if option not in allowed:
            raise DidError(f"option of estimator {name}: expected one of {', '.join(allowed) or 'none'}; "
                           f"found '{option}'{suggest(option, allowed)}")
    once = entry(name).seen_once
    if once is None or options.get(once[0]) != once[1]:
        refuse_cross_sections(panel.outcome, name)
    return call(panel, **options)
