"""What measures and decides on kept outputs: made-up recordings whose figures are known."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from laennec.labels import SPRSOUND_EVENTS
from laennec.train.recording_predictions import SOURCES, RecordingOutput, load_outputs, save_outputs

FRAME_S = 0.05


def output(
    name: str = "a",
    subject: str = "p",
    record: int = 0,
    logits: tuple[float, ...] = (0, 0, 0, 0, 0),
    events: tuple[tuple[float, float, int], ...] = ((1.0, 2.0, 0),),
    found: tuple[tuple[float, float, int], ...] | None = None,
    lung: float = 5.0,
    seconds: float = 4.0,
    **more: object,
) -> RecordingOutput:
    """A recording, its annotated events, and what a network says: where events are, of which class."""
    frames = round(seconds / FRAME_S)
    presence, classes = np.full((3, frames), -4.0), np.zeros((len(SPRSOUND_EVENTS), frames))
    classes[0] = 4.0
    for start_s, end_s, label in events if found is None else found:
        first, end = round(start_s / FRAME_S), round(end_s / FRAME_S)
        presence[0, first:end] = presence[1, first] = presence[2, end - 1] = 4.0
        classes[label, first:end] += 8.0
    return RecordingOutput(
        name,
        subject,
        fold=str(more.pop("fold", "fold1")),
        record=record,
        placed=bool(more.pop("placed", True)),
        spans=np.array([event[:2] for event in events], float).reshape(-1, 2),
        labels=np.array([event[2] for event in events], int),
        presence=presence,
        classes=classes,
        record_logits=np.array(logits, float),
        kind_logits=np.array([lung, 0.0, 0.0, 0.0, 0.0]),
        frame_s=FRAME_S,
        **more,  # type: ignore[arg-type]
    )


def test_outputs_are_kept_with_their_source_and_old_ones_are_read(tmp_path: Path) -> None:
    own = [
        output("a", dataset="kauh", device="D", position="p1", age_years=70.0, kind=0, duration_s=11.0),
        output("b", "q", events=(), placed=False, dataset="not-lung", kind=4),
    ]
    assert own[1].duration_s == 4.0
    for folder in ("fold1", "fold2"):
        (tmp_path / folder).mkdir()
        save_outputs(tmp_path / folder / "outputs.npz", own)
    path = tmp_path / "fold2" / "outputs.npz"
    with np.load(path) as file:
        old = {name: value for name, value in file.items() if name not in SOURCES}
    np.savez(path, **old)
    *new, first, second = load_outputs([tmp_path / "fold1", tmp_path / "fold2"])
    for given, read in zip(own, new, strict=True):
        for field in fields(given):
            np.testing.assert_array_equal(getattr(read, field.name), getattr(given, field.name))
    assert (first.dataset, first.device, first.kind, first.fold) == ("", "", 0, "fold2")
    assert np.isnan(first.age_years)
    assert first.duration_s == second.duration_s == 4.0
    assert replace(own[0], split="k-fold").split == "k-fold"
