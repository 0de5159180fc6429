"""What the simulator drew in the demonstration's recordings, and what was found there.

    python -m laennec.experiments.demonstration demo/recordings demo/results
    python -m laennec.experiments.demonstration --seeds 100

The first compares the ground truth of ``laennec simulate --layout demo`` with ``laennec analyze``'s JSON. The
second simulates and analyses as many demonstrations. Neither measures accuracy: the sounds are simulated.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from laennec.analyze import analyze
from laennec.datasets.simulated import SIMULATION_FILE
from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.labels import record_label
from laennec.model.load import load_model
from laennec.simulate import demo_recordings

Span = tuple[float, float, str]
"""start_s, end_s, label."""
SHARED = 0.5  # of the shorter of two events must lie in the other one, so that they are the same


@dataclass(frozen=True)
class Comparison:
    """One recording: events `drawn` and `found`, and those that `matched`, by label; its record labels."""

    name: str
    drawn: Counter[str]
    found: Counter[str]
    matched: Counter[str]
    drawn_record: str
    found_record: str


def overlapping(drawn: Span, found: Span) -> bool:
    """Whether two events share `SHARED` of the shorter one."""
    shared_s = min(drawn[1], found[1]) - max(drawn[0], found[0])
    return shared_s >= SHARED * min(drawn[1] - drawn[0], found[1] - found[0])


def matched_labels(
    drawn: Sequence[Span], found: Sequence[Span], same: Callable[[Span, Span], bool] = overlapping
) -> Counter[str]:
    """Count the drawn events that were found, by `same`, with their label; a found one answers for one."""
    matched: Counter[str] = Counter()
    free = list(found)
    for event in sorted(drawn):
        for other in free:
            if event[2] == other[2] and same(event, other):
                matched[event[2]] += 1
                free.remove(other)
                break
    return matched


def compared(name: str, drawn: Sequence[Span], found: Sequence[Span], record: str) -> Comparison:
    """Compare the events of a recording; `record` is its record label as predicted."""
    labels = Counter(label for *_, label in drawn), Counter(label for *_, label in found)
    return Comparison(
        name, *labels, matched_labels(drawn, found), record_label(label for *_, label in drawn), record
    )


def compare_folders(recordings: Path, results: Path) -> list[Comparison]:
    """Compare what ``laennec simulate`` and ``laennec analyze --format json`` wrote."""
    truth = _read(recordings / SIMULATION_FILE, "laennec simulate RECORDINGS --layout demo").get("recordings")
    if not truth:
        raise LaennecError(f"{recordings / SIMULATION_FILE} lists no recordings; simulate them again")
    comparisons = []
    for name, drawn in truth.items():
        analysis = _read(results / f"{name}.json", "laennec analyze RECORDINGS --out RESULTS --format json")
        found = [(event["start_s"], event["end_s"], event["label"]) for event in analysis["events"]]
        record = analysis["record"] or {}
        events = [(start_s, end_s, label) for start_s, end_s, label in drawn["events"]]
        comparisons.append(compared(name, events, found, _record(record)))
    return comparisons


def compare_seeds(count: int) -> list[Comparison]:
    """Simulate and analyse the demonstrations of seeds 0 to `count` - 1; a comparison for each recording."""
    model, comparisons = load_model("recording"), []
    for seed in range(count):
        for name, recording in demo_recordings(seed).items():
            analysis = analyze(recording.samples, sample_rate=recording.sample_rate, model=model)
            found = [(event.start_s, event.end_s, event.label) for event in analysis.events]
            record = {"label": analysis.record.label} if analysis.record else {}
            comparisons.append(compared(name, recording.events, found, _record(record)))
    return comparisons


def _record(record: dict[str, Any]) -> str:
    return record.get("label") or "none"


def _read(path: Path, command: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LaennecError(f"{path} cannot be read ({error}); write it with `{command}`") from error
    if not isinstance(value, dict):
        raise LaennecError(f"{path} holds no object; write it again with `{command}`")
    return value


def table(comparisons: Iterable[Comparison]) -> Table:
    """One row per recording and label; recordings of one name (of several seeds) are added up."""
    by_name: dict[str, list[Comparison]] = {}
    for each in comparisons:
        by_name.setdefault(each.name, []).append(each)
    rows = Table(box=None, pad_edge=False)
    for column in ("recording", "sound", "drawn", "found", "drawn and found"):
        rows.add_column(column, justify="left" if column in ("recording", "sound") else "right")
    for name, group in by_name.items():
        drawn, found, matched = (
            sum(counts, Counter[str]())
            for counts in zip(*((each.drawn, each.found, each.matched) for each in group), strict=True)
        )
        for label in dict.fromkeys([*drawn, *sorted(found)]):
            rows.add_row(name, label, *(str(counts[label]) for counts in (drawn, found, matched)))
        answers = Counter(each.found_record for each in group)
        record = ", ".join(each if len(group) == 1 else f"{n} {each}" for each, n in answers.most_common())
        right = sum(each.found_record == each.drawn_record for each in group)
        rows.add_row(name, "whole recording", group[0].drawn_record, record, str(right))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="recordings and results")
    parser.add_argument("--seeds", type=int, default=0)
    options = parser.parse_args()
    if len(options.folders) == 2:
        comparisons = compare_folders(*options.folders)
    elif options.seeds > 0 and not options.folders:
        comparisons = compare_seeds(options.seeds)
    else:
        parser.error("give the folders of recordings and of results, or --seeds")
    console = Console()
    console.print(table(comparisons), highlight=False)
    console.print(
        "Drawn and found: of one label, and half of the shorter one lies in the other. Normal that was not "
        "drawn is the other half of a breath whose wheeze or crackles were, or one of these that was missed; "
        "anything else that was not drawn is a mistake of the model.",
        highlight=False,
    )


if __name__ == "__main__":
    run(main)
