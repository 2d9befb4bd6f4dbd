"""Mistakes in the config files are found before anything runs, each told in one line."""

import shutil
from pathlib import Path

import pytest

from did.errors import DidError
from did.project.file_checks import check_files
from did.project.loading import load_evaluation, load_indicator

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
    assert indicator.denominator_name(evaluation.specifications["default"]) == "adults"


def test_misspelt_key(project):
    edit("config/ics.yaml", "estimators:", "estimaters:")
    text = message()
    assert "config/ics.yaml line" in text
    assert "'estimaters' is not known; did you mean 'estimators'?" in text


def test_misspelt_key_inside(project):
    edit("config/ics.yaml", "  onset: 2017-06", "  onsett: 2017-06")
    assert "'waves.onsett' is not known; did you mean 'onset'?" in message()


def test_misspelt_key_in_a_specification(project):
    edit("config/ics.yaml", "overlap: max}", "overlaps: max}")
    assert "'specifications.overlap_max.overlaps' is not known; did you mean 'overlap'?" in message()


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
    assert "specifications.window_as_printed.window" in message()
    edit("config/ics.yaml", "window: as_print}", "window: as_printed}")
    edit("config/ics.yaml", "denominator: all_ages", "denominator: all_age")
    assert "did you mean 'all_ages'?" in message()


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("    census: {", "    # census: {", "key 'census' is needed"),
    ("earlier: population_all_rebased\n    census", "census", "key 'census' is for a part of all ages"),
])
def test_earlier_years_need_a_share_by_age_and_only_they(project, old, new, expected):
    edit("config/indicators/dtoc_nhs.yaml", old, new)
    assert expected in message()


def lines() -> list[str]:
    with pytest.raises(DidError) as caught:
        load_evaluation("config/ics.yaml", also=check_files)
    assert all("\n" not in line for line in caught.value.lines)
    return caught.value.lines


def test_several_mistakes_are_counted(project):
    edit("config/ics.yaml", "seed: 20170615", "seed: -1")
    edit("config/ics.yaml", "without_waves: [2]", "without_wave: [2]")
    assert "(and 1 more mistake)" in message() and "key 'seed'" in lines()[1]
    assert "'samples.wave_two_removed.without_wave' is not known; did you mean 'without_waves'?" in lines()[0]


def test_all_mistakes_of_all_files_are_told_at_once_with_their_lines(project):
    edit("config/ics.yaml", "default_specification: default", "default_specification: main")
    edit("config/ics.yaml", "estimators: [did, ldv, event_study]", "estimators: [did, lvd, event_study]")
    edit("config/ics.yaml", "2: 2018-05, 3", "2: May 2018, 3")
    edit("config/ics.yaml", "  - dtoc_nhs\n", "  - dtoc_nsh\n")
    edit("config/indicators/dtoc_both.yaml", "direction:", "dirction:")
    edit("config/indicators/gpps_needs_met.yaml", "frequency: Y", "frequency: yearly")
    edit("config/sources/ons_population.yaml", "reader: ons_mye", "reader: ons_mey")
    edit("config/published/ics.csv", ",dtoc_total,", ",dtoc_totl,")
    text = Path("config/ics.yaml").read_text().splitlines()
    found = lines()
    for expected in (
            f"ics.yaml line {text.index('default_specification: main') + 1}: key 'default_specification' must name a "
            f"specification",
            "found 'lvd'; did you mean 'ldv'?", "key 'waves.onsets.2': expected months", "indicator 'dtoc_nsh' is not",
            "dtoc_both.yaml line", "did you mean 'direction'?", "gpps_needs_met.yaml line", "did you mean 'ons_mye'?",
            "indicator 'dtoc_totl' is not in the evaluation"):
        assert any(expected in line for line in found), (expected, found)
    # Every sentence names its file, and no mistake is told twice.
    assert len(found) == len(set(found)) and all("config/" in line for line in found)


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
    assert "'specifications.waves_by_date.cohorts' is by_wave" in message()


def test_a_wave_with_a_date_that_is_no_month(project):
    edit("config/ics.yaml", "2: 2018-05, 3", "2: May 2018, 3")
    assert "'waves.onsets.2': expected months, written 2017-06; found 'May 2018'" in message()


def test_what_follows_from_a_mistake_is_not_told_again(project):
    edit("config/ics.yaml", "seed:", "sed:")
    assert len(lines()) == 1
    edit("config/ics.yaml", "sed:", "seed:")
    edit("config/ics.yaml", "  - dtoc_total", "  - dtoc_totl")
    assert len(lines()) == 1


