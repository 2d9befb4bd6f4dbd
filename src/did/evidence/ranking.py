"""Which specifications satisfy the printed facts, and which single choices move an estimate."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from did.evidence.comparison import CLOSE, FACTS, agreement, number_word

CELL_OF_SPECIFICATIONS = ["indicator", "estimator", "treatment", "sample"]
SPECIFICATIONS_COLUMNS = [
    "indicator",
    "specification",
    "design",
    "choices",
    "n_choices",
    "sample",
    "treatment",
    "estimator",
    "cluster",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "n_obs",
    "n_units",
    "n_treated",
    "n_clusters",
    "n_treated_clusters",
    "claim",
    "value_agrees",
    "sign_agrees",
    "significance_agrees",
    "n_agrees",
    "number",
    "note",
    "is_synthetic",
]
RANKING_COLUMNS = ["family", "rank", "specification", "design", "choices", "n_choices", "is_default", "facts_satisfied",
                   "facts_printed", "values", "signs", "bands", "ns", "not_satisfied", "is_synthetic"]
CHOICES_COLUMNS = ["claim", "indicator", "estimator", "treatment", "sample", "choice", "value", "design", "difference",
                   "smallest", "largest", "n_pairs", "is_synthetic"]


def judged(specifications: pd.DataFrame, claims: pd.DataFrame, close: float = CLOSE) -> pd.DataFrame:
    """Return the specifications table with the claim on each row's cell, if there is one, and what agrees with it.

    ``specifications`` is that table, ``claims`` as from load_claims, ``close`` as for `number_word`. Rows of a cell
    without a claim have these columns empty. Only claims on overall effects are looked for, which is what
    specifications hold.
    """
    on = {tuple(getattr(claim, name) for name in CELL_OF_SPECIFICATIONS): claim
          for claim in claims.loc[claims["estimand"] == "overall"].itertuples()}
    found = []
    # Of texts pandas' own arrays are slow to go through.
    compared = [*CELL_OF_SPECIFICATIONS, "estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs"]
    for row in specifications[compared].astype(object).itertuples():
        claim = on.get(tuple(getattr(row, name) for name in CELL_OF_SPECIFICATIONS))
        if claim is None:
            found.append({})
            continue
        facts = agreement(claim, row)
        found.append(facts | {"claim": claim.claim, "number": number_word(claim, row, facts, close)[0]})
    columns = ["claim", "value_agrees", "sign_agrees", "significance_agrees", "n_agrees", "number"]
    added = pd.DataFrame(found, index=specifications.index).reindex(columns=columns).astype(object).fillna("")
    return pd.concat([specifications, added], axis=1)[SPECIFICATIONS_COLUMNS]


def ranking(specifications: pd.DataFrame, families: dict[str, list[str]], default: str, cluster: str) -> pd.DataFrame:
    """Rank the specifications of each family by how many printed facts they satisfy at once; one row per specification.

    ``specifications`` as from `judged`; ``families`` maps a family to its indicators; ``default`` is the specification
    reported. A fact is a printed value, sign, band or N of a claim of the family that can be compared, errors clustered
    by ``cluster``; a specification is a setting of the whole family. A fact that a specification has no estimate for is
    not satisfied. Equal numbers share a rank; among them fewer changed choices come first. Columns values, signs, bands
    and ns count the facts satisfied by kind; not_satisfied lists the others as ``claim fact``. Families without a
    comparable fact are left out. Nothing here chooses a specification.
    """
    frames = []
    for family, members in families.items():
        rows = specifications.loc[specifications["indicator"].isin(members) & (specifications["cluster"] == cluster)
                            & (specifications["claim"] != "")]
        facts = pd.DataFrame({fact: rows[f"{fact}_agrees"] for fact in FACTS}).set_index(
            [rows["specification"], rows["claim"]]).stack()
        facts = facts[facts.isin(["yes", "no"])]
        if facts.empty:
            continue
        printed = facts.index.droplevel(0).unique()
        satisfied: dict[str, set[tuple[str, str]]] = {}
        for name, claim, fact in facts.index[facts == "yes"]:
            satisfied.setdefault(name, set()).add((claim, fact))
        settings = rows.drop_duplicates("specification")[["specification", "design", "choices", "n_choices"]]
        found, is_synthetic = [], bool(rows["is_synthetic"].any())
        for setting in settings.astype(object).itertuples():
            name, met = setting.specification, satisfied.get(setting.specification, set())
            kinds = [fact for _, fact in met]
            found.append({
                "family": family, "specification": name, "design": setting.design, "choices": setting.choices,
                "n_choices": setting.n_choices, "is_default": name == default, "facts_satisfied": len(met),
                "facts_printed": len(printed), "values": kinds.count("value"), "signs": kinds.count("sign"),
                "bands": kinds.count("significance"), "ns": kinds.count("n"),
                "not_satisfied": "; ".join(" ".join(fact) for fact in printed if fact not in met),
                "is_synthetic": is_synthetic,
            })
        frame = pd.DataFrame(found)
        frame["rank"] = frame["facts_satisfied"].rank(method="min", ascending=False).astype(int)
        frames.append(frame.sort_values(["rank", "n_choices", "specification"]))
    return pd.concat(frames, ignore_index=True)[RANKING_COLUMNS] if frames else pd.DataFrame(columns=RANKING_COLUMNS)


def never_satisfied(ranked: pd.DataFrame) -> list[str]:
    """Return the facts, as ``claim fact``, that no specification of a family's ranking satisfies."""
    lists = [set(text.split("; ")) - {""} for text in ranked["not_satisfied"]]
    everywhere = set.intersection(*lists) if lists else set()
    return [fact for fact in dict.fromkeys("; ".join(ranked["not_satisfied"]).split("; ")) if fact in everywhere]


