"""Everything that a reader says of a folder as one ZIP file: a data set that other commands read."""

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from laennec.annotations import table
from laennec.annotations.formats import Format
from laennec.audio.samples import by_number, counted
from laennec.files import printable
from laennec.labels import PHASES
from laennec.web.corrections import Corrections, Reading
from laennec.web.exchange import COLUMNS, rejected_events, table_rows, write_labels

CLIPS = "clips.csv"
RECORDS = "records.csv"
EVENTS = "events.csv"
CLIP_COLUMNS = (
    "path",
    "label",
    "start_s",
    "end_s",
    "channel",
    "subject",
    "location",
    "device",
    "age_years",
    "sex",
)
PIECE = 2**18
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file
README = """\
Labels of {reader}, written by Laennec.

clips.csv    The events of recordings that are marked as reviewed, a row each. Beside the recordings it makes
             the folder a data set, which laennec datasets info, calibrate, transfer and train read.
             {reviewed} of {recordings} {are} marked.
records.csv  Labels of whole recordings that were given by the reader, of the same form.
events.csv   Every event of every recording, also those that were rejected or that nobody has decided about
             (column status), with what the model said, its name and the SHA-256 of its file.
labels/      A label file ({title}) of each recording that was corrected: all events of a reviewed one, else
             those that were accepted, changed or added.

Paths are relative to the folder of the recordings{sounds}.
{not_held}"""


class _Pieces:
    """What a ZIP file is written to; taken away in pieces."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken, self._written = b"".join(self._written), []
        return taken


def archive(
    corrections: Corrections, reader: str, form: Format, folder: Path | None = None
) -> Iterator[bytes]:
    """Yield the bytes of a ZIP file, with the recordings themselves in `folder` where that is given.

    MissingError, before the first byte, where there is no such reader.
    """
    corrections.reader(reader)
    return _archive(corrections, reader, form, folder)


def _archive(corrections: Corrections, reader: str, form: Format, folder: Path | None) -> Iterator[bytes]:
    pieces = _Pieces()
    clips: list[list[Any]] = []
    records: list[list[Any]] = []
    events: list[list[Any]] = []
    not_held: Counter[str] = Counter()
    recordings = reviewed = 0
    names: set[str] = set()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_DEFLATED) as out:  # type: ignore[call-overload]
        for reading in corrections.readings(reader, edited=False):
            recordings, reviewed = recordings + 1, reviewed + reading.state.reviewed
            clips += clip_rows(reading)
            records += record_rows(reading)
            events += table_rows(reading, [*reading.state.events, *rejected_events(reading)])
            if reading.state.undo or reading.state.redo:
                written = write_labels(reading, form, reading.labelled)
                _put(out, _label_name(reading, form, names), written.text)
                not_held.update(f"{reading.recording['path']}: {what}" for what in written.not_held)
            if folder is not None:
                yield from _sound(out, pieces, reading, folder)
            yield pieces.take()
        _put(out, CLIPS, table.write(CLIP_COLUMNS, clips))
        _put(out, RECORDS, table.write(CLIP_COLUMNS, records))
        _put(out, EVENTS, table.write(COLUMNS, events))
        readme = README.format(
            reader=reader,
            reviewed=reviewed,
            recordings=counted(recordings, "recording", ""),
            are=by_number(reviewed, "is", "are"),
            title=form.title,
            sounds="" if folder else "; unpack this into it",
            not_held="\n".join(["", "Not in the label files:", *not_held]) if not_held else "",
        )
        _put(out, "README.txt", readme)
    yield pieces.take()


def _put(out: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    out.writestr(entry, text.encode("utf-8", errors="backslashreplace"))


def _label_name(reading: Reading, form: Format, names: set[str]) -> str:
    """Return where a recording's label file goes: its own path with another ending, none twice."""
    path = PurePosixPath(printable(reading.recording["path"]))
    name = path.with_name(form.file_name(path.name))
    name = name if str(name) not in names else path.with_name(path.name + form.suffix)
    names.add(str(name))
    return f"labels/{name}"


def _sound(out: zipfile.ZipFile, pieces: _Pieces, reading: Reading, folder: Path) -> Iterator[bytes]:
    """Yield the bytes of a recording; one that is gone meanwhile is left out, as its row in a table tells."""
    entry = zipfile.ZipInfo(printable(reading.recording["path"]), EARLIEST)  # not compressed: sound hardly is
    with (
        suppress(OSError),
        (folder / reading.recording["path"]).open("rb") as sound,
        out.open(entry, "w", force_zip64=True) as into,
    ):
        while piece := sound.read(PIECE):
            into.write(piece)
            yield pieces.take()


def clip_rows(reading: Reading) -> Iterator[list[Any]]:
    """Yield the rows of a reviewed recording in a table of clips.

    Breath phases are no clips. A recording without events is one clip where the reader has labelled it.
    """
    if not reading.state.reviewed:
        return
    described = _described(reading)
    events = [event for event in reading.labelled if event.label not in PHASES]
    for event in events:
        channel = event.channel if (reading.recording["channels"] or 1) > 1 else ""
        times = (f"{event.start_s:.6f}", f"{event.end_s:.6f}")
        yield [reading.recording["path"], event.label, *times, channel, *described]
    if not events:
        yield from record_rows(reading)


def record_rows(reading: Reading) -> Iterator[list[Any]]:
    """Yield the row of a recording that the reader has labelled as a whole."""
    if reading.state.record is not None:
        yield [reading.recording["path"], reading.state.record, "", "", "", *_described(reading)]


def _described(reading: Reading) -> list[Any]:
    row: Mapping[str, Any] = reading.recording
    return [
        "" if row[name] is None else row[name]
        for name in ("patient", "position", "device", "age_years", "sex")
    ]
