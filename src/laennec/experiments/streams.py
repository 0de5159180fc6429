"""Events of sound that is still coming, against those of the whole: how late, how alike, at which cost.

    python -m laennec.experiments.streams --sprsound SPRSound --icbhi ICBHI --kauh KAUH
        --out docs/results/streams.json

One recording of each of up to `--count` patients of each data set is fed to `laennec.Stream` in parts of
0.5 s, as the page sends them, and analysed as a whole by `laennec.analyze`, both by the model that ships.
SPRSound's recordings are among those that the model learnt from, which does not bear on their agreement.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from laennec.analyze import analyze
from laennec.analyze.analysis import Event
from laennec.analyze.stream import DELAY_S, Stream
from laennec.audio.recording import Recording
from laennec.experiments import run
from laennec.experiments.demonstration import Span, matched_labels
from laennec.experiments.invariances import answer, near, one_per_patient
from laennec.files import write_json
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.progress import track
from laennec.score.markdown import Load, table

PART_S = 0.5
LONGEST_S = 30.0  # of a recording
NAMES = {"sprsound": "SPRSound", "icbhi": "ICBHI, a subset", "kauh": "KAUH"}


def half(event: Span, other: Span) -> bool:
    """Whether what two events share is at least half of what they cover together."""
    shared_s = min(event[1], other[1]) - max(event[0], other[0])
    return 2 * shared_s >= max(event[1], other[1]) - min(event[0], other[0])


def spans(events: Sequence[Event], with_label: bool = True) -> list[Span]:
    """Events as matching takes them."""
    return [(event.start_s, event.end_s, event.label if with_label else "") for event in events]


def compared(recording: Recording, model: Detector) -> dict[str, Any]:
    """What a stream finds in a recording of one channel, against the whole."""
    whole = analyze(recording, model=model)
    stream, delays_s = Stream(recording.sample_rate, model), []
    step = round(PART_S * recording.sample_rate)
    begun_s = time.process_time()
    for first in range(0, recording.length, step):
        told = stream.feed(recording.samples[:, first : first + step])
        delays_s += [stream.duration_s - event.end_s for event in told]
    found = stream.finish()
    cost_s = time.process_time() - begun_s

    def matched(same: Callable[[Span, Span], bool], with_label: bool = True) -> int:
        own, theirs = spans(whole.events, with_label), spans(found.events, with_label)
        return matched_labels(own, theirs, same).total()

    return {
        "duration_s": recording.duration_s,
        "cost_s": cost_s,
        "whole": len(whole.events),
        "stream": len(found.events),
        "half": matched(half, with_label=False),
        "half_and_label": matched(half),
        "near_and_label": matched(near),
        "delays_s": delays_s,
        "same_answer": answer(whole) == answer(found),
    }


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums over recordings, and shares of them."""
    names = (
        "whole",
        "stream",
        "half",
        "half_and_label",
        "near_and_label",
        "same_answer",
        "duration_s",
        "cost_s",
    )
    total = {name: sum(row[name] for row in rows) for name in names}
    delays_s = sorted(delay for row in rows for delay in row["delays_s"])
    mean = (total["whole"] + total["stream"]) / 2
    return {
        "recordings": len(rows),
        **total,
        "told_while_it_came": len(delays_s),
        "told_within_2_s": sum(delay <= 2 for delay in delays_s),
        "median_delay_s": delays_s[len(delays_s) // 2],
        "share_half_and_label": total["half_and_label"] / mean,
        "share_near_and_label": total["near_and_label"] / mean,
    }


def streams(load: Load) -> str:
    """The table of the documentation."""
    cells = []
    for name, own in load("streams")["data"].items():
        cells.append(
            [
                NAMES[name],
                own["recordings"],
                own["whole"],
                own["stream"],
                f"{own['share_half_and_label']:.0%}",
                f"{own['share_near_and_label']:.0%}",
                f"{own['same_answer']} of {own['recordings']}",
                f"{own['told_within_2_s'] / own['told_while_it_came']:.0%}",
                f"{own['median_delay_s']:.1f} s",
            ]
        )
    header = ["recordings of", "number", "events of the whole", "of the stream", "same half and class"]
    return table([*header, "same edges and class", "same answer", "told within 2 s", "median"], cells)


TABLES: dict[str, Callable[[Load], str]] = {"streams": streams}


def main() -> None:
    """Compare streams with wholes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for dataset in NAMES:
        parser.add_argument(f"--{dataset}", type=Path, help="its folder")
    parser.add_argument("--count", type=int, default=17, help="patients of each data set, 17")
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    options = parser.parse_args()
    model = load_model("recording")
    assert isinstance(model, Detector)
    data: dict[str, Any] = {}
    for dataset in NAMES:
        if folder := getattr(options, dataset):
            rows = []
            for path in track(one_per_patient(folder, options.count), dataset):
                recording = Recording.open(path).beginning(LONGEST_S).channel(0)
                rows.append(compared(Recording.from_array(recording.samples, recording.sample_rate), model))
            data[dataset] = figures(rows)
            print(f"{dataset}: {data[dataset]}", flush=True)
    if options.out:
        names = " ".join(f"--{name} {name.upper()}" for name in data)
        command = f"python -m laennec.experiments.streams {names} --count {options.count}"
        content = {
            "command": command,
            "model": model.sha256,
            "delay_s": DELAY_S,
            "part_s": PART_S,
            "data": data,
        }
        write_json(options.out, content)


if __name__ == "__main__":
    run(main)
