"""Which files an analysis becomes, and writing them."""

import importlib.util
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from laennec.analyze.analysis import Analysis
from laennec.audio.folder import Found, audio_files, counted_endings, counted_links
from laennec.audio.recording import Recording
from laennec.audio.source import STANDARD_INPUT
from laennec.errors import LaennecError, UsageError, without_name
from laennec.files import write_json, write_text
from laennec.output.formats import to_audacity, to_csv, to_icbhi, to_json, to_record_csv, to_sprsound

# Label files lie in a folder of their own, under the recording's name: that is where their programs look for
# them, and two formats share a suffix. SPRSound's folders of annotations end in "json".
FOLDERS = {
    "audacity": "audacity",
    "sprsound": "sprsound_json",
    "icbhi": "icbhi",
    "fhir": "fhir",
    "fhir-r5": "fhir_r5",
}
SUFFIXES = {
    "json": ".json",
    "csv": ".csv",
    "audacity": ".txt",
    "sprsound": ".json",
    "icbhi": ".txt",
    "fhir": ".json",
    "fhir-r5": ".json",
    "html": ".html",
    "png": ".png",
}
FORMATS = tuple(SUFFIXES)
DEFAULT_FORMATS = "json,html"
WITH_SOUND = frozenset({"html", "png"})  # they need the recording itself
CHANNEL_PART = re.compile(r"\.ch\d+$", re.IGNORECASE)
PER_CHANNEL = ("audacity", "sprsound", "icbhi")  # a file for each channel
PART = {"csv": re.compile(r"\.record$", re.IGNORECASE), **dict.fromkeys((*PER_CHANNEL, "png"), CHANNEL_PART)}
RECORD_PART = ".record"  # of the second CSV's name
ANY_PART = re.compile(r"\.(ch\d+|record)$", re.IGNORECASE)
MOST_CHANNELS = ".ch63"
LONGEST_NAME = 255  # bytes, of nearly all file systems
SUMMARY = "summary.csv"
SUMMARY_STEM = SUMMARY.removesuffix(".csv")


def parse_formats(listed: str | None, out: Path | None) -> tuple[str, ...]:
    """Return the formats that a list with commas names, each once.

    UsageError if one is unknown, or there is no folder to write into; LaennecError if pictures are wanted and
    Matplotlib is not installed.
    """
    if out is None:
        if listed is not None:
            raise UsageError("--format needs --out, the folder to write into")
        return ()
    words = [word.strip().lower() for word in (listed or DEFAULT_FORMATS).split(",") if word.strip()]
    unknown = [word for word in words if word not in FORMATS]
    if unknown or not words:
        raise UsageError(f"--format {listed}: expected some of {','.join(FORMATS)}, with commas between")
    if "png" in words and importlib.util.find_spec("matplotlib") is None:
        raise LaennecError('drawing needs Matplotlib: pip install "laennec[web]"')
    return tuple(dict.fromkeys(words))


class Recordings(NamedTuple):
    """Recordings to analyse, each with the name of its results, and what of the folders is none."""

    names: dict[Path, str]
    lost: dict[str, str]
    """Folders of which nothing is analysed, and why: they cannot be read, or hold no recording."""
    passed_over: Counter[str]
    linked: list[Path]

    def left_out(self, done: str) -> list[str]:
        """Sentences for the files of folders that are no recordings, and for links to what is `done`."""
        lines = [f"{counted_endings(self.passed_over)}; name a file to have it {done}"]
        return [*(lines if self.passed_over else ()), *([counted_links(self.linked)] if self.linked else ())]


def find_recordings(files: Sequence[Path], formats: Sequence[str] = ()) -> Recordings:
    """Return the recordings named or found in folders, each with the name of its results in `formats`.

    The name is the path below the folder, or that of a file alone, without suffix, unless another recording
    differs from it in the suffix alone. One too long for a file of these formats ends in a checksum.
    UsageError if nothing is named; LaennecError if the only folder named holds no audio or cannot be read.
    """
    if not files:
        raise UsageError("name at least one recording or folder; see --help")
    names: dict[str, tuple[Path, str]] = {}
    lost: dict[str, str] = {}
    passed_over: Counter[str] = Counter()
    linked: list[Path] = []
    for given in files:
        try:
            found = audio_files(given) if given.is_dir() else Found([given], {}, Counter(), [])
        except LaennecError as error:  # one of several stops none of the others
            if len(files) == 1:
                raise
            lost[os.path.join(given, "")] = without_name(error, given)
            continue
        for place, why in found.unreadable.items():
            name = os.path.join(place.relative_to(given), "")
            lost[os.path.join(place, "") if name in lost else name] = f"cannot be read ({why})"
        passed_over += found.passed_over
        linked += found.linked
        for path in found.paths:
            below = path.relative_to(given) if given.is_dir() else Path(called(path))
            whole = os.path.realpath(path.parent) + os.sep + path.name
            names.setdefault(whole, (path, str(below.with_name(below.stem))))
    told = {path: _short(name, formats) for path, name in _told_apart(dict(names.values())).items()}
    return Recordings(told, lost, passed_over, linked)


def called(path: Path) -> str:
    """Return a file's name; that of standard input is ``stdin``."""
    return "stdin" if str(path) == STANDARD_INPUT else path.name


