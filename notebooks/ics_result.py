# %% [markdown]
# # The result for Integrated Care Systems, from the tables of a run
#
# What the analysis estimates, whether the numbers in print are met, and how far the estimates can be trusted. All of
# it is in `results/demo/`, which `make run` writes, or in `results/` for the publishers' files; the folder may be given
# as the one argument. The tables of a demonstration are of made-up data: they show the method, and say nothing about
# the policy.

# %%
import sys
from pathlib import Path

import pandas as pd

from did.store.result_csv import read_csv
from did.words import interval, number, p_value

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results" / "demo"
TABLES = ("estimates", "reproduction", "diagnostics")

# %%
missing = [name for name in TABLES if not (RESULTS / f"{name}.csv").is_file()]
if missing:
    sys.exit(f"{RESULTS}: expected the tables of a run; found no {missing[0]}.csv; run `make run` first")
estimates, reproduction, diagnostics = (read_csv(RESULTS / f"{name}.csv", low_memory=False) for name in TABLES)
print("Data:", "made up" if estimates["is_synthetic"].any() else "the publishers' own", end="\n\n")

# %% [markdown]
# ## The effect on each outcome
#
# Difference-in-differences of areas in a system and areas in none, all areas, the main specification; intervals and
# p-values by areas, and the p-value adjusted for the number of outcomes tested.

# %%
main_analysis = {"specification": "default", "sample": "full", "treatment": "binary", "estimator": "did",
                 "estimand": "overall", "cluster": "unit"}
effects = estimates.loc[(estimates[list(main_analysis)] == pd.Series(main_analysis)).all(axis=1)]
print(pd.DataFrame({
    "outcome": effects["indicator"],
    "effect": [number(value, 2, signed=True) for value in effects["estimate"]],
    "95% interval": [interval(low, high, 2) for low, high in zip(effects["ci_low"], effects["ci_high"], strict=True)],
    "p": [p_value(p) for p in effects["p_value"]],
    "adjusted": [p_value(p) for p in effects["p_adjusted"]],
    "treated": effects["n_treated"].astype(str) + " of " + effects["n_units"].astype(str),
}).to_string(index=False), end="\n\n")

# %% [markdown]
# ## The numbers in print
#
# Does each published number come out, with standard errors by areas and by systems: its value, sign, significance and
# number of observations, as far as they are printed?

# %%
numbers = pd.crosstab(reproduction["indicator"], reproduction["number"])
print("Whether the published numbers come out, by areas and by systems")
print(numbers.rename_axis(index=None, columns=None).to_string(), end="\n\n")

# %% [markdown]
# ## How far to trust it
#
# `linear_pretrend` asks whether trends differed before the onset: a small p speaks against the design. The other two
# test the effect in ways made for few treated systems: where they are large and the p-value above is small, the effect
# rests on too few systems. A test that could not be had is left empty.

# %%
asked = ["linear_pretrend", "randomisation", "wild_bootstrap"]
tests = diagnostics.loc[diagnostics["diagnostic"].isin(asked) & (diagnostics["sample"] == "full")
                        & (diagnostics["treatment"] == "binary") & (diagnostics["cluster"] == "system")
                        & (diagnostics["estimator"].isna() | (diagnostics["estimator"] == "did"))]
by_outcome = tests.pivot(index="indicator", columns="diagnostic", values="p_value").reindex(effects["indicator"])
print("Tests, by systems")
print(by_outcome.map(p_value, na_action="ignore").rename_axis(index=None, columns=None).to_string(na_rep=""))
