"""What an analysis becomes on disk: tables, label files that other programs open, pages and pictures.

Label formats hold one channel and one class an event, and no doubt: an uncertain event is written with its
likeliest label, in Audacity with a question mark behind it. JSON and CSV hold everything.
"""

import csv
import hashlib
import io
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laennec.analysis import Analysis, Event, RecordAnswer
from laennec.errors import LaennecError, UsageError
from laennec.files import write_json, write_text
from laennec.labels import CHALLENGE_SPELLING, ICBHI_CYCLES, SPRSOUND_EVENTS
from laennec.labels import to_icbhi as icbhi_class

if TYPE_CHECKING:
    from laennec.audio import Recording

# Label files lie in a folder of their own, under the recording's name: that is where their programs look for
# them, and two formats share a suffix. SPRSound's folders of annotations end in "json".
FOLDERS = {"audacity": "audacity", "sprsound": "sprsound_json", "icbhi": "icbhi"}
SUFFIXES = {
    "json": ".json",
    "csv": ".csv",
    "audacity": ".txt",
    "sprsound": ".json",
    "icbhi": ".txt",
    "html": ".html",
    "png": ".png",
}
FORMATS = tuple(SUFFIXES)
WITH_SOUND = frozenset({"html", "png"})  # they need the recording itself
CHANNEL_PART = re.compile(r"\.ch\d+$", re.IGNORECASE)
PART = {"csv": re.compile(r"\.record$", re.IGNORECASE), **dict.fromkeys((*FOLDERS, "png"), CHANNEL_PART)}
RECORD_PART = ".record"  # of the second CSV's name
SUMMARY = "summary.csv"
LEDGER = ".laennec-analyze.json"
LEDGER_FORMAT = 1
SAVE_EVERY_S = 5.0  # the ledger; what an interruption costs at most, besides the recording at hand
SAVE_SHARE = 20  # of the time goes into saving, at most one part in so many
ICBHI_DIGITS, AUDACITY_DIGITS, CSV_DIGITS = 3, 6, 4
_SPELLINGS = {
    **{label.lower(): label for label in SPRSOUND_EVENTS},
    **{spelt.lower(): label for label, spelt in CHALLENGE_SPELLING.items()},
}


# --- one function a format ----------------------------------------------------------------------------------


def to_csv(analysis: Analysis) -> str:
    """Return the events as CSV, a row each.

    Columns: ``recording, channel`` (from 0)``, start_s, end_s, label, probability, uncertain`` (true or
    false)``, presence`` (empty where not told), then the probability of each class under its name.
    :func:`laennec.analyze.read_events` reads it.
    """
    header = ["recording", "channel", "start_s", "end_s", "label", "probability", "uncertain", "presence"]
    rows = (
        [
            analysis.name,
            event.channel,
            *(f"{value:.{CSV_DIGITS}f}" for value in _span(event, CSV_DIGITS)),
            event.label,
            _share(event.probability),
            _flag(event.uncertain),
            _share(event.presence),
            *(_share(event.probabilities[label]) for label in analysis.labels),
        ]
        for event in analysis.events
    )
    return _table([*header, *analysis.labels], rows)


def to_record_csv(analysis: Analysis) -> str:
    """Return the answers for the whole recording as CSV: a row for all channels together, then one a channel.

    Columns: ``recording, channel`` (``all``, or from 0)``, label, probability, uncertain, refused``
    (why)``, rate_per_min, rate_quality``, then the probability of each record label under its name. Empty is
    what is not told; a model that gives no answers leaves the header alone.
    """
    answers = [("all", analysis.record)] if analysis.record else []
    told = [*answers, *((str(record.channel), record) for record in analysis.channel_records)]
    labels = list(dict.fromkeys(label for _, record in told for label in record.probabilities))
    header = ["recording", "channel", "label", "probability", "uncertain", "refused"]
    rows = (
        [
            analysis.name,
            channel,
            record.label or "",
            _share(record.probability),
            _flag(record.uncertain),
            record.refused or "",
            *_rate_cells(record),
            *(_share(record.probabilities.get(label)) for label in labels),
        ]
        for channel, record in told
    )
    return _table([*header, "rate_per_min", "rate_quality", *labels], rows)


