"""The command line: every stage by hand, and the whole workflow."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import click

from did import __version__
from did.errors import DidError

DATA_HELP = ("Where files come from: demo (made up), mirror:FOLDER (with an index.csv) or live. "
             "Default: the config's `data`.")


class State:
    """What every subcommand needs: the config's path and the log file of a workflow job."""

    def __init__(self, config: str, log: str | None) -> None:
        self.config = config
        self.log = Path(log) if log else None

    def setting(self, data: str | None):
        """The evaluation, its data mode (``data``, or the config's) and the folders of that mode."""
        from did.config import load_evaluation
        from did.fetch import parse_mode
        from did.paths import Paths

        evaluation = load_evaluation(self.config)
        mode = parse_mode(data or evaluation.data)
        return evaluation, mode, Paths.of(mode.kind)

    def finish(self, line: str) -> None:
        """Say what a stage did: on the screen, or as the last line of its log, which the workflow shows."""
        if self.log is None:
            click.echo(line)
        else:
            from did.provenance import write_text

            write_text(self.log, line + "\n")


class Group(click.Group):
    """Commands that answer a user's mistake with one line and exit code 1, keeping the traceback in the log."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except DidError as error:
            _fail(context, f"error: {error}", error)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _fail(context, f"error: {place}{error.strerror or error}; check that the place exists, has space and "
                  "may be written", error)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            _fail(context, f"error: unexpected {type(error).__name__}: {error}; this is a fault of the program, "
                  "please report it", error)


def _fail(context: click.Context, line: str, error: Exception) -> None:
    click.echo(line, err=True)
    state = context.obj
    log = state.log if isinstance(state, State) and state.log else Path("logs/last_error.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error)) + line + "\n"
        log.write_text(text, encoding="utf-8")
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

    \b
    did run                                    the whole workflow on demonstration data
    did run --data mirror:../shared/mirror     the same on the publishers' files
    did fetch nhs_england_dtoc                 one stage by hand
    """
    context.obj = State(config, log)




@main.command()
@click.argument("config", required=False)
@click.option("--data", default=None, help=DATA_HELP)
@click.option("--cores", default=2, show_default=True, type=click.IntRange(1), help="Jobs at a time.")
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@click.option("--accept", is_flag=True, help="Accept files whose checksum changed at the publisher.")
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@click.pass_obj
def run(state: State, config: str | None, data: str | None, cores: int, offline: bool, accept: bool,
        quiet: bool) -> None:
    """Run the whole workflow for the evaluation CONFIG; only what is missing or out of date is made.

    \b
    did run --data mirror:../shared/mirror
    did run config/ics.yaml --offline
    """
    from did import run as workflow

    sys.exit(workflow.run(config or state.config, data=data, cores=cores, offline=offline, accept=accept,
                          quiet=quiet))


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
    """Read the fetched files of SOURCE into its observations table."""
    from did.stages import observe as stage

    evaluation, _, paths = state.setting(data)
    state.finish(stage.run(source, sources_folder=evaluation.sources_folder, paths=paths))


def _indicator_stage(name: str, summary: str) -> None:
    @main.command(name=name, help=summary)
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


def _evaluation_stage(name: str, summary: str) -> None:
    @main.command(name=name, help=summary)
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
    """Draw the figures of a FAMILY of outcomes."""
    from did.stages import draw as stage

    evaluation, _, paths = state.setting(data)
    state.finish(stage.run(family, evaluation=evaluation, paths=paths, without=[w for w in without.split(",") if w]))


_evaluation_stage("reproduce", "Set every published claim beside the estimate that corresponds to it.")
_evaluation_stage("report", "Write the tables and summary pages to results/.")


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
    state.finish(stage.run(panel, columns, estimators=stage.split(estimators), frequency=frequency, output=output,
                           options=options, bands=bands, draws=draws, seed=seed))


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
    """Hash every raw file and every result again and compare with results/manifest.json."""
    from did.paths import Paths
    from did.stages import verify as stage

    state.finish(stage.run(paths=Paths()))


@main.command()
@click.argument("which", type=click.Choice(["evaluation", "indicator", "source"]))
def schema(which: str) -> None:
    """Print the JSON Schema of a config file, for editors."""
    import json

    from did import config, registry

    model = {"evaluation": config.Evaluation, "indicator": config.Indicator, "source": registry.Source}[which]
    click.echo(json.dumps(model.model_json_schema(), indent=2))
