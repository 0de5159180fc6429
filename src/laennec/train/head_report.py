"""What an adapted head is worth: figures before and after, on patients that it did not learn from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from laennec.labels import ICBHI_CYCLES, to_icbhi
from laennec.model.card import RecordingCard
from laennec.model.probability import softmax
from laennec.score.bootstrap import DRAWS, Patients, Score, over_patients
from laennec.score.calibration import calibration_gaps, error_of_gaps
from laennec.score.confusion import Floats, confusion_scores, normal_class, ratio
from laennec.score.events import event_scores
from laennec.score.predictions import Predictions
from laennec.score.tasks import merged
from laennec.train.head import Head
from laennec.train.head_fit import Items, OutOfFold, losses
from laennec.train.head_heard import Listened
from laennec.train.local_curve import Heard, Names, answers_of, patients_of, sick_of
from laennec.train.local_report import figures as figures_of_recordings
from laennec.train.recording_certainty import NEITHER, PREVALENCE

TITLES = {
    "given": "probability given to the label",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "adventitious": "Score, normal or adventitious",
    "sensitivity": "sensitivity, normal or adventitious",
    "specificity": "specificity, normal or adventitious",
    "exact": "Score, exact class",
    "ece": "calibration error",
}
"""Figures of events of given boundaries, and what they are called; of all but the last, more is better."""
FOUND = {
    "agnostic_f1": "F1, any label",
    "f1": "F1, exact class",
    "precision": "precision",
    "recall": "recall",
}
"""Figures of found events."""
HELPS, UNCLEAR, NO_HELP = "helps", "unclear", "no_help"

Pairs = Mapping[str, Mapping[str, Score]]
"""Figures: `before`, `after`, and where they can be compared patient by patient, their `change`."""


def classes_of(labels: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """What labels are measured in: the model's classes, or ICBHI's four where any label is none of them."""
    return tuple(classes) if set(labels) <= set(classes) else ICBHI_CYCLES


def in_classes(probabilities: Floats, own: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Probabilities ``(events, own)``, added up to those of the `wanted` classes."""
    if tuple(own) == tuple(wanted):
        return probabilities
    member = np.array([[to_icbhi(name) == column for column in wanted] for name in own], float)
    return np.asarray(np.minimum(probabilities @ member, 1.0))


def event_figures(
    items: Items, after: Floats, labels: Sequence[str], classes: Sequence[str], draws: int = DRAWS
) -> dict[str, dict[str, Score]]:
    """`TITLES` before and after, with their change, and intervals over patients; the change is paired.

    `after` are the logits ``(events, classes)`` that were made without each one's patient; `labels` are as
    they were given, `classes` the model's.
    """
    wanted = classes_of(labels, classes)
    named = tuple(labels) if wanted == tuple(classes) else tuple(to_icbhi(label) or "" for label in labels)
    patients = Patients.of(items.patients)
    parts = [
        _terms(logits, items, named, in_classes(softmax(logits), classes, wanted), wanted)
        for logits in (items.logits, after)
    ]
    sizes = [part.shape[1] for part in parts]
    sums = patients.sums(np.concatenate(parts, axis=1))

    def scores(drawn: Floats) -> dict[tuple[str, str], Floats]:
        before, later = (_scores(each, wanted) for each in np.split(drawn, [sizes[0]], axis=1))
        return {
            (name, when): value
            for name in TITLES
            for when, value in (
                ("before", before[name]),
                ("after", later[name]),
                ("change", later[name] - before[name]),
            )
        }

    found = over_patients(sums, scores, draws)
    return {name: {when: found[name, when] for when in ("before", "after", "change")} for name in TITLES}


def _terms(
    logits: Floats, items: Items, labels: Sequence[str], chances: Floats, classes: Sequence[str]
) -> Floats:
    """What adds up over events: number, loss, calibration gaps, and two confusions."""
    count = len(labels)
    ids = tuple(map(str, range(count)))
    whole = Predictions(ids, tuple(items.patients.tolist()), tuple(labels), tuple(classes), chances)
    columns = [np.ones((count, 1)), losses(logits, items.targets)[:, None]]
    columns.append(calibration_gaps(labels, chances, classes))
    for each in (whole, merged(whole)):
        place = {name: number for number, name in enumerate(each.classes)}
        confusion = np.zeros((count, len(place), len(place)))
        rows = np.array([place[label] for label in each.labels], int)
        confusion[np.arange(count), rows, np.asarray(each.probabilities).argmax(1)] = 1
        columns.append(confusion.reshape(count, -1))
    return np.concatenate(columns, axis=1)


