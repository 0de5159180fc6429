"""What kept outputs choose, and what is answered with it.

A group is a data set, as one protocol held it out. Events and answers are decided as `laennec.analyze` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from laennec.analyze.analysis import Event
from laennec.analyze.events import emission_scores, families, find_events_of_each
from laennec.analyze.recording import event_doubts
from laennec.labels import NORMAL, SOUND_KINDS, SPRSOUND_RECORDS
from laennec.model.card import EventRule
from laennec.model.probability import (
    answer_certainty,
    calibrated,
    evidence_of_records,
    family_evidence,
    hit_features,
    hit_probability,
    sick_labels,
    sigmoid,
    with_evidence,
)
from laennec.score.events import match_events
from laennec.train.recording_certainty import (
    NEITHER,
    Answers,
    called_as,
    certain_thresholds,
    prevalence_weights,
)
from laennec.train.recording_decision import (
    FINER,
    RULES,
    Floats,
    Labelled,
    Mask,
    Names,
    RecordingDecision,
    covering,
    fit_hits,
)
from laennec.train.recording_predictions import FloatSpan, RecordingOutput
from laennec.train.sound_patterns import margins, refusal_threshold

LEFT_OUT = "leave-one-out"
PARTS = 5  # of the patients of a fold, where nobody else could choose for them


@dataclass(frozen=True)
class Found:
    """What a rule finds in a recording: spans, and of each the mean presence and the class logits."""

    spans: list[FloatSpan]
    presence: Floats
    logits: Floats

    @property
    def length_s(self) -> Floats:
        """Of each span."""
        return np.array([end_s - start_s for start_s, end_s in self.spans])


@dataclass(frozen=True)
class Hits:
    """Found events, ``(events,)`` each; a hit matches an annotated event of the same class."""

    features: Floats
    chance: Floats
    """Probability of a hit."""
    hit: Mask
    patients: Names
    groups: Names

    def chosen(self) -> "Hits":
        """Those that are hits."""
        return Hits(*(column[self.hit] for column in vars(self).values()))


def numbers(rows: Mask) -> list[int]:
    """The numbers of the chosen rows."""
    return [int(row) for row in np.flatnonzero(rows)]


class Chooser:
    """Decisions that fit some of the recordings, and answers to others. What is decoded is kept."""

    def __init__(
        self,
        outputs: Sequence[RecordingOutput],
        labels: Sequence[str],
        records: Sequence[str] = SPRSOUND_RECORDS,
        frames_tell: bool = False,
    ) -> None:
        self.outputs, self.labels, self.records = list(outputs), tuple(labels), tuple(records)
        self.frames_tell = frames_tell
        self.datasets = np.array([own.dataset or f"placed: {own.placed}" for own in outputs])
        self.groups = np.array(
            [f"{own.split}: {name}" for own, name in zip(outputs, self.datasets, strict=True)]
        )
        # Of other sounds alone: the lungs of a data set are one source.
        self.devices = np.array([own.device if own.kind else "" for own in outputs])
        self.patients = np.array([own.subject or own.name for own in outputs])
        self.lungs = np.array([own.kind == 0 for own in outputs])
        self.annotated = self.lungs & [own.placed for own in outputs]
        self.labelled = self.lungs & [own.record >= 0 for own in outputs]
        self._found: dict[tuple[EventRule, int], Found] = {}
        self._matches: dict[tuple[EventRule, int], list[tuple[int, int]]] = {}
        self._counts: dict[EventRule, Floats] = {}

    @cached_property
    def lung_share(self) -> Floats:
        """Probability of each recording to be of a lung."""
        return np.array([calibrated(own.kind_logits, 1.0)[0] for own in self.outputs])

    @cached_property
    def lung_odds(self) -> Floats:
        """Log-odds of the same."""
        return margins(np.array([own.kind_logits for own in self.outputs], float), SOUND_KINDS)

    # --- events ---------------------------------------------------------------------------------------------

    def found(self, rule: EventRule, row: int) -> Found:
        """What a rule finds in a recording."""
        if (rule, row) not in self._found:  # and in all that are asked for at the same time
            rows = numbers(self.annotated if self.annotated[row] else self.labelled & ~self.annotated)
            rows = rows if row in rows else [row]
            family, chosen = families(self.labels), [self.outputs[each] for each in rows]
            scores = [emission_scores(own.presence, own.classes, family, rule) for own in chosen]
            shown = [own.presence for own in chosen]
            found = find_events_of_each(scores, shown, rule, chosen[0].frame_s)
            for each, own, frames in zip(rows, chosen, found, strict=True):
                spans = [(first * own.frame_s, end * own.frame_s) for first, end in frames]
                presence = [float(sigmoid(own.presence[0, first:end]).mean()) for first, end in frames]
                logits = [own.classes[:, first:end].mean(1) for first, end in frames]
                shape = (len(spans), len(self.labels))
                self._found[rule, each] = Found(spans, np.array(presence), np.reshape(logits, shape))
        return self._found[rule, row]

    def matches(self, rule: EventRule, row: int) -> list[tuple[int, int]]:
        """Annotated and found events of a recording that match, whatever their class."""
        if (rule, row) not in self._matches:
            reference = [(float(a), float(b), "") for a, b in self.outputs[row].spans]
            estimated = [(a, b, "") for a, b in self.found(rule, row).spans]
            self._matches[rule, row] = match_events(reference, estimated, agnostic=True)
        return self._matches[rule, row]

    def counts(self, rule: EventRule) -> Floats:
        """Matches of each family, annotated and found events of it, ``(recordings, 3, 3)``."""
        if rule not in self._counts:
            self._counts[rule] = np.zeros((len(self.outputs), 3, 3))
            family = np.array(families(self.labels))
            for row in numbers(self.annotated):
                own, found = self.outputs[row], self.found(rule, row)
                sides = (family[own.labels], family[found.logits.argmax(1)])
                spans = (own.spans, np.reshape(np.array(found.spans), (-1, 2)))
                for number in range(3):
                    mine, theirs = (
                        [(float(a), float(b), "") for a, b in each[side == number]]
                        for each, side in zip(spans, sides, strict=True)
                    )
                    pairs = len(match_events(mine, theirs, agnostic=True))
                    self._counts[rule][row, number] = pairs, len(mine), len(theirs)
        return self._counts[rule]

    def best_rule(self, rows: Mask) -> EventRule:
        """The rule of the best F in the worst group: the mean of the families that are annotated there.

        So that normal breaths do not decide alone.
        """
        groups = self.groups[rows & self.annotated]
        if not groups.size:
            return EventRule()

        def worst(rule: EventRule) -> float:
            counts = self.counts(rule)[rows & self.annotated]
            scores = []
            for group in np.unique(groups):
                matched, reference, found = counts[groups == group].sum(0).T
                there = reference > 0
                scores.append(
                    (2 * matched / np.maximum(reference + found, 1))[there].mean() if there.any() else 0
                )
            return float(min(scores))

        best = max(RULES, key=worst)
        for name, values in FINER.items():
            best = max([best, *(replace(best, **{name: value}) for value in values)], key=worst)
        return best

    def matched(self, rule: EventRule, rows: Mask) -> Labelled | None:
        """Found events that match an annotated one, whatever its class; None where there is none."""
        items = [
            (found.logits[match], int(own.labels[which]), own.subject, self.groups[row])
            for row in numbers(rows & self.annotated)
            for own, found in [(self.outputs[row], self.found(rule, row))]
            for which, match in self.matches(rule, row)
        ]
        return Labelled.of(items) if items else None

    def probabilities(self, decision: RecordingDecision, row: int) -> tuple[Floats, Floats]:
        """Of the classes of the found events, and that each is there and its likeliest class right."""
        found = self.found(decision.rule, row)
        classes = calibrated(found.logits, *decision.event_scaling)
        surest = classes.max(1, initial=0.0)
        return classes, hit_probability(found.presence, surest, found.length_s, decision.event_presence)

    def events(self, decision: RecordingDecision, row: int) -> list[Event]:
        """The found events, as `laennec.analyze` tells of them."""
        found, (classes, hits) = self.found(decision.rule, row), self.probabilities(decision, row)
        surest = classes.max(1, initial=0.0)
        unsure = hits < decision.hit_certain if decision.event_presence else surest < decision.event_certain
        return [
            Event(*span, self.labels[best], float(sure), {}, uncertain=bool(doubt))
            for span, best, sure, doubt in zip(found.spans, classes.argmax(1), surest, unsure, strict=True)
        ]

    def hits(self, decision: RecordingDecision, rows: Mask) -> Hits:
        """All found events of the recordings whose events are annotated."""
        features, chances, right = [np.zeros((0, 3))], [np.zeros(0)], [np.zeros(0, bool)]
        whose: list[int] = []
        for row in numbers(rows & self.annotated):
            found, (classes, chance) = self.found(decision.rule, row), self.probabilities(decision, row)
            named = [self.labels[best] for best in classes.argmax(1)]
            estimated = [(a, b, name) for (a, b), name in zip(found.spans, named, strict=True)]
            pairs = match_events(self.outputs[row].annotated(self.labels), estimated, agnostic=False)
            features.append(hit_features(found.presence, classes.max(1, initial=0.0), found.length_s))
            chances.append(chance)
            right.append(np.isin(np.arange(len(estimated)), [match for _, match in pairs]))
            whose += [row] * len(estimated)
        place = np.array(whose, int)
        columns = np.concatenate(features), np.concatenate(chances), np.concatenate(right)
        return Hits(*columns, self.patients[place], self.groups[place])

    # --- recordings -----------------------------------------------------------------------------------------

    @cached_property
    def evidence(self) -> Floats:
        """What the frames say of continuous and discontinuous sounds, ``(recordings, 2)``."""
        said = np.zeros((len(self.outputs), 2))
        for row in numbers(self.labelled):
            own = self.outputs[row]
            said[row] = family_evidence(own.presence[0], own.classes, self.labels)
        return said

    def records_of(self, rows: Mask) -> Labelled | None:
        """Logits of the records of chosen recordings, with what is annotated."""
        chosen = [
            (self.outputs[row].record_logits, self.outputs[row].record, self.patients[row], self.groups[row])
            for row in numbers(rows)
        ]
        return Labelled.of(chosen) if chosen else None

    def record_probabilities(self, decision: RecordingDecision, rows: Mask) -> Floats:
        """Probabilities of the record labels, ``(rows, records)``."""
        items = self.records_of(rows)
        if items is None:
            return np.zeros((0, len(self.records)))
        own = calibrated(items.logits, decision.record_temperature, decision.record_bias)
        if not decision.record_evidence:
            return own
        return with_evidence(own, self.evidence[rows], self.records, decision.record_evidence)

    def refused(self, decision: RecordingDecision) -> Mask:
        """Which recordings do not sound like a lung."""
        return self.lung_share < decision.lung_share

    @cached_property
    def judged(self) -> Mask:
        """Recordings of lungs that are annotated as sick or well, not of poor quality."""
        known = sick_labels(self.records) | np.equal(self.records, NORMAL)
        return self.labelled & [own.record >= 0 and bool(known[own.record]) for own in self.outputs]

    def answers(self, decision: RecordingDecision, rows: Mask) -> Answers:
        """What is answered to those of the rows that are `judged`."""
        chosen = rows & self.judged
        best, certainty = answer_certainty(self.record_probabilities(decision, chosen), self.records)
        called = called_as(best, self.records)
        called[self.refused(decision)[chosen]] = NEITHER
        for place, row in enumerate(numbers(chosen)):
            events = self.events(decision, row)
            if any(event_doubts(self.records[best[place]], events, self.labels[0])):
                certainty[place] = -1.0
        truth = np.array([self.outputs[row].record for row in numbers(chosen)], int)
        return Answers(sick_labels(self.records)[truth], called, certainty)

    # --- decisions ------------------------------------------------------------------------------------------

    def decide(self, rows: Mask) -> RecordingDecision:
        """What fits these recordings, in their worst group."""
        decision = RecordingDecision(self.best_rule(rows))
        matched = self.matched(decision.rule, rows)
        if matched is not None:
            temperature, bias, _ = matched.fit()
            surest = calibrated(matched.logits, temperature, bias).max(1)
            decision = replace(
                decision,
                event_temperature=temperature,
                event_bias=bias,
                event_certain=covering(surest, matched.groups),
            )
            hits = self.hits(decision, rows)
            weights = fit_hits(hits.features, hits.hit, hits.groups)
            decision = replace(decision, event_presence=weights)
            if weights:
                hits = self.hits(decision, rows).chosen()
                decision = replace(decision, hit_certain=covering(hits.chance, hits.groups))
        heard = self._heard(rows)
        if (heard & self.lungs).any():
            of = zip(self.groups, self.devices, strict=True)
            sources = np.array([f"{group} {device}" for group, device in of])[heard]
            kinds = np.array([own.kind for own in self.outputs])[heard]
            share = float(sigmoid(np.array(refusal_threshold(self.lung_odds[heard], kinds, sources))))
            # Rounded down, as a card has it: whatever is not refused by the threshold is not refused now.
            decision = replace(decision, lung_share=float(np.floor(1e4 * share) / 1e4))
        return self._with_records(decision, rows)

    def _heard(self, rows: Mask) -> Mask:
        """Lungs and other sounds by which the threshold of refusal is chosen.

        Single breaths, joined to be long enough (`laennec.train.joined`), are no recordings. A data set that
        was left out may be of a device unlike all others; a threshold that lets it through lets hearts
        through, and what ships has learnt from it. It is only told how much of it is refused.
        """
        whole = rows & (self.labelled | self.annotated | ~self.lungs)
        learnt = whole & [LEFT_OUT not in own.split for own in self.outputs]
        return learnt if (learnt & self.lungs).any() else whole

    def _with_records(self, decision: RecordingDecision, rows: Mask) -> RecordingDecision:
        """Calibration of the record labels, shifts of Normal, and thresholds of certainty besides."""
        chosen = rows & self.labelled
        items = self.records_of(chosen)
        if items is None:
            return decision
        sick, normal = sick_labels(self.records), np.equal(self.records, NORMAL)
        weights = prevalence_weights(items.labels, sick, normal, items.groups)
        design = None
        if self.frames_tell:
            design = evidence_of_records(self.evidence[chosen], self.records)
        temperature, bias, factors = items.fit(weights, design)
        decision = replace(
            decision, record_temperature=temperature, record_bias=bias, record_evidence=factors
        )
        probabilities = self.record_probabilities(decision, chosen)
        own = self.annotated[chosen]
        if own.any():
            shifts = items.chosen(own).task_shifts(probabilities[own])
            decision = replace(
                decision,
                task_shift={task: round(normal, 3) for task, (normal, _) in shifts.items()},
                task_poor_shift={task: poor for task, (_, poor) in shifts.items()},
            )
        decision = replace(decision, record_certain=covering(probabilities.max(1), items.groups))
        if not (rows & self.judged).any():
            return decision
        answers, here = self.answers(decision, rows), rows & self.judged
        normal_at, sick_at = certain_thresholds(answers, self.datasets[here], self.groups[here])
        return replace(decision, normal_certain=normal_at, sick_certain=sick_at)


# --- chosen on others ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chosen:
    """Recordings of a fold, and what was chosen for them."""

    rows: Mask
    decision: RecordingDecision
    on: str
    """On whom: ``other patients``, or ``other patients of the fold``."""


def cross_fitted(chooser: Chooser) -> Iterator[Chosen]:
    """What all others choose for each fold: no patient's answers take part in what is chosen for them.

    The others are whoever is in any fold of any protocol. Where they have no annotated events, as all the
    patients of a data set are in one fold, a fifth of its patients gets what the rest of the fold chooses as
    well; but not where the data set is left out, since nothing of it may be known then.
    """
    keys = np.array([f"{own.split}: {own.fold}" for own in chooser.outputs])
    for key in dict.fromkeys(keys):
        rows = keys == key
        others = ~np.isin(chooser.patients, chooser.patients[rows])
        if (others & chooser.annotated).any() or not (rows & chooser.annotated).any() or LEFT_OUT in key:
            yield Chosen(rows, chooser.decide(others), "other patients")
            continue
        names, of_row = np.unique(chooser.patients, return_inverse=True)
        dealt = np.random.default_rng(0).permutation(len(names)) % PARTS
        for part in range(PARTS):
            own = rows & (dealt[of_row] == part)
            if own.any():
                rest = others | (rows & ~own)
                yield Chosen(own, chooser.decide(rest), "other patients of the fold")


def fit_recording_decision(
    recordings: Sequence[RecordingOutput],
    labels: Sequence[str],
    records: Sequence[str] = SPRSOUND_RECORDS,
    frames_tell: bool = False,
) -> RecordingDecision:
    """What fits these recordings, whose patients the network was not trained on."""
    return Chooser(recordings, labels, records, frames_tell).decide(np.ones(len(recordings), bool))
