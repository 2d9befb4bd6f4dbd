"""What the report's section on one outcome holds: what a reader asks first, its figures, tests, area audit and
caveats."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from markupsafe import Markup

from did.project.config import Evaluation, Indicator
from did.report.content.evidence_words import evidence_table
from did.report.content.facts import Facts, estimator_name, only, select
from did.report.content.lead import leads
from did.report.content.notes import item, placebo_share, said
from did.report.content.summary_tables import area_audit_table
from did.report.pages.summary import answer, data_facts, overview, trend_sentence, where_zero_lies
from did.report.writers.html import Made, Table, bare_p, inline, table_of
from did.words import count, decimals_for, interval, listed, markdown_cell, number, p_value, plural

# Diagnostics with more rows than this are one row: how many, and from where to where.
MANY = 12
NOT_PRINTED = "The publication prints nothing on this outcome."
NOT_COMPARED = "This evaluation names no published number to compare with."
NOT_TESTED = "No test of the trend before treatment could be run; the diagnostics below say why."
PLACEBO = "In windows of two years before an onset and one after it:"
# Fates of areas in the order they are said, and their words.
FATES = {"kept": "kept", "merged": "merged", "excluded": "left out", "imputed": "imputed",
         "set_aside": "set aside (totals and residents of elsewhere)"}


def glance(indicator: Indicator, facts: Facts, tables: Mapping[str, pd.DataFrame],
           files: str) -> list[tuple[str, Markup]]:
    """Return what a reader asks of an outcome first, as pairs of a name and a sentence.

    Whether the estimate is told apart from zero, by the interval that leads; it with every clustering, what was printed
    and the verdict, trends before treatment, on how many systems it rests, what was left out, and from which files it
    came. ``facts`` are of this outcome alone.
    """
    ours, claims = _ours(tables, facts), tables["reproduction"]
    found = [("Told apart from zero?", _lead(tables, facts)), ("By clustered errors", _estimates(ours, facts)),
             ("Published number", inline(_published(claims, facts))),
             ("Before treatment", inline(trend_sentence(tables["diagnostics"], facts) or NOT_TESTED))]
    earlier = _placebo_in_time(tables["diagnostics"], facts)
    found += [("Other dates", inline(earlier))] if earlier else []
    row = _first(ours, facts, facts.estimator, list(facts.clusters)[-1])
    system = list(facts.clusters)[-1]
    found.append(("Rests on", inline(
        f"{count(row['n_treated'])} treated {facts.units} in {plural(int(row['n_treated_clusters']), system)} out of "
        f"{count(row['n_units'])} {facts.units} in {plural(int(row['n_clusters']), system)}; "
        f"{count(row['n_obs'])} rows by {estimator_name(facts.estimator)}. {data_facts(ours, facts)}")))
    found.append(("Left out of the data", inline(_left_out(tables["area_audit"], facts))))
    found.append(("Comes from", inline(f"{files}; in `estimates.csv` the rows of indicator `{indicator.id}`; the "
                                       f"command `did trace {indicator.id}` goes down to a cell of a file")))
    return found


def evidence(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> list[Table]:
    """Return a table for each of the outcome's verdicts: every question with its answer."""
    found = []
    for row in tables["verdicts"].loc[tables["verdicts"]["verdict"].ne("cannot_run")].to_dict("records"):
        cell = [facts.treatments.get(row["treatment"], row["treatment"]).lower(),
                facts.samples.get(row["sample"], row["sample"]), estimator_name(row["estimator"])]
        name = f"{row['target']}: " if row["claim"] else ""
        found.append(table_of(
            evidence_table(tables["evidence"], row), name=f"evidence-{facts.total}-{row['target']}",
            caption=f"{name}{', '.join(cell)}: {row['verdict'].replace('_', ' ')}",
            made=Made("evidence.csv", "reproduce")))
    return found


