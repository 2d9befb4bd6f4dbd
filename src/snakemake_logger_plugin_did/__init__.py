"""Snakemake's log as a user of `did run` wants it: one plain line a step, a progress bar, short errors."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from logging import ERROR, LogRecord
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from did.errors import printable


class _Screen(Console):
    """A console that a run outlives: where nobody reads any more, as after ``did run 2>&1 | head``, nothing is said."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class LogHandler(LogHandlerBase):
    """Prints each step when it ends, with the line its stage wrote to its log file.

    The bar is drawn only on a terminal and leaves nothing behind. A failed step has printed its own one-line
    error; here it is said where the details are.
    """

    def __post_init__(self) -> None:
        console = _Screen(stderr=True, highlight=False, soft_wrap=True)
        self.console = console
        self.jobs: dict[int, tuple[str, list[str]]] = {}
        self.done = 0
        self.total = 0
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self.output = os.environ.get("DID_OUTPUT", "")
        self.bar = Progress(*columns, console=console, transient=True,
                            disable=self.output in ("quiet", "json") or not sys.stderr.isatty())
        self.task = None
        self.failed = False
        # On a cluster a job's own words are on no screen, and are repeated here from its log.
        self.remote = bool(os.environ.get("DID_REMOTE"))
        self.began = time.time()
        self.told: set[int] = set()
        logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is no news of its own

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.total = (getattr(record, "stats", None) or {}).get("total", 1) - 1  # all but the target `all`
            self.bar.start()
            self.task = self.bar.add_task("", total=self.total)
        elif event == LogEvent.JOB_INFO:
            name = getattr(record, "rule_msg", None) or getattr(record, "rule_name", "step")
            self.jobs[record.jobid] = (str(name), [str(path) for path in getattr(record, "log", None) or []])
            if self.output == "verbose" and self.jobs[record.jobid][1]:
                self._say(f"starts: {name}; {getattr(record, 'reason', None) or ''}".rstrip("; "))
        elif event == LogEvent.JOB_FINISHED:
            self._finished(getattr(record, "job_id", None))
        elif event == LogEvent.GROUP_ERROR:
            self._stopped([each["jobid"] for each in record.job_error_info], record.aux_logs)
        elif event == LogEvent.JOB_ERROR:
            if record.jobid not in self.told:
                _, own = self.jobs.get(record.jobid, ("", []))
                self._stopped([record.jobid], [path for path in getattr(record, "log", None) or [] if path not in own])
        elif record.levelno >= ERROR and not self.failed and self._is_news(record.getMessage()):
            # A fault of the workflow itself, such as a folder it cannot make. After a failed step the rest of
            # Snakemake's words only repeat it.
            self.failed = True
            message = record.getMessage().strip()
            if "Traceback (most recent call last)" in message:
                message = message.splitlines()[-1]
            message = " ".join(message.split()).removeprefix("WorkflowError: ")
            if self.output == "json":
                self._event("error", message=message)
            else:
                self._say(f"error: {message}")

    def _say(self, text: str) -> None:
        """Print a line, whatever signs are in the messages and logs it is made of."""
        self.console.print(printable(text), markup=False)

    def _stopped(self, jobs: list[int], queue_logs: list[str]) -> None:
        """Tell that a job, or jobs sent off as one, stopped: the one that says why, else where the queue's log is."""
        self.failed = True
        self.told |= set(jobs)
        known = [self.jobs.get(job, ("a step", [])) for job in jobs]
        if self.remote:
            known = [each for each in known if self._errors(each[1])] or [
                (", ".join(name for name, _ in known), [str(path) for path in queue_logs])]
        for name, logs in known:
            told = self._errors(logs) if self.remote else []
            if self.output == "json":
                for line in told:
                    self._event("error", message=line.removeprefix("error: "))
                self._event("stopped", step=name, log=logs[0] if logs else None)
                continue
            for line in told:
                self._say(line)
            self._say(f"stopped: {name}{f'; details in {logs[0]}' if logs else ''}")

    def _errors(self, logs: list[str]) -> list[str]:
        """The errors that a stage of this run wrote into its log."""
        path = Path(logs[0]) if logs else None
        if path is None or not path.is_file() or path.stat().st_mtime < self.began:
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if line.startswith("error: ")]

    @staticmethod
    def _is_news(message: str) -> bool:
        """False for what only says that a step failed, which has reported its own error."""
        return bool(message) and not (message.startswith("RuleException") and "CalledProcessError" in message)

    @staticmethod
    def _event(event: str, **fields: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(printable(json.dumps({"event": event, **fields}, ensure_ascii=False)), flush=True)

    def _finished(self, job: int | None) -> None:
        name, logs = self.jobs.get(job, ("", []))
        if not logs:  # the target that only gathers
            return
        self.done += 1
        written = Path(logs[0]).read_text(encoding="utf-8", errors="replace").splitlines() if logs else []
        line = written[-1] if written else name
        if self.output == "quiet":
            return
        if self.output == "json":
            self._event("step", number=self.done, of=self.total, step=name, message=line)
            return
        self._say(f"[{self.done}/{self.total}] {name.split()[0]} {line}")
        if self.task is not None:
            self.bar.update(self.task, advance=1, description=name)

    def close(self) -> None:
        self.bar.stop()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return True

    @property
    def has_formatter(self) -> bool:
        return True

    @property
    def needs_rulegraph(self) -> bool:
        return False
