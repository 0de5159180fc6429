"""Recordings analysed on every core: each is written and shown at once, in order; what is done stays."""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from laennec.audio.samples import counted
from laennec.audio.source import STANDARD_INPUT
from laennec.cores import forks_safely
from laennec.errors import LaennecError, without_name
from laennec.files import printable, remove_leftovers
from laennec.output.files import SUMMARY, Recordings, planned, write_outputs
from laennec.output.formats import Summary, summary, to_json
from laennec.output.ledger import Ledger, content_facts, shown_name
from laennec.output.recordings import Job, json_text, say_where, show_table, warn
from laennec.processes import Lost, Ready, Workers
from laennec.progress import progress_bar

WORTH_STARTING = 40  # recordings, each about as long as half a start of a process that is not forked
Show = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Task:
    """A recording to analyse: where it is, what its results are called, and what tables call it."""

    path: Path
    source: Path | bytes
    name: str
    key: str


@dataclass(frozen=True)
class Outcome:
    """What became of a recording: its row, its JSON if that is shown, and the files that were written."""

    row: Summary
    text: dict[str, Any] | None = None
    written: Sequence[Path] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_earlier: bool = False
    """Whether an earlier run has done it."""


def analyze_many(recordings: Recordings, job: Job, again: bool, jobs: int = 1) -> int:
    """Analyse recordings, and show a row of each in order; only summaries are kept of them.

    With `again`, what was done before is analysed too. A folder that is `lost` has a row as well.
    With several `jobs`, so many processes share the work; what comes of it is the same.
    Returns 1 if a recording or folder failed, or the folder's state cannot be written, else 0.
    """
    names = recordings.names
    lost = [Summary(printable(folder), error=printable(why)) for folder, why in recordings.lost.items()]
    ledger = job.ledger(names)
    if ledger is not None:
        remove_leftovers(ledger.out)
        names = ledger.names
    done, others, rows = 0, 0, []
    try:
        with _json_array(job.as_json, job.out is not None) as show, progress_bar("analysing") as advance:
            advance(0, len(names))
            tasks = (_task(path, name, job, ledger, again) for path, name in names.items())
            jobs = min(jobs, len(names)) if forks_safely() or len(names) >= WORTH_STARTING else 1
            with closing(_outcomes(tasks, job, jobs)) as outcomes:
                for path, outcome in zip(names, outcomes, strict=True):
                    done += outcome.is_earlier
                    rows.append(_kept(path, outcome, job, ledger, show))
                    advance(len(rows), len(names))
    finally:  # what was done is not lost to an interruption
        if ledger is not None:
            others = ledger.close(lost)
    rows += lost
    if not job.as_json:
        show_table(rows)
    for line in recordings.left_out("analysed"):
        job.say(line)
    if done:
        job.say(f"{done} done before; --again analyses them anew")
    if others:
        job.say(f"{SUMMARY} has the rows of {counted(others, 'recording')} of earlier runs, too")
    failed = [row for row in rows if row.error]
    code = say_where(job, ledger, any_result=len(failed) < len(rows) or others > 0)
    for row in failed if job.as_json else ():  # otherwise the table shows the reasons
        warn(f"{row.recording}: {row.error}")
    if lost:
        warn(f"{counted(len(lost), 'folder')} could not be analysed")
    if failed[len(lost) :]:
        warn(f"{len(failed) - len(lost)} of {counted(len(names), 'recording', '')} failed")
    return 1 if failed else code


def _task(path: Path, name: str, job: Job, ledger: Ledger | None, again: bool) -> Task | Ready[Outcome]:
    """Return what is to be done with a recording, or its outcome, if that is there or must be had here."""
    key = ledger.key(path) if ledger else shown_name(path, name)
    earlier = None if again or ledger is None else _done_before(path, key, job, ledger)
    if earlier is not None:
        return Ready(earlier)
    task = Task(path, ledger.pipes.get(path, path) if ledger else path, name, key)
    is_pipe = str(path) == STANDARD_INPUT or path.is_fifo()
    return Ready(_outcome(task, job)) if is_pipe else task  # what can be read once is read here


