"""The checks of a referee: each takes what was submitted and yields findings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from laennec.audio.samples import by_number, counted
from laennec.referee.definitions import TWO_CLASS, Claim, Definition, usual
from laennec.referee.findings import CAUTION, FAULT, NOTE, Finding, listed
from laennec.referee.names import ClipName
from laennec.referee.official import TITLES, official_set, official_sets
from laennec.referee.split import TEST, TRAIN, VALIDATION
from laennec.referee.submitted import Submitted
from laennec.score.baselines import CONSTANT, SCORE, BaselineScores, difference, scores_of
from laennec.score.bootstrap import Score
from laennec.score.predictions import Predictions
from laennec.score.text import bracketed, number

Names = Mapping[str, Sequence[ClipName]]
"""The names of each set of a split."""


# --- the split ----------------------------------------------------------------------------------------------


def shared_between(sets: Names, dataset: str) -> Iterator[Finding]:
    """Yield what two sets share: patients, recordings, names."""
    for first, second in ((TRAIN, TEST), (VALIDATION, TEST), (TRAIN, VALIDATION)):
        here, there = sets.get(first, ()), sets.get(second, ())
        if not here or not there:
            continue
        yield from _shared_names(here, there, first, second)
        recordings = _values(here, "recording") & _values(there, "recording")
        if recordings:
            have = f"{counted(len(recordings), 'recording', '')} {by_number(len(recordings), 'has', 'have')}"
            yield Finding(
                FAULT if second == TEST else CAUTION,
                "shared-recordings",
                f"{have} clips in both {first} and {second}: {listed(recordings)}",
                {"sets": [first, second], "recordings": sorted(recordings)},
            )
        patients = _values(here, "subject") & _values(there, "subject")
        if patients:
            yield _shared_patients(sets, patients, first, second, dataset)


def _shared_patients(sets: Names, patients: set[str], first: str, second: str, dataset: str) -> Finding:
    of_second = _values(sets[second], "subject")
    clips = sum(name.subject in patients for name in sets[second])
    are, account = by_number(len(patients), "is accounts", "are account").split()
    sentence = (
        f"{len(patients)} of the {counted(len(of_second), 'patient', '')} in {second} {are} also in "
        f"{first}, and {account} for {clips} of its {len(sets[second])} entries: {listed(patients)}"
    )
    by_design = all(
        official_set(name.recording, dataset) == which
        for which in (first, second)
        for name in sets[which]
        if name.subject in patients
    )
    if by_design and second == TEST:
        sentence += "; the official split has this overlap"
    severity = NOTE if by_design and second == TEST else FAULT if second == TEST else CAUTION
    return Finding(
        severity,
        "shared-patients",
        sentence,
        {"sets": [first, second], "patients": sorted(patients), "names": clips, "official": by_design},
    )


def _shared_names(
    here: Sequence[ClipName], there: Sequence[ClipName], first: str, second: str
) -> Iterator[Finding]:
    unread = [name.written for name in (*here, *there) if not name.recording]
    names = {name.written for name in here} & {name.written for name in there}
    # Names that tell of a recording are found again by it.
    names -= {name.written for name in here if name.recording}
    if names:
        evidence = {"sets": [first, second], "names": sorted(names)}
        appear = f"{counted(len(names), 'name', '')} {by_number(len(names), 'appears', 'appear')}"
        sentence = f"{appear} in both {first} and {second}: {listed(names)}"
        yield Finding(FAULT, "shared-names", sentence, evidence)
    if unread and {first, second} == {TRAIN, TEST}:
        yield Finding(
            CAUTION,
            "unread-names",
            f"{len(unread)} of {len(here) + len(there)} names {by_number(len(unread), 'matches', 'match')} "
            f"no recording of the data set, so their patients are unknown: {listed(unread)}",
            {"names": sorted(unread)},
        )


def against_official(sets: Names, dataset: str) -> Iterator[Finding]:
    """Yield how the sets differ from the official split."""
    listed_there = official_sets(dataset)
    here = {which: _values(sets.get(which, ()), "recording") for which in (TRAIN, VALIDATION, TEST)}
    trained = here[TRAIN] | here[VALIDATION]
    moved = sorted(each for each in trained if official_set(each, dataset) == TEST)
    kept = sorted(each for each in here[TEST] if official_set(each, dataset) == TRAIN)
    unknown = sorted(each for each in trained | here[TEST] if official_set(each, dataset) is None)
    evidence = {"test_in_training": moved, "training_in_test": kept, "unknown": unknown}
    title = TITLES[dataset]
    if moved or kept:
        parts = []
        if moved:
            parts.append(
                f"{len(moved)} of its test recordings {by_number(len(moved), 'is', 'are')} used for training"
            )
        if kept:
            parts.append(
                f"{len(kept)} of its training recordings {by_number(len(kept), 'is', 'are')} used for testing"
            )
        sentence = f"the split differs from {title}: {', and '.join(parts)}; their scores are not comparable"
        yield Finding(CAUTION, "not-official", sentence, evidence)
    elif dataset == "icbhi":
        missing = sorted(
            name for name, which in listed_there.items() if which == TEST and name not in here[TEST]
        )
        if missing:
            sentence = (
                f"{len(missing)} of the {sum(which == TEST for which in listed_there.values())} test "
                f"recordings of {title} {by_number(len(missing), 'is', 'are')} missing from the test set: "
                f"{listed(missing)}"
            )
            yield Finding(CAUTION, "part-of-official", sentence, {"missing": missing})
        else:
            yield Finding(NOTE, "official", f"the test set is the one of {title}")
    if unknown and dataset == "icbhi":
        are = f"{counted(len(unknown), 'recording', '')} {by_number(len(unknown), 'is', 'are')}"
        sentence = f"{are} in none of the lists of the data set: {listed(unknown)}"
        yield Finding(CAUTION, "unknown-recordings", sentence, {"recordings": unknown})


def predictions_against_split(
    submitted: Submitted, names: Sequence[ClipName], sets: Names
) -> Iterator[Finding]:
    """Yield names that were predicted and are not in the test list, or twice, or not at all."""
    twice = sorted(name for name, count in Counter(submitted.names).items() if count > 1)
    if twice:
        are = f"{counted(len(twice), 'clip', '')} {by_number(len(twice), 'is', 'are')}"
        sentence = f"{are} predicted more than once: {listed(twice)}"
        yield Finding(FAULT, "predicted-twice", sentence, {"names": twice})
    if not sets:
        return
    predicted = {name.recording for name in names} - {""}
    tested, trained = _values(sets[TEST], "recording"), _values(sets[TRAIN], "recording")
    if not predicted or not tested:
        return
    for code, wrong, what in (
        (
            "predicted-trained-on",
            (predicted & trained) - tested,
            "predicted recordings are in the training list",
        ),
        (
            "predicted-not-listed",
            predicted - trained - tested,
            "predicted recordings are in no list",
        ),
        ("not-predicted", tested - predicted, "recordings in the test list have no prediction"),
    ):
        if wrong:
            severity = FAULT if code == "predicted-trained-on" else CAUTION
            yield Finding(
                severity, code, f"{len(wrong)} {what}: {listed(wrong)}", {"recordings": sorted(wrong)}
            )


# --- the figure ---------------------------------------------------------------------------------------------


def claimed_figure(claim: Claim, found: Sequence[Definition]) -> Iterator[Finding]:
    """Yield which definition gives a claimed figure."""
    meant = usual(claim.heading, found)
    fitting = [each for each in found if claim.fits(each.value)]
    evidence = {
        "heading": claim.heading,
        "claimed": claim.value,
        "usual": meant.value,
        "reproduced_by": [each.title for each in fitting],
    }
    what, score = f"the claimed {claim.heading} of {claim.written}", number(meant.value)
    if meant in fitting:
        yield Finding(
            NOTE,
            "claim-reproduced",
            f"{what} is reproduced by its usual definition: {meant.heading}",
            evidence,
        )
    elif fitting:
        kind = (
            "a two-class figure"
            if all(each.name.startswith(TWO_CLASS) for each in fitting)
            else "another score"
        )
        yield Finding(
            FAULT,
            "claim-by-another-definition",
            f"{what} is {kind}: it is reproduced by {' or '.join(each.title for each in fitting[:3])}, "
            f"whereas {meant.heading} is {score}",
            evidence,
        )
    else:
        nearest = min(found, key=lambda each: abs(np.nan_to_num(each.value, nan=9.0) - claim.value))
        yield Finding(
            FAULT,
            "claim-not-reproduced",
            f"{what} is not reproduced by any definition: {meant.heading} is {score}, and the "
            f"closest, {nearest.title}, is {number(nearest.value)}",
            evidence,
        )


def without_patients(predictions: Predictions, patients: set[str]) -> Iterator[Finding]:
    """Yield the score without the clips of patients who are trained on."""
    rows = [k for k, subject in enumerate(predictions.subjects) if subject not in patients]
    if not patients or not rows or len(rows) == len(predictions.subjects):
        return
    rest = predictions.chosen(rows)
    score = scores_of(rest)[SCORE]
    yield Finding(
        NOTE,
        "score-without-shared",
        f"excluding the {counted(len(predictions.subjects) - len(rows), 'clip', '')} of patients seen in "
        f"training, the Score is {number(score.value)}{bracketed(score.interval)}",
        {"clips": len(rows), "score": score.value, "interval": score.interval},
    )


def beside_baselines(rows: Sequence[BaselineScores]) -> Iterator[Finding]:
    """Yield how near rules that do not listen come."""
    strongest = max(rows, key=lambda row: row["scores"][SCORE] or 0.0)
    by, bounds = strongest["difference"], strongest["difference_interval"]
    baseline = (
        f"a baseline that knows only the {strongest['name']}"
        if strongest["name"] != CONSTANT
        else "always predicting the most frequent class"
    )
    sentence = f"{baseline} reaches a Score of {number(strongest['scores'][SCORE])}"
    lead = f"{number(by, sign='+')}{bracketed(bounds)}"
    if by is not None and by <= 0:
        yield Finding(
            FAULT, "baseline-reached", f"{sentence}, and the system does no better", dict(strongest)
        )
    elif by is not None and bounds and bounds[0] <= 0:
        yield Finding(
            CAUTION,
            "baseline-not-excluded",
            f"{sentence}; the system's lead of {lead} may be due to chance",
            dict(strongest),
        )
    else:
        yield Finding(
            NOTE,
            "baselines",
            f"{sentence}; the system leads by {lead}",
            dict(strongest),
        )


def chosen_epoch(epochs: Mapping[str, Sequence[float]], claims: Sequence[Claim]) -> Iterator[Finding]:
    """Yield whether the epoch was chosen on the test set, and what that is worth.

    `epochs` has ``test`` and perhaps ``validation``, a score for each epoch, in fractions.
    """
    test = np.asarray(epochs[TEST], np.float64)
    best, last = int(np.nanargmax(test)), len(test) - 1
    validation = epochs.get(VALIDATION)
    honest = int(np.nanargmax(np.asarray(validation, np.float64))) if validation is not None else last
    way = "the epoch chosen on the validation set" if validation is not None else "the last epoch"
    worth = float(test[best] - test[honest])
    evidence = {
        "best_on_test": best + 1,
        "honest": honest + 1,
        "by": way,
        "worth": worth,
        "epochs": len(test),
    }
    fits_best = [claim for claim in claims if claim.fits(float(test[best]))]
    fits_honest = [claim for claim in claims if claim.fits(float(test[honest]))]
    points = f"{100 * worth:.1f} points"
    if fits_best and not fits_honest:
        sentence = (
            f"the claimed {fits_best[0].written} is the best of {len(test)} epochs on the test set (epoch "
            f"{best + 1}); {way} (epoch {honest + 1}) has {number(float(test[honest]))}: selecting on the "
            f"test set is worth {points}"
        )
        yield Finding(FAULT, "epoch-chosen-on-test", sentence, evidence)
    else:
        sentence = f"selecting the best epoch on the test set would gain {points} over {way}"
        yield Finding(NOTE, "epochs", sentence, evidence)


def compared(first: Predictions, second: Predictions) -> tuple[dict[str, Score], Finding]:
    """Return the second system's scores less the first's, and what that says."""
    scores = difference(first, second)
    score = scores[SCORE]
    sure = score.interval is not None and (score.interval[0] > 0 or score.interval[1] < 0)
    sentence = (
        f"the second system's Score minus the first's is {number(score.value, sign='+')}"
        f"{bracketed(score.interval)}, paired over {counted(score.n, 'patient', '')}"
        + ("" if sure else "; the difference may be due to chance")
    )
    evidence = {"difference": score.value, "interval": score.interval, "patients": score.n}
    return scores, Finding(NOTE if sure else CAUTION, "comparison", sentence, evidence)


def _values(names: Sequence[ClipName], field: str) -> set[str]:
    return {value for name in names if (value := getattr(name, field))}
