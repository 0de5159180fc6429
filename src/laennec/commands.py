"""What the commands of the base install do: ``analyze``, ``simulate`` and ``challenge``."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder
from laennec.version import __version__

if TYPE_CHECKING:
    from laennec.analyze.analysis import Analysis
    from laennec.audio.recording import Recording
    from laennec.output.batch import Ledger
    from laennec.output.summary import Summary

Show = Callable[[Mapping[str, Any]], None]

DEFAULT_FORMATS = "json,html"


# --- analyze ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What is asked of every recording.

    Attributes
    ----------
    model : Detector or LungModel
    told : mapping
        Further arguments of :func:`laennec.analyze.analyze`.
    out : path or None
        Folder for the results.
    formats : tuple of str
        Of the results, as in :mod:`laennec.output.files`.
    as_json : bool
        Print JSON instead of tables.
    """

    model: Any
    told: Mapping[str, Any]
    out: Path | None
    formats: tuple[str, ...]
    as_json: bool


def analyze_files(
    files: Sequence[Path],
    *,
    events: Path | None = None,
    model: str | None = None,
    age: float | None = None,
    sex: str | None = None,
    position: str | None = None,
    out: Path | None = None,
    formats: str | None = None,
    as_json: bool = False,
    again: bool = False,
) -> int:
    """Analyse recordings, and folders of them; a bad one is reported and the others go on.

    Parameters
    ----------
    files : sequence of path
        Recordings, and folders that are searched for them.
    events : path, optional
        Boundaries, with one recording.
    model : str, optional
        As for :func:`laennec.analyze.analyze`.
    age, sex, position
        Of the patient.
    out : path, optional
        Folder for the results.
    formats : str, optional
        Names from :data:`laennec.output.files.FORMATS`, commas between.
    as_json : bool
        Print JSON instead of tables.
    again : bool
        Analyse what was done before, too.

    Returns
    -------
    int
        The exit code: 1 if a recording failed.

    Raises
    ------
    UsageError, LaennecError
        Before any work: what is asked makes no sense, or the model or the folder cannot be used.
    """
    from laennec.output.files import refuse_twice

    chosen = parse_formats(formats, out)
    _check_patient(age, sex, position)
    several = len(files) > 1 or any(path.is_dir() for path in files)
    if events is not None and several:
        raise UsageError("--events belongs to one recording; name one file")
    found = find_recordings(files)
    if out is not None and several:
        refuse_twice(out, found, chosen)
    job = Job(
        _load(model, given=events is not None),
        {"events": events, "age_years": age, "sex": sex, "position": position},
        out,
        chosen,
        as_json,
    )
    if out is not None:
        make_folder(out)  # before the work, not after it
    return _analyze_many(found, job, again) if several else _analyze_one(*next(iter(found.items())), job)


def parse_formats(told: str | None, out: Path | None) -> tuple[str, ...]:
    """Return the formats that a list with commas names, each once.

    Raises
    ------
    UsageError
        If one is unknown, or there is no folder to write into.
    LaennecError
        If Matplotlib, which draws pictures, is not installed.
    """
    from importlib.util import find_spec

    from laennec.output.files import FORMATS

    if out is None:
        if told is not None:
            raise UsageError("--format needs --out, the folder to write into")
        return ()
    words = [word.strip().lower() for word in (told or DEFAULT_FORMATS).split(",") if word.strip()]
    unknown = [word for word in words if word not in FORMATS]
    if unknown or not words:
        raise UsageError(f"--format {told}: expected some of {','.join(FORMATS)}, with commas between")
    if "png" in words and find_spec("matplotlib") is None:
        raise LaennecError('drawing needs Matplotlib: pip install "laennec[web]"')
    return tuple(dict.fromkeys(words))


def find_recordings(files: Sequence[Path]) -> dict[Path, str]:
    """Return the recordings named or found in folders, each with the name of its results.

    Folders are searched with all that lies below them for files called audio; hidden ones are passed over.
    The name is the path below the folder, or that of a file alone, without suffix.

    Raises
    ------
    UsageError
        If nothing is named.
    LaennecError
        If a folder holds no audio or cannot be read.
    """
    if not files:
        raise UsageError("name at least one recording or folder; see --help")
    found: dict[str, tuple[Path, str]] = {}
    for given in files:
        for path in _search(given) if given.is_dir() else [given]:
            name = path.relative_to(given) if given.is_dir() else Path(path.name)
            found.setdefault(os.path.abspath(path), (path, str(name.with_name(name.stem))))
    return dict(found.values())


