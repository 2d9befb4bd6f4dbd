"""Every claim alongside our estimate: each printed fact and ours, and one word for whether the number comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from did.errors import DidError
from did.estimators.registry import TWO_WAY
from did.inference.multiplicity import holm, with_tested_p
from did.project.claims import BANDS, CELL, rounds_to

# Reason code -> what it means.
REASONS = {
    "value_differs": "our estimate does not round to the printed value",
    "within_interval": "the printed value lies inside our 95% interval",
    "sign_differs": "our estimate has the other sign",
    "band_differs": "our p-value is not in the printed band",
    "n_differs": "our number of observations is another",
    "n_not_comparable": "the sample behind the printed numbers cannot be rebuilt from the files at hand",
    "data_missing": "the files are not at hand",
    "estimator_not_run": "the evaluation does not run the estimator",
    "cell_not_run": "the evaluation does not run the treatment or sample",
    "not_estimated": "the estimator has no estimate or no error here",
    "nothing_printed": "no value, sign or significance was printed",
}
# Share of our standard error within which an estimate that does not round to the printed value is close to it.
CLOSE = 0.1
FACTS = ("value", "sign", "significance", "n")
AGREEMENTS = ["value_agrees", "value_in_interval", "sign_agrees", "significance_agrees", "n_agrees"]
COUNTS = ["event_time", "published_n", "published_n_panel", "n_obs", "n_units", "n_treated", "n_clusters",
          "n_treated_clusters", "did_n_obs"]
BESIDE = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs"]


def compare(
    claims: pd.DataFrame,
    estimates: pd.DataFrame,
    specification: str,
    *,
    estimators: Iterable[str] | None = None,
    treatments: Iterable[str] | None = None,
    samples: Iterable[str] | None = None,
    close: float = CLOSE,
) -> pd.DataFrame:
    """Set each claim alongside our estimate under one specification: rows of the comparison table, one per claim and
    level of clustering.

    ``claims`` as from `did.project.claims.load_claims`; ``estimates`` the estimates table. What `agreement` and
    `number_word` (with ``close``) say stands alongside the printed facts. Claims by an estimator, for a treatment or a
    sample outside ``estimators``, ``treatments`` and ``samples`` (any, if None) cannot run. The columns that begin with
    ``did_`` repeat the cell by difference-in-differences.

    Raises DidError if a claim has no estimate though it should, naming it.
    """
    ours = estimates.loc[estimates["specification"] == specification]
    overall = ours.loc[(ours["estimator"] == TWO_WAY) & (ours["estimand"] == "overall")]
    did = (overall.set_index(["indicator", "treatment", "sample", "cluster"])[BESIDE].add_prefix("did_")
           .to_dict("index"))
    cells = _by_cell(ours, claims)
    clusters = list(dict.fromkeys(ours["cluster"]))
    synthetic = bool(estimates["is_synthetic"].any())
    rows = []
    for claim in claims.itertuples():
        code, why = _not_run(claim, estimators, treatments, samples)
        if code:
            rows += [_cannot_run(claim, specification, cluster, code, why, synthetic) for cluster in clusters]
            continue
        cell = cells.get(tuple(getattr(claim, name) for name in CELL))
        if cell is None:
            raise DidError(f"claim {claim.claim}: no estimate of {claim.indicator} by {claim.estimator}, "
                           f"{claim.treatment}, {claim.sample} ({claim.estimand}) under specification {specification}; "
                           f"add them to "
                           "the evaluation")
        rows += [_row(claim, estimate, did, close) for estimate in cell]
    return _table(rows)


def unavailable(claims: pd.DataFrame, reasons: Mapping[str, str], specification: str, clusters: Iterable[str], *,
                is_synthetic: bool) -> pd.DataFrame:
    """Return the rows of the comparison table for claims that cannot run, because their indicators have no files.

    ``claims`` as from `did.project.claims.load_claims`, of which those on the indicators in ``reasons`` (indicator ->
    why it is not available) are taken, once for each of the ``clusters``; ``is_synthetic``: the run is of made-up data.
    """
    return _table([_cannot_run(claim, specification, cluster, "data_missing", reasons[claim.indicator], is_synthetic)
                   for claim in claims.itertuples() if claim.indicator in reasons for cluster in clusters])


def with_holm(comparison: pd.DataFrame, headline: pd.DataFrame) -> pd.DataFrame:
    """Return the claims about one family of outcomes with ``p_holm``, their p-values adjusted by Holm
    (1979, Scand. J. Statist. 6:65-70) for having asked all of them: rows of the tested_claims table.

    The p-values are those that `did.inference.multiplicity.with_tested_p` adds: of the headline interval (rows of that
    table in ``headline``) where there is one. Tested together are the claims that were estimated, by one estimator and
    level of clustering, whatever treatment, sample or effect they are on. A row without a p-value counts as no test,
    and has none after.
    """
    tested = with_tested_p(comparison, headline)
    adjusted = tested.groupby(["estimator", "cluster"])["p_tested"].transform(holm)
    return tested.assign(p_holm=adjusted)[_columns("tested_claims")]


def in_order(rows: pd.DataFrame, claims: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the order of the claims file, the levels of clustering of each claim as they were; ``claims``
    as from `did.project.claims.load_claims`."""
    places = {claim: place for place, claim in enumerate(claims["claim"])}
    return rows.sort_values("claim", key=lambda names: names.map(places), kind="stable", ignore_index=True)


