"""The whole workflow as a user runs it: what is made, what is made again, and what survives a kill."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from python_calamine import CalamineWorkbook

import small_project
from did.project import slices
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import Paths
from did.project.specification import Specification
from did.store import seals
from did.workflow.launch import alone
from did.workflow.plan import Plan
from opened import opened
from workbooks import write_dtoc

MIRROR = "mirror:../mirror"


@pytest.fixture
def project(finished, tmp_path) -> Path:
    shutil.copytree(finished.parent, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy" / "project"


def contents(project: Path) -> dict[str, str]:
    """Checksum of every result, and of every table between the stages."""
    files = [*sorted((project / "results").rglob("*")), *sorted((project / "data").rglob("*.parquet"))]
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files if path.is_file()}


def steps(text: str) -> list[str]:
    """The steps that a run says it has done."""
    return sorted(set(re.findall(r"^\[\d+/\d+\] (\w+)", text, flags=re.MULTILINE)))


def test_the_run_makes_everything(finished):
    listed = json.loads((finished / "results/manifest.json").read_text())
    for name in ["results/summary.md", "results/tables/reproduction.csv", "results/tables/estimates.csv",
                 "results/figures/coefficients_dtoc_ldv.svg", "results/figures/trends_dtoc_total.svg"]:
        assert (finished / name).stat().st_size > 0
        assert name in listed["results"]
    assert len(listed["inputs"]) > 27
    assert small_project.run(finished, "verify").returncode == 0


def test_a_number_is_traced_to_a_cell_of_the_publishers_file(finished):
    done = small_project.run(finished, "trace", "D1", "--data", MIRROR)
    assert done.returncode == 0, done.stderr
    assert "D1: printed: 40 more days, p < 0.01" in done.stdout and "specification default: " in done.stdout
    value, file, sheet, row = re.search(r"total: ([\d,]+), (\S+), sheet (.+), row (\d+)$", done.stdout,
                                        flags=re.MULTILINE).groups()
    path = finished / "data/raw/nhs_england_dtoc" / file
    cells = CalamineWorkbook.from_path(path).get_sheet_by_name(sheet).to_python(skip_empty_area=False)[int(row) - 1]
    assert float(value.replace(",", "")) in cells
    assert hashlib.sha256(path.read_bytes()).hexdigest() in done.stdout
    lost = small_project.run(finished, "trace", "D99", "--data", MIRROR)
    assert lost.returncode == 1 and "expected a target of results/tables/verdicts.csv or an indicator" in lost.stderr


def test_nothing_is_made_again_when_nothing_changed(project):
    before = contents(project)
    again = small_project.run(project, "run", "--data", MIRROR)
    assert again.returncode == 0 and steps(again.stderr) == []
    assert contents(project) == before


LAST = ["draw", "family", "manifest", "report", "tabulate", "workbench", "workbook"]
FITTED = ["adjust", "check", "compare", "judge", *LAST]


@pytest.mark.parametrize(("module", "expected"), [
    ("readers/dtoc_la_workbook.py", ["align", "calibrate", "diagnose", "fit", "observe", "reproduce", "specify",
                                     *FITTED]),
    ("areas/waves.py", ["align", "calibrate", "diagnose", "fit", "reproduce", "specify", *FITTED]),
    ("estimators/ldv.py", ["calibrate", "diagnose", "fit", "reproduce", "specify", *FITTED]),
    ("diagnostics/group_trends.py", ["diagnose", "draw", "judge", "manifest", "report", "reproduce", "tabulate",
                                     "workbench", "workbook"]),
    ("evidence/verdicts.py", ["reproduce", *FITTED]),
    ("report/pages/section.py", ["draw", "manifest", "report", "reproduce", "tabulate", "workbench", "workbook"]),
    ("report/writers/workbook.py", ["manifest", "workbook"]),
    ("stages/verify.py", []),
])
def test_an_edited_module_reruns_its_stage_and_what_follows(project, module, expected):
    path = project / "src/did" / module
    path.write_text(path.read_text() + "\n# edited\n")
    done = small_project.run(project, "run", "--data", MIRROR)
    assert done.returncode == 0, done.stderr
    assert steps(done.stderr) == sorted(expected)
    if "observe" in expected:
        assert "observe nhs_england_dtoc:" in done.stderr and "observe ons_population" not in done.stderr


def test_an_edited_indicator_reruns_its_own_jobs(project):
    path = project / "config/indicators/dtoc_total.yaml"
    path.write_text(path.read_text().replace("per: 100000", "per: 1000"))
    done = small_project.run(project, "run", "--data", MIRROR)
    assert steps(done.stderr) == sorted(["align", "calibrate", "diagnose", "fit", "reproduce", "specify", *FITTED])
    own = re.findall(r"^\[\d+/\d+\] (?:align|fit|calibrate|diagnose|specify|draw) (\w+)", done.stderr,
                     flags=re.MULTILINE)
    assert set(own) == {"dtoc_total"}


@pytest.mark.parametrize(("key", "value", "expected"), [
    ("label", "Every cause", ["reproduce", *LAST]),
    ("caveats", ["Look twice."], ["reproduce", *LAST]),
    ("minimum_treated", 4, ["calibrate", "diagnose", "fit", "align", "specify", "reproduce", *FITTED]),
    (None, None, ["manifest"]),   # a comment, and keys in another order
])
def test_an_edited_word_of_an_indicator_reruns_what_shows_it(project, key, value, expected):
    path = project / "config/indicators/dtoc_total.yaml"
    indicator = yaml.safe_load(path.read_text()) | ({} if key is None else {key: value})
    path.write_text("# edited\n" + yaml.safe_dump(indicator))
    assert planned(project) == sorted(expected)


def test_stages_that_decide_numbers_are_given_no_words():
    """Those whose rules have `numbers_of` among their inputs."""
    rules = re.split(r"^rule ", (small_project.ROOT / "Snakefile").read_text(), flags=re.MULTILINE)[1:]
    stages = [rule.partition(":")[0] for rule in rules if "plan.numbers_of(" in rule]
    assert stages == ["align", "fit", "calibrate", "diagnose", "specify", "compare", "check", "judge", "adjust"]
    for stage in stages:
        text = (small_project.ROOT / f"src/did/stages/{stage}.py").read_text()
        assert text.count("load_indicator(") == text.count("without_words(load_indicator("), stage
    part = slices.without_words(load_indicator("dtoc_total", small_project.ROOT / "config/indicators"))
    for name in type(part).model_fields:
        assert hasattr(part, name) != (name in slices.WORDS), name


def planned(project: Path) -> list[str]:
    """The steps that the next run would do, by Snakemake's own dry run."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--directory", ".", "--config",
               "evaluation=config/ics.yaml", f"data={MIRROR}"]
    done = subprocess.run(command, cwd=project, env=small_project.environment(project), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rules = re.findall(r"^(\w+) +\d+$", done.stdout + done.stderr, flags=re.MULTILINE)
    return sorted({rule.partition("_")[0] for rule in rules} - {"all", "total"})


# What follows from anything that is on the pages, from an answer, and from an outcome's estimates.
PAGES = ["manifest", "report", "tabulate", "workbench", "workbook"]
JUDGED = ["draw", "judge", "reproduce", *PAGES]
LED = ["family", *JUDGED]   # a family's figure shows estimates with their headline intervals
CLAIMS = ["adjust", "check", "compare", *LED]
# A key of the evaluation, another value, and the steps that are run for it.
EDITS = [
    ("contact", "Somebody, somebody@example.org", ["manifest", "report", "workbook"]),
    ("title", "Another title", ["reproduce", *PAGES]),
    ("publication.citation", "Elsewhere, 2021", ["manifest", "report", "reproduce", "tabulate", "workbench",
                                                    "workbook"]),
    ("units", "places", ["draw", "family", "reproduce", *PAGES]),
    ("seed", 7, ["calibrate", "diagnose", "fit", *CLAIMS]),
    ("draws", 199, ["adjust", "calibrate", "diagnose", *LED]),
    ("inference", {"draws": 199}, ["adjust", "calibrate", *LED]),
    ("evidence", {"kept_share": 0.8}, [name for name in CLAIMS if name != "family"]),
    ("robustness.ends", {"early": "2018-01"}, ["diagnose", *JUDGED]),
    ("products", {"dtoc": {"lags": ["last_3", "last_6"]}}, ["specify", *JUDGED]),
    ("staggered_estimators", ["did", "event_study", "stacked"], ["calibrate", "diagnose", "fit", *CLAIMS]),
    ("clusters", ["system"], ["calibrate", "diagnose", "fit", "specify", *CLAIMS]),
    ("waves.system_onsets", {"QOP": "2016-08"}, ["align", "calibrate", "diagnose", "fit", "specify", *CLAIMS]),
    ("specifications.default.window", "default", ["manifest"]),  # what it is where nothing is said
    (
        "specifications.other",
        {"families": ["dtoc"], "lags": "last_2"},
        ["align", "calibrate", "diagnose", "fit", "specify", *CLAIMS],
    ),
]


@pytest.mark.parametrize(("key", "value", "expected"), EDITS, ids=[key for key, *_ in EDITS])
def test_an_edited_key_reruns_what_reads_it_and_what_follows(project, key, value, expected):
    place = project / "config/ics.yaml"
    evaluation = yaml.safe_load(place.read_text())
    within, *path = evaluation, *key.split(".")
    for name in path[:-1]:
        within = within[name]
    within[path[-1]] = value
    place.write_text(yaml.safe_dump(evaluation, sort_keys=False))
    assert planned(project) == sorted(set(expected))


def test_a_stage_is_given_no_key_but_those_it_declares():
    evaluation = load_evaluation(small_project.ROOT / "config/ics.yaml")
    whole = evaluation.model_dump()
    for stage, keys in slices.KEYS.items():
        member = {**dict.fromkeys(slices.OF_INDICATOR, "dtoc_total"),
                  **dict.fromkeys(slices.OF_FAMILY, "dtoc")}.get(stage)
        part = slices.Parts(evaluation).of_stage(stage, member)
        for key in whole:
            inner = {name.partition(".")[2] for name in keys if name.startswith(f"{key}.")}
            assert hasattr(part, key) == (key in keys or bool(inner)), (stage, key)
            for name in whole[key] if inner else []:
                assert hasattr(getattr(part, key), name) == (name in inner), (stage, key, name)


def test_an_edit_about_one_family_is_in_no_other_familys_part():
    evaluation = load_evaluation(small_project.ROOT / "config/ics.yaml")
    specifications = evaluation.specifications | {"late": Specification(families=["gpps"], window="to_2019_12")}
    families = evaluation.families | {"gpps": evaluation.families["gpps"].model_copy(update={"title": "Survey"})}
    edited = evaluation.model_copy(update={"specifications": specifications, "families": families})
    before, after = slices.Parts(evaluation), slices.Parts(edited)
    for stage in (*slices.OF_INDICATOR, *slices.OF_FAMILY):
        about = {"families", "specifications"} & slices.KEYS[stage]   # what was edited is in its part at all
        for family in evaluation.families:
            same = before.text(stage, family) == after.text(stage, family)
            assert same == (family != "gpps" or not about), (stage, family)


def test_a_deleted_raw_file_is_fetched_again_alone(project):
    raw = project / "data/raw/nhs_england_dtoc"
    before = json.loads((raw / "manifest.json").read_text())["files"]
    lost = raw / "LA-Type-B-2017-03.xls"
    lost.unlink()
    time.sleep(1.1)  # times in the manifest are whole seconds
    done = small_project.run(project, "run", "--data", MIRROR)
    assert done.returncode == 0, done.stderr
    after = json.loads((raw / "manifest.json").read_text())["files"]
    changed = [name for name in after if after[name]["retrieved_at"] != before[name]["retrieved_at"]]
    assert lost.exists() and changed == [lost.name]
    assert "fetch ons_population" not in done.stderr


def test_a_killed_run_ends_in_the_bytes_of_an_undisturbed_one(finished, tmp_path):
    shutil.copytree(finished.parent / "mirror", tmp_path / "mirror")
    project = tmp_path / "project"
    shutil.copytree(finished, project, ignore=shutil.ignore_patterns("raw", "interim", "processed", "results", "logs",
                                                                      ".snakemake"))
    draw = random.Random()
    command = [sys.executable, "-c", "from did.cli.commands import main; main()", "run", "--data", MIRROR]
    for _ in range(4):
        process = subprocess.Popen(command, cwd=project, env=small_project.environment(project),
                                   start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.5, 6))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = small_project.run(project, "run", "--data", MIRROR)
    assert done.returncode == 0, done.stderr
    assert contents(project) == contents(finished)
    assert not [path for path in project.rglob(".*.part")]


