"""The same estimates by a second program: linearmodels for two-way fixed effects, statsmodels for lagged outcomes.

Both are given the panel table and the definitions, and nothing of this package's designs or fits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from did.estimators.base import PERIODS_PER_YEAR
from did.store.provenance import versions

COLUMNS = ["estimator", "event_time", "bin_width", "estimate", "second", "difference", "program", "status", "reason"]
# Of figures by month the event study is checked in bins of a year: a coefficient for each month takes half a minute.
PROGRAMS = {"did": "linearmodels", "event_study": "linearmodels", "ldv": "statsmodels"}


def second_opinion(frame: pd.DataFrame, estimates: pd.DataFrame, *, dose: str, lags: str) -> pd.DataFrame:
    """Return our estimates of one cell next to those of a second program, one row each, in `COLUMNS`.

    ``frame``: rows of the panel table under one specification and sample (unit, period, outcome, cohort, and ``dose``,
    the column that treatment is read from, in its own unit); ``estimates``: rows of the estimates table for the same
    specification, sample and treatment, of one cluster level. Two-way fixed effects are by linearmodels (unit and time
    effects taken out as by its PanelOLS, a missing outcome left out); event studies likewise with a dummy for each
    event time, or each year of them; the lagged-dependent-variable model by OLS of statsmodels on all outcomes before
    treatment, or those of ``lags``, with period effects. ``difference`` is a share of the larger of our estimate and
    our standard error. Estimators that have no second program are skipped with the reason. Raises nothing.
    """
    rows = []
    # Centred and scaled, which changes an effect by the scale alone: figures far from zero cost digits in a plain fit.
    middle, unit = frame["outcome"].mean(), frame["outcome"].std() or 1.0
    cells = _cells(frame.assign(outcome=(frame["outcome"] - middle) / unit), dose)
    year = PERIODS_PER_YEAR[frame["frequency"].iloc[0]] if len(frame) else 1
    blocks = [(name, width, ours) for name, group in estimates.groupby("estimator", sort=False) if name in PROGRAMS
              for width, ours in _blocks(name, group, year)]
    columns = {name: _columns(name, cells, ours, width) for name, width, ours in blocks if name != "ldv"}
    without_means: dict[int, pd.DataFrame] = {}
    for name, width, ours in blocks:
        program = PROGRAMS[name]
        about = {"estimator": name, "bin_width": width, "program": f"{program} {versions(program)[program]}"}
        try:
            fitted = _ldv(cells, lags, year) if name == "ldv" else _two_way(name, cells, columns, without_means)
        except (ValueError, np.linalg.LinAlgError) as error:
            rows.append(about | {"status": "skipped", "reason": " ".join(str(error).split())[:200]})
            continue
        numbers = ours[["event_time", "estimate", "std_error"]]
        for event_time, estimate, std_error in numbers.itertuples(index=False, name=None):
            key = None if pd.isna(event_time) else int(event_time)
            if key not in fitted:
                continue
            second = fitted[key] * unit
            scale = np.nanmax([abs(estimate), std_error if pd.notna(std_error) else 0.0])
            off = abs(estimate - second)
            rows.append(about | {"event_time": key, "estimate": estimate, "second": second,
                                 "difference": off / scale if scale > 0 else off, "status": "done", "reason": ""})
    return pd.DataFrame(rows, columns=COLUMNS).astype({"event_time": "Int64", "bin_width": "Int64"})


def _blocks(name: str, group: pd.DataFrame, year: int) -> Iterator[tuple[int | None, pd.DataFrame]]:
    """Our rows of one fit: the overall effect, or effects by event time, by year where figures are by month."""
    if name != "event_study":
        yield None, group.loc[group["estimand"].eq("overall") & group["estimate"].notna()]
        return
    estimand, width = (f"event_bin_{year}", year) if year > 1 else ("event_time", 1)
    rows = group.loc[group["estimand"].eq(estimand) & group["state"].isin(["estimated", "reference"])]
    if len(rows):
        yield width, rows


def _cells(frame: pd.DataFrame, dose: str) -> pd.DataFrame:
    """Unit and period counted from 0, outcome, event time (missing if never treated) and dose from treatment on."""
    time, order = pd.factorize(frame["period"].to_numpy(object), sort=True)
    # A first treated period that is not in the window comes after the last before it.
    first = frame["cohort"].map({cohort: float(np.searchsorted(order, cohort))
                                 for cohort in frame["cohort"].dropna().unique()}).astype(float)
    first = first.where(first < len(order))
    return pd.DataFrame({"unit": pd.factorize(frame["unit"])[0], "time": time,
                         "outcome": frame["outcome"].astype(float), "event_time": time - first,
                         "dose": frame[dose].astype(float).where(first.notna(), 0.0)})


def _without_always_treated(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of units with a period before treatment: of the others nothing can be seen."""
    always = cells.loc[cells["event_time"].ge(0) & cells["time"].eq(0), "unit"]
    return cells.loc[~cells["unit"].isin(always)]


