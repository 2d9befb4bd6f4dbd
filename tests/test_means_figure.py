"""Means of each wave over time: numbers by hand from the panel, what the figure says, and the same bytes twice."""

import pandas as pd
import pytest

from did.report.figures import style
from did.report.figures.means import means_over_time, wave_rows
from framed import assert_legible, draw_framed, saved_figures

# Two units of wave one from 2012, one of wave two that is left in the comparison, two of no wave; one figure is lost.
OUTCOMES = {("A", 1, "2012"): [10, 12, 20], ("B", 1, "2012"): [14, None, 30], ("C", 2, None): [5, 6, 7],
            ("D", None, None): [1, 2, 3], ("E", None, None): [3, 6, 9]}
YEARS = ["2010", "2011", "2012"]


@pytest.fixture
def panel() -> pd.DataFrame:
    rows = [{"unit": unit, "wave": wave, "cohort": cohort, "period": year, "outcome": value}
            for (unit, wave, cohort), values in OUTCOMES.items() for year, value in zip(YEARS, values, strict=True)]
    return pd.DataFrame(rows).astype({"wave": "Int64", "cohort": "string", "outcome": float})


def draw(means, folder, **options):
    return draw_framed(means_over_time, means, **{
        "stem": folder / "series", "title": "Visits", "subtitle": "A head, Nowhere.", "source": "A publisher",
        "unit": "visits a head", "units": "districts", **options})


def test_means_are_those_by_hand(panel):
    means = wave_rows(panel, {2: "2011"})
    found = {key: rows.set_index("period")[["mean", "n_units"]].to_numpy().tolist()
             for key, rows in means.fillna({"wave": 0, "first_treated": "never"}).groupby(
                 ["wave", "first_treated", "counts_as"])}
    assert found == {(1, "2012", "treated"): [[12, 2], [12, 1], [25, 2]],
                     (2, "2011", "comparison"): [[5, 1], [6, 1], [7, 1]],
                     (0, "never", "comparison"): [[2, 2], [4, 2], [6, 2]]}


def test_the_picture_names_every_wave_its_date_and_its_units(panel, tmp_path):
    with saved_figures() as figures:
        svg, csv, txt = draw(wave_rows(panel, {2: "2011"}), tmp_path)
    assert_legible(figures[0])
    text = svg.read_text(encoding="utf-8")
    for words in ("Wave 1, from 2012: 1 to 2 districts; 2", "Wave 2, from 2011, in the",
                  "from 2012", "visits a head"):
        assert f">{words}" in text, words
    assert text.count(">from 201") == 2 and style.SYNTHETIC not in text
    assert ("Wave 1, from 2012: 1 to 2 districts; 2 in no wave. Treated: mean 12.00 before 2012 and 25.00 from then on."
            in txt.read_text(encoding="utf-8"))
    numbers = pd.read_csv(csv)
    assert len(numbers) == 9 and numbers["mean"].tolist() == wave_rows(panel, {2: "2011"})["mean"].tolist()


def test_a_wave_without_a_date_has_no_line(panel, tmp_path):
    svg, *_ = draw(wave_rows(panel), tmp_path)
    assert svg.read_text(encoding="utf-8").count(">from 201") == 1


def test_everyone_treated_leaves_no_other_line(panel, tmp_path):
    _, csv, txt = draw(wave_rows(panel.loc[panel["wave"].notna()]), tmp_path)
    assert "in no wave" not in txt.read_text(encoding="utf-8") and set(pd.read_csv(csv)["wave"]) == {1, 2}


def test_of_many_waves_the_largest_are_drawn_and_all_are_in_the_numbers(panel, tmp_path):
    many = pd.concat(panel.assign(wave=wave, cohort=f"20{wave:02d}",
                                  unit=panel["unit"] + str(wave)).head(3 * min(wave, 5)) for wave in range(1, 12))
    svg, csv, _ = draw(wave_rows(many), tmp_path)
    text = svg.read_text(encoding="utf-8")
    assert "The 8 largest of 11 waves" in text.replace("\n", " ") and text.count(">Wave ") == 8
    assert ">Wave 1," not in text and pd.read_csv(csv)["wave"].nunique() == 11


def test_made_up_figures_say_so_and_bytes_are_the_same_twice(panel, tmp_path):
    means = wave_rows(panel)
    paths = draw(means, tmp_path, is_synthetic=True)
    before = [path.read_bytes() for path in paths]
    assert b">SYNTHETIC<" in before[0] and before[2].startswith(b"SYNTHETIC")
    assert pd.read_csv(paths[1])["is_synthetic"].all()
    assert [path.read_bytes() for path in draw(means, tmp_path, is_synthetic=True)] == before