def to_audacity(analysis: Analysis, channel: int = 0) -> str:
    """Return one channel's events as an Audacity label track: start, end in seconds, label; tabs between.

    An uncertain event's label is followed by `` ?``, so that it is seen and not taken for a label.
    """
    lines = []
    for event in _of(analysis, channel):
        start_s, end_s = _span(event, AUDACITY_DIGITS)
        label = " ".join(event.label.split()) + (" ?" if event.uncertain else "")
        lines.append(f"{start_s:.{AUDACITY_DIGITS}f}\t{end_s:.{AUDACITY_DIGITS}f}\t{label}\n")
    return "".join(lines)


def to_sprsound(analysis: Analysis, channel: int = 0) -> dict[str, Any]:
    """Return one channel as an annotation of SPRSound, in JSON's types.

    ``record_annotation`` is left out where there is no answer, as in some files of SPRSound; then
    ``event_annotation``: start and end in whole milliseconds, as strings, and type.

    Raises
    ------
    LaennecError
        If an event's label is none of SPRSound's seven.
    """
    record = _answer_for(analysis, channel)
    annotation: dict[str, Any] = {}
    if record is not None and record.label is not None:
        annotation["record_annotation"] = record.label
    annotation["event_annotation"] = [
        {
            "start": f"{start_s * 1000:.0f}",
            "end": f"{end_s * 1000:.0f}",
            "type": _known(event.label, _SPELLINGS.get(event.label.lower()), "SPRSound", SPRSOUND_EVENTS),
        }
        for event in _of(analysis, channel)
        for start_s, end_s in [_span(event, 3)]
    ]
    return annotation


def to_icbhi(analysis: Analysis, channel: int = 0) -> str:
    """Return one channel's events as ICBHI 2017 has its cycles: start, end in seconds, crackles, wheezes.

    The last two are 0 or 1; rhonchi and stridor count as wheezes, see :func:`laennec.labels.to_icbhi`.
    Events are not cycles: what lies between two is in no line.

    Raises
    ------
    LaennecError
        If an event's label has no place in ICBHI's four classes.
    """
    lines = []
    for event in _of(analysis, channel):
        start_s, end_s = _span(event, ICBHI_DIGITS)
        cycle = _known(event.label, icbhi_class(event.label), "ICBHI", ICBHI_CYCLES)
        crackles, wheezes = int(cycle in ("crackle", "both")), int(cycle in ("wheeze", "both"))
        lines.append(f"{start_s:.{ICBHI_DIGITS}f}\t{end_s:.{ICBHI_DIGITS}f}\t{crackles}\t{wheezes}\n")
    return "".join(lines)


def _known(label: str, mapped: str | None, form: str, classes: Sequence[str]) -> str:
    if mapped is None:
        raise LaennecError(
            f"the label {label} has no place in {form}'s format, which has {', '.join(classes)}"
        )
    return mapped


def _of(analysis: Analysis, channel: int) -> Iterator[Event]:
    return (event for event in analysis.events if event.channel == channel)


def _answer_for(analysis: Analysis, channel: int) -> RecordAnswer | None:
    found = next((record for record in analysis.channel_records if record.channel == channel), None)
    return analysis.record if found is None and analysis.channels == 1 else found


def _span(event: Event, digits: int) -> tuple[float, float]:
    """Return start and end as written: rounding leaves no event without length, which no reader takes."""
    start_s, end_s = round(event.start_s, digits), round(event.end_s, digits)
    return start_s, (end_s if end_s > start_s else round(start_s + 10**-digits, digits))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _rate_cells(record: RecordAnswer) -> list[str]:
    if record.rate is None:
        return ["", ""]
    return ["" if record.rate.per_min is None else f"{record.rate.per_min:.1f}", record.rate.quality]


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


# --- files --------------------------------------------------------------------------------------------------


def planned(out: Path, name: str, form: str) -> Path:
    """Return where a format of a recording goes.

    Parameters
    ----------
    out : path
        Folder for all results.
    name : str
        The recording's path below it, without suffix.
    form : str
        One of `FORMATS`. Of several channels, label files and pictures have ``.ch0`` and so on before the
        suffix; the answers for the whole recording stand beside a CSV of events, in ``name.record.csv``.
    """
    return out / FOLDERS.get(form, "") / f"{name}{SUFFIXES[form]}"