def choices(specifications: pd.DataFrame, cluster: str) -> pd.DataFrame:
    """Return how far each single choice moves the estimate of each claim, largest first within a claim.

    ``specifications`` as from `judged`. Design ``one_at_a_time``: the specification that changes this choice alone,
    less the default. Design ``product``: the mean, with the smallest and the largest, of the differences between two
    specifications that differ in this choice alone, over all settings of the other choices of the product; ``n_pairs``
    of them. In units of the estimate. A choice without an estimate on both sides is left out.
    """
    rows = specifications.loc[(specifications["cluster"] == cluster) & (specifications["claim"] != "")
                              & specifications["estimate"].notna()]
    found = []
    for claim, cell in rows.groupby("claim", sort=False):
        estimate = dict(zip(map(_parts, cell["choices"]), cell["estimate"], strict=True))
        single = [setting for setting in estimate if len(setting) == 1]
        varied = frozenset().union(*map(_parts, cell["choices"][cell["design"] == "product"]))
        about = {"claim": claim, "is_synthetic": bool(cell["is_synthetic"].any()),
                 **{name: cell[name].iloc[0] for name in CELL_OF_SPECIFICATIONS}}
        for setting in single:
            (key, value), = setting
            if frozenset() in estimate:
                found.append(about | _moved(key, value, "one_at_a_time", [estimate[setting] - estimate[frozenset()]]))
            if (key, value) in varied:
                pairs = [found_there - estimate[other - setting] for other, found_there in estimate.items()
                         if setting <= other <= varied and other - setting in estimate]
                found.append(about | _moved(key, value, "product", pairs))
    table = pd.DataFrame(found, columns=CHOICES_COLUMNS)
    order = table["difference"].abs()
    return (table.assign(_place=table["claim"].map({name: place for place, name in enumerate(table["claim"].unique())}),
                         _size=-order).sort_values(["_place", "design", "_size", "choice", "value"])
            [CHOICES_COLUMNS].reset_index(drop=True))


def _moved(key: str, value: str, design: str, differences: list[float]) -> dict:
    return {"choice": key, "value": value, "design": design, "difference": float(np.mean(differences)),
            "smallest": min(differences), "largest": max(differences), "n_pairs": len(differences)}


@cache
def _parts(text: str) -> frozenset[tuple[str, str]]:
    """The choices of a specification, ``key=value; key=value``, as pairs."""
    return frozenset(tuple(part.split("=", 1)) for part in text.split("; ") if part)


