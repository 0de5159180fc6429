"""What ``laennec calibrate`` does: patients of one's own, heard by a model, become a calibration file."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from laennec import datasets
from laennec.analyze import DetectionSettings, detect, listen
from laennec.analyze.inputs import Remarks, channels_of
from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.datasets.records import labelled_recordings
from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder, printable, refuse_loss, write_json
from laennec.labels import KNOWN_LABELS, NORMAL, POOR_QUALITY, is_adventitious, nearest, spelling
from laennec.model.calibration import read_calibration
from laennec.model.card import RECORDING, RecordingCard
from laennec.model.detector import Detector
from laennec.model.load import load_detector
from laennec.model.probability import sick_labels
from laennec.patient import Patient
from laennec.progress import Watch, track
from laennec.train.local_curve import Heard
from laennec.train.local_report import Local
from laennec.train.recording_certainty import PREVALENCE

FEWEST_PATIENTS = 10
FEWEST_OF_A_KIND = 2  # so that one of them is among the others


def calibrate(
    data: Path,
    out: Path,
    dataset: str | None = None,
    model: str | None = None,
    prevalence: float = PREVALENCE,
) -> Local:
    """Write a calibration that fits a model for whole recordings to labelled patients of one's own.

    Parameters
    ----------
    data, dataset
        Folder of a data set, and its name; by default what the folder looks like.
    out
        The file to write.
    model
        A model for whole recordings; by default the one that ships.
    prevalence
        Share of recordings with adventitious sounds in everyday use.

    Raises
    ------
    UsageError
        If the prevalence is no share, or there is no such data set.
    LaennecError
        If there are too few patients, no sick or no well ones, or no labels; the model is for clips; or the
        file cannot be written. Nothing is written then.
    """
    if not 0.01 <= prevalence <= 0.99:
        raise UsageError(f"--prevalence {prevalence:g}: expected a share from 0.01 to 0.99, such as 0.3")
    dataset = dataset or datasets.guess(data)
    _check_place(out, data)
    detector = load_detector(model or RECORDING)
    _check_records(detector.card, detector.source)
    heard = list(hear(told(labelled(dataset, data)), detector))
    check_enough(heard)
    made = Local.of(heard, detector.card, prevalence)
    write_json(out, made.file(datasets.dataset(dataset).NAME, detector.sha256))
    return made


def _check_place(out: Path, data: Path) -> None:
    refuse_loss(out, _is_calibration)
    make_folder(out.absolute().parent, outside=(data,))  # before the work, not after it


def _is_calibration(path: Path) -> bool:
    try:
        read_calibration(path)
    except LaennecError:
        return False
    return True


def _check_records(card: RecordingCard, source: str) -> None:
    if NORMAL not in card.records or not sick_labels(card.records).any():
        raise LaennecError(
            f"{source}: its labels of recordings are {', '.join(card.records)}; expected {NORMAL} and others"
        )


def labelled(dataset: str, data: Path) -> pd.DataFrame:
    """Recordings that are labelled as ``sick`` or not, and whose patient is known; the others are told of.

    LaennecError if there are none.
    """
    table = labelled_recordings(dataset, data)
    verdicts = [_verdict(labels) for labels in table["labels"]]
    table = table.assign(sick=[own is True for own in verdicts])
    known = np.array([isinstance(own, bool) for own in verdicts], bool)
    unknown = Counter(str(own) for own in verdicts if isinstance(own, str) and own != POOR_QUALITY)
    for label, count in unknown.items():
        near = nearest(label)
        meant = f"; did you mean {near!r}?" if near else ""
        _say(f"left out: {counted(count, 'recording')} labelled {label!r}, which is no known label{meant}")
    if poor := verdicts.count(POOR_QUALITY):
        _say(f"left out: {counted(poor, 'recording')} of poor quality")
    if not known.any():
        raise LaennecError(
            f"{data}: no recording has a label that tells whether it is normal; known are "
            f"{', '.join(KNOWN_LABELS)}"
        )
    nobodys = table["subject"].isna().to_numpy(bool) & known
    if nobodys.any():
        _say(
            f"left out: {counted(int(nobodys.sum()), 'recording')} of unknown patients; name them in a "
            "column 'subject' (clips.csv, subjects.csv), or have a folder for each"
        )
    return table[known & ~nobodys]


def _verdict(labels: Sequence[str]) -> bool | str:
    """Whether labels of a recording tell of adventitious sounds; the label for which that is not known."""
    each = {str(label): is_adventitious(str(label)) for label in labels}
    if any(spelling(label, KNOWN_LABELS) == POOR_QUALITY for label in each):
        return POOR_QUALITY
    if any(each.values()):
        return True
    return next((label for label, own in each.items() if own is None), False)


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)


class Told(NamedTuple):
    """A recording, one of its channels or None for all, whose it is, and whether that patient is sick."""

    path: Path
    channel: int | None
    patient: str
    sick: bool


def told(table: pd.DataFrame) -> list[Told]:
    """The `labelled` recordings."""
    rows = table[["path", "channel", "subject", "sick"]].itertuples(index=False, name=None)
    return [
        Told(Path(path), None if pd.isna(channel) else int(channel), str(subject), bool(sick))
        for path, channel, subject, sick in rows
    ]


def hear(recordings: Sequence[Told], detector: Detector, watch: Watch = track) -> Iterator[Heard]:
    """What a model hears in each recording; one that cannot be analysed is told of."""
    # Whatever the threshold of refusal becomes, it can be applied to what was heard then.
    open_eared = replace(detector, card=replace(detector.card, lung_threshold=0.0))
    files = [(path, list(own)) for path, own in groupby(recordings, key=lambda each: each.path)]
    for path, own in watch(files, "listening"):
        try:
            recording = Recording.open(path)
            numbers = channels_of(recording, detector.card, Patient(), Remarks())
            frames = listen(recording, numbers, open_eared)
            card, silent = open_eared.card, recording.silent_range
            settings = DetectionSettings(numbers, card, maps=False, silent_range=silent)
            channels = detect(frames, settings) if numbers else []
        except LaennecError as error:
            _say(f"left out: {error}")
            continue
        for _, only, patient, sick in own:
            there = [each for each in channels if only in (None, each.number)]
            heard = Heard(patient, sick, there, tuple(recording.warnings))
            if heard.lung_share() >= 0:
                yield heard
            else:
                _say(f"left out: {path}: silent, too short, or a copy of another channel")


def check_enough(heard: Sequence[Heard]) -> None:
    """Refuse too few patients."""
    patients = {own.patient for own in heard}
    if len(patients) < FEWEST_PATIENTS:
        raise LaennecError(
            f"{counted(len(heard), 'labelled recording')} of {counted(len(patients), 'patient')}; a "
            f"calibration needs {FEWEST_PATIENTS} patients or more"
        )
    for sick, what in ((True, "with adventitious sounds"), (False, "with normal recordings")):
        own = {each.patient for each in heard if each.sick == sick}
        if len(own) < FEWEST_OF_A_KIND:
            raise LaennecError(
                f"{counted(len(own), 'patient')} {what}, of {len(patients)}; a calibration needs "
                f"{FEWEST_OF_A_KIND} or more of both, since it tells one from the other"
            )
