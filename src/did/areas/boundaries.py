"""Figures moved from one configuration of areas to a later one: counts are summed, rates are weighted.

The configurations, and how they follow each other, come from :mod:`did.areas.succession`. Nothing is lost on the way:
the totals before and after are compared, every area is listed with what became of it, and an area of another
configuration, a missing predecessor or a split without shares stops the move.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from did.areas.succession import Chain, configuration, foreign, load, load_chain
from did.errors import DidError, listed

__all__ = ["Chain", "align", "configuration", "fill_weights", "load", "load_chain", "move_counts", "move_rates"]

STATUSES = ["ok", "carried_forward", "estimated"]   # of a weight, from best to worst
FATES = ["kept", "merged", "imputed"]               # of an area, in the order they override each other
_SAME = 1e-9                                        # relative difference that rounding can explain


def move_counts(frame: pd.DataFrame, mapping: pd.DataFrame, where: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sum counts on the old areas of ``mapping`` to its new areas.

    ``frame``: area_code, period, value (counts), and area_name if there is one; a row per area and period.
    ``mapping``: from :meth:`did.areas.succession.Chain.mapping`. Returns (area_code, period, value), and the area_audit
    (area_code, area_name, fate, unit, n_periods, total, reason), a row per old area; ``unit`` is the new area
    that holds most of it. The total of each period is preserved.

    Raises DidError for an area that is not of the mapping's configuration (naming both), an area and period
    twice, a missing count (which is not zero), and a period in which only some of the areas that make
    up a new one are there.
    """
    return _summed(frame, mapping, where)[0], _area_audit(frame, mapping, totals=True)


