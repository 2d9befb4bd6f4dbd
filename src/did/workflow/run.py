"""`did run`: check the config, take the folder, and hand over to Snakemake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from did.project import shipped
from did.project.change import UNCHANGED, Change
from did.workflow.launch import alone, tell, workflow

if TYPE_CHECKING:
    from did.workflow.plan import Plan


def run(config: str, *, data: str | None, cores: int | None, offline: bool, accept: bool, profile: str | None = None,
        output: str = "", change: Change = UNCHANGED) -> int:
    """Run the workflow of the evaluation ``config``, a file or a name, in the current folder and return its exit code.

    The workflow is the folder's own Snakefile, if it has one, else that of the package. An evaluation that is shipped
    with the package is laid out in the folder first (`did.project.shipped.evaluation_file`).

    Everything that can be wrong in the config files is found before anything runs. One run at a time may
    work in a folder; the hold ends with the process, so a killed run leaves nothing to clear up. ``cores`` is the
    number of jobs at a time, None for the profile's number or 2; ``profile`` a folder with a Snakemake profile.
    ``change`` has the evaluation run with something changed, by a file of its own (`did.project.variants`).
    ``output`` is how much is said: a line for each step, or "quiet", "verbose" or "json" (one object a line on
    standard output).

    Raises DidError for config mistakes, a change that cannot be made, an evaluation that is not there, a wrong ``data``
    mode, a folder in which another run is at work, and a ``profile`` that cannot be used, as
    `did.workflow.launch.executor_of`.
    """
    path, written = shipped.evaluation_file(config)
    config = str(path)
    if written:
        tell(f"laid out here: {', '.join(written)}", output)
    if change.words:
        from did.project import variants

        changed, about = variants.write(config, change)
        tell(f"{changed}: {config}, {change.words}; about {', '.join(about)}", output)
        config = str(changed)
    with alone(), workflow(config, profile=profile, output=output) as start:
        from did.workflow.plan import Plan

        plan = Plan.load(config, data)
        settings = {"evaluation": config, "data": plan.data}
        settings |= {name: "yes" for name, on in (("offline", offline), ("accept", accept)) if on}
        if plan.unavailable:
            from did.fetch.availability import reason

            why = (f"not available in this run: {', '.join(plan.unavailable)}. "
                   f"{reason(plan.evaluation, plan.unavailable[0], plan.paths)}")
            tell(why, output)
        done = start(shipped.snakefile(), settings, cores=cores, again=_to_make_again(plan, output),
                     meanwhile="did.report.content.evaluation_facts")
        if done:
            for line in _answer(plan):
                tell(line, output)
    return 0 if done else 1


def _answer(plan: Plan) -> list[str]:
    """The answer, a line for each printed number or headline, as it opens the report."""
    from did.report.content.evaluation_facts import run_answer

    return run_answer(plan.evaluation, plan.paths, plan.unavailable).texts


def _to_make_again(plan: Plan, output: str) -> list[str]:
    """Clear up what a killed run left behind; the files of the plan that are there and cannot be trusted, each
    reported."""
    from did.store.provenance import remove_unfinished
    from did.workflow.integrity import changed_files, from_the_future, remove_damaged_records

    for folder in (plan.paths.data, plan.paths.results, plan.paths.logs):
        remove_unfinished(folder)
    remove_damaged_records(Path(".snakemake/metadata"))
    again = []
    for why, paths in (("not as written", changed_files(plan)), ("from the future", from_the_future(plan))):
        if paths:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            tell(f"{why}: {paths[0]}{more}; made again", output)
            again += paths
    return again
