"""The batches of a sweep put together: adjusted p-values, failures with their reasons, a page and a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import entry
from did.inference.methods import METHODS
from did.inference.multiplicity import benjamini_hochberg, holm
from did.report.figures.style import NOT_REAL, SYNTHETIC, Frame
from did.report.figures.sweep import UP, volcano
from did.store import seals
from did.store.provenance import write_text
from did.store.result_csv import write_csv
from did.sweep.batches import settings_of
from did.words import count, decimals_for, interval, markdown_cell, markdown_table, number, plural

TABLE = ["indicator", "title", "family", "estimator", "cluster", "estimate", "std_error", "ci_low", "ci_high",
         "p_value", "p_holm", "p_benjamini_hochberg", "n_tests", "outcome_sd", "estimate_in_sd", "first_period",
         "last_period", "n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters", "df", "inference",
         "measured_coverage", "note",
         "is_synthetic"]
FAILURES = ["indicator", "title", "family", "estimator", "stage", "file", "reason", "is_synthetic"]
FILES = ["estimates.csv", "failures.csv", "summary.md", "volcano.svg", "volcano.csv", "volcano.txt"]
ON_PAGE = 20


def adjusted(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the estimates of a sweep, `TABLE`, with p-values adjusted over indicators.

    ``rows`` as `did.sweep.fit.fit_batch` gives them, without the failed. Adjusted within each estimator and cluster
    level: by Holm 1979 and by Benjamini and Hochberg 1995. ``n_tests`` is the number of p-values there; a row without
    a p-value is not counted and has no adjusted one. ``estimate_in_sd`` is the estimate over ``outcome_sd``, the
    outcome's standard deviation before anyone is treated; missing where that is 0 or not defined.
    """
    table = rows.assign(p_holm=np.nan, p_benjamini_hochberg=np.nan, n_tests=0)
    for _, here in table.groupby(["estimator", "cluster"], sort=False):
        table.loc[here.index, "p_holm"] = holm(here["p_value"])
        table.loc[here.index, "p_benjamini_hochberg"] = benjamini_hochberg(here["p_value"])
        table.loc[here.index, "n_tests"] = int(here["p_value"].notna().sum())
    spread = table["outcome_sd"].where(table["outcome_sd"] > 0)
    return table.assign(estimate_in_sd=table["estimate"] / spread)[TABLE]


def collect(plan: str | Path, done: list[str], results: str | Path) -> str:
    """Write the results of a sweep from its finished batches and return a line about them.

    ``plan`` is the plan's file, ``done`` the batches' tables in order, ``results`` the folder to write `FILES` to.
    Everything is labelled if an indicator is synthetic. Raises DidError for a plan or a batch that cannot be read.
    """
    results = Path(results)
    about = _plan(plan)
    settings = settings_of(about["settings"])
    rows = pd.concat([seals.read(path, "did sweep")[0] for path in done], ignore_index=True)
    rows = rows.sort_values("position", kind="stable").reset_index(drop=True)
    failed = rows["reason"] != ""
    table = adjusted(rows[~failed].reset_index(drop=True))
    failures = rows.loc[failed, FAILURES].reset_index(drop=True)
    write_csv(results / "estimates.csv", table)
    write_csv(results / "failures.csv", failures)
    is_synthetic = bool(rows["is_synthetic"].any())
    frame = Frame(results / "volcano", f"Estimates and p-values of {plural(table['indicator'].nunique(), 'indicator')}",
                  f"Effect in standard deviations of the outcome before anyone is treated, against {UP}",
                  Path(about["source"]).name, is_synthetic=is_synthetic)
    volcano(table, frame, level=settings.level, estimators=settings.estimators)
    write_text(results / "summary.md", page(about, rows, table, failures, settings.level))
    n_failed = rows.loc[failed & (rows["estimator"] == ""), "position"].nunique()
    return (f"{about['name']}: {count(table['indicator'].nunique())} of {plural(about['indicators'], 'indicator')} "
            f"estimated, {count(n_failed)} failed; {results / 'summary.md'}")


