"""The command line: every stage by hand, and the whole workflow."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import click

from did import __version__
from did.errors import DidError

DATA_HELP = ("Where files come from: demo (made up), mirror:FOLDER (with an index.csv) or live. "
             "Default: the config's `data`.")


# How much is said; jobs of a run are told by this variable.
OUTPUT = "DID_OUTPUT"


class State:
    """What every subcommand needs: the config's path, the log file of a workflow job, and how much to say."""

    def __init__(self, config: str, log: str | None) -> None:
        self.config = config
        self.log = Path(log) if log else None
        self.output = os.environ.get(OUTPUT, "")
        self.began = time.monotonic()

    def setting(self, data: str | None):
        """The evaluation, its data mode (``data``, or the config's) and the folders of that mode."""
        from did.config import load_evaluation
        from did.fetch import parse_mode
        from did.paths import Paths

        evaluation = load_evaluation(self.config)
        mode = parse_mode(data or evaluation.data)
        return evaluation, mode, Paths.of(mode.kind, evaluation.own_folder)

    def finish(self, line: str) -> None:
        """Say what a stage did: on the screen, or as the last line of its log, which the workflow shows."""
        if self.log is not None:
            from did.provenance import write_text

            write_text(self.log, line + "\n")
        elif self.output == "json":
            self.event("done", command=click.get_current_context().command.name, message=line)
        elif self.output != "quiet":
            click.echo(line)
            if self.output == "verbose":
                click.echo(f"{time.monotonic() - self.began:.1f} s", err=True)

    def event(self, event: str, **fields: Any) -> None:
        """One line of JSON on standard output."""
        click.echo(json.dumps({"event": event, **fields}, ensure_ascii=False))


def _say(word: str) -> Any:
    def tell(context: click.Context, _: click.Parameter, given: bool) -> None:
        state = context.find_object(State)
        if given and state is not None:
            state.output = word
    return tell


class Command(click.Command):
    """A command that can be told how much to say: each takes --quiet, --verbose and --json, unless it has its own."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        known = {each.name for each in self.params}
        words = {"quiet": ("--quiet", "Say nothing unless something is wrong."),
                 "verbose": ("--verbose", "Say more: every step as it starts, times, and where an error comes from."),
                 "as_json": ("--json", "Say everything as JSON, one object a line, for other programs.")}
        self.params += [
            click.Option([flag, name], is_flag=True, expose_value=False, help=words_,
                         callback=_say(flag.removeprefix("--")))
            for name, (flag, words_) in words.items() if name not in known]


class Group(click.Group):
    """Commands that answer a user's mistake with one line and exit code 1, keeping the traceback in the log."""

    command_class = Command
    group_class = type

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except DidError as error:
            _fail(context, error.lines, error)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _fail(context, [f"{place}{error.strerror or error}; check that the place exists, has space and "
                            "may be written"], error)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            _fail(context, [f"unexpected {type(error).__name__}: {error}; this is a fault of the program, "
                            "please report it"], error)


