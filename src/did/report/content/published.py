"""The tables of what was published: printed numbers alongside ours, and the specifications that give them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter

import pandas as pd

from did.estimators.registry import TWO_WAY
from did.evidence.comparison import REASONS
from did.evidence.ranking import never_satisfied
from did.project.claims import printed_range, rounds_to
from did.report.content.facts import PERIODS, Facts, Front, having, mappings, short_name
from did.report.content.names import choice_words
from did.report.content.robustness_rows import leaves_out_zero
from did.report.content.table import Column, Table, interval_of, row_decimals, side_by_side, text_table
from did.words import count, decimals_for, interval, listed, number, period_name, short_decimals

# How many specifications are named before the rest is counted, and how many choices and ranks are shown.
LISTED, TOP = 6, 5
BOUNDARIES = {"merged": "reorganised areas merged into the smallest stable one", "dropped": "reorganised areas dropped"}
# Choices of a specification that can change how many rows there are.
ROW_CHOICES = ("window", "boundaries", "drop_periods", "denominator")
# Share of true nulls that a test at 5% rejects if it is right.
NOMINAL = 0.05
JUDGED = ["std_error", "ci_low", "ci_high", "p_value", "p_holm", "n_clusters", "n_treated_clusters",
          "significance_agrees", "number", "reasons"]
AGREES = {"value": "values, to the digits printed", "sign": "signs", "significance": "statements of significance",
          "n": "numbers of observations"}
# Columns of the ranking -> their headings.
RANKED = {"rank": "Rank", "choices": "Specification", "facts_satisfied": "Facts satisfied",
          "facts_printed": "Facts printed", "values": "Values", "signs": "Signs", "bands": "Bands",
          "ns": "Observations", "not_satisfied": "Not satisfied"}
# What a word for the number means.
NUMBERS = (
    "Exact: our estimate rounds to the printed value, with the printed sign, significance and number of observations. "
    "Close: it lies within a small share of its standard error of it, with the same. Agrees: no value was printed, and "
    "what was printed is what we find. Differs: everything else. Whether an effect is shown is another question, which "
    "the verdicts answer.")


def claims_table(rows: pd.DataFrame, facts: Facts | Front) -> Table:
    """Return a row per published finding: what was printed, ours by every clustering, and what agrees. ``rows``: of the
    reproduction table under the specification reported."""
    wide = side_by_side(rows, ["claim"], clusters=facts.clusters, by_cluster=[name for name in JUDGED if name in rows])
    shown = wide.assign(
        outcome=[facts.outcomes.get(indicator, outcome)
                 for indicator, outcome in zip(wide["indicator"], wide["outcome"], strict=True)],
        treatment=wide["treatment"].map(lambda name: facts.treatments.get(name, name)),
        sample=wide["sample"].map(lambda name: facts.samples.get(name, name)),
        estimator=wide["estimator"].map(short_name),
        figure=[f"{figure} {pane}".strip() for figure, pane in zip(wide["figure"], wide["pane"], strict=True)],
        ours=wide["estimate"].mask(wide["status"].eq("cannot run")),
        agrees=[_agreement(row, facts) for row in wide.to_dict("records")],
        **{f"number_{level}": wide[f"number_{level}"].fillna("").str.replace("_", " ") for level in facts.clusters})
    columns = [Column("claim", "Cell"), Column("figure", "Figure"), Column("outcome", "Outcome"),
               Column("treatment", "Treatment", explained="treatment"), Column("sample", "Sample", explained="sample"),
               Column("estimator", "By"), Column("unit", "Unit of the effect", in_text=False),
               Column("as_printed", "As printed", explained="printed"),
               Column("published_value", "Printed value", "signed", "unit of the row", in_text=False, empty="[x]"),
               Column("published_n", "Printed observations", "count", "number", empty="[x]"),
               Column("ours", "Ours", "signed", "unit of the row", "estimate", empty="[x]"),
               Column("n_obs", "Our observations", "count", "number", "observations", empty="[x]"),
               Column("difference", "Ours less printed", "signed", "unit of the row", in_text=False)]
    for level, by in facts.clusters.items():
        columns += [Column(f"std_error_{level}", f"Standard error {by}", "number", "unit of the row", "clusters",
                           in_text=False, empty="[x]"), interval_of(f"_{level}", by),
                    *([Column(f"p_holm_{level}", f"p {by}, adjusted by Holm", "p", "0 to 1", empty="[x]")]
                      if "p_holm" in rows else []),
                    Column(f"number_{level}", f"Number {by}", explained="number")]
    columns.append(Column("agrees", "Agrees", empty="[z]"))
    first = f"std_error_{next(iter(facts.clusters))}"
    decimals = [max(places, 0 if pd.isna(value) else short_decimals(value)) for places, value in zip(
        row_decimals(wide, error=first), wide["published_value"].astype(float), strict=True)]
    return Table("claims", "What was published alongside what this run finds", columns, shown, decimals,
                 notes=[NUMBERS], about="One row per published finding.", file="tables/reproduction.csv",
                 is_synthetic=bool(rows["is_synthetic"].any()))


def _agreement(row: Mapping, facts: Facts | Front) -> str:
    """``value no; sign yes; significance yes by area, no by system; N yes``, of what was printed."""
    if row["status"] == "cannot run":
        return "cannot run"
    significance = [row[f"significance_agrees_{level}"] for level in facts.clusters]
    by = (significance[0] if len(set(significance)) == 1 else
          ", ".join(f"{word} {name}" for word, name in zip(significance, facts.clusters.values(), strict=True)))
    parts = {"value": row["value_agrees"], "sign": row["sign_agrees"], "significance": by, "N": row["n_agrees"]}
    return "; ".join(f"{name} {word}" for name, word in parts.items() if word != "not printed") or "nothing printed"


def layout_table(estimates: pd.DataFrame, reproduction: pd.DataFrame, facts: Facts) -> Table:
    """Return a family in the layout of the publication: outcomes and treatments down, samples across, printed and ours
    by the published estimator. Without anything printed it has ours alone."""
    cell = ["indicator", "treatment", "sample"]
    own, printed = (having(table, estimand="overall", specification=facts.specification, estimator=facts.estimator)
                    for table in (having(estimates, cluster=next(iter(facts.clusters))), reproduction))
    said = printed.drop_duplicates(cell).set_index(cell)["as_printed"].to_dict()
    ours = {tuple(key): number(estimate, decimals_for(error), signed=True) for *key, estimate, error in own[
        [*cell, "estimate", "std_error"]].itertuples(index=False, name=None)}
    lines = [{"Outcome": outcome, "Treatment": words if treatment == "binary" else f"{words}, per {facts.dose}"} | {
        heading: text for sample, name in facts.samples.items() for heading, text in (
            *([(f"Printed, {name}", said.get((indicator, treatment, sample), "not in the report"))] if said else []),
            (f"Ours, {name}", ours.get((indicator, treatment, sample), "not estimated")))}
        for indicator, outcome in facts.outcomes.items() for treatment, words in facts.treatments.items()]
    return text_table(f"layout-{facts.total}", f"{facts.title} as published" if said else facts.title, lines,
                      file="tables/reproduction.csv" if said else "tables/estimates.csv")


def agreement_table(rows: pd.DataFrame, facts: Facts | Front) -> Table:
    """Return how many of the printed facts agree and, by every clustering, how many intervals leave out zero."""
    lines = []
    for level, by in facts.clusters.items():
        own = rows.loc[rows["cluster"].eq(level)]
        done = own.loc[own["estimate"].notna()]
        met = {f"{words} agree": own.loc[own[f"{column}_agrees"].isin(["yes", "no"]), f"{column}_agrees"].eq("yes")
               for column, words in AGREES.items()}
        met["95% intervals leave out zero"] = leaves_out_zero(done)
        if "p_holm" in done:
            met["adjusted p-values are below 0.05"] = done["p_holm"] < NOMINAL
        met |= {f"numbers: {word.replace('_', ' ')}": own["number"].eq(word)
                for word in own["number"].value_counts().index}
        lines += [{"Errors": by, "What": what, "Number": int(each.sum()), "Of": len(each)}
                  for what, each in met.items()]
    return text_table("agreement", "How many printed facts agree", lines, file="tables/reproduction.csv")


def printed_facts(rows: pd.DataFrame, facts: Facts | Front) -> list[str]:
    """Return what must be known of the claims: how many are numbers, where they differ from the report's conclusion,
    how many tests there are, and how many would reject by chance."""
    claims = rows.drop_duplicates("claim")
    numbers = claims.loc[claims["published_value"].notna(), "claim"]
    found = [f"The report prints {facts.n_published_numbers} of its {facts.n_published} coefficients as numbers"
             f"{f' ({listed(numbers)} here)' if len(numbers) else ''}. The others can be compared by sign and "
             "significance alone, or not at all."]
    below = claims.loc[claims["published_significance"].fillna("").str.replace(" ", "").str.startswith("p<")]
    if facts.published_conclusion and len(below):
        cells = listed(f"{row.claim} ({facts.outcomes.get(row.indicator, row.outcome)}, p < "
                       f"{row.published_significance.partition('<')[2].strip()})" for row in below.itertuples())
        found.append(f"The report concludes “{facts.published_conclusion}”, and prints otherwise in {cells}.")
    tested = claims.loc[claims["p_tested"].notna()]
    if len(tested):
        sizes = tested["p_size"].dropna()
        chance = number(sizes.sum() + NOMINAL * (len(tested) - len(sizes)), 1)
        found.append(f"If there were no effect at all, {chance} of our {len(tested)} tests of these findings would "
                     "fall below p = 0.05 by chance, counting the measured size of the method for "
                     f"{len(sizes)} of them and 5% for the others.")
    if "p_holm" in rows:
        found.append("p-values adjusted by Holm are over the findings of one family, estimator and clustering. They "
                     "rest on the p-value of the headline interval where an estimate has one, and otherwise on the "
                     "clustered one, which may be too small.")
    return found


def lost_lines(rows: pd.DataFrame) -> list[str]:
    """Return why findings cannot be run, or cannot be compared in full, one sentence per reason."""
    lost = rows["number"].eq("cannot_run")
    return [f"{listed(part['claim'], at_most=LISTED)}{what}: {why.rstrip('.')}." for here, column, what in (
        (lost, "note", " cannot run"), (rows["not_comparable"].ne("") & ~lost, "not_comparable",
                                        ": the number of observations cannot be compared"))
        for why, part in rows.loc[here].drop_duplicates("claim").groupby(column, sort=False)]


def reasons_of(rows: pd.DataFrame) -> dict[str, str]:
    """Return what the reasons in the claims' rows mean, by their words."""
    used = set("; ".join(rows["reasons"]).split("; "))
    return {code.replace("_", " "): text for code, text in REASONS.items() if code in used}