def _scores(sums: Floats, classes: Sequence[str]) -> dict[str, Floats]:
    """`TITLES` of sums of `_terms` ``(draws, terms)``."""
    normal, count = normal_class(classes), len(classes)
    number, loss, gaps, confusions = np.split(sums, [1, 2, sums.shape[1] - count**2 - 4], axis=1)
    exact = confusion_scores(confusions[:, : count**2].reshape(-1, count, count), classes, normal)
    coarse = confusion_scores(confusions[:, count**2 :].reshape(-1, 2, 2), (normal, "Adventitious"), normal)
    return {
        "given": np.exp(-ratio(loss, number)[:, 0]),
        "accuracy": exact["accuracy"],
        "macro_f1": exact["macro_f1"],
        "adventitious": coarse["challenge_score"],
        "sensitivity": coarse["sensitivity"],
        "specificity": coarse["specificity"],
        "exact": exact["challenge_score"],
        "ece": error_of_gaps(gaps, number[:, 0]),
    }


def verdict(figures: Pairs, penalty: float) -> str:
    """Whether a head helps, by the probability given to the labels of patients not learnt from.

    It is a proper score: no other answer than what is believed makes it higher (Gneiting & Raftery, Journal
    of the American Statistical Association 102, 2007), and what penalties are chosen by.
    """
    change = figures["given"]["change"]
    if not np.isfinite(penalty) or change.value is None or change.value <= 0:
        return NO_HELP
    return HELPS if change.low is not None and change.low > 0 else UNCLEAR


def worse(figures: Pairs) -> list[str]:
    """The figures of `TITLES` that became worse beyond chance."""
    found = []
    for name, each in figures.items():
        change, sign = each["change"], -1 if name == "ece" else 1
        bounds = [sign * bound for bound in change.interval or ()]
        if bounds and max(bounds) < 0:
            found.append(name)
    return found


def is_righter(figures: Pairs) -> bool:
    """Whether the likeliest class is right more often, beyond chance."""
    low = figures["accuracy"]["change"].low
    return low is not None and low > 0


