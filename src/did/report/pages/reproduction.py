"""The page that says whether the published numbers come out, and under which specifications, by fixed wording rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from did.estimators.registry import TWO_WAY
from did.evidence.comparison import REASONS, counts
from did.evidence.ranking import never_satisfied
from did.project.claims import rounds_to
from did.project.config import Indicator, Specification, period
from did.report.content.facts import SAMPLES, TREATMENTS, short_name
from did.report.content.reproduction_text import decimals_beside, range_words, specification_words
from did.report.pages.summary import rendered
from did.words import (
    count,
    decimals_for,
    interval,
    listed,
    markdown_cell,
    markdown_table,
    number,
    p_value,
    period_name,
    plural,
)

# How many specifications, and how many choices, are listed by name before the rest is counted.
LISTED, TOP = 6, 5
BOUNDARIES = {"merged": "reorganised areas merged into the smallest stable one", "dropped": "reorganised areas dropped"}
# Choices of a specification that can change how many rows there are.
ROW_CHOICES = ("window", "boundaries", "drop_periods", "denominator")


@dataclass(frozen=True)
class Setting:
    """What the page says that is in no table.

    title, citation : of the evaluation and of the publication.
    default : name of the specification reported; specification : what it is.
    indicators : those available, by name; families : family -> (title, its indicators).
    clusters : levels of clustering, the published one first; units : what units are called.
    figures : claim -> name of its figure, without folder and ending.
    """

    title: str
    citation: str
    default: str
    specification: Specification
    indicators: Mapping[str, Indicator]
    families: Mapping[str, tuple[str, Sequence[str]]]
    clusters: Mapping[str, str]
    units: str
    figures: Mapping[str, str]


def page(table: pd.DataFrame, specifications: pd.DataFrame, ranked: pd.DataFrame, moved: pd.DataFrame,
         setting: Setting) -> str:
    """Return the page as Markdown text, ending in one line break.

    ``table`` as from `did.evidence.compare`, ``specifications``, ``ranked`` and ``moved`` as from `judged`, `ranking`
    and `choices` of `did.evidence.ranking`. Every number comes from these tables. If any row is synthetic, the page
    begins by saying so.
    """
    first, *others = setting.clusters
    rows = table.loc[table["cluster"] == first]
    claims = [_Claim(row) for row in rows.itertuples()]
    numeric = [claim for claim in claims if claim.id in setting.figures]
    stated = [claim for claim in claims if claim.band and not claim.value and claim.number != "cannot_run"]
    return rendered(
        "reproduction.md.j2",
        setting=setting,
        synthetic=bool(table["is_synthetic"].any() or specifications["is_synthetic"].any()),
        tally=[(setting.clusters[level], _tally(table.loc[table["cluster"] == level])) for level in setting.clusters],
        claims=markdown_table(_claims_table(table, setting), right=["Ours", "N"]),
        lost=_lost(rows),
        rows=[line for line in (_rows(family, rows, specifications, setting) for family in setting.families) if line],
        numbers=[
            (claim.heading, _number(claim, specifications, setting), setting.figures[claim.id]) for claim in numeric
        ],
        bands=[_band(claim, specifications, first) for claim in stated],
        rankings=[
            (setting.families[family][0], _ranking(part, setting), _never(part))
            for family, part in ranked.groupby("family", sort=False)
        ],
        choices=[(claim.heading, table) for claim in numeric if (table := _choices(moved, claim))],
        reasons={code: text for code, text in REASONS.items() if code in set("; ".join(rows["reasons"]).split("; "))},
        alongside=listed(setting.clusters[level] for level in others),
        about=[claim.id for claim in numeric if claim.rounding == "about"],
    )


class _Claim:
    """A row of the comparison, with printed numbers as the text they were."""

    def __init__(self, row) -> None:
        self.row, self.id, self.number = row, row.claim, row.number
        self.value = "" if pd.isna(row.published_value) else f"{row.published_value:.15g}"
        self.rounding, self.band, self.sign = row.rounding, row.published_significance, row.published_sign
        self.heading = f"{row.claim}. {row.outcome}, {_cell(row)}"


def _cell(row) -> str:
    """Estimator, treatment and sample of a claim, and which of the estimator's effects if it has several."""
    effect = [str(part) for part in (row.estimand, row.cohort, row.period, row.event_time)
              if pd.notna(part) and part not in ("", "overall")]
    return ", ".join([short_name(row.estimator), TREATMENTS[row.treatment].lower(),
                      SAMPLES.get(row.sample, row.sample.replace("_", " ")), *effect])


