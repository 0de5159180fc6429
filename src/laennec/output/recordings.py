"""Recordings analysed on every core: each is written and shown at once, in order; what is done stays."""

import json
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis
from laennec.analyze.inputs import model_for
from laennec.audio.folder import counted_endings, counted_links
from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.audio.source import STANDARD_INPUT, locate
from laennec.errors import LaennecError, UsageError, without_name
from laennec.files import make_folder, printable, remove_leftovers
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.phases import PhaseModel, load_phase_model
from laennec.output.files import SUMMARY, WITH_SOUND, Recordings, called, planned, write_outputs
from laennec.output.formats import Summary, summary, to_json
from laennec.output.ledger import Ledger, content_facts, shown_name
from laennec.output.spectrogram import SHOWN_S
from laennec.patient import Patient
from laennec.processes import Lost, Ready, Workers, forks_safely
from laennec.progress import progress_bar
from laennec.terminal import is_unicode
from laennec.version import __version__

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


@dataclass(frozen=True)
class Job:
    """What is asked of every recording; `options` are those of :func:`laennec.analyze.analyze`."""

    model: LungModel | Detector
    options: Mapping[str, Any]
    out: Path | None
    formats: tuple[str, ...]
    as_json: bool

    @classmethod
    def prepare(
        cls,
        model: str | None,
        events: Path | None,
        metadata: Mapping[str, Any],
        out: Path | None,
        formats: tuple[str, ...],
        as_json: bool,
        any_sound: bool = False,
        calibration: Path | None = None,
        phases: bool | Path = False,
    ) -> "Job":
        """Check the patient, load the model that `analyze` would take, and make the folder, before the work.

        UsageError if age, sex or position cannot be.
        """
        try:
            Patient(**metadata)
        except LaennecError as error:
            raise UsageError(str(error)) from error
        loaded = model_for(model, clips=False, calibration=calibration)
        if out is not None:
            make_folder(out)
        options = {"events": events, **metadata, "any_sound": any_sound}
        if phases:
            options["phases"] = load_phase_model() if phases is True else phases
        return cls(loaded, options, out, formats, as_json)

    def ledger(self, names: Mapping[Path, str]) -> Ledger | None:
        """Return what of the folder is done by this release, model and options; None without a folder.

        UsageError if it holds results of other recordings under `names`.
        """
        if self.out is None:
            return None
        options = {"laennec": __version__, "model": self.model.sha256, **self.options}
        if isinstance(self.model, Detector) and self.model.calibration is not None:
            options["calibration"] = self.model.calibration.sha256
        if isinstance(phases := self.options.get("phases"), PhaseModel):
            options["phases"] = phases.sha256
        ledger = Ledger(self.out, options, _pipes(names))
        ledger.claim(names, self.formats)
        if ledger.remark:
            warn(ledger.remark)
        return ledger

    def analyze(self, path: Path, source: Path | bytes) -> tuple[Analysis, Recording | None]:
        """Analyse a recording, and return it for page and picture; of a long one, its beginning.

        `source` is its file, or what a pipe of this `path` held.
        """
        recording = Recording.open(source, called(path))
        analysis = analyze(recording, model=self.model, **self.options)
        shown = not WITH_SOUND.isdisjoint(self.formats)
        return analysis, recording.beginning(SHOWN_S) if shown else None

    def say(self, line: str) -> None:
        """Print a line where it does not end up in JSON."""
        print(printable(line), file=sys.stderr if self.as_json else sys.stdout)


def _pipes(names: Iterable[Path]) -> dict[Path, bytes]:
    """Return what pipes and standard input hold; of one that cannot be read, its analysis says why."""
    contents = {}
    for path in names:
        if str(path) == STANDARD_INPUT or path.is_fifo():
            with suppress(LaennecError):
                contents[path] = locate(path).content
    return contents


def warn(line: str) -> None:
    print(f"laennec: {printable(line)}", file=sys.stderr)


def analyze_one(path: Path, name: str, job: Job) -> int:
    """Analyse one recording, whose results are called `name`; what is wrong with it is raised.

    Returns 1 if its results are there and the state of the folder could not be written, else 0.
    """
    ledger = job.ledger({path: name})
    if ledger is not None:
        name = ledger.names[path]
    try:
        analysis, recording = job.analyze(path, ledger.pipes.get(path, path) if ledger else path)
        try:
            if ledger is not None:
                key = ledger.key(path)
                written = write_outputs(analysis, recording, ledger.out, name, job.formats)
                ledger.add(key, path, job.formats, written, summary(analysis, key))
        finally:
            if job.as_json:
                print(_json_text([to_json(analysis)]))
            else:
                _print_table(analysis)
    finally:
        if ledger is not None:
            ledger.close()
    return _where(job, ledger)


def analyze_many(recordings: Recordings, job: Job, again: bool, jobs: int = 1) -> int:
    """Analyse recordings, and show a row of each in order; only summaries are kept of them.

    With `again`, what was done before is analysed too. A folder that could not be read has a row as well.
    With several `jobs`, so many processes share the work; what comes of it is the same.
    Returns 1 if a recording or folder failed, or the folder's state cannot be written, else 0.
    """
    names = recordings.names
    lost = [
        Summary(printable(folder), error=f"cannot be read ({why})")
        for folder, why in recordings.unreadable.items()
    ]
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
        _print_table(rows)
    if recordings.passed_over:
        job.say(f"{counted_endings(recordings.passed_over)}; name a file to have it analysed")
    if recordings.linked:
        job.say(counted_links(recordings.linked))
    if done:
        job.say(f"{done} done before; --again analyses them anew")
    if others:
        job.say(f"{SUMMARY} has the rows of {counted(others, 'recording')} of earlier runs, too")
    failed = [row for row in rows if row.error]
    code = _where(job, ledger, any_result=len(failed) < len(rows) or others > 0)
    for row in failed if job.as_json else ():  # otherwise the table shows the reasons
        warn(f"{row.recording}: {row.error}")
    if lost:
        warn(f"{counted(len(lost), 'folder')} could not be read")
    if failed[len(lost) :]:
        warn(f"{len(failed) - len(lost)} of {len(names)} recordings failed")
    return 1 if failed else code


def _print_table(shown: Analysis | Sequence[Summary]) -> None:
    """Print a recording, or a row of each of several."""
    from laennec.console import terminal  # Rich is a tenth of a start, and JSON does without
    from laennec.output.text import print_summary, print_table

    if isinstance(shown, Analysis):
        print_table(shown, terminal())
    else:
        print_summary(shown, terminal())


def _where(job: Job, ledger: Ledger | None, any_result: bool = True) -> int:
    """Say where the results are, and what beside them could not be written; return the exit code."""
    if ledger is None:
        return 0
    if any_result or ledger.problem is None:  # at least the summary says what failed
        job.say(f"Results are in {ledger.out}")
    if ledger.problem is None:
        return 0
    known = "; the results are written, but the next run will not know of them" if any_result else ""
    warn(f"{ledger.problem}{known}")
    return 1


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


def _json_text(value: Any) -> str:
    # What the encoding lacks would be spelt as Python does, which is not always JSON.
    return json.dumps(value, indent=2, ensure_ascii=not is_unicode())


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
        text = _json_text(element).replace("\n", "\n  ")
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
