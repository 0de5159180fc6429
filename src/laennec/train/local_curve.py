"""A curve and thresholds that hold for one's own patients: few of them, each of whom counts alike.

A curve has two numbers, fitted by maximum likelihood with a weak prior towards the model's own card. What is
chosen for a patient is never chosen with them: patients are dealt into folds, and those of a fold get what
the others choose. Thresholds rest on such answers, with the correction for few patients of conformal risk
control (Angelopoulos, Bates, Fisch, Lei & Schuster, ICLR 2024), which for one recording a patient is that of
split conformal prediction (Vovk, Gammerman & Shafer, "Algorithmic learning in a random world", 2005).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from laennec.analyze.analysis import RecordingPrediction
from laennec.analyze.recording import Channel, combine_channels, predict_channels, refusal, without_refused
from laennec.audio.quality import Finding
from laennec.labels import NORMAL, POOR_QUALITY
from laennec.model.calibration import Curve
from laennec.model.card import RecordingCard
from laennec.model.probability import answer_certainty, sick_labels
from laennec.score.bootstrap import Patients
from laennec.train.recording_certainty import (
    CALLED_NORMAL,
    CALLED_SICK,
    GRID,
    MISSED,
    NEITHER,
    PREVALENCE,
    WRONG,
    Answers,
    called_as,
    prevalence_weights,
)
from laennec.train.sound_patterns import REFUSED

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Names = NDArray[np.str_]

FOLDS = 10
OFFSET_DEVIATION = 2.0  # of the prior of the offset, in log-odds: a factor of 7 either way
SLOPE_DEVIATION = 0.5  # of the prior of the logarithm of the slope: a factor of 1.6 either way
STEP = 1e-3  # of the differences that stand for derivatives
NEVER = 1.0  # the threshold that no certainty reaches


@dataclass(frozen=True)
class Heard:
    """A labelled recording, and what was heard in it: with nothing refused but silence."""

    patient: str
    sick: bool
    channels: Sequence[Channel]
    quality: Sequence[Finding] = ()
    kept: dict[float, tuple[Floats, Floats]] = field(default_factory=dict, repr=False, compare=False)
    """`stretches` by the threshold of refusal."""

    def under(self, card: RecordingCard, curve: Curve = Curve()) -> list[Channel]:  # noqa: B008 (frozen)
        """The channels with the probabilities of a curve, and the refusals of a card."""
        channels = []
        for channel in self.channels:
            segments = []
            for own in channel.segments:
                refused, heard_as = refusal(own.silent, own.sound_classes, card)
                chances = curve.of(own.probabilities, card.records)
                segments.append(replace(own, probabilities=chances, refused=refused, heard_as=heard_as))
            events = without_refused(channel.events, segments)
            channels.append(replace(channel, events=events, segments=segments))
        return channels

    def answer(self, card: RecordingCard, curve: Curve = Curve()) -> RecordingPrediction | None:  # noqa: B008
        """What is answered by a curve, with the refusals and thresholds of a card."""
        return combine_channels(predict_channels(card, self.under(card, curve), self.quality))

    def stretches(self, card: RecordingCard) -> tuple[Floats, Floats]:
        """Log-probabilities ``(segments, records)`` of the channel that answers, and the segments' weights.

        None of them where nothing is answered.
        """
        if card.lung_threshold not in self.kept:
            answer, used = self.answer(card), []
            if answer is not None and answer.refused is None:
                (channel,) = (each for each in self.under(card) if each.number == answer.channel)
                used = [segment for segment in channel.segments if segment.refused is None]
            chances = np.reshape([each.probabilities for each in used], (-1, len(card.records)))
            length = np.array([each.length_s for each in used])
            self.kept[card.lung_threshold] = np.log(np.maximum(chances, 1e-300)), length / length.sum()
        return self.kept[card.lung_threshold]

    def chance(self, card: RecordingCard, curve: Curve = Curve()) -> float:  # noqa: B008
        """Probability of sick among sick and Normal, also where it is refused for how it sounds."""
        answer = self.answer(card, curve)
        if answer is None or answer.refused is not None:
            answer = self.answer(replace(card, lung_threshold=0.0), curve)
        if answer is None or answer.refused is not None:
            return 0.5
        chances = np.array([answer.probabilities[name] for name in card.records])
        ill = chances[sick_labels(card.records)].sum()
        return float(ill / max(ill + answer.probabilities[NORMAL], 1e-300))

    def lung_share(self) -> float:
        """The threshold of the lung's share above which more than half of every channel is refused."""
        shares = []
        for channel in self.channels:
            own = np.array([-1.0 if s.refused else s.sound_classes[0] for s in channel.segments])
            order = np.argsort(own)
            length = np.array([s.length_s for s in channel.segments])[order].cumsum()
            shares.append(own[order][np.argmax(length > 0.5 * length[-1])])
        return float(max(shares, default=-1.0))


