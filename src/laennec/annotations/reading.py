"""Reading a label file of any format, which its content tells."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from laennec.annotations import (
    analysis,
    audacity,
    birdnet,
    elan,
    fhir,
    hf_lung,
    icbhi,
    label_studio,
    raven,
    rttm,
    sprsound,
    table,
    textgrid,
)
from laennec.annotations.events import Boundary, LabelFile, Problem
from laennec.annotations.text import decoded, read_text
from laennec.errors import LaennecError

# Formats that their beginning tells: of one recording, and of several in a file.
OF_ONE: tuple[tuple[Callable[[str], bool], Callable[[str], LabelFile]], ...] = (
    (fhir.looks_like, fhir.read),
    (textgrid.looks_like, textgrid.read),
    (elan.looks_like, elan.read),
    (hf_lung.looks_like, hf_lung.read),
)
OF_SEVERAL: tuple[tuple[Callable[[str], bool], Callable[[str, str | None], LabelFile]], ...] = (
    (analysis.looks_like, analysis.read),
    (label_studio.looks_like, label_studio.read),
    (table.looks_like, table.read),
    (raven.looks_like, raven.read),
    (birdnet.looks_like, birdnet.read),
    (rttm.looks_like, rttm.read),
)
OF_JSON = 2  # of `OF_SEVERAL`, the first are JSON
SUFFIXES = (".json", ".csv", ".txt", ".TextGrid", ".eaf", ".rttm")


def read_labels(path: str | os.PathLike[str], recording: str | None = None) -> LabelFile:
    """Read a label file of any format; what is wrong with it is in its problems.

    - an object in JSON with a ``resourceType``: a FHIR bundle that Laennec wrote;
    - JSON of ``laennec analyze``: its events;
    - another object in JSON: SPRSound's annotation, times in milliseconds;
    - a first line with ``start_s``: a table, perhaps with ``label``, ``channel`` and, for several recordings,
      ``path`` or ``recording``;
    - a first line with ``Begin Time (s)``: Raven's selection table; with ``Start (s)`` and ``Confidence``:
      BirdNET's;
    - tasks in JSON: Label Studio's; ``ooTextFile``: Praat's TextGrid; XML: ELAN's; lines that begin with
      ``SPEAKER``: RTTM;
    - lines of a label of HF_Lung and two times with colons;
    - lines of four numbers, the last two 0 or 1: ICBHI's cycles (start, end, crackles, wheezes);
    - else an Audacity label track (start, end, label with tabs between). Where all its labels are 0 or 1 they
      are taken for cycles that lack a column, which is a problem.

    `recording`, a path or name, chooses among the rows of a table of several. ``-`` is standard input.
    """
    try:
        return _read(read_text(path), Path(path).suffix.lower(), recording)
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))


def read_content(content: bytes, name: str, recording: str | None = None) -> LabelFile:
    """Read the bytes of a label file of this name, as :func:`read_labels` does a file."""
    try:
        return _read(decoded(content), Path(name).suffix.lower(), recording)
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))


def _read(text: str, suffix: str, recording: str | None) -> LabelFile:
    if suffix == ".json" and not text.strip():
        return LabelFile(problems=(Problem("", "empty; expected SPRSound's annotation"),))
    if table.is_of_recordings(text):
        return LabelFile(problems=(Problem("", table.OF_RECORDINGS),))
    for looks_like, read in OF_ONE:
        if looks_like(text):
            return read(text)
    is_json = suffix == ".json" or text.lstrip().startswith(("{", "["))
    for looks_like, read_several in OF_SEVERAL[: OF_JSON if is_json else None]:
        if looks_like(text):
            return read_several(text, recording)
    if is_json:
        return sprsound.read(text)
    if icbhi.looks_like(text):
        return icbhi.read(text)
    labels = audacity.read(text)
    if icbhi.lacks_a_flag(labels.events):
        return icbhi.read(text)
    if labels.events or labels.points or suffix == ".txt" or (not suffix and text.strip()):
        return labels
    if not suffix:
        return LabelFile(problems=(Problem("", "empty; expected events"),))
    if suffix == ".csv":  # which says what columns are missing
        return table.read(text, recording)
    return LabelFile(problems=(Problem("", f"events are read from {', '.join(SUFFIXES)} files"),))


def read_events(path: str | os.PathLike[str], recording: str | None = None) -> list[Boundary]:
    """Read given events of a recording, as :func:`read_labels` does, by start.

    Labels are kept as ``annotated``; they tell a model nothing. A JSON or text file may hold no event, as
    SPRSound's of poor quality do, and so may Laennec's own table. Labels of a point in time are left out.
    LaennecError if the file cannot be read, a part of it is no event (the message names it), or it is a
    table without a row for this recording.
    """
    return list(read_given(path, recording).events)


def read_given(path: str | os.PathLike[str], recording: str | None = None) -> LabelFile:
    """Read a label file without problems, as :func:`read_events` does; its points tell what is left out.

    LaennecError also where there are points alone.
    """
    labels = read_labels(path, recording)
    if labels.problems:
        raise LaennecError(f"{path}: {labels.problems[0]}")
    if labels.points and not labels.events:
        raise LaennecError(f"{path}: its labels mark points in time, without length; mark from start to end")
    return replace(labels, events=tuple(sorted(labels.events, key=lambda each: (each.start_s, each.end_s))))
