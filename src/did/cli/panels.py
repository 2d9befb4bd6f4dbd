"""Estimates without a workflow: of one panel, of many, and what a panel could find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from did.cli.app import Command, State, cores_and_profile, data_option, main, names, say, without_option
from did.errors import DidError


class Estimators(Command):
    """A command with the options of every registered estimator after the one that names them."""

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """As every command; the registry is read each time, since others may register an estimator at any time."""
        own = super().get_params(context)
        place = next(at for at, each in enumerate(own) if each.name == "estimators") + 1
        return [*own[:place], *estimator_options(), *own[place:]]


def estimator_options() -> list[click.Option]:
    """Return an option of the command line for each option of the registered estimators, but for the covariates, which
    are columns: estimators that share one share it here, and its help says whose it is."""
    from did.estimators import entries

    found: dict[str, list[tuple[str, Any]]] = {}
    for name, entry in entries().items():
        for option in entry.options:
            found.setdefault(option.name, []).append((name, option))
    found.pop("covariates", None)
    return [_click_option([option for _, option in shared], _help(shared)) for shared in found.values()]


def _help(shared: list[tuple[str, Any]]) -> str:
    """What an option does, by estimator: said once where several say the same."""
    said: dict[str, list[str]] = {}
    for name, option in shared:
        said.setdefault(option.what, []).append(name)
    return "; ".join(f"{', '.join(names)}: {what}" for what, names in said.items()) + "."


def _click_option(options: list[Any], words: str) -> click.Option:
    first, choices = options[0], dict.fromkeys(word for option in options for word in option.choices)
    settings: dict[str, Any] = {"help": words, "metavar": first.metavar or None}
    if choices:
        settings |= {"type": click.Choice(list(choices)), "metavar": None}
    elif first.type in (int, float):
        least = min((option.at_least for option in options if option.at_least is not None), default=None)
        settings["type"] = first.type if least is None else (
            click.IntRange(least) if first.type is int else click.FloatRange(least))
    elif first.type is bool:
        settings |= {"is_flag": True, "default": None, "metavar": None}
    elif first.type == list[str]:
        settings["multiple"] = True
    return click.Option([f"--{first.on_command_line}", first.name], **settings)


@main.command(name="estimate", cls=Estimators, context_settings={"max_content_width": 110})
@click.argument("panel", metavar="PANEL")
@click.option("--outcome", required=True, metavar="COLUMN", help="What is explained.")
@click.option("--unit", required=True, metavar="COLUMN", help="Unit of the panel.")
@click.option("--period", required=True, metavar="COLUMN", help="Period: 2003, 2017/18, 2017-06, 2017Q2 or "
              "1, 2, 3.")
@click.option("--cohort", metavar="COLUMN", help="First treated period of the unit; 0, empty, inf or never = never "
              "treated.")
@click.option("--treatment", metavar="COLUMN", help="In place of --cohort: 1 in rows that are treated, else 0.")
@click.option("--cluster", multiple=True, metavar="COLUMN", help="Cluster errors by this, not by unit; A,B clusters "
              "two ways.")
@click.option("--weights", metavar="COLUMN", help="Weight of each row.")
@click.option("--covariates", multiple=True, metavar="COLUMNS", help="With commas between them; how they "
              "enter depends on the estimator.")
@click.option("--dose", metavar="COLUMN", help="Intensity of treatment; the effect is then per unit of it.")
@click.option("--frequency", default="auto", show_default=True, type=click.Choice(["auto", "M", "Q", "Y"]),
              help="What the periods are.")
@click.option("--estimator", "estimators", multiple=True, metavar="NAMES", help="One or several; an "
              "unknown name lists all of them. Default: two-way fixed effects, one effect and by event time.")
@click.option("--inference", multiple=True, metavar="METHODS", help="One or several; an unknown name lists all of "
              "them. Default: clustered, or the headline rule with fewer than 20 treated or 40 clusters.")
@click.option("--confidence", type=float, default=0.95, show_default=True, metavar="SHARE",
              help="What intervals cover.")
@click.option("--calibrate", is_flag=True, help="Also measure, on this panel, how often each method's intervals hold a "
              "true zero.")
@click.option("--bands", is_flag=True, help="Also give bands that hold for all effects of a kind at once.")
@click.option("--draws", type=click.IntRange(1), metavar="N", help="Draws of bands, bootstrap and "
              "randomisation. Default: each one's own.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Seed of the draws. Default: 20170601.")
@click.option("--bounds", is_flag=True, help="Also give intervals if trends were not parallel, of estimators with "
              "effects by event time.")
@click.option("--decompose", is_flag=True, help="Also give the comparisons of two cohorts behind the two-way estimate.")
@click.option("--plot", metavar="FILE.svg", help="Draw the effects there; .svg, .png or .pdf.")
@click.option("--output", metavar="FILE.csv", help="Write every estimate there.")
@click.option("--cores", type=click.IntRange(1), metavar="N", help="A folder: its files by jobs, so many at a time.")
@click.option("--profile", metavar="FOLDER", help="A folder: its files by jobs on a cluster, by a Snakemake "
              "profile: profiles/slurm, for instance.")
@click.pass_obj
def estimate_panel(state: State, panel: str, estimators: tuple[str, ...], frequency: str, **given: Any) -> None:
    """Fit estimators to PANEL, a file with one row per unit and period: text with separators, Parquet, Excel or Stata,
    packed by gzip or zip, or - for standard input; or a folder of Parquet files, which may be larger than memory. Needs
    no config or workflow.

    \b
    did estimate panel.csv --outcome y --unit id --period time --cohort g
    did estimate panel.csv --outcome y --unit id --period time --cohort g --cluster cluster --output estimates.csv
    did estimate panel.csv --outcome y --unit id --period time --cohort g --bin-width 2
    did estimate panel.csv --outcome y --unit id --period time --cohort g --bands
    did estimate panel.csv --outcome y --unit id --period time --cohort g --bounds --plot effects.svg
    did estimate panel.csv --outcome y --unit id --period time --cohort g --inference CR2,wild_bootstrap --calibrate
    did estimate parts --outcome y --unit id --period time --cohort g --estimator callaway_santanna
    did estimate parts --outcome y --unit id --period time --cohort g --estimator callaway_santanna --cores 4
    """
    from did.api.judged import Inference
    from did.stages import estimate as stage

    methods = tuple(stage.split(given.pop("inference"), "--inference"))
    inference = Inference(stage.parse_levels(given["cluster"]), methods, **{
        name: given.pop(name) for name in ("confidence", "calibrate", "bands", "draws", "seed")})
    columns = stage.parse_columns(_columns_of(given))
    as_json = state.output == "json"
    outputs = stage.Outputs(*(given.pop(name) for name in ("output", "plot", "bounds", "decompose")), as_json)
    workers = {name: given.pop(name) for name in ("cores", "profile")}
    workers = workers | {"output": state.output} if any(workers.values()) else None
    options = {name: value for name, value in given.items() if value is not None and value != ()}
    options = {name: stage.parse(name, value) for name, value in options.items()}
    asked = {"estimators": stage.split(estimators, "--estimator"), "frequency": frequency, "outputs": outputs,
             "options": options, "inference": inference}
    text = stage.run(panel, columns, **asked) if workers is None and not Path(panel).is_dir() else (
        _of_folder(panel, columns, workers, asked))
    say(text) if as_json else state.finish(text)


def _of_folder(panel: str, columns: Any, workers: dict[str, Any] | None, asked: dict[str, Any]) -> str:
    """The text of a folder; ``workers`` None = read by this process."""
    from did.stages import estimate_folder

    if workers is None:
        return estimate_folder.run(panel, columns, **asked)
    from did.stages.sum_folder import Workers

    if not Path(panel).exists():
        raise DidError(f"{panel}: expected a folder of Parquet files; found none there; correct the path")
    if not Path(panel).is_dir():
        raise DidError(f"{panel}: --cores and --profile: expected a folder of Parquet files, which jobs read; found a "
                       "file, which one process reads; leave them out")
    return estimate_folder.run(panel, columns, **asked, workers=Workers(**workers))


@main.command(name="sum", hidden=True)
@click.argument("job")
@click.argument("output")
@click.pass_obj
def sum_folder(state: State, job: str, output: str) -> None:
    """Do a JOB of did estimate FOLDER --cores, and write its table to OUTPUT.

    \b
    did sum data/interim/folders/parts/batches/00000.json data/interim/folders/parts/shards/00000.parquet
    """
    from did.stages import sum_folder as stage

    state.finish(stage.run(job, output))


def _columns_of(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options that name columns out of ``given``; of cohort and treatment, exactly one is right usage."""
    columns = {name: given.pop(name) for name in COLUMNS}
    if (columns["cohort"] is None) == (columns["treatment"] is None):
        found = "neither" if columns["cohort"] is None else "both"
        raise click.UsageError(f"expected --cohort, or --treatment in its place; found {found}; name one of them")
    return columns