def patients_of(heard: Sequence[Heard]) -> Names:
    """Whose each recording is."""
    return np.array([own.patient for own in heard])


def sick_of(heard: Sequence[Heard]) -> Mask:
    """Which recordings are labelled as sick."""
    return np.array([own.sick for own in heard], bool)


# --- the curve ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretches:
    """Segments of answered recordings: log-probabilities ``(segments, records)``, and their weights.

    `of` is the number of each one's recording, from 0, rising.
    """

    logs: Floats
    weights: Floats
    of: NDArray[np.int64]

    @staticmethod
    def among(heard: Sequence[Heard], card: RecordingCard) -> tuple["Stretches", Mask]:
        """Those of the channel that answers for each recording, and which recordings are answered."""
        each = [own.stretches(card) for own in heard]
        answered = np.array([len(weights) > 0 for _, weights in each], bool)
        logs = np.concatenate([np.zeros((0, len(card.records))), *(logs for logs, _ in each)])
        weights = np.concatenate([np.zeros(0), *(weights for _, weights in each)])
        of = np.repeat(np.cumsum(answered) - 1, [len(weights) for _, weights in each])
        return Stretches(logs, weights, of), answered

    def probabilities(self, curve: Curve, records: Sequence[str]) -> Floats:
        """Of the record labels, ``(recordings, records)``."""
        chances = curve.of(np.exp(self.logs), records) * self.weights[:, None]
        return np.add.reduceat(chances, np.flatnonzero(np.diff(self.of, prepend=-1)))


def fit_curve(heard: Sequence[Heard], card: RecordingCard, prevalence: float = PREVALENCE) -> Curve:
    """The curve of the highest likelihood of sick against well, with a prior.

    Every patient weighs the same within the sick and the well, and both weigh as at the `prevalence`; all
    together they count as many patients as these weights are worth (Kish, "Survey sampling", 1965). Before
    anything is known, the offset is normal around 0 with `OFFSET_DEVIATION`, the logarithm of the slope
    with `SLOPE_DEVIATION`: the slope is always positive. Poor Quality keeps its mean probability.
    """
    stretches, answered = Stretches.among(heard, card)
    sick, names = sick_of(heard)[answered], patients_of(heard)[answered]
    if not len(names):
        return Curve()
    weights = patient_weights(sick, names, prevalence)
    count = 1 / (Patients.of(names).sums(weights) ** 2).sum()
    ill, well = sick_labels(card.records), np.equal(card.records, NORMAL)

    def cost(point: Floats) -> float:
        chances = stretches.probabilities(Curve(point[0], float(np.exp(point[1]))), card.records)
        sides = np.stack([chances[:, well].sum(1), chances[:, ill].sum(1)]).clip(1e-300)
        loss = np.log(sides.sum(0)) - np.log(sides[sick.astype(int), np.arange(len(sick))])
        prior = (point / (OFFSET_DEVIATION, SLOPE_DEVIATION)) ** 2
        return float(count * (weights @ loss) + prior.sum() / 2)

    offset, log_slope = minimised(cost, np.zeros(2))
    curve = Curve(round(float(offset), 4), float(f"{np.exp(log_slope):.4g}"))
    return _keeping_poor(curve, stretches, weights, card.records)