def _table(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows).reindex(columns=_columns("comparison")).astype(
        dict.fromkeys(COUNTS, "Int64") | {"few_treated": "boolean"})


def _columns(table: str) -> list[str]:
    # Imported here: pandera takes a while, and what only asks which claims there are goes without.
    from did.store.tables import SCHEMAS

    return list(SCHEMAS[table].columns)


def agreement(claim, row) -> dict[str, str]:
    """Compare the printed facts of a claim with an estimate: ``yes``, ``no`` or ``not printed`` for each.

    ``claim`` is a row of the claims, ``row`` one of the estimates or specifications table (estimate, ci_low, ci_high,
    p_value, n_obs). ``value_agrees``: rounds to the printed digits (`did.project.claims.rounds_to`);
    ``value_in_interval``: the printed value lies inside our interval; ``sign_agrees``, ``significance_agrees``,
    ``n_agrees``: same sign, p-value in the printed band, same number of observations. What cannot be compared is
    ``cannot run``: N of a claim whose sample cannot be rebuilt, and everything if there is no estimate, or no p-value.
    """
    estimated, tested = pd.notna(row.estimate), pd.notna(row.p_value)
    return {
        "value_agrees": _agrees(claim.value, estimated, lambda: rounds_to(row.estimate, claim.value, claim.rounding)),
        "value_in_interval": _agrees(claim.value, estimated and tested,
                                     lambda: row.ci_low <= float(claim.value) <= row.ci_high),
        "sign_agrees": _agrees(claim.sign, estimated, lambda: (row.estimate > 0) if claim.sign == "+"
                               else (row.estimate < 0)),
        "significance_agrees": _agrees(claim.significance, tested, lambda: BANDS[claim.significance](row.p_value)),
        "n_agrees": _agrees(claim.n_obs, estimated and not claim.not_comparable,
                            lambda: row.n_obs == int(claim.n_obs)),
    }


def number_word(claim, row, found: Mapping[str, str], close: float = CLOSE) -> tuple[str, list[str]]:
    """Return one of did.store.evidence_tables.NUMBERS for a claim and an estimate, and the codes of `REASONS` for it.

    ``found`` is what `agreement` says of them; ``close`` is a share of our standard error. In this order:

    - ``cannot_run``: there is no estimate, or no p-value where a band was printed.
    - ``not_printed``: no value, sign or significance was.
    - ``differs``: the printed sign, band or number of observations is not ours; or the printed value is not within
      ``close`` of our estimate.
    - ``exact``: our estimate rounds to the printed value. ``close``: it does not, but lies within ``close`` of it; or
      it rounds to it from a sample that is not the printed one, because that cannot be rebuilt.
    - ``agrees``: no value was printed, and what was is what we find.
    """
    codes = _codes(claim, found)
    if pd.isna(row.estimate) or (claim.significance and pd.isna(row.p_value)):
        return "cannot_run", ["not_estimated"]
    if not (claim.value or claim.sign or claim.significance):
        return "not_printed", ["nothing_printed", *codes]
    differs = {"sign_differs", "band_differs", "n_differs"} & set(codes)
    if not claim.value:
        return ("differs" if differs else "agrees"), codes
    if found["value_agrees"] == "yes" and not differs:
        return ("close" if claim.not_comparable else "exact"), codes
    near = abs(row.estimate - float(claim.value)) <= close * row.std_error   # False without an error
    return ("close" if near and not differs else "differs"), codes


