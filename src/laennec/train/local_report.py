"""What a calibration for one's own device is worth: figures before and after, the file, and a report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from laennec.analyze.analysis import RecordingPrediction
from laennec.audio.samples import by_number, counted
from laennec.model.calibration import Curve, calibration_file
from laennec.model.card import RecordingCard
from laennec.model.probability import log_odds
from laennec.score.bootstrap import DRAWS, Patients, Score, over_patients
from laennec.score.calibration import probability_error
from laennec.score.confusion import ratio
from laennec.score.ranking import auc_over_patients
from laennec.score.text import columns, with_interval
from laennec.train.local_curve import (
    NEVER,
    Floats,
    Heard,
    Mask,
    Names,
    answers_of,
    cross_fitted,
    fitted,
    patients_of,
    safe_thresholds,
    sick_of,
    too_few,
)
from laennec.train.recording_certainty import CERTAIN, NEITHER, PREVALENCE, certain_scores, prevalence_weights
from laennec.version import DISCLAIMER

TITLES = {
    "auc": "AUC, sick against well",
    "brier": "Brier score",
    "ece": "calibration error",
    **CERTAIN,
    "refused": "refused",
}
"""Figures before and after, and what they are called in the table."""
SUREST = 700.0  # log-odds, which rank alone

Predicted = Sequence[RecordingPrediction | None]


@dataclass(frozen=True)
class Local:
    """A calibration: the card before and after, and figures of both, the latter out of fold."""

    before: RecordingCard
    after: RecordingCard
    curve: Curve
    prevalence: float
    patients: dict[str, int]
    recordings: dict[str, int]
    scores: dict[str, dict[str, Score]]
    """Of ``before`` and ``after``: those of `TITLES`."""
    notes: list[str]

    @staticmethod
    def of(
        heard: Sequence[Heard], card: RecordingCard, prevalence: float = PREVALENCE, draws: int = DRAWS
    ) -> "Local":
        """Fit it to labelled recordings."""
        names, sick = patients_of(heard), sick_of(heard)
        earlier: Predicted = [own.answer(card) for own in heard]
        chance = np.array([own.chance(card) for own in heard])
        later, later_chance, fold = cross_fitted(heard, card, prevalence)
        first, second = (answers_of(heard, each, card.records) for each in (earlier, later))
        called = np.where([own is None or own.uncertain for own in earlier], NEITHER, first.called)
        later_called = second.called.copy()
        for number in np.unique(fold):
            own = fold == number
            others = safe_thresholds(second.chosen(~own), names[~own], prevalence)
            later_called[own] = second.chosen(own).certain(*others)
        scores = {
            "before": figures(chance, called, _refused(earlier), sick, names, prevalence, draws),
            "after": figures(later_chance, later_called, _refused(later), sick, names, prevalence, draws),
        }
        own_card, curve = fitted(heard, card, prevalence)
        normal_at, sick_at = safe_thresholds(second, names, prevalence)
        after = replace(curve.on(own_card), normal_abstain_below=normal_at, sick_abstain_below=sick_at)
        sides = {"all": np.ones(len(sick), bool), "sick": sick, "well": ~sick}
        patients = {side: len(set(names[rows].tolist())) for side, rows in sides.items()}
        recordings = {side: int(rows.sum()) for side, rows in sides.items()}
        notes = notes_of(after, patients, prevalence)
        return Local(card, after, curve, prevalence, patients, recordings, scores, notes)

    def file(self, dataset: str, sha256: str) -> dict[str, Any]:
        """The content of the calibration file of a model file with this SHA-256."""
        return calibration_file(
            self.after,
            sha256,
            self.patients["all"],
            self.recordings["all"],
            {
                "data": {"dataset": dataset, "patients": self.patients, "recordings": self.recordings},
                "prevalence": self.prevalence,
                "curve": {"offset": self.curve.offset, "slope": self.curve.slope},
                "scores": {
                    when: {
                        name: {"value": score.value, "interval": score.interval}
                        for name, score in each.items()
                    }
                    for when, each in self.scores.items()
                },
                "notes": self.notes,
            },
        )

    def report(self, out: Path) -> str:
        """What is to be known of it, for the terminal."""
        rows = [
            [title, *(with_interval(own[name].value, own[name].interval) for own in self.scores.values())]
            for name, title in TITLES.items()
        ]
        sick, well = (
            f"{counted(self.recordings[side], 'recording')} of {counted(self.patients[side], 'patient')}"
            for side in ("sick", "well")
        )
        return "\n".join(
            [
                f"{counted(self.patients['all'], 'patient')}: {sick} with adventitious sounds, {well} normal",
                f"log-odds of adventitious sounds: {self.curve.slope:.2f} times what they were, "
                f"{self.curve.offset:+.2f}",
                "",
                columns(["", "before", "after"], rows),
                "",
                f"After: each patient answered by what the others chose. At {100 * self.prevalence:g} % with "
                "adventitious sounds; 95 % intervals over patients.",
                *self.notes,
                f"{out}: written; use it with: laennec analyze rec.wav --calibration {out}",
                DISCLAIMER,
            ]
        )


def _refused(predicted: Predicted) -> Mask:
    return np.array([own is None or own.refused is not None for own in predicted])


def figures(
    chance: Floats,
    called: Any,
    refused: Mask,
    sick: Mask,
    names: Names,
    prevalence: float,
    draws: int = DRAWS,
) -> dict[str, Score]:
    """`TITLES` of the chances ``(recordings,)`` of being sick, of what was called certainly, and refused.

    Brier score and calibration error are at the `prevalence`, as certain answers are.
    """
    kinds = np.array([False, True])
    weights = prevalence_weights(sick.astype(np.int64), kinds, ~kinds, np.zeros(len(sick), str), prevalence)
    return {
        "auc": auc_over_patients(sick, log_odds(chance, SUREST), names, draws),
        "brier": _mean((chance - sick) ** 2, weights, names, draws),
        "ece": probability_error(chance, sick, names, draws, weights),
        **certain_scores(sick, called, names, prevalence, draws),
        "refused": _mean(refused.astype(float), np.ones(len(names)), names, draws),
    }


def _mean(terms: Floats, weights: Floats, names: Names, draws: int) -> Score:
    """The weighted mean of terms ``(recordings,)``, with its interval over patients."""
    sums = Patients.of(names).sums(np.column_stack([weights * terms, weights]))
    return over_patients(sums, lambda drawn: {"": ratio(*drawn.T)}, draws)[""]


def notes_of(after: RecordingCard, patients: dict[str, int], prevalence: float) -> list[str]:
    """From which certainty on answers are certain, or why never; and which lungs are refused."""
    sick, well = patients["sick"], patients["well"]
    fewest_sick, fewest_well = too_few(sick, well, prevalence)
    notes = []
    for answer, at, there, fewest, what, other in (
        ("Normal", after.normal_abstain_below, sick, fewest_sick, "with adventitious sounds", "sick"),
        ("adventitious", after.sick_abstain_below, well, fewest_well, "with normal recordings", "well"),
    ):
        if at is not None and at < NEVER:
            notes.append(f"An answer {answer} is certain from a certainty of {at:g} on.")
        elif there < fewest:
            notes.append(
                f"No answer {answer} is certain: {counted(there, 'patient')} {what} "
                f"{by_number(there, 'is', 'are')} too few to "
                f"vouch for it; {fewest} are needed, even without a mistake."
            )
        else:
            notes.append(
                f"No answer {answer} is certain: too many of the {other} get it with as high a probability."
            )
    return notes
