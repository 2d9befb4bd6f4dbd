"""The whole workflow, and what belongs to the project rather than to a stage."""

from __future__ import annotations

import json
import sys

import click

from did.cli.app import DATA_HELP, State, cores_and_profile, data_option, main


@main.command()
@click.argument("config", required=False)
@click.option("--data", default=None, help=DATA_HELP)
@cores_and_profile
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@click.option("--accept", is_flag=True, help="Accept files whose checksum changed at the publisher.")
@click.option("--specification", metavar="NAME", help="Report this of the named specifications.")
@click.option("--without-system", "without_systems", multiple=True, metavar="CODE",
              help="Leave a system out of every sample. May be given again.")
@click.option("--without-period", "without_periods", multiple=True, metavar="PERIOD",
              help="Leave out a period, or a span such as '2015-04 to 2017-05'. May be given again.")
@click.pass_obj
def run(state: State, config: str | None, data: str | None, cores: int | None, profile: str | None, offline: bool,
        accept: bool, **changed) -> None:
    """Run the whole workflow for the evaluation CONFIG, a file or a name; only what is missing or out of date is made.
    The evaluation ics comes with the package and is laid out in the folder.

    With another specification, or without a system or period, results lie in a folder of their own, named by what is
    changed; for other commands the changed evaluation is a file in data/variants.

    \b
    did run ics
    did run --data mirror:../shared/mirror
    did run config/ics.yaml --offline
    did run --profile profiles/slurm
    did run --without-system QOP
    did run --specification lags_last_12 --without-period 2017-05
    """
    from did.project.change import Change
    from did.workflow import run as workflow

    code = workflow.run(config or state.config, change=Change(**changed), data=data, cores=cores, offline=offline,
                        accept=accept, profile=profile, output=state.output)
    if state.output == "json":
        state.event("ended", command="run", exit_code=code)
    sys.exit(code)


@main.command()
@click.argument("target")
@click.option("--specification", help="Specification of the estimate; that of the verdict, or the default.")
@click.option("--sample", help="Its sample.")
@click.option("--treatment", help="Its treatment.")
@click.option("--estimator", help="Its estimator.")
@click.option("--unit", help="Unit whose cell to go down to; the first treated one.")
@click.option("--period", help="Period of that cell; the first treated one of the unit.")
@data_option
@click.pass_obj
def trace(state: State, target: str, data: str | None, **where: str | None) -> None:
    """Show where a number comes from: TARGET is a published claim such as D1, or an indicator.

    From the estimate through its specification and its panel to one cell of the panel, and the files, sheets and rows
    behind it, each file hashed again.

    \b
    did trace D1
    did trace D1 --unit E08000003 --period 2019-01 --data mirror:../shared/mirror
    did trace dtoc_total --treatment intensity --estimator did
    """
    from did.stages import trace as stage

    evaluation, _, paths = state.setting(data)
    state.finish(stage.run(stage.Asked(target, **where), evaluation=evaluation, paths=paths))


@main.command()
@click.argument("name")
@click.pass_obj
def new(state: State, name: str) -> None:
    """Write the skeleton of an evaluation NAME of another roll-out: config, waves table, a made-up panel.

    \b
    did new elsewhere
    did run elsewhere
    """
    from did.authoring import scaffold

    written = scaffold.create(name)
    state.finish("\n".join([*(f"wrote {path}" for path in written), f"next: did run {name}, then put your own files in "
                            f"place of the made-up ones, as config/{name}.yaml says"]))


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
@click.option("--data", default=None, metavar="MODE", help="Look at the results of this data mode alone. Default: at "
              "those of real and of made-up data.")
@click.pass_obj
def verify(state: State, data: str | None) -> None:
    """Hash every raw file and every result again and compare with the manifest of the results, and name files in the
    folder of the results that are no part of the run.

    \b
    did verify
    did verify --data demo
    did --config config/elsewhere.yaml verify
    """
    from did.project.paths import Paths
    from did.stages import verify as stage

    evaluation, _, paths = state.setting(data)
    found = [] if data else Paths.with_results(evaluation.own_folder)
    state.finish("\n".join(stage.run(paths=each) for each in found or [paths]))


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
    from did.cli import reference_pages as schemas

    if write == (which is not None):
        raise click.UsageError("expected evaluation, indicator or source; or --write")
    if write:
        state.finish("\n".join(f"wrote {path}" for path in schemas.write("docs", main)))
    else:
        text = schemas.json_schema(which)
        click.echo(json.dumps(json.loads(text), ensure_ascii=False) + "\n" if state.output == "json" else text,
                   nl=False)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(state: State, shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
    did completion bash >> ~/.bashrc
    did completion zsh >> ~/.zshrc
    did completion fish > ~/.config/fish/completions/did.fish
    """
    from click.shell_completion import get_completion_class

    source = get_completion_class(shell)(main, {}, "did", "_DID_COMPLETE").source()
    state.finish(source) if state.output == "json" else click.echo(source)
