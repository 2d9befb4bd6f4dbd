"""The ladder of evidence, its verdicts, the second opinion, and the sentences of the first screen."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from linearmodels.panel import PanelOLS

from did.diagnostics.detrended import detrended_rows, long_base_rows
from did.errors import DidError
from did.estimators import Panel, estimate
from did.evidence import Rules, judge, targets
from did.evidence.second_opinion import second_opinion
from did.evidence.verdicts import MEANS, unavailable
from did.inference.clustered import summarise
from did.inference.joint_test import BLANK
from did.report.content.answer import CLAIM, MADE_UP, NOT_SHOWN, Names, answer
from did.report.content.answer import PRINTED as ABOUT_PRINTED
from did.report.content.evidence_words import OURS, PRINTED, RANGE, REASONS, evidence_rows, evidence_table
from did.report.content.evidence_words import QUESTIONS as QUESTION_WORDS
from did.report.figures.forest import evidence_figure
from did.report.figures.style import Frame
from did.simulate.panels import panel
from did.stages import check as check_stage
from did.store.evidence_tables import ANSWERS, NUMBERS, QUESTIONS, VERDICTS
from did.store.tables import check

ROOT = Path(__file__).resolve().parents[1]
CELL = {"indicator": "days", "specification": "default", "sample": "full", "treatment": "binary", "estimator": "did"}
LEADING = {"sample": "full", "treatment": "binary", "estimator": "did"}
DATED = "waves_by_date"
NAMES = Names(outcomes={"days": "Delayed days", "lost": "Lost outcome"}, families={"days": "one", "lost": "two"},
              units={"days": "days per 100,000", "lost": "points"}, headlines=["days"], dose="additional partner",
              areas="areas", samples={"wave_two_removed": "wave two removed"})


def headline(**changes) -> pd.DataFrame:
    return pd.DataFrame([CELL | dict(
        cluster="system", estimate=40.0, ci_low=10.0, ci_high=70.0, p_value=0.01, method="CR2", holds=True,
        coverage=0.95, n_obs=400, n_units=40, n_treated=10, n_clusters=12, n_treated_clusters=3) | changes])


def number(**changes) -> pd.DataFrame:
    """A row of the comparison: +40, p<0.01 printed and found."""
    return pd.DataFrame([CELL | dict(
        claim="D1", figure="6", outcome="Delayed days", unit="days", as_printed="40 more", published_value=40.0,
        rounding="", published_sign="+", published_significance="p<0.01", published_n=400, not_comparable="",
        estimand="overall", cluster="unit", estimate=40.0, ci_low=20.0, ci_high=60.0, n_obs=400, n_units=40,
        n_treated=10, number="exact", reasons="", note="") | changes])


NOTHING = number().iloc[:0]


def test_row(diagnostic: str, value: float, low: float = np.nan, high: float = np.nan, **more) -> dict:
    return BLANK | dict(CELL, diagnostic=diagnostic, value=value, ci_low=low, ci_high=high, cluster="system",
                        n_treated=10, n_tried=None) | more


test_row.__test__ = False


def diagnostics(**changes) -> pd.DataFrame:
    """Every check says yes; ``changes``: name of a check -> (value, low, high) in its place."""
    rows = {"detrended": test_row("detrended", 30.0, 5.0, 55.0, estimator="rolling", variant="detrended"),
            "placebo": test_row("placebo_in_time_share", 0.1, cluster="", n_tried=20),
            "A": test_row("leave_one_out", 35.0, 5.0, 65.0, variant="without_cluster", left_out="A", called="Alpha",
                          n_treated=7),
            "B": test_row("leave_one_out", 42.0, 8.0, 76.0, variant="without_cluster", left_out="B", called="Beta",
                          n_treated=6),
            # without a system that is not treated: never asked about
            "Z": test_row("leave_one_out", -5.0, -9.0, -1.0, variant="without_cluster", left_out="Z", called="Zeta"),
            "regions": test_row("other_controls", 38.0, 6.0, 70.0, variant="controls_in_regions")}
    for place in range(3):
        rows[f"date{place}"] = test_row("own_dates", 30.0 + place, 5.0, 60.0, specification=DATED, variant="own_dates",
                                        estimator=("imputation", "rolling", "callaway_santanna")[place])
    for name, (value, low, high) in changes.items():
        rows[name] |= {"value": value, "ci_low": low, "ci_high": high}
    return pd.DataFrame(list(rows.values()))


def specifications(**changes) -> pd.DataFrame:
    rows = {name: CELL | dict(specification=name, design="one_at_a_time", cluster="system", estimate=40.0 + place,
                              ci_low=10.0, ci_high=75.0) for place, name in enumerate(["default", *"abcdefgh"])}
    for name, (value, low, high) in changes.items():
        rows[name] |= {"estimate": value, "ci_low": low, "ci_high": high}
    return pd.DataFrame(list(rows.values()))


def judged(claims: pd.DataFrame = NOTHING, rules: Rules | None = None, **tables):
    frames = {"headline": headline(), "diagnostics": diagnostics(), "specifications": specifications()} | tables
    return judge(targets(claims, frames["headline"], LEADING), frames, rules, staggered=DATED)


def answers(evidence: pd.DataFrame) -> dict[str, tuple[str, str]]:
    return {row.question: (row.answer, row.reason) for row in evidence.itertuples()}


def test_where_every_check_says_yes_a_number_holds():
    evidence, items, verdicts = judged(number())
    found = answers(evidence)
    assert list(found) == list(QUESTIONS)
    assert [found[name][0] for name in QUESTIONS[1:]] == ["yes"] * 5
    assert found["second_program"] == ("not_applicable", "not_checked")
    words = verdicts.loc[0, ["target", "number", "verdict", "reason"]].tolist()
    assert words == ["D1", "exact", "holds", "every_check"]
    # one treated system each, other controls, and eight specifications but the default
    assert items.loc[items["step"] == 5, "kind"].value_counts().to_dict() == {
        "specification": 8, "without_cluster": 2, "controls_in_regions": 1}
    assert "Zeta" not in set(items["called"])
    made = {"evidence": evidence, "evidence_items": items, "verdicts": verdicts}
    for name, frame in made.items():
        check(name, frame.assign(is_synthetic=False))
    assert set(evidence["answer"]) <= set(ANSWERS) and set(MEANS) == set(VERDICTS) == set(CLAIM)


@pytest.mark.parametrize(("changes", "step", "reason"), [
    ({"detrended": (-3.0, -9.0, 3.0)}, "trends", "detrended_turns_round"),
    ({"detrended": (3.0, -3.0, 9.0)}, "trends", "detrended_holds_zero"),
    ({"placebo": (0.15, np.nan, np.nan)}, "trends", "placebo_onsets_as_large"),
    ({"date1": (-1.0, -9.0, 7.0)}, "own_dates", "estimators_differ_in_sign"),
    ({"date0": (9.0, -9.0, 30.0), "date1": (9.0, -9.0, 30.0)}, "own_dates", "intervals_hold_zero"),
    ({"regions": (-4.0, -30.0, 20.0)}, "one_thing", "sign_turns_round"),
    ({"A": (9.0, -9.0, 30.0), "regions": (9.0, -9.0, 30.0)}, "one_thing", "intervals_change"),
])
def test_one_check_that_says_no_makes_it_fragile(changes, step, reason):
    evidence, _, verdicts = judged(number(), diagnostics=diagnostics(**changes))
    assert answers(evidence)[step] == ("no", reason)
    assert [name for name, (word, _) in answers(evidence).items() if word == "no"] == [step]
    assert verdicts.loc[0, ["verdict", "reason"]].tolist() == ["fragile", reason]
    # and where step 2 says no it is not shown, whatever the others say
    _, _, verdicts = judged(number(), diagnostics=diagnostics(**changes), headline=headline(ci_low=-5.0))
    assert verdicts.loc[0, ["verdict", "reason"]].tolist() == ["not_shown", "holds_zero"]


def test_thresholds_are_those_of_the_rules():
    one = diagnostics(A=(9.0, -9.0, 30.0))
    assert answers(judged(number(), diagnostics=one)[0])["one_thing"][0] == "yes", "10 of 11 keep it"
    strict = Rules(kept_share=0.95, placebo_share=0.05, own_dates_share=0.99)
    found = answers(judged(number(), strict, diagnostics=one)[0])
    assert found["one_thing"] == ("no", "intervals_change") and found["trends"] == ("no", "placebo_onsets_as_large")
    assert found["own_dates"][0] == "yes"


def test_the_system_that_the_answer_hangs_on_is_named():
    verdict = judged(number(), diagnostics=diagnostics(A=(9.0, -9.0, 30.0), B=(25.0, -2.0, 52.0)))[2].iloc[0]
    assert verdict[["rests_on", "rests_on_called", "rests_on_estimate"]].tolist() == ["A", "Alpha", 9.0]
    assert judged(number())[2].loc[0, "rests_on"] == ""
    # Without A it comes to be told apart from zero: it does not rest on A.
    verdict = judged(number(), diagnostics=diagnostics(A=(60.0, 6.0, 114.0)),
                     specifications=specifications(default=(40.0, -5.0, 85.0)))[2].iloc[0]
    assert verdict["rests_on"] == ""


@pytest.mark.parametrize(("printed", "led", "word"), [
    ({}, {"ci_low": -5.0}, "not_shown"),
    # wholly on the other side of zero
    ({}, {"estimate": -40.0, "ci_low": -70.0, "ci_high": -10.0}, "contradicted"),
    # holds zero, but leaves out the 40 printed, and zero lies between that and ours
    ({}, {"estimate": -10.0, "ci_low": -30.0, "ci_high": 10.0}, "contradicted"),
    # leaves out the 40 printed on the same side
    ({}, {"estimate": 15.0, "ci_low": 5.0, "ci_high": 25.0}, "holds"),
    ({"published_value": np.nan}, {"estimate": -40.0, "ci_low": -70.0, "ci_high": -10.0}, "contradicted"),
    ({"published_significance": "not significant"}, {"ci_low": -5.0}, "not_shown_as_published"),
    ({"published_significance": "not significant"}, {}, "shown_here"),
    ({"number": "cannot_run", "reasons": "data_missing"}, {}, "cannot_run"),
    ({}, {"method": ""}, "cannot_run"),
    # an interval without an end on one side leaves out zero by the other
    ({}, {"ci_low": 10.0, "ci_high": np.nan}, "holds"),
    ({}, {"ci_low": np.nan, "ci_high": 70.0}, "not_shown"),
])
def test_words_for_a_claim(printed, led, word):
    assert judged(number(**printed), headline=headline(**led),
                  diagnostics=diagnostics(regions=(38.0, 6.0, 70.0)))[2].loc[0, "verdict"] == word


def test_without_a_publication_the_headline_is_judged():
    evidence, _, verdicts = judged()
    assert verdicts.loc[0, ["target", "claim", "number", "verdict"]].tolist() == ["days", "", "not_printed", "holds"]
    assert answers(evidence)["same_number"] == ("not_applicable", "nothing_printed")


def test_a_claim_on_the_headline_stands_in_its_place_and_one_that_prints_nothing_does_not():
    assert judged(number())[2]["target"].tolist() == ["D1"]
    silent = number(number="not_printed", published_value=np.nan, published_sign="", published_significance="")
    assert judged(silent)[2]["target"].tolist() == ["days"]


def test_what_has_no_table_does_not_apply_and_counts_neither_way():
    evidence, items, verdicts = judge(targets(NOTHING, headline(), LEADING), {"headline": headline()})
    found = answers(evidence)
    assert found["trends"] == ("not_applicable", "neither_could_be_tried")
    assert found["own_dates"] == ("not_applicable", "one_date")
    assert found["one_thing"] == ("not_applicable", "nothing_could_be_left_out")
    assert verdicts.loc[0, "verdict"] == "holds" and items.empty


@pytest.mark.parametrize("factor", [1e-3, 1e4, -1.0])
def test_verdicts_do_not_depend_on_units_or_direction(factor):
    def scaled(frame: pd.DataFrame, value: str) -> pd.DataFrame:
        low, high = (("ci_low", "ci_high") if factor > 0 else ("ci_high", "ci_low"))
        share = frame.get("diagnostic", pd.Series("", frame.index)).eq("placebo_in_time_share")
        return frame.assign(**{value: (frame[value] * factor).mask(share, frame[value]),
                               "ci_low": frame[low] * factor, "ci_high": frame[high] * factor})

    changed = diagnostics(A=(9.0, -9.0, 30.0), date1=(-1.0, -9.0, 7.0))
    sign = "+" if factor > 0 else "-"
    printed = scaled(number(), "estimate").assign(published_value=40.0 * factor, published_sign=sign)
    before = judged(number(), diagnostics=changed)
    after = judged(printed, headline=scaled(headline(), "estimate"), diagnostics=scaled(changed, "value"),
                   specifications=scaled(specifications(), "estimate"))
    same = ["question", "answer", "reason", "share", "sign_share", "n_tried", "n_met"]
    pd.testing.assert_frame_equal(before[0][same], after[0][same])
    assert before[2]["verdict"].tolist() == after[2]["verdict"].tolist() == ["fragile"]


def test_the_order_of_rows_does_not_matter():
    rows = diagnostics(A=(9.0, -9.0, 30.0))
    pd.testing.assert_frame_equal(judged(number(), diagnostics=rows)[0],
                                  judged(number(), diagnostics=rows.iloc[::-1].reset_index(drop=True))[0])


# Detrended, and own dates with a long base -----------------------------------------------------------------------


def test_the_detrended_estimate_is_what_is_left_of_each_units_own_line():
    frame, _ = panel(30, 10, {6: 12}, 5.0, seed=3, frequency="Y", first="2001", diverging=2.0)
    found = detrended_rows(Panel.from_frame(frame)).set_index("cluster")
    wide = frame.pivot(index="unit", columns="period", values="outcome").to_numpy()
    time = np.arange(10)
    left = np.array([row - np.polyval(np.polyfit(time[:6], row[:6], 1), time) for row in wide])[:, 6:].mean(axis=1)
    treated = frame.groupby("unit")["cohort"].first().notna().to_numpy()
    assert found.loc["system", "value"] == pytest.approx(left[treated].mean() - left[~treated].mean(), rel=1e-9)
    assert found["ci_low"].notna().all() and set(found["status"]) == {"done"}


def test_own_dates_do_not_hang_on_one_month():
    frame, _ = panel(60, 60, {30: 15, 40: 15}, 10.0, seed=4)
    noisy = frame.copy()
    # a freak month before the first date, in every treated unit
    hit = noisy["cohort"].notna() & noisy["period"].eq(sorted(noisy["period"].unique())[29])
    noisy.loc[hit, "outcome"] += 500.0
    before, after = (long_base_rows(Panel.from_frame(each)).query("cluster == 'unit'")["value"].to_numpy()
                     for each in (frame, noisy))
    one = [float(estimate("callaway_santanna", Panel.from_frame(each)).estimate.mean()) for each in (frame, noisy)]
    assert len(before) == 3 and np.abs(after - before).max() < 40 < abs(one[1] - one[0])


# A second program ------------------------------------------------------------------------------------------------


def ours(frame: pd.DataFrame, dose: str = "binary") -> pd.DataFrame:
    made = Panel.from_frame(frame, treatment=dose, exposure_column="exposure")
    results = [estimate("did", made), estimate("event_study", made), estimate("ldv", made, lags="all")]
    rows = pd.concat([summarise(result, made) for result in results], ignore_index=True)
    return rows.loc[rows["cluster"].eq("unit")]


@pytest.mark.parametrize("dose", ["binary", "intensity"])
def test_a_second_program_gives_the_same_numbers(dose):
    frame, _ = panel(40, 8, {5: 12}, 5.0, seed=5, frequency="Y", first="2001", intensity=(2, 9))
    found = second_opinion(frame, ours(frame, dose), dose={"binary": "exposure"}.get(dose, dose), lags="all")
    assert set(found["estimator"]) == {"did", "event_study", "ldv"} and set(found["status"]) == {"done"}
    assert len(found) == 2 + 7 and found["difference"].max() < 1e-9


@pytest.mark.parametrize("cohorts", [{4: 8, 6: 8}, {0: 3, 4: 8, 6: 8}], ids=["two onsets", "some always treated"])
def test_a_second_program_with_gaps_and_figures_far_from_zero(cohorts):
    frame, _ = panel(40, 8, cohorts, 5.0, seed=6, frequency="Y", first="2001")
    frame["outcome"] = 1e-3 * frame["outcome"] + 1e5
    frame.loc[[3, 50, 200], "outcome"] = np.nan
    found = second_opinion(frame, ours(frame), dose="exposure", lags="all")
    assert set(found["estimator"]) == {"did", "event_study", "ldv"} and found["difference"].max() < 1e-6
    # Its parts taken together are linearmodels' own regression.
    long = frame.assign(on=1.0 * (frame["period"] >= frame["cohort"]), year=frame["period"].astype(int))
    long = long.set_index(["unit", "year"])[["outcome", "on"]].dropna()
    whole = PanelOLS(long["outcome"], long[["on"]], entity_effects=True, time_effects=True).fit()
    second = found.loc[found["estimator"].eq("did"), "second"].item()
    assert second == pytest.approx(whole.params["on"], rel=1e-6)


def test_another_number_is_seen():
    frame, _ = panel(40, 8, {5: 12}, 5.0, seed=5, frequency="Y", first="2001")
    rows = ours(frame)
    wrong = rows.assign(estimate=rows["estimate"] * (1 + 1e-4))
    found = second_opinion(frame, wrong, dose="exposure", lags="all")
    assert found.loc[found["estimator"].eq("did"), "difference"].iloc[0] == pytest.approx(1e-4, rel=1e-2)
    asked = dict(CELL, indicator="made_up")
    table = found.assign(**{name: asked[name] for name in ("indicator", "specification", "sample", "treatment")})
    led = headline(indicator="made_up")
    evidence, _, verdicts = judge(targets(NOTHING, led, LEADING), {"headline": led, "second_opinion": table})
    assert answers(evidence)["second_program"] == ("no", "second_program_differs")
    assert verdicts.loc[0, "second_difference"] == pytest.approx(1e-4, rel=1e-2)


def test_doses_are_read_from_the_columns_that_panels_are():
    assert check_stage.DOSES == {"binary": "exposure", "intensity": "intensity"}


# The first screen ------------------------------------------------------------------------------------------------


def screen(claims: pd.DataFrame = NOTHING, **tables):
    evidence, _, verdicts = judged(claims, **tables)
    return answer(verdicts.assign(is_synthetic=False), evidence, NAMES)


def test_a_line_says_printed_ours_and_what_to_make_of_it():
    found = screen(number(number="close", estimate=41.3), headline=headline(estimate=41.3, ci_low=-5.0),
                   diagnostics=diagnostics(A=(9.0, -9.0, 30.0), regions=(9.0, -9.0, 30.0)))
    assert [(line.printed, line.ours, line.unit) for line in found.lines] == [("+40", "+41", "days per 100,000")]
    assert found.lines[0].sentence == (
        "We get nearly the same number. It is not shown to be an effect: with only three systems it could be "
        "chance, and without Alpha it is +9.")
    head = "Delayed days: printed +40, ours +41 days per 100,000."
    assert found.texts == [
        f"The printed number checked here is not shown to be an effect. {ABOUT_PRINTED}",
        f"{head} {found.lines[0].sentence}", NOT_SHOWN]


@pytest.mark.parametrize(("printed", "led", "changes", "said"), [
    ({}, {}, {}, "We get the same number. The effect holds: it is unlikely to be chance, and no check undoes it."),
    ({}, {}, {"detrended": (-3.0, -9.0, 3.0), "date1": (-1.0, -9.0, 7.0)},
     "We get the same number. It is unlikely to be chance, but it is fragile: allowing for earlier trends "
     "it reverses and methods that give each wave its own date differ on its direction."),
    ({"published_significance": "not significant"}, {"ci_low": -5.0}, {},
     "We get the same number. The authors found no clear effect; nor do we."),
    ({"number": "differs", "reasons": "band_differs"}, {"ci_low": -5.0}, {},
     "We get the same number, with another margin of error. It is not shown to be an effect: with only three "
     "systems it could be chance."),
    ({"number": "differs", "not_comparable": "a year is missing here"},
     {"estimate": -40.0, "ci_low": -70.0, "ci_high": -10.0}, {},
     "We get a fall, not a rise; a year is missing here. It is contradicted: our figures point the "
     "other way."),
])
def test_sentences(printed, led, changes, said):
    found = screen(number(**printed), headline=headline(**led), diagnostics=diagnostics(**changes))
    assert found.lines[0].sentence == said


def test_a_second_line_on_an_outcome_does_not_repeat_the_reason():
    evidence, _, verdicts = judged(number(), headline=headline(ci_low=-5.0))
    twice = pd.concat([verdicts, verdicts.assign(treatment="intensity")], ignore_index=True).assign(is_synthetic=False)
    first, second = answer(twice, evidence, NAMES).lines
    assert first.sentence.endswith("with only three systems it could be chance.")
    assert second.sentence == "We get the same number. It is not shown to be an effect either."
    assert second.detail == "for each additional partner"


def test_numbers_of_different_size_do_not_look_the_same():
    line = screen(number(published_value=0.5, estimate=0.9, number="differs"), headline=headline(estimate=0.9)).lines[0]
    assert (line.printed, line.ours) == ("+0.5", "+0.9")
    line = screen(number(published_value=2.0, estimate=2.27), headline=headline(estimate=2.27)).lines[0]
    assert (line.printed, line.ours) == ("+2", "+2"), "the number is the same, as it was printed"
    found = screen(number(published_value=40.0, estimate=44.4, number="differs"), headline=headline(estimate=44.4))
    assert found.lines[0].ours == "+44.4"


def test_what_cannot_be_run_is_one_line_and_what_is_claimed_strongly_comes_first():
    lost = number(claim="L1", indicator="lost", note="no file", published_n=pd.NA)
    evidence, _, verdicts = judged(number(published_significance="not significant"))
    strong = verdicts.assign(target="S1", indicator="lost", published_significance="p<0.01")
    every = pd.concat([verdicts, strong, unavailable(lost)], ignore_index=True).assign(is_synthetic=True)
    found = answer(every, evidence, NAMES)
    assert [line.target for line in found.lines] == ["S1", "D1"]
    assert found.cannot_run == "Not run, as the files are not at hand: Lost outcome (printed +40 points)."
    assert found.texts[0] == MADE_UP
    assert every["verdict"].tolist()[-1] == "cannot_run"


def test_without_printed_numbers_each_family_has_its_headline():
    found = screen(headline=headline(ci_low=-5.0))
    assert [(line.printed, line.ours) for line in found.lines] == [("", "+40")]
    assert found.lines[0].sentence.startswith("It is not shown to be an effect") and not found.cannot_run


def test_no_sentence_uses_a_term_that_is_not_explained():
    texts = [text for parts in CLAIM.values() for text in parts] + [NOT_SHOWN, MADE_UP, ABOUT_PRINTED]
    jargon = "interval|estimator|cluster|significan|p-value|specification|placebo|bootstrap|robust|regression"
    assert not [text for text in texts if re.search(jargon, text, flags=re.IGNORECASE)]


def test_every_reason_has_words_and_is_in_the_docs():
    source = "".join((ROOT / f"src/did/evidence/{name}.py").read_text(encoding="utf-8")
                     for name in ("ladder", "verdicts"))
    docs = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    for code in REASONS:
        assert f"`{code}`" in docs and (code in source or code.removesuffix("_no_method_holds").removesuffix(
            "_not_measured") in source
                                        or code in NUMBERS), code
    assert set(QUESTION_WORDS) == set(QUESTIONS)


def test_the_evidence_as_a_table_says_answer_reason_and_numbers():
    found, _, verdicts = judged(number(), diagnostics=diagnostics(regions=(-4.0, -30.0, 20.0)))
    rows = evidence_table(found, verdicts.iloc[0]).rows.set_index("Question")
    assert rows.loc["Can it be told apart from no change?"].tolist() == [
        "yes", "the interval of measured coverage leaves out zero", "+40 (10 to 70)"]
    assert rows.loc["Does it rest on more than one thing?", "Numbers"] == (
        "\N{MINUS SIGN}4 to +48; 10 of 11 keep sign and interval")
    assert rows.loc["Does it stand when earlier trends are taken out?", "Numbers"] == (
        "+30 (5 to 55); 18 of 20 placebo onsets give less")


# The figure ------------------------------------------------------------------------------------------------------


def test_the_figure_has_a_line_for_the_number_and_for_every_check(tmp_path):
    evidence, items, verdicts = judged(number(), diagnostics=diagnostics(A=(9.0, -9.0, 30.0)))
    row = verdicts.assign(is_synthetic=False).iloc[0]
    rows = evidence_rows(row, evidence, items, units="areas")
    assert rows["kind"].tolist() == [PRINTED, OURS, "as_published", "detrended", *["own_dates"] * 3,
                                     *["without_cluster"] * 2, "controls_in_regions", RANGE]
    brief = evidence_rows(row, evidence, items, units="areas", brief=True)
    assert len(brief) == 7 and "Without Alpha" in set(brief["words"])
    for place in ("first", "second"):
        frame = Frame(tmp_path / place / "evidence", "Title", "Subtitle.", "Somebody", "areas", "days", width=6.0)
        (tmp_path / place).mkdir()
        evidence_figure(brief, frame, decimals=0)
    assert (tmp_path / "first/evidence.svg").read_bytes() == (tmp_path / "second/evidence.svg").read_bytes()
    alt = (tmp_path / "first/evidence.txt").read_text(encoding="utf-8")
    assert "As printed: +40." in alt and "Ours, with its margin of error: +40 (10 to 70)." in alt
    assert "Of 3 checks 3 keep its sign and 2 leave out zero." in alt
    svg = (tmp_path / "first/evidence.svg").read_text(encoding="utf-8")
    for words in ("The printed number", "Several estimates, lowest to highest, without their margins",
                  "Leaves out zero (no change)"):
        assert f">{words}<" in svg, words
    numbers = pd.read_csv(tmp_path / "first/evidence.csv")
    assert numbers["estimate"].dropna().tolist() == brief["estimate"].dropna().tolist()


@pytest.mark.parametrize(("scale", "said"), [(1e5, "+4.00m (1.00m to 7.00m)"), (1e12, "+40.0tn (10.0tn to 70.0tn)"),
                                             (1e20, "+4.00e+21 (1.00e+21 to 7.00e+21)")])
def test_numbers_of_any_size_leave_room_for_the_lines(tmp_path, scale, said):
    evidence, items, verdicts = judged(number(), diagnostics=diagnostics(A=(9.0, -9.0, 30.0)))
    rows = evidence_rows(verdicts.assign(is_synthetic=False).iloc[0], evidence, items, units="areas", brief=True)
    ends = ["estimate", "ci_low", "ci_high", "smallest", "largest"]
    frame = Frame(tmp_path / "evidence", "Title", "Subtitle.", "Somebody", "areas", "pounds", width=6.0)
    evidence_figure(rows.assign(**{name: scale * rows[name] for name in ends}), frame, decimals=1)
    assert said in (tmp_path / "evidence.svg").read_text(encoding="utf-8")


def test_the_figure_of_nothing_says_so(tmp_path):
    frame = Frame(tmp_path / "evidence", "Title", "Subtitle.", "Somebody")
    evidence_figure(evidence_rows(None, NOTHING, NOTHING, units="areas"), frame, decimals=0)
    assert "No estimate has an interval to judge it by." in (tmp_path / "evidence.svg").read_text(encoding="utf-8")


def test_a_difference_stops_the_stage(tmp_path, monkeypatch):
    from did.project.loading import load_evaluation
    from did.project.paths import Paths
    from did.store import tables

    evaluation = load_evaluation("config/ics.yaml")
    evaluation = evaluation.model_copy(update={"published": None, "treatments": ["binary"],
                                               "samples": {"full": evaluation.samples["full"]}})
    paths = Paths(tmp_path / "data", tmp_path / "results", tmp_path / "logs")
    frame, _ = panel(40, 8, {5: 12}, 5.0, seed=5, frequency="Y", first="2001")
    frame["indicator"] = "preventable_mortality"
    tables.write("panel", frame, paths.panel("preventable_mortality"))
    rows = ours(frame).assign(indicator="preventable_mortality", specification="default", sample="full",
                              minimum_treated=1, few_treated=False, headline=True, p_adjusted=np.nan, is_synthetic=True)
    rows = rows.reindex(columns=list(tables.SCHEMAS["estimates"].columns))
    tables.write("estimates", rows, paths.estimates("preventable_mortality"))
    said = check_stage.run("preventable_mortality", evaluation=evaluation, paths=paths)
    assert re.search(r"9 estimates checked by a second program, largest difference \de-1\d", said)
    tables.write("estimates", rows.assign(estimate=rows["estimate"] * 1.0001), paths.estimates("preventable_mortality"))
    with pytest.raises(DidError, match="expected the estimate of (linearmodels|statsmodels).*do not use the numbers"):
        check_stage.run("preventable_mortality", evaluation=evaluation, paths=paths)
    loose = evaluation.model_copy(update={"evidence": replace_rule(evaluation.evidence, second_program=0.009)})
    check_stage.run("preventable_mortality", evaluation=loose, paths=paths)


def replace_rule(rules, **changes):
    return rules.model_copy(update=changes)


def test_the_rules_have_the_defaults_of_the_config():
    from did.project.config import Evidence

    assert Rules(**dict(Evidence())) == Rules() == replace(Rules())
