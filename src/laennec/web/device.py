"""Check my device: how a model does on what a reader has reviewed, and what a calibration needs."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from laennec.audio.samples import counted
from laennec.labels import NORMAL, POOR_QUALITY, SPRSOUND_EVENTS, is_adventitious
from laennec.score.bootstrap import Patients, Score, over_patients
from laennec.score.confusion import Floats, ratio
from laennec.train.calibrate import FEWEST_OF_A_KIND, FEWEST_PATIENTS
from laennec.web.corrections import Reading

ENOUGH_EVENTS = 50
FIGURES = ("precision", "recall", "class_right")
COUNTS = ("kept", "rejected", "added", "same_label")


def counts_of(reading: Reading, adventitious: bool) -> dict[str, int]:
    """How many of a reviewed recording's events were found and kept, found and rejected, or added.

    With `adventitious`, only those: found ones by what they were found as, added ones by their label.
    """
    kept = rejected = added = same = 0
    for event in reading.labelled:
        if event.label not in SPRSOUND_EVENTS:
            continue
        if not event.origins:
            added += int(not adventitious or event.label != NORMAL)
            continue
        said = reading.suggestions[event.origins[0]].label
        if not adventitious or NORMAL not in (said, event.label):
            kept += 1
            same += int(said == event.label)
        elif said != NORMAL:
            rejected += 1  # there is a breath, and nothing adventitious in it
        elif event.label != NORMAL:
            added += 1
    rejected += sum(not adventitious or each.label != NORMAL for each in reading.state.rejected)
    return dict(zip(COUNTS, (kept, rejected, added, same), strict=True))


def figures(readings: Sequence[Reading], adventitious: bool) -> dict[str, Any]:
    """Precision and recall of found events, and how often their class is right, with 95 % intervals.

    As the reader decided: a suggestion that was kept, moved or relabelled was there, one that was rejected
    was not, and an event that was added was missed. Intervals are over patients.
    """
    rows = [list(counts_of(own, adventitious).values()) for own in readings]
    names = [own.recording["patient"] or f"recording {own.recording['id']}" for own in readings]
    table = np.array(rows, float).reshape(-1, len(COUNTS))

    def scores(drawn: Floats) -> dict[str, Floats]:
        kept, rejected, added, same = drawn.T
        values = (ratio(kept, kept + rejected), ratio(kept, kept + added), ratio(same, kept))
        return dict(zip(FIGURES, values, strict=True))

    found: dict[str, Score] = {}
    if len(table):
        found = over_patients(Patients.of(names).sums(table), scores)
    totals = dict(zip(COUNTS, table.sum(0).astype(int).tolist(), strict=True))
    return {
        "counts": totals,
        **{name: {"value": own.value, "interval": own.interval} for name, own in found.items()},
    }


def sickness(reading: Reading) -> bool | None:
    """Whether a reviewed recording has adventitious sounds; None where it is of poor quality."""
    record = reading.state.record
    if record == POOR_QUALITY:
        return None
    if record is not None and (told := is_adventitious(record)) is not None:
        return told
    labels = [event.label for event in reading.labelled if event.label in SPRSOUND_EVENTS]
    return any(label != NORMAL for label in labels)


def told_recordings(readings: Sequence[Reading]) -> Iterator[dict[str, Any]]:
    """The reviewed recordings of known patients, as a calibration takes them."""
    for own in readings:
        sick = sickness(own) if own.state.reviewed else None
        if sick is not None and own.recording["patient"]:
            yield {"path": own.recording["path"], "patient": own.recording["patient"], "sick": sick}


def check(readings: Sequence[Reading], sha256: str) -> dict[str, Any]:
    """What there is of what a check needs, and how the model of this SHA-256 did.

    Only reviewed recordings count, since in others nobody knows what was missed; and of these, for
    precision and recall, those whose suggestions are of this model.
    """
    reviewed = [own for own in readings if own.state.reviewed]
    of_model = [own for own in reviewed if own.models.get(own.state.analysis or -1, ("", ""))[1] == sha256]
    usable = list(told_recordings(readings))
    patients = {own["patient"] for own in usable}
    sides = {
        side: {own["patient"] for own in usable if own["sick"] == (side == "sick")}
        for side in ("sick", "well")
    }
    events = sum(sum(event.label in SPRSOUND_EVENTS for event in own.labelled) for own in reviewed)
    enough = events >= ENOUGH_EVENTS or len(patients) >= FEWEST_PATIENTS
    return {
        "reviewed": len(reviewed),
        "of_model": len(of_model),
        "events": events,
        "patients": len(patients),
        "unnamed": sum(not own.recording["patient"] for own in reviewed),
        **{side: len(names) for side, names in sides.items()},
        "needed": {"events": ENOUGH_EVENTS, "patients": FEWEST_PATIENTS, "of_a_kind": FEWEST_OF_A_KIND},
        "figures": {
            "all": figures(of_model, adventitious=False),
            "adventitious": figures(of_model, adventitious=True),
        }
        if enough and of_model
        else None,
        **_missing(len(patients), {side: len(names) for side, names in sides.items()}),
    }


def _missing(patients: int, sides: dict[str, int]) -> dict[str, str | None]:
    """What a calibration is `lacking`, in a word, and `why` none can be made, in a sentence."""
    if patients < FEWEST_PATIENTS:
        why = (
            f"reviewed recordings of {counted(patients, 'named patient')}; a calibration needs "
            f"{FEWEST_PATIENTS} or more"
        )
        return {"lacking": "patients", "why": why}
    for side, what in (("sick", "with adventitious sounds"), ("well", "with normal recordings")):
        if sides[side] < FEWEST_OF_A_KIND:
            why = (
                f"{counted(sides[side], 'patient')} {what}; a calibration needs {FEWEST_OF_A_KIND} or more "
                "of both, since it tells one from the other"
            )
            return {"lacking": side, "why": why}
    return {"lacking": None, "why": None}