# Columns and files of a panel, as every command on one takes them.
COLUMNS = ("outcome", "unit", "period", "cohort", "treatment", "cluster", "weights", "covariates", "dose")


@main.command(name="report", context_settings={"max_content_width": 110})
@click.argument("panel", required=False)
@click.option("--outcome", metavar="COLUMN", help="What is explained; this and the columns below are those of did "
              "estimate.")
@click.option("--unit", metavar="COLUMN", help="Unit of the panel.")
@click.option("--period", metavar="COLUMN", help="Period.")
@click.option("--cohort", metavar="COLUMN", help="First treated period of the unit.")
@click.option("--treatment", metavar="COLUMN", help="In place of --cohort: 1 in rows that are treated, else 0.")
@click.option("--cluster", multiple=True, metavar="COLUMN", help="What was assigned together.")
@click.option("--weights", metavar="COLUMN", help="Weight of each row.")
@click.option("--covariates", multiple=True, metavar="COLUMNS", help="With commas between them.")
@click.option("--dose", metavar="COLUMN", help="Intensity of treatment.")
@click.option("--frequency", default="auto", show_default=True, type=click.Choice(["auto", "M", "Q", "Y"]),
              help="What the periods are.")
@click.option("--estimator", metavar="NAME", help="The one that leads. Default: two-way fixed effects with one onset, "
              "else the average of effects by cohort and period.")
