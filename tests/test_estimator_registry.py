"""An estimator registered from outside is found in each place that names estimators, and no place names one itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from did.cli import reference_pages
from did.cli.commands import main
from did.errors import DidError
from did.estimators import Estimator, Option, Panel, Result, Words, entries, entry, register, registry
from did.estimators.base import parameter_table
from did.estimators.shares import UnitShares
from did.evidence import CLAIM_COLUMNS
from did.project import result_files
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import Paths
from did.readers.reference import read_reference
from did.simulate.panels import panel
from did.stages import calibrate, diagnose, fit
from did.store import seals, tables
from did.store.result_csv import read_csv
from did.sweep.batches import Batch, Folders, write_batches
from did.sweep.collect import collect
from did.sweep.fit import fit_batch
from did.sweep.listing import Settings, read_list
from output_stages import write_outputs
from small_project import environment

ROOT = Path(__file__).resolve().parents[1]
NAME, LABEL, RUNNING = "mean_gap", "Gap of means (made up)", "gap of means"
SUMMARY = "The mean change of treated {units} less that of the never treated."
INDICATOR = "gpps_needs_met"
OWN = "waves_by_date"


def changes(data: Panel, base_length: int) -> tuple[np.ndarray, np.ndarray]:
    """(treated, never treated) x event time from -1 on: outcome less its mean over the last periods before treatment,
    the never treated at the dates of the first cohort. Beyond the panel NaN."""
    def since(rows: np.ndarray, start: int) -> np.ndarray:
        base = rows[:, start - base_length:start].mean(axis=1, keepdims=True)
        return rows[:, start - 1:] - base

    first = data.treated_from.min()
    return since(data.outcome[~data.never_treated], first), since(data.outcome[data.never_treated], first)


def gap(data: Panel, *, base_length: int = 1) -> Result:
    """Difference of means by event time, every treated unit from the first onset on; `overall` is their mean."""
    treated, never = changes(data, base_length)
    times = np.arange(-1, treated.shape[1] - 1)
    weights = np.column_stack([np.eye(len(times)), (times >= 0) / (times >= 0).sum()])
    estimate = (treated.mean(axis=0) - never.mean(axis=0)) @ weights
    influence = np.zeros((data.n_units, weights.shape[1]))
    influence[~data.never_treated] = (treated - treated.mean(axis=0)) @ weights / len(treated)
    influence[data.never_treated] = -(never - never.mean(axis=0)) @ weights / len(never)
    parameters = pd.concat([
        parameter_table("event_time", event_time=times, note=["reference", *[""] * (len(times) - 1)]),
        parameter_table("overall")], ignore_index=True)
    if base_length == 1:
        influence[:, 0] = 0.0
    marked = np.repeat(~data.never_treated[:, None], len(parameters), axis=1)
    return Result(NAME, parameters, estimate, UnitShares(data.units, influence, marked),
                  int(np.isfinite(data.outcome).sum()), len(times))


ENTRY = Estimator(
    name=NAME, label=LABEL, kind="by event time", fit=gap, needs=("binary treatment",), base="last",
    own_options=(Option("base_length", int, "periods before treatment to average over", at_least=1, metavar="K"),),
    words=Words(summary=SUMMARY, source="Nobody 2000", running=RUNNING))


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The made-up estimator alongside those of the package, for this module alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_ENTRIES", entries())
        yield register(ENTRY)


def made_up(cohorts: dict[int, int], n_periods: int = 8, first: str = "2011") -> pd.DataFrame:
    return panel(24, n_periods, cohorts, 2.0, seed=4, noise=1.0, frequency="Y", first=first, units_per_system=2,
                 intensity=(7, 32))[0]


@pytest.fixture
def file(tmp_path):
    frame = made_up({5: 8})
    path = tmp_path / "panel.csv"
    frame.assign(cohort=frame["cohort"].fillna("never")).to_csv(path, index=False)
    return path


def command(*arguments: object):
    return CliRunner().invoke(main, [str(each) for each in arguments])


COLUMNS = ["--outcome", "outcome", "--unit", "unit", "--period", "period", "--cohort", "cohort"]


# Commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 3])
def test_did_estimate_fits_it_with_its_own_option(file, tmp_path, length):
    out = tmp_path / "out.csv"
    outcome = command("estimate", file, *COLUMNS, "--estimator", NAME, "--base-length", length, "--output", out)
    assert outcome.exit_code == 0, outcome.output
    assert f"{NAME} (base_length {length})" in outcome.output
    rows = pd.read_csv(out).query("cluster == 'unit' and inference == 'clustered'")
    frame = pd.read_csv(file)
    wide = frame.pivot(index="unit", columns="period", values="outcome")
    wide = wide.sub(wide[list(range(2016 - length, 2016))].mean(axis=1), axis=0)
    treated = frame.groupby("unit")["cohort"].first().ne("never")
    effects = wide[treated].mean() - wide[~treated].mean()
    found = rows[rows["estimand"] == "event_time"].set_index("event_time")["estimate"]
    assert found.to_numpy() == pytest.approx(effects.loc[2015:].to_numpy(), abs=1e-10)
    assert rows.query("estimand == 'overall'")["estimate"].item() == pytest.approx(effects.loc[2016:].mean())
    variance = sum(part.mean(axis=1).var(ddof=0) / len(part)
                   for part in (wide.loc[treated, 2016:], wide.loc[~treated, 2016:]))
    # With the factor of small samples, G / (G - 1) x (N - 1) / (N - K): 24 units, 192 rows, 4 event times.
    expected = np.sqrt(variance * 24 / 23 * 191 / 188)
    assert rows.query("estimand == 'overall'")["std_error"].item() == pytest.approx(expected)


def test_its_name_and_option_are_in_the_help_and_in_messages(file):
    help_ = " ".join(command("estimate", "--help").output.split())
    assert f"{NAME}: periods before treatment to average over" in help_
    assert NAME in command("estimate", file, *COLUMNS, "--estimator", "nothing").output
    unused = command("estimate", file, *COLUMNS, "--estimator", "stacked", "--base-length", 2).output
    assert f"--base-length: expected an estimator that uses it ({NAME})" in unused
    assert command("estimate", file, *COLUMNS, "--estimator", NAME, "--base-length", 0).exit_code == 2


def test_the_sweep_takes_it(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = made_up({5: 8})
    frame.drop_duplicates("unit")[["unit", "cohort"]].rename(columns={"cohort": "first_treated"}).to_csv(
        "waves.csv", index=False)
    Path("list.csv").write_text("id,file,value\none,panel.csv,outcome\n")
    settings, folders = Settings(waves="waves.csv", estimators=("did", NAME)).check(), Folders("some")
    listed = read_list("list.csv", settings)
    table = fit_batch(Batch(settings, tuple(listed)))
    assert table["reason"].tolist() == [""] * 2 and table["estimator"].tolist() == ["did", NAME]
    with pytest.raises(DidError, match="expected estimators that take a dose; found mean_gap"):
        Settings(waves="waves.csv", treatment="intensity", estimators=("did", NAME)).check()
    write_batches(folders, settings, "list.csv", listed, 1)
    folders.done("00000").parent.mkdir(parents=True)
    seals.write(table, folders.done("00000"))
    collect(folders.plan, [str(folders.done("00000"))], folders.results)
    assert LABEL in (folders.results / "summary.md").read_text()
    assert LABEL in (folders.results / "volcano.txt").read_text()


def test_the_config_check_knows_it(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "config/ics.yaml").read_text(encoding="utf-8")
    staggered = text.replace("imputation, stacked]", f"imputation, stacked, {NAME}]")
    path = tmp_path / "ics.yaml"
    path.write_text(staggered, encoding="utf-8")
    assert load_evaluation(path).staggered_estimators[-1] == NAME
    path.write_text(staggered.replace(NAME, "mean_gep"), encoding="utf-8")
    with pytest.raises(DidError, match="found 'mean_gep'; did you mean 'mean_gap'"):
        load_evaluation(path)
    path.write_text(text.replace("estimators: [did, ldv, event_study]", f"estimators: [did, ldv, {NAME}]"),
                    encoding="utf-8")
    with pytest.raises(DidError, match=f"{NAME} is for a binary treatment"):
        load_evaluation(path)


def test_the_reference_page_has_it():
    page = reference_pages.pages(main)["reference_estimators.md"]
    assert f"| [`{NAME}`](#{NAME}) | {LABEL} | effects by event time | yes | binary treatment |" in page
    assert "| `--base-length` | whole number | `1` | Periods before treatment to average over |" in page
    assert f"{SUMMARY.format(units='units')} Source: Nobody 2000." in page
    assert NAME not in (ROOT / "docs/reference_estimators.md").read_text(encoding="utf-8")


# A run --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(tmp_path_factory, registered):
    """Results of one made-up outcome, with the estimator among those of one date and those of each wave's own."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        shipped = load_evaluation("config/ics.yaml")
        claims = read_reference("config/published/ics.csv", CLAIM_COLUMNS, ["claim"])
        claims.loc[claims["indicator"].eq(INDICATOR)].to_csv(folder / "claims.csv", index=False)
        evaluation = shipped.model_copy(update={
            "indicators": [INDICATOR], "treatments": ["binary"], "samples": dict(list(shipped.samples.items())[:1]),
            "estimators": ["did", "event_study", NAME], "staggered_estimators": ["did", "callaway_santanna", NAME],
            "families": {"gpps": shipped.families["gpps"].model_copy(update={
                "headline": INDICATOR, "parts": [], "sum_to_zero": []})},
            "specifications": {name: shipped.specifications[name] for name in ("default", OWN)},
            "published": str(folder / "claims.csv"), "draws": 99})
        paths = Paths(data=folder / "data", results=folder / "results")
        _fitted(evaluation, paths)
        written = write_outputs(evaluation, paths)
    return evaluation, paths.results, written


