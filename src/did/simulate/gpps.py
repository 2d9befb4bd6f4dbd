"""Made-up GP Patient Survey practice files: weighted counts of answers, one CSV a year, 2012 to 2022.

Columns, and the letter case of their names, are those of the publisher's lists as far as the reader uses them
(`data/reference/gpps_questions.csv`), among some 900 others; the CCG codes are those of each April.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from did.areas.succession import Chain, load_chain
from did.errors import DidError
from did.project.registry import RawFileEntry, Source
from did.readers.gpps_layouts import Layout, read_layouts
from did.readers.gpps_practice_csv import OUTCOMES
from did.readers.reference import read_reference
from did.simulate import FileWriter, unknown_layout
from did.simulate.panels import shared_noise
from did.simulate.truth import Demo, path_of, stream, waves_of

FIRST_CHAIN = "2013-04-01"
TARGET = "2020-04-01"
SUPPRESSED = -97
REDESIGN = "2018"
# Practices of the first survey only, which no later file can place in a CCG.
UNPLACED = 3


@dataclass(frozen=True)
class Survey:
    """Practices and the weighted counts of their answers.

    ``practices`` has code, name, first and last (year, both included) and, for each year, the CCG code of that
    April ('' before April 2013); ``counts`` maps a measure to (practices, years) weighted counts; a negative
    count is a suppression code.
    """

    years: list[str]
    practices: pd.DataFrame
    ccg_names: dict[str, str]
    layouts: dict[str, Layout]
    counts: dict[str, np.ndarray]


def make(demo: Demo, reference: Path) -> Survey:
    """Make the survey.

    In practice p of CCG i and year t the shares of a question's answers are
    level_t + (a_p + u_it + shift_t) x d + planted_it: d moves a share between the first answer and the others
    that count as an answer and adds up to 0, so that percentages over them are additive and trends parallel
    but for what is planted. Counts are multinomial times a weight.
    """
    layouts = read_layouts(reference)
    years = sorted(layouts)
    chain = load_chain(reference / "ccg_codes.csv", reference / "ccg_successions.csv")
    practices = _practices(demo, chain, years)
    target = practices["target"]
    wave = waves_of(reference / "table_a1_ccg.csv", target)
    systems = read_reference(reference / "ccg_systems.csv", ["unit", "system", "region"], ["unit"])
    place = systems.set_index("unit").reindex(target)
    counts: dict[str, np.ndarray] = {}
    for number, question in enumerate(demo.gpps.questions):
        shares = _shares(demo, question, practices["home"], place, wave, years)
        counts |= _counts(demo, question, shares, seed=str(number))
    names = dict(zip(chain.codes["code"], chain.codes["name"], strict=True))
    return Survey(years, practices, names, layouts, counts)


def _practices(demo: Demo, chain: Chain, years: Sequence[str]) -> pd.DataFrame:
    """Return the practices of every CCG of April 2013, with the CCG they are in each April and its successor.

    Where a CCG is split, its practices go to the successors in proportion to the shares.
    """
    rng = stream(demo, "gpps", "practices")
    homes = chain.codes_at(FIRST_CHAIN)["code"].to_numpy()
    number = np.maximum(2, np.rint(demo.gpps.practices_per_ccg * np.exp(0.3 * rng.standard_normal(len(homes)))))
    home = np.repeat(homes, number.astype(int))
    rank = np.concatenate([(np.arange(n) + 0.5) / n for n in number.astype(int)])
    table = pd.DataFrame({"home": home})
    table["code"] = [f"Z{place:05d}" for place in range(1, len(home) + 1)]
    table["name"] = [f"SYNTHETIC SURGERY {place}" for place in range(1, len(home) + 1)]
    change = rng.random(len(home))
    # Some practices close or open on the way; the first three close before any file names their CCG.
    table["first"] = np.where(change < 0.005, rng.choice(years[1:], len(home)), years[0])
    table["last"] = np.where(change > 0.995, rng.choice(years[:-1], len(home)), years[-1])
    table.loc[rng.choice(len(home), UNPLACED, replace=False), ["first", "last"]] = [years[0], years[0]]
    for year in years:
        date = f"{year}-04-01"
        table[year] = "" if date < FIRST_CHAIN else _successors(chain, home, rank, date)
    table["target"] = _successors(chain, home, rank, TARGET)
    return table


def _successors(chain: Chain, home: np.ndarray, rank: np.ndarray, date: str) -> list[str]:
    """Return where a practice of CCG ``home`` is on a date: the successor whose share its ``rank`` falls in."""
    to: dict[str, list[tuple[float, str]]] = {}
    for (old, new), (share, _) in chain.moved(FIRST_CHAIN, date).items():
        parts = to.setdefault(old, [])
        parts.append((share + (parts[-1][0] if parts else 0.0), new))
    return [next((new for upper, new in to[old] if at <= upper), to[old][-1][1])
            for old, at in zip(home, rank, strict=True)]


def _shares(demo: Demo, question: str, home: pd.Series, place: pd.DataFrame, wave: np.ndarray,
            years: Sequence[str]) -> np.ndarray:
    """Return (practices, years, answers) shares of a question's answers, positive and adding up to 1."""
    settings = demo.gpps
    answers = demo.gpps.questions[question]
    measures = list(answers.answers)
    rng = stream(demo, "gpps", question)
    first = np.array(list(answers.answers.values()))
    step = np.array([answers.trend.get(measure, 0.0) for measure in measures])
    level = first / first.sum() + np.arange(len(years))[:, None] * step
    counted = _counted(measures)
    base = level[:, counted].sum(axis=1)
    direction = np.where(counted, -level[0], 0.0)
    direction[0] = 0.0
    direction = direction / -direction.sum()
    direction[0] = 1.0
    codes, homes = pd.factorize(home)
    own = settings.between * rng.standard_normal(len(homes))[codes]
    own = own + settings.within * rng.standard_normal(len(home))
    ccgs = pd.DataFrame({"system": place["system"].to_numpy(), "region": place["region"].to_numpy()})
    ccgs = ccgs.groupby(codes).first()
    noise = settings.noise
    shared = shared_noise([(ccgs["system"].to_numpy(), noise.system), (ccgs["region"].to_numpy(), noise.region)],
                          len(years), noise.persistence, rng)
    shift = np.array([settings.redesign if year >= REDESIGN else 0.0 for year in years])
    move = own[:, None] + noise.spread * shared[codes] + shift[None, :]
    shares = level[None] + move[:, :, None] * direction
    shares = shares + base[None, :, None] * _effect(demo, measures, level[0], wave, years) / 100
    shares = np.maximum(shares, 0.002)
    return shares / shares.sum(axis=2, keepdims=True)


