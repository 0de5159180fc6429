"""HF_Lung's text: a label, its start and its end in a line, times as hours:minutes:seconds.

``I`` and ``E`` are inhalation and exhalation, ``D`` are crackles; ``Wheeze``, ``Rhonchi`` and ``Stridor`` are
spelt out. Blanks stand between, as in the published files; tabs, and seconds alone, are read as well.

Sources: Hsu et al., PLOS ONE 16(7), 2021, HF_Lung_V1; for the form of a line, programs that read published
files (knosmos/pulma on GitHub, ``frame_cnn/dataset_gen.py``, splits a line of ``…_label.txt`` at blanks into
label, start and end).
"""

import re
from collections.abc import Iterable
from typing import Any

from laennec.annotations.events import LabelFile, in_vocabulary, read_lines, rounded_span
from laennec.labels import spelling

ENDING = "_label"  # of a file's name, after its recording's
LABELS = {
    "I": "inspiration",
    "E": "expiration",
    "D": "Crackle",
    "Wheeze": "Wheeze",
    "Rhonchi": "Rhonchi",
    "Stridor": "Stridor",
}
# Crackles of either kind are D, so that they come back as crackles without their kind.
CODES = {
    **{label: code for code, label in LABELS.items()},
    **dict.fromkeys(("Coarse Crackle", "Fine Crackle", "crackle"), "D"),
    "wheeze": "Wheeze",
}
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_LINE = re.compile(r"\s*([A-Za-z]+)\s+([\d:.]+)\s+([\d:.]+)\s*")


def looks_like(text: str) -> bool:
    """Whether the first line is one of a known label and two times, one of them with a colon."""
    match = _LINE.fullmatch(text.lstrip().partition("\n")[0])
    return match is not None and match[1] in LABELS and ":" in match[2] + match[3]


def read(text: str) -> LabelFile:
    """Read a label file."""
    return read_lines(text, _label, f"one of {', '.join(LABELS)}, start and end as 00:00:01.234")


def _label(line: str) -> tuple[Any, Any, str | None] | None:
    match = _LINE.fullmatch(line)
    if match is None or match[1] not in LABELS:
        return None
    return _seconds(match[2]), _seconds(match[3]), LABELS[match[1]]


def _seconds(text: str) -> Any:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return text
    return 3600 * int(match[1] or 0) + 60 * int(match[2]) + float(match[3])


def code_of(label: str) -> str | None:
    """Return HF_Lung's word for a label, None where it has none."""
    known = spelling(label, CODES)
    return None if known is None else CODES[known]


def write(events: Iterable[tuple[float, float, str]]) -> str:
    """Return a line for each event; LaennecError if a label has no place in HF_Lung's."""
    lines = []
    for start_s, end_s, label in events:
        code = in_vocabulary(label, code_of(label), "HF_Lung", LABELS)
        times = (_clock(time_s) for time_s in rounded_span(start_s, end_s, 3))
        lines.append(" ".join((code, *times)) + "\n")
    return "".join(lines)


def _clock(time_s: float) -> str:
    milliseconds = round(time_s * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
