"""Answers to the four tasks of the BioCAS 2022 and 2023 challenge: file name to class name, in a JSON object.

For tasks 11 and 12 every file in a folder is an event already cut: Normal or Adventitious, and all seven
classes, where "Wheeze & Crackle" is spelt so. For tasks 21 and 22 every file is a whole recording: Normal,
Adventitious or Poor Quality, and Normal, CAS, DAS, CAS & DAS or Poor Quality.

Source: Zhang et al., "Grand Challenge on Respiratory Sound Classification", IEEE BioCAS 2022.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.analyze import analyze
from laennec.analyze.inputs import model_for
from laennec.annotations.sprsound import parse_name
from laennec.audio.folder import audio_files, counted_endings
from laennec.audio.recording import Recording
from laennec.audio.samples import by_number, counted
from laennec.errors import LaennecError, no_folder
from laennec.files import make_folder, printable, refuse_loss, write_json
from laennec.labels import (
    ADVENTITIOUS,
    CHALLENGE_SPELLING,
    CHALLENGE_TASKS,
    NORMAL,
    POOR_QUALITY,
    RECORD_TASKS,
    SPRSOUND_EVENTS,
    SPRSOUND_RECORDS,
)
from laennec.model.card import RecordingCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.patient import Patient
from laennec.progress import track

Model = str | os.PathLike[str] | LungModel | Detector | None

EVENTS_AT_ONCE = 64  # held in memory together


def answer_folder(
    task: int, folder: str | os.PathLike[str], out: str | os.PathLike[str], model: Model = None
) -> None:
    """Answer a task of the challenge, 11, 12, 21 or 22, for a folder of cut events or whole recordings.

    Files that are not called audio (.wav, .flac, .m4a and the like) are passed over, and so are hidden ones
    (``._a.wav``); folders in it are not entered. Age, sex and position are taken from names of SPRSound's
    form; other names leave them unknown. An event's channels are
    averaged; where they cancel each other, the loudest is taken.

    Task 12 answers the likeliest class. Task 11 answers Adventitious where the six adventitious classes
    together are likelier than Normal; the likeliest of seven would call normal what is most likely not. Tasks
    21 and 22 are answered by :func:`record_answer_of`. A recording that is refused, silent or too short is of
    Poor Quality, the class for what cannot be heard. An event shorter than 0.1 s is answered too, since the
    contract wants a class for every file; a line on stderr names it.

    Parameters
    ----------
    out : path
        The answer, ``{"<file name>": "<class>"}``, by file name.
    model : path, str, LungModel or Detector, optional
        As for :func:`laennec.load_model` (11, 12) or :func:`laennec.analyze.analyze` (21, 22).

    Raises
    ------
    LaennecError
        If the task is another, the folder holds no audio, the model does not answer it, or `out` is
        another file than an answer. If a file
        cannot be read, the answers for all others are written first; an answer for it would be made up.
    """
    if task not in CHALLENGE_TASKS:
        raise LaennecError(f"task is {task}; expected one of {', '.join(map(str, CHALLENGE_TASKS))}")
    if not Path(folder).is_dir():
        what = "whole recordings" if task in RECORD_TASKS else "cut events"
        raise LaennecError(
            f"{folder}: {no_folder(folder)}; for task {task}, --wav names the folder of the {what}"
        )
    found = audio_files(Path(folder), below=False)
    paths = sorted([*found.paths, *found.linked])  # the challenge wants an answer for each name
    if found.passed_over:
        print(f"laennec: {counted_endings(found.passed_over)}", file=sys.stderr)
    refuse_loss(out, _is_answer)
    make_folder(Path(out).parent)  # before the work, not after it
    loaded = model_for(model, clips=task not in RECORD_TASKS)
    _check(loaded, task)
    unread: list[str] = []
    if isinstance(loaded, Detector):
        answers = dict(_recording_answers(task, paths, loaded, unread))
    else:
        answers = dict(_event_answers(task, paths, loaded, unread))
    write_json(out, dict(sorted(answers.items())))
    if unread:
        raise LaennecError(
            f"{len(unread)} of {counted(len(paths), 'file', '')} {by_number(len(unread), 'has', 'have')} "
            f"no answer in {out}: {'; '.join(unread[:5])}" + ("; …" if len(unread) > 5 else "")
        )


def _is_answer(path: Path) -> bool:
    """Whether a file is an answer to a task: classes by file name."""
    classes = {CHALLENGE_SPELLING.get(name, name) for task in CHALLENGE_TASKS.values() for name in task}
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(
        isinstance(each, str) and each in classes for each in found.values()
    )


def answers_of(probabilities: npt.NDArray[Any], labels: Sequence[str], normal: str, task: int) -> list[str]:
    """Return the class names of ``(clips, classes)`` probabilities, as the task spells them."""
    if task == 11:
        is_normal = probabilities[:, list(labels).index(normal)] >= 0.5
        return [NORMAL if answer else ADVENTITIOUS for answer in is_normal]
    best = [labels[index] for index in np.argmax(probabilities, axis=1)]
    return [CHALLENGE_SPELLING.get(label, label) for label in best]


def record_answer_of(
    probabilities: Mapping[str, float], task: int, shift: float = 0.0, poor_shift: float = 0.0
) -> str:
    """Return the class of a whole recording, for task 21 or 22; without probabilities it was refused.

    Task 21: the likeliest of Normal, Adventitious (CAS, DAS, CAS & DAS together) and Poor Quality. Task 22:
    the likeliest of the five. `shift` is taken from the logarithm of the probability of Normal before, and
    `poor_shift` from that of Poor Quality, since the Score weighs classes otherwise than their frequency
    does; they are measured on patients that the model was not trained on, and kept in its card.
    """
    if not probabilities:
        return POOR_QUALITY
    chances = {
        **probabilities,
        NORMAL: probabilities[NORMAL] * math.exp(-shift),
        POOR_QUALITY: probabilities[POOR_QUALITY] * math.exp(-poor_shift),
    }
    classes = CHALLENGE_TASKS[task]
    return max(classes, key=lambda name: sum(chances[label] for label in classes[name]))


def patient_of(name: str) -> Patient:
    """Return what a file name of SPRSound's form tells of the patient; nothing is known of another name's."""
    parsed = parse_name(Path(name).stem)
    return Patient() if parsed is None else parsed.patient


def _check(model: LungModel | Detector, task: int) -> None:
    """Refuse a model that is for the other tasks, or has other classes than the task."""
    card = model.card
    whole = isinstance(card, RecordingCard)
    if whole and task not in RECORD_TASKS:
        raise LaennecError(f"the model {card.name} is for whole recordings; task {task} asks of events")
    if not whole and task in RECORD_TASKS:
        raise LaennecError(
            f"the model {card.name} gives no answers for whole recordings; task {task} asks them"
        )
    labels: Sequence[str] = card.records if isinstance(card, RecordingCard) else card.labels
    expected: Sequence[str] = {12: SPRSOUND_EVENTS, 11: labels}.get(task, SPRSOUND_RECORDS)
    if set(labels) != set(expected):
        raise LaennecError(
            f"the model {card.name} tells {', '.join(labels)}; task {task} asks for {', '.join(expected)}"
        )


def _recording_answers(
    task: int, paths: Sequence[Path], model: Detector, unread: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield name and class of each recording; `unread` gets what is wrong with the others."""
    shifts = [own.get(str(task), 0.0) for own in (model.card.normal_shift, model.card.poor_shift)]
    for path in track(paths, "answering"):
        try:
            record = analyze(path, model=model, **asdict(patient_of(path.name))).record
        except LaennecError as error:
            unread.append(str(error))
            continue
        except Exception as error:  # a mistake of ours with one recording must not cost all the others
            unread.append(f"{path.name}: {type(error).__name__}: {error} (an error in Laennec)")
            continue
        # Of a silent or too short recording there is no answer.
        yield path.name, record_answer_of(record.probabilities if record else {}, task, *shifts)


def _event_answers(
    task: int, paths: Sequence[Path], model: LungModel, unread: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield name and class of each event; `unread` gets what is wrong with the others."""
    card = model.card
    events = _read_events(track(paths, "answering"), card.sample_rate, unread)
    while batch := dict(islice(events, EVENTS_AT_ONCE)):
        patients = [patient_of(name) for name in batch]
        rows = model.predict(
            list(batch.values()),
            card.sample_rate,
            [patient.age_years for patient in patients],
            [patient.sex for patient in patients],
            [patient.position if patient.position in card.positions else None for patient in patients],
        )
        yield from zip(batch, answers_of(rows, card.labels, card.normal, task), strict=True)


def _read_events(
    paths: Iterable[Path], rate: int, unread: list[str]
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield name and samples, ``(samples,)``, of each file; `unread` gets what is wrong with the others."""
    for path in paths:
        try:
            recording = Recording.read(path)
            samples = recording.mono().resampled(rate).samples[0]
        except LaennecError as error:
            unread.append(str(error))
            continue
        for finding in recording.warnings:
            if finding.kind == "too_short":
                told = f"{path.name}: {finding.message}; answered all the same"
                print(f"laennec: {printable(told)}", file=sys.stderr)
        yield path.name, samples
