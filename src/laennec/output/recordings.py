"""Recordings analysed one after the other: each is shown and written at once, what is done is left alone."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis
from laennec.audio.recording import Recording
from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder, write_json, write_text
from laennec.model.card import RECORDING
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.load import DEFAULT, load_model
from laennec.output.files import SUMMARY, WITH_SOUND, planned, write_outputs
from laennec.output.formats import Summary, summary, to_json, to_summary_csv
from laennec.output.spectrogram import SHOWN_S
from laennec.output.text import print_summary, print_table
from laennec.patient import Patient
from laennec.progress import progress_bar
from laennec.version import __version__

Show = Callable[[Mapping[str, Any]], None]
LEDGER = ".laennec-analyze.json"
LEDGER_FORMAT = 1
SAVE_EVERY_S = 5.0  # the ledger; what an interruption costs at most, besides the recording at hand
SAVE_SHARE = 20  # of the time goes into saving, at most one part in so many


# --- what is done already -----------------------------------------------------------------------------------


class Ledger:
    """What of a folder of results is done, by which model and options, from which files.

    A ledger that cannot be read counts as none. Results depend on the options, in JSON's types: other ones
    make them out of date.
    """

    def __init__(self, out: Path, options: Mapping[str, Any]) -> None:
        self.out, self.path = out, out / LEDGER
        self._options = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()
        self._files = _read_ledger(self.path)
        self._due = time.monotonic() + SAVE_EVERY_S
        self._changed = False

    def done(self, key: str, source: Path, formats: Sequence[str]) -> Summary | None:
        """Return the summary of a recording whose results are there and up to date, else None."""
        try:
            entry = self._files[key]
            wanted = set(formats) <= set(entry["formats"]) and entry["options"] == self._options
            there = all((self.out / name).is_file() for name in entry["outputs"])
            if wanted and there and _same_file(entry, source):
                row = entry["summary"]
                return Summary(**{**row, "quality": tuple(row["quality"])})
        except (KeyError, TypeError, OSError):
            pass  # not there, of another release, or the recording is gone: it is analysed as any other
        return None

    def add(
        self, key: str, source: Path, formats: Sequence[str], outputs: Iterable[Path], row: Summary
    ) -> None:
        """Keep what was done; it is written every few seconds."""
        stat = source.stat()
        self._files[key] = {
            "path": printable(os.path.abspath(source)),
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "sha256": _sha256(source),
            "options": self._options,
            "formats": list(formats),
            "outputs": [path.relative_to(self.out).as_posix() for path in outputs],
            "summary": asdict(row),
        }
        self._changed = True
        if time.monotonic() >= self._due:
            self.save()

    def save(self) -> None:
        """Write it, if there is anything new in it."""
        if not self._changed:
            return
        began = time.monotonic()
        write_json(self.path, {"format": LEDGER_FORMAT, "files": self._files})
        self._changed = False
        ended = time.monotonic()
        self._due = ended + max(SAVE_EVERY_S, SAVE_SHARE * (ended - began))


def _read_ledger(path: Path) -> dict[str, Any]:
    try:
        ledger = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    known = isinstance(ledger, dict) and ledger.get("format") == LEDGER_FORMAT
    return ledger["files"] if known and isinstance(ledger.get("files"), dict) else {}


def _same_file(entry: Mapping[str, Any], source: Path) -> bool:
    """Whether a recording is the one of before: untouched where it was, or with the same content."""
    stat = source.stat()
    if stat.st_size != entry["size"]:
        return False
    untouched = entry["path"] == printable(os.path.abspath(source)) and entry["mtime_ns"] == stat.st_mtime_ns
    return bool(untouched or _sha256(source) == entry["sha256"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(path: str) -> str:
    """Return a path as text that can be written; bytes that are no UTF-8 are spelt out."""
    return path.encode("utf-8", "backslashreplace").decode()


# --- recordings ---------------------------------------------------------------------------------------------


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
    ) -> "Job":
        """Check the patient, load the model that `analyze` would take, and make the folder, before the work.

        UsageError if age, sex or position cannot be.
        """
        try:
            Patient(**metadata)
        except LaennecError as error:
            raise UsageError(str(error)) from error
        loaded = load_model(model or (RECORDING if events is None else DEFAULT))
        if out is not None:
            make_folder(out)
        return cls(loaded, {"events": events, **metadata}, out, formats, as_json)

    def ledger(self) -> Ledger | None:
        """Return what of the folder is done by this release, model and options; None without a folder."""
        depends_on = {"laennec": __version__, "model": self.model.sha256, **self.options}
        return None if self.out is None else Ledger(self.out, depends_on)

    def analyze(self, path: Path) -> tuple[Analysis, Recording | None]:
        """Analyse a recording, and return it for page and picture; of a long one, its beginning."""
        recording = Recording.open(path)
        analysis = analyze(recording, model=self.model, **self.options)
        shown = not WITH_SOUND.isdisjoint(self.formats)
        return analysis, recording.beginning(SHOWN_S) if shown else None

    def say(self, line: str) -> None:
        """Print a line where it does not end up in JSON."""
        print(line, file=sys.stderr if self.as_json else sys.stdout)


def analyze_one(path: Path, name: str, job: Job) -> int:
    """Analyse one recording, whose results are called `name`; what is wrong with it is raised."""
    analysis, recording = job.analyze(path)
    if job.as_json:
        print(json.dumps([to_json(analysis)], indent=2, ensure_ascii=False))
    else:
        print_table(analysis, Console())
    if job.out is not None:
        write_outputs(analysis, recording, job.out, name, job.formats)
        job.say(f"Results are in {job.out}")
    return 0


def analyze_many(names: Mapping[Path, str], job: Job, again: bool) -> int:
    """Analyse recordings one after the other, and show a row of each; only summaries are kept of them.

    `names` are what each recording's results are called. With `again`, what was done before is analysed too.
    Returns 1 if a recording failed, else 0.
    """
    ledger = job.ledger()
    done, rows = 0, []
    try:
        with _json_array(job.as_json) as show, progress_bar("analysing") as advance:
            advance(0, len(names))
            for path, name in names.items():
                row = None if again else _done_before(path, name, job, ledger, show)
                done += row is not None
                rows.append(row or _summarised(path, name, job, ledger, show))
                advance(len(rows), len(names))
    finally:  # what was done is not lost to an interruption
        if ledger is not None:
            ledger.save()
            write_text(ledger.out / SUMMARY, to_summary_csv(rows))
    if not job.as_json:
        print_summary(rows, Console())
    if done:
        job.say(f"{done} done before; --again analyses them anew")
    if job.out is not None:
        job.say(f"Results are in {job.out}")
    failed = [row for row in rows if row.error]
    for row in failed if job.as_json else ():  # otherwise the table shows the reasons
        print(f"laennec: {row.recording}: {row.error}", file=sys.stderr)
    if failed:
        print(f"laennec: {len(failed)} of {len(rows)} recordings failed", file=sys.stderr)
    return 1 if failed else 0


def _summarised(path: Path, name: str, job: Job, ledger: Ledger | None, show: Show) -> Summary:
    """Analyse one recording of many, and return what is kept of it; what is wrong with it is in there."""
    shown = printable(f"{name}{path.suffix}")
    try:
        analysis, recording = job.analyze(path)
        show(to_json(analysis))
        row = summary(analysis, shown)
        if ledger is not None:
            written = write_outputs(analysis, recording, ledger.out, name, job.formats)
            ledger.add(shown, path, job.formats, written, row)
        return row
    except LaennecError as error:
        return Summary(shown, error=str(error).removeprefix(f"{path.name}: "))
    except Exception as error:  # a mistake of ours with one recording must not cost all the others
        hint = "(an error in Laennec; with this file alone, --debug shows where)"
        return Summary(shown, error=f"{type(error).__name__}: {error} {hint}")


def _done_before(path: Path, name: str, job: Job, ledger: Ledger | None, show: Show) -> Summary | None:
    """Return what an earlier run wrote, and show its JSON; None where that is not there or out of date."""
    if ledger is None or (job.as_json and "json" not in job.formats):
        return None
    row = ledger.done(printable(f"{name}{path.suffix}"), path, job.formats)
    if row is not None and job.as_json:
        try:
            show(json.loads(planned(ledger.out, name, "json").read_bytes()))
        except (OSError, ValueError):
            return None
    return row


@contextmanager
def _json_array(as_json: bool) -> Iterator[Show]:
    """Print JSON objects as elements of one array, each as it comes; nothing where no JSON is asked for."""
    if not as_json:
        yield lambda _: None
        return
    between = "[\n  "

    def show(element: Mapping[str, Any]) -> None:
        nonlocal between
        text = json.dumps(element, indent=2, ensure_ascii=False)
        print(between + text.replace("\n", "\n  "), end="", flush=True)
        between = ",\n  "

    try:
        yield show
    finally:
        print("[]" if between.startswith("[") else "\n]")