def _columns(name: str, cells: pd.DataFrame, ours: pd.DataFrame, width: int | None) -> dict[int | None, pd.Series]:
    """The columns of a two-way fit by what their coefficients are: the one effect (None), or those by event time."""
    if name == "did":
        return {None: cells["dose"].where(cells["event_time"] >= 0, 0.0)}
    place = np.floor_divide(cells["event_time"], width)
    return {int(event): cells["dose"].where(place.eq(event), 0.0)
            for event in ours.loc[ours["state"].eq("estimated"), "event_time"]}


def _two_way(name: str, cells: pd.DataFrame, columns: dict[str, dict[int | None, pd.Series]],
             without_means: dict[int, pd.DataFrame]) -> dict[int | None, float]:
    """The coefficients of a fit with unit and period effects; means are taken out of the columns of every fit of as
    many cells (the key of ``without_means``) at once."""
    from linearmodels.panel.data import PanelData
    from linearmodels.panel.utility import check_absorbed
    from scipy.linalg import lstsq

    cells = cells if name == "did" else _without_always_treated(cells)
    seen = cells["outcome"].notna()
    every = {f"{fit} {key}": column for fit, own in columns.items() for key, column in own.items()}
    plain = pd.DataFrame({**every, "outcome": cells["outcome"]}, cells.index).loc[seen]
    if len(cells) not in without_means:
        index = pd.MultiIndex.from_frame(cells.loc[seen, ["unit", "time"]])
        # Taken out in turn they are gone at once where every cell is seen; elsewhere it would only come near.
        complete = len(index) == index.levshape[0] * index.levshape[1]
        without_means[len(cells)] = PanelData(plain.set_axis(index)).demean("both", low_memory=complete).dataframe
    own = [f"{name} {key}" for key in columns[name]]
    x, y = (without_means[len(cells)][chosen].to_numpy() for chosen in (own, "outcome"))
    # What PanelOLS does then; it would go on to tests and shares explained, which take longer and are of no use here.
    check_absorbed(x, own, plain[own].to_numpy())
    found = lstsq(x, y, cond=max(x.shape) * np.finfo(float).eps, lapack_driver="gelsy")[0]
    return dict(zip(columns[name], found.tolist(), strict=True))


def _ldv(cells: pd.DataFrame, lags: str, year: int) -> dict[int | None, float]:
    from statsmodels.regression.linear_model import OLS

    cells = _without_always_treated(cells)
    wide = cells.pivot(index="unit", columns="time", values="outcome")
    onset = int((cells["time"] - cells["event_time"]).min())
    before = wide.loc[:, : onset - 1]
    if lags.startswith("last_"):
        before = before.iloc[:, -int(lags.removeprefix("last_")):]
    elif lags == "yearly_means":
        before = _yearly_means(before, year)
    # Periods that no unit has are nothing to wait for; a unit without one that others have is left out.
    complete = pd.concat([before, wide.loc[:, onset:]], axis=1).dropna(axis=1, how="all").notna().all(axis=1)
    before = before.loc[complete].dropna(axis=1, how="all").add_prefix("before ")
    after = cells.loc[(cells["time"] >= onset) & cells["outcome"].notna() & cells["unit"].isin(before.index)]
    periods = pd.get_dummies(after["time"], prefix="period", dtype=float)
    effect = after["dose"].where(after["event_time"] >= 0, 0.0).rename("effect")
    exog = pd.concat([effect, periods, before.loc[after["unit"]].set_index(after.index)], axis=1)
    return {None: float(OLS(after["outcome"], exog, hasconst=False).fit(method="qr").params["effect"])}


def _yearly_means(before: pd.DataFrame, year: int) -> pd.DataFrame:
    """Means of whole years counted back from treatment; the oldest periods that fill none are left out."""
    whole = before.iloc[:, before.shape[1] % year:]
    return whole.T.groupby(np.arange(whole.shape[1]) // year).agg(lambda part: part.mean(skipna=False)).T
