"""The one effect of several estimators on one panel, alongside each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from did.api.arguments import several
from did.api.errors import EstimationError, InferenceError, OptionError, raising
from did.api.fit import Fit
from did.api.fitting import fitted
from did.api.panel import Panel
from did.errors import one_of
from did.estimators import entries, entry
from did.estimators import names as names_of
from did.estimators.registry import LAGS
from did.words import markdown_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ["estimator", "label", "estimate", "std_error", "ci_low", "ci_high", "p_value", "n_units", "n_treated",
           "n_clusters", "cluster", "inference", "measured_coverage", "status", "reason"]


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """One effect by several estimators, as `did.compare` gives it.

    Attributes
    ----------
    panel
        The `did.Panel`.
    fits
        The fits by the estimator's name, one effect each.
    skipped
        The estimators that have none for this panel -> the reason.

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> both = did.compare(panel, ["did", "imputation"])
    >>> both.to_frame()[["estimator", "n_units", "status"]]
        estimator  n_units status
    0         did       36   done
    1  imputation       36   done
    """

    panel: Panel
    fits: dict[str, Fit]
    skipped: dict[str, str]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each estimator: its one effect in units of the outcome, with its inference, or
        ``status`` skipped and the ``reason``."""
        rows = []
        for name, fit in self.fits.items():
            row = fit.to_frame().iloc[0].to_dict()
            rows.append({column: row.get(column) for column in COLUMNS} | {
                "estimator": name, "label": entry(name).label, "status": "done", "reason": ""})
        rows += [{"estimator": name, "label": entry(name).label, "status": "skipped", "reason": reason}
                 for name, reason in self.skipped.items()]
        return pd.DataFrame(rows, columns=COLUMNS)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effects with their intervals, a line for each estimator, and return the axes."""
        from did.api.plots import comparison

        return comparison(self, ax)

    def summary(self) -> str:
        """Return the table as text."""
        from did.api.tables import compared_text

        return compared_text(self)

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        from did.api.tables import compared_cells

        cells = compared_cells(self)
        return markdown_table(pd.DataFrame(cells[1:], columns=cells[0]))

    def _repr_html_(self) -> str:
        from did.api.tables import compared_cells, html_table

        return html_table(compared_cells(self))

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<did.Comparison of {', '.join([*self.fits, *self.skipped])}>"


def compare(panel: Panel, estimators: str | Fit | Sequence[str | Fit] | None = None) -> Comparison:
    """Return the one effect of several estimators on a panel.

    ``estimators`` are names of the registry, or fits with options of their own, several in a list; by default all that
    have one effect and need nothing that is not there. An estimator that cannot be fitted is listed with its reason.

    Raises did.OptionError for a name that is not registered, with the closest right one.

    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> did.compare(panel, ["did", "callaway_santanna", "imputation"]).to_frame()["estimate"].round(2).tolist()
    [2.86, 2.69, 2.94]
    """
    if estimators is None:
        return compared(panel, list(names_of(overall=True)))
    given = estimators if not isinstance(estimators, Fit) else [estimators]
    return compared(panel, several(given, "compare: estimators", "names of estimators, or fits"))


def compared(panel: Panel, chosen: Sequence[str | Fit], tell: Callable[[str], object] = str) -> Comparison:
    """As `compare`; ``tell`` is called with the name of each estimator before it is fitted."""
    fits, skipped = {}, {}
    for each in chosen:
        name = each.estimator if isinstance(each, Fit) else each
        with raising(OptionError):
            one_of("compare: estimator", name, entries())
        tell(name)
        if not entry(name).overall:
            skipped[name] = "has no one effect"
            continue
        try:
            needed = {"lags": "all"} if LAGS in entry(name).needs else {}
            fit = each if isinstance(each, Fit) else fitted(name, panel, needed)
            fits[name] = fit.aggregate("simple")
            fits[name].effects  # noqa: B018
        except (EstimationError, InferenceError) as error:
            fits.pop(name, None)
            skipped[name] = str(error)
    if not fits:
        raise EstimationError("compare: expected an estimator that can be fitted; found none: "
                              f"{next(iter(skipped.values()), 'none was named')}")
    return Comparison(panel, fits, skipped)


