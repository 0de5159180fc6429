"""ICBHI 2017's text: a line a respiratory cycle, start and end in seconds, crackles and wheezes, 0 or 1 each.

Any white space may stand between, and a table written by Pandas has flags 0.0 and 1.0. Labels read are the
models' words where they have them: Normal, Wheeze, Wheeze+Crackle; and Crackle, since a cycle does not say
which. :func:`laennec.labels.to_icbhi` gives ICBHI's own words.

Source: Rocha et al., Physiological Measurement 40(3), 2019; the challenge's page.
"""

from collections.abc import Iterable, Iterator

from laennec.annotations.events import LabelFile, Problem, Row, collect, in_vocabulary, rounded_span
from laennec.labels import ICBHI_CYCLES, to_icbhi

DIGITS = 3
LABEL_OF_FLAGS = {(0, 0): "Normal", (1, 0): "Crackle", (0, 1): "Wheeze", (1, 1): "Wheeze+Crackle"}


def looks_like(text: str) -> bool:
    """Whether any line has the form of a cycle; a label of an Audacity track is no pair of flags."""
    return any(_cycle(line) for line in text.splitlines())


def read(text: str) -> LabelFile:
    """Read cycles; a line of another form is a problem."""
    return collect(_rows(text))


def _rows(text: str) -> Iterator[Row | Problem]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        cycle = _cycle(line)
        if cycle is None:
            detail = f"expected start, end, crackles and wheezes (0 or 1), found {line.strip()!r}"
            yield Problem(f"line {number}", detail)
        else:
            yield Row(f"line {number}", cycle[0], cycle[1], LABEL_OF_FLAGS[cycle[2], cycle[3]])


def _cycle(line: str) -> tuple[float, float, int, int] | None:
    try:
        start_s, end_s, crackles, wheezes = map(float, line.split())
    except ValueError:
        return None
    return (start_s, end_s, int(crackles), int(wheezes)) if {crackles, wheezes} <= {0.0, 1.0} else None


def write(events: Iterable[tuple[float, float, str]]) -> str:
    """Return a line for each event: start and end in seconds, label.

    Rhonchi and stridor count as wheezes, see :func:`laennec.labels.to_icbhi`. LaennecError if a label has no
    place in ICBHI's four classes.
    """
    lines = []
    for start_s, end_s, label in events:
        start_s, end_s = rounded_span(start_s, end_s, DIGITS)
        cycle = in_vocabulary(label, to_icbhi(label), "ICBHI", ICBHI_CYCLES)
        crackles, wheezes = int(cycle in ("crackle", "both")), int(cycle in ("wheeze", "both"))
        lines.append(f"{start_s:.{DIGITS}f}\t{end_s:.{DIGITS}f}\t{crackles}\t{wheezes}\n")
    return "".join(lines)