def failure(project: Path, *arguments: str) -> str:
    """The one line a user sees when a run fails."""
    done = small_project.run(project, "run", *arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_bad_workbook_stops_the_run_with_one_line(project):
    raw = project / "data/raw/nhs_england_dtoc"
    path = raw / "LA-Type-B-2017-03.xls"
    areas = [small_project.Area(nhs, code, name, "North West", (5, 3, 1)) for code, nhs, name in
             [("E08000001", "304", "Bolton"), ("E08000002", "305", "Bury")]]
    write_dtoc(path, "2017-03", areas, cells={"F17": "many"})
    _accept(raw, path)
    line = failure(project, "--data", MIRROR)
    assert "LA-Type-B-2017-03.xls" in line and "F17" in line and "many" in line
    assert "Traceback" in (project / "logs/observe_nhs_england_dtoc.log").read_text()
    assert (project / "results/summary.md").exists()  # the last good result is not destroyed


def _accept(raw: Path, path: Path) -> None:
    """Make the changed file the registered one, so that only its content is wrong."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    registry = raw.parents[2] / "config/sources/nhs_england_dtoc.yaml"
    manifest = json.loads((raw / "manifest.json").read_text())
    old = manifest["files"][path.name]["sha256"]
    registry.write_text(registry.read_text().replace(old, digest))
    mirror = raw.parents[3] / "mirror"
    shutil.copy(path, mirror / "nhs_england_dtoc" / path.name)
    index = mirror / "index.csv"
    index.write_text(index.read_text().replace(old, digest))


def test_a_missing_month_stops_the_run_with_one_line(project):
    registry = project / "config/sources/nhs_england_dtoc.yaml"
    text = registry.read_text()
    start = text.index("- name: LA-Type-B-2018-05.xls")
    registry.write_text(text[:start])
    line = failure(project, "--data", MIRROR)
    assert "none for 2018-05" in line


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("seed:", "sed:", "'sed' is not known; did you mean 'seed'?"),
    ("- dtoc_total", "- dtoc_totl", "indicator 'dtoc_totl' is not known"),
    ("onset: 2017-06", "onset: 2019-06", "waves.onset"),
    ("onset: 2017-06", "onset: 2016-06", "waves.onset"),
])
def test_a_mistake_in_the_config_stops_before_anything_runs(project, old, new, expected):
    path = project / "config/ics.yaml"
    text = path.read_text().replace("'2017-06'", "2017-06")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert expected in failure(project, "--data", MIRROR)


@pytest.mark.parametrize(("data", "expected"), [
    ("mirror:../nowhere", "nowhere"),
    ("mirrror:../mirror", "mirror:"),
])
def test_a_wrong_data_mode_is_one_line(project, data, expected):
    assert expected in failure(project, "--data", data)


def test_a_run_waits_a_moment_for_one_that_was_killed_to_let_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    code = ("import fcntl, time\nhandle = open('.snakemake/did_run.hold', 'w')\n"
            "fcntl.flock(handle, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(0.3)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout.readline() == "held\n"
        with alone():
            assert killed.wait() == 0


def test_two_runs_in_one_folder(project):
    import fcntl

    with open(project / ".snakemake/did_run.hold", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another run is at work in this folder" in failure(project, "--data", MIRROR)


def test_a_changed_result_is_found_by_verify(project):
    with open(project / "results/tables/estimates.csv", "a") as handle:
        handle.write("1\n")
    done = small_project.run(project, "verify")
    assert done.returncode == 1
    assert "results/tables/estimates.csv: expected sha256" in done.stderr and "Traceback" not in done.stderr


def test_wrong_usage_is_exit_code_2(finished):
    done = small_project.run(finished, "fitt")
    assert done.returncode == 2 and "No such command" in done.stderr


def test_help_is_quick_and_light(finished):
    code = "import sys; import did, did.cli; print([m for m in ('pandas','numpy','snakemake') if m in sys.modules])"
    light = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert light.stdout.strip() == "[]"


def test_the_server_for_jobs_starts_before_anything_heavy_is_imported(finished):
    # It imports the same on the other core meanwhile: half a second of every run.
    code = ("import sys\nfrom did.project import shipped\nfrom did.workflow import launch, run\n"
            "shipped.evaluation_file('config/ics.yaml')\n"
            "with launch.workflow('config/ics.yaml', profile=None, output='quiet'):\n"
            "    print([name for name in ('pandas', 'numpy', 'snakemake') if name in sys.modules])")
    light = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=finished)
    assert light.stdout.strip() == "[]", light.stderr


SNAKEFILE = """
rule made:
    input: "a.csv", "b.csv"
    output: "one.txt", "two.txt", "three.txt"
    shell: "touch {output}"
"""
COUNTED = """
import hashlib, sys
from snakemake.cli import main
from snakemake.io import _IOFile
from did.workflow.launch import check_once
if sys.argv[1] == "once":
    check_once(_IOFile)
taken, digest = [], hashlib.file_digest
hashlib.file_digest = lambda file, *more: taken.append(file.name) or digest(file, *more)
try:
    main(["three.txt", "--cores", "1", "--quiet", "all"])
except SystemExit as end:
    print(end.code or 0, len(taken))
"""


def test_an_input_is_checked_once_for_all_outputs_of_a_job_and_again_when_it_changed(tmp_path):
    """Snakemake keeps the checksums of a job's inputs with each output, by which a file that was only touched is known
    to be as it was."""
    known = {}
    for way in ("as ever", "once"):
        folder = tmp_path / way
        folder.mkdir()
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "a.csv").write_text("1\n")
        (folder / "b.csv").write_text("2\n")

        def run(folder=folder, way=way):
            return subprocess.run([sys.executable, "-c", COUNTED, way], cwd=folder, capture_output=True, text=True,
                                  check=True).stdout.split()[-2:]

        counted = [run()]
        for path in (folder / "b.csv", *folder.glob("*.txt")):
            os.utime(path, (1e9, 1e9))   # so that the other input is newer, and the same: nothing is made
        counted.append(run())
        (folder / "a.csv").write_text("3\n")
        counted.append(run())
        known[way] = [json.loads(path.read_text())["input_checksums"]
                      for path in sorted(folder.glob(".snakemake/metadata/*"))], counted
    assert known["once"][0] == known["as ever"][0] and len(known["once"][0]) == 3
    assert [code for code, _ in known["once"][1]] == ["0", "0", "0"]
    assert [int(taken) for _, taken in known["once"][1]] == [2, 1, 3]
    assert [int(taken) for _, taken in known["as ever"][1]] == [6, 1, 7]


def test_what_a_killed_write_left_is_removed_by_the_next_run(project):
    left = [project / "results/figures/.trends.png.abc.part", project / "data/processed/panel/.x.parquet.1.part"]
    for path in left:
        path.write_bytes(b"half")
    assert small_project.run(project, "run", "--data", MIRROR).returncode == 0
    assert not any(path.exists() for path in left)


def jobs(project: Path) -> dict[str, dict]:
    """Command -> what Snakemake recorded of it: its rule, its inputs, and all its outputs."""
    found: dict[str, dict] = {}
    for path in (project / ".snakemake/metadata").iterdir():
        record = json.loads(path.read_text())
        job = found.setdefault(record["shellcmd"], record | {"output": []})
        job["output"].append(base64.b64decode(path.name).decode())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked which files are opened (inotify)")
def test_every_file_that_a_stage_opens_is_an_input_of_its_rule(project):
    """Of the project's folder; but for what every command opens that reads the config: it checks all of it."""
    code = ("from did.cli.app import State; import did.cli.commands, did.project.slices; "
            f"State('config/ics.yaml', None).setting({MIRROR!r})")
    with opened(project) as always:
        subprocess.run([sys.executable, "-c", code], cwd=project, env=small_project.environment(project), check=True)
    always = {_module(path) for path in always}
    assert "config/indicators/dtoc_total.yaml" in always
    rules, every = set(), jobs(project)
    made_before = {path for job in every.values() for path in (*job["input"], *job["output"])}
    for command, job in every.items():
        with opened(project) as found:
            done = small_project.run(project, *shlex.split(command)[1:])
        assert done.returncode == 0, done.stderr
        rules.add(job["rule"].partition("_")[0])
        made_of = [json.loads((project / path).read_text())["modules"] for path in job["input"] if "/modules/" in path]
        known = {f"src/did/{name}" for names in made_of for name in names}
        known |= {*job["input"], *job["output"], *job["log"]}
        if job["rule"] == "manifest":   # it hashes all; its inputs are what is made when all else is
            known |= made_before
        read = {_module(path) for path in found if not path.endswith(".part")}
        assert read - known - always == set(), job["rule"]
        if job["rule"] == "observe":   # the tracing sees what a process of its own opens
            assert any(path.endswith(".xls") for path in read) and "src/did/readers/workbook_process.py" in read
    assert rules == {"fetch", "observe", "align", "fit", "calibrate", "diagnose", "specify", "compare", "check",
                     "judge", "adjust", "draw",
                     "family", "reproduce", "tabulate", "workbook", "workbench", "report", "manifest"}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked which files are opened (inotify)")
@pytest.mark.parametrize("source", ["gpps", "nhs_england_dtoc_2020", "preventable_mortality"])
def test_what_is_opened_to_make_up_and_read_a_sources_files_is_an_input(source, tmp_path, monkeypatch):
    shutil.copytree(small_project.ROOT / "config", tmp_path / "config")
    shutil.copytree(small_project.ROOT / "data/reference", tmp_path / "data/reference")
    # A reader's own folder of reference tables, where it has that option.
    place = tmp_path / "config/sources/gpps.yaml"
    place.write_text(place.read_text().replace("options: {}", "options: {reference: tables}"))
    shutil.copytree(tmp_path / "data/reference", tmp_path / "tables")
    monkeypatch.chdir(tmp_path)
    plan = Plan.load("config/ics.yaml", "demo")
    checked = {"config/ics.yaml", *plan.claims_files(),
               *(f"config/indicators/{name}.yaml" for name in plan.evaluation.indicators)}
    inputs = {"fetch": [plan.registry(source), *plan.maker_modules(source)],
              "observe": [plan.registry(source), *plan.raw_files(source), *plan.reader_tables(source)]}
    assert ("tables/gpps_questions.csv" in inputs["observe"]) == (source == "gpps")
    for stage, known in inputs.items():
        with opened(tmp_path) as found:
            done = small_project.run(tmp_path, stage, source, "--data", "demo")
        assert done.returncode == 0, done.stderr
        assert {path for path in found if not path.endswith(".part")} - {*known} - checked == set(), stage
        if stage == "observe":
            assert set(found) >= {*plan.raw_files(source), *plan.reader_tables(source)}


def _module(path: str) -> str:
    """The module that compiled code is of; other paths as they are."""
    return re.sub(r"__pycache__/(\w+)\.[\w-]+\.pyc$", r"\1.py", path)


def other_version(folder: Path, package: str) -> dict[str, str]:
    """The environment of a user in whose Python ``package`` says that it has version 99."""
    place = folder / "packages" / f"{package}-99.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99\n")
    environment = small_project.environment(folder)
    return environment | {"PYTHONPATH": f"{place.parent}{os.pathsep}{environment['PYTHONPATH']}"}


