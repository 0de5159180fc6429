"""Label files of one format written in another."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from laennec.annotations import SUFFIXES, read_labels, table
from laennec.annotations.events import LabelFile
from laennec.annotations.formats import About, Format, write_labels
from laennec.annotations.hf_lung import ENDING
from laennec.annotations.names import parts_of
from laennec.annotations.text import read_text
from laennec.audio.folder import AUDIO_SUFFIXES
from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.errors import LaennecError, UsageError
from laennec.files import holds, refuse_loss, write_bytes
from laennec.labels import known_term

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
        If nothing is named, two files would become the same one, or one would be replaced itself.
    LaennecError
        If the only folder named has no label file.
    """
    sources, others = _sources(files)
    targets: dict[str, Path] = {}
    for source, name in sources.items():
        target = out / name.with_name(form.file_name(name.name))
        other = targets.setdefault(str(target).lower(), source)
        if other != source:
            raise UsageError(f"{other} and {source} would both write {target}; convert them separately")
        if os.path.realpath(target) == os.path.realpath(source):
            refuse_loss(source)
    for source, name in sources.items():
        try:
            yield _converted(source, out / name.with_name(form.file_name(name.name)), form, terms)
        except LaennecError as error:
            yield Converted(source, None, error=str(error))
    yield from others


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


def _converted(source: Path, target: Path, form: Format, terms: bool) -> Converted:
    labels = read_labels(source)
    if labels.problems:
        raise LaennecError(f"{source}: {labels.problems[0]}")
    notes = [str(point) for point in labels.points]
    if terms:
        labels, said = in_known_terms(labels)
        notes += said
    written = write_labels(labels, form, about(source))
    content = written.text.encode(errors="backslashreplace")
    refuse_loss(target, holds(content))
    write_bytes(target, content)
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
