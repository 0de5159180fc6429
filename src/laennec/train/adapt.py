"""What ``laennec adapt`` does: labelled events of one's own patients become a model with another head."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from laennec import datasets
from laennec.annotations import Boundary
from laennec.audio.samples import counted
from laennec.datasets.records import load_clips
from laennec.errors import LaennecError, UsageError
from laennec.files import begins, make_folder, refuse_loss, write_json, written_whole
from laennec.labels import KNOWN_LABELS, NORMAL, spelling
from laennec.model.card import RECORDING, RecordingCard
from laennec.model.detector import Detector
from laennec.model.load import ONNX_START, load_detector, load_model
from laennec.model.probability import hit_probability, softmax
from laennec.progress import Watch, track
from laennec.score.bootstrap import DRAWS
from laennec.score.calibration import COVERAGE
from laennec.score.text import columns, with_interval
from laennec.train.head import AdaptableModel, Head
from laennec.train.head_fit import FEW_PATIENTS, fit_change, fitted_temperature, out_of_fold
from laennec.train.head_heard import Labelled, Listened, heard, items_of
from laennec.train.head_report import (
    FOUND,
    HELPS,
    NO_HELP,
    TITLES,
    UNCLEAR,
    Answered,
    Pairs,
    changed_head,
    cooled,
    event_figures,
    is_righter,
    told,
    verdict,
    worse,
)
from laennec.train.local_report import TITLES as OF_RECORDINGS
from laennec.version import DISCLAIMER, __version__

FEWEST_PATIENTS = 10
FEWEST_OF_A_KIND = 2  # so that one of them is among those that are learnt from
NEVER = 1.0  # a certainty that no event reaches
KEPT = "where events begin and end, whether one is there, what is refused, and the label of a recording"
SENTENCES = {
    HELPS: "It helps: the labels of patients that it did not learn from became likelier, beyond chance.",
    UNCLEAR: "It may help: the labels of patients that it did not learn from became likelier, and that may "
    "be chance. More patients would tell.",
    NO_HELP: "It does not help: the labels of patients that it did not learn from became no likelier.",
}


def adapt(
    data: Path,
    out: Path,
    dataset: str | None = None,
    model: str | None = None,
    anyway: bool = False,
) -> "Adapted":
    """Write a model file whose event classes are fitted to labelled events of one's own, and a report.

    Parameters
    ----------
    data, dataset
        Folder of a data set, and its name; by default what the folder looks like.
    out
        The file to write; its figures go beside it, as ``.onnx.json``.
    model
        A model for whole recordings; by default the one that ships.
    anyway
        Write the file even if it does not help.

    Raises
    ------
    UsageError
        If there is no such data set, or `out` is no name of a model file.
    LaennecError
        If there are too few patients, the model has another head or is for clips, or the file cannot be
        written. Nothing is written then, nor where it does not help (`Adapted.is_offered`).
    """
    if out.suffix != ".onnx":
        raise UsageError(f"--out {out}: name a model file, such as ward.onnx")
    refuse_loss(out, begins(ONNX_START))
    refuse_loss(report_of(out), begins(b"{"))
    dataset = dataset or datasets.guess(data)
    make_folder(out.absolute().parent, outside=(data,))
    detector = load_detector(model or RECORDING)
    sources = labelled_events(dataset, data, detector.card)
    made = learn(sources, detector, out.stem, datasets.dataset(dataset).NAME)
    if made.is_offered(anyway):
        write(made, out)
    return made


def write(made: "Adapted", out: Path) -> None:
    """Write the model file and, beside it, its figures; each whole or not at all."""
    with written_whole(out) as temporary:
        temporary.write_bytes(made.content)
        load_model(temporary)  # what cannot be read again is not written
    write_json(report_of(out), made.json())


def report_of(out: Path) -> Path:
    """Where the figures of a model file go: beside it, under a name that no calibration has."""
    return out.with_name(f"{out.name}.json")


def labelled_events(dataset: str, data: Path, card: RecordingCard) -> list[Labelled]:
    """The recordings of a data set with their events; those of unknown patients, or labels, are left out.

    LaennecError if the data set has no events.
    """
    clips = load_clips(dataset, data)
    clips = clips.assign(label=[spelling(str(label), KNOWN_LABELS) or str(label) for label in clips["label"]])
    known = {*card.labels, "Crackle"}
    lower = {"normal", "crackle", "wheeze", "both"}
    usable = [label in known or label.lower() in lower for label in clips["label"]]
    clips = clips[np.array(usable, bool) & clips["subject"].notna().to_numpy(bool)]
    return [
        Labelled(Path(str(path)), str(own["subject"].iloc[0]), _boundaries(own))
        for path, own in clips.groupby("path", sort=True)
    ]


def _boundaries(clips: pd.DataFrame) -> list[Boundary]:
    timed: list[Any] = list(clips[clips["end_s"].notna()].itertuples())
    return [
        Boundary(
            float(row.start_s),
            float(row.end_s),
            str(row.label),
            None if pd.isna(row.channel) else int(row.channel),
        )
        for row in timed
    ]


def check_enough(listened: Sequence[Listened]) -> None:
    """Refuse too few patients; LaennecError says how many are needed, and why."""
    patients = {own.patient for own in listened}
    events = sum(len(ear.events) for own in listened for ear in own.ears)
    if len(patients) < FEWEST_PATIENTS:
        raise LaennecError(
            f"{counted(events, 'labelled event')} of {counted(len(patients), 'patient')}; a model needs "
            f"{FEWEST_PATIENTS} patients or more to learn from, since it is measured on patients that it did "
            "not learn from, and fewer tell nothing"
        )
    for sick, what in ((True, "adventitious"), (False, "normal")):
        own = {
            each.patient
            for each in listened
            for ear in each.ears
            for _, label in ear.events
            if (label.lower() != NORMAL.lower()) == sick
        }
        if len(own) < FEWEST_OF_A_KIND:
            raise LaennecError(
                f"{what} events of {counted(len(own), 'patient')}, of {len(patients)}; a model needs such "
                f"of {FEWEST_OF_A_KIND} patients or more to tell them apart"
            )


@dataclass(frozen=True, eq=False)
class Adapted:
    """A model with another head, and what it is worth."""

    parent: Detector
    head: Head
    after: RecordingCard
    content: bytes
    """Of the model file."""
    penalty: float
    verdict: str
    counts: Mapping[str, Any]
    """``patients``, ``recordings``, ``events``, and ``classes``: events and patients of each label."""
    events: Pairs
    found: Pairs
    recordings: Pairs
    answers: Sequence[Mapping[str, Any]]
    """Of each recording, `laennec.train.head_report.Answered.told`."""

    @property
    def sha256(self) -> str:
        """Of the model file."""
        return hashlib.sha256(self.content).hexdigest()

    def json(self) -> dict[str, Any]:
        """Everything that is to be known of it."""
        return {
            "laennec": __version__,
            "model": {"name": self.after.name, "sha256": self.sha256},
            "parent": {
                "name": self.parent.card.name,
                "version": self.parent.card.version,
                "sha256": self.parent.sha256,
            },
            **self.counts,
            "penalty": self.penalty if np.isfinite(self.penalty) else None,
            "verdict": self.verdict,
            "sentence": " ".join(self.sentences()),
            "worse": worse(self.events),
            "righter": is_righter(self.events),
            "events_before_after": told(self.events),
            "found_before_after": told(self.found),
            "recordings_before_after": told(self.recordings),
            "not_learnt": KEPT,
            "answers": [{**own, "path": Path(own["path"]).name} for own in self.answers],
        }

    def is_offered(self, anyway: bool = False) -> bool:
        """Whether it is written: where it helps or may help, or where that does not matter."""
        return anyway or self.verdict != NO_HELP

    def sentences(self) -> list[str]:
        """What the figures mean, for better and for worse."""
        told = [SENTENCES[self.verdict]]
        if not is_righter(self.events):
            told.append("The likeliest class was not right more often, beyond chance.")
        if fallen := worse(self.events):
            told.append(f"Worse, beyond chance: {', '.join(TITLES[name] for name in fallen)}.")
        return told

    def report(self) -> str:
        """What is to be known of it, for the terminal."""
        parts: list[tuple[str, Pairs, Mapping[str, str]]] = [
            ("labelled events", self.events, TITLES),
            ("found events", self.found, FOUND),
            ("recordings, with adventitious sounds or without", self.recordings, OF_RECORDINGS),
        ]
        lines = [
            f"{counted(self.counts['events'], 'event')} in {counted(self.counts['recordings'], 'recording')} "
            f"of {counted(self.counts['patients'], 'patient')}",
        ]
        for title, pairs, names in parts:
            rows = [
                [names[name], *(with_interval(each[w].value, each[w].interval) for w in each)]
                for name, each in pairs.items()
            ]
            if rows:
                lines += ["", columns([title, "before", "after", "change"][: len(rows[0])], rows)]
        return "\n".join(
            [
                *lines,
                "",
                "After: each patient answered by what the others taught; 95 % intervals over patients.",
                *self.sentences(),
                f"Not learnt: {KEPT}.",
                DISCLAIMER,
            ]
        )


def learn(
    sources: Sequence[Labelled],
    detector: Detector,
    name: str,
    dataset: str,
    watch: Watch = track,
    draws: int = DRAWS,
) -> Adapted:
    """Fit a head to labelled recordings and measure it; `name` is the new model's, `dataset` the sources'."""
    model = AdaptableModel(detector)
    listened = list(heard(sources, model.listener(), watch))
    check_enough(listened)
    return learnt(listened, model, name, dataset, watch, draws)


def learnt(
    listened: Sequence[Listened],
    model: AdaptableModel,
    name: str,
    dataset: str,
    watch: Watch = track,
    draws: int = DRAWS,
) -> Adapted:
    """The same of what was heard."""
    card, head = model.card, model.head
    items, labels = items_of(listened, head, card)
    others = out_of_fold(items, watch)
    change, penalty = fit_change(items)
    figures = event_figures(items, others.calibrated(), labels, card.labels, draws)
    answered = Answered.of(listened, head, card, items, others)
    found, recordings = answered.found(card.labels, draws), answered.recordings(card, draws)
    own = cooled(card, fitted_temperature(others.logits, items.targets, items.patients))
    own = with_certainty(own, others.calibrated(), answered, len(set(items.patients.tolist())))
    counts = counts_of(listened, labels, items.patients.tolist())
    entries = entries_of(own, card, name, dataset, counts, figures, model.detector, listened)
    made = changed_head(head, card, change)
    content = model.with_head(made, entries)
    return Adapted(
        model.detector,
        made,
        replace(own, name=name),
        content,
        penalty,
        verdict(figures, penalty),
        counts,
        figures,
        found,
        recordings,
        answered.told(card, items, others.calibrated()),
    )


def with_certainty(card: RecordingCard, logits: Any, answered: Answered, patients: int) -> RecordingCard:
    """The card with thresholds that the share `COVERAGE` of others' events reach; none, with few patients."""
    if patients < FEW_PATIENTS:
        return replace(card, event_abstain_below=NEVER, event_hit_abstain_below=NEVER)
    chances = softmax(logits).max(1)
    events = [e for own in answered.after for channel in own.channels for e in channel.events]
    hits = hit_probability(
        np.array([event.presence for event in events]),
        np.array([event.probability for event in events]),
        np.array([event.end_s - event.start_s for event in events]),
        card.event_presence,
    )
    return replace(
        card,
        event_abstain_below=round(float(np.quantile(chances, 1 - COVERAGE)), 4),
        event_hit_abstain_below=round(float(np.quantile(hits, 1 - COVERAGE)), 4) if len(hits) else NEVER,
    )