def _search(folder: Path) -> Iterator[Path]:
    from laennec.audio.suffixes import AUDIO_SUFFIXES

    def refuse(error: OSError) -> None:
        raise LaennecError(f"{error.filename}: cannot be read ({error.strerror})") from error

    count = 0
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            # macOS leaves a hidden ._a.wav beside a.wav on foreign disks; it holds no sound.
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                count += 1
                yield Path(place, name)
    if not count:
        raise LaennecError(f"{folder}: no audio file in it or below it ({', '.join(AUDIO_SUFFIXES)})")


def _check_patient(age: float | None, sex: str | None, position: str | None) -> None:
    from laennec.patient import Patient

    try:
        Patient(age, sex, position)
    except LaennecError as error:
        raise UsageError(str(error)) from error


def _load(model: str | None, given: bool) -> Any:
    """Return the model that `analyze` would take, loaded once for all recordings."""
    from laennec.model.card import RECORDING
    from laennec.model.load import DEFAULT, load_model

    return load_model(model or (DEFAULT if given else RECORDING))


def _analyze_one(path: Path, name: str, job: Job) -> int:
    """Analyse one recording; what is wrong with it is raised."""
    from laennec.output.json import to_json
    from laennec.output.text import print_table

    analysis, recording = _analysis(path, job)
    if job.as_json:
        print(json.dumps([to_json(analysis)], indent=2, ensure_ascii=False))
    else:
        print_table(analysis, Console())
    if job.out is not None:
        from laennec.output.files import write_outputs

        write_outputs(analysis, recording, job.out, name, job.formats)
        _say(f"Results are in {job.out}", job)
    return 0


def _analyze_many(found: Mapping[Path, str], job: Job, again: bool) -> int:
    """Analyse recordings one after the other, and show a row of each; only summaries are kept of them."""
    from laennec.files import write_text
    from laennec.output.batch import Ledger
    from laennec.output.csv import to_summary_csv
    from laennec.output.files import SUMMARY
    from laennec.output.text import print_summary

    ledger = None if job.out is None else Ledger(job.out, _options(job))
    done, rows = 0, []
    try:
        with _array(job.as_json) as show, _progress() as progress:
            bar = progress.add_task("analysing", total=len(found))
            for path, name in found.items():
                row = None if again or ledger is None else _done_before(path, name, job, ledger, show)
                done += row is not None
                rows.append(row or _summarised(path, name, job, ledger, show))
                progress.advance(bar)
    finally:  # what was done is not lost to an interruption
        if ledger is not None and job.out is not None:
            ledger.save()
            write_text(job.out / SUMMARY, to_summary_csv(rows))
    failed = [row for row in rows if row.error]
    if not job.as_json:
        print_summary(rows, Console())
    if done:
        _say(f"{done} done before; --again analyses them anew", job)
    if job.out is not None:
        _say(f"Results are in {job.out}", job)
    if failed:
        for row in failed if job.as_json else ():  # the table has said it
            print(f"laennec: {row.recording}: {row.error}", file=sys.stderr)
        print(f"laennec: {len(failed)} of {len(rows)} recordings failed", file=sys.stderr)
    return 1 if failed else 0


def _summarised(path: Path, name: str, job: Job, ledger: "Ledger | None", show: Show) -> "Summary":
    """Analyse one recording of many, and return what is kept of it; what is wrong with it is in there."""
    from laennec.output.batch import printable
    from laennec.output.files import write_outputs
    from laennec.output.json import to_json
    from laennec.output.summary import Summary, summary

    shown = printable(f"{name}{path.suffix}")
    try:
        analysis, recording = _analysis(path, job)
        show(to_json(analysis))
        row = summary(analysis, shown)
        if ledger is not None and job.out is not None:
            written = write_outputs(analysis, recording, job.out, name, job.formats)
            ledger.add(shown, path, job.formats, written, row)
    except LaennecError as error:
        return Summary(shown, error=str(error).removeprefix(f"{path.name}: "))
    except Exception as error:  # a mistake of ours with one recording must not cost all the others
        what = f"{type(error).__name__}: {error}"
        return Summary(
            shown, error=f"{what} (an error in Laennec; with this file alone, --debug shows where)"
        )
    return row


