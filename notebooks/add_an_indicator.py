# %% [markdown]
# # Add an outcome of your own
#
# A CSV of counts by commissioning group becomes an outcome of the evaluation by two commands and no Python:
# `did indicator new` reads the file and writes its config, `did indicator check` says what its figures would become.
# The figures here are made up, and all is done in a temporary folder, so that the project's own config stays as it is.

# %%
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]

# %% [markdown]
# ## The file
#
# One row for each month and commissioning group: attendances at A&E, and how many were seen within four hours.


# %%
def made_up_attendances() -> pd.DataFrame:
    """Return 36 months of counts for every commissioning group of the reference table, the same each time."""
    groups = pd.read_csv(ROOT / "data/reference/ccg_systems.csv", dtype=str)["unit"].unique()
    months = pd.period_range("2016-04", "2019-03", freq="M").astype(str)
    table = pd.MultiIndex.from_product([months, groups], names=["month", "ccg"]).to_frame(index=False)
    draw = np.random.default_rng(1)
    attendances = draw.integers(2_000, 9_000, len(table))
    return table.assign(within=draw.binomial(attendances, 0.9), attendances=attendances)


# %% [markdown]
# ## The two commands
#
# They are run as at a terminal, in a folder with the project's `config` and `data/reference`.


# %%
def did(folder: Path, *arguments: str) -> None:
    """Run one `did` command in ``folder``, and print it and what it said; end with its message if it failed."""
    print("$", shlex.join(["did", *arguments]), flush=True)
    program = [sys.executable, "-c", "from did.cli.entry import main; main()"]
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run([*program, *arguments], cwd=folder, env=os.environ | {"PYTHONPATH": path},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    if done.returncode:
        sys.exit(done.stdout)
    print(done.stdout)


# %%
with tempfile.TemporaryDirectory() as place:
    project = Path(place)
    shutil.copytree(ROOT / "config", project / "config")
    shutil.copytree(ROOT / "data/reference", project / "data/reference")
    attendances = made_up_attendances()
    attendances.to_csv(project / "ae.csv", index=False)
    print(f"ae.csv: {len(attendances):,} rows, the first three:")
    print(attendances.head(3).to_string(index=False), end="\n\n")
    did(project, "indicator", "new", "ae_four_hour", "--file", "ae.csv", "--numerator-column", "within",
        "--denominator-column", "attendances", "--unit", "% of attendances", "--title", "A&E within four hours")
    print((project / "config/indicators/ae_four_hour.yaml").read_text(encoding="utf-8"))
    did(project, "indicator", "check", "ae_four_hour", "--offline")

# %% [markdown]
# In the project itself the next `make run` would include the outcome: its tables, figures and tests, and its place in
# the report.
