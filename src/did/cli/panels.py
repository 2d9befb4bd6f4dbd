"""Estimates without a workflow: of one panel, of many, and what a panel could find."""

from __future__ import annotations

from typing import Any

import click

from did.cli.app import State, cores_and_profile, data_option, main, say


@main.command(name="estimate", context_settings={"max_content_width": 110})
@click.argument("panel", metavar="PANEL.csv")
@click.option("--outcome", required=True, metavar="COLUMN", help="What is explained.")
@click.option("--unit", required=True, metavar="COLUMN", help="Unit of the panel.")
@click.option("--period", required=True, metavar="COLUMN", help="Period: 2003, 2017/18, 2017-06, 2017Q2 or "
              "1, 2, 3.")
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
@click.option("--min-event-time", type=int, metavar="E", help="First event time of averages.")
@click.option("--max-event-time", type=int, metavar="E", help="Last event time of averages; of stacked, the end of "
              "its window.")
@click.option("--balance", "balance_event_time", type=click.IntRange(0), metavar="E", help="Average by event time (by "
              "nothing else) over the cohorts observed to event time E.")
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
    say(text) if as_json else state.finish(text)


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
@cores_and_profile
@click.option("--batch-size", default=50, show_default=True, type=click.IntRange(1), help="Indicators in a batch, at "
              "most.")
@click.option("--batch", "batch", hidden=True, metavar="FILE")
@click.option("--output", hidden=True, metavar="FILE")
@click.option("--collect", is_flag=True, hidden=True)
@click.pass_obj
def sweep_list(state: State, source: str | None, indicator: str | None, estimators: tuple[str, ...], name: str | None,
               cores: int | None, profile: str | None, batch_size: int, batch: str | None, output: str | None,
               collect: bool, **given: Any) -> None:
    """Estimate hundreds to thousands of indicators: one table, false-discovery rates, a page and a figure.

    LIST is a CSV with a row per indicator: id and file, and where wanted title, family, unit, period, value,
    numerator, denominator, per and is_synthetic. What fails is listed with its reason and stops nothing else. Run
    again after a stop: batches that are done are kept.

    \b
    did sweep indicators.csv --waves waves.csv
    did sweep indicators.csv --waves ics_waves.csv --members systems.csv --numerator count --denominator patients
    did sweep practices.parquet --indicator indicator --unit practice --period month --value rate --waves waves.csv
    did sweep indicators.csv --waves waves.csv --onset first_full --estimator did --cores 4
    did sweep indicators.csv --waves waves.csv --profile profiles/slurm --batch-size 500
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
                               batch_size=batch_size, profile=profile, output=state.output))


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
