"""A cohort recorded by several sensors at once, with cycles from a file or from an airflow signal.

::

    cohort/
      recordings.csv            recording, subject; and age_years, sex, device, diagnosis, label if known
      recordings/r1.wav         all channels in one file, or r1_ch0.wav, r1_ch1.wav, … a file each
      recordings/r1.airflow.wav (optional) the airflow, positive in inspiration, of any sample rate
      cycles.csv                (optional) recording, start_s, end_s; and inspiration_end_s, channel, label
      labels.csv                (optional) recording, label; and channel
      channels.csv              (optional) channel, location

Cycles come from ``cycles.csv``; a recording that has none there has those of its airflow, and then where
inspiration ends is known as well. A cycle's label is the first of these that is there: its own in
``cycles.csv``, its channel's in ``labels.csv``, its recording's in ``labels.csv``, its recording's in
``recordings.csv``. A row of ``cycles.csv`` without a channel stands for every channel. Channels count from 0.

The layout is ours; the cohort it is made for is that of Nguyen & Pernkopf, section II-B.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from laennec.audio.folder import AUDIO_SUFFIXES
from laennec.datasets import check as checks
from laennec.datasets.airflow import cycles_from_airflow
from laennec.datasets.table import Defect, checked_level, clips_table, event_id, has_files, read_rows
from laennec.datasets.tiny import RATE_HZ, write_sound, write_text
from laennec.errors import LaennecError
from laennec.patient import Patient, check_age

if TYPE_CHECKING:
    import pandas as pd

NAME = "multichannel"
TITLE = "A cohort recorded by several sensors at once, with cycles from a file or an airflow signal"
CITATION = ""
LICENCE = "yours"
HOMEPAGE = ""

RECORDINGS_NAME, CYCLES_NAME = "recordings.csv", "cycles.csv"
LABELS_NAME, CHANNELS_NAME = "labels.csv", "channels.csv"
FOLDER = "recordings"
MATCHES = has_files(RECORDINGS_NAME)
HARMLESS = ("unknown column",)
DESCRIBING = ("age_years", "sex", "device", "diagnosis", "split")


@dataclass
class _Cohort:
    recordings: dict[str, dict[str, str]] = field(default_factory=dict)
    cycles: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    labels: dict[tuple[str, int | None], str] = field(default_factory=dict)
    locations: dict[int, str] = field(default_factory=dict)


def load(root: str | os.PathLike[str], level: str = "event") -> pd.DataFrame:
    """Read a multichannel cohort as a clips table: a row for each cycle on each channel.

    Parameters
    ----------
    root : path
        The folder described above.
    level : {"event", "record"}
        ``record`` gives a row for each recording and channel, with the one label of its cycles, or, where
        they differ, the one that is not normal.

    Raises
    ------
    LaennecError
        At the first thing that is wrong, or if there is no cycle.
    """
    rows, defects = read(Path(root), level)
    return checks.to_table(rows, defects, root, "no respiratory cycle was found", HARMLESS)


def read(root: Path, level: str = "event") -> tuple[list[dict[str, Any]], list[Defect]]:
    """Return the clips as mappings, and every defect that can be seen without decoding sound."""
    checked_level(level)
    if not (root / RECORDINGS_NAME).is_file():
        raise LaennecError(f"{root}: no {RECORDINGS_NAME} here; it names each recording and its subject")
    defects: list[Defect] = []
    cohort = _read_cohort(root, defects)
    rows: list[dict[str, Any]] = []
    for name in cohort.recordings:
        channels = _channels(root, name, defects)
        cycles = cohort.cycles.get(name) or _from_airflow(root, name, defects)
        if channels and not cycles:
            detail = f"{name} has no cycles in {CYCLES_NAME} and no {name}.airflow.wav"
            defects.append(Defect("no annotation", str(root / FOLDER), detail))
        clips = list(_rows(name, channels, cycles, cohort, root, defects))
        rows += clips if level == "event" else _records(clips)
        for label_of, channel in cohort.labels:
            if label_of == name and channel is not None and channels and channel not in channels:
                detail = f"{name} has no channel {channel}, from 0; it has {len(channels)}"
                defects.append(Defect("malformed annotation", str(root / LABELS_NAME), detail))
    return rows, defects


def check(root: str | os.PathLike[str], progress: bool = False) -> list[Defect]:
    """Return everything that is wrong with a cohort; every recording is decoded once."""
    rows, defects = read(Path(root))
    return defects + checks.check_clips(clips_table(rows), progress=progress)


def _read_cohort(root: Path, defects: list[Defect]) -> _Cohort:
    cohort = _Cohort()
    known = ("recording", "subject", "label", *DESCRIBING)
    for line, cells in read_rows(root / RECORDINGS_NAME, ("recording", "subject"), known, defects):
        if not {"recording", "subject"} <= set(cells):
            _malformed(defects, root / RECORDINGS_NAME, line, "recording or subject is empty")
        elif cells["recording"] in cohort.recordings:
            _malformed(defects, root / RECORDINGS_NAME, line, f"{cells['recording']} is there twice")
        else:
            cohort.recordings[cells["recording"]] = cells
    needed = ("recording", "start_s", "end_s")
    more = ("inspiration_end_s", "channel", "label")
    for line, cells in _optional(root / CYCLES_NAME, needed, more, defects):
        try:
            cycle = _cycle(cells, cohort)
        except (KeyError, ValueError) as error:
            _malformed(defects, root / CYCLES_NAME, line, str(error))
            continue
        cohort.cycles.setdefault(cells["recording"], []).append(cycle)
    for line, cells in _optional(root / LABELS_NAME, ("recording", "label"), ("channel",), defects):
        try:
            if cells["recording"] not in cohort.recordings:
                raise ValueError(f"recording {cells['recording']!r} is not in {RECORDINGS_NAME}")
            cohort.labels[cells["recording"], _channel(cells)] = cells["label"]
        except (KeyError, ValueError) as error:
            _malformed(defects, root / LABELS_NAME, line, str(error))
    for line, cells in _optional(root / CHANNELS_NAME, ("channel", "location"), (), defects):
        try:
            cohort.locations[int(cells["channel"])] = cells["location"]
        except (KeyError, ValueError) as error:
            _malformed(defects, root / CHANNELS_NAME, line, f"{error}: expected a number and a place")
    return cohort


def _malformed(defects: list[Defect], path: Path, line: int, detail: str) -> None:
    defects.append(Defect("malformed annotation", str(path), f"line {line}: {detail}"))


def _optional(
    path: Path, needed: tuple[str, ...], more: tuple[str, ...], defects: list[Defect]
) -> Iterator[tuple[int, dict[str, str]]]:
    if path.is_file():
        yield from read_rows(path, needed, (*needed, *more), defects)


def _channel(cells: dict[str, str]) -> int | None:
    if "channel" not in cells:
        return None
    if not cells["channel"].isdecimal():
        raise ValueError(f"channel is {cells['channel']!r}; expected 0, 1, …")
    return int(cells["channel"])


def _cycle(cells: dict[str, str], cohort: _Cohort) -> dict[str, Any]:
    """A line of cycles.csv, checked."""
    if cells.get("recording") not in cohort.recordings:
        raise ValueError(f"recording {cells.get('recording')!r} is not in {RECORDINGS_NAME}")
    if not {"start_s", "end_s"} <= set(cells):
        raise ValueError("start_s or end_s is empty")
    start_s, end_s = float(cells["start_s"]), float(cells["end_s"])
    inspiration_end_s = float(cells["inspiration_end_s"]) if "inspiration_end_s" in cells else None
    if not 0 <= start_s < end_s < float("inf"):
        raise ValueError(f"the cycle runs from {start_s:g} to {end_s:g} s")
    if inspiration_end_s is not None and not start_s < inspiration_end_s < end_s:
        raise ValueError(f"inspiration ends at {inspiration_end_s:g} s, outside {start_s:g} to {end_s:g} s")
    return {
        "start_s": start_s,
        "end_s": end_s,
        "inspiration_end_s": inspiration_end_s,
        "channel": _channel(cells),
        "label": cells.get("label"),
    }


def _channels(root: Path, name: str, defects: list[Defect]) -> dict[int, tuple[str, int]]:
    """File and its channel for each channel of a recording."""
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    whole = next((path for s in AUDIO_SUFFIXES if (path := folder / f"{name}{s}").is_file()), None)
    if whole is not None:
        try:
            return {channel: (str(whole), channel) for channel in range(soundfile.info(str(whole)).channels)}
        except (soundfile.SoundFileError, OSError) as error:
            defects.append(Defect("unreadable", str(whole), str(error)))
            return {}
    pattern = re.compile(re.escape(name) + r"_ch(\d+)")
    single = {
        int(match[1]): (str(path), 0)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in AUDIO_SUFFIXES and (match := pattern.fullmatch(path.stem))
    }
    if not single:
        detail = f"neither {name}.wav nor {name}_ch0.wav, {name}_ch1.wav, … is there"
        defects.append(Defect("missing", str(folder), detail))
    return dict(sorted(single.items()))


def _from_airflow(root: Path, name: str, defects: list[Defect]) -> list[dict[str, Any]]:
    """Cycles of a recording's airflow, for every channel; none if there is no such file."""
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    path = folder / f"{name}.airflow.wav"
    if not path.is_file():
        return []
    try:
        flow, sample_rate = soundfile.read(path, dtype="float64", always_2d=True)
        cycles = cycles_from_airflow(flow[:, 0], sample_rate)
    except (soundfile.SoundFileError, OSError, LaennecError) as error:
        defects.append(Defect("unreadable", str(path), str(error)))
        return []
    return [{**asdict(cycle), "channel": None, "label": None} for cycle in cycles]