# Which specifications give the printed numbers ---------------------------------------------------------------------


def _numeric(reproduction: pd.DataFrame) -> pd.DataFrame:
    """The claims with a printed number that are estimated, each once."""
    known = reproduction[["published_value", "estimate"]].notna().all(axis=1)
    return having(reproduction.loc[known], estimand="overall").drop_duplicates("claim")


def numbers_table(reproduction: pd.DataFrame, varied: pd.DataFrame) -> Table:
    """Return a row per printed number: what it stands for, what the default gives, and how many specifications agree
    with it, with its sign and band as well, and with its number of observations too.

    Here and below ``varied`` are the specifications alongside the claims (`did.evidence.ranking.judged`) and
    ``reproduction`` the rows of that table, both of one clustering.
    """
    lines, cells = [], _by_claim(varied)
    for row in _numeric(reproduction).itertuples():
        cell, text = [each for each in cells[row.claim] if each["estimate"] is not None], f"{row.published_value:.15g}"
        value = [each for each in cell if each["value_agrees"] == "yes"]
        band = [each for each in value
                if not {"no", "cannot run"} & {each["significance_agrees"], each["sign_agrees"]}]
        whole = [each for each in band if each["n_agrees"] != "no"]
        decimals = max(decimals_for(row.std_error), short_decimals(row.published_value))
        estimates = [each["estimate"] for each in cell]
        nearest = min(cell, key=lambda each: abs(each["estimate"] - row.published_value))
        ends = (float(end) for end in printed_range(text, row.rounding))
        lines.append({
            "Cell": row.claim, "Printed": row.as_printed,
            "Stands for": " to ".join(number(end, short_decimals(end)) for end in ends),
            "Ours": number(row.estimate, decimals, signed=True), "Specifications": len(cell),
            "Give the number": len(value), "Sign and band too": len(band), "Observations too": len(whole),
            "Were it exact": sum(rounds_to(estimate, text) for estimate in estimates),
            "Which": _names(whole or band or value),
            "Nearest": f"{number(nearest['estimate'], decimals, signed=True)}: {choice_words(nearest['choices'])}",
            "All lie from": interval(min(estimates), max(estimates), decimals)})
    return text_table("numbers", "Printed numbers, and how many specifications give them", lines,
                      file="tables/specifications.csv")


