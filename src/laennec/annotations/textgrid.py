"""Praat's TextGrid, long and short: interval tiers, in which empty labels fill the time between.

Point tiers hold labels without length. Tiers are as :mod:`laennec.annotations.tiers` has them; other names
are read too, without a channel.

Source: Praat manual, "TextGrid file formats".
"""

import re
from collections.abc import Iterable, Iterator

from laennec.annotations.events import Boundary, LabelFile, Problem, Row, collect, rounded_span
from laennec.annotations.tiers import channel_of, dealt

DIGITS = 6
# A value of the format: a text in quotation marks, doubled inside; a number; or a flag. All else is
# decoration.
_VALUE = re.compile(r'"((?:[^"]|"")*)"|(?<![\w.\[])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w.\]])|<(\w+)>')


def looks_like(text: str) -> bool:
    """Whether a text begins as a TextGrid does."""
    return "ooTextFile" in text[:40] and "TextGrid" in text[:200]


def read(text: str) -> LabelFile:
    """Read every tier; labels of a point in time are `points`."""
    try:
        return collect(list(_rows(_values(text))), points=True)
    except (StopIteration, ValueError, IndexError):
        return LabelFile(problems=(Problem("", "not a whole TextGrid; save it again in Praat as text"),))


def _values(text: str) -> Iterator[str]:
    """Yield the values in their order, behind the two lines that say what the file is."""
    body = re.sub(r"^\s*!.*$", "", text, flags=re.MULTILINE).split("\n")
    first = next(k for k, line in enumerate(body) if "TextGrid" in line)
    for match in _VALUE.finditer("\n".join(body[first + 1 :])):
        quoted, number, flag = match.groups()
        yield quoted.replace('""', '"') if quoted is not None else number or flag


def _rows(values: Iterator[str]) -> list[Row | Problem]:
    rows: list[Row | Problem] = []
    float(next(values)), float(next(values))
    if next(values) != "exists":
        return rows
    for _ in range(int(next(values))):
        kind, name = next(values), next(values)
        channel = channel_of(name)
        float(next(values)), float(next(values))
        for number in range(1, int(next(values)) + 1):
            where = f"tier {name}, label {number}"
            start_s = float(next(values))
            end_s = float(next(values)) if kind == "IntervalTier" else start_s
            label = next(values).strip()
            if label:
                rows.append(Row(where, start_s, end_s, label, channel))
    return rows


def write(events: Iterable[Boundary], duration_s: float | None = None) -> str:
    """Return a TextGrid of events; it ends with the last of them, or with the recording if that is longer."""
    tiers = dealt(events)
    last_s = max((event.end_s for own in tiers.values() for event in own), default=0.0)
    end_s = round(max(last_s, duration_s or 0.0, 10**-DIGITS), DIGITS)
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_time(end_s)}"]
    lines = [*head, "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, own) in enumerate(tiers.items(), start=1):
        intervals = list(_filled(own, end_s))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {_time(end_s)}"]
        lines.append(f"        intervals: size = {len(intervals)}")
        for k, (start, end, label) in enumerate(intervals, start=1):
            quoted = label.replace('"', '""')
            lines += [f"        intervals [{k}]:", f"            xmin = {_time(start)}"]
            lines += [f"            xmax = {_time(end)}", f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


def _filled(events: Iterable[Boundary], until_s: float) -> Iterator[tuple[float, float, str]]:
    """Yield the intervals of a tier, with empty ones between, up to its end."""
    at_s = 0.0
    for event in events:
        start_s, end_s = rounded_span(max(0.0, event.start_s), event.end_s, DIGITS)
        start_s = max(start_s, at_s)
        if start_s > at_s:
            yield at_s, start_s, ""
        yield start_s, end_s, " ".join((event.annotated or "").split())
        at_s = end_s
    if at_s < until_s:
        yield at_s, until_s, ""


def _time(seconds: float) -> str:
    return f"{seconds:.{DIGITS}f}".rstrip("0").rstrip(".") or "0"
