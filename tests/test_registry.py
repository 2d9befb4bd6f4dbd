"""The source registry: the shipped files, and one line for every mistake in one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from did.errors import DidError
from did.project.registry import READERS, load_named, load_source

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "config" / "sources"
SHARED = ROOT.parent / "shared"


def _good() -> dict:
    return {
        "id": "example",
        "title": "An example",
        "publisher": "A publisher",
        "landing_page": "https://example.org/page",
        "licence": "OGL-3.0",
        "reader": "tidy_csv",
        "options": {"layout": "wide"},
        "quirks": ["one"],
        "files": [
            {
                "name": "a.csv",
                "period": "2017-06",
                "address": "https://example.org/a.csv",
                "sha256": "a" * 64,
            },
            {
                "name": "b.csv",
                "period": "2017-07",
                "address": "https://example.org/b.csv",
                "sha256": "b" * 64,
            },
        ],
    }


def _message(tmp_path: Path, content: object) -> str:
    path = tmp_path / "example.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(DidError) as caught:
        load_source(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


def test_the_shipped_sources_load() -> None:
    sources = {path.stem: load_source(path) for path in sorted(SOURCES.glob("*.yaml"))}
    assert {name: len(source.files) for name, source in sources.items()} == {
        "ccg_population": 1,
        "gpps": 11,
        "nhs_england_dtoc": 105,
        "nhs_england_dtoc_2020": 1,
        "ons_population": 10,
        "preventable_mortality": 1,
    }
    for name, source in sources.items():
        assert (SOURCES / f"{name}.yaml").exists()
        assert source.licence == "OGL-3.0"
        assert source.manual_download or all(entry.sha256 and entry.bytes for entry in source.files)


def test_the_months_of_the_dtoc_workbooks_have_no_gap() -> None:
    files = load_source(SOURCES / "nhs_england_dtoc.yaml").files
    months = [f"{year}-{month:02d}" for year in range(2011, 2020) for month in range(1, 13)][3:]
    assert [entry.period for entry in files] == months
    assert all(entry.name == f"LA-Type-B-{entry.period}.xls" and entry.address for entry in files)


def test_the_years_of_the_population_files() -> None:
    files = load_source(SOURCES / "ons_population.yaml").files
    assert [entry.period for entry in files] == [*map(str, range(2011, 2020)), None]


def test_every_reader_of_the_registry_exists() -> None:
    from did.readers import READERS as MODULES

    assert set(READERS) == set(MODULES)


@pytest.mark.skipif(not SHARED.exists(), reason="the publishers' files are not alongside the checkout")
def test_the_shipped_sources_agree_with_the_index_of_the_mirror() -> None:
    with open(SHARED / "mirror" / "index.csv", encoding="utf-8", newline="") as file:
        index = {row["path"]: row for row in csv.DictReader(file)}
    found = {}
    for source in map(load_source, sorted(SOURCES.glob("*.yaml"))):
        found |= {f"{source.id}/{entry.name}": entry for entry in source.files}
    for path, row in index.items():
        assert (found[path].sha256, found[path].bytes) == (row["sha256"], int(row["bytes"]))
        assert not row["url"] or found[path].address == row["url"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"licnce": "OGL-3.0"}, ["licnce' is not known", "did you mean 'licence'?"]),
        ({"reader": "tidy_cvs"}, ["reader': expected one of", "'tidy_cvs'", "did you mean 'tidy_csv'?"]),
        ({"title": 7}, ["title': expected text; found 7; put it in quotes"]),
        ({"id": "Not An Id"}, ["id': expected a name of at most 60 small letters", "'Not An Id'"]),
        ({"landing_page": "ftp://example.org"}, ["landing_page': expected an http or https address"]),
        ({"licence": ""}, ["licence': expected the licence's name"]),
        ({"files": []}, ["'files': expected at least 1 in it"]),
        ({"files": ["a.csv"]}, ["'files.1': expected a mapping (key: value)"]),
    ],
)
def test_a_mistake_in_a_source_is_one_line(tmp_path: Path, change: dict, expected: list[str]) -> None:
    message = _message(tmp_path, _good() | change)
    assert all(text in message for text in expected), message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"adress": "https://example.org"}, ["adress' is not known", "did you mean 'address'?"]),
        ({"sha256": "abc"}, ["sha256': expected 64 small hexadecimal digits", "'abc'"]),
        ({"sha256": "A" * 64}, ["sha256': expected 64 small hexadecimal digits"]),
        ({"period": 2017}, ["period': expected quoted ISO text", "found 2017"]),
        ({"period": "2017-13"}, ["period': expected quoted ISO text", "'2017-13'"]),
        ({"address": "file:///etc/passwd"}, ["address': expected an http or https address"]),
        (
            {"archive": "https://me:word@example.org/a"},
            ["archive': expected", "without user name or password"],
        ),
        ({"bytes": 0}, ["bytes': expected a number above 0; found 0"]),
        ({"bytes": "12"}, ["bytes': expected a whole number; found '12'"]),
        ({"period": "2017-06"}, ["period '2017-06' is given to 2 files (a.csv, b.csv)"]),
        ({"sha256": "a" * 64}, ["sha256", "is given to 2 files"]),
        ({"address": "https://example.org/a.csv"}, ["address", "is given to 2 files"]),
    ],
)
def test_a_mistake_in_a_file_names_the_file(tmp_path: Path, change: dict, expected: list[str]) -> None:
    content = _good()
    content["files"][1] |= change
    message = _message(tmp_path, content)
    assert "b.csv" in message and all(text in message for text in expected), message


@pytest.mark.parametrize(
    "name",
    [
        "../b.csv",
        "/etc/b.csv",
        "folder/b.csv",
        "folder\\b.csv",
        "C:b.csv",
        "..",
        ".hidden",
        "",
        "a..b",
        "b\n.csv",
    ],
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    content = _good()
    content["files"][1]["name"] = name
    assert "name': expected a plain file name" in _message(tmp_path, content)


@pytest.mark.parametrize("name", ["manifest.json", "b.csv.new", "b.csv.part"])
def test_a_name_that_fetching_uses_is_refused(tmp_path: Path, name: str) -> None:
    content = _good()
    content["files"][1]["name"] = name
    assert "fetching does not use" in _message(tmp_path, content)


@pytest.mark.parametrize("name", ["a.csv", "A.CSV"])
def test_a_name_given_twice_is_refused(tmp_path: Path, name: str) -> None:
    content = _good()
    content["files"][1]["name"] = name
    assert "name 'a.csv' is given to 2 files" in _message(tmp_path, content)


def test_a_missing_key_and_the_number_of_problems(tmp_path: Path) -> None:
    content = _good()
    del content["title"], content["files"][0]["name"]
    message = _message(tmp_path, content)
    assert "'title' is missing" in message and "(and 1 more mistake)" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: [", ": expected YAML; found"),
        ("id: a\nid: b\n", "line 2: expected YAML; found key 'id' is written twice"),
        ("- a\n", "expected a mapping with the keys id, title"),
        ("", "expected a mapping with the keys"),
    ],
)
def test_text_that_is_not_a_source(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in _message(tmp_path, text)


def test_a_missing_file_and_a_wrong_encoding(tmp_path: Path) -> None:
    with pytest.raises(DidError, match="expected a YAML file; found none"):
        load_source(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: caf\xe9\n".encode("latin-1"))
    with pytest.raises(DidError, match="expected UTF-8 text"):
        load_source(tmp_path / "latin.yaml")


def test_a_source_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(yaml.safe_dump(_good()), encoding="utf-8")
    assert load_named("example", tmp_path).id == "example"
    with pytest.raises(DidError, match="did you mean 'example'"):
        load_named("exmaple", tmp_path)
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(_good()), encoding="utf-8")
    with pytest.raises(DidError, match="must be the file's name 'other'; found 'example'"):
        load_named("other", tmp_path)