def patient_weights(sick: Mask, names: Names, prevalence: float = PREVALENCE) -> Floats:
    """Weights of recordings that add up to 1, the patients of the sick and of the well alike in each."""
    each = np.zeros(len(sick))
    for side in (sick, ~sick):
        own = Patients.of(names[side])
        each[side] = 1 / np.bincount(own.of_item, minlength=1)[own.of_item]
    kinds = np.array([False, True])
    return prevalence_weights(
        sick.astype(np.int64), kinds, ~kinds, np.zeros(len(sick), str), prevalence, each
    )


def minimised(cost: Callable[[Floats], float], start: Floats) -> Floats:
    """Where a smooth function of two numbers is smallest, by Newton's method with differences."""
    point, here = start, cost(start)
    moves = STEP * np.eye(2)
    for _ in range(100):
        ahead, behind = (np.array([cost(point + side * move) for move in moves]) for side in (1, -1))
        both = (cost(point + moves.sum(0)) - ahead[0] - ahead[1] + here) / STEP**2
        second = (ahead - 2 * here + behind) / STEP**2
        bend = np.array([[second[0], both], [both, second[1]]])
        lowest = float(np.linalg.eigvalsh(bend)[0])
        bend += max(0.0, 0.1 - lowest) * np.eye(2)  # downhill, also where the function bends the other way
        step = np.linalg.solve(bend, (behind - ahead) / (2 * STEP)).clip(-2, 2)
        size = 1.0
        while size > 1e-6 and cost(point + size * step) > here:
            size /= 2
        if size <= 1e-6:
            break
        point = point + size * step
        here = cost(point)
        if np.abs(step).max() < 1e-5:
            break
    return point


def _keeping_poor(curve: Curve, stretches: Stretches, weights: Floats, records: Sequence[str]) -> Curve:
    """The curve by which Poor Quality is as likely, in the mean, as it was without."""
    if POOR_QUALITY not in records:
        return curve
    place = list(records).index(POOR_QUALITY)
    wanted = weights @ stretches.probabilities(Curve(), records)[:, place]
    low, high = -30.0, 30.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        chances = stretches.probabilities(replace(curve, poor=middle), records)[:, place]
        low, high = (middle, high) if weights @ chances < wanted else (low, middle)
    return replace(curve, poor=round((low + high) / 2, 4))


# --- thresholds ---------------------------------------------------------------------------------------------


def answers_of(
    heard: Sequence[Heard], predicted: Sequence[RecordingPrediction | None], records: Sequence[str]
) -> Answers:
    """Answers of predictions that were certain at every threshold, but for the doubts of their events."""
    called, certainty = np.full(len(heard), NEITHER), np.full(len(heard), -1.0)
    for row, own in enumerate(predicted):
        if own is None or own.refused is not None:
            continue
        chances = np.array([own.probabilities[name] for name in records])
        best, sure = answer_certainty(chances, records)
        called[row] = called_as(best, records)
        certainty[row] = -1.0 if own.uncertain else sure
    return Answers(sick_of(heard), called, certainty)


def safe_thresholds(
    answers: Answers,
    patients: Names,
    prevalence: float = PREVALENCE,
    wrong: float = WRONG,
    missed: float = MISSED,
) -> tuple[float, float]:
    """The lowest certainty of Normal, and of sick, at which a new patient's answer can be relied on.

    At most `missed` of the sick are called Normal with certainty, and at most `wrong` of the certain answers
    of either kind are wrong, at the `prevalence`. Shares are means over patients, and one more patient is
    added to each: to mistakes one who is mistaken, to right answers one who has none. `NEVER` where no
    threshold does, such as with too few patients.
    """
    sides = []
    for sick in (True, False):
        rows = answers.sick == sick
        own = Patients.of(patients[rows])
        items = np.bincount(own.of_item, minlength=len(own))[:, None]
        above = answers.certainty[rows, None] >= GRID
        for called in (CALLED_NORMAL, CALLED_SICK):
            mistaken = sick == (called == CALLED_NORMAL)
            share = own.sums(above & (answers.called[rows] == called)[:, None]) / items
            sides.append((share.sum(0) + mistaken) / (len(own) + 1))
    overlooked, found, cleared, alarmed = sides
    normal = overlooked <= missed + 1e-9
    normal &= _rarely(prevalence * overlooked, (1 - prevalence) * cleared, wrong)
    sick_at = _rarely((1 - prevalence) * alarmed, prevalence * found, wrong)
    lowest = [float(GRID[np.argmax(safe)]) if safe.any() else NEVER for safe in (normal, sick_at)]
    return lowest[0], lowest[1]