def _placebo_in_time(diagnostics: pd.DataFrame, facts: Facts) -> str:
    """How often each estimator finds as much at an onset before the true one; why not where no estimator could."""
    rows = diagnostics[diagnostics["diagnostic"].eq("placebo_in_time_share") & diagnostics["indicator"].eq(facts.total)
                       & diagnostics["specification"].isin([facts.specification, facts.staggered])
                       & diagnostics["treatment"].eq(next(iter(facts.treatments)))
                       & diagnostics["sample"].eq(next(iter(facts.samples)))]
    if rows.empty:
        return ""
    done = rows[rows["status"].eq("done")]
    if done.empty:
        return f"No onset before the true one could be tried: {markdown_cell(rows['reason'].iloc[0])}."
    parts = [f"by {estimator_name(row['estimator'])}"
             f"{', each wave from its own date' if row['specification'] != facts.specification else ''}, "
             f"{placebo_share(row)}" for row in done.to_dict("records")]
    return (f"{PLACEBO} {'; '.join(parts)}. The windows overlap, so that the estimates of one estimator are correlated "
            "and the share is no p-value.")


def _lead(tables: Mapping[str, pd.DataFrame], facts: Facts) -> Markup:
    """The estimate with the interval that leads, one line per treatment, and where there is more."""
    said = leads(facts, tables["estimates"], tables["diagnostics"], tables["headline"])
    more = Markup('<a href="{}">Is it real?</a>').format(said[0].page)
    return Markup("<br>").join([*(inline(lead.text) for lead in said), more])


def _ours(tables: Mapping[str, pd.DataFrame], facts: Facts) -> pd.DataFrame:
    estimates = tables["estimates"]
    return select(estimates[estimates["cluster"].isin(list(facts.clusters))], specification=facts.specification)


def _first(ours: pd.DataFrame, facts: Facts, estimator: str, cluster: str) -> pd.Series | None:
    return only(ours, indicator=facts.total, treatment=next(iter(facts.treatments)), estimator=estimator,
                sample=next(iter(facts.samples)), cluster=cluster)


def _estimates(ours: pd.DataFrame, facts: Facts) -> Markup:
    """One sentence per estimator, the published one first: estimate, intervals and where zero lies."""
    lines = []
    for estimator in dict.fromkeys([facts.estimator, facts.other_estimator]):
        rows = [row for cluster in facts.clusters if (row := _first(ours, facts, estimator, cluster)) is not None]
        if not rows:
            continue
        decimals = decimals_for(rows[0]["std_error"])
        spans = listed(f"{interval(row['ci_low'], row['ci_high'], decimals)} clustered "
                       f"{facts.clusters[row['cluster']]} ({p_value(row['p_value'])})" for row in rows)
        name = estimator_name(estimator)
        lines.append(inline(f"{name[:1].upper()}{name[1:]}: **{number(rows[0]['estimate'], decimals, signed=True)}** "
                            f"{facts.effect_unit}, 95% interval {spans}. {where_zero_lies(rows, facts)}"))
    return Markup("<br>").join(lines)


def _published(claims: pd.DataFrame, facts: Facts) -> str:
    """What was printed on the outcome and whether it comes out, one sentence per claim."""
    rows = claims[claims["indicator"] == facts.total]
    if rows.empty:
        return NOT_PRINTED if facts.n_published else NOT_COMPARED
    sentences, nothing = [], []
    for claim, group in rows.groupby("claim", sort=False):
        first = group.iloc[0]
        cell = (f"{facts.treatments.get(first['treatment'], first['treatment']).lower()}, "
                f"{facts.samples.get(first['sample'], first['sample'])}")
        if first["number"] == "not_printed":
            nothing.append(f"{claim} ({cell})")
            continue
        words = dict(zip(group["cluster"].map(facts.clusters), group["number"].str.replace("_", " "), strict=True))
        said = (f"**{next(iter(words.values()))}**" if len(set(words.values())) == 1 else
                listed(f"**{word}** clustered {name}" for name, word in words.items()))
        sentences.append(f"{claim} ({cell}) prints {markdown_cell(first['as_printed'])}: {said}.")
    if nothing:
        sentences.append(f"Nothing is printed for {listed(nothing)}.")
    return " ".join(sentences)


def _left_out(area_audit: pd.DataFrame, facts: Facts) -> str:
    rows = select(area_audit, indicator=facts.total, specification=facts.specification)
    counted = rows["fate"].value_counts()
    parts = [f"{count(counted[fate])} {words}" for fate, words in FATES.items() if fate in counted]
    why = rows.loc[rows["fate"].eq("excluded"), ["area_name", "reason"]].drop_duplicates("reason")
    reasons = " ".join(f"For example {markdown_cell(row.area_name)}. {markdown_cell(row.reason)}."
                       for row in why.head(1).itertuples())
    return (f"{plural(len(rows), 'area')} in the publishers' files: {listed(parts)}; each with its reason below. "
            f"{reasons}").strip()


