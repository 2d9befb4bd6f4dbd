# %% [markdown]
# # Your own panel
#
# A data frame with a row per unit and period is all it takes. This one is made up: 36 clinics over ten years, some of
# which joined a programme in 2016, others in 2019. Read yours with `pd.read_csv`, `polars.read_parquet` or another.

# %%
import did

clinics = did.example().rename(columns={"visits": "visits (made up)"})
clinics.head(3)

# %%
panel = did.Panel(clinics, outcome="visits (made up)", unit="clinic", period="year", cohort="first_year",
                  cluster="network")
panel

# %% [markdown]
# ## Effects by years since the start
#
# Callaway and Sant'Anna: each cohort against clinics not treated by then, averaged by years since the start.

# %%
fit = did.callaway_santanna(panel)
by_year = fit.aggregate("event_time")
by_year.plot()

# %%
by_year.inference("clustered")

# %% [markdown]
# ## One number, and how sure
#
# Nine networks are few. The first method is the default for so few; the others are asked for by name.

# %%
for method in (None, "randomisation", "wild_bootstrap"):
    low, high = did.did(panel).inference(method, draws=199 if method else None).conf_int().loc["overall"]
    print(f"{method or 'default':15} {low:5.2f} to {high:.2f}")

# %% [markdown]
# ## Does it rest on one estimator, one comparison or one network?

# %%
did.compare(panel).plot()

# %%
did.decompose(panel).plot()

# %%
did.leave_one_out(panel).to_frame()[["item", "value", "ci_low", "ci_high"]].round(2)

# %% [markdown]
# ## Everything in one page
#
# `did.evidence` runs every check that applies and says in words what holds; `report` writes it as one HTML file.

# %%
found = did.evidence(panel)
print(found)