def bands_table(reproduction: pd.DataFrame, varied: pd.DataFrame) -> Table:
    """Return a row per statement of significance without a number: how many specifications agree, and which."""
    lines, cells = [], _by_claim(varied)
    for row in reproduction.loc[reproduction["published_value"].isna() & reproduction["published_significance"].ne("")
                                & reproduction["number"].ne("cannot_run")].itertuples():
        met, others = [], []
        for each in cells[row.claim]:
            agrees = each["significance_agrees"] == "yes" and each["sign_agrees"] != "no"
            (met if agrees else others).append(each)
        which = ("" if not met or not others else f"all but {_names(others)}" if len(met) > len(others)
                 else _names(met))
        sign = {"+": "sign plus, ", "-": "sign minus, "}.get(row.published_sign, "")
        lines.append({"Cell": row.claim, "Printed": f"{sign}{row.published_significance}",
                      "Specifications": len(met) + len(others), "Agree": len(met),
                      "The default": "agrees" if any(not each["choices"] for each in met) else "does not agree",
                      "Which": which})
    return text_table("bands", "Statements of significance without a number", lines, file="tables/specifications.csv")


def observations_table(reproduction: pd.DataFrame, varied: pd.DataFrame, families: Iterable[Facts]) -> Table:
    """Return a row per family: which specifications give its printed number of observations. Some print the rows of
    the whole panel as well; those are asked of the two-way estimator."""
    lines, where = [], ["indicator", "treatment", "sample"]
    known = having(varied, design="one_at_a_time").dropna(subset="n_obs")
    for facts in families:
        claims = reproduction.loc[
            reproduction["indicator"].isin(list(facts.outcomes)) & reproduction["published_n"].notna()
            & reproduction["not_comparable"].eq("") & reproduction["estimate"].notna()]
        if claims.empty:
            continue
        claim = claims.iloc[0]
        cell = having(known, **claim[where]).set_index("specification")
        own, panel = (cell.loc[cell["estimator"].eq(name)] for name in (claim["estimator"], TWO_WAY))
        gives, printed = own["n_obs"].eq(claim["published_n"]), count(claim["published_n"])
        if pd.notna(claim["published_n_panel"]) and len(panel):
            gives &= own.index.map(panel["n_obs"]).to_numpy() == claim["published_n_panel"]
            printed += f" of {count(claim['published_n_panel'])}"
        deciding = own["choices"].map(lambda text: not text or any(
            part.split("=")[0] in ROW_CHOICES for part in text.split("; "))).astype(bool)
        others = own.loc[~gives & deciding]
        lines.append({
            "Family": facts.title, "Cells": listed(claims.loc[claims["published_n"].eq(claim["published_n"]), "claim"],
                                                   at_most=LISTED), "Printed": printed,
            "Default": "".join(map(count, own.loc[own.index == facts.specification, "n_obs"])),
            "Specifications": len(own),
            "Give it": int(gives.sum()), "Among choices of rows, these give it": _called(
                own.loc[gives & deciding].sort_values("n_choices", kind="stable")["choices"]),
            "These do not": listed(f"{choice_words(row.choices)} ({count(row.n_obs)})" for row in others.itertuples())})
    return text_table("observations", "Which specifications give the printed number of observations", lines,
                      file="tables/specifications.csv")


