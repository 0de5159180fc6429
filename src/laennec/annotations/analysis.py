"""The JSON of an analysis: its events as labels, of one recording or of several.

One recording is an object; several are a list of them (``analyze --json``) or an object with such a list
under ``analyses``. What was refused, and what is uncertain, is no label and stays behind.

Source: ``analysis.schema.json`` in :mod:`laennec.output`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from laennec.annotations.events import LabelFile, Problem, Row, collect
from laennec.annotations.names import parts_of

_VERSION = re.compile(r'"laennec"\s*:\s*"\d')  # that made it
_HEAD = 20_000  # characters
EVENTS, SEVERAL = "events", "analyses"


def looks_like(text: str) -> bool:
    """Whether a text is JSON that `laennec analyze` wrote."""
    return text.lstrip().startswith(("{", "[")) and _VERSION.search(text[:_HEAD]) is not None


def read(text: str, recording: str | None = None) -> LabelFile:
    """Read the events of a recording's analysis, or of all that the file holds."""
    try:
        analyses = _analyses(json.loads(text))
        wanted = analyses if recording is None or len(analyses) == 1 else _of(analyses, recording)
        rows = [row for analysis in wanted for row in _rows(analysis)]
        labels = [_text((analysis.get("record") or {}).get("label")) for analysis in wanted]
    except json.JSONDecodeError as error:
        return LabelFile(problems=(Problem("", f"not JSON ({error})"),))
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return LabelFile(problems=(Problem("", "expected analyses by Laennec, each with its events"),))
    if not wanted:
        what = f"none of its {len(analyses)} analyses is of {PurePosixPath(recording or '').name}"
        return LabelFile(problems=(Problem("", what),))
    return collect(rows, labels[0] if len(labels) == 1 else None)


def _analyses(content: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(content, dict) and SEVERAL in content:
        content = content[SEVERAL]
    return content if isinstance(content, list) else [content]


def _of(analyses: Sequence[Mapping[str, Any]], recording: str) -> list[Mapping[str, Any]]:
    name = parts_of(recording)[-1]
    return [each for each in analyses if parts_of(str(each["recording"]["name"]))[-1:] == [name]]


def _text(value: Any) -> str | None:
    """Return a label; TypeError if it is none."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _rows(analysis: Mapping[str, Any]) -> Iterator[Row]:
    for number, event in enumerate(analysis[EVENTS], start=1):
        channel = event.get("channel")
        yield Row(
            f"event {number}",
            event["start_s"],
            event["end_s"],
            _text(event.get("label")),
            None if channel is None else int(channel),
            probability=event.get("probability"),
        )