def _counted(measures: Sequence[str]) -> np.ndarray:
    """Return (answers,) which answers the outcomes of this question are taken over."""
    bases = [denominators["answered"] for _, denominators in OUTCOMES.values() if set(denominators["answered"])
             <= set(measures)]
    if not bases:
        raise DidError(f"config/demo.yaml: key 'gpps.questions': expected the answers of a question that has an "
                       f"outcome; found {', '.join(measures)}")
    return np.array([measure in bases[0] for measure in measures])


def _effect(demo: Demo, measures: Sequence[str], level: np.ndarray, wave: np.ndarray,
            years: Sequence[str]) -> np.ndarray:
    """Return (practices, years, answers) planted percentage points of those counted, adding up to 0.

    An outcome's effect is spread over its answers by their size; what the planted outcomes gain or lose
    together goes to the answers that no planted outcome has.
    """
    total = np.zeros((len(wave), len(years), len(measures)))
    counted, taken = _counted(measures), np.zeros(len(measures), dtype=bool)
    for outcome, (numerator, denominators) in OUTCOMES.items():
        if outcome not in demo.planted or not set(denominators["answered"]) <= set(measures):
            continue
        own = np.array([measure in numerator for measure in measures])
        total += path_of(demo, outcome, wave, years)[:, :, None] * (own * level / level[own].sum())
        taken |= own
    rest = counted & ~taken
    excess = total.sum(axis=2)
    if not rest.any() and np.abs(excess).max() > 1e-9:
        raise DidError(f"config/demo.yaml: key 'planted': effects on {', '.join(measures)} must add up to 0, for they "
                       f"are all the answers; found {excess[np.abs(excess) > 1e-9][0]:g}")
    return total - (excess[:, :, None] * (rest * level / level[rest].sum()) if rest.any() else 0)