def _fitted(evaluation, paths: Paths) -> None:
    indicator = load_indicator(INDICATOR, evaluation.indicators_folder)
    window = indicator.windows["default"]
    onset = int(str(indicator.onset(evaluation.waves.onset))) - int(window.first)
    n_periods = int(window.last) - int(window.first) + 1
    frame = pd.concat(
        [
            made_up(cohorts, n_periods, window.first).assign(specification=specification, indicator=INDICATOR)
            for specification, cohorts in (("default", {onset: 8}), (OWN, {onset - 1: 4, onset: 4}))
        ]
    )
    tables.write("panel", frame, paths.panel(INDICATOR))
    area_audit = pd.DataFrame({"indicator": INDICATOR, "specification": "default", "area_code": frame["unit"].unique()})
    tables.write(
        "area_audit",
        area_audit.assign(
            area_name=area_audit["area_code"],
            fate="kept",
            unit=area_audit["area_code"],
            n_periods=n_periods,
            total=1.0,
            not_compared=False,
            reason="made up",
            is_synthetic=True,
        ),
        paths.area_audit(INDICATOR),
    )
    for stage in (fit, calibrate, diagnose):
        stage.run(INDICATOR, evaluation=evaluation, paths=paths)
    estimates = tables.read("estimates", paths.estimates(INDICATOR))
    overall = estimates.loc[estimates["estimand"].eq("overall") & estimates["specification"].eq("default")].assign(
        design="one_at_a_time", choices="", n_choices=0)
    columns = list(tables.SCHEMAS["specifications"].columns)
    tables.write("specifications", overall[columns], paths.specifications(INDICATOR))