def default_words(facts: Facts, boundaries: str, denominator: str, n_units: int) -> str:
    """Return the window, units and denominator of the specification reported, for one outcome."""
    periods = pd.Period(facts.last).ordinal - pd.Period(facts.first).ordinal + 1
    per = f", per {denominator.replace('_', ' ')}" if denominator else ""
    return (f"{facts.outcomes[facts.total]}: {period_name(facts.first)} to {period_name(facts.last)} ({periods} "
            f"{PERIODS[facts.frequency]}s), {count(n_units)} {facts.units} ({BOUNDARIES[boundaries]}){per}.")


def ranking_table(part: pd.DataFrame, facts: Facts) -> Table:
    """Return the specifications that satisfy most printed facts of a family, and the default wherever it is."""
    shown = pd.concat([part.head(TOP), part.loc[part["is_default"]]]).drop_duplicates("specification")
    shown = shown.assign(choices=shown["choices"].map(choice_words),
                         not_satisfied=shown["not_satisfied"].str.replace("significance", "band"))
    lines = shown[list(RANKED)].rename(columns=RANKED)
    never = [fact.replace("significance", "band") for fact in never_satisfied(part)]
    best = int(part["rank"].eq(1).sum())
    whole = part["facts_satisfied"].eq(part["facts_printed"]).any()
    notes = [f"{best} of {len(part)} specifications share the first rank."] if best > 1 else []
    notes.append(f"No specification satisfies {listed(never)}." if never else
                 "One specification at least satisfies every printed fact." if whole else
                 "Each printed fact is satisfied by some specification, and all of them by none.")
    return text_table(f"ranking-{facts.total}", f"{facts.title}: specifications by printed facts satisfied", lines,
                      notes=notes, file="tables/ranking.csv")