def _counts(demo: Demo, question: str, shares: np.ndarray, seed: str) -> dict[str, np.ndarray]:
    """Return measure -> (practices, years) weighted counts, -97 where the question is suppressed."""
    settings = demo.gpps
    rng = stream(demo, "gpps", "counts", question, seed)
    size = stream(demo, "gpps", "size")  # a practice has one size, whatever is asked
    n_practices, n_years, _ = shares.shape
    respondents = settings.respondents * np.exp(0.35 * size.standard_normal(n_practices))[:, None]
    respondents = respondents * np.exp(0.08 * size.standard_normal((n_practices, n_years)))
    asked = rng.binomial(np.rint(respondents).astype(int), settings.questions[question].asked)
    weight = np.exp(0.03 * size.standard_normal((n_practices, n_years)))
    counts = np.round(rng.multinomial(asked, shares) * weight[:, :, None], 4)
    counts[rng.random((n_practices, n_years)) < settings.suppressed] = SUPPRESSED
    return {measure: counts[:, :, place]
            for place, measure in enumerate(settings.questions[question].answers)}


def files(source: Source, entries: Sequence[RawFileEntry], demo: Demo, reference: Path) -> dict[str, FileWriter]:
    """Return a writer for each file by its year; DidError for a year without a list of columns."""
    survey = make(demo, reference)
    writers: dict[str, FileWriter] = {}
    for entry in entries:
        if entry.period not in survey.years:
            raise unknown_layout(source, entry, f"a survey of {survey.years[0]} to {survey.years[-1]}")
        writers[entry.name] = partial(write_year, survey=survey, year=entry.period, filler=demo.gpps.filler)
    return writers


def write_year(path: Path, *, survey: Survey, year: str, filler: int) -> None:
    """Write one year's file: identifiers, forms, the questions and ``filler`` other columns that hold 0."""
    layout = survey.layouts[year]
    here = ((survey.practices["first"] <= year) & (survey.practices["last"] >= year)).to_numpy()
    practices = survey.practices.loc[here]
    column = survey.years.index(year)
    codes = practices[year]
    texts = {"practice_code": practices["code"], "practice_name": practices["name"], "ccg_code": codes,
             "ccg_name": codes.map(survey.ccg_names)}
    columns = {layout.identifiers[name]: texts[name].tolist() for name in layout.identifiers}
    marks = [mark for mark in _as_published(layout) if mark not in columns]
    for question in layout.questions.values():
        columns |= _question(layout, question, {m: survey.counts[m][here, column]
                                                for m in question if m in survey.counts})
    received = sum(np.maximum(values[here, column], 0) for values in list(survey.counts.values())[:5])
    columns["distributed"] = np.rint(received * 2.8).astype(int).astype(str).tolist()
    columns["received"] = np.rint(received).astype(int).astype(str).tolist()
    others = marks + [f"Q{300 + place // 4}_{place % 4 + 1}" for place in range(filler)]
    tail = ",0" * len(others)
    lines = [",".join([*columns, *others])]
    lines += [",".join(f'"{cell}"' if "," in cell else cell for cell in row) + tail
              for row in zip(*columns.values(), strict=True)]
    Path(path).write_bytes(("\r\n".join(lines) + "\r\n").encode())


def _as_published(layout: Layout) -> list[str]:
    """Return the columns that tell the years apart; letter case is not distinguished and does not matter."""
    return sorted(layout.marks)


def _question(layout: Layout, measures: Sequence[str], counts: dict[str, np.ndarray]) -> dict[str, list[str]]:
    """Return the columns of one question as text: base, answers and their fractions."""
    base = sum(np.maximum(values, 0) for values in counts.values())
    hidden = np.any([values < 0 for values in counts.values()], axis=0)

    def text(values: np.ndarray, places: int) -> list[str]:
        return [str(SUPPRESSED) if hide else f"{value:.{places}f}"
                for value, hide in zip(values.tolist(), hidden.tolist(), strict=True)]

    columns = {}
    for measure in sorted(measures, key=lambda name: name in counts):  # the base comes first
        columns[layout.counts[measure]] = text(counts.get(measure, base), 4)
    for measure, values in counts.items():
        if measure in layout.percentages:
            columns[layout.percentages[measure]] = text(values / np.maximum(base, 1e-9), 6)
    return columns
