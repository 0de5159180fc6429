"""BirdNET's table: ``Start (s), End (s), Scientific name, Common name, Confidence``, perhaps ``File``.

A sound of lungs has no scientific name; the label stands in both columns.

Source: BirdNET-Analyzer, result type "csv".
"""

from collections.abc import Iterable

from laennec.annotations.events import Boundary, LabelFile, Problem, rounded_span
from laennec.annotations.table import first_line, of_recording, parse
from laennec.annotations.table import write as write_table

BEGIN, END, SCIENTIFIC, COMMON, CONFIDENCE = (
    *("Start (s)", "End (s)"),
    *("Scientific name", "Common name", "Confidence"),
)
WRITTEN = (BEGIN, END, SCIENTIFIC, COMMON, CONFIDENCE)


def looks_like(text: str) -> bool:
    """Whether the first line names the columns of BirdNET's table."""
    head = first_line(text).lower()
    return BEGIN.lower() in head and CONFIDENCE.lower() in head


def read(text: str, recording: str | None = None) -> LabelFile:
    """Read the detections of a recording."""
    try:
        table = parse(text, (BEGIN, END))
    except ValueError as error:
        return LabelFile(problems=(Problem("", str(error)),))
    rows = []
    for line, cells in table.rows:
        label = cells.get(COMMON) or cells.get(SCIENTIFIC)
        event = {"start_s": cells.get(BEGIN, ""), "end_s": cells.get(END, "")}
        event |= {"label": label} if label else {}
        event |= {"probability": cells[CONFIDENCE]} if CONFIDENCE in cells else {}
        event |= {"file": cells["File"]} if "File" in cells else {}
        rows.append((line, event))
    return of_recording(table._replace(rows=rows), recording)


def write(events: Iterable[Boundary]) -> str:
    """Return a row for each event; without a probability, the cell of the confidence is empty."""
    rows = []
    for event in events:
        times = (f"{time_s:.6f}" for time_s in rounded_span(event.start_s, event.end_s, 6))
        sure = "" if event.probability is None else f"{event.probability:.6f}"
        rows.append([*times, event.annotated or "", event.annotated or "", sure])
    return write_table(WRITTEN, rows)
