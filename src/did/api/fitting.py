"""An estimator fitted to a panel of the public face, its options checked first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from did.api.arguments import several
from did.api.errors import OptionError, raising
from did.api.fit import Fit
from did.api.panel import Panel, a_panel
from did.errors import one_of, suggest
from did.estimators import entry
from did.estimators.registry import COHORT_PERIOD


def fitted(name: str, panel: Panel, options: Mapping[str, Any]) -> Fit:
    """Return an estimator fitted to a panel, with ``options`` named as in its entry; those that are None are left out.

    Raises did.OptionError for what is no panel and an option that the estimator does not have (with the closest right
    word) or a value it cannot have; did.EstimationError for a panel that it cannot be fitted to.
    """
    known = entry(name)
    a_panel(panel, name)
    for option in options:
        if known.option(option) is None:
            names = [each.name for each in known.options]
            raise OptionError(f"{name}: {option}: expected one of {', '.join(names) or 'no options'}; found "
                              f"'{option}'{suggest(option, names)}")
    taken = {option: _listed(known, option, value, name) for option, value in options.items() if value is not None}
    for option, value in taken.items():
        choices = next(each.choices for each in known.options if each.name == option)
        with raising(OptionError):
            if choices:
                one_of(f"{name}: {option}", value, choices)
    if known.option("covariates"):
        taken.setdefault("covariates", list(panel.columns.covariates))
        with raising(OptionError):
            for covariate in taken["covariates"]:
                one_of(f"{name}: covariates", covariate, panel.columns.covariates or ["those named in did.Panel"])
        if not taken["covariates"]:
            del taken["covariates"]
    if known.kind == COHORT_PERIOD:
        taken.setdefault("aggregation", ["group_time"] if "balance_event_time" not in taken else ["event_time"])
    fit = Fit(panel, name, taken, panel.levels[0])
    fit._estimated()
    return fit


def _listed(known: Any, option: str, value: Any, name: str) -> Any:
    """What an option that takes a list of text was given, as a list; others as they are."""
    if known.option(option).type == list[str]:
        return list(several(value, f"{name}: {option}", "words"))
    return list(value) if isinstance(value, tuple) else value