def choices_table(moved: pd.DataFrame, reproduction: pd.DataFrame, varied: pd.DataFrame) -> Table:
    """Return, for each printed number, the single choices that move its estimate most: alone, and over the product."""
    lines, found = [], defaultdict(lambda: defaultdict(dict))
    for row in mappings(moved):
        found[row["claim"]][row["choice"], row["value"]][row["design"]] = row
    errors = varied.loc[varied["estimate"].notna()].groupby("claim")["std_error"].median()
    for claim in _numeric(reproduction)["claim"]:
        moves, decimals = found[claim], decimals_for(errors.get(claim))
        largest = sorted(moves, key=lambda move: -max(abs(each["difference"]) for each in moves[move].values()))
        for choice, value in largest[:TOP]:
            here = moves[choice, value]
            mean = {design: number(each["difference"], decimals, signed=True) for design, each in here.items()}
            part = here.get("product")
            lines.append({
                "Cell": claim, "Choice": choice_words(f"{choice}={value}"), "Alone": mean.get("one_at_a_time", ""),
                "Mean over the product": mean.get("product", ""),
                "Smallest to largest": "" if part is None else interval(part["smallest"], part["largest"], decimals),
                "Pairs": float("nan") if part is None else part["n_pairs"]})
    return text_table("choices-that-move", "Which choices move the estimate", lines, file="tables/choices.csv")


def _by_claim(varied: pd.DataFrame) -> dict[str, list[dict]]:
    found = defaultdict(list)
    for row in mappings(varied[["claim", "specification", "choices", "n_choices", "estimate", "value_agrees",
                                "sign_agrees", "significance_agrees", "n_agrees"]]):
        found[row["claim"]].append(row)
    return found


def _names(rows: Iterable[Mapping]) -> str:
    """Specifications in words, those with the fewest choices first."""
    return _called(row["choices"] for row in sorted(rows, key=itemgetter("n_choices", "specification")))


def _called(choices: Iterable[str]) -> str:
    words = [choice_words(text) for text in choices]
    return listed((f"({word})" if "; " in word else word for word in words), at_most=LISTED) if words else "none"
