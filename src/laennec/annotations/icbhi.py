"""ICBHI 2017's text: a line a respiratory cycle, start and end in seconds, crackles and wheezes, 0 or 1 each.

Any white space may stand between, and a table written by Pandas has flags 0.0 and 1.0. Labels read are the
models' words where they have them: Normal, Wheeze, Wheeze+Crackle; and Crackle, since a cycle does not say
which. :func:`laennec.labels.to_icbhi` gives ICBHI's own words.

Source: Rocha et al., Physiological Measurement 40(3), 2019; the challenge's page.
"""

from collections.abc import Iterable
from typing import Any

from laennec.annotations.events import Boundary, LabelFile, in_vocabulary, read_lines, write_lines
from laennec.labels import ICBHI_CYCLES, to_icbhi

LABEL_OF_FLAGS: dict[tuple[float, float], str] = {
    (0, 0): "Normal",
    (1, 0): "Crackle",
    (0, 1): "Wheeze",
    (1, 1): "Wheeze+Crackle",
}

LABEL_OF_CYCLE = dict(zip(ICBHI_CYCLES, LABEL_OF_FLAGS.values(), strict=True))  # ICBHI's words as read
FLAGS = {"0", "1", "0.0", "1.0"}


def looks_like(text: str) -> bool:
    """Whether any line has the form of a cycle; a label of an Audacity track is no pair of flags."""
    return any(_cycle(line) for line in text.split("\n"))


def lacks_a_flag(events: Iterable[Boundary]) -> bool:
    """Whether all labels of a track are flags: these are cycles with a column too few."""
    labels = {event.annotated for event in events} - {None}
    return bool(labels) and labels <= FLAGS


def read(text: str) -> LabelFile:
    """Read cycles; a line of another form is a problem."""
    return read_lines(text, _cycle, "start, end, crackles and wheezes (0 or 1)")


def _cycle(line: str) -> tuple[Any, Any, str | None] | None:
    try:
        start_s, end_s, crackles, wheezes = map(float, line.split())
        return start_s, end_s, LABEL_OF_FLAGS[crackles, wheezes]
    except (ValueError, KeyError):
        return None


def write(events: Iterable[tuple[float, float, str]]) -> str:
    """Return a line for each event: start and end in seconds, label.

    Rhonchi and stridor count as wheezes, see :func:`laennec.labels.to_icbhi`. LaennecError if a label has no
    place in ICBHI's four classes.
    """
    return write_lines(((start_s, end_s, _flags(label)) for start_s, end_s, label in events), digits=3)


def _flags(label: str) -> str:
    cycle = in_vocabulary(label, to_icbhi(label), "ICBHI", ICBHI_CYCLES)
    return f"{int(cycle in ('crackle', 'both'))}\t{int(cycle in ('wheeze', 'both'))}"
