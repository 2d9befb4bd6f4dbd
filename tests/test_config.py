"""Mistakes in the config files are found before anything runs, each told in one line."""

import shutil
from pathlib import Path

import pytest

from did.config import load_evaluation, load_indicator
from did.errors import DidError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "data" / "reference", tmp_path / "data" / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    if old not in text:
        raise ValueError(f"{old!r} is not in {path}")
    Path(path).write_text(text.replace(old, new, 1))


def message() -> str:
    with pytest.raises(DidError) as caught:
        load_evaluation("config/ics.yaml")
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_evaluation_as_shipped_is_right(project):
    evaluation = load_evaluation("config/ics.yaml")
    assert evaluation.waves.onset == "2017-06"
    indicator = load_indicator("dtoc_total", "config/indicators")
    assert indicator.denominator_name(evaluation.readings["default"]) == "adults"


def test_misspelt_key(project):
    edit("config/ics.yaml", "estimators:", "estimaters:")
    text = message()
    assert "config/ics.yaml line" in text
    assert "'estimaters' is not known; did you mean 'estimators'?" in text


def test_misspelt_key_inside(project):
    edit("config/ics.yaml", "  onset: 2017-06", "  onsett: 2017-06")
    assert "'waves.onsett' is not known; did you mean 'onset'?" in message()


def test_misspelt_key_in_a_reading(project):
    edit("config/ics.yaml", "overlap: max}", "overlaps: max}")
    assert "'readings.overlap_max.overlaps' is not known; did you mean 'overlap'?" in message()


def test_misspelt_key_of_an_indicator(project):
    edit("config/indicators/dtoc_nhs.yaml", "direction:", "dirction:")
    text = message()
    assert "dtoc_nhs.yaml line" in text and "did you mean 'direction'?" in text


def test_unknown_indicator(project):
    edit("config/ics.yaml", "  - dtoc_nhs\n", "  - dtoc_nsh\n")
    text = message()
    assert "indicator 'dtoc_nsh' is not known" in text and "did you mean 'dtoc_nhs'?" in text


@pytest.mark.parametrize("onset", ["2010-06", "2011-04", "2021-01"])
def test_onset_outside_the_window(project, onset):
    edit("config/ics.yaml", "onset: 2017-06", f"onset: {onset}")
    text = message()
    assert "waves.onset" in text and "window" in text and f"found {onset}" in text


def test_onset_that_is_no_month(project):
    edit("config/ics.yaml", "onset: 2017-06", "onset: June 2017")
    assert "expected months, written 2017-06; found 'June 2017'" in message()


def test_onset_written_as_a_date_is_not_silently_a_month(project):
    edit("config/ics.yaml", "onset: 2017-06", "onset: 2017-06-15")
    assert "expected months, written 2017-06; found '2017-06-15'" in message()


def test_unknown_estimator(project):
    edit("config/ics.yaml", "[did, ldv, event_study]", "[did, lvd]")
    assert "found 'lvd'; did you mean 'ldv'?" in message()


def test_unknown_window_and_denominator(project):
    edit("config/ics.yaml", "window: as_printed", "window: as_print")
    assert "readings.window_as_printed.window" in message()
    edit("config/ics.yaml", "window: as_print}", "window: as_printed}")
    edit("config/ics.yaml", "denominator: all_ages", "denominator: all_age")
    assert "did you mean 'all_ages'?" in message()


def test_several_mistakes_are_counted(project):
    edit("config/ics.yaml", "seed: 20170615", "seed: -1")
    edit("config/ics.yaml", "samples: [full,", "samples: [ful,")
    assert "(and 1 more: samples.1)" in message()


def test_key_written_twice(project):
    edit("config/ics.yaml", "seed: 20170615", "seed: 20170615\nseed: 1")
    text = message()
    assert "key 'seed' is written twice" in text and "line" in text


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "expected a mapping"),
    (b"a: [1, 2", "expected YAML"),
    (b"title: caf\xe9", "expected UTF-8"),
])
def test_files_that_are_not_a_config(project, content, expected):
    Path("config/ics.yaml").write_bytes(content)
    assert expected in message()


def test_window_that_runs_backwards(project):
    edit("config/indicators/dtoc_total.yaml", "last: 2020-02", "last: 2010-02")
    assert "'windows.default' must end after it begins" in message()


def test_waves_by_date_need_dates_and_estimators(project):
    edit("config/ics.yaml", "staggered_estimators: [did,", "staggered_estimators: [dod,")
    assert "key 'staggered_estimators' expected" in message()
    edit("config/ics.yaml", "staggered_estimators: [dod, event_study, callaway_santanna, sun_abraham, imputation, "
         "stacked]", "staggered_estimators: []")
    assert "'readings.waves_by_date.cohorts' is by_wave" in message()


def test_a_wave_with_a_date_that_is_no_month(project):
    edit("config/ics.yaml", "2: 2018-05, 3", "2: May 2018, 3")
    assert "'waves.onsets.2': expected months, written 2017-06; found 'May 2018'" in message()
