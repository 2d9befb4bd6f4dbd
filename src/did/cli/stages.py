"""The stages of the workflow by hand, in their order."""

from __future__ import annotations

import click

from did.cli.app import State, data_option, main, names, without_option
from did.errors import DidError, DidErrors


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
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--accept", is_flag=True, help="Take another edition than the registered one, or than the one in place.")
@click.pass_obj
def supply(state: State, source: str, files: tuple[str, ...], accept: bool) -> None:
    """Put FILES that you downloaded by hand into data/raw/SOURCE, whatever they are called.

    FILES may be zip files and folders. Each file is recognised by what is in it, checked as the run would, and copied
    under the name that the run expects. What is refused is said in a line each, and what is still missing is listed.

    \b
    did supply gpps ~/Downloads
    did supply gpps "GPPS_2019_Practice_data_(weighted)_(csv)_PUBLIC (1).csv" practice-data.zip
    """
    from did.stages import supply as stage

    evaluation, _, paths = state.setting("live")
    done, refused = stage.run(source, files, sources_folder=evaluation.sources_folder, accept=accept, paths=paths)
    state.finish("\n".join(done))
    if refused:
        raise DidErrors(refused)


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

        evaluation, paths = state.part(name, data, indicator)
        stage = importlib.import_module(f"did.stages.{name}")
        try:
            line = stage.run(indicator, evaluation=evaluation, paths=paths)
        except DidError as error:
            if indicator in str(error) or isinstance(error, DidErrors):
                raise
            raise DidError(f"{indicator}: {error}") from error   # an estimator does not know what it is given
        state.finish(line)


_indicator_stage("align", "Build the panel of INDICATOR under every specification.")
_indicator_stage("fit", "Fit every estimator to the panel of INDICATOR.")
_indicator_stage("diagnose", "Run the diagnostics of INDICATOR.")
_indicator_stage("compare", "Set every published claim about INDICATOR alongside our estimate.")
_indicator_stage("check", "Compute the headline estimates of INDICATOR again by a second program.")
_indicator_stage("judge", "Answer the questions of the evidence on INDICATOR, and give each number its verdict.")
_indicator_stage("calibrate", "Measure how often each method of inference errs on the panel of INDICATOR.")
_indicator_stage("specify", "Fit INDICATOR under every specification of what the publication leaves open.")


def _group_stage(name: str, what: str, example: str, summary: str) -> None:
    @main.command(name=name, help=f"{summary}\n\n\b\ndid {name} {example}")
    @click.argument(what)
    @data_option
    @without_option
    @click.pass_obj
    def command(state: State, data: str | None, without: str, **member: str) -> None:
        import importlib

        left_out = names(without)
        evaluation, paths = state.part(name, data, member[what], left_out)
        stage = importlib.import_module(f"did.stages.{name}")
        state.finish(stage.run(member[what], evaluation=evaluation, paths=paths, without=left_out))


_group_stage("adjust", "family", "dtoc", "Adjust the p-values of a FAMILY of outcomes, and of the claims "
             "about them, for having asked all of them.")
_group_stage("draw", "indicator", "dtoc_total", "Draw the figures of INDICATOR and write its section of the report.")
_group_stage("family", "family", "dtoc", "Draw what is shown of a FAMILY of outcomes together, and write its pages.")


@main.command()
@data_option
@without_option
@click.option("--strict", is_flag=True, help="Fail if a verdict is not the recorded one (tests/baselines).")
@click.option("--renew-baseline", is_flag=True, help="Show which verdicts changed, then record those of this run.")
@click.pass_obj
def reproduce(state: State, data: str | None, without: str, strict: bool, renew_baseline: bool) -> None:
    """Put the verdicts on all published claims together, and say which specifications satisfy them.

    \b
    did reproduce --data mirror:../shared/mirror --strict
    did reproduce --renew-baseline
    """
    from did.evidence import baseline
    from did.fetch.availability import unavailable
    from did.project import slices
    from did.stages import reproduce as stage

    evaluation, mode, paths = state.setting(data)
    recorded = baseline.baseline_path(evaluation.id, mode.kind)
    left_out = names(without) or unavailable(evaluation, mode, paths)
    part = slices.Parts(evaluation, left_out).of_stage("reproduce")
    state.finish(stage.run(evaluation=part, paths=paths, without=left_out, strict=recorded if strict else None,
                           renew=recorded if renew_baseline else None))


def _evaluation_stage(name: str, summary: str) -> None:
    @main.command(name=name, help=f"{summary}\n\n\b\ndid {name}")
    @data_option
    @without_option
    @click.pass_obj
    def command(state: State, data: str | None, without: str) -> None:
        import importlib

        evaluation, paths = state.part(name, data)
        stage = importlib.import_module(f"did.stages.{name}")
        state.finish(stage.run(evaluation=evaluation, paths=paths, without=names(without)))


_evaluation_stage("tabulate", "Write the tables as CSV and for papers.")
_evaluation_stage("workbook", "Write the tables as one accessible workbook.")
_evaluation_stage("workbench", "Write every estimate on one page, to be picked by what was chosen for it.")
_evaluation_stage("manifest", "Write the checksums of everything that went in and came out.")