def _summed(frame: pd.DataFrame, mapping: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sums of `move_counts`, in order of area and period, and the rows in them, each with its new area."""
    _check(frame, mapping, where)
    gaps = frame.loc[frame["value"].isna()]
    if len(gaps):
        row = gaps.iloc[0]
        raise DidError(f"{where or 'counts'}: expected a count for {row.area_code} in {row.period}; found none "
                       f"({len(gaps)} missing in all); a missing count is not zero: supply it or leave the period out")
    placed = _placed(frame, mapping, where)
    moved = (placed.assign(value=placed["value"] * placed["share"])
             .groupby(["new", "period"], as_index=False)["value"].sum().rename(columns={"new": "area_code"}))
    _preserved(frame.groupby("period")["value"].sum(), moved.groupby("period")["value"].sum(), where)
    return moved, placed


def move_rates(frame: pd.DataFrame, mapping: pd.DataFrame, weights: pd.DataFrame,
               where: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Combine rates on the old areas of ``mapping`` to its new areas: means weighted by population.

    ``frame``: area_code, period, value (a rate, in any unit), a row per area and period. ``weights``:
    area_code, period, weight (people, above 0) on the same areas, and optionally ``status`` (ok,
    carried_forward, estimated); more areas or periods than the frame's do no harm. Returns (area_code, period,
    value, weight, status), with the weights summed and the worst status, and the area audit as
    :func:`move_counts` (``total`` is missing: rates do not add up). A missing rate makes the rate of its new
    area missing; it is never left out of a mean. A mean of rates is not the rate that counts would give if they
    were published; the weights should be the rate's own population.

    Raises DidError as :func:`move_counts`, and for an area and period without a weight above 0.
    """
    _check(frame, mapping, where)
    _once(weights, f"{where or 'rates'}, weights")
    weights = weights.assign(status=weights.get("status", "ok"))
    joined = frame[["area_code", "period", "value"]].merge(weights[["area_code", "period", "weight", "status"]],
                                                           on=["area_code", "period"], how="left")
    bare = joined.loc[~(joined["weight"] > 0)]
    if len(bare):
        row = bare.iloc[0]
        found = "none" if pd.isna(row.weight) else f"{row.weight:g}"
        raise DidError(f"{where or 'rates'}: expected a weight above 0 for {row.area_code} in {row.period}; found "
                       f"{found} ({len(bare)} in all); supply it or fill it from the nearest year")
    placed = _placed(joined, mapping, where)
    placed["weight"] = placed["weight"] * placed["share"]
    placed["product"] = placed["value"] * placed["weight"]
    placed["rank"] = placed["status"].map(STATUSES.index)
    groups = placed.groupby(["new", "period"])
    moved = pd.concat([groups["product"].sum(skipna=False), groups["weight"].sum(), groups["rank"].max()],
                      axis=1).reset_index()
    _preserved(joined.groupby("period")["weight"].sum(), moved.groupby("period")["weight"].sum(), where)
    # An area that is only renamed keeps its rate to the last digit, which a product and quotient would not.
    alone = placed.loc[~placed.duplicated(["new", "period"], keep=False)].set_index(["new", "period"])["value"]
    key = pd.MultiIndex.from_frame(moved[["new", "period"]])
    rates = moved["product"] / moved["weight"]
    moved["value"] = pd.Series(alone.reindex(key).to_numpy(), index=moved.index).where(key.isin(alone.index), rates)
    moved["status"] = moved["rank"].map(STATUSES.__getitem__)
    moved = moved.rename(columns={"new": "area_code"})[["area_code", "period", "value", "weight", "status"]]
    return moved, _area_audit(frame, mapping, totals=False)


def fill_weights(weights: pd.DataFrame, codes: list[str], periods: list[str], where: str = "") -> pd.DataFrame:
    """Give every area a weight in every period: its own, else that of the nearest period that has one.

    ``weights``: area_code, period, weight. Returns area_code, period, weight, status, a row for each of
    ``codes`` and ``periods``: ``ok``; ``carried_forward`` from the last period before; or ``estimated``, the
    first period after taken back, for periods before an area's first.

    Raises DidError for an area without a weight in any period, and an area and period twice.
    """
    where = where or "weights"
    given = weights.dropna(subset=["weight"])
    _once(given, where)
    wide = given.pivot(index="area_code", columns="period", values="weight")
    without = sorted(set(codes) - set(wide.index))
    if without:
        raise DidError(f"{where}: expected a weight for {without[0]} in some period; found none "
                       f"({len(without)} areas are without); supply it")
    wide = wide.reindex(index=sorted(codes), columns=sorted(set(wide.columns) | set(periods)))
    forward = wide.ffill(axis=1)
    filled = forward.bfill(axis=1)
    status = pd.DataFrame("ok", index=wide.index, columns=wide.columns)
    status = status.mask(wide.isna(), "carried_forward").mask(forward.isna(), "estimated")
    long = filled[sorted(periods)].stack().rename("weight").reset_index()
    return long.assign(status=status[sorted(periods)].stack().to_numpy())


def align(frame: pd.DataFrame, chain: Chain, date: str, *, where: str = "",
          weights: pd.DataFrame | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move observations on areas of several configurations to the one of ``date``, in ODS codes.

    ``frame``: area_code (ODS or GSS), area_name, area_type, period (ISO text), value; without rows for a
    country. ``area_type`` names each row's configuration (``ccg_2019``), or only its kind (``ccg``): then the
    configuration of each period is found from the codes in it. Without ``weights`` values are counts and
    are summed; with them they are rates: area_code, area_type, period, value (people) of one configuration
    no later than the rates'. Weights of periods that have none come from the nearest (:func:`fill_weights`).

    Returns (area_code, period, value), and for rates weight and status; and the area audit, a row per area code
    as published.

    Raises DidError for an area type that is not of the chain, codes of another configuration, weights of
    several configurations or later ones, and as :func:`move_counts` and :func:`move_rates`.
    """
    where = where or "observations"
    if weights is not None:
        weights, weights_date = _on_one_configuration(weights, chain, f"{where}, weights")
        areas = chain.codes_at(weights_date)["code"].to_list()
        weights = fill_weights(weights.rename(columns={"value": "weight"}), areas,
                               sorted(frame["period"].unique()), f"{where}, weights")
    parts, area_audits = [], []
    for start, group in _dated(frame, chain, where).groupby("configuration", sort=True):
        translated = group.assign(area_code=chain.to_ods(group["area_code"], start, where))
        mapping = chain.mapping(start, date)
        if weights is None:
            moved, area_audit = move_counts(translated, mapping, where)
        else:
            here = _moved_weights(weights, chain.mapping(weights_date, start), where)
            moved, area_audit = move_rates(translated, mapping, here, where)
        published = dict(zip(translated["area_code"], group["area_code"], strict=True))
        parts.append(moved)
        area_audits.append(area_audit.assign(area_code=area_audit["area_code"].map(published)))
    joined = pd.concat(parts).sort_values(["area_code", "period"], ignore_index=True)
    return joined, _combine(pd.concat(area_audits))


def _check(frame: pd.DataFrame, mapping: pd.DataFrame, where: str) -> None:
    """Raise DidError for an area of another configuration, or an area and period twice."""
    where = where or "figures"
    unknown = sorted(set(frame["area_code"]) - set(mapping["old"]))
    if unknown:
        described = mapping.attrs.get("codes", {}).get(unknown[0], "")
        raise DidError(foreign(where, unknown[0], described, mapping.attrs.get("from", "the mapping"), mapping["old"]))
    _once(frame, where)


def _once(frame: pd.DataFrame, where: str) -> None:
    twice = frame.loc[frame.duplicated(["area_code", "period"])]
    if len(twice):
        row = twice.iloc[0]
        raise DidError(f"{where}: expected one row for {row.area_code} in {row.period}; found two; remove one")


def _placed(frame: pd.DataFrame, mapping: pd.DataFrame, where: str) -> pd.DataFrame:
    """Each row once per new area, with its share; DidError where a new area has only some of its old ones."""
    placed = frame.drop(columns=["old", "new", "share"], errors="ignore").merge(
        mapping[["old", "new", "share"]], left_on="area_code", right_on="old", how="left")
    expected = mapping.groupby("new")["old"].nunique()
    there = placed.groupby(["new", "period"], as_index=False)["old"].nunique()
    short = there.loc[there["old"] < there["new"].map(expected)]
    if len(short):
        new, period = short.iloc[0]["new"], short.iloc[0]["period"]
        have = set(placed.loc[(placed["new"] == new) & (placed["period"] == period), "old"])
        lacking = sorted(set(mapping.loc[mapping["new"] == new, "old"]) - have)
        raise DidError(f"{where or 'figures'}: {new} is made of {listed(sorted(have | set(lacking)))}: expected all "
                       f"of them in {period}; {listed(lacking)} not found; supply it or leave the period out")
    return placed


def _preserved(before: pd.Series, after: pd.Series, where: str) -> None:
    wrong = (before - after).abs() > _SAME * before.abs().clip(lower=1)
    if wrong.any():
        period = wrong.index[wrong][0]
        raise DidError(f"{where or 'figures'}: the total of {period} must stay {before[period]:.10g} when areas are "
                       f"moved; found {after[period]:.10g}; check the shares of the mapping")


def _area_audit(frame: pd.DataFrame, mapping: pd.DataFrame, totals: bool) -> pd.DataFrame:
    """What became of each old area in ``frame``."""
    seen = frame.groupby("area_code").agg(n_periods=("period", "nunique"), total=("value", "sum"))
    rows = mapping.loc[mapping["old"].isin(seen.index)].copy()
    several = rows.groupby("old")["new"].transform("nunique") > 1
    joined = rows["new"].map(mapping.groupby("new")["old"].nunique()) > 1
    # A part taken by share is an estimate, and is listed as one.
    rows["fate"] = pd.Series("kept", index=rows.index).mask(joined, "merged").mask(several, "imputed")
    rows = rows.sort_values(["old", "share", "new"], ascending=[True, False, True])
    area_audit = rows.groupby("old", as_index=False).agg(area_name=("old_name", "first"), fate=("fate", "first"),
                                                      unit=("new", "first"), reason=("reason", "; ".join))
    area_audit = area_audit.rename(columns={"old": "area_code"})
    area_audit["n_periods"] = area_audit["area_code"].map(seen["n_periods"])
    area_audit["total"] = area_audit["area_code"].map(seen["total"]) if totals else float("nan")
    return area_audit[["area_code", "area_name", "fate", "unit", "n_periods", "total", "reason"]]


def _combine(area_audit: pd.DataFrame) -> pd.DataFrame:
    """One row per code that several configurations share: periods and totals add up, the strongest fate holds."""
    ranked = area_audit.assign(rank=area_audit["fate"].map(FATES.index))
    groups = ranked.groupby("area_code")
    combined = groups.agg(
        area_name=("area_name", "last"), rank=("rank", "max"), unit=("unit", "last"), n_periods=("n_periods", "sum"),
        reason=("reason", lambda reasons: "; ".join(dict.fromkeys(reasons))))
    combined["total"] = groups["total"].sum(min_count=1)
    combined = combined.reset_index()
    combined["fate"] = combined["rank"].map(FATES.__getitem__)
    return combined[list(area_audit.columns)]


def _dated(frame: pd.DataFrame, chain: Chain, where: str) -> pd.DataFrame:
    """Add to each row the date of its configuration."""
    if frame.empty:
        raise DidError(f"{where}: expected rows for areas; found none; check the measure and the window")
    parts = []
    for (area_type, period), group in frame.groupby(["area_type", "period"], sort=True):
        kind, date = configuration(area_type)
        if f"{kind}_successions.csv" != Path(chain.name).name:
            raise DidError(f"{where}: area type '{area_type}' ({group['area_code'].iloc[0]}, {period}): expected one "
                           f"of the chain {chain.name}; found another kind of area; leave it out or correct it")
        date = date or chain.detect(group["area_code"], f"{period[:4]}-04-01", where)
        parts.append(group.assign(configuration=date))
    return pd.concat(parts)


def _on_one_configuration(weights: pd.DataFrame, chain: Chain, where: str) -> tuple[pd.DataFrame, str]:
    dated = _dated(weights, chain, where)
    dates = sorted(dated["configuration"].unique())
    if len(dates) > 1:
        raise DidError(f"{where}: expected one configuration of areas; found those of {', '.join(dates)}; "
                       "give the weights on one of them")
    return dated.assign(area_code=chain.to_ods(dated["area_code"], dates[0], where)), dates[0]


def _moved_weights(weights: pd.DataFrame, mapping: pd.DataFrame, where: str) -> pd.DataFrame:
    """Weights summed to the configuration of the rates, each with the worst status of its parts."""
    moved, placed = _summed(weights.rename(columns={"weight": "value"}), mapping, f"{where}, weights")
    rank = placed["status"].map(STATUSES.index).groupby([placed["new"], placed["period"]]).max()
    return moved.rename(columns={"value": "weight"}).assign(status=rank.map(STATUSES.__getitem__).to_numpy())