def page(about: Mapping, rows: pd.DataFrame, table: pd.DataFrame, failures: pd.DataFrame, level: float) -> str:
    """Return the page of a sweep as Markdown: counts, smallest p-values, failures by reason, files."""
    synthetic = rows.groupby("position")["is_synthetic"].first()
    title = f"# {SYNTHETIC if synthetic.any() else 'Sweep'}: {markdown_cell(about['name'])}"
    lines = [title, ""]
    if synthetic.any():
        lines += [f"{NOT_REAL} {count(synthetic.sum())} of {plural(len(synthetic), 'indicator')} "
                  f"{'is' if synthetic.sum() == 1 else 'are'} made up; the column `is_synthetic` says which.", ""]
    settings = about["settings"]
    lines += [f"{plural(about['indicators'], 'indicator')} of {markdown_cell(about['source'])}, "
              f"{count(table['indicator'].nunique())} estimated. Waves: {markdown_cell(settings['waves'])}; treatment "
              f"{settings['treatment']}.", "", "![Estimates against p-values](volcano.svg)", "",
              f"False discovery rate {level:.0%} by Benjamini and Hochberg, and Holm, over the indicators of each "
              "estimator and clustering. A small p-value is a reason to look at the indicator, not a finding: run its "
              "diagnostics first.", "", markdown_table(_counts(table, level), right=["indicators", "with a p-value",
              f"within {level:.0%} false discoveries", f"Holm below {level:.0%}"]), ""]
    if len(table):
        lines += [f"## Smallest p-values, {_main(table)}", "", markdown_table(
            _smallest(table, settings["confidence"]), right=["estimate", "in SD", "p", "adjusted p"]), ""]
    lines += ["## What failed", ""]
    if len(failures):
        grouped = failures.assign(estimator=failures["estimator"].replace("", "all"))
        shown = grouped.head(ON_PAGE).rename(columns={"stage": "at"})
        lines += [markdown_table(shown[["indicator", "estimator", "at", "reason"]]), ""]
        if len(failures) > ON_PAGE:
            lines += [f"and {count(len(failures) - ON_PAGE)} more in [failures.csv](failures.csv).", ""]
    else:
        lines += ["Nothing.", ""]
    what = {"volcano.csv": " (the numbers drawn)", "volcano.txt": " (the figure in words)"}
    lines += ["## Files", "", ", ".join(f"[{file}]({file}){what.get(file, '')}" for file in FILES
                                        if file != "summary.md") + "."]
    return "\n".join(lines) + "\n"


def _counts(table: pd.DataFrame, level: float) -> pd.DataFrame:
    found = []
    for (estimator, cluster), here in table.groupby(["estimator", "cluster"], sort=False):
        found.append({"estimator": entry(estimator).label, "clusters": cluster, "indicators": count(len(here)),
                      "with a p-value": count(here["p_value"].notna().sum()),
                      f"within {level:.0%} false discoveries": count((here["p_benjamini_hochberg"] <= level).sum()),
                      f"Holm below {level:.0%}": count((here["p_holm"] <= level).sum())})
    return pd.DataFrame(found, columns=["estimator", "clusters", "indicators", "with a p-value",
                                        f"within {level:.0%} false discoveries", f"Holm below {level:.0%}"])


def _widest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last estimator and cluster level: the ones that ask least of effects and of independence."""
    last = table.iloc[-1]
    return table[(table["estimator"] == last["estimator"]) & (table["cluster"] == last["cluster"])]


def _main(table: pd.DataFrame) -> str:
    here = _widest(table).iloc[0]
    return f"{entry(here['estimator']).label}, {_label(here['inference'])}, by {here['cluster']}"


def _label(method: str) -> str:
    return METHODS[method].label if method in METHODS else "no inference"


def _smallest(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    here = _widest(table)
    here = here[here["p_value"].notna()].sort_values("p_value", kind="stable").head(ON_PAGE)
    rows = []
    for row in here.itertuples():
        decimals = decimals_for(row.std_error)
        rows.append({"indicator": row.indicator, "title": row.title, "estimate": number(row.estimate, decimals),
                     f"{100 * confidence:g}% interval": interval(row.ci_low, row.ci_high, decimals),
                     "in SD": number(row.estimate_in_sd, 2), "p": _p(row.p_value),
                     "adjusted p": _p(row.p_benjamini_hochberg),
                     "synthetic": "yes" if row.is_synthetic else "no"})
    return pd.DataFrame(rows, columns=["indicator", "title", "estimate", f"{100 * confidence:g}% interval", "in SD",
                                       "p", "adjusted p", "synthetic"])


def _p(value: float) -> str:
    return "below 0.0001" if value < 0.0001 else f"{value:.4f}"


def _plan(path: str | Path) -> dict:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DidError(f"{path}: expected the plan of a sweep; found none that can be read; run did sweep "
                       "again") from error