# --- found events and recordings ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """What is found in each recording before, and after by a head that did not learn from its patient."""

    listened: Sequence[Listened]
    before: Sequence[Heard]
    after: Sequence[Heard]
    cards: Sequence[RecordingCard]
    """Those of after."""

    @staticmethod
    def of(
        listened: Sequence[Listened],
        head: Head,
        card: RecordingCard,
        items: Items,
        others: OutOfFold,
    ) -> "Answered":
        """Answer all recordings."""
        home = dict(zip(items.patients.tolist(), others.fold.tolist(), strict=True))
        heads = {number: changed_head(head, card, change) for number, change in others.changes.items()}
        cards = {number: cooled(card, each) for number, each in others.temperatures.items()}
        numbers = [home[own.patient] for own in listened]
        return Answered(
            listened,
            [own.answered(head, card) for own in listened],
            [own.answered(heads[k], cards[k]) for own, k in zip(listened, numbers, strict=True)],
            [cards[k] for k in numbers],
        )

    def found(self, labels: Sequence[str], draws: int = DRAWS) -> dict[str, dict[str, Score]]:
        """`FOUND` in recordings whose events are all labelled; cycles' boundaries cannot be matched."""
        rows = [row for row, own in enumerate(self.listened) if own.labelled.complete]
        given = {label for own in self.listened for ear in own.ears for _, label in ear.events}
        if not rows or not given <= set(labels):
            return {}
        pairs = [(row, ear.number) for row in rows for ear in self.listened[row].ears]
        truth = [
            [
                (max(0.0, event.start_s), event.end_s, str(event.annotated))
                for event in self.listened[row].labelled.events
                if event.channel in (None, number)
            ]
            for row, number in pairs
        ]
        whose = [self.listened[row].patient for row, _ in pairs]
        scores = {}
        for when, side in (("before", self.before), ("after", self.after)):
            estimated = [
                [
                    (e.start_s, e.end_s, e.label)
                    for c in side[row].channels
                    if c.number == number
                    for e in c.events
                ]
                for row, number in pairs
            ]
            scores[when] = event_scores(truth, estimated, labels, labels[0], whose, draws)
        return {
            name: {
                when: _score(own["scores"][name], own["intervals"][name], own["subjects"])
                for when, own in scores.items()
            }
            for name in FOUND
        }

    def recordings(self, card: RecordingCard, draws: int = DRAWS) -> dict[str, dict[str, Score]]:
        """Of recordings as sick or well: those of `laennec.train.local_report.TITLES`."""
        names, sick = patients_of(self.before), sick_of(self.before)
        if min(len(set(names[sick].tolist())), len(set(names[~sick].tolist()))) < 2:
            return {}
        scores: dict[str, dict[str, Score]] = {}
        for when, side, cards in (
            ("before", self.before, [card] * len(self.before)),
            ("after", self.after, self.cards),
        ):
            own = _of_recordings(side, cards, names, draws)
            for name, score in own.items():
                scores.setdefault(name, {})[when] = score
        return scores

    def told(self, card: RecordingCard, items: Items, after: Floats) -> list[dict[str, Any]]:
        """Of each recording what is answered before and after, as its events are labelled, in JSON's types.

        `right` is how many of its labelled events get their label at their given boundaries.
        """
        right = {
            when: (items.targets > 0)[np.arange(len(items)), logits.argmax(1)]
            for when, logits in (("before", items.logits), ("after", after))
        }
        rows, place = [], 0
        for number, own in enumerate(self.listened):
            labels = [label for ear in own.ears for _, label in ear.events]
            here = slice(place, place + len(labels))
            place += len(labels)
            sides = {"before": (self.before, card), "after": (self.after, self.cards[number])}
            rows.append(
                {
                    "path": str(own.labelled.path),
                    "labelled": dict(Counter(labels)),
                    **{
                        when: {
                            **_answer(side[number], own_card),
                            "right": int(right[when][here].sum()),
                        }
                        for when, (side, own_card) in sides.items()
                    },
                }
            )
        return rows


def _answer(own: Heard, card: RecordingCard) -> dict[str, Any]:
    answer = own.answer(card)
    events = Counter(event.label for channel in own.channels for event in channel.events)
    return {"record": None if answer is None else answer.label, "events": dict(events)}


def _score(value: float | None, bounds: Sequence[float] | None, patients: int) -> Score:
    low, high = bounds or (None, None)
    return Score(value, low, high, patients)


def _of_recordings(
    side: Sequence[Heard], cards: Sequence[RecordingCard], names: Names, draws: int
) -> dict[str, Score]:
    predicted = [own.answer(card) for own, card in zip(side, cards, strict=True)]
    chance = np.array([own.chance(card) for own, card in zip(side, cards, strict=True)])
    answers = answers_of(side, predicted, cards[0].records)
    called = np.where([own is None or own.uncertain for own in predicted], NEITHER, answers.called)
    refused = np.array([own is None or own.refused is not None for own in predicted])
    return figures_of_recordings(chance, called, refused, sick_of(side), names, PREVALENCE, draws)


def changed_head(head: Head, card: RecordingCard, change: Any) -> Head:
    """The head with a change of its calibrated logits."""
    scale = card.event_temperature
    return head.changed(head.weights + scale * change.weights, head.bias + scale * change.bias)


def cooled(card: RecordingCard, temperature: float) -> RecordingCard:
    """The card whose calibrated logits of events are divided by a temperature besides."""
    return replace(
        card,
        event_temperature=card.event_temperature * temperature,
        event_bias=tuple(bias / temperature for bias in card.event_bias),
    )


def told(figures: Pairs) -> dict[str, dict[str, Any]]:
    """Figures as JSON has them."""
    return {
        name: {when: {"value": own.value, "interval": own.interval} for when, own in each.items()}
        for name, each in figures.items()
    }
