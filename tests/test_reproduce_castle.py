"""A published staggered case that nobody here chose the answers for, by the same claims file and verdicts.

The vignette of R's bacondecomp (https://cran.r-project.org/web/packages/bacondecomp/vignettes/bacon.html) prints the
Goodman-Bacon decomposition of the castle doctrine laws' effect on homicide (Cheng and Hoekstra 2013, Journal of Human
Resources 48:821-854): seven numbers. The data come with the package causaldata. Its `post` begins in the year after a
law; the vignette's is on from the year a law took effect, so a state's cohort is the year before its first `post`.
"""

from pathlib import Path

import pandas as pd
import pytest
from causaldata import castle

from did.estimators import names
from did.estimators.decomposition import TYPES, decompose, shares
from did.evidence import compare, load_claims
from did.evidence.ranking import judged, never_satisfied, ranking
from did.readers.panel_columns import Columns
from did.readers.panel_file import load
from did.stages import estimate

CLAIMS = Path(__file__).parent / "published" / "castle_doctrine.csv"
# Specification -> years from its first `post` back to a state's cohort.
SPECIFICATIONS = {"year_of_law": 1, "first_full_year": 0}


@pytest.fixture(scope="module")
def claims():
    return load_claims(CLAIMS, ["l_homicide"], estimators=[*names(), "decomposition"])


@pytest.fixture(scope="module")
def estimates(tmp_path_factory):
    """The two-way estimate by `did estimate`, and what it is made of, under both specifications."""
    data = castle.load_pandas().data[["sid", "year", "post", "l_homicide"]].astype(float)
    first = data.loc[data["post"] == 1].groupby("sid")["year"].min()
    columns = Columns("l_homicide", "sid", "year", "cohort")
    frames = []
    for specification, back in SPECIFICATIONS.items():
        folder = tmp_path_factory.mktemp(specification)
        rows = data.assign(cohort=(data["sid"].map(first) - back).fillna(0))
        rows.astype({"sid": int, "year": int, "cohort": int}).to_csv(folder / "castle.csv", index=False)
        estimate.run(str(folder / "castle.csv"), columns, estimators=["did"],
                     outputs=estimate.Outputs(folder / "estimates.csv"))
        fitted = pd.read_csv(folder / "estimates.csv", dtype={"note": str}).fillna({"note": ""})
        panel, _ = load(str(folder / "castle.csv"), columns)
        parts = shares(decompose(panel)).set_index("type").loc[list(TYPES)].reset_index()
        untested = dict.fromkeys(["std_error", "ci_low", "ci_high", "p_value"], float("nan"))
        about = fitted.iloc[0].to_dict() | untested | {"estimator": "decomposition"}
        printed = {"weight": "weight", "average": "estimate"}
        made = [about | {"estimand": f"{kind} {part['type']}", "estimate": part[column]}
                for part in parts.to_dict("records") for kind, column in printed.items()]
        frames.append(pd.concat([fitted, pd.DataFrame(made)]).assign(specification=specification))
    return pd.concat(frames, ignore_index=True)


def test_all_seven_numbers_are_reproduced_to_the_printed_digits(claims, estimates):
    table = compare(claims, estimates, "year_of_law")
    assert len(table) == 7 and set(table["number"]) == {"exact"}
    assert set(table["value_agrees"]) == {"yes"} and set(table["reasons"]) == {""}


def test_another_specification_gives_none_of_them(claims, estimates):
    table = compare(claims, estimates, "first_full_year")
    assert set(table["value_agrees"]) == {"no"} and "exact" not in set(table["number"])


def test_the_ranking_finds_the_specification(claims, estimates):
    overall = estimates.loc[estimates["estimand"] == "overall"].assign(design="one_at_a_time", n_choices=0, choices="")
    ranked = ranking(judged(overall, claims), {"homicide": ["l_homicide"]}, "first_full_year", "unit")
    assert ranked["specification"].tolist() == ["year_of_law", "first_full_year"]
    assert ranked["facts_satisfied"].tolist() == [2, 1] and not never_satisfied(ranked)
    assert ranked["is_default"].tolist() == [False, True]