def answers(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> list[Markup]:
    """Return the paragraphs of the family's page, for this outcome: how often zero lies where, then each treatment."""
    ours = _ours(tables, facts)
    here = [treatment for treatment in facts.treatments
            if ((ours["treatment"] == treatment) & (ours["indicator"] == facts.total)).any()]
    return [inline(overview(ours, facts)),
            *(inline(answer(ours, facts, tables["reproduction"], treatment)) for treatment in here)]


def area_audit(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> Table:
    """Return what became of the outcome's areas, a row per fate and reason."""
    frame = area_audit_table(tables["area_audit"], facts)
    return table_of(frame, name=f"area_audit-{facts.total}", right=["Areas", "Total"],
                    made=Made("area_audit.csv", "tabulate"),
                    caption=f"{facts.outcomes[facts.total]}: what became of each area in the publishers' files")


def diagnostics(facts: Facts, tables: Mapping[str, pd.DataFrame], evaluation: Evaluation) -> Table:
    """Return the outcome's diagnostics under the specifications shown, first sample, binary treatment: done and
    skipped.

    A diagnostic with more than `MANY` rows done is one row with the range of its values. Skipped ones are one row per
    reason.
    """
    rows = tables["diagnostics"]
    treatment, sample = evaluation.treatments[0], evaluation.sample
    rows = rows[rows["indicator"].eq(facts.total) & rows["specification"].isin([facts.specification, facts.staggered])
                & rows["sample"].eq(sample) & rows["treatment"].isin([treatment, ""])]
    blank = dict.fromkeys(["Diagnostic", "Of", "Value", "95% interval", "p", "Status", "Why or note"], "")
    lines, keys = [], []
    for name, group in rows.groupby("diagnostic", sort=False):
        words = name.replace("_", " ")
        words = words[:1].upper() + words[1:]
        done = group[group["status"].eq("done")]
        if len(done) > MANY:
            decimals = decimals_for(done["std_error"].median())
            low, high = (number(end, decimals) for end in (done["value"].min(), done["value"].max()))
            lines.append(blank | {"Diagnostic": words, "Of": f"{count(len(done))} rows in diagnostics.csv",
                                  "Value": f"{low} to {high}", "Status": "done"})
            keys.append((float("nan"), float("nan")))
            done = done.iloc[:0]
        for row in done.to_dict("records"):
            lines.append(_diagnostic(words, row, facts.clusters))
            keys.append((row["value"], row["p_value"]))
        for reason, skipped in group[group["status"].eq("skipped")].groupby("reason", sort=False):
            items = listed((item(row, treatment=False, clusters=facts.clusters)
                            for row in skipped.to_dict("records")), at_most=4)
            lines.append(blank | {"Diagnostic": words, "Of": items, "Status": "skipped", "Why or note": reason})
            keys.append((float("nan"), float("nan")))
    value, p = zip(*keys, strict=True) if keys else ((), ())
    return table_of(pd.DataFrame(lines, columns=list(blank)), name=f"diagnostics-{facts.total}", filtered=True,
                    right=["Value", "95% interval", "p"], keys={"Value": value, "p": p},
                    caption=f"{facts.outcomes[facts.total]}: diagnostics, {treatment} treatment, "
                            f"{facts.samples[sample]}", made=Made("diagnostics.csv", "tabulate"))


def _diagnostic(words: str, row: Mapping, clusters: Mapping[str, str]) -> dict[str, str]:
    decimals = decimals_for(row["std_error"])
    return {"Diagnostic": words, "Of": item(row, treatment=False, clusters=clusters),
            "Value": "" if pd.isna(row["value"]) else number(row["value"], decimals),
            "95% interval": "" if pd.isna(row["ci_low"]) else interval(row["ci_low"], row["ci_high"], decimals),
            "p": bare_p(row["p_value"]), "Status": row["status"],
            "Why or note": said(row)}