def _tally(rows: pd.DataFrame) -> str:
    return listed(f"{n} {word.replace('_', ' ')}" for word, n in counts(rows).items())


def _claims_table(table: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """One row per claim: what was printed, ours, and whether it comes out under the published clustering and others."""
    first, *others = setting.clusters
    alongside = table.set_index(["claim", "cluster"])
    found = []
    for row in table.loc[table["cluster"] == first].itertuples():
        decimals = (decimals_for(row.std_error) if pd.isna(row.published_value)
                    else decimals_beside(row.std_error, row.published_value))
        ours = "" if pd.isna(row.estimate) else f"{number(row.estimate, decimals)} ({p_value(row.p_value)})"
        printed_n = f"; N = {count(row.published_n)}" if pd.notna(row.published_n) else ""
        found.append({
            "Claim": row.claim, "Figure": f"{row.figure} {row.pane}".strip(), "Cell": f"{row.outcome}, {_cell(row)}",
            "As printed": f"{row.as_printed}{printed_n}", "Ours": ours,
            "N": "" if pd.isna(row.n_obs) else count(row.n_obs), "Number": row.number.replace("_", " "),
            "Why": row.reasons.replace("_", " "),
            **{f"Clustered {setting.clusters[level]}": alongside.loc[(row.claim, level), "number"].replace("_", " ")
               for level in others if (row.claim, level) in alongside.index},
        })
    return pd.DataFrame(found)


def _lost(rows: pd.DataFrame) -> list[str]:
    """Why claims cannot run, or cannot be compared in full, one line per reason."""
    lines = [f"{listed(part['claim'], at_most=LISTED)} cannot run: {markdown_cell(why.rstrip('.'))}."
             for why, part in rows.loc[rows["number"] == "cannot_run"].groupby("note", sort=False)]
    return lines + [
        f"{listed(part['claim'], at_most=LISTED)}: cannot run for N, because "
        f"{markdown_cell(why.rstrip('.'))}." for why, part
        in rows.loc[(rows["not_comparable"] != "") & (rows["number"] != "cannot_run")].groupby("not_comparable")]


# Numbers of observations ---------------------------------------------------------------------------------------


def _rows(family: str, rows: pd.DataFrame, specifications: pd.DataFrame, setting: Setting) -> str:
    """Which settings give a family's printed numbers of observations; "" if none was printed or can be compared."""
    members = setting.families[family][1]
    claims = rows.loc[rows["indicator"].isin(members) & rows["published_n"].notna() & (rows["not_comparable"] == "")
                      & rows["estimate"].notna()]
    if claims.empty:
        return ""
    claim = claims.iloc[0]
    same = claims.loc[(claims["published_n"] == claim["published_n"]), "claim"]
    cell = specifications.loc[
        (specifications["indicator"] == claim["indicator"])
        & (specifications["treatment"] == claim["treatment"])
        & (specifications["sample"] == claim["sample"])
        & (specifications["design"] == "one_at_a_time")
        & (specifications["cluster"] == next(iter(setting.clusters)))
        & specifications["n_obs"].notna()
    ]
    own = cell.loc[cell["estimator"] == claim["estimator"]].set_index("specification")
    whole = cell.loc[cell["estimator"] == TWO_WAY].set_index("specification")["n_obs"]
    wants_panel = pd.notna(claim["published_n_panel"]) and len(whole) > 0
    gives = own["n_obs"] == claim["published_n"]
    if wants_panel:
        gives &= own.index.map(whole).to_numpy() == claim["published_n_panel"]
    printed = count(claim["published_n"]) + (f" of {count(claim['published_n_panel'])}" if wants_panel else "")
    deciding = own["choices"].map(lambda text: not text or any(part.split("=")[0] in ROW_CHOICES
                                                              for part in text.split("; ")))
    by_n = [
        (
            specification_words(row.choices),
            count(row.n_obs) + (f" of {count(whole.get(name))}" if wants_panel else ""),
            bool(gives[name]),
        )
        for name, row in zip(own.index, own.itertuples(), strict=True)
        if deciding[name]
    ]
    alike = [words for words, _, met in by_n if met and words != "default"]
    unlike = [f"{words} ({n})" for words, n, met in by_n if not met]
    indicator = setting.indicators[claim["indicator"]]
    default = own.loc[setting.default] if setting.default in own.index else None
    met = default is not None and bool(gives[setting.default])
    text = (f"**N = {printed}** ({plural(len(same), 'claim')}: {listed(same, at_most=LISTED)}). ")
    if default is not None:
        ours = "it" if met else count(default["n_obs"])
        text += f"The default specification gives {ours}: {_default_words(indicator, default, setting)}. "
    text += f"{int(gives.sum())} of the {plural(len(own), 'named specification')} give it"
    text += f"; of those that choose window, units or denominator: {listed(alike)}" if alike else ""
    text += f". Not: {listed(unlike)}." if unlike else "."
    if any(part.startswith("denominator") for part in alike):
        text += (" The denominator does not change the number of rows; the printed value tells which agrees "
                 f"({_by_denominator(rows, specifications, members, setting)}).")
    return text


def _default_words(indicator: Indicator, row: pd.Series, setting: Setting) -> str:
    """Window, units and denominator of the default specification, with how many periods and units these are."""
    window = indicator.windows[setting.specification.window]
    start, end = (period(text, indicator.frequency, "window") for text in (window.first, window.last))
    periods = end.ordinal - start.ordinal + 1
    name = indicator.denominator_name(setting.specification)
    return (f"window {period_name(window.first)} to {period_name(window.last)} ({periods} periods), "
            f"{count(row['n_units'])} {setting.units} ({BOUNDARIES[setting.specification.boundaries]})"
            + (f", denominator {name.replace('_', ' ')}" if name else ""))


def _by_denominator(rows: pd.DataFrame, specifications: pd.DataFrame, members: Sequence[str], setting: Setting) -> str:
    """How many specifications with each denominator agree with each printed value of a family."""
    parts = []
    for claim in rows.loc[rows["indicator"].isin(members) & rows["claim"].isin(list(setting.figures)), "claim"]:
        cell = specifications.loc[
            (specifications["claim"] == claim)
            & (specifications["cluster"] == next(iter(setting.clusters)))
            & specifications["value_agrees"].isin(["yes", "no"])
        ]
        names = cell["choices"].str.extract(r"denominator=([^;]+)", expand=False)
        usual = setting.indicators[cell["indicator"].iloc[0]].denominator_name(setting.specification) or ""
        for name, part in cell.groupby(names.fillna(usual), sort=False):
            parts.append(f"{claim}: {int(part['value_agrees'].eq('yes').sum())} of {len(part)} with "
                         f"{name.replace('_', ' ')}")
    return "; ".join(parts)


# Numbers and bands ---------------------------------------------------------------------------------------------


def _number(claim: _Claim, specifications: pd.DataFrame, setting: Setting) -> list[str]:
    """What each printed number needs, what the default gives, and which specifications agree with it."""
    row = claim.row
    cell = specifications.loc[
        (specifications["claim"] == claim.id)
        & (specifications["cluster"] == next(iter(setting.clusters)))
        & specifications["estimate"].notna()
    ]
    value = cell["value_agrees"] == "yes"
    band = ~cell["significance_agrees"].isin(["no", "cannot run"]) & ~cell["sign_agrees"].isin(["no", "cannot run"])
    n = ~cell["n_agrees"].isin(["no"])
    decimals = decimals_beside(row.std_error, float(claim.value))
    lines = [f"Printed: {markdown_cell(row.as_printed)} ({markdown_cell(row.unit)}). To agree with it an estimate has "
             f"to lie from {range_words(claim)}"
             + (", because the number is printed as approximate." if claim.rounding == "about" else "."),
             f"The default specification gives {number(row.estimate, decimals)} (95% interval "
             f"{interval(row.ci_low, row.ci_high, decimals)}, {p_value(row.p_value)}): "
             f"**{row.number.replace('_', ' ')}**"
             + (f" ({row.reasons.replace('_', ' ')})." if row.reasons else ".")]
    if value.any():
        sets = {"the number": value, "sign and band as well": value & band, "N too": value & band & n}
        named = [words for words, met in sets.items() if met.any()][-1]
        lines.append(f"{int(value.sum())} of {plural(len(cell), 'specification')} agree with the number, "
                     f"{int((value & band).sum())} with sign and band as well, {int((value & band & n).sum())} with N "
                     f"too. Those with {named}: {_names(cell.loc[sets[named]])}.")
    else:
        lines.append(f"None of {plural(len(cell), 'specification')} agrees with the number.")
    if not value.all():
        away = (cell["estimate"] - float(claim.value)).abs()
        nearest = cell.loc[away.idxmin()]
        lines.append(f"Nearest: {specification_words(nearest['choices'])} with "
                     f"{number(nearest['estimate'], decimals)}. All specifications lie from "
                     f"{number(cell['estimate'].min(), decimals)} to {number(cell['estimate'].max(), decimals)}.")
    if claim.rounding:
        strict = cell["estimate"].map(lambda estimate: rounds_to(estimate, claim.value))
        lines.append(f"Were the number exact, {int(strict.sum())} of {plural(len(cell), 'specification')} would agree "
                     f"with "
                     f"it{f': {_names(cell.loc[strict])}' if strict.any() else ''}.")
    return lines


def _names(cell: pd.DataFrame) -> str:
    """Specifications in words, those with the fewest choices first."""
    order = cell.sort_values(["n_choices", "specification"], kind="stable")["choices"]
    words = [specification_words(text) for text in order]
    shown = [f"({word})" if ", " in word else word for word in words]
    return listed(shown, at_most=LISTED)


def _band(claim: _Claim, specifications: pd.DataFrame, cluster: str) -> str:
    """Which specifications agree with a printed statement of significance, and of sign if there is one."""
    cell = specifications.loc[(specifications["claim"] == claim.id) & (specifications["cluster"] == cluster)]
    met = (cell["significance_agrees"] == "yes") & (cell["sign_agrees"] != "no")
    printed = {"+": "sign plus, ", "-": "sign minus, "}.get(claim.sign, "") + claim.band
    text = f"**{claim.heading}** (printed: {printed}): {int(met.sum())} of {plural(len(cell), 'specification')} agree"
    if met.all():
        return f"{text}."
    usual = cell.loc[cell["choices"] == ""]
    default = bool(len(usual)) and bool(met[usual.index[0]])
    which = f"not {_names(cell.loc[~met])}" if met.mean() > 0.5 else f"they are {_names(cell.loc[met])}"
    told = "with" if default else "without"
    return f"{text}, {told} the default; {which}." if met.any() else f"{text}."


# Ranking and choices -------------------------------------------------------------------------------------------


def _ranking(part: pd.DataFrame, setting: Setting) -> str:
    """The specifications that satisfy most printed facts of a family, and the default wherever it is."""
    shown = pd.concat([part.head(TOP), part.loc[part["is_default"]]]).drop_duplicates("specification")
    return markdown_table(pd.DataFrame({
        "Rank": shown["rank"], "Specification": shown["choices"].map(specification_words),
        "Facts": [f"{row.facts_satisfied} of {row.facts_printed}" for row in shown.itertuples()],
        "Values": shown["values"], "Signs": shown["signs"], "Bands": shown["bands"], "N": shown["ns"],
        "Not satisfied": shown["not_satisfied"].str.replace("significance", "band"),
    }), right=["Rank", "Values", "Signs", "Bands", "N"])


def _never(part: pd.DataFrame) -> str:
    best = int((part["rank"] == 1).sum())
    lost = [fact.replace("significance", "band") for fact in never_satisfied(part)]
    text = f"{plural(best, 'specification')} share the first rank, of {len(part)}. " if best > 1 else ""
    if lost:
        return text + f"No specification satisfies: {listed(lost)}."
    whole = part["facts_satisfied"].eq(part["facts_printed"]).any()
    return text + ("Some specification satisfies every printed fact." if whole else "Every printed fact is satisfied "
        "by some "
                   "specification, but no specification satisfies all.")


def _choices(moved: pd.DataFrame, claim: _Claim) -> str:
    """The single choices that move a claim's estimate most, alone and over the product; "" if there is none."""
    rows = moved.loc[moved["claim"] == claim.id]
    if rows.empty:
        return ""
    largest = rows.assign(size=rows["difference"].abs()).groupby(["choice", "value"], sort=False)["size"].max()
    decimals = decimals_for(claim.row.std_error)
    found = []
    for (choice, value), _ in largest.sort_values(ascending=False, kind="stable").head(TOP).items():
        here = rows.loc[(rows["choice"] == choice) & (rows["value"] == value)].set_index("design")
        line = {"Choice": specification_words(f"{choice}={value}"), "Alone": "", "Mean over the product": "",
                "Smallest to largest": "", "Pairs": ""}
        if "one_at_a_time" in here.index:
            line["Alone"] = number(here.loc["one_at_a_time", "difference"], decimals, signed=True)
        if "product" in here.index:
            part = here.loc["product"]
            line |= {"Mean over the product": number(part["difference"], decimals, signed=True),
                     "Smallest to largest": interval(part["smallest"], part["largest"], decimals),
                     "Pairs": count(part["n_pairs"])}
        found.append(line)
    return markdown_table(pd.DataFrame(found), right=["Alone", "Mean over the product", "Pairs"])


