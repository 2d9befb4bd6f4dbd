"""Many indicators at once: the list cut into batches, the batches done by Snakemake, the results put together."""

from __future__ import annotations

from pathlib import Path

from did.errors import DidError
from did.store import seals
from did.store.provenance import remove_unfinished
from did.sweep.batches import Folders, read_batch, write_batches
from did.sweep.listing import Settings, name_of, read_list
from did.sweep.split import split
from did.sweep.treatment import Waves
from did.words import plural
from did.workflow.launch import alone, tell, workflow

SNAKEFILE = Path(__file__).resolve().parents[1] / "sweep" / "Snakefile"


def run(source: str, settings: Settings, *, name: str | None, indicator: str | None, cores: int | None, batch_size: int,
        profile: str | None = None, output: str = "") -> str:
    """Sweep the indicators of ``source`` in the current folder and return a line about the results.

    ``source`` is a list of indicators, or with ``indicator``, the name of a column, one big file. Batches that are
    done and up to date are not done again. ``cores``, ``profile`` and ``output`` as of `did.workflow.run.run`.

    Raises DidError for mistakes in settings, list, waves or members; a folder in which another run is at work; a
    ``profile`` that cannot be used; a batch that stopped; and if no indicator could be estimated (the reasons are then
    in failures.csv).
    """
    settings = settings.check()
    folders = Folders(name_of(source, name))
    Waves(settings.waves, settings.members, treatment=settings.treatment, onset=settings.onset,
          groupings=settings.groupings)
    with alone():
        for folder in (folders.work, folders.results, folders.logs):
            remove_unfinished(folder)
        if indicator is None:
            entries, numbers = read_list(source, settings), None
        else:
            entries, numbers = split(source, indicator, settings, folders, batch_size)
        n_batches = write_batches(folders, settings, str(source), entries, batch_size, numbers)
        _remove_changed(folders, output)
        with workflow(profile=profile, output=output) as start:
            if not start(SNAKEFILE, {"sweep": folders.name}, cores=cores):
                raise DidError(f"sweep {folders.name}: expected every batch and the tables to be made; found that a "
                               f"step stopped, whose reason is above and in {folders.logs}; fix it and run again: "
                               "batches that are done are kept")
    return _line(folders, n_batches)


def _remove_changed(folders: Folders, output: str) -> None:
    """Delete the tables of batches that are not as they were written, and tell it; they are made again."""
    for path in (folders.done(label) for label in folders.labels()):
        if path.is_file() and not seals.is_intact(path):
            path.unlink()
            tell(f"not as written: {path}; made again", output)


def batch(path: str, output: str) -> str:
    """Do one batch, write its table, and return a line about it. Raises DidError as `did.sweep.fit.fit_batch`."""
    from did.sweep.fit import fit_batch

    table = fit_batch(read_batch(path))
    seals.write(table, output)
    failed = table.loc[(table["reason"] != "") & (table["estimator"] == ""), "position"].nunique()
    return f"{plural(table['position'].nunique(), 'indicator')}, {failed} failed"


def collect(name: str) -> str:
    """Put the done batches of a sweep together and return a line about them."""
    from did.sweep.collect import collect as put_together

    folders = Folders(name)
    return put_together(folders.plan, [str(folders.done(label)) for label in folders.labels()], folders.results)


def _line(folders: Folders, n_batches: int) -> str:
    from did.store.result_csv import read_csv

    estimates = read_csv(folders.results / "estimates.csv", usecols=["indicator"], dtype=str, keep_default_na=False)
    failures = read_csv(folders.results / "failures.csv", dtype=str, keep_default_na=False)
    done, lost = estimates["indicator"].nunique(), int((failures["estimator"] == "").sum())
    if not done:
        raise DidError(f"sweep {folders.name}: expected an indicator that can be estimated; found none, first because: "
                       f"{failures['reason'].iloc[0]}; the others are in {folders.results / 'failures.csv'}")
    partly = failures.loc[failures["estimator"] != "", "indicator"].nunique()
    in_part = f" and {partly} in part" if partly else ""
    return (f"{plural(done, 'indicator')} estimated, {lost} failed{in_part}, {plural(n_batches, 'batch', 'batches')}; "
            f"{folders.results / 'summary.md'}")
