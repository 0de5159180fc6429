"""A folder of recordings with analyses, for tests of corrections; nothing is decoded or analysed."""

import json
from typing import Any

from laennec.web.database import Database

SHA = {"one": "1" * 64, "two": "2" * 64}
EVENTS = [(0, 1.0, 2.0, "Wheeze", 0.9), (0, 2.5, 3.0, "Fine Crackle", 0.5), (0, 4.0, 6.0, "Normal", 0.7)]


def add_recording(
    database: Database, path: str, patient: str | None = None, channels: int = 1, **described: Any
) -> int:
    """Add a recording of ten seconds, and return its number."""
    columns = {"path": path, "name": path, "size": 1, "modified_ns": 1, "added": "2026", "duration_s": 10.0,
               "sample_rate": 8000, "channels": channels, "patient": patient, **described}  # fmt: skip
    with database.transaction() as do:
        marks = ", ".join("?" * len(columns))
        made = do(f"INSERT INTO recording ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))
    assert made.lastrowid is not None
    return int(made.lastrowid)


def add_analysis(
    database: Database,
    recording: int,
    events: list[tuple[int, float, float, str, float]] = EVENTS,
    model: str = "one",
    record: str | None = "CAS",
) -> int:
    """Add an analysis: channel, start, end, label and probability of each event."""
    content = {"record": {"label": record}, "recording": {"duration_s": 10.0}}
    told = (recording, "2026", 1, 1, model, "1", SHA[model], json.dumps(content))
    with database.transaction() as do:
        made = do(
            "INSERT INTO analysis (recording, made, size, modified_ns, model_name, model_version, "
            "model_sha256, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            told,
        ).lastrowid
        for channel, start_s, end_s, label, probability in events:
            sure = json.dumps({label: probability, "Other": 1 - probability})
            do(
                "INSERT INTO suggestion (analysis, recording, model_name, model_sha256, channel, start_s, "
                "end_s, label, probability, uncertain, probabilities) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
                (made, recording, model, SHA[model], channel, start_s, end_s, label, probability, sure),
            )
    assert made is not None
    return int(made)