def _outcomes(tasks: Iterable[Task | Ready[Outcome]], job: Job, jobs: int) -> Generator[Outcome, None, None]:
    """What becomes of each recording, in order, by so many processes; by this one, if it is one."""
    if jobs <= 1:
        yield from (task.result if isinstance(task, Ready) else _outcome(task, job) for task in tasks)
        return
    workers: Workers[Task, Outcome]
    with Workers(partial(_work, job), jobs) as workers:
        for outcome in workers.results(tasks):
            if isinstance(outcome, Lost):
                outcome = Outcome(Summary(outcome.task.key, error=outcome.why))
            yield outcome


def _work(job: Job, tasks: Iterator[Task]) -> Iterator[Outcome]:
    """What each process does."""
    return (_outcome(task, job) for task in tasks)


def _outcome(task: Task, job: Job) -> Outcome:
    """Analyse one recording of many and write its results; what is wrong with it is in its row.

    Its results are written before its JSON is printed, which may fail.
    """
    text = None
    try:
        analysis, recording = job.analyze(task.path, task.source)
        row = summary(analysis, task.key)
        text = to_json(analysis) if job.as_json else None
        if job.out is None:
            return Outcome(row, text)
        written = write_outputs(analysis, recording, job.out, task.name, job.formats)
        return Outcome(row, text, written, content_facts(task.source))
    except LaennecError as error:
        row = Summary(task.key, error=printable(without_name(error, task.path)))
    except MemoryError:
        row = Summary(task.key, error="there is not enough memory for it")
    except Exception as error:  # a mistake of ours with one recording must not cost all the others
        hint = "(an error in Laennec; with this file alone, --debug shows where)"
        row = Summary(task.key, error=printable(f"{type(error).__name__}: {error} {hint}"))
    return Outcome(row, text)


def _kept(path: Path, outcome: Outcome, job: Job, ledger: Ledger | None, show: Show) -> Summary:
    """Note an outcome in the folder's state, show its JSON, and return its row."""
    if ledger is not None and not outcome.is_earlier:
        key = ledger.key(path)
        if outcome.row.error:
            ledger.fail(key, outcome.row)
        else:
            ledger.add(key, path, job.formats, outcome.written, outcome.row, outcome.facts)
    if outcome.text is not None:
        show(outcome.text)
    return outcome.row


def _done_before(path: Path, key: str, job: Job, ledger: Ledger) -> Outcome | None:
    """Return what an earlier run wrote, with its JSON; None where that is not there or out of date."""
    if job.as_json and "json" not in job.formats:
        return None
    row = ledger.done(key, path, job.formats)
    if row is None or not job.as_json:
        return None if row is None else Outcome(row, is_earlier=True)
    try:
        text = json.loads(planned(ledger.out, ledger.name(key), "json").read_bytes())
    except (OSError, ValueError):
        return None
    return Outcome(row, text, is_earlier=True)


@contextmanager
def _json_array(as_json: bool, go_on: bool) -> Iterator[Show]:
    """Print JSON objects as elements of one array, each as it comes; nothing where no JSON is asked for.

    Where printing fails (a full disk, a reader that is gone) and the block is to `go_on`, since it writes
    files as well, the OSError is raised at its end.
    """
    if not as_json:
        yield lambda _: None
        return
    between = "[\n  "
    failure: OSError | None = None

    def show(element: Mapping[str, Any]) -> None:
        nonlocal between, failure
        text = json_text(element).replace("\n", "\n  ")
        if failure is not None:
            return
        try:
            print(between + text, end="", flush=True)
        except OSError as error:
            failure = error
            if not go_on:
                raise
        between = ",\n  "

    try:
        yield show
    finally:
        if failure is None:
            print("[]" if between.startswith("[") else "\n]")
    if failure is not None:
        raise failure
