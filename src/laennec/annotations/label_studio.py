"""Label Studio's JSON: tasks, each a recording, with regions as annotations or as predictions.

What is written are predictions, which Label Studio shows as pre-annotations, for a labelling setup with
``<Labels name="label" toName="audio">`` and ``<AudioPlus name="audio" …>`` (or ``<Audio>``). Read are
annotations where a task has some, else its predictions.

Source: Label Studio, "Import pre-annotated data" and the format of exported JSON.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from laennec.annotations.events import Boundary, LabelFile, Problem, Row, collect, none_is_for, rounded_span
from laennec.annotations.names import parts_of

FROM, TO, KIND = "label", "audio", "labels"


def looks_like(text: str) -> bool:
    """Whether a JSON text holds tasks of Label Studio."""
    head = text[:20_000]
    return ('"annotations"' in head or '"predictions"' in head or '"completions"' in head) and (
        '"data"' in head or '"result"' in head
    )


def read(text: str, recording: str | None = None) -> LabelFile:
    """Read the regions of a recording's task, or of all tasks."""
    try:
        tasks = json.loads(text)
        every = tasks if isinstance(tasks, list) else [tasks]
        wanted = [task for task in every if recording is None or _is_of(task, recording)]
        rows = [row for task in wanted for row in _rows(task)]
    except (ValueError, RecursionError) as error:
        return LabelFile(problems=(Problem("", f"not JSON ({error})"),))
    except (AttributeError, KeyError, TypeError, IndexError):
        return LabelFile(problems=(Problem("", "not tasks of Label Studio with regions of sound"),))
    if not wanted:
        return LabelFile(problems=(Problem("", none_is_for(len(every), "task", recording)),))
    return collect(rows)


def _is_of(task: Mapping[str, Any], recording: str) -> bool:
    """Whether a task's sound has a recording's name; Label Studio sets a code before that of an upload."""
    name = parts_of(recording)[-1]
    own = [parts_of(value)[-1:] for value in task["data"].values() if isinstance(value, str)]
    return any(part and (part[0] == name or part[0].endswith(f"-{name}")) for part in own)


def _rows(task: Mapping[str, Any]) -> Iterator[Row]:
    given = task.get("annotations") or task.get("completions") or task.get("predictions") or []
    for number, answer in enumerate(given, start=1):
        for k, region in enumerate(answer["result"], start=1):
            value = region.get("value", {})
            if KIND not in value or "start" not in value:
                continue
            channel = value.get("channel")
            labels = value[KIND] or [None]
            for label in labels:
                yield Row(
                    f"answer {number}, region {k}",
                    value["start"],
                    value["end"],
                    label,
                    None if channel is None else int(channel),
                    probability=region.get("score"),
                )


def write(
    events: Iterable[Boundary], recording: str, duration_s: float | None = None, model: str = "laennec"
) -> str:
    """Return one task with one prediction, whose score is the lowest probability of its regions."""
    regions = []
    for number, event in enumerate(events, start=1):
        start_s, end_s = rounded_span(event.start_s, event.end_s, 6)
        region: dict[str, Any] = {
            "id": f"event-{number}",
            "from_name": FROM,
            "to_name": TO,
            "type": KIND,
            "value": {"start": start_s, "end": end_s, KIND: [event.annotated or ""]},
        }
        if event.channel is not None:
            region["value"]["channel"] = event.channel
        if event.probability is not None:
            region["score"] = round(event.probability, 6)
        if duration_s is not None:
            region["original_length"] = round(duration_s, 6)
        regions.append(region)
    prediction: dict[str, Any] = {"model_version": model, "result": regions}
    scores = [region["score"] for region in regions if "score" in region]
    if scores:
        prediction["score"] = min(scores)
    task = {"data": {TO: recording}, "predictions": [prediction]}
    return json.dumps([task], indent=1, ensure_ascii=False) + "\n"