def refuse_twice(out: Path, names: Mapping[Path, str], formats: Sequence[str]) -> None:
    """Refuse recordings of which two would write the same file.

    Capitals make no difference, since many file systems make none. How many channels a recording has is only
    known once it is read, so ``a.ch0.wav`` beside ``a.wav`` is refused as well.

    Parameters
    ----------
    out : path
    names : mapping of path to str
        Each recording's name, as for :func:`planned`.
    formats : sequence of str

    Raises
    ------
    UsageError
        It names both and the file.
    """
    taken: dict[str, Path] = {}
    claims = [(source, form, planned(out, name, form)) for source, name in names.items() for form in formats]
    for source, _, path in claims:
        if str(path).lower() == str(out / SUMMARY).lower():
            raise UsageError(f"{source} would write {path}, where the summary of all goes; rename it")
        other = taken.setdefault(str(path).lower(), source)
        if other != source:
            raise UsageError(f"{other} and {source} would both write {path}; analyse them into two folders")
    for source, form, path in claims:
        whole = PART[form].sub("", path.stem) if form in PART else path.stem
        other = taken.get(str(path.with_name(whole + path.suffix)).lower(), source)
        if other != source:
            raise UsageError(f"{other} and {source} might both write {path}; analyse them into two folders")


def write_outputs(
    analysis: Analysis, recording: "Recording | None", out: Path, name: str, formats: Sequence[str]
) -> list[Path]:
    """Write an analysis in each format, and return the files.

    Parameters
    ----------
    analysis : Analysis
    recording : Recording or None
        What was analysed, or its beginning, which page and picture then show; None where neither is wanted.
    out, name, formats
        As for :func:`planned`.

    Raises
    ------
    LaennecError
        If a file cannot be written, or a label has no place in a format.
    """
    written = []
    for form in formats:
        path = planned(out, name, form)
        if form in WITH_SOUND:
            assert recording is not None
            written += _write_shown(form, beginning(analysis, recording.duration_s), recording, path)
        elif form == "json":
            from laennec.report import write_json as write_analysis

            write_analysis(analysis, path)
            written.append(path)
        elif form == "csv":
            second = path.with_name(f"{path.stem}{RECORD_PART}.csv")
            write_text(path, to_csv(analysis))
            write_text(second, to_record_csv(analysis))
            written += [path, second]
        else:
            for channel, part in _parts(path, analysis.channels):
                write_text(part, _labels_text(form, analysis, channel))
                written.append(part)
    return written


def _labels_text(form: str, analysis: Analysis, channel: int) -> str:
    if form == "sprsound":
        return json.dumps(to_sprsound(analysis, channel), indent=2, ensure_ascii=False) + "\n"
    return to_audacity(analysis, channel) if form == "audacity" else to_icbhi(analysis, channel)


def _write_shown(form: str, analysis: Analysis, recording: "Recording", path: Path) -> list[Path]:
    if form == "html":
        from laennec.web.report import write_report

        write_report(analysis, recording, path)
        return [path]
    from laennec.report import draw

    parts = list(_parts(path, recording.channels))
    for channel, part in parts:
        draw(analysis, recording, part, channel=channel)
    return [part for _, part in parts]


def _parts(path: Path, channels: int) -> Iterator[tuple[int, Path]]:
    """Yield each channel with its file: the path itself where there is only one."""
    for channel in range(channels):
        yield channel, path if channels == 1 else path.with_name(f"{path.stem}.ch{channel}{path.suffix}")


def beginning(analysis: Analysis, duration_s: float) -> Analysis:
    """Return what an analysis says of the first `duration_s` seconds; itself where there is no more.

    Answers for the whole recording stay, and a note says how long it is.
    """
    if analysis.duration_s <= duration_s + 0.01:
        return analysis
    note = (
        f"shown are the first {duration_s:.0f} s of {analysis.duration_s:.0f} s; the answer is for all of it"
    )
    events = (
        replace(event, end_s=min(event.end_s, duration_s))
        for event in analysis.events
        if event.start_s < duration_s
    )
    return replace(analysis, duration_s=duration_s, events=tuple(events), notes=(note, *analysis.notes))


