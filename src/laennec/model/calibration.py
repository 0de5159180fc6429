"""A calibration for one's own device: a small file whose numbers replace those of a model's card.

`laennec calibrate` makes it from patients of one's own. It holds for one model file, whose SHA-256 it names.
"""

import datetime
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError, shown
from laennec.files import printable, read_json
from laennec.labels import NORMAL, POOR_QUALITY
from laennec.model.card import RecordingCard
from laennec.model.probability import sick_labels, softmax
from laennec.version import __version__

FORMAT = 1  # of the file; those of a later format are refused
KIND = "calibration of a device"
REMEDY = "name a file of `laennec calibrate`, or make it anew"
ENTRIES = (  # of the card, by the names of model files
    "record_temperature",
    "record_bias",
    "record_evidence",
    "normal_certain",
    "sick_certain",
    "lung_share",
)


@dataclass(frozen=True)
class Curve:
    """The log-odds of each adventitious label against Normal become `offset` + `slope` times what they were.

    `poor` is added to the logarithm of the probability of Poor Quality, which the slope changes as well.
    """

    offset: float = 0.0
    slope: float = 1.0
    poor: float = 0.0

    def shifts(self, records: Sequence[str]) -> npt.NDArray[np.float64]:
        """What is added to the logits of the record labels: half the offset to either side."""
        signs = np.where(sick_labels(records), 0.5, np.where(np.equal(records, NORMAL), -0.5, 0.0))
        return np.asarray(self.offset * signs + self.poor * np.equal(records, POOR_QUALITY))

    def of(self, probabilities: npt.NDArray[Any], records: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probabilities ``(..., records)`` of a card, as the card of `on` gives them."""
        if self == Curve():
            return np.asarray(probabilities)
        logits = self.slope * np.log(np.maximum(probabilities, 1e-300))
        return softmax(logits + self.shifts(records))

    def on(self, card: RecordingCard) -> RecordingCard:
        """The card whose probabilities of record labels are those of this curve."""
        bias = self.slope * np.array(card.record_bias or [0.0] * len(card.records))
        return replace(
            card,
            record_temperature=card.record_temperature / self.slope,
            record_bias=tuple((bias + self.shifts(card.records)).tolist()),
            record_evidence=tuple(self.slope * weight for weight in card.record_evidence),
        )


def entries_of(card: RecordingCard) -> dict[str, Any]:
    """`ENTRIES` of a card, as JSON has them."""
    named = {each.metadata["key"] or each.name: getattr(card, each.name) for each in fields(card)}
    return {key: list(own) if isinstance(own := named[key], tuple) else own for key in ENTRIES}


@dataclass(frozen=True)
class Calibration:
    """What the file says, checked.

    Attributes
    ----------
    name, sha256 : str
        Of the file itself.
    model_name, model_sha256 : str
        The model file that it is for.
    date : str
        When it was made, as 2026-01-31.
    patients, recordings : int
        That it was fitted on.
    entries : mapping
        `ENTRIES` of the card, in place of the model's own.
    """

    name: str
    sha256: str
    model_name: str
    model_sha256: str
    date: str
    patients: int
    recordings: int
    entries: Mapping[str, Any] = field(repr=False)


def calibration_file(
    card: RecordingCard, sha256: str, patients: int, recordings: int, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of a file by which the model file of this SHA-256 answers as if it had this `card`."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "laennec": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "model": {"name": card.name, "version": card.version, "sha256": sha256},
        "patients": patients,
        "recordings": recordings,
        "card": entries_of(card),
        **more,
    }


def read_calibration(path: str | os.PathLike[str]) -> Calibration:
    """Read a file of `laennec calibrate`; its numbers are checked where it is put to use.

    LaennecError if it cannot be read, is damaged, something else, or of a later format.
    """
    if not isinstance(path, str | os.PathLike):
        raise LaennecError(f"calibration is {shown(path)}; expected the path of a file")
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would be read for ever
        raise LaennecError(f"{path}: not a file; {REMEDY}")
    found = read_json(path, REMEDY)
    if found.get("kind") != KIND:
        raise LaennecError(f"{path}: no calibration of a device; {REMEDY}")
    told = found.get("format")
    if isinstance(told, int) and not isinstance(told, bool) and told > FORMAT:
        raise LaennecError(
            f"{path}: a calibration of format {shown(told)}, and this Laennec reads up to {FORMAT}; "
            "update it: pip install -U laennec"
        )
    expected = {"format": int, "date": str, "model": dict, "patients": int, "recordings": int, "card": dict}
    found = read_json(path, REMEDY, **expected)
    model, numbers = found["model"], (found["format"], found["patients"], found["recordings"])
    texts = (model.get("name"), model.get("sha256"))
    if not all(isinstance(text, str) for text in texts) or any(
        number < 1 or isinstance(number, bool) for number in numbers
    ):
        raise LaennecError(f"{path}: damaged, it does not say what it is of; {REMEDY}")
    try:
        date = datetime.date.fromisoformat(found["date"]).isoformat()
    except ValueError as error:
        raise LaennecError(f"{path}: damaged, date is {shown(found['date'])}; {REMEDY}") from error
    return Calibration(
        name=printable(path.name),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        model_name=printable(texts[0]),
        model_sha256=printable(texts[1]),
        date=date,
        patients=found["patients"],
        recordings=found["recordings"],
        entries=found["card"],
    )


def calibrated_card(
    card: RecordingCard, sha256: str, own: Calibration, path: str | os.PathLike[str]
) -> RecordingCard:
    """The card of a model file, by its SHA-256, with the numbers of a calibration.

    LaennecError, which calls the calibration `path`, if it is for another model, or a number is missing or
    fails the check of a model file's.
    """
    if own.model_sha256 != sha256:
        raise LaennecError(
            f"{path}: made for another model, {own.model_name} ({own.model_sha256[:8]}), and not for "
            f"{card.name} ({sha256[:8]}); name that one with --model, or calibrate this one"
        )
    values = {}
    for each in fields(card):
        key = each.metadata["key"] or each.name
        if key not in ENTRIES:
            continue
        try:
            values[each.name] = each.metadata["check"](own.entries[key])
        except KeyError as error:
            raise LaennecError(f"{path}: damaged, its card has no {key}; {REMEDY}") from error
        except ValueError as error:
            why = f"{key} is {shown(own.entries[key])}; expected {error}"
            raise LaennecError(f"{path}: damaged, {why}") from error
    try:
        return replace(card, **values)
    except ValueError as error:
        raise LaennecError(f"{path}: damaged, {error}") from error
