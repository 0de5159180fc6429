"""What a published figure may be: every definition in use of a score of lung sounds, from one confusion.

A "Score" of ICBHI 2017 is (Se + Sp)/2 with Se over exact classes. The same words stand in papers over a
two-class sensitivity, a mean over classes, or an accuracy. A claimed figure is compared with all of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laennec.errors import UsageError
from laennec.labels import POOR_QUALITY
from laennec.score.confusion import (
    Floats,
    accuracy,
    confusion_scores,
    ignored_classes,
    normal_class,
    precision_recall_f1,
    ratio,
)
from laennec.score.text import SCORE_NAMES

# What a heading usually means, by the word that --claimed takes: the definition of the challenges.
USUAL = {
    "score": "average_score",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "f1": "macro_f1",
    "uar": "macro_sensitivity",
}
OTHER_NAMES = {
    "weighted_f1": "F1 weighted by the clips of each class",
    "adventitious_macro_sensitivity": "mean sensitivity of the adventitious classes",
    "adventitious_macro_average_score": "mean of Sp and the mean sensitivity of the adventitious classes",
    "binary_accuracy": "two-class accuracy",
}
TWO_CLASS = "binary_"
WITH_POOR_QUALITY = "Poor Quality as a class"
WITHOUT_POOR_QUALITY = "without Poor Quality"


@dataclass(frozen=True)
class Claim:
    """A published figure as it was written: 66.5 is a value between .6645 and .6655."""

    heading: str
    written: str
    value: float
    tolerance: float

    def fits(self, value: float) -> bool:
        """Whether a value is what was written, rounded to its digits."""
        return abs(value - self.value) <= self.tolerance * (1 + 1e-9)


def read_claim(text: str) -> Claim:
    """Read ``66.5``, ``0.665``, ``66.5%`` or ``sensitivity=60.1``; a number above 1 is a percentage.

    UsageError if it is no number from 0 to 100, or the heading none of `USUAL`.
    """
    heading, _, written = text.rpartition("=")
    heading = heading.strip().lower() or "score"
    match = re.fullmatch(r"(\d+)(?:[.,](\d+))?\s*(%?)", written.strip())
    if heading not in USUAL:
        raise UsageError(f"--claimed {text}: {heading} is no heading; expected one of {', '.join(USUAL)}")
    if match is None:
        raise UsageError(f"--claimed {text}: expected a number such as 66.5 or score=66.5")
    whole, digits, percent = match[1], match[2] or "", match[3]
    number = float(f"{whole}.{digits or 0}")
    scale = 0.01 if percent or number > 1 else 1.0
    if number * scale > 1:
        raise UsageError(f"--claimed {text}: expected 0 to 100")
    return Claim(heading, written.strip(), number * scale, scale * 0.5 * 10.0 ** -len(digits))


@dataclass(frozen=True)
class Definition:
    """One definition of a score, and its value for a system; NaN where undefined."""

    name: str
    heading: str
    variant: str
    value: float

    @property
    def title(self) -> str:
        """Heading and variant."""
        return f"{self.heading}, {self.variant}" if self.variant else self.heading


def definitions(confusion: Floats, classes: Sequence[str]) -> list[Definition]:
    """Return every definition's value, those of the challenges first.

    Parameters
    ----------
    confusion
        ``(classes, classes)``, rows annotated.
    classes
        One of them normal. Where one is Poor Quality, each definition comes in three variants: as the
        challenge has it (no clip of it counts in Se and Sp), with Poor Quality as one more adventitious
        class, and without the clips annotated or called so.
    """
    found = []
    for variant, counts, names in _variants(confusion, tuple(classes)):
        for name, value in all_scores(counts, names).items():
            heading = SCORE_NAMES.get(name) or OTHER_NAMES[name]
            found.append(Definition(name, heading, variant, float(value)))
    return found


def _variants(confusion: Floats, classes: tuple[str, ...]) -> list[tuple[str, Floats, tuple[str, ...]]]:
    variants = [("", confusion, classes)]
    if POOR_QUALITY in classes:
        renamed = tuple(f"{name} " if name == POOR_QUALITY else name for name in classes)
        kept = [k for k, name in enumerate(classes) if name != POOR_QUALITY]
        variants += [
            (WITH_POOR_QUALITY, confusion, renamed),
            (WITHOUT_POOR_QUALITY, confusion[np.ix_(kept, kept)], tuple(classes[k] for k in kept)),
        ]
    return variants


def all_scores(confusion: Floats, classes: Sequence[str]) -> dict[str, Floats]:
    """Return every score of confusions ``(..., classes, classes)``, those of the project and the others."""
    normal, ignored = normal_class(classes), ignored_classes(classes)
    scores = confusion_scores(confusion, classes, normal, ignored)
    sick = [k for k, name in enumerate(classes) if name != normal and name not in ignored]
    annotated = confusion.sum(axis=-1)
    _, recall, f1 = precision_recall_f1(confusion)
    present = annotated[..., sick] > 0
    mean_se = ratio(np.where(present, np.nan_to_num(recall[..., sick]), 0).sum(axis=-1), present.sum(axis=-1))
    row = list(classes).index(normal)
    right = confusion[..., row, row] + confusion[..., sick, :][..., sick].sum(axis=(-2, -1))
    counted = annotated[..., [row, *sick]].sum(axis=-1)
    return {
        **scores,
        "weighted_f1": ratio((np.nan_to_num(f1) * annotated).sum(axis=-1), annotated.sum(axis=-1)),
        "adventitious_macro_sensitivity": mean_se,
        "adventitious_macro_average_score": (mean_se + scores["specificity"]) / 2,
        "binary_accuracy": ratio(right, counted) if len(sick) > 1 else accuracy(confusion),
    }


def usual(heading: str, found: Sequence[Definition]) -> Definition:
    """Return the definition that a heading stands for, as the challenges define it."""
    return next(each for each in found if each.name == USUAL[heading] and not each.variant)
