# %% [markdown]
# # A published table reproduced
#
# Do laws that widen the right to use force in self-defence change homicide (Cheng and Hoekstra 2013, Journal of Human
# Resources 48:821-854)? States passed them in different years, so the two-way fixed effects estimate is a weighted
# average of simple comparisons (Goodman-Bacon 2021, Journal of Econometrics 225:254-277). The vignette of R's
# `bacondecomp` (https://cran.r-project.org/web/packages/bacondecomp/vignettes/bacon.html) prints its seven numbers. The
# data come with the package `causaldata`.

# %%
import pandas as pd
from causaldata import castle

import did

states = castle.load_pandas().data[["sid", "year", "post", "l_homicide"]]
# The vignette counts from the year a law took effect; `post` begins in the first full year, the one after.
took_effect = states.loc[states["post"] == 1].groupby("sid")["year"].min() - 1
states = states.assign(cohort=states["sid"].map(took_effect))
panel = did.Panel(states, outcome="l_homicide", unit="sid", period="year", cohort="cohort")
panel

# %% [markdown]
# ## The decomposition

# %%
decomposition = did.decompose(panel)
decomposition.plot()

# %% [markdown]
# ## Printed and ours
#
# A part is an average of its comparisons, weighted by their weights.

# %%
pairs = decomposition.to_frame()
parts = pairs.assign(total=pairs["weight"] * pairs["estimate"]).groupby("type")[["weight", "total"]].sum()
parts["average"] = parts["total"] / parts["weight"]
printed = pd.DataFrame(
    {"weight": [0.05976, 0.03190, 0.90834], "average": [-0.00554, 0.07032, 0.08796]},
    index=["earlier vs later treated", "later vs earlier treated", "treated vs never treated"])
both = printed.join(parts[["weight", "average"]].round(5), suffixes=(", printed", ", ours"))
print(both.to_string())
two_way = did.did(panel).params["overall"]
print(f"Two-way fixed effects: 0.0818 printed, {two_way:.4f} ours")
same = (both["weight, printed"] == both["weight, ours"]) & (both["average, printed"] == both["average, ours"])
print(f"{2 * same.sum() + (round(two_way, 4) == 0.0818)} of 7 numbers reproduced")

# %% [markdown]
# ## What it hides
#
# Nine tenths of the weight are comparisons with states that never passed a law, so here the others do little harm: an
# estimator without them says much the same.

# %%
did.compare(panel, ["did", "callaway_santanna", "imputation", "stacked"]).plot()