def _rarely(wrong: Floats, right: Floats, allowed: float = WRONG) -> Mask:
    return np.asarray(wrong <= allowed * (wrong + right) + 1e-9)


def too_few(sick: int, well: int, prevalence: float = PREVALENCE) -> tuple[int, int]:
    """How many sick patients a certain Normal needs at least, and how many well ones a certain sick.

    With not one mistake, that is; of the others there are so many.
    """
    counts = np.arange(1, 100_000)
    one, right = 1 / (counts + 1), np.ones(len(counts))
    cleared, found = (right * own / (own + 1) for own in (well, sick))
    normal = (one <= MISSED + 1e-9) & _rarely(prevalence * one, (1 - prevalence) * cleared)
    ill = _rarely((1 - prevalence) * one, prevalence * found)
    return int(counts[np.argmax(normal)]), int(counts[np.argmax(ill)])


def lowered_refusal(heard: Sequence[Heard], threshold: float) -> float:
    """The largest threshold of the lung's share, at most the one given, that refuses few of these lungs.

    At most `REFUSED` of them, as means over patients, with one more patient who is refused. Where that
    cannot be, with fewer than 49 patients, none of them is refused.
    """
    shares, names = np.array([own.lung_share() for own in heard]), Patients.of(patients_of(heard))
    heard_at_all = shares >= 0  # not silent
    items = np.bincount(names.of_item, minlength=len(names))
    lower = np.floor(1e4 * shares[heard_at_all & (shares < threshold)]) / 1e4
    for candidate in [threshold, *sorted(set(lower.tolist()), reverse=True)]:
        refused = heard_at_all & (shares < candidate)
        share = (names.sums(refused) / items).sum()
        if share == 0 or share + 1 <= REFUSED * (len(names) + 1) + 1e-9:
            return float(candidate)
    return 0.0


# --- out of fold --------------------------------------------------------------------------------------------


def dealt(heard: Sequence[Heard], folds: int = FOLDS) -> NDArray[np.int64]:
    """The fold of each recording, by patient; the sick and the well are spread evenly."""
    names, sick = patients_of(heard), sick_of(heard)
    order = np.random.default_rng(0).permutation(np.unique(names))
    kinds = [2 * int(sick[names == name].all()) + int(sick[names == name].any()) for name in order]
    place = {str(order[row]): number for number, row in enumerate(np.argsort(kinds, kind="stable"))}
    return np.array([place[str(name)] % min(folds, len(order)) for name in names], np.int64)


def fitted(
    heard: Sequence[Heard], card: RecordingCard, prevalence: float = PREVALENCE
) -> tuple[RecordingCard, Curve]:
    """The card with its own threshold of refusal, certain of all else, and the curve for these patients."""
    lung = lowered_refusal(heard, card.lung_threshold)
    own = replace(card, lung_threshold=lung, normal_abstain_below=0.0, sick_abstain_below=0.0)
    return own, fit_curve(heard, own, prevalence)


def cross_fitted(
    heard: Sequence[Heard], card: RecordingCard, prevalence: float = PREVALENCE
) -> tuple[list[RecordingPrediction | None], Floats, NDArray[np.int64]]:
    """What is answered to each recording by what the other folds' patients choose; chances; the folds."""
    fold, chances = dealt(heard), np.zeros(len(heard))
    predicted: list[RecordingPrediction | None] = [None] * len(heard)
    for number in np.unique(fold):
        others = [own for own, home in zip(heard, fold, strict=True) if home != number]
        decided, curve = fitted(others, card, prevalence)
        for row, own in enumerate(heard):
            if fold[row] == number:
                predicted[row] = own.answer(decided, curve)
                chances[row] = own.chance(decided, curve)
    return predicted, chances, fold
