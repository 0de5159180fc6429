"""The referee: does a published figure say what it is taken to say?

It reads what a system was trained and tested on, and what it answered, in the forms in which people keep
these, and checks patients, recordings and content of both sets, the definition behind a claimed figure, the
choice of the epoch, and whether rules that do not listen come as far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from laennec.audio.samples import by_number, counted
from laennec.errors import LaennecError, UsageError
from laennec.referee import checks, data
from laennec.referee.definitions import Claim, Definition, definitions, read_claim
from laennec.referee.findings import CAUTION, FAULT, NOTE, SEVERITIES, Finding
from laennec.referee.names import READERS, ClipName, read_names
from laennec.referee.split import TEST, TRAIN, VALIDATION, read_split, set_of
from laennec.referee.submitted import Submitted, read_submitted, table_cells
from laennec.score.baselines import BaselineScores, baseline_scores, scores_of
from laennec.score.bootstrap import Score

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CAUTION", "FAULT", "NOTE", "SEVERITIES", "Finding", "Report", "referee"]


@dataclass(frozen=True)
class Report:
    """What the referee found, ready for text and JSON."""

    dataset: str
    findings: tuple[Finding, ...]
    """Faults first, then cautions, then notes."""
    scores: dict[str, Score] = field(default_factory=dict)
    definitions: tuple[Definition, ...] = ()
    baselines: tuple[BaselineScores, ...] = ()
    comparison: dict[str, Score] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> int:
        """How many findings are faults."""
        return sum(each.severity == FAULT for each in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return everything in JSON's types; undefined scores are None."""
        return {
            "dataset": self.dataset,
            "sizes": self.sizes,
            "findings": [asdict(each) for each in self.findings],
            "scores": {name: asdict(each) for name, each in self.scores.items()},
            "definitions": [
                {"name": d.name, "heading": d.title, "value": None if np.isnan(d.value) else d.value}
                for d in self.definitions
            ],
            "baselines": list(self.baselines),
            "comparison": {name: asdict(each) for name, each in self.comparison.items()},
        }


def referee(
    dataset: str,
    split: Sequence[Path] = (),
    predictions: Path | None = None,
    claimed: Sequence[str] = (),
    against: Path | None = None,
    epochs: Path | None = None,
    root: Path | None = None,
    classes: Sequence[str] = (),
    progress: bool = False,
) -> Report:
    """Check a split, answers and claimed figures.

    Parameters
    ----------
    dataset
        ``icbhi`` or ``sprsound``.
    split
        Lists of what was trained and tested on (:mod:`laennec.referee.split`).
    predictions, against
        Answers of a system, and of another for the same clips (:mod:`laennec.referee.submitted`).
    claimed
        Published figures, such as ``66.5`` or ``sensitivity=60.1``.
    epochs
        Table with the score of each epoch on the test set, and perhaps on the validation set.
    root
        A copy of the data set: for lengths, annotations and content.
    classes
        Names of the classes in the order of their numbers.

    Raises
    ------
    UsageError
        If nothing is given to check, or arguments do not fit together.
    LaennecError
        If a file cannot be read.
    """
    claims = _checked(dataset, split, predictions, claimed, against, epochs)
    lists = read_split(split) if split else {}
    sets = {which: read_names(names, dataset) for which, names in lists.items()}
    submitted = read_submitted(predictions, dataset, classes) if predictions else None
    clips = data.read_clips(submitted, dataset, root) if root else None
    sizes = {which: len(each) for which, each in sets.items()}
    found: list[Finding] = []
    if sets:
        found += checks.shared_between(sets, dataset)
        found += checks.against_official(sets, dataset)
        if clips is not None:
            found += data.same_content(sets, clips, progress)
    if epochs is not None:
        found += checks.chosen_epoch(read_epochs(epochs), claims)
    if submitted is None:
        return Report(dataset, _ordered(found), sizes=sizes)
    if not any(each.code == "epoch-chosen-on-test" for each in found):
        found += _of_claims(submitted, claims)
    other = read_submitted(against, dataset, classes or submitted.classes) if against else None
    figure = _Figure(submitted, read_names(submitted.names, dataset), sets, clips)
    report = figure.report(other)
    sizes |= report.sizes
    return replace(report, dataset=dataset, findings=_ordered([*found, *report.findings]), sizes=sizes)


def _checked(
    dataset: str,
    split: Sequence[Path],
    predictions: Path | None,
    claimed: Sequence[str],
    against: Path | None,
    epochs: Path | None,
) -> list[Claim]:
    """Return the claims; UsageError if nothing is given to check, or arguments do not fit together."""
    if dataset not in READERS:
        raise UsageError(f"--dataset {dataset}: expected one of {', '.join(READERS)}")
    if not split and predictions is None and epochs is None:
        raise UsageError("nothing to check: give --split, --predictions or --epochs")
    if claimed and predictions is None and epochs is None:
        raise UsageError("--claimed needs --predictions, by which it is checked, or --epochs")
    if against is not None and predictions is None:
        raise UsageError("--against needs --predictions of the first system")
    return [read_claim(each) for each in claimed]


def _of_claims(submitted: Submitted, claims: Sequence[Claim]) -> Iterator[Finding]:
    every = definitions(submitted.confusion, submitted.classes)
    if submitted.assumed:
        sentence = f"{submitted.source}: {submitted.assumed}; set --classes if this is wrong"
        yield Finding(NOTE, "assumed-classes", sentence)
    for claim in claims:
        yield from checks.claimed_figure(claim, every)