def _told_apart(names: Mapping[Path, str]) -> dict[Path, str]:
    """Keep the ending in names that would clash without: ``a.wav`` beside ``a.mp3`` or ``a.ch0.wav``.

    Of a folder's recordings that differ in capitals alone, the second is called ``a-2``.
    """
    endings: dict[str, set[str]] = {}
    for path, name in names.items():
        endings.setdefault(name.lower(), set()).add(path.suffix.lower())
    told: dict[Path, str] = {}
    taken: Counter[tuple[Path, str]] = Counter()
    for path, name in names.items():
        whole = ANY_PART.sub("", name.lower())
        clashes = len(endings[name.lower()]) > 1 or (whole != name.lower() and whole in endings)
        name += path.suffix if clashes or name.lower() == SUMMARY_STEM else ""
        taken[path.parent, name.lower()] += 1
        same = taken[path.parent, name.lower()]
        told[path] = f"{name}-{same}" if same > 1 else name
    return told


def _short(name: str, formats: Sequence[str]) -> str:
    """Return a name for results that leaves room for the longest ending that one of them can have.

    What is cut off is replaced by a checksum of the whole, so that names stay apart.
    """
    parts = {form: RECORD_PART if form == "csv" else MOST_CHANNELS for form in formats if form in PART}
    room = LONGEST_NAME - max((len(parts.get(form, "") + SUFFIXES[form]) for form in formats), default=0)
    folder, whole = os.path.split(name)
    if len(os.fsencode(whole)) <= room:
        return name
    mark = f"-{zlib.crc32(os.fsencode(whole)):08x}"
    stem = whole
    while len(os.fsencode(stem)) > room - len(mark):
        stem = stem[:-1]
    return os.path.join(folder, stem + mark)


def planned(out: Path, name: str, form: str) -> Path:
    """Return where a format of a recording goes, `name` being its path below `out`, without suffix.

    Of several channels, label files and pictures have ``.ch0`` and so on before the suffix; the answers for
    the whole recording stand beside a CSV of events, in ``name.record.csv``.
    """
    return out / FOLDERS.get(form, "") / f"{name}{SUFFIXES[form]}"


def refuse_twice(
    out: Path, names: Mapping[Path, str], formats: Sequence[str], earlier: Mapping[Path, str] | None = None
) -> None:
    """Refuse recordings of which two would write the same file; the UsageError names both and the file.

    Capitals make no difference, since many file systems make none. How many channels a recording has is only
    known once it is read, so ``a.ch0.wav`` beside ``a.wav`` is refused as well. `names` are as for
    :func:`planned`, and so are those of `earlier` runs, whose results are not to be replaced.
    """
    two = "analyse them into two folders"
    every = {**(earlier or {}), **names}
    taken: dict[str, Path] = {}
    claims = [(source, form, planned(out, name, form)) for source, name in every.items() for form in formats]
    for source, _, path in claims:
        if source in names and str(path).lower() == str(out / SUMMARY).lower():
            raise UsageError(f"{source} would write {path}, where the summary of all goes; rename it")
        other = taken.setdefault(str(path).lower(), source)
        if other != source and source in names:
            done = other in (earlier or {})
            remedy = "it holds the first one's results: name another --out" if done else two
            raise UsageError(f"{other} and {source} would both write {path}; {remedy}")
    for source, form, path in claims:
        whole = PART[form].sub("", path.stem) if form in PART else path.stem
        other = taken.get(str(path.with_name(whole + path.suffix)).lower(), source)
        if other != source and (source in names or other in names):
            raise UsageError(f"{other} and {source} might both write {path}; {two}")


def write_outputs(
    analysis: Analysis, recording: Recording | None, out: Path, name: str, formats: Sequence[str]
) -> list[Path]:
    """Write an analysis in each format, and return the files; `out` and `name` are as for :func:`planned`.

    `recording` is what was analysed, or its beginning, which page and picture then show; None where neither
    is wanted. LaennecError if a file cannot be written, or a label has no place in a format.
    """
    written = []
    shown = analysis if recording is None else beginning(analysis, recording.duration_s)
    for form in formats:
        path = planned(out, name, form)
        files = list(_parts(path, analysis.channels)) if PART.get(form) is CHANNEL_PART else [(0, path)]
        written += [part for _, part in files]
        for channel, part in files:
            match form:
                case "json":
                    write_json(part, to_json(analysis))
                case "csv":
                    written.append(part.with_name(f"{part.stem}{RECORD_PART}.csv"))
                    write_text(part, to_csv(analysis))
                    write_text(written[-1], to_record_csv(analysis))
                case "html" | "png" if recording is not None:
                    _show(shown, recording, part, channel)
                case "audacity":
                    write_text(part, to_audacity(analysis, channel))
                case "icbhi":
                    write_text(part, to_icbhi(analysis, channel))
                case "sprsound":
                    write_json(part, to_sprsound(analysis, channel))
                case "fhir" | "fhir-r5":
                    from laennec.output.fhir import R4, R5, to_fhir  # as what pages need, below

                    write_json(part, to_fhir(analysis, R4 if form == "fhir" else R5))
    return written


def _show(analysis: Analysis, recording: Recording, path: Path, channel: int) -> None:
    """Write a page, or a picture of a channel, by the suffix."""
    from laennec.output.page import write_report  # what pages need would delay every start
    from laennec.output.picture import draw

    if path.suffix == SUFFIXES["png"]:
        draw(analysis, recording, path, channel=channel)
    else:
        write_report(analysis, recording, path)


def _parts(path: Path, channels: int) -> Iterator[tuple[int, Path]]:
    """Yield each channel with its file: the path itself where there is only one."""
    for channel in range(channels):
        yield channel, path if channels == 1 else path.with_name(f"{path.stem}.ch{channel}{path.suffix}")


def beginning(analysis: Analysis, duration_s: float) -> Analysis:
    """Return what an analysis says of the first `duration_s` seconds; answers for the whole recording stay.

    A note says how long it is. Where there is no more, it is the analysis itself.
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