def test_a_run_has_it_in_the_table_of_estimates(results):
    _, folder, _ = results
    rows = pd.read_csv(folder / "tables/estimates.csv").query("estimator == @NAME")
    assert set(rows["specification"]) == {"default", OWN}
    assert set(rows["estimand"]) == {"event_time", "overall"} and rows["estimate"].notna().all()
    tests = pd.read_csv(folder / "tables/diagnostics.csv")
    assert len(tests.query(f"diagnostic == 'joint_leads_{NAME}'"))


def test_a_run_draws_it_in_the_figures_of_its_kind(results):
    evaluation, folder, written = results
    figure = f"event_study_{INDICATOR}"
    assert f"figures/{figure}.svg" in written and written <= set(result_files.every_file(evaluation)) | {
        result_files.MANIFEST}
    numbers = read_csv(folder / "tables/figures.csv", low_memory=False)
    own = pd.read_csv(folder / "tables" / "estimates.csv").query(
        "estimator == @NAME and specification == 'default' and estimand == 'event_time' and cluster == 'system'")
    drawn = numbers.loc[numbers["figure"].eq(figure) & numbers["estimator"].eq(NAME)]
    by_time = drawn.loc[drawn["specification"].eq("default") & drawn["estimand"].eq("event_time"), "estimate"]
    assert by_time.sum() == pytest.approx(own["estimate"].sum()) and drawn["specification"].eq(OWN).any()
    assert f"{LABEL}: average" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_run_has_it_on_every_page(results):
    _, folder, _ = results
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert SUMMARY.format(units="areas") in report and f">{LABEL}<" in report and "gap of means (made up)" not in report
    assert f"one date for all: {RUNNING}: " in report.lower()
    assert "Gap of means: gap of means" in (folder / "tables/paper.tex").read_text(encoding="utf-8")


