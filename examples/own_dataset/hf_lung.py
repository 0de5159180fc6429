"""HF_Lung_V1: lung sounds of adults in intensive and respiratory care, labelled by breath phase and sound.

Recordings of 15 s (``steth_20190808_12_05_27.wav``), each with a text file (``…_label.txt``), one line per
label::

    I 00:00:01.2 00:00:02.0
    Wheeze 00:00:01.5 00:00:01.9

I and E are inspiration and expiration, D discontinuous sounds (crackles of either kind); Wheeze, Stridor and
Rhonchi are what they say. Sounds overlap phases: a label says when something is heard, not what a breath is.
Patients are not published, so each recording counts as a patient of its own.

Source: Hsu et al., "Benchmarking of eight recurrent neural network variants for breath phase and adventitious
sound detection on a self-developed open-access lung sound database", PLOS ONE 16(7), 2021.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laennec.annotations.events import LabelFile, Problem, Row, collect
from laennec.datasets import check as checks
from laennec.datasets.table import Defect, clips_table, has_files, label_clips
from laennec.datasets.tiny import write_sound, write_text

NAME = "hf_lung"
TITLE = "HF_Lung_V1: adults' lung sounds with breath phases and adventitious sounds"
HOMEPAGE = "https://gitlab.com/techsupportHF/HF_Lung_V1"
LICENCE = "CC BY-NC 4.0"
CITATION = "F.-S. Hsu et al., PLOS ONE 16(7), e0254134, 2021"

LABELS = {"event": ("I", "E", "D", "Wheeze", "Stridor", "Rhonchi")}
LEVELS = ("event",)  # it has no labels of whole recordings
OVERLAPS = True
TO_CANONICAL = {"I": "Normal", "E": "Normal", "D": "crackle"}  # a crackle may be fine or coarse
SUFFIX = "_label.txt"
MATCHES = has_files("**/steth_*_label.txt", "**/trunc_*_label.txt")

LINE = re.compile(r"(\S+)\s+(\d+):(\d+):(\d+(?:\.\d+)?)\s+(\d+):(\d+):(\d+(?:\.\d+)?)")


def load(root: Path, level: str = "event") -> Any:
    """Return the clips table: a row a label; see :mod:`laennec.datasets.table`."""
    rows, defects = read(Path(root))
    return checks.to_table(rows, defects, root, "no label file with its recording was found")


def check(root: Path, progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a copy; every recording is decoded once."""
    rows, defects = read(Path(root))
    return defects + checks.check_clips(clips_table(rows), progress=progress, overlaps=OVERLAPS)


def read(root: Path) -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the clips, and what is wrong with the files."""
    rows: list[dict[str, Any]] = []
    defects: list[Defect] = []
    for path in sorted(root.rglob(f"*{SUFFIX}")):
        stem = path.name.removesuffix(SUFFIX)
        candidates = (path.with_name(f"{stem}{ending}") for ending in (".wav", ".flac"))
        audio = next((candidate for candidate in candidates if candidate.is_file()), None)
        if audio is None:
            defects.append(Defect("missing", str(path), f"no {stem}.wav beside it"))
            continue
        part = path.parent.name if path.parent.name in ("train", "test") else None
        recording = {"recording": stem, "path": str(audio), "channel": 0, "split": part, "dataset": NAME}
        clips = label_clips(read_labels(path), path, stem, defects, known)
        rows += [{**recording, **clip} for clip in clips]
    return rows, defects


def read_labels(path: Path) -> LabelFile:
    """Read a label file; a line of another form is a problem."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return collect(rows_of(lines))


def rows_of(lines: list[str]) -> Iterator[Row | Problem]:
    """Yield a row for each line that is not empty."""
    for number, line in enumerate(lines, start=1):
        match = LINE.fullmatch(line.strip())
        if match:
            label, *clock = match.groups()
            start_s, end_s = (int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in (clock[:3], clock[3:]))
            yield Row(f"line {number}", start_s, end_s, label)
        elif line.strip():
            yield Problem(f"line {number}", f"expected a label and two times, found {line!r}")


def known(label: str) -> str | None:
    """Return a label that is one of the data set's."""
    return label if label in LABELS["event"] else None


def tiny(root: Path) -> None:
    """Eight recordings: breaths in and out, every second recording with wheezes or crackles over them."""
    for number in range(8):
        stem = f"steth_20190808_12_05_{number:02d}"
        part = "train" if number < 6 else "test"
        lines = ["I 00:00:00.5 00:00:01.6", "E 00:00:01.8 00:00:03.0", "I 00:00:03.5 00:00:04.6"]
        if number % 2:
            sound = ("Wheeze", "D", "Rhonchi", "Stridor")[number // 2]
            lines += [f"{sound} 00:00:00.7 00:00:01.4", f"{sound} 00:00:03.6 00:00:04.2"]
        write_sound(root / part / f"{stem}.wav", 6.0)
        write_text(root / part / f"{stem}{SUFFIX}", "\n".join(lines) + "\n")