def _codes(claim, found: Mapping[str, str]) -> list[str]:
    codes = []
    if found["value_agrees"] == "no":
        codes += ["value_differs"] + (["within_interval"] if found["value_in_interval"] == "yes" else [])
    for fact, code in (("sign", "sign_differs"), ("significance", "band_differs"), ("n", "n_differs")):
        codes += [code] if found[f"{fact}_agrees"] == "no" else []
    return codes + (["n_not_comparable"] if claim.not_comparable else [])


def _not_run(claim, estimators, treatments, samples) -> tuple[str, str]:
    """The code and the reason why the evaluation does not run a claim's cell; empty if it does."""
    if estimators is not None and claim.estimator not in estimators:
        return "estimator_not_run", f"the evaluation does not run {claim.estimator}"
    for word, run in ((claim.treatment, treatments), (claim.sample, samples)):
        if run is not None and word not in run:
            return "cell_not_run", f"the evaluation does not run {word}"
    return "", ""


def _by_cell(ours: pd.DataFrame, claims: pd.DataFrame) -> dict[tuple, list]:
    """The estimates that claims are on, by what identifies them, written as in a claims file: missing is empty."""
    ours = ours.loc[ours["estimator"].isin(claims["estimator"]) & ours["estimand"].isin(claims["estimand"])]
    cells: dict[tuple, list] = {}
    texts = {name: ours[name].astype(object).where(ours[name].notna(), "").astype(str) if name in ours
             else pd.Series("", ours.index) for name in CELL}
    for key, row in zip(zip(*texts.values(), strict=True), ours.itertuples(), strict=True):
        cells.setdefault(key, []).append(row)
    return cells


def _printed(claim) -> dict:
    """What the claim says, as columns."""
    same = ["claim", "figure", "pane", "outcome", *CELL, "unit", "rounding", "not_comparable", "as_printed"]
    return {name: getattr(claim, name) for name in same} | {
        "event_time": int(claim.event_time) if claim.event_time else None,
        "published_value": float(claim.value) if claim.value else None,
        "published_sign": claim.sign, "published_significance": claim.significance,
        "published_n": int(claim.n_obs) if claim.n_obs else None,
        "published_n_panel": int(claim.n_panel) if claim.n_panel else None,
    }


def _cannot_run(claim, specification: str, cluster: str, code: str, why: str, synthetic: bool) -> dict:
    return (
        _printed(claim)
        | dict.fromkeys(AGREEMENTS, "cannot run")
        | {
            "specification": specification,
            "cluster": cluster,
            "status": "cannot run",
            "number": "cannot_run",
            "reasons": code,
            "note": why,
            "is_synthetic": synthetic,
        }
    )


def _row(claim, estimate, did: Mapping[tuple, dict], close: float) -> dict:
    found = agreement(claim, estimate)
    word, codes = number_word(claim, estimate, found, close)
    same = [
        "specification",
        "cluster",
        *BESIDE,
        "n_units",
        "n_treated",
        "n_clusters",
        "n_treated_clusters",
        "few_treated",
        "note",
        "is_synthetic",
    ]
    printed = any([claim.value, claim.sign, claim.significance])
    return _printed(claim) | {name: getattr(estimate, name) for name in same} | found | {
        "difference": estimate.estimate - float(claim.value) if claim.value else None,
        "status": "printed" if printed else "not printed", "number": word, "reasons": "; ".join(codes),
        **did.get((claim.indicator, claim.treatment, claim.sample, estimate.cluster), {}),
    }


def _agrees(printed: str, comparable: bool, test) -> str:
    if not printed:
        return "not printed"
    if not comparable:
        return "cannot run"
    return "yes" if test() else "no"


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Return word for the number -> number of claims by the first clustering, of those that occur, in the order of
    did.store.evidence_tables.NUMBERS."""
    from did.store.evidence_tables import NUMBERS

    first = table.loc[table["cluster"] == table["cluster"].iloc[0], "number"] if len(table) else pd.Series(dtype=str)
    return {word: int((first == word).sum()) for word in NUMBERS if (first == word).any()}