# The registry itself ------------------------------------------------------------------------------------------


def test_a_package_registers_its_estimator_by_an_entry_point(file, tmp_path):
    source = Path(__file__).read_text(encoding="utf-8")
    lines = source[source.index("def changes"):source.index("@pytest.fixture")]
    module = (f"import numpy as np\nimport pandas as pd\nfrom did.estimators import *\nfrom did.estimators.base import "
              f"parameter_table\nNAME, LABEL, RUNNING, SUMMARY = 'packaged', 'Packaged', 'packaged', 'None.'\n{lines}")
    (tmp_path / "packaged.py").write_text(module, encoding="utf-8")
    info = tmp_path / "packaged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: packaged\nVersion: 1.0\n")
    points = info / "entry_points.txt"
    points.write_text("[did.estimators]\npackaged = packaged:ENTRY\n")

    def estimated():
        known = environment(ROOT)
        return subprocess.run([sys.executable, "-c", "from did.cli.commands import main; main()", "estimate", file,
                               *COLUMNS, "--estimator", "packaged"], cwd=tmp_path, capture_output=True, text=True,
                              env=known | {"PYTHONPATH": f"{known['PYTHONPATH']}:{tmp_path}"})
    done = estimated()
    assert done.returncode == 0 and "packaged (base_length 1)" in done.stdout, done.stderr
    points.write_text("[did.estimators]\npackaged = packaged:NOTHING\n")
    failed = estimated()
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "package packaged, entry point packaged of did.estimators: expected an Estimator at" in failed.stderr


@pytest.mark.parametrize(("change", "said"), [
    ({"name": "did"}, "found that of Difference-in-differences"),
    ({"name": "Mean Gap"}, "expected small letters, digits and _; found 'Mean Gap'"),
    ({"name": "other", "kind": "by event tme"}, "did you mean 'by event time'"),
    ({"name": "other", "needs": ("lag",)}, "did you mean 'lags'"),
    ({"name": "other", "own_options": (Option("bin_width", str, "something"),)},
     "option bin_width: expected whole number, as other estimators have it; found text"),
])
def test_a_mistake_in_an_entry_is_one_line(change, said):
    with pytest.raises(DidError) as caught:
        register(Estimator(**{"name": NAME, "label": LABEL, "kind": "by event time", "fit": gap} | change))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in entries()])
def test_every_entry_agrees_with_its_function(name):
    """Its options are keywords of the function, and the other way round but for those a command line cannot give."""
    known = entry(name)
    wanted = {option.of_fit for option in known.options if option.of_fit}
    assert wanted <= set(known.parameters)
    assert set(known.parameters) - wanted <= {"error_weights", "static"}
    for option in known.options:
        if option.choices and option.of_fit:
            assert known.parameters[option.of_fit] in (None, *option.choices)
    assert known.words.summary and known.words.source


# Texts that are the name of an estimator and stand for something else: the program, a kind of figure, a diagnostic.
OTHER = {*((f"cli/{name}.py", "did") for name in ("app", "entry", "project", "reference_pages", "serve_jobs")),
         ("report/figures/style.py", "did"), ("report/content/outcome_tables.py", "imputation_leads"),
        ("report/content/outcome_tables.py", "spillover")}


def texts_of(path: Path) -> list[str]:
    """Every text in a file's code but for docstrings; of a template, its words."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return re.findall(r"[\w']+", text)
    tree = ast.parse(text)
    prose = {id(node.body[0].value) for node in ast.walk(tree)
             if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(node.body[0], ast.Expr)}
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and id(node) not in prose]


def test_no_estimator_is_named_in_outputs_and_commands():
    known, package = set(entries()) - {NAME}, ROOT / "src" / "did"
    # Names that mean nothing else are not in longer texts either, nor are the authors.
    plain = re.compile(r"callaway_santanna|sun_abraham|\bldv\b|Sant'Anna|Sun and Abraham|Borusyak")
    found = {(str(path.relative_to(package)), text) for room in ("report", "cli")
             for path in (package / room).rglob("*") if path.suffix in (".py", ".j2") for text in texts_of(path)
             if plain.search(text) or (text in known and path.suffix == ".py")}
    assert found == OTHER