# --- many recordings ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """What is kept of a recording among many.

    Attributes
    ----------
    recording : str
        Its name: the path below the folder that was given.
    label : str or None
    probability : float or None
    uncertain : bool
    refused : str or None
    rate_per_min : float or None
    rate_quality : str
        Of the answer for the whole recording, where there is one.
    duration_s : float or None
    events : mapping of str to int
        Number of events of each class of the model.
    normal : str
        The class of normal breathing.
    quality : tuple of str
        Kinds of what is wrong with the recording.
    error : str or None
        Why it could not be analysed, or its results not be written.
    """

    recording: str
    label: str | None = None
    probability: float | None = None
    uncertain: bool = False
    refused: str | None = None
    rate_per_min: float | None = None
    rate_quality: str = ""
    duration_s: float | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    normal: str = ""
    quality: tuple[str, ...] = ()
    error: str | None = None


def summary(analysis: Analysis, recording: str) -> Summary:
    """Return what is kept of an analysis among many."""
    record = analysis.record or RecordAnswer(None, None, {})
    rate = record.rate
    return Summary(
        recording=recording,
        label=record.label,
        probability=record.probability,
        uncertain=record.uncertain,
        refused=record.refused,
        rate_per_min=rate.per_min if rate else None,
        rate_quality=rate.quality if rate else "",
        duration_s=analysis.duration_s,
        events={label: sum(e.label == label for e in analysis.events) for label in analysis.labels},
        normal=analysis.normal,
        quality=tuple(dict.fromkeys(finding.kind for finding in analysis.quality)),
    )


def to_summary_csv(summaries: Sequence[Summary]) -> str:
    """Return a row a recording as CSV.

    Columns: ``recording, label, probability, uncertain, refused, rate_per_min, rate_quality, duration_s``,
    the number of events of each class under its name, ``quality`` (kinds, with a semicolon between) and
    ``error``.
    """
    labels = list(dict.fromkeys(label for row in summaries for label in row.events))
    header = ["recording", "label", "probability", "uncertain", "refused", "rate_per_min", "rate_quality"]
    rows = (
        [
            row.recording,
            row.label or "",
            _share(row.probability),
            "" if row.error else _flag(row.uncertain),
            row.refused or "",
            "" if row.rate_per_min is None else f"{row.rate_per_min:.1f}",
            row.rate_quality,
            "" if row.duration_s is None else f"{row.duration_s:.3f}",
            *(row.events.get(label, "") for label in labels),
            "; ".join(row.quality),
            row.error or "",
        ]
        for row in summaries
    )
    return _table([*header, "duration_s", *labels, "quality", "error"], rows)


class Ledger:
    """What of a folder of results is done, by which model and options, from which files.

    Parameters
    ----------
    out : path
        The folder of results; a ledger there that cannot be read counts as none.
    options : mapping
        Whatever the results depend on, in JSON's types; another value makes them out of date.
    """

    def __init__(self, out: Path, options: Mapping[str, Any]) -> None:
        self.path = out / LEDGER
        told = json.dumps(options, sort_keys=True).encode()
        self._options = hashlib.sha256(told).hexdigest()
        self._files = _read_ledger(self.path)
        self._due = time.monotonic() + SAVE_EVERY_S
        self._changed = False

    def done(self, key: str, source: Path, formats: Sequence[str]) -> Summary | None:
        """Return the summary of a recording whose results are there and up to date, else None."""
        try:
            entry = self._files[key]
            wanted = set(formats) <= set(entry["formats"]) and entry["options"] == self._options
            there = all((self.path.parent / name).is_file() for name in entry["outputs"])
            if wanted and there and _same_file(entry, source):
                told = dict(entry["summary"])
                return Summary(**told | {"quality": tuple(told["quality"])})
        except (KeyError, TypeError, OSError):
            pass  # not there, of another release, or the recording is gone: it is analysed as any other
        return None

    def add(
        self, key: str, source: Path, formats: Sequence[str], outputs: Iterable[Path], told: Summary
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
            "outputs": [path.relative_to(self.path.parent).as_posix() for path in outputs],
            "summary": asdict(told),
        }
        self._changed = True
        if time.monotonic() >= self._due:
            self.save()

    def save(self) -> None:
        """Write it, whole or not at all, if there is anything new in it."""
        if not self._changed:
            return
        began = time.monotonic()
        write_json(self.path, {"format": LEDGER_FORMAT, "files": self._files})
        self._changed = False
        ended = time.monotonic()
        self._due = ended + max(SAVE_EVERY_S, SAVE_SHARE * (ended - began))


def _read_ledger(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    known = isinstance(told, dict) and told.get("format") == LEDGER_FORMAT
    return told["files"] if known and isinstance(told.get("files"), dict) else {}


def _same_file(entry: Mapping[str, Any], source: Path) -> bool:
    """Whether a recording is the one of before: untouched where it was, or with the same content."""
    stat = source.stat()
    if stat.st_size != entry["size"]:
        return False
    untouched = entry["path"] == printable(os.path.abspath(source)) and entry["mtime_ns"] == stat.st_mtime_ns
    return untouched or _sha256(source) == entry["sha256"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(path: str) -> str:
    """Return a path as text that can be written; bytes that are no UTF-8 are spelt out."""
    return path.encode("utf-8", "backslashreplace").decode()
