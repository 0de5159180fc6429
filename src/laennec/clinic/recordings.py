"""The recordings that a command is given, each with its labels."""

from collections.abc import Sequence
from pathlib import Path

from laennec.annotations import SUFFIXES, read_labels
from laennec.annotations.events import LabelFile
from laennec.annotations.formats import FORMATS, About, write_labels
from laennec.audio.folder import audio_files
from laennec.errors import LaennecError, UsageError

LABELS = FORMATS["csv"]  # what labels become beside a copy: it holds all but the recording's own label


def named_recordings(files: Sequence[Path]) -> list[Path]:
    """Return the files, and the recordings of the folders among them; UsageError if nothing is named."""
    if not files:
        raise UsageError("name at least one recording or folder; see --help")
    return [path for given in files for path in (audio_files(given).paths if given.is_dir() else [given])]


def labels_beside(source: Path) -> tuple[Path, LabelFile] | None:
    """Return the label file of a recording's name beside it, and what it holds; None where there is none.

    LaennecError if it has a fault.
    """
    path = next((path for path in map(source.with_suffix, SUFFIXES) if path.is_file()), None)
    if path is None:
        return None
    labels = read_labels(path, source.name)
    if labels.problems:
        raise LaennecError(f"{path}: {labels.problems[0]}; mend it or move it away")
    return path, labels


def table_of(labels: LabelFile, name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return labels as a table beside a copy of this name, and sentences for what is not in it."""
    written = write_labels(labels, LABELS, About(name))
    notes = (*map(str, labels.points), *written.not_held)
    return written.text.encode(errors="backslashreplace"), notes
