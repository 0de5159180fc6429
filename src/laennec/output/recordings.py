"""A recording analysed as a command asks: its results are written, then shown."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from laennec.analyze.analysis import Analysis
from laennec.analyze.described import analyze_described
from laennec.analyze.inputs import model_for
from laennec.annotations.described import described
from laennec.audio.recording import Recording
from laennec.audio.source import STANDARD_INPUT, locate
from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder, printable
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.output.files import WITH_SOUND, called, write_outputs
from laennec.output.formats import Summary, summary, to_json
from laennec.output.ledger import Ledger
from laennec.output.spectrogram import SHOWN_S
from laennec.patient import Patient
from laennec.terminal import is_unicode
from laennec.version import __version__


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
        loaded = model_for(model, clips=False, calibration=calibration)
        try:
            Patient(**metadata, positions=loaded.card.positions)
        except LaennecError as error:
            raise UsageError(str(error)) from error
        if out is not None:
            make_folder(out)
        options = {"events": events, **metadata, "any_sound": any_sound}
        if phases:
            options["phases"] = (
                import_module("laennec.model.phases").load_phase_model() if phases is True else phases
            )
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
        if (phases := self.options.get("phases")) and not isinstance(phases, Path):
            options["phases"] = phases.sha256
        ledger = Ledger(self.out, options, _pipes(names))
        ledger.claim(names, self.formats)
        if ledger.remark:
            warn(ledger.remark)
        return ledger

    def analyze(self, path: Path, source: Path | bytes) -> tuple[Analysis, Recording | None]:
        """Analyse a recording, and return it for page and picture; of a long one, its beginning.

        `source` is its file, or what a pipe of this `path` held. What its name tells of the patient is known
        where the options do not say it.
        """
        recording = Recording.open(source, called(path))
        known = described(Path(called(path)).stem).metadata
        analysis = analyze_described(recording, self.model, known, **self.options)
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
    """Print a line to stderr, as a message of the program."""
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
                print(json_text([to_json(analysis)]))
            else:
                show_table(analysis)
    finally:
        if ledger is not None:
            ledger.close()
    return say_where(job, ledger)


def show_table(shown: Analysis | Sequence[Summary]) -> None:
    """Print a recording, or a row of each of several."""
    from laennec.console import terminal  # Rich is a tenth of a start, and JSON does without
    from laennec.output.text import print_summary, print_table

    if isinstance(shown, Analysis):
        print_table(shown, terminal())
    else:
        print_summary(shown, terminal())


def say_where(job: Job, ledger: Ledger | None, any_result: bool = True) -> int:
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


def json_text(value: Any) -> str:
    """Return JSON to print."""
    # What the encoding lacks would be spelt as Python does, which is not always JSON.
    return json.dumps(value, indent=2, ensure_ascii=not is_unicode())