def run_as(project: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", "from did.cli.commands import main; main()", *arguments], cwd=project,
                          env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(("package", "expected", "table"), [
    ("scipy", ["align", "calibrate", "diagnose", "fit", "reproduce", "specify", *FITTED], "estimates"),
    ("xlsxwriter", ["manifest", "workbook"], None),
    ("snakemake", [], None),
])
def test_another_version_reruns_what_depends_on_it_and_the_manifest_names_what_computed(project, package, expected,
                                                                                        table):
    manifest = project / "results/manifest.json"
    before = json.loads(manifest.read_text())["versions"]
    environment = other_version(project, package)
    # The process that writes a manifest did not compute the results.
    assert run_as(project, environment, "manifest", "--data", MIRROR).returncode == 0
    assert json.loads(manifest.read_text())["versions"] == before
    done = run_as(project, environment, "run", "--data", MIRROR)
    assert done.returncode == 0, done.stderr
    assert steps(done.stderr) == sorted(expected)
    after = json.loads(manifest.read_text())["versions"]
    if table is not None:
        assert seals.made_by(project / f"data/processed/{table}/dtoc_total.parquet")[package] == "99"
        assert after[table][package] == "99" != before[table][package]
        assert after["observations"] == before["observations"]
    if package == "xlsxwriter":
        assert after["workbook"] == before["workbook"] | {"xlsxwriter": "99"}
    if expected:
        assert steps(run_as(project, environment, "run", "--data", MIRROR).stderr) == []


def test_nothing_of_an_indicator_that_is_gone_stays_in_the_results(project):
    place = project / "config/ics.yaml"
    evaluation = yaml.safe_load(place.read_text())
    evaluation["specifications"]["all_ages"]["families"] = ["dtoc"]   # the other outcome has no such denominator
    place.write_text(yaml.safe_dump(evaluation, sort_keys=False))
    counts = project / "counts.csv"
    draw = random.Random(3)
    rows = [f"{code},{month},{draw.randrange(40, 90)},100" for code in small_project.UNITS
            for month in small_project.MONTHS]
    counts.write_text("Code,Month,n,d\n" + "\n".join(rows) + "\n")
    before = {path for path in contents(project) if path.startswith("results/")}
    new = small_project.run(project, "indicator", "new", "zz_t", "--file", "counts.csv", "--numerator-column", "n",
                            "--denominator-column", "d", "--unit", "%")
    assert new.returncode == 0, new.stderr
    done = small_project.run(project, "run", "--data", MIRROR)
    assert done.returncode == 0, done.stderr
    assert len([path for path in contents(project) if path.startswith("results/") and "zz_t" in path]) >= 5
    notes = project / "results/notes.md"
    notes.write_text("The user's own.\n")

    counts.rename(project / "elsewhere.csv")
    assert small_project.run(project, "run", "--data", MIRROR).returncode == 0
    assert {path for path in contents(project) if path.startswith("results/")} == before | {"results/notes.md"}
    verified = small_project.run(project, "verify")
    assert verified.returncode == 1 and "found also notes.md: no part of it" in verified.stderr
    notes.unlink()
    assert small_project.run(project, "verify").returncode == 0

    for folder in ("indicators", "sources"):
        (project / f"config/{folder}/zz_t.yaml").unlink()
    assert small_project.run(project, "run", "--data", MIRROR).returncode == 0
    assert {path for path in contents(project) if path.startswith("results/")} == before
    assert small_project.run(project, "verify").returncode == 0


def test_a_forged_manifest_deletes_nothing_outside_the_results(project):
    from did.store.provenance import read_sealed, write_sealed

    path = project / "results/manifest.json"
    record = {key: value for key, value in read_sealed(path).items() if key != "seal"}
    outside = ["config/ics.yaml", "results/../config/demo.yaml", str(project / "Snakefile")]
    write_sealed(path, record | {"results": record["results"] | dict.fromkeys(outside, "0")})
    assert small_project.run(project, "manifest", "--data", MIRROR).returncode == 0
    assert all((project / name).is_file() for name in outside)


def test_made_up_and_real_files_share_no_folder():
    for folder in ("", "elsewhere"):
        demo, *real = (Paths.of(kind, folder) for kind in ("demo", "mirror", "live"))
        for paths in real:
            assert {demo.data, demo.results, demo.logs}.isdisjoint({paths.data, paths.results, paths.logs})
            assert demo.results != paths.results and paths.results.name != "demo"


def test_verify_looks_at_made_up_and_real_results(project):
    shutil.copytree(project / "results", project / "results/demo")
    (project / "results/demo/summary.md").unlink()
    manifest = project / "results/demo/manifest.json"
    from did.store.provenance import read_sealed, write_sealed

    record = {key: value for key, value in read_sealed(manifest).items() if key != "seal"}
    made_up = {name.replace("results/", "results/demo/"): digest for name, digest in record["results"].items()}
    write_sealed(manifest, record | {"results": made_up})
    done = small_project.run(project, "verify")
    assert done.returncode == 1 and "results/demo/summary.md: expected sha256" in done.stderr
    assert small_project.run(project, "verify", "--data", MIRROR).stdout.startswith("results: ")
    shutil.copy(project / "results/summary.md", project / "results/demo/summary.md")
    done = small_project.run(project, "verify")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["results", "results/demo"]


def test_a_users_matplotlibrc_changes_no_result(project):
    before = contents(project)
    (project / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 4\naxes.facecolor: yellow\n"
                                          "figure.constrained_layout.use: True\nsavefig.bbox: tight\n"
                                          "axes.spines.top: False\nxtick.direction: in\npath.simplify: False\n"
                                          "svg.fonttype: path\naxes.prop_cycle: cycler('color', ['red'])\n")
    for command in jobs(project):
        if shlex.split(command)[5] in ("draw", "family"):
            assert small_project.run(project, *shlex.split(command)[1:]).returncode == 0
    assert contents(project) == before
