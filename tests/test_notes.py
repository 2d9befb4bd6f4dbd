"""Words are made from codes at the end, and nothing takes them apart again."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from did.inference.change import Change
from did.inference.joint_test import BLANK
from did.report.content import notes

SOURCE = Path(__file__).resolve().parents[1] / "src" / "did"
# Rooms between the readers, which take the publishers' words apart, and the reader of the results.
ROOMS = ["estimators", "inference", "diagnostics", "areas", "panels", "evidence", "report", "authoring", "sweep",
         "stages", "store"]
WORDS = {"note", "reason", "item"}
PATTERNS = {"startswith", "endswith", "removeprefix", "removesuffix", "split", "rsplit", "partition", "rpartition",
            "contains", "extract", "extractall", "match", "fullmatch", "search", "findall", "find", "replace", "sub"}
# The one place that tells the remarks of a note apart, to show each once.
# A reason of the evidence is a code, not words.
ALLOWED = {("report/content/notes.py", "remarks"), ("report/content/evidence_words.py", "evidence_table")}


def words_in(node: ast.AST) -> bool:
    """Is one of the columns of words taken in this expression, as ``row["note"]``, ``row.note`` or ``note``?"""
    return any(isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Constant) and each.slice.value in WORDS
               or isinstance(each, ast.Attribute) and each.attr in WORDS
               or isinstance(each, ast.Name) and each.id in WORDS for each in ast.walk(node))


def taken_apart(tree: ast.AST) -> list[int]:
    """Lines on which a pattern, a prefix or a part is looked for in such a column."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PATTERNS:
            if words_in(node.func.value) or (ast.unparse(node.func.value) == "re" and any(map(words_in, node.args))):
                found.append(node.lineno)
        elif (isinstance(node, ast.Compare) and any(isinstance(each, ast.In | ast.NotIn) for each in node.ops)
              and any(map(words_in, node.comparators))):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("line", ['row["note"].startswith("a")', 'rows["reason"].str.contains("b")', '"c" in row.note',
                                  're.search("d", str(row["reason"]))', 'row.item.removeprefix("e")'])
def test_a_pattern_taken_from_words_is_found(line):
    assert taken_apart(ast.parse(line)) == [1]


def test_no_note_reason_or_item_is_taken_apart():
    found = []
    for path in sorted(each for room in ROOMS for each in (SOURCE / room).rglob("*.py")):
        file = str(path.relative_to(SOURCE))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
            if (file, function.name) in ALLOWED:
                function.body = []
        found += [f"{file}, line {line}" for line in taken_apart(tree)]
    assert found == []


@pytest.mark.parametrize(("change", "words"), [
    (Change(), ""),
    (Change("without_cluster", left_out="N1", called="North"), "without North (N1)"),
    (Change("without_cluster", left_out="N1", called="N1"), "without N1"),
    (Change("without_group", left_out="reviewed", n_left_out=9, n_left_out_treated=2),
     "without reviewed (9, 2 treated)"),
    (Change("without_group", left_out="reviewed"), "without reviewed"),
    (Change("to_period", left_out="early", period="2019"), "early (to 2019)"),
    (Change("placebo_onset"), "placebo onset"),
    (Change("third_of_treated", part="lowest", part_of="intensity", part_low=7, part_high=9.5),
     "lowest third of intensity (7 to 9.5)"),
    (Change("third", part="middle", part_of="deprivation", n_left_out=3),
     "middle third of deprivation, 3 units unknown"),
])
def test_changes_in_words(change, words):
    assert notes.change(change.columns()) == words


def test_what_a_row_is_of_in_words():
    row = BLANK | {"treatment": "binary", "cluster": "unit"}
    assert notes.item(row | {"diagnostic": "joint_leads"}) == "binary, unit clusters"
    assert notes.item(row | {"diagnostic": "jackknife", "estimator": "did"}) == "binary, did, unit clusters"
    assert notes.item(row | {"diagnostic": "sensitivity_smoothness", "target": "first", "bound_m": 0.25}) == (
        "first, m 0.25, unit clusters")
    assert notes.item(row | {"target": "average", "is_breakdown": True}) == "average, breakdown, unit clusters"
    assert notes.item(row | {"event_time": -3, "bin_width": 12}, treatment=False, clusters={"unit": "by area"}) == (
        "bins of 12, event time -3, by area")
    assert notes.item(row | {"diagnostic": "decomposition", "part": "timing"}) == "timing"


def test_caveats_and_few_treated_units_in_words():
    row = {"status": "done", "caveat": "few_treated_clusters", "condition": "", "reason": "rank 2", 
           "few_treated": np.True_, "n_treated": 1200, "minimum_treated": 5000}
    assert notes.said(row) == "rank 2; few treated clusters: rejects too often"
    assert notes.said(row | {"condition": "not_met"}) == (
        "rank 2; condition not met; few treated clusters: rejects too often")
    assert notes.few_treated(row) == "rests on few treated units: 1,200, fewer than 5,000"
    assert notes.few_treated(row | {"few_treated": False}) == ""
