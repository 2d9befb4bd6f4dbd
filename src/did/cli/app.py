"""What every command shares: the config, how much is said, mistakes reported in a line, exit codes."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from did import __version__
from did.errors import DidError, printable
from did.project.paths import DEFAULT_CONFIG

DATA_HELP = ("Where files come from: demo (made up), mirror:FOLDER (with an index.csv) or live. "
             "Default: the config's `data`.")


def cores_and_profile(command: Callable) -> Callable:
    """The options of a command that starts Snakemake."""
    command = click.option("--profile", default=None, metavar="FOLDER", help="A Snakemake profile, for a cluster: "
                           "profiles/slurm, for instance.")(command)
    return click.option("--cores", type=click.IntRange(1), help="Jobs at a time. Default: the profile's number; "
                        "without a profile, 2.")(command)


# How much is said; this variable passes it on to the jobs of a run.
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
        from did.project.data_mode import parse_mode
        from did.project.loading import load_evaluation
        from did.project.paths import Paths

        evaluation = load_evaluation(self.config)
        mode = parse_mode(data or evaluation.data)
        return evaluation, mode, Paths.of(mode.kind, evaluation.own_folder)

    def part(self, stage: str, data: str | None, member: str | None = None, without: Sequence[str] = ()):
        """The part of the evaluation that a stage uses (`did.project.slices`), and the folders of the mode."""
        from did.project import slices

        evaluation, _, paths = self.setting(data)
        return slices.Parts(evaluation, without).of_stage(stage, member), paths

    def finish(self, line: str) -> None:
        """Say what a stage did: on the screen, or as the last line of its log, which the workflow shows."""
        if self.log is not None:
            from did.store.provenance import write_text

            write_text(self.log, printable(line) + "\n")
        elif self.output == "json":
            self.event("done", command=click.get_current_context().command.name, message=line)
        elif self.output != "quiet":
            say(line)
            if self.output == "verbose":
                click.echo(f"{time.monotonic() - self.began:.1f} s", err=True)

    def event(self, event: str, **fields: Any) -> None:
        """One line of JSON on standard output."""
        say(_event(event, **fields))


def say(text: str, *, err: bool = False) -> None:
    """Print text for the user, whatever signs a file or a server put into it; see `did.errors.printable`."""
    click.echo(printable(text), err=err)


def _event(event: str, **fields: Any) -> str:
    return json.dumps({"event": event, **fields}, ensure_ascii=False)


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
    """Commands that answer a user's mistake with one line and exit code 1. Where it comes from is in the log of a
    workflow's job (--log) and, with --verbose, on the screen; nothing is left in the user's folder."""

    command_class = Command
    group_class = type

    def main(self, args: Sequence[str] | None = None, **settings: Any) -> Any:
        """As every click command; with --json, wrong usage is reported as JSON too."""
        given = list(sys.argv[1:] if args is None else args)
        if "--json" not in given:
            return super().main(given, **settings)
        try:
            code = super().main(given, **settings | {"standalone_mode": False})
        except click.ClickException as error:
            say(_event("error", message=" ".join(error.format_message().split())))
            code = error.exit_code
        sys.exit(code or 0)

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
        except MemoryError as error:
            _fail(context, [f"expected enough memory; found less than was asked for ({error or 'no more'}); fewer "
                            "draws, estimators or units need less"], error)
        except ModuleNotFoundError as error:
            _fail(context, [missing(error)], error)
        except Exception as error:
            _fail(context, [f"unexpected {type(error).__name__}: {error}; this is a fault of the program, "
                            "please report it, with what --verbose adds"], error)


def missing(error: ModuleNotFoundError) -> str:
    """Return the line about a package that is not installed: which one, and what installs it."""
    return (f"package {str(error.name).partition('.')[0]}: expected it to be installed for this command; found that it "
            "is not; pip install 'ics-did[workflow]'")


def _fail(context: click.Context, lines: list[str], error: Exception) -> None:
    state = context.find_object(State)
    for line in lines:
        if state is not None and state.output == "json":
            state.event("error", message=line)
        else:
            say(f"error: {line}", err=True)
    story = "".join(traceback.format_exception(error))
    if state is not None and state.output == "verbose":
        say(story, err=True)
    if state is not None and state.log:
        try:
            state.log.parent.mkdir(parents=True, exist_ok=True)
            state.log.write_text(printable(story + "".join(f"error: {line}\n" for line in lines)), encoding="utf-8")
        except OSError:
            pass  # the error itself has been reported; a log that cannot be written must not hide it
    sys.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", default=str(DEFAULT_CONFIG), show_default=True, help="The evaluation file.")
@click.option("--log", type=click.Path(dir_okay=False), metavar="FILE", help="Write the result line, or the traceback "
              "of an error, to FILE.")
@click.version_option(__version__, prog_name="did")
@click.pass_context
def main(context: click.Context, config: str, log: str | None) -> None:
    """Difference-in-differences evaluation of health policy, from publishers' files to tables and figures.

    Exit codes: 0 done, 1 something is wrong with the data or config (said in a line each), 2 wrong usage.

    \b
    did run                                    the whole workflow on demonstration data
    did run --data mirror:../shared/mirror     the same on the publishers' files
    did supply gpps ~/Downloads                files that you downloaded by hand
    did fetch nhs_england_dtoc                 one stage by hand
    did new elsewhere                          another roll-out
    """
    context.obj = State(config, log)


data_option = click.option("--data", default=None, metavar="MODE", help=DATA_HELP)
without_option = click.option("--without", default="", metavar="NAMES", help="Indicators that are not available in "
                              "this run, with commas between them.")


def names(words: str) -> list[str]:
    """The names in ``words``, which have commas between them."""
    return [name for name in words.split(",") if name]
