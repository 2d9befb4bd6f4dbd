# %% [markdown]
# # Reproduce a published table
#
# Do laws that widen the right to use force in self-defence change homicide (Cheng and Hoekstra 2013, Journal of Human
# Resources 48:821-854)? States passed them in different years, so the two-way fixed effects estimate is a weighted
# average of simple comparisons (Goodman-Bacon 2021). The vignette of R's `bacondecomp`
# (https://cran.r-project.org/web/packages/bacondecomp/vignettes/bacon.html) prints that decomposition: seven numbers,
# written as claims in `tests/published/castle_doctrine.csv`. The data come with the package `causaldata`.

# %%
import tempfile
from pathlib import Path

import pandas as pd
from causaldata import castle

from did.estimators import names
from did.estimators.decomposition import TYPES, decompose, shares
from did.evidence import compare, load_claims
from did.readers.panel_columns import Columns
from did.readers.panel_file import load
from did.stages import estimate

ROOT = Path(__file__).resolve().parents[1]
PRINTED = {"weight": "weight", "average": "estimate"}

# %% [markdown]
# ## The data, under two specifications
#
# `post` begins in the first full year of a law; the vignette counts from the year the law took effect, the year before.

# %%
data = castle.load_pandas().data[["sid", "year", "post", "l_homicide"]].astype(float)
first_post = data.loc[data["post"] == 1].groupby("sid")["year"].min()
print(f"{data['sid'].nunique()} states, {data['year'].min():.0f} to {data['year'].max():.0f}, "
      f"{len(first_post)} with a law", end="\n\n")


# %%
def estimates(specification: str, years_back: int) -> pd.DataFrame:
    """Return the two-way estimate and the parts it is made of, where cohorts begin that long before `post`."""
    columns = Columns("l_homicide", "sid", "year", "cohort")
    rows = data.assign(cohort=(data["sid"].map(first_post) - years_back).fillna(0))
    with tempfile.TemporaryDirectory() as folder:
        source, output = f"{folder}/castle.csv", f"{folder}/estimates.csv"
        rows.astype({"sid": int, "year": int, "cohort": int}).to_csv(source, index=False)
        estimate.run(source, columns, estimators=["did"], outputs=estimate.Outputs(output))
        fitted = pd.read_csv(output, dtype={"note": str}).fillna({"note": ""})
        panel, _ = load(source, columns)
    parts = shares(decompose(panel)).set_index("type").loc[list(TYPES)].reset_index()
    # A part has no standard error: it is a share, or an average of comparisons, as the vignette prints it.
    untested = dict.fromkeys(["std_error", "ci_low", "ci_high", "p_value"], float("nan"))
    about = fitted.iloc[0].to_dict() | untested | {"estimator": "decomposition"}
    made = [about | {"estimand": f"{kind} {part['type']}", "estimate": part[column]}
            for part in parts.to_dict("records") for kind, column in PRINTED.items()]
    return pd.concat([fitted, pd.DataFrame(made)], ignore_index=True).assign(specification=specification)


# %% [markdown]
# ## Each printed number, alongside ours, and a verdict
#
# A value is reproduced if ours, rounded to the digits printed, is the number printed.

# %%
claims = load_claims(ROOT / "tests/published/castle_doctrine.csv", ["l_homicide"],
                     estimators=[*names(), "decomposition"])
for specification, years_back in {"year_of_law": 1, "first_full_year": 0}.items():
    table = compare(claims, estimates(specification, years_back), specification)
    print(f"Specification {specification}: {table['number'].eq('exact').sum()} of {len(table)} reproduced")
    print(table[["claim", "estimand", "published_value", "estimate", "number"]].to_string(index=False), end="\n\n")
