"""The labels of the recordings that a command copies, what becomes of them, and when a file is of."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from laennec.annotations import SUFFIXES, read_labels
from laennec.annotations.events import LabelFile
from laennec.annotations.formats import FORMATS, About, write_labels
from laennec.audio.folder import files_below
from laennec.audio.samples import counted
from laennec.errors import LaennecError

LABELS = FORMATS["csv"]  # what labels become beside a copy: it holds all but the recording's own label
_ENDINGS = frozenset(suffix.lower() for suffix in SUFFIXES)


def labels_beside(source: Path) -> tuple[Path, LabelFile] | None:
    """Return the label file of a recording's name beside it, and what it holds; None where there is none.

    LaennecError if it has a fault.
    """
    path = next(_named_alike(source), None)
    if path is None:
        return None
    labels = read_labels(path, source.name)
    if labels.problems:
        raise LaennecError(f"{path}: {labels.problems[0]}; mend it or move it away")
    return path, labels


def table_of(labels: LabelFile, source: Path, name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return labels as a table beside a copy of this name, and sentences for what is not in it.

    `source` is the recording; other label files of its name are not in the table.
    """
    written = write_labels(labels, LABELS, About(name))
    taken, *others = _named_alike(source)
    left = (f"{other.name} is left behind: the labels are those of {taken.name}" for other in others)
    notes = (*map(str, labels.points), *written.not_held, *left)
    return written.text.encode(errors="backslashreplace"), notes


def _named_alike(source: Path) -> Iterator[Path]:
    """Yield the label files of a recording's name beside it, the preferred one first."""
    return (path for path in map(source.with_suffix, SUFFIXES) if path != source and path.is_file())


def about_labels(
    files: Sequence[Path], recordings: Iterable[Path], labels: Sequence[Path | None]
) -> Iterator[str]:
    """Yield how many recordings were copied without labels, and which label files stay behind.

    Parameters
    ----------
    files
        What was named: recordings, and folders of them.
    recordings
        All that these are.
    labels
        Of each that was copied the label file taken with it, None where none of its name lies beside it.
    """
    if without := sum(path is None for path in labels):
        yield (
            f"{counted(without, 'recording')} without labels: no label file of the same name lies in the "
            "same folder"
        )
    beside = {path for source in recordings for path in (source, *_named_alike(source))}
    below = (path for given in files if given.is_dir() for path in files_below(given, lambda *_: None))
    others = [path for path in dict.fromkeys(below) if path.suffix.lower() in _ENDINGS and path not in beside]
    if others:
        more = f" and {len(others) - 1} more" if others[1:] else ""
        yield f"Labels left behind, since no recording of their name lies beside them: {others[0]}{more}"


def changed_at(path: Path) -> datetime:
    """Return when a file was last changed; LaennecError where no calendar has that year."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (ValueError, OverflowError) as error:
        raise LaennecError(f"{path}: the time of the file is no date ({error}); set another") from error