def _rows(
    name: str,
    channels: dict[int, tuple[str, int]],
    cycles: list[dict[str, Any]],
    cohort: _Cohort,
    root: Path,
    defects: list[Defect],
) -> Iterator[dict[str, Any]]:
    """Yield a row for each cycle on each channel; one on a channel of its own replaces that of all."""
    try:
        described = _described(name, cohort.recordings[name])
    except LaennecError as error:
        defects.append(Defect("malformed annotation", str(root / RECORDINGS_NAME), f"{name}: {error}"))
        return
    own = {(cycle["channel"], cycle["start_s"]) for cycle in cycles if cycle["channel"] is not None}
    for cycle in cycles:
        for channel in channels if cycle["channel"] is None else [cycle["channel"]]:
            if cycle["channel"] is None and (channel, cycle["start_s"]) in own:
                continue
            label = _label(name, channel, cycle, cohort)
            if channel not in channels:
                detail = f"{name} has no channel {channel}, from 0; it has {len(channels)}"
                defects.append(Defect("malformed annotation", str(root / CYCLES_NAME), detail))
            elif label is None:
                places = f"{CYCLES_NAME}, {LABELS_NAME} or {RECORDINGS_NAME}"
                detail = f"{name}, channel {channel}: no label in {places}"
                defects.append(Defect("no annotation", str(root), detail))
                return
            else:
                path, channel_in_file = channels[channel]
                yield {
                    **described,
                    **{key: cycle[key] for key in ("start_s", "end_s", "inspiration_end_s")},
                    "clip_id": f"{event_id(name, cycle['start_s'], cycle['end_s'])}-ch{channel}",
                    "path": path,
                    "label": label,
                    "channel": channel_in_file,
                    "location": cohort.locations.get(channel, f"channel {channel}"),
                }