# Files of every kind of wrong ------------------------------------------------------------------------------------


def bomb(depth: int) -> str:
    """Aliases of aliases: a few lines that stand for 9 ** depth values."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "expected a mapping with the keys id, title"),
    (b"# only a remark\n", "found nothing"),
    (b"- a\n- b\n", "found list"),
    ("title: café".encode("latin-1"), "expected UTF-8 text; found another encoding at byte"),
    ("id: ics".encode("utf-16"), "expected UTF-8 text"),
    (b"id: ics\x00", "expected YAML"),
    (b"id: ics\nwaves:\n\tonset: 2017-06\n", "line 3: expected YAML; found character that cannot start any token; "
     "indent with spaces, not tabs"),
    (b"id: !!python/object:os.system {}\n", "remove the tag"),
    (b"id: !secret x\n", "remove the tag"),
    (b"seed: 1\nseed: 2\n", "line 2: expected YAML; found key 'seed' is written twice; remove one of the two"),
    (b"? [a, b]\n: c\n", "a key that is a list or mapping"),
    (b"a: [1, 2\n", "check indentation, colons and quotes"),
    (b"a: &a [*a]\n", "aliases (*name) written out; found more"),
    (bomb(12).encode(), "aliases (*name) written out; found more"),
    (b"[" * 100_000, "at most 40 levels"),
    (b"a: 1\n" + b"#" * 3_000_000, "at most 2 MB; found 3 MB"),
    (b"id: ics\n---\nid: other\n", "line 2: expected YAML; found another document; write one document"),
])
def test_files_that_are_no_config_are_one_sentence(project, content, expected):
    Path("config/ics.yaml").write_bytes(content)
    found = lines()
    assert len(found) == 1 and expected in found[0] and found[0].startswith("config/ics.yaml"), found


@pytest.mark.parametrize(("make", "expected"), [
    (lambda path: path.unlink(), "config/ics.yaml: expected a YAML file; found none"),
    (lambda path: (path.unlink(), path.mkdir()), "config/ics.yaml: expected a YAML file; found a folder"),
])
def test_what_is_no_file(project, make, expected):
    make(Path("config/ics.yaml"))
    assert lines()[0].startswith(expected)


@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text, lambda text: text + "\n\n# end",
    lambda text: text.replace("clusters: [unit", "clusters: &c [unit"),
])
def test_windows_line_ends_a_mark_and_anchors_are_harmless(project, change):
    expected = load_evaluation("config/ics.yaml")
    path = Path("config/ics.yaml")
    path.write_bytes(change(path.read_text(encoding="utf-8")).encode())
    assert load_evaluation("config/ics.yaml") == expected


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("seed: 20170615", "seed: many", "key 'seed': expected a whole number; found 'many'"),
    ("seed: 20170615", "seed: [1]", "key 'seed': expected a whole number; found [1]"),
    ("seed: 20170615", "seed: yes", "key 'seed': expected a number; found true (as YAML reads yes and on)"),
    ("  treated_waves: [1]", "  treated_waves: [yes]", "key 'waves.treated_waves': expected a number; found [True]"),
    ("title: ", "title: no #", "key 'title': expected text; found false (as YAML reads no and off); put it in quotes"),
    ("draws: 9999", "draws: 10", "expected a number of at least 99; found 10"),
    ("id: ics", "id: ICS 2", "key 'id': expected a name of at most 60 small letters, digits"),
    ('folder: ""', "folder: raw", "key 'folder': expected a name that no folder of the stages has; found 'raw'"),
    ('folder: ""', "folder: ../up", "key 'folder': expected a name of at most 60"),
    ("treatments: [binary, intensity]", "treatments: []", "key 'treatments': expected at least 1 in it; found []"),
    ("clusters: [unit, system]", "clusters: [unit, unit]", "key 'clusters' names 'unit' twice"),
    ("headline: dtoc_total", "headline: dtoc_totl", "did you mean 'dtoc_total'?"),
    ("published/ics.csv", "published/isc.csv", 
     "key 'published': expected a CSV table; found nothing at config/published/isc.csv; did you mean 'ics.csv'?"),
    ("without_waves: [2]", "without_systems: [QPO]", "wave_two_removed.without_systems': expected a system"),
    ("  treated_waves: [1]\n", "", "found no treated_waves"),
    ("  onset: 2017-06 ", "  table: x.csv\n  onset: 2017-06 ", "with table, expected units at most"),
    ("staggered_estimators: [did, event_study, callaway_santanna, sun_abraham, imputation, stacked]",
     "staggered_estimators: [did]", "key 'staggered_estimators': expected one with effects over event time"),
    ("estimators: [did, ldv, event_study]", "estimators: [did, ldv, event_study, sun_abraham]",
     "key 'estimators': sun_abraham is for a binary treatment"),
    ("treatments: [binary, intensity]", "treatments: [intensity, binary]",
     "key 'staggered_estimators': callaway_santanna is for a binary treatment"),
    ("overlap: larger_share", "membership: public_record\n    controls: never_treated",
     "key 'specifications.default.membership' is public_record: expected doses"),
    ("{upper_tier: record_upper_tier.csv, ", "{", "key 'waves.records.public_record': expected a table for upper_tier"),
    ("{families: [mortality], drop_periods: [\"2017\"]}", "{families: [mortality], drop_periods: [nonsense]}",
     "key 'specifications.without_2017.drop_periods': expected years, written 2018; found 'nonsense'"),
    ("drop_periods: [\"2015-04 to 2017-05\"]", "drop_periods: [\"2011-04 to 2017-05\"]",
     "key 'specifications.onset_left_out.drop_periods' must leave periods before the onset 2017-06"),
    ("drop_periods: [\"2015-04 to 2017-05\"]", "drop_periods: [\"2010-04 to 2017-05\"]", "must name periods of the"),
    ("lags: all", "lags: all\n    scale: log", "key 'specifications.default.scale' must be level in the default"),
    ("{cohorts: by_wave}", "{cohorts: by_wave, weights: denominator}",
     "key 'specifications.waves_by_date.weights' must be equal in one that treats units from different dates"),
    ("lags: all", "lags: last_0", "key 'specifications.default.lags': expected text of the pattern"),
    ("{cohorts: by_wave}", "{cohorts: by_table}", "is by_table: key 'waves.table' must name the table"),
    ("denominator: [adults, all_ages]", "denominator: [adults, children]", "key 'products.dtoc.denominator' must hold "
     "what indicator dtoc_total has"),
    ("    partial: [any_part, majority]", "    partly: [any_part]", "did you mean 'partial'?"),
])
def test_broken_evaluations(project, old, new, expected):
    edit("config/ics.yaml", old, new)
    found = lines()
    assert any(expected in line for line in found), found
    assert all(line.startswith("config/") for line in found)


# With a waves table ----------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    from did.authoring import scaffold

    shutil.copy(ROOT / "Snakefile", tmp_path)
    scaffold.create("elsewhere", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


WAVES, OWN = "data/elsewhere/reference/waves.csv", "config/elsewhere.yaml"
SOURCE = "config/elsewhere/sources/visits.yaml"
VISITS = "config/elsewhere/indicators/visits.yaml"


@pytest.mark.parametrize(("path", "old", "new", "expected"), [
    (WAVES, "D02,", "D01,", "waves.csv: unit 'D01' must be in one row; found 2"),
    (WAVES, "D02,", ",", "waves.csv line 3: expected a unit; found an empty cell"),
    (WAVES, ",2014,", ",2014-13,", "column 'first_treated' of D01: expected a month (2017-06), quarter (2017Q2), year"),
    (WAVES, ",2014,1", ",2014,one", "column 'dose' of D01: expected a number of at least 0; found 'one'"),
    (WAVES, ",2014,1", ",2014,", "column 'dose' of D01: expected a number above 0, since it is treated"),
    (WAVES, "first_treated", "start", "expected column 'first_treated'; found no column 'first_treated' among "),
    (WAVES, "unit,", "district,", "expected a column 'unit'; found district, name, system"),
    (OWN, "table: waves.csv", "table: wave.csv", "line 29: key 'waves.table': expected a CSV table; found nothing at "
     "data/elsewhere/reference/wave.csv; did you mean 'waves.csv'?"),
    (WAVES, "first_treated", "first_treatd", "; is it 'first_treatd'? rename it"),
    (OWN, "reference: data/elsewhere/reference", "reference: nope", "key 'reference': expected a folder; found"),
    (OWN, "config/elsewhere/published.csv", "config", "key 'published': expected a CSV table; found a folder"),
    (OWN, "sources_folder: config/elsewhere/sources", "sources_folder: nope", "'sources_folder': expected a folder"),
    (OWN, "indicators_folder: config/elsewhere/indicators", "indicators_folder: nope", "'indicators_folder': expected"),
    (OWN, "data: live", "data: lve", "key 'data': expected one of demo, mirror:FOLDER, live; found 'lve'; did you mean "
     "'live'?"),
    (VISITS, "{source: visits, measures: [visits]}", "{source: visit, measures: [visits]}",
     "key 'numerator.source': source 'visit' is not known: expected a file"),
    (OWN, "default: {cohorts: by_table}", "default: {}", "must be by_table in the default specification"),
    (OWN, "own_dates: {cohorts: own_dates}", "own_dates: {cohorts: by_wave}", "must be by_table or own_dates"),
    (OWN, "by_table, window: to_2019,", "by_table, window: to_2018,", "did you mean 'to_2019'?"),
    (OWN, "by_table, window: to_2019,", "by_table, partial: majority,", "key "
     "'specifications.to_2019.partial' is about membership tables"),
    (OWN, "indicators: [visits]", "indicators: [visit]", "did you mean 'visits'?"),
    (OWN, "{full: {called: full sample}}", "{full: {}, less: {without_units: [D0]}}", 
     "key 'samples.less.without_units': expected a unit that the tables"),
    (OWN, "waves:\n  table: waves.csv", "waves: waves.csv", "key 'waves': expected a mapping (key: value); found"),
    (SOURCE, "layout: wide", "layout: wid", "visits.yaml line 11: key 'options.layout': source visits, reader "
     "tidy_csv: option 'layout': expected one of wide, long, periods; found 'wid'; did you mean 'wide'?"),
    (SOURCE, "period_column:", "period_colum:", "unknown option 'period_colum'; did you mean 'period_column'?"),
    (SOURCE, "frequency: Y", "frequency: W", "key 'options.frequency': source visits, reader tidy_csv"),
    (VISITS, "measures: [residents]", "measures: [resident]", "key 'denominators.residents.measures': expected a "
     "measure of source visits, which has visits, residents; found 'resident'; did you mean 'residents'?"),
    (VISITS, "{denominator}", "{denom}", "'unit_of_measure': expected no braces but those of {denominator}; found "
     "'{denom}'; did you mean '{denominator}'?"),
    (VISITS, "{denominator}", "{denominator", "key 'unit_of_measure': expected no braces but those of {denominator}"),
    (VISITS, "first: 2010, last: 2021", "first: 2019, last: 2021", "expected a unit first treated after the first"),
    (VISITS, "first: 2010, last: 2021", "first: 2010, last: 2013", "expected a unit first treated after the first"),
    (VISITS, "published_estimator: did", "published_estimator: ldv", "must be an estimator of evaluation elsewhere"),
    (VISITS, "{source: visits, measures: [residents]}", "{source: visits, measure: a, all_ages: b}",
     "is a population by district of England"),
    ("config/elsewhere/sources/visits.yaml", "reader: tidy_csv", "reader: tidy", "did you mean 'tidy_csv'?"),
])
def test_broken_evaluations_with_a_waves_table(elsewhere, path, old, new, expected):
    edit(path, old, new)
    with pytest.raises(DidError) as caught:
        load_evaluation(OWN, also=check_files)
    assert any(expected in line for line in caught.value.lines), caught.value.lines


def test_all_units_treated_leaves_nobody_to_compare_with(elsewhere):
    text = Path(WAVES).read_text(encoding="utf-8")
    Path(WAVES).write_text(text.replace(",,\n", ",2020,1\n"), encoding="utf-8")
    with pytest.raises(DidError, match=r"expected units that are not treated by the last period of the visits window "
                                       r"default, 2010 to 2021, to compare with; found all 40 treated"):
        load_evaluation(OWN)


def test_an_empty_table_is_said_to_be_filled(elsewhere):
    Path(WAVES).write_text("", encoding="utf-8")
    with pytest.raises(DidError, match=r"waves.csv: expected a header and rows; found an empty file; write the"):
        load_evaluation(OWN)


def test_every_mistake_of_a_waves_table_is_told(elsewhere):
    edit(WAVES, ",2014,1", ",soon,1")
    edit(WAVES, ",2014,2", ",2014,much")
    edit(WAVES, "D40,", "D39,")
    with pytest.raises(DidError) as caught:
        load_evaluation(OWN)
    assert len(caught.value.lines) == 3
