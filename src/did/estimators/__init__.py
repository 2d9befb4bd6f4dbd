"""Panel to result: one file for each estimator and each step of the mathematics, and the registry of them."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING

from did.errors import DidError, one_of, suggest
from did.estimators.base import Panel, Result

if TYPE_CHECKING:
    from did.estimators.design import Design

__all__ = ["ESTIMATORS", "OVER_EVENT_TIME", "REGRESSIONS", "WITHOUT_DOSE", "Panel", "Result", "design_of", "estimate"]

REGRESSIONS = ("did", "event_study", "ldv")

# Those with effects over event time, and those of a treatment that is there or not: no dose.
OVER_EVENT_TIME = ("event_study", "callaway_santanna", "sun_abraham", "imputation", "stacked")
WITHOUT_DOSE = ("callaway_santanna", "sun_abraham")

ESTIMATORS = {
    "did": "did.estimators.did:estimate",
    "ldv": "did.estimators.ldv:estimate",
    "event_study": "did.estimators.event_study:estimate",
    "callaway_santanna": "did.estimators.callaway_santanna:estimate",
    "sun_abraham": "did.estimators.sun_abraham:estimate",
    "imputation": "did.estimators.imputation:estimate",
    "imputation_leads": "did.estimators.imputation:leads",
    "stacked": "did.estimators.stacked:estimate",
}


def estimate(name: str, panel: Panel, **options: object) -> Result:
    """Return the Result of the estimator ``name`` on ``panel``.

    ``options`` are the keyword arguments of its ``estimate`` function. The module is imported on first use.
    Raises DidError if the name or an option is unknown (with the closest right word), and whatever the
    estimator raises.
    """
    one_of("estimator", name, ESTIMATORS)
    return _called(name, ESTIMATORS[name], panel, options)


def design_of(name: str, panel: Panel, **options: object) -> Design:
    """Return the regression that the estimator ``name`` fits, for the estimators that are one (did, event_study, ldv).

    Raises DidError for another estimator, an unknown option, and whatever its ``design`` raises.
    """
    one_of("estimator with a design", name, REGRESSIONS)
    return _called(name, f"did.estimators.{name}:design", panel, options)


def _called(name: str, place: str, panel: Panel, options: dict[str, object]):
    module, function = place.split(":")
    call = getattr(importlib.import_module(module), function)
    allowed = [word for word in inspect.signature(call).parameters if word != "panel"]
    for option in options:
        if option not in allowed:
            raise DidError(f"option of estimator {name}: expected one of {', '.join(allowed) or 'none'}; "
                           f"found '{option}'{suggest(option, allowed)}")
    return call(panel, **options)
