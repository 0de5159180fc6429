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

from laennec.annotations.names import composed, key_of
from laennec.annotations.table import TIMES, channel_of, time_of
from laennec.audio.folder import files_below, is_audio
from laennec.audio.source import locate
from laennec.audio.stream import decoding, read_signal
from laennec.datasets import check as checks
from laennec.datasets.airflow import cycles_from_airflow
from laennec.datasets.table import (
    SPLITS,
    Defect,
    checked_level,
    clips_table,
    event_id,
    has_files,
    noted,
    patient_of,
    read_rows,
)
from laennec.datasets.tiny import RATE_HZ, write_sound, write_text
from laennec.errors import LaennecError, without_name

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
HARMLESS = ("unknown column", "odd form")
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
    sounds = _sounds(root, defects)
    rows: list[dict[str, Any]] = []
    for name in cohort.recordings:
        channels = _channels(name, sounds, root, defects)
        cycles = cohort.cycles.get(name) or _from_airflow(sounds.get(f"{name}.airflow"), defects)
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
    for where, cells in _lines(root / RECORDINGS_NAME, ("recording", "subject"), known, defects):
        with noted(defects, root / RECORDINGS_NAME, where):
            if not {"recording", "subject"} <= set(cells):
                raise ValueError("recording or subject is empty")
            _once(cohort.recordings, cells["recording"], cells)
    more = ("inspiration_end_s", "channel", "label")
    for where, cells in _lines(root / CYCLES_NAME, ("recording", *TIMES), more, defects):
        with noted(defects, root / CYCLES_NAME, where):
            cohort.cycles.setdefault(_known(cells, cohort), []).append(_cycle(cells))
    for where, cells in _lines(root / LABELS_NAME, ("recording", "label"), ("channel",), defects):
        with noted(defects, root / LABELS_NAME, where):
            if "label" not in cells:
                raise ValueError("label is empty")
            _once(cohort.labels, (_known(cells, cohort), channel_of(cells)), cells["label"])
    for where, cells in _lines(root / CHANNELS_NAME, ("channel", "location"), (), defects):
        with noted(defects, root / CHANNELS_NAME, where):
            if (channel := channel_of(cells)) is None or "location" not in cells:
                raise ValueError("channel or location is empty")
            _once(cohort.locations, channel, cells["location"])
    return cohort


def _lines(
    path: Path, needed: tuple[str, ...], more: tuple[str, ...], defects: list[Defect]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place and the cells of each line of a table, if it is there; a recording by its bare name."""
    if path.is_file():
        for line, cells in read_rows(path, needed, (*needed, *more), defects):
            if "recording" in cells:
                cells["recording"] = key_of(cells["recording"])
            yield f"line {line}", cells


def _once(table: dict[Any, Any], key: Any, value: Any) -> None:
    if key in table:
        name, *channel = key if isinstance(key, tuple) else (key,)
        of = f", channel {channel[0]}," if channel and channel[0] is not None else ""
        raise ValueError(f"{name}{of} is there twice")
    table[key] = value


def _known(cells: dict[str, str], cohort: _Cohort) -> str:
    if cells.get("recording") not in cohort.recordings:
        raise ValueError(f"recording {cells.get('recording', '')!r} is not in {RECORDINGS_NAME}")
    return cells["recording"]


def _cycle(cells: dict[str, str]) -> dict[str, Any]:
    """A line of cycles.csv, checked."""
    if not set(TIMES) <= set(cells):
        raise ValueError("start_s or end_s is empty")
    times = {name: time_of(cells, name) for name in (*TIMES, "inspiration_end_s") if name in cells}
    start_s, end_s, inspiration_end_s = times["start_s"], times["end_s"], times.get("inspiration_end_s")
    if start_s >= end_s:
        raise ValueError(f"the cycle runs from {start_s:g} to {end_s:g} s")
    if inspiration_end_s is not None and not start_s < inspiration_end_s < end_s:
        raise ValueError(f"inspiration ends at {inspiration_end_s:g} s, outside {start_s:g} to {end_s:g} s")
    channel, label = channel_of(cells), cells.get("label")
    return {"inspiration_end_s": None, **times, "channel": channel, "label": label}


def _sounds(root: Path, defects: list[Defect]) -> dict[str, Path]:
    """Return the sound files of a cohort by their bare names; two of one name are a defect."""
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    sounds: dict[str, Path] = {}
    for path in files_below(folder, below=False):
        if not is_audio(path.name):
            continue
        first = sounds.setdefault(key_of(path.name), path)
        if first != path:
            detail = f"{first.name} has the same name; remove one, or rename it"
            defects.append(Defect("conflicting annotation", str(path), detail))
    return sounds


def _channels(
    name: str, sounds: dict[str, Path], root: Path, defects: list[Defect]
) -> dict[int, tuple[str, int]]:
    """File and its channel for each channel of a recording."""
    if (whole := sounds.get(name)) is not None:
        try:
            with decoding(locate(whole)) as decoder:
                return {channel: (str(whole), channel) for channel in range(decoder.channels)}
        except LaennecError as error:
            defects.append(Defect("unreadable", str(whole), without_name(error, whole)))
            return {}
    pattern = re.compile(re.escape(name) + r"_ch(\d{1,4})")
    matches = ((pattern.fullmatch(sound), path) for sound, path in sounds.items())
    single = {int(match[1]): (str(path), 0) for match, path in matches if match}
    if not single:
        detail = f"neither {name}.wav nor {name}_ch0.wav, {name}_ch1.wav, … is there"
        defects.append(Defect("missing", str(root / FOLDER), detail))
    return dict(sorted(single.items()))


def _from_airflow(path: Path | None, defects: list[Defect]) -> list[dict[str, Any]]:
    """Cycles of a recording's airflow, for every channel; none if there is no such file."""
    if path is None:
        return []
    try:
        flow, sample_rate = read_signal(path)
        cycles = cycles_from_airflow(flow[0].astype(np.float64), sample_rate)
    except LaennecError as error:
        defects.append(Defect("unreadable", str(path), without_name(error, path)))
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
    described: dict[str, Any] = {}
    with noted(defects, root / RECORDINGS_NAME, name):
        described = _described(name, cohort.recordings[name], root / RECORDINGS_NAME, defects)
    if not described:
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


def _described(name: str, cells: dict[str, str], path: Path, defects: list[Defect]) -> dict[str, Any]:
    """Return what ``recordings.csv`` says of a recording, checked."""
    if cells.get("split") not in (None, *SPLITS):
        raise ValueError(f"split is {cells['split']!r}; expected {', '.join(SPLITS)} or nothing")
    return {
        **{key: composed(cells[key]) for key in ("subject", "device", "diagnosis", "split") if key in cells},
        **patient_of(cells.get("age_years"), cells.get("sex"), defects, path, name),
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