def _analysis(path: Path, job: Job) -> "tuple[Analysis, Recording | None]":
    """Analyse a recording, and return it for page and picture; of a long one, its beginning."""
    from laennec.analyze import analyze
    from laennec.audio.recording import Recording
    from laennec.audio.stream import is_long
    from laennec.output.files import WITH_SOUND
    from laennec.output.spectrogram import SHOWN_S

    if not is_long(path):
        recording = Recording.read(path)
        return analyze(recording, model=job.model, **job.told), recording
    analysis = analyze(path, model=job.model, **job.told)
    shown = not WITH_SOUND.isdisjoint(job.formats)
    return analysis, Recording.read(path, first_s=SHOWN_S) if shown else None


def _done_before(path: Path, name: str, job: Job, ledger: "Ledger", show: Show) -> "Summary | None":
    """Return what an earlier run found, and show its JSON; None where that is not there or out of date."""
    from laennec.output.batch import printable
    from laennec.output.files import planned

    if job.out is None or (job.as_json and "json" not in job.formats):
        return None
    row = ledger.done(printable(f"{name}{path.suffix}"), path, job.formats)
    if row is not None and job.as_json:
        try:
            show(json.loads(planned(job.out, name, "json").read_bytes()))
        except (OSError, ValueError):
            return None
    return row


def _options(job: Job) -> dict[str, Any]:
    """Return what the results depend on besides the recordings."""
    return {"laennec": __version__, "model": job.model.sha256, **job.told}


@contextmanager
def _array(as_json: bool) -> Iterator[Show]:
    """Print JSON objects as elements of one array, each as it comes; nothing where no JSON is asked for."""
    if not as_json:
        yield lambda _: None
        return
    between = "[\n  "

    def show(told: Mapping[str, Any]) -> None:
        nonlocal between
        element = json.dumps(told, indent=2, ensure_ascii=False)
        print(between + element.replace("\n", "\n  "), end="", flush=True)
        between = ",\n  "

    try:
        yield show
    finally:
        print("[]" if between.startswith("[") else "\n]")


def _say(line: str, job: Job) -> None:
    """Print a line where it does not end up in JSON."""
    print(line, file=sys.stderr if job.as_json else sys.stdout)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar on stderr where that is a terminal; stdout is left alone."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    shown = console.is_terminal
    progress = Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=not shown)
    # Before version 15, Rich ends a bar that is not shown by an empty line.
    with progress if shown else nullcontext():
        yield progress


# --- simulate, challenge ------------------------------------------------------------------------------------


def simulate_folder(
    out: Path, layout: str, subjects: Sequence[str], recordings: int | None, seed: int
) -> int:
    """Write simulated recordings in a data set's layout, a cohort, or the two of the demonstration."""
    from laennec.simulate import simulate_cohort, simulate_dataset, write_demo

    if layout == "demo":
        paths = write_demo(out, seed=seed)
    else:
        counts = count_subjects(subjects, layout)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("simulating")

            def show(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total)

            if layout == "multichannel":
                each = dict.fromkeys(counts, recordings) if recordings else None
                paths = simulate_cohort(out, subjects=counts, recordings=each, seed=seed, progress=show)
            else:
                paths = simulate_dataset(
                    out,
                    subjects=counts["all"],
                    seed=seed,
                    layout=layout,
                    recordings_per_subject=4 if recordings is None else recordings,
                    progress=show,
                )
    print(f"{len(paths)} simulated recordings are in {out}")
    return 0


def count_subjects(told: Sequence[str], layout: str) -> dict[str, int]:
    """``12``, or ``16 healthy 7 ipf`` for a cohort; what is usual where nothing is told.

    Raises
    ------
    UsageError
        If it is neither.
    """
    words = [word for part in told for word in part.split()]
    try:
        if layout != "multichannel":
            (count,) = words or ["12"]
            return {"all": int(count)}
        words = words or ["16", "healthy", "7", "ipf"]
        counts = {group.lower(): int(count) for count, group in zip(words[::2], words[1::2], strict=True)}
        if not set(counts) <= {"healthy", "ipf"} or 2 * len(counts) != len(words):
            raise ValueError
    except ValueError:
        wanted = "16 healthy 7 ipf" if layout == "multichannel" else "a number"
        raise UsageError(f"--subjects {' '.join(words)}: expected {wanted} with --layout {layout}") from None
    return counts


def answer_challenge(task: int, wav: Path, out: Path, model: str | None = None) -> int:
    """Answer a task of the BioCAS challenge for a folder of events, or of whole recordings."""
    from laennec.challenge import run

    run(task, wav, out, model, progress=sys.stderr.isatty())
    return 0