@dataclass(frozen=True)
class _Figure:
    """Answers with what their names tell, the split they belong to, and the clips of a copy if any."""

    submitted: Submitted
    names: Sequence[ClipName]
    sets: Mapping[str, Sequence[ClipName]]
    clips: pd.DataFrame | None

    def report(self, other: Submitted | None) -> Report:
        """Return scores, rules that do not listen, and a comparison with another system."""
        submitted, sizes = self.submitted, {"predicted": int(self.submitted.confusion.sum())}
        every = tuple(definitions(submitted.confusion, submitted.classes))
        if not any(name.subject for name in self.names):
            if other is not None:
                raise LaennecError(
                    f"{submitted.source}: {self._no_patients}, so the systems cannot be compared"
                )
            without = f"{submitted.source}: {self._no_patients}, so there are no intervals and no baselines"
            findings = (Finding(CAUTION, "no-patients", without),)
            return Report("", findings, definitions=every, sizes=sizes)
        answers = submitted.as_predictions([name.subject for name in self.names])
        found = [*checks.predictions_against_split(submitted, self.names, self.sets)]
        seconds, of_labels = self._from_data()
        found += of_labels
        found += checks.without_patients(answers, self._shared_patients())
        rules = baseline_scores(answers, self._known(seconds))
        found += checks.beside_baselines(rules)
        comparison: dict[str, Score] = {}
        if other is not None:
            aligned = _aligned(other, submitted).as_predictions(answers.subjects)
            comparison, finding = checks.compared(answers, aligned)
            found.append(finding)
        sizes["patients"] = len(set(answers.subjects) - {""})
        scores = scores_of(answers)
        return Report("", tuple(found), scores, every, tuple(rules), comparison, sizes)

    @property
    def _no_patients(self) -> str:
        return "the names identify no patients" if self.names else "the clips have no names"

    def _shared_patients(self) -> set[str]:
        trained, tested = ({name.subject for name in self.sets.get(which, ())} for which in (TRAIN, TEST))
        return (trained & tested) - {""}

    def _from_data(self) -> tuple[NDArray[np.float64] | None, list[Finding]]:
        """Return the seconds of each clip, and what the annotation says against the labels."""
        given = self.submitted.durations
        seconds = data.spoken_durations(self.names) if given is None else given
        if self.clips is None:
            return seconds, []
        rows = data.matched(self.names, self.clips)
        of_labels = [*data.labels_against_annotation(self.submitted, self.clips, rows)]
        return (data.durations(self.clips, rows) if seconds is None else seconds), of_labels

    def _known(self, seconds: NDArray[np.float64] | None) -> dict[str, Any]:
        """What rules that do not listen may know: only what differs between clips."""
        known: dict[str, Any] = {
            "position": [name.position for name in self.names],
            "device": [name.device for name in self.names],
        }
        known = {name: values for name, values in known.items() if len(set(values)) > 1}
        if seconds is not None and np.isfinite(seconds).any():
            known["duration"] = seconds
        return known


def _aligned(other: Submitted, first: Submitted) -> Submitted:
    """Return a second system's answers in the order of the first's clips."""
    if other.classes != first.classes:
        raise LaennecError(
            f"{other.source}: its classes are {', '.join(other.classes)}; those of {first.source} are "
            f"{', '.join(first.classes)}"
        )
    place = {name: k for k, name in enumerate(other.names)}
    missing = [name for name in first.names if name not in place]
    if missing or len(other.names) != len(first.names):
        raise LaennecError(
            f"{other.source}: the clips are not those of {first.source}"
            + (f"; {missing[0]} is missing" if missing else "")
        )
    order = [place[name] for name in first.names]
    labels = tuple(other.labels[k] for k in order)
    differing = sum(a != b for a, b in zip(labels, first.labels, strict=True))
    if differing:
        clips = f"{counted(differing, 'clip', '')} {by_number(differing, 'has', 'have')}"
        raise LaennecError(f"{other.source}: {clips} other labels than in {first.source}")
    assert other.probabilities is not None
    return Submitted(
        other.source,
        other.classes,
        other.confusion,
        first.names,
        labels,
        other.probabilities[order],
        other.ranked,
    )


def read_epochs(path: Path) -> dict[str, list[float]]:
    """Read a table with a row per epoch: a column ``test``, perhaps ``validation``, each of a score.

    Percentages become fractions. LaennecError if there is no such column, or a value is no number.
    """
    header, *rows = table_cells(path)
    columns = {name: k for k, word in enumerate(header) if (name := set_of(word)) in (TEST, VALIDATION)}
    if TEST not in columns or not rows:
        raise LaennecError(
            f"{path}: expected a row per epoch and a column test, perhaps validation, of scores"
        )
    scores = {}
    for name, k in columns.items():
        try:
            values = np.array([float(row[k]) for row in rows])
        except (ValueError, IndexError) as error:
            raise LaennecError(f"{path}: column {header[k]} is not a score in every row ({error})") from error
        if not np.isfinite(values).all():
            raise LaennecError(f"{path}: column {header[k]} holds non-finite values")
        scores[str(name)] = (values / 100 if values.max() > 1 else values).tolist()
    return scores


def _ordered(found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda each: SEVERITIES.index(each.severity)))
