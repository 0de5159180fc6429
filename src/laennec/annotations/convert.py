"""Label files of one format written in another."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from laennec.annotations import SUFFIXES, analysis, read_labels, table
from laennec.annotations.events import LabelFile
from laennec.annotations.formats import About, Format, write_labels
from laennec.annotations.hf_lung import ENDING
from laennec.annotations.names import parts_of
from laennec.annotations.text import read_text
from laennec.audio.folder import AUDIO_SUFFIXES
from laennec.audio.recording import Recording
from laennec.audio.samples import by_number, counted
from laennec.errors import LaennecError, UsageError
from laennec.files import refuse_loss, write_new
from laennec.labels import known_term

ROUNDING_S = 0.0011  # more than a millisecond, which is the coarsest that formats have
_SUFFIXES = frozenset(suffix.lower() for suffix in SUFFIXES)


@dataclass(frozen=True)
class Converted:
    """What became of a label file: the file written, or why there is none; and what it does not hold."""

    source: Path
    written: Path | None
    notes: tuple[str, ...] = ()
    error: str = ""
    passed_over: bool = False
    """Whether it is a table of whole recordings in a folder of results, and no label file."""
    held_by: Path | None = None
    """The analysis in JSON that has the same events and would write the same file: it is converted."""


def convert_all(files: Sequence[Path], form: Format, out: Path, terms: bool = False) -> Iterator[Converted]:
    """Convert label files one after the other; a bad one does not stop the rest.

    A file that is there stays, unless it would be written again as it is: that is an error of its source.

    Parameters
    ----------
    files
        Label files and folders; of a folder, every file below it whose ending is one of label files, but for
        Laennec's tables of whole recordings.
    form
        The format to write.
    out
        Folder for the new files, which keep their names and their folders below the one that was named.
    terms
        Whether words of other vocabularies become known terms (:func:`laennec.labels.known_term`).

    Raises
    ------
    UsageError
        If nothing is named, two files would become the same one, or one would be replaced itself. Where the
        JSON of an analysis and its table hold the same events, the JSON is taken, which says more.
    LaennecError
        If the only folder named has no label file.
    """
    sources, others = _sources(files)
    targets = {source: out / name.with_name(form.file_name(name.name)) for source, name in sources.items()}
    others += _held_elsewhere(targets)
    for each in others:
        targets.pop(each.source, None)
    for source, target in targets.items():
        if os.path.realpath(target) == os.path.realpath(source):
            refuse_loss(source)
    for source, target in targets.items():
        try:
            yield _converted(source, target, form, terms)
        except LaennecError as error:
            yield Converted(source, None, error=str(error))
    yield from others


def _held_elsewhere(targets: Mapping[Path, Path]) -> list[Converted]:
    """Return the files whose target is written from another with the same events; UsageError for others."""
    held: list[Converted] = []
    owners: dict[str, Path] = {}
    for source, target in targets.items():
        key = str(target).lower()
        other = owners.setdefault(key, source)
        if other == source:
            continue
        taken = next((path for path in (other, source) if _is_analysis(path)), None)
        if taken is None or not _same_events(other, source):
            raise UsageError(f"{other} and {source} would both write {target}; convert them separately")
        owners[key] = taken
        held.append(Converted(other if taken == source else source, None, held_by=taken))
    return held


def _is_analysis(path: Path) -> bool:
    try:
        return analysis.looks_like(read_text(path))
    except ValueError:  # which its reader says
        return False


def _same_events(one: Path, other: Path) -> bool:
    """Whether two files have the same events: labels, channels, and times as far as formats round them."""
    pairs = zip_longest(read_labels(one).events, read_labels(other).events)
    return all(
        a is not None
        and b is not None
        and (a.annotated, a.channel) == (b.annotated, b.channel)
        and max(abs(a.start_s - b.start_s), abs(a.end_s - b.end_s)) < ROUNDING_S
        for a, b in pairs
    )


def _sources(files: Sequence[Path]) -> tuple[dict[Path, Path], list[Converted]]:
    """Return each label file with its path below what was named, and what of the folders is none."""
    if not files:
        raise UsageError("name at least one label file or folder; see --help")
    sources: dict[Path, Path] = {}
    others: list[Converted] = []
    for given in files:
        if not given.is_dir():
            sources[given] = Path(given.name)
            continue
        named = [
            path
            for path in sorted(given.rglob("*"))
            if path.is_file() and path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
        ]
        tables = dict.fromkeys(filter(_is_of_recordings, named))
        found = {path: path.relative_to(given) for path in named if path not in tables}
        sources |= found
        others += [Converted(path, None, passed_over=True) for path in tables]
        if not found:
            error = f"{given}: no label file in it or below it; they end in {', '.join(SUFFIXES)}"
            if len(files) == 1:
                raise LaennecError(f"{error}; {counted_tables(len(tables))}" if tables else error)
            others.append(Converted(given, None, error=error))
    return sources, others


def _is_of_recordings(path: Path) -> bool:
    if path.suffix.lower() != ".csv":
        return False
    try:
        return table.is_of_recordings(read_text(path))
    except ValueError:  # which its reader says
        return False


def counted_tables(count: int) -> str:
    """Return how many tables of whole recordings were passed over, in words."""
    return f"{counted(count, 'table')} of whole recordings passed over (summary.csv and the like)"


def counted_held(held: Sequence[Converted]) -> str:
    """Return how many files were passed over since an analysis in JSON holds their events, in words."""
    number, first = len(held), held[0]
    has = by_number(number, "its analysis in JSON has", "their analyses in JSON have")
    others = by_number(number, "", " and others")
    which = f"{first.source.name}, for {first.held_by.name if first.held_by else ''}{others}"
    return f"{counted(number, 'file')} passed over, whose events {has} ({which})"


def _converted(source: Path, target: Path, form: Format, terms: bool) -> Converted:
    labels = read_labels(source)
    if labels.problems:
        raise LaennecError(f"{source}: {labels.problems[0]}")
    notes = [str(point) for point in labels.points]
    if terms:
        labels, said = in_known_terms(labels)
        notes += said
    written = write_labels(labels, form, about(source))
    write_new(target, written.text)
    return Converted(source, target, (*notes, *written.not_held))


def in_known_terms(labels: LabelFile) -> tuple[LabelFile, list[str]]:
    """Return labels in known terms, and a sentence for each word that became one, may be one, or is none."""
    counts = Counter(event.annotated for event in labels.events if event.annotated)
    terms, notes = {}, []
    for word in sorted(counts):
        found = known_term(word)
        terms[word] = found[0] if found and found[1] else word
        if found is None:
            notes.append(f"{word} is no known term and stays")
        elif not found[1]:
            notes.append(f"{word} stays; is {found[0]} meant?")
        elif found[0] != word:
            notes.append(f"{word} becomes {found[0]}")
    events = tuple(
        replace(event, annotated=terms.get(event.annotated or "", event.annotated)) for event in labels.events
    )
    return replace(labels, events=events), notes


def about(source: Path) -> About:
    """Return name, duration and rate of the recording of the same name beside a label file.

    Without one, or where it cannot be read, the name alone; without HF_Lung's ending of it.
    """
    stems = dict.fromkeys((source.stem, source.stem.removesuffix(ENDING) or source.stem))
    beside = [source.with_name(stem + suffix) for stem in stems for suffix in sorted(AUDIO_SUFFIXES)]
    sound = next((path for path in beside if path.is_file()), None)
    if sound is None:
        name = (parts_of(source.name) or [source.name])[-1].removesuffix(source.suffix)
        return About(name.removesuffix(ENDING) or name)
    try:
        recording = Recording.open(sound)
        return About(sound.name, recording.duration_s, recording.sample_rate)
    except LaennecError:
        return About(sound.name)
