"""A folder of simulated patients whose recordings a reader has labelled, for tests of learning."""

from pathlib import Path
from typing import Any

from laennec import datasets
from laennec.simulate import simulate_dataset
from laennec.web.app import create_app
from laennec.web.settings import Settings

READER = "Anna"
LEARNT_S = 300.0  # the longest that learning may take; a busy machine is no fault


def labelled_folder(folder: Path, patients: int = 10) -> Path:
    """Simulate a recording of each patient, and label it as it was made, but for one label.

    What was made as a fine crackle is called a stridor, which no model but one that learns knows.
    """
    data = folder.parent / f"{folder.name}-simulated"
    simulate_dataset(data, subjects=patients, recordings_per_subject=1, seed=3, duration_s=8.0)
    clips = datasets.load("sprsound", data)
    folder.mkdir()
    for path in clips["path"].unique():
        (folder / Path(path).name).write_bytes(Path(path).read_bytes())
    label(folder, clips)
    return folder


def label(folder: Path, clips: Any) -> None:
    """Have the reader add every event, name the patients, and review the recordings."""
    server = create_app(Settings(folder, warm=False)).state.server
    server.library.rescan()
    server.queue.stop()
    server.corrections.add_reader(READER)
    for row in server.database.rows("SELECT id, path FROM recording"):
        own = clips[[Path(path).name == row["path"] for path in clips["path"]]]
        events = [
            {
                "channel": 0,
                "start_s": float(each.start_s),
                "end_s": float(each.end_s),
                "label": {"Fine Crackle": "Stridor"}.get(str(each.label), str(each.label)),
            }
            for each in own.itertuples()
        ]
        server.library.describe(row["id"], {"patient": str(own["subject"].iloc[0])})
        edits = [{"kind": "add", "events": events}, {"kind": "review", "reviewed": True}]
        server.corrections.edit(row["id"], READER, edits)
    server.database.close()
