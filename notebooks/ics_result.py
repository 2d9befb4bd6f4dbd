# %% [markdown]
# # The ICS answer
#
# Did Integrated Care Systems of the first wave change delayed transfers of care? The panel is that of a run,
# `did run ics`: councils by month, delayed days per 100,000 adults, treated from June 2017 where they are in a system
# of the first wave. Another folder of a run's tables may be given as the one argument. Those in `data/demo` are made
# up: they show the method, and say nothing about the policy.

# %%
import sys
from pathlib import Path

import pandas as pd

import did

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data/demo")
file = folder / "processed/panel/dtoc_total.parquet"
if not file.is_file():
    sys.exit(f"{file}: expected the panel of a run; found none; run first: did run ics --data demo")
table = pd.read_parquet(file, filters=[("specification", "==", "default")])
outcome = "delayed days" + (" (SYNTHETIC: made up)" if table["is_synthetic"].any() else "")
table = table.rename(columns={"outcome": outcome})

# %%
panel = did.Panel(table, outcome=outcome, unit="unit", period="period", cohort="cohort", cluster="system")
panel

# %% [markdown]
# ## What the difference in differences is
#
# Councils of one system have more in common than others, so errors are by system. There are few treated systems, and
# the headline rule picks the method whose intervals hold a true zero as often as they say, measured on this very panel.

# %%
fit = did.did(panel)
print(fit.summary())

# %% [markdown]
# ## Before and after, in half-years
#
# Before the start the effects should lie about zero: there is none yet.

# %%
by_half_year = did.event_study(panel, bin_width=6).by("unit")
by_half_year.plot()

# %% [markdown]
# ## Do other estimators agree?

# %%
others = did.compare(panel, ["did", "ldv", "callaway_santanna", "synthetic_did"])
others.plot()

# %% [markdown]
# ## And if trends were not parallel?
#
# Intervals for the average effect if the trends of treated and untreated differed after the start by up to M times the
# largest difference between two half-years before it (Rambachan and Roth 2023).

# %%
by_half_year.bounds(m_bars=(0, 0.25, 0.5, 1)).plot()

# %% [markdown]
# The whole answer, all outcomes and every check, is in the report of the run: `results/report.html`.