def _fail(context: click.Context, lines: list[str], error: Exception) -> None:
    state = context.find_object(State)
    for line in lines:
        if state is not None and state.output == "json":
            state.event("error", message=line)
        else:
            click.echo(f"error: {line}", err=True)
    story = "".join(traceback.format_exception(error))
    if state is not None and state.output == "verbose":
        click.echo(story, err=True)
    log = state.log if state is not None and state.log else Path("logs/last_error.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(story + "".join(f"error: {line}\n" for line in lines), encoding="utf-8")
    except OSError:
        pass  # the error itself has been told; a log that cannot be written must not hide it
    sys.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", default="config/ics.yaml", show_default=True, help="The evaluation file.")
@click.option("--log", default=None, metavar="FILE", help="Write the result line, or the traceback of an error, "
              "to FILE.")
@click.version_option(__version__, prog_name="did")
@click.pass_context
def main(context: click.Context, config: str, log: str | None) -> None:
    """Difference-in-differences evaluation of health policy, from publishers' files to tables and figures.

    Exit codes: 0 done, 1 something is wrong with the data or config (said in a line each), 2 wrong usage.

    \b
    did run                                    the whole workflow on demonstration data
    did run --data mirror:../shared/mirror     the same on the publishers' files
    did fetch nhs_england_dtoc                 one stage by hand
    did new elsewhere                          another roll-out
    """
    context.obj = State(config, log)


@main.command()
@click.argument("config", required=False)
@click.option("--data", default=None, help=DATA_HELP)
@click.option("--cores", default=2, show_default=True, type=click.IntRange(1), help="Jobs at a time.")
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@click.option("--accept", is_flag=True, help="Accept files whose checksum changed at the publisher.")
@click.pass_obj
def run(state: State, config: str | None, data: str | None, cores: int, offline: bool, accept: bool) -> None:
    """Run the whole workflow for the evaluation CONFIG; only what is missing or out of date is made.

    \b
    did run --data mirror:../shared/mirror
    did run config/ics.yaml --offline
    """
    from did import run as workflow

    code = workflow.run(config or state.config, data=data, cores=cores, offline=offline, accept=accept,
                        output=state.output)
    if state.output == "json":
        state.event("ended", command="run", exit_code=code)
    sys.exit(code)


@main.command()
@click.argument("name")
@click.pass_obj
def new(state: State, name: str) -> None:
    """Write the skeleton of an evaluation NAME of another roll-out: config, waves table, a made-up panel.

    \b
    did new elsewhere
    did run config/elsewhere.yaml
    """
    from did import scaffold

    written = scaffold.create(name)
    state.finish("\n".join([*(f"wrote {path}" for path in written), f"next: did run config/{name}.yaml, and read "
                            "docs/evaluate_another_rollout.md"]))


data_option = click.option("--data", default=None, metavar="MODE", help=DATA_HELP)
without_option = click.option("--without", default="", metavar="NAMES", help="Indicators that are not available in "
                              "this run, with commas between them.")


@main.command()
@click.argument("source")
@data_option
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@click.option("--accept", is_flag=True, help="Accept files whose checksum changed at the publisher.")
@click.pass_obj
def fetch(state: State, source: str, data: str | None, offline: bool, accept: bool) -> None:
    """Fetch the files of SOURCE into data/raw/SOURCE and verify them.

    \b
    did fetch ons_population --data mirror:../shared/mirror
    """
    from did.stages import fetch as stage

    evaluation, mode, paths = state.setting(data)
    state.finish(stage.run(source, sources_folder=evaluation.sources_folder, mode=mode, offline=offline, accept=accept,
                           paths=paths))


@main.command()
@click.argument("source")
@data_option
@click.pass_obj
def observe(state: State, source: str, data: str | None) -> None:
    """Read the fetched files of SOURCE into its observations table.

    \b
    did observe ons_population
    """
    from did.stages import observe as stage

    evaluation, _, paths = state.setting(data)
    state.finish(stage.run(source, sources_folder=evaluation.sources_folder, paths=paths))


def _indicator_stage(name: str, summary: str) -> None:
    @main.command(name=name, help=f"{summary}\n\n\b\ndid {name} dtoc_total\ndid --config config/elsewhere.yaml {name} "
                                  "visits")
    @click.argument("indicator")
    @data_option
    @click.pass_obj
    def command(state: State, indicator: str, data: str | None) -> None:
        import importlib

        evaluation, _, paths = state.setting(data)
        stage = importlib.import_module(f"did.stages.{name}")
        state.finish(stage.run(indicator, evaluation=evaluation, paths=paths))


_indicator_stage("align", "Build the panel of INDICATOR under every reading.")
_indicator_stage("fit", "Fit every estimator to the panel of INDICATOR.")
_indicator_stage("diagnose", "Run the diagnostics of INDICATOR.")
_indicator_stage("vary", "Fit INDICATOR under every reading of what the publication leaves open.")


@main.command()
@click.argument("indicator")
@data_option
@click.option("--effects", default="", metavar="NUMBERS", help="Sizes to try, in units of the outcome, with commas "
              "between them. Default: multiples of the minimum detectable effect.")
@click.option("--draws", default=500, show_default=True, type=click.IntRange(1), help="Simulated panels.")
@click.option("--output", metavar="FILE.csv", help="Write the table there.")
@click.pass_obj
def power(state: State, indicator: str, data: str | None, effects: str, draws: int, output: str | None) -> None:
    """Simulate how often effects on INDICATOR would be found, on its own panel.

    \b
    did power dtoc_total
    did power dtoc_total --effects 0,20,40,60 --draws 2000 --output power.csv
    """
    from did.stages import power as stage

    try:
        sizes = [float(word) for word in effects.split(",") if word.strip()]
    except ValueError:
        raise click.BadParameter(f"expected numbers with commas between them; found '{effects}'",
                                 param_hint="--effects") from None
    evaluation, _, paths = state.setting(data)
    state.finish(stage.run(indicator, evaluation=evaluation, paths=paths, effects=sizes, draws=draws, output=output))


def _evaluation_stage(name: str, summary: str) -> None:
    @main.command(name=name, help=f"{summary}\n\n\b\ndid {name}")
    @data_option
    @without_option
    @click.pass_obj
    def command(state: State, data: str | None, without: str) -> None:
        import importlib

        evaluation, _, paths = state.setting(data)
        stage = importlib.import_module(f"did.stages.{name}")
        left_out = [word for word in without.split(",") if word]
        state.finish(stage.run(evaluation=evaluation, paths=paths, without=left_out))


@main.command()
@click.argument("family")
@data_option
@without_option
@click.pass_obj
def draw(state: State, family: str, data: str | None, without: str) -> None:
    """Draw the figures of a FAMILY of outcomes.

    \b
    did draw dtoc
    """
    from did.stages import draw as stage

    evaluation, _, paths = state.setting(data)
    state.finish(stage.run(family, evaluation=evaluation, paths=paths, without=[w for w in without.split(",") if w]))


@main.command()
@data_option
@without_option
@click.option("--strict", is_flag=True, help="Fail if a verdict is not the recorded one (tests/baselines).")
@click.option("--renew-baseline", is_flag=True, help="Show which verdicts changed, then record those of this run.")
@click.pass_obj
def reproduce(state: State, data: str | None, without: str, strict: bool, renew_baseline: bool) -> None:
    """Give a verdict on every published claim, and say which readings satisfy it.

    \b
    did reproduce --data mirror:../shared/mirror --strict
    did reproduce --renew-baseline
    """
    from did.availability import unavailable
    from did.reproduce import baseline
    from did.stages import reproduce as stage

    evaluation, mode, paths = state.setting(data)
    recorded = baseline.baseline_path(evaluation.id, mode.kind)
    left_out = [word for word in without.split(",") if word] or unavailable(evaluation, mode, paths)
    state.finish(stage.run(evaluation=evaluation, paths=paths, without=left_out, strict=recorded if strict else None,
                           renew=recorded if renew_baseline else None))


_evaluation_stage("report", "Write the tables and summary pages to results/.")


@main.group()
def indicator() -> None:
    """Add an outcome of your own from a file, and see what would become of it.

    \b
    did indicator new ae_four_hour --file mydata/ae.csv --numerator-column within --denominator-column attendances
    did indicator check ae_four_hour
    did run
    """


@indicator.command(name="new", context_settings={"max_content_width": 110})
@click.argument("name")
@click.option("--file", metavar="FILE", help="CSV file or Excel workbook with the figures.")
@click.option("--reader", type=click.Choice(["tidy_csv", "excel_table", "fingertips_csv"]), help="Default: seen from "
              "the file.")
@click.option("--sheet", metavar="NAME", help="Excel: the sheet; needed if there are several.")
@click.option("--header-row", type=click.IntRange(1), metavar="N", help="Excel: row of the header. Default: seen.")
@click.option("--encoding", metavar="NAME", help="CSV: default UTF-8, else cp1252.")
@click.option("--area-column", metavar="COLUMN", help="Column of the areas' codes. Default: seen.")
@click.option("--area-type", metavar="TYPE", help="practice, ccg, icb_sub_location, stp, lower_tier or upper_tier. "
              "Default: seen from the codes.")
@click.option("--parent-column", metavar="COLUMN", help="Column of each row's CCG, where the areas are practices.")
@click.option("--period-column", metavar="COLUMN", help="Column of the periods. Default: seen; not needed where each "
              "period has a column.")
@click.option("--frequency", type=click.Choice(["M", "Q", "Y", "FY"]), help="FY: financial years, 2017/18. "
              "Default: seen.")
@click.option("--numerator-column", metavar="COLUMN", help="Column of the counts.")
@click.option("--denominator-column", metavar="COLUMN", help="Column that the counts are divided by.")
@click.option("--denominator-file", metavar="FILE", help="A second file with the denominators.")
@click.option("--denominator-sheet", metavar="NAME", help="Excel: the sheet of the second file.")
@click.option("--value-column", metavar="COLUMN", help="Column of a rate that has no counts.")
@click.option("--indicator-id", metavar="NUMBER", help="Fingertips: Indicator ID. Default: the only one.")
@click.option("--area-type-in-file", metavar="WORDS", help="Fingertips: Area Type. Default: the only one.")
@click.option("--sex", help="Fingertips. Default: Persons.")
@click.option("--age", help="Fingertips. Default: the only one.")
@click.option("--period-kind", metavar="KIND", help="Fingertips: year, financial_year, 3_years, quarter or month.")
@click.option("--per", type=float, metavar="N", help="The outcome is numerator / denominator x N. Default: 100.")
@click.option("--unit", metavar="WORDS", help="Unit of the outcome, such as '% of attendances'.")
@click.option("--direction", type=click.Choice(["higher_better", "lower_better", "none"]), help="Default: none.")
@click.option("--title", metavar="WORDS", help="Default: from the name.")
@click.option("--label", metavar="WORDS", help="Short label for axes. Default: the title.")
@click.option("--family", metavar="NAME", help="Family of outcomes it is shown with; a new one is made. Default: its "
              "own name.")
@click.option("--family-title", metavar="WORDS", help="Title of a new family. Default: the title.")
@click.option("--publisher", metavar="WORDS", help="Who publishes the figures. Default: unknown.")
@click.option("--licence", metavar="WORDS", help="Licence of the file. Default: unknown.")
@click.option("--page", metavar="ADDRESS", help="The publisher's page. Default: unknown.")
@click.option("--first", metavar="PERIOD", help="First period of the panel. Default: of the file.")
@click.option("--last", metavar="PERIOD", help="Last period of the panel. Default: of the file.")
@click.option("--replace", is_flag=True, help="Write over the config of an indicator of this name.")
@click.pass_obj
def indicator_new(state: State, name: str, replace: bool, **given: Any) -> None:
    """Write the config of a new indicator NAME; the next run includes it.

    What is not given is seen from the file, or asked for at a terminal.

    \b
    did indicator new ae_four_hour --file ae.csv --numerator-column within --denominator-column attendances
    did indicator new waiting --file rates.xlsx --unit "% of patients"
    did indicator new smoking --file fingertips.csv
    """
    from did.stages import indicator as stage

    def ask(key: str, words: str, default: Any) -> str:
        return click.prompt(f"{words} (--{key.replace('_', '-')})", default="" if default is None else default,
                            show_default=default not in (None, ""), err=True)

    state.finish(stage.create(name, given, config=state.config, replace=replace,
                              ask=ask if sys.stdin.isatty() else None))


@indicator.command(name="check")
@click.argument("name")
@data_option
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@click.option("--accept", is_flag=True, help="Note the new checksum of a file of your own that you changed.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_obj
def indicator_check(state: State, name: str, data: str | None, offline: bool, accept: bool, as_json: bool) -> None:
    """Say what the figures of NAME would become, and what would stop them; exit code 1 if something would.

    \b
    did indicator check ae_four_hour
    did indicator check ae_four_hour --json
    """
    from did.stages import indicator as stage

    text, good = stage.check(name, config=state.config, data=data, offline=offline, accept=accept, as_json=as_json)
    state.finish(text)
    sys.exit(0 if good else 1)


@main.command(name="estimate", context_settings={"max_content_width": 110})
@click.argument("panel", metavar="PANEL.csv")
@click.option("--outcome", required=True, metavar="COLUMN", help="What is explained.")
@click.option("--unit", required=True, metavar="COLUMN", help="Unit of the panel.")
@click.option("--period", required=True, metavar="COLUMN", help="Period: 2003, 2017-06, 2017Q2 or 1, 2, 3.")
@click.option("--cohort", required=True, metavar="COLUMN", help="First treated period of the unit; 0, empty, inf or "
              "never = never treated.")
@click.option("--cluster", multiple=True, metavar="COLUMN", help="Cluster errors by this too, not only by unit.")
@click.option("--weights", metavar="COLUMN", help="Weight of each row.")
@click.option("--covariates", multiple=True, metavar="COLUMNS", help="With commas between them; see --method.")
@click.option("--dose", metavar="COLUMN", help="Intensity of treatment; the effect is then per unit of it.")
@click.option("--frequency", default="auto", show_default=True, type=click.Choice(["auto", "M", "Q", "Y"]),
              help="What the periods are.")
@click.option("--estimator", "estimators", multiple=True, metavar="NAMES", help="One or several; a name "
              "that is none lists them all. Default: did and event_study.")
@click.option("--control-group", type=click.Choice(["not_yet_treated", "never_treated"]), help="Whom to compare with.")
@click.option("--base-period", type=click.Choice(["universal", "varying"]), help="What effects before treatment are "
              "relative to: the last period before it, or the one before each.")
@click.option("--anticipation", type=click.IntRange(0), metavar="K", help="Periods before treatment with an effect.")
@click.option("--method", type=click.Choice(["unconditional", "reg", "ipw", "dr"]), help="How callaway_santanna takes "
              "covariates: regression, inverse probability weights or both. Default with --covariates: dr.")
@click.option("--unbalanced", type=click.Choice(["trim", "pairwise"]), help="Drop units with gaps, or use what each "
              "comparison has.")
@click.option("--lags", metavar="LAGS", help="Outcomes before treatment that ldv takes: all, last_N or yearly_means.")
@click.option("--reference", metavar="E", help="Event time that effects are relative to; event_study takes several, "
              "-1,-5.")
@click.option("--bin-width", type=click.IntRange(1), metavar="K", help="Pool event times, K periods to a bin; "
              "--reference and --leads then count bins.")
@click.option("--leads", type=click.IntRange(1), metavar="K", help="Effects before treatment: of imputation_leads, "
              "against all earlier periods; of stacked, the start of its window.")
@click.option("--control-weights", type=click.Choice(["equal", "corrected"]), help="How stacked weighs controls.")
@click.option("--aggregation", multiple=True, metavar="KINDS", help="Averages of callaway_santanna and imputation: "
              "simple, event_time, cohort, calendar; group_time for the effects themselves.")
@click.option("--min-event-time", type=int, metavar="E", help="First event time of the average by event time.")
@click.option("--max-event-time", type=int, metavar="E", help="Last event time of averages; of stacked, the end of "
              "its window.")
@click.option("--balance", "balance_event_time", type=click.IntRange(0), metavar="E", help="Average by event time over "
              "the cohorts observed to event time E.")
@click.option("--bands", is_flag=True, help="Also give bands that hold for all effects of a kind at once.")
@click.option("--draws", type=click.IntRange(1), metavar="N", help="Bootstrap draws of the bands. Default: 999.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Seed of the draws. Default: 20170601.")
@click.option("--output", metavar="FILE.csv", help="Write every estimate there.")
@click.pass_obj
def estimate_panel(state: State, panel: str, estimators: tuple[str, ...], frequency: str, output: str | None,
                   bands: bool, draws: int | None, seed: int | None, **given: Any) -> None:
    """Fit estimators to PANEL.csv: a header, then one row per unit and period. Needs no config or workflow.

    \b
    did estimate panel.csv --outcome y --unit id --period time --cohort g
    did estimate panel.csv --outcome y --unit id --period time --cohort g --cluster cluster --output estimates.csv
    did estimate panel.csv --outcome y --unit id --period time --cohort g --estimator imputation,sun_abraham
    did estimate panel.csv --outcome y --unit id --period time --cohort g --estimator callaway_santanna --bands
    """
    from did.stages import estimate as stage

    names = ("outcome", "unit", "period", "cohort", "cluster", "weights", "covariates", "dose")
    columns = stage.parse_columns(**{name: given.pop(name) for name in names})
    options = {name: value for name, value in given.items() if value is not None and value != ()}
    if "aggregation" in options:
        options["aggregation"] = stage.split(options["aggregation"])
    if "reference" in options:
        options["reference"] = stage.parse_references(options["reference"])
    as_json = state.output == "json"
    text = stage.run(panel, columns, estimators=stage.split(estimators), frequency=frequency, output=output,
                     options=options, bands=bands, draws=draws, seed=seed, as_json=as_json)
    click.echo(text) if as_json else state.finish(text)


@main.command(name="sweep", context_settings={"max_content_width": 110})
@click.argument("source", required=False, metavar="LIST")
@click.option("--waves", metavar="FILE", help="CSV with first_treated (empty = never) by unit or system; dose if asked "
              "for.")
@click.option("--members", metavar="FILE", help="CSV with unit and system; needed for waves by system.")
@click.option("--indicator", metavar="COLUMN", help="LIST is one big CSV or Parquet file; COLUMN names the indicator.")
@click.option("--unit", default="unit", show_default=True, metavar="COLUMN", help="Unit, in every indicator's file; "
              "as the other columns, a row of the list may name another.")
@click.option("--period", default="period", show_default=True, metavar="COLUMN", help="Period: 2017, 2017/18, 2017Q2 "
              "or 2017-06.")
@click.option("--value", default="value", show_default=True, metavar="COLUMN", help="The outcome.")
@click.option("--numerator", metavar="COLUMN", help="With --denominator in place of --value.")
@click.option("--denominator", metavar="COLUMN", help="What the numerator is divided by.")
@click.option("--per", default=100.0, show_default=True, type=float, metavar="N", help="Outcome: numerator / "
              "denominator x N.")
@click.option("--frequency", default="auto", show_default=True, type=click.Choice(["auto", "M", "Q", "Y"]),
              help="What whole numbers as periods count.")
@click.option("--onset", default="same", show_default=True, type=click.Choice(["same", "containing", "first_full"]),
              help="Waves by month, indicators by quarter or year: refuse, treat from the period the month is in, or "
              "from the first that begins then or later.")
@click.option("--treatment", default="binary", show_default=True, type=click.Choice(["binary", "intensity"]),
              help="intensity: per unit of the waves' dose.")
@click.option("--estimator", "estimators", multiple=True, metavar="NAMES", help="did, callaway_santanna. Default: "
              "both.")
@click.option("--level", default=0.05, show_default=True, type=float, metavar="SHARE", help="False discovery rate of "
              "the figure's line and the page.")
@click.option("--name", metavar="NAME", help="Results go to results/sweep/NAME. Default: from the name of LIST.")
@click.option("--cores", default=2, show_default=True, type=click.IntRange(1), help="Batches at a time.")
@click.option("--batch-size", default=50, show_default=True, type=click.IntRange(1), help="Indicators in a batch, at "
              "most.")
@click.option("--batch", "batch", hidden=True, metavar="FILE")
@click.option("--output", hidden=True, metavar="FILE")
@click.option("--collect", is_flag=True, hidden=True)
@click.pass_obj
def sweep_list(state: State, source: str | None, indicator: str | None, estimators: tuple[str, ...], name: str | None,
               cores: int, batch_size: int, batch: str | None, output: str | None, collect: bool,
               **given: Any) -> None:
    """Estimate hundreds to thousands of indicators: one table, false-discovery rates, a page and a figure.

    LIST is a CSV with a row per indicator: id and file, and where wanted title, family, unit, period, value,
    numerator, denominator, per and is_synthetic. What fails is listed with its reason and stops nothing else. Run
    again after a stop: batches that are done are kept.

    \b
    did sweep indicators.csv --waves waves.csv
    did sweep indicators.csv --waves ics_waves.csv --members systems.csv --numerator count --denominator patients
    did sweep practices.parquet --indicator indicator --unit practice --period month --value rate --waves waves.csv
    did sweep indicators.csv --waves waves.csv --onset first_full --estimator did --cores 4
    """
    from did.stages import sweep as stage

    if batch and output:
        state.finish(stage.batch(batch, output))
    elif collect and name:
        state.finish(stage.collect(name))
    elif source is None or given["waves"] is None:
        raise click.UsageError("expected LIST and --waves FILE")
    else:
        from did.stages.estimate import split
        from did.sweep.listing import Settings

        chosen = {"estimators": tuple(split(estimators))} if estimators else {}
        state.finish(stage.run(source, Settings(**given, **chosen), name=name, indicator=indicator, cores=cores,
                               batch_size=batch_size, output=state.output))


@main.command()
@click.argument("target", type=click.Choice(["demo"]))
@click.option("--settings", default="config/demo.yaml", show_default=True, help="What to make up, and from which seed.")
@click.option("--output", default="data/demo/raw", show_default=True, help="Folder to write to, one folder a source.")
@click.pass_obj
def simulate(state: State, target: str, settings: str, output: str) -> None:
    """Write demonstration data in the publishers' own formats: real areas, made-up figures, planted effects.

    \b
    did simulate demo --output somewhere
    """
    from did.stages import simulate as stage

    evaluation, *_ = state.setting("demo")
    state.finish(stage.run(evaluation, settings=settings, output=output))


@main.command()
@click.pass_obj
def verify(state: State) -> None:
    """Hash every raw file and every result again and compare with the manifest of the results.

    \b
    did verify
    did --config config/elsewhere.yaml verify
    """
    from did.stages import verify as stage

    *_, paths = state.setting(None)
    state.finish(stage.run(paths=paths))


@main.command()
@click.argument("which", required=False, type=click.Choice(["evaluation", "indicator", "source"]))
@click.option("--write", is_flag=True, help="Write them all, and the reference pages, to docs/.")
@click.pass_obj
def schema(state: State, which: str | None, write: bool) -> None:
    """Print the JSON Schema of a config file, for editors.

    \b
    did schema evaluation
    did schema --write
    """
    from did import schema as schemas

    if write == (which is not None):
        raise click.UsageError("expected evaluation, indicator or source; or --write")
    if write:
        state.finish("\n".join(f"wrote {path}" for path in schemas.write("docs")))
    else:
        click.echo(schemas.json_schema(which), nl=False)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
    did completion bash >> ~/.bashrc
    did completion zsh >> ~/.zshrc
    did completion fish > ~/.config/fish/completions/did.fish
    """
    from click.shell_completion import get_completion_class

    source = get_completion_class(shell)(main, {}, "did", "_DID_COMPLETE").source()
    click.echo(source)