def _described(name: str, cells: dict[str, str]) -> dict[str, Any]:
    """Return what ``recordings.csv`` says of a recording, checked."""
    patient = Patient(check_age(cells.get("age_years")), cells.get("sex"))
    return {
        **{key: cells[key] for key in ("subject", "device", "diagnosis", "split") if key in cells},
        "age_years": patient.age_years,
        "sex": patient.sex,
        "recording": name,
        "dataset": NAME,
    }


def _label(name: str, channel: int, cycle: dict[str, Any], cohort: _Cohort) -> str | None:
    """Return a cycle's label: its own, its channel's, or its recording's."""
    channel_label = cohort.labels.get((name, channel)) or cohort.labels.get((name, None))
    return cycle["label"] or channel_label or cohort.recordings[name].get("label")


def _records(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each channel of a recording, of its cycles."""
    records: dict[str, dict[str, Any]] = {}
    for row in rows:
        clip_id = f"{row['recording']}-{row['clip_id'].rpartition('-')[2]}"
        if clip_id not in records or records[clip_id]["label"].lower() == "normal":
            whole = {"clip_id": clip_id, "start_s": 0.0, "end_s": None, "inspiration_end_s": None}
            records[clip_id] = {**row, **whole}
    return list(records.values())


def tiny(root: Path) -> None:
    """Two recordings of two channels: one with cycles in a file, one with airflow and a file a channel."""
    folder = root / FOLDER
    write_sound(folder / "a.wav", 1.0, channels=2)
    for channel in (0, 1):
        write_sound(folder / f"b_ch{channel}.wav", 12.0)
    flow_rate = RATE_HZ // 80
    flow = 0.5 * np.sin(2 * np.pi * np.arange(12 * flow_rate) / (3 * flow_rate) + 0.5)
    soundfile.write(folder / "b.airflow.wav", flow, flow_rate)
    for name, text in {
        RECORDINGS_NAME: "recording,subject,age_years,sex,diagnosis,label\n"
        "a,s1,44,male,healthy,normal\nb,s2,,,IPF,\n",
        CYCLES_NAME: "recording,start_s,end_s,inspiration_end_s,channel,label\n"
        "a,0.1,0.5,0.25,,\na,0.5,0.9,,,\na,0.5,0.9,,1,crackle\n",
        LABELS_NAME: "recording,channel,label\nb,0,crackle\nb,,normal\n",
        CHANNELS_NAME: "channel,location\n0,top\n1,base\n",
    }.items():
        write_text(root / name, text)