def counts_of(listened: Sequence[Listened], labels: Sequence[str], patients: Sequence[str]) -> dict[str, Any]:
    """How much was learnt from."""
    of_class = Counter(labels)
    whose = {
        label: len({p for p, own in zip(patients, labels, strict=True) if own == label}) for label in of_class
    }
    return {
        "patients": len(set(patients)),
        "recordings": len(listened),
        "events": len(labels),
        "classes": {
            label: {"events": count, "patients": whose[label]} for label, count in of_class.most_common()
        },
    }


def entries_of(
    own: RecordingCard,
    before: RecordingCard,
    name: str,
    dataset: str,
    counts: Mapping[str, Any],
    figures: Pairs,
    parent: Detector,
    listened: Sequence[Listened],
) -> dict[str, Any]:
    """Entries of the card that differ from the parent's.

    Patients and recordings are counted and not named: a model file may be passed on.
    """
    size = (
        f"{counted(counts['events'], 'event')} in {counted(counts['recordings'], 'recording')} of "
        f"{counted(counts['patients'], 'patient')} of {dataset}"
    )
    names = "\n".join(sorted(each.labelled.path.name for each in listened))
    return {
        "name": name,
        "version": __version__,
        "event_temperature": own.event_temperature,
        "event_bias": list(own.event_bias),
        "event_certain": own.event_abstain_below,
        "hit_certain": own.event_hit_abstain_below,
        "data": {
            **before.data,
            "adapted": f"event classes fitted to {size}",
            "adapted_recordings_sha256": hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest(),
            "parent": f"{before.name} {before.version}, sha256 {parent.sha256}",
        },
        "metrics": {
            **{f"{TITLES[name]}, after": each["after"].value for name, each in figures.items()},
            **{f"{TITLES[name]}, before": each["before"].value for name, each in figures.items()},
            "how": f"{size}; each patient answered by what the others taught; the file learnt from all",
        },
        "limits": f"Its event classes were fitted to {size}, and measured on no others. {before.limits}",
    }