@click.option("--published", metavar="NUMBER", help="A printed number to compare with.")
@click.option("--published-estimator", metavar="NAME", help="What it is of. Default: did, two-way fixed effects.")
@click.option("--output", default="report.html", show_default=True, metavar="FILE.html", help="Where to write.")
@data_option
@without_option
@click.pass_obj
def report(state: State, panel: str | None, data: str | None, without: str, output: str, **given: Any) -> None:
    """Write the evidence on PANEL, any file that did estimate reads, as one page that opens without a network: every
    estimator, trends, placebos, bounds, leave-outs. Without PANEL, write the report of the workflow's evaluation.

    \b
    did report panel.csv --outcome y --unit id --period time --cohort g
    did report panel.csv --outcome y --unit id --period time --cohort g --cluster cluster --output evidence.html
    did report panel.csv --outcome y --unit id --period time --cohort g --published 0.60 --published-estimator did
    did report --data demo
    """
    if panel is None:
        from did.stages import report as stage

        evaluation, paths = state.part("report", data)
        state.finish(stage.run(evaluation=evaluation, paths=paths, without=names(without)))
        return
    from did.stages import panel_report as stage_of_panel

    absent = [f"--{name}" for name in ("outcome", "unit", "period") if given[name] is None]
    if absent:
        raise click.UsageError(f"expected {', '.join(absent)} with PANEL")
    columns = _columns_of(given)
    state.finish(stage_of_panel.run(panel, columns, output=output, quiet=bool(state.output), **given))


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
@click.option("--estimator", "estimators", multiple=True, metavar="NAMES", help="Those with one effect, "
              "with commas between them. Default: two-way fixed effects, and the average of effects by cohort and "
              "period.")
@click.option("--level", default=0.05, show_default=True, type=float, metavar="SHARE", help="False discovery rate of "
              "the figure's line and the page.")
@click.option("--inference", default="", metavar="METHOD", help="A method for every row; an unknown name lists "
              "them. Default: clustered; with fewer than 20 treated or 40 clusters, wild bootstrap and jackknife.")
@click.option("--confidence", type=float, default=0.95, show_default=True, metavar="SHARE",
              help="What intervals cover.")
@click.option("--calibrate", is_flag=True, help="Where clusters are few, choose each estimator's method "
              "by its coverage, measured on each indicator's panel.")
@click.option("--cluster", "clusters", multiple=True, metavar="COLUMNS", help="A further column of --members (or of "
              "waves by unit) to cluster by; two with a comma between them, unit and system among them, are clusters "
              "two ways.")
@click.option("--name", metavar="NAME", help="Results go to results/sweep/NAME. Default: from the name of LIST.")
@cores_and_profile
@click.option("--batch-size", default=50, show_default=True, type=click.IntRange(1), help="Indicators in a batch, at "
              "most.")
@click.option("--batch", "batch", hidden=True, metavar="FILE")
@click.option("--output", hidden=True, metavar="FILE")
@click.option("--collect", is_flag=True, hidden=True)
@click.pass_obj
def sweep_list(state: State, source: str | None, estimators: tuple[str, ...], name: str | None, **given: Any) -> None:
    """Estimate hundreds to thousands of indicators: one table, false-discovery rates, a page and a figure.

    LIST is a CSV with a row per indicator: id and file, and where wanted title, family, unit, period, value,
    numerator, denominator, per and is_synthetic. What fails is listed with its reason and stops nothing else. Run
    again after a stop: batches that are done are kept.

    \b
    did sweep indicators.csv --waves waves.csv
    did sweep indicators.csv --waves ics_waves.csv --members systems.csv --numerator count --denominator patients
    did sweep practices.parquet --indicator indicator --unit practice --period month --value rate --waves waves.csv
    did sweep indicators.csv --waves waves.csv --onset first_full --cores 4
    did sweep indicators.csv --waves waves.csv --profile profiles/slurm --batch-size 500
    """
    from did.stages import sweep as stage

    batch, output, collect = (given.pop(option) for option in ("batch", "output", "collect"))
    workflow = {option: given.pop(option) for option in ("indicator", "cores", "batch_size", "profile")}
    if batch and output:
        state.finish(stage.batch(batch, output))
    elif collect and name:
        state.finish(stage.collect(name))
    elif source is None or given["waves"] is None:
        raise click.UsageError("expected LIST and --waves FILE")
    else:
        from did.stages.estimate import split
        from did.sweep.listing import Settings

        chosen = {"estimators": tuple(split(estimators, "--estimator"))} if estimators else {}
        state.finish(stage.run(source, Settings(**given, **chosen), name=name, output=state.output, **workflow))


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
    as_json = state.output == "json"
    text = stage.run(indicator, evaluation=evaluation, paths=paths, effects=sizes, draws=draws, output=output,
                     as_json=as_json)
    click.echo(text) if as_json else state.finish(text)
