"""The analysis of a recording: where events come from, what is said about what was not analysed."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec import Recording, analyze
from laennec.analyze import Analysis, Event
from laennec.analyze.windows import merge_windows
from laennec.annotations import read_events
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS
from laennec.model.clips import LungModel
from laennec.model.load import load_model
from tiny_model import RATE, tiny_model

LABELS = ("Normal", "Wheeze", "Crackle")
real = pytest.mark.real


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LungModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def sound(*levels: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A second of noise at each level: to the tiny model 0.02 is normal breathing, 0.2 a wheeze."""
    rng = np.random.default_rng(seed)
    return np.concatenate([level * rng.standard_normal(rate) for level in levels]).astype(np.float32)


def spans(events: tuple[Event, ...]) -> list[tuple[float, float, str]]:
    return [(event.start_s, event.end_s, event.label) for event in events]


# --- windows ------------------------------------------------------------------------------------------------


def test_overlapping_windows_are_averaged_and_merged() -> None:
    windows = [(0.0, 2.0), (1.0, 3.0), (2.0, 4.0), (2.5, 4.5)]
    rows = [(1.0, 0.0, 0.0), (0.7, 0.3, 0.0), (0.1, 0.9, 0.0), (0.0, 0.8, 0.2)]
    first, second = merge_windows(windows, rows, LABELS)
    # Cells: 0-1 (window 1), 1-2 (1, 2), 2-2.5 (2, 3), 2.5-3 (2, 3, 4), 3-4 (3, 4), 4-4.5 (4).
    assert spans((first, second)) == [(0.0, 2.0, "Normal"), (2.0, 4.5, "Wheeze")]
    assert first.probability == pytest.approx((1.0 + 0.85) / 2)
    cells = [(0.5, 0.6), (0.5, 2.0 / 3), (1.0, 0.85), (0.5, 0.8)]
    assert second.probability == pytest.approx(sum(w * p for w, p in cells) / 2.5)
    assert sum(second.probabilities.values()) == pytest.approx(1)


def test_no_event_reaches_across_what_no_window_covers() -> None:
    found = merge_windows([(0.0, 1.0), (3.0, 4.0)], [(0.0, 1.0, 0.0)] * 2, LABELS)
    assert spans(tuple(found)) == [(0.0, 1.0, "Wheeze"), (3.0, 4.0, "Wheeze")]
    assert merge_windows([], [], LABELS) == []


def test_edges_that_rounding_put_apart_make_no_event() -> None:
    windows = [(0.0, 0.2), (0.1 + 0.2, 0.6)]  # 0.1 + 0.2 > 0.3
    found = merge_windows(windows, [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)], LABELS)
    assert [(round(e.start_s, 9), round(e.end_s, 9)) for e in found] == [(0.0, 0.2), (0.3, 0.6)]


def test_a_recording_becomes_normal_and_adventitious_spans(tiny: LungModel) -> None:
    found = analyze(sound(0.02, 0.02, 0.02, 0.02, 0.2, 0.2, 0.2, 0.2), sample_rate=RATE, model=tiny)
    assert [event.label for event in found.events] == ["Normal", "Wheeze"]
    assert (found.events[0].start_s, found.events[-1].end_s) == (0.0, 8.0)
    assert found.events[0].end_s == found.events[1].start_s
    assert abs(found.events[1].start_s - 4) <= 1
    assert [event.label for event in found.adventitious] == ["Wheeze"]
    assert (found.segmentation, found.window_s, found.hop_s) == ("windows", 2.0, 1.0)
    assert (found.model_name, found.model_sha256, found.labels) == ("tiny", tiny.sha256, SPRSOUND_EVENTS)
    assert found.notes == found.repairs == ()


def test_windows_may_be_set_but_not_longer_than_the_model_hears(tiny: LungModel) -> None:
    x = sound(0.02, 0.2)
    assert analyze(x, sample_rate=RATE, model=tiny, window_s=0.5, hop_s=0.25).window_s == 0.5
    assert analyze(x, sample_rate=RATE, model=tiny, window_s=0.5).hop_s == 0.5  # the card's 1 s leaves gaps
    with pytest.raises(LaennecError, match=r"windows of 5 s: the model tiny hears 3 s at most"):
        analyze(x, sample_rate=RATE, model=tiny, window_s=5)
    with pytest.raises(LaennecError, match="the hop between windows must be"):
        analyze(x, sample_rate=RATE, model=tiny, window_s=0.5, hop_s=1.0)
    with pytest.raises(LaennecError, match="leave out one or other"):
        analyze(x, sample_rate=RATE, model=tiny, events=[(0, 1)], window_s=1.0)


def test_a_short_recording_is_one_window(tiny: LungModel) -> None:
    found = analyze(sound(0.2)[:2_400], sample_rate=RATE, model=tiny)
    assert spans(found.events) == [(0.0, 0.3, "Wheeze")]


# --- what is not analysed -----------------------------------------------------------------------------------


def test_a_silent_recording_has_no_events_and_says_so(tiny: LungModel) -> None:
    found = analyze(np.zeros(5 * RATE), sample_rate=RATE, model=tiny)
    assert found.events == ()
    assert found.notes == ("not analysed: the recording is silent",)
    assert [finding.kind for finding in found.quality] == ["silent"]


def test_a_silent_stretch_is_left_out_and_named(tiny: LungModel) -> None:
    found = analyze(sound(0.02, 0.02, 0.02, 0, 0, 0, 0, 0.2, 0.2, 0.2), sample_rate=RATE, model=tiny)
    assert [event.label for event in found.events] == ["Normal", "Wheeze"]
    assert found.notes == ("not analysed: 3.00 to 7.00 s is silent or mostly so",)


def test_too_short_to_hold_a_sound(tiny: LungModel) -> None:
    found = analyze(sound(0.2)[:400], sample_rate=RATE, model=tiny)
    assert found.events == ()
    assert "too short to hold a respiratory sound" in found.notes[0]


def test_each_channel_by_itself_and_copies_once(tiny: LungModel) -> None:
    quiet, loud = sound(0.02, 0.02), sound(0.2, 0.2)
    found = analyze(np.stack([quiet, loud, 0 * quiet, quiet]), sample_rate=RATE, model=tiny)
    assert [(event.channel, event.label) for event in found.events] == [(0, "Normal"), (1, "Wheeze")]
    assert found.notes == (
        "not analysed: channel 2 is silent",
        "channel 3 is the same as channel 0 and was not analysed again",
    )
    given = analyze(np.stack([quiet, loud]), sample_rate=RATE, model=tiny, events=[(0, 1), (1, 2)])
    assert [event.channel for event in given.events] == [0, 0, 1, 1]


def test_resampling_is_noted(tiny: LungModel) -> None:
    found = analyze(sound(0.2, 0.2, rate=4_000), sample_rate=4_000, model=tiny)
    assert found.notes == (
        "resampled from 4000 to 8000 Hz, the model's rate; it holds nothing above 2000 Hz, "
        "where the model listens too",
    )
    assert found.sample_rate == 4_000
    found = analyze(sound(0.2, 0.2, rate=16_000), sample_rate=16_000, model=tiny)
    assert found.notes == ("resampled from 16000 to 8000 Hz, the model's rate",)
    assert found.events[-1].end_s == 2.0


def test_repairs_of_the_file_are_in_the_result(tiny: LungModel) -> None:
    x = sound(0.02, 0.02)
    x[5] = np.nan
    found = analyze(x, sample_rate=RATE, model=tiny)
    assert any("set to zero" in repair for repair in found.repairs)


# --- given events -------------------------------------------------------------------------------------------


def test_given_events_are_judged_one_by_one(tiny: LungModel) -> None:
    x = sound(0.02, 0.2, 0.02)
    found = analyze(x, sample_rate=RATE, model=tiny, events=[(1, 2, "wheeze"), (0, 1), (2.0, 3.0, "odd")])
    assert spans(found.events) == [(0, 1, "Normal"), (1, 2, "Wheeze"), (2, 3, "Normal")]
    assert [event.annotated for event in found.events] == [None, "Wheeze", "odd"]
    assert (found.segmentation, found.window_s, found.hop_s) == ("given", None, None)
    direct = tiny.predict([x[8_000:16_000]], RATE)[0]
    np.testing.assert_allclose(list(found.events[1].probabilities.values()), direct, atol=1e-6)


def test_an_event_beyond_the_end_is_shortened_and_recorded(tiny: LungModel) -> None:
    found = analyze(sound(0.02, 0.2), sample_rate=RATE, model=tiny, events=[(1, 2.5)])
    assert spans(found.events) == [(1, 2, "Wheeze")]
    assert found.repairs == ("event 1 to 2.5 s: reaches outside the recording of 2 s; shortened to 1 to 2 s",)
    recording = Recording.from_array(sound(0.02), RATE, "a.wav")
    with pytest.raises(LaennecError, match=r"a\.wav: event 5 to 6 s: outside the recording of 1 s"):
        analyze(recording, model=tiny, events=[(5, 6)])
    found = analyze(recording, model=tiny, events=[(0, 1), (5, 6)])
    assert spans(found.events) == [(0, 1, "Normal")]
    assert found.repairs == ("event 5 to 6 s: outside the recording of 1 s; left out",)
    with pytest.raises(LaennecError, match=r"event 5 to 6 s: .*; 1 other event outside it, too"):
        analyze(recording, model=tiny, events=[(5, 6), (7, 8)])


def test_long_and_silent_and_no_given_events_are_noted(tiny: LungModel) -> None:
    x = sound(0.02, 0.02, 0.02, 0.02, 0)
    found = analyze(x, sample_rate=RATE, model=tiny, events=[(0, 4), (4, 5)])
    assert spans(found.events) == [(0, 4, "Normal")]
    assert found.notes[0].startswith("1 of 2 given events lasts longer than the 3 s that the model hears")
    assert found.notes[1] == "not analysed: the event 4 to 5 s is silent"
    found = analyze(x, sample_rate=RATE, model=tiny, events=[(0, 1), (1, 1.01)])
    assert found.notes[0].startswith("1 of 2 given events is shorter than the shortest wheeze, 0.1 s")
    found = analyze(x, sample_rate=RATE, model=tiny, events=[])
    assert found.events == ()
    assert found.notes == ("the given events are none: nothing was analysed",)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([(2, 1)], "event 1: it ends at 1 s, not after its start at 2 s"),
        ([(0, 1), ("a", 1)], "event 2: start is 'a', no number"),
        ([(0, float("nan"))], "event 1: end is nan, no number"),
        ([3], "event 1: .*expected start and end in seconds"),
        ([(1,)], "event 1: .*expected start and end in seconds"),
    ],
)
def test_given_events_that_are_none(tiny: LungModel, events: list, message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        analyze(sound(0.02), sample_rate=RATE, model=tiny, events=events)


def boundaries(path: Path, name: str | None = None) -> list[tuple[float, float, str | None]]:
    return [(b.start_s, b.end_s, b.annotated) for b in read_events(path, name)]


RAVEN = "Channel\tBegin Time (s)\tEnd Time (s)\tFile Offset (s)\n"
FILES = {
    "sprsound.json": (
        '{"record_annotation": "DAS", "event_annotation": ['
        '{"start": "1500", "end": "2250", "type": "Wheeze & Crackle"},'
        '{"start": 250, "end": 1000, "type": "fine crackle"}, {"start": "3000", "end": "3500"}]}',
        [(0.25, 1.0, "Fine Crackle"), (1.5, 2.25, "Wheeze+Crackle"), (3.0, 3.5, None)],
    ),
    "poor.json": ('{"record_annotation": "Poor Quality", "event_annotation": []}', []),
    "audacity.txt": (
        "0.350000\t1.920000\tNormal\n\\\t120.0\t2000.0\n2,5\t3.75\tfine crackle\n4\t5\n6\t7\t\n",
        [(0.35, 1.92, "Normal"), (2.5, 3.75, "Fine Crackle"), (4.0, 5.0, None), (6.0, 7.0, None)],
    ),
    "icbhi.txt": (
        "0.364\t3.25\t0\t1\n3.25\t6.636\t0\t0\r\n6.6 7 1 1\n7 8 1 0\n",
        [
            (0.364, 3.25, "Wheeze"),
            (3.25, 6.636, "Normal"),
            (6.6, 7.0, "Wheeze+Crackle"),
            (7.0, 8.0, "Crackle"),
        ],
    ),
    "plain.csv": ("\ufeffstart_s,end_s\n1,2.5\n0.5,1\n", [(0.5, 1.0, None), (1.0, 2.5, None)]),
    "semicolon.csv": ("label;start_s;end_s\nWheeze;0,5;1\n\n", [(0.5, 1.0, "Wheeze")]),
    "several.csv": (
        "path,start_s,end_s,label\na/one.wav,0,1,Normal\ntwo.wav,1,2,Wheeze\n",
        [(1.0, 2.0, "Wheeze")],
    ),
    "empty.txt": ("", []),
    "tabs.csv": ("recording\tstart_s\tend_s\tlabel\ntwo\t0,5\t1\tWheeze\n", [(0.5, 1.0, "Wheeze")]),
    "lines before.csv": ("\n\nlabel;start_s;end_s\nWheeze;0,5;1\n", [(0.5, 1.0, "Wheeze")]),
    "two tables.csv": (
        "recording,start_s,end_s,label\ntwo.wav,0,1,Normal\none.wav,0,1,x\n\n"
        "path,channel,label,start_s,end_s\na/two.wav,0,Wheeze,2,3\n",
        [(0.0, 1.0, "Normal")],  # of two names that fit, the name as it is; a/two.wav is in a folder
    ),
    "the same table twice.csv": (
        "recording,start_s,end_s,label\ntwo.wav,0,1,Normal\nrecording,start_s,end_s,label\ntwo.wav,1,2,Wheeze\n",
        [(0.0, 1.0, "Normal"), (1.0, 2.0, "Wheeze")],
    ),
    "no label.csv": ("start_s,end_s,label\n0,1,NA\n1,2,\n", [(0.0, 1.0, None), (1.0, 2.0, None)]),
    "raven.txt": (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
        "1\tWaveform 1\t1\t0.5\t1.5\t0\t4000\twheeze\n1\tSpectrogram 1\t1\t0.5\t1.5\t0\t4000\twheeze\n"
        "2\tSpectrogram 1\t1\t2\t3\t0\t4000\t\n",
        [(0.5, 1.5, "Wheeze"), (2.0, 3.0, None)],
    ),
    "raven of two files.txt": (
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tAnnotation\n"
        "1\t0.5\t1.5\tone.wav\t0.5\tNormal\n2\t20.5\t22\ttwo.wav\t0.25\tWheeze\n",
        [(0.25, 1.75, "Wheeze")],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_event_files(tmp_path: Path, name: str) -> None:
    text, expected = FILES[name]
    (tmp_path / name).write_bytes(text.encode())
    assert boundaries(tmp_path / name, "two.flac") == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", r"a\.json: not JSON"),
        ("a.json", b"[]", "expected SPRSound's JSON"),
        ("a.json", b'{"event_annotation": [3]}', "event 1: expected an object"),
        ("a.json", b'{"event_annotation": [{"start": "x", "end": 9}]}', "event 1: start is 'x', no number"),
        ("a.json", b'{"event_annotation": [{"start": 9}]}', "event 1: end is None, no number"),
        ("a.json", b"[" * 100_000, r"a\.json: not JSON"),
        ("a.json", b'{"event_annotation": [{"start": 1%s}]}' % (b"0" * 400), "event 1: start is 1000"),
        ("a.csv", b'start_s,end_s\n"' + b"1" * 200_000, r"a\.csv: not a table"),
        (
            "a.csv",
            b'start_s,end_s,label\n0,1,"x\n1,2,y\n2,3,z\n',
            "line 2: a quotation mark is opened and not",
        ),
        ("a.csv", b"start_s,end_s,start_s\n1,2,3\n", "line 1: column start_s is there twice"),
        ("a.csv", b"start_s,end_s\n1,1e308\n", r"line 2: end is at 1e\+308 s, where no recording is"),
        ("a.csv", b"start_s,end_s\n1," + b"9" * 6000, "line 2: end is '9{79}…, no number"),
        ("a.csv", b"channel,start_s,end_s\n" + b"9" * 6000 + b",1,2\n", "line 2: channel is '9{80}…'"),
        ("a.csv", b"start_s,end_s\n1,2\n\0,3\n", "line 3 holds a zero byte; save it as UTF-8"),
        ("a.csv", "start_s,end_s\n".encode("utf-16-le"), "line 1 holds a zero byte; save it as UTF-8"),
        ("a.csv", b"\xff\xfe\xd8", "not UTF-16 text, as its first bytes say"),
        ("a.json", b'{"event_annotation": [{"start": 1%s}]}' % (b"0" * 5000), "a number has too many digits"),
        ("a.txt", b"0\t1\t2\t0\n1\t2\t0\t3\n", "line 1: expected start, end and label with tabs"),
        ("a.txt", b"Begin Time (s)\tBegin File\n", "line 1: no column End Time"),
        (
            "a.txt",
            b"Begin Time (s)\tEnd Time (s)\tBegin File\n1\t2\ta.wav\n30\t31\tb.wav\n",
            r"selections of 2 files, but no File Offset \(s\)",
        ),
        ("a.txt", RAVEN.encode() + b"1\t1\t2\tx\n", "line 2: start is 'x', no number"),
        ("a.txt", RAVEN.encode() + b"0\t1\t2\t1\n", "line 2: channel is '0'; expected 1, 2"),
        ("a.csv", b"", "a.csv: empty; expected a line of columns, start_s and end_s among them, and rows"),
        ("a.json", b" \n", "a.json: empty; expected SPRSound's annotation"),
        (
            "a.json",
            b'{"laennec": "1", "events": [{"start_s": 1}]}',
            "expected analyses by Laennec, each with its events",
        ),
        (
            "a.json",
            b'{"event_annotation": [{"start": 0.5, "end": 2.0, "type": "Wheeze"}]}',
            "its times end within 0.1 s: they are milliseconds in SPRSound's JSON",
        ),
        ("a.csv", b"Label,start_s,end_s,label\nA,1,2,B\n", "column label is there twice"),
        ("a.csv", b"start,end\n1,2\n", "no column start_s; it has start, end"),
        ("a.csv", b"start_s,end_s\n1,2\n3\n", "line 3: end is '', no number"),
        ("a.csv", b"start_s,end_s\n2,1\n", "line 2: it ends at 1 s, not after its start at 2 s"),
        ("a.csv", b"start_s,end_s\n", r"a\.csv: no row below its header"),
        ("a.txt", b"0 1 wheeze\n", "line 1: expected start, end and label with tabs"),
        ("a.txt", b"1\t2\tx\n\nfoo\tbar\tx\n", "line 3: start is 'foo', no number"),
        ("a.txt", b"1\t2\t\xff\n", r"a\.txt: not UTF-8 text"),
        ("a.wav", b"", r"events are read from \.json, \.csv, \.txt, \.TextGrid, \.eaf, \.rttm files"),
    ],
)
def test_event_files_that_are_wrong(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LaennecError, match=message):
        read_events(tmp_path / name)


def test_a_table_of_ours_without_an_event_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("recording,channel,start_s,end_s,label,probability,Normal,Wheeze\n")
    assert read_events(path) == []


def test_a_table_without_a_row_for_the_recording(tiny: LungModel, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("path,start_s,end_s\none.wav,0,1\ntwo.wav,0,1\n")
    recording = Recording.from_array(sound(0.02), RATE, "three.wav")
    with pytest.raises(LaennecError, match=r"a\.csv: none of its 2 rows is for three\.wav"):
        analyze(recording, model=tiny, events=path)


TABLES = {  # table, then the labels that it has for /data/p1/rec.wav
    "of another patient": ("path,start_s,end_s,label\np2/rec.wav,3,4,other\n", None),
    "of this patient": ("path,start_s,end_s,label\np2/rec.wav,3,4,x\np1/rec.flac,1,2,Wheeze\n", ["Wheeze"]),
    "by name": ("recording,start_s,end_s,label\nrec,1,2,Wheeze\nrec2.wav,1,2,x\n", ["Wheeze"]),
    "of Windows": ("path,start_s,end_s,label\nC:\\ward\\p1\\rec.wav,1,2,Wheeze\n", ["Wheeze"]),
    "two of Windows": ("path,start_s,end_s,label\nC:\\p3\\rec.wav,1,2,x\nC:\\p4\\rec.wav,1,2,x\n", None),
    "in capitals": ("Recording,Start_s,END_S,Label\nrec,1,2,Wheeze\nrec2.wav,1,2,x\n", ["Wheeze"]),
    "named otherwise": ("filename,start_s,end_s,label\nrec.wav,1,2,Wheeze\nb.wav,1,2,x\n", ["Wheeze"]),
    "without an ending": ("file,start_s,end_s,label\nrec,1,2,Wheeze\nrec.mp3,1,2,x\n", ["Wheeze"]),
    "decomposed": ("path,start_s,end_s,label\np1/rec.wav,1,2,Wheeze\nJose\u0301.wav,1,2,x\n", ["Wheeze"]),
    "without a path": ("path,start_s,end_s,label\n,1,2,Wheeze\n", ["Wheeze"]),
    "above the folder": ("path,start_s,end_s,label\nrec.wav,0,1,x\np1/rec.wav,1,2,Wheeze\n", ["Wheeze"]),
    "of another ending": ("path,start_s,end_s,label\nrec.flac,0,1,x\nrec.wav,1,2,Wheeze\n", ["Wheeze"]),
    "in two spellings": (
        "path,start_s,end_s,label\np1/rec.wav,0,1,Normal\n.\\p1\\REC.wav,1,2,x\np1\\rec.WAV,1,2,Wheeze\n",
        ["Normal", "Wheeze"],
    ),
    "by recording where path is empty": (
        "path,recording,start_s,end_s,label\n,rec,1,2,Wheeze\np2/rec.wav,rec,3,4,x\n",
        ["Wheeze"],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_a_table_belong_to_their_recording(tmp_path: Path, name: str) -> None:
    text, labels = TABLES[name]
    path = tmp_path / "events.csv"
    path.write_text(text)
    if labels is None:
        with pytest.raises(LaennecError, match=r"(its only row is not|none of its \d rows is) for rec\.wav"):
            read_events(path, "/data/p1/rec.wav")
    else:
        assert [event.annotated for event in read_events(path, "/data/p1/rec.wav")] == labels


def test_rows_that_could_be_of_other_recordings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("path,start_s,end_s\na/rec.wav,0,1\nb/rec.wav,1,2\n")
    with pytest.raises(
        LaennecError, match=r"rec.wav could be a/rec.wav or b/rec.wav; analyse it by its path"
    ):
        read_events(path, "rec.wav")
    path.write_text("recording,start_s,end_s\nrec.flac,0,1\nrec.mp3,1,2\n")
    with pytest.raises(LaennecError, match=r"rec.wav could be rec.flac or rec.mp3"):
        read_events(path, "rec.wav")
    path.write_text("subject,start_s,end_s\nA,0,1\nB,1,2\n")
    with pytest.raises(LaennecError, match="rows of 2 patients, and no column path or recording"):
        read_events(path, "rec.wav")
    path.write_text("path,start_s,end_s\nrec.wav,0,1\n,1,2\n")
    with pytest.raises(LaennecError, match="line 3: names no recording, as other rows do"):
        read_events(path, "rec.wav")


def test_what_excel_calls_unicode_text_is_read(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        (tmp_path / "a.txt").write_text("start_s\tend_s\tlabel\n0,5\t1\tWheeze\n", encoding=encoding)
        assert boundaries(tmp_path / "a.txt") == [(0.5, 1.0, "Wheeze")]


def test_rows_of_a_channel_that_is_not_there(tiny: LungModel, tmp_path: Path) -> None:
    path, x = tmp_path / "a.csv", sound(0.02, 0.02)
    path.write_text("channel,start_s,end_s\n0,0,1\n3,1,2\n")
    found = analyze(x, sample_rate=RATE, model=tiny, events=path)
    assert [event.channel for event in found.events] == [0]
    where = "event 1 to 2 s: outside the recording, on channel 3, where the recording has channel 0 alone"
    assert found.repairs[-1] == f"a.csv: {where}; left out"
    path.write_text("channel,start_s,end_s\n3,1,2\n3,1,2\n")
    with pytest.raises(LaennecError, match=f"a.csv: {where}; 1 other event outside it, too"):
        analyze(x, sample_rate=RATE, model=tiny, events=path)


def test_channels_of_a_raven_table_count_from_1(tiny: LungModel, tmp_path: Path) -> None:
    path, x = tmp_path / "a.txt", np.stack([sound(0.02, 0.02), sound(0.02, 0.2)])
    path.write_text(
        RAVEN + "1.0\t0\t1\t0\n3\t1\t2\t1\n2\t1\t2\t1\n2\t1\t1\t1\n"
    )  # the last is a line selection
    found = analyze(x, sample_rate=RATE, model=tiny, events=path)
    assert [event.channel for event in found.events] == [0, 1]
    where = "event 1 to 2 s: outside the recording, on channel 3, where the recording has channels 1 to 2"
    assert found.repairs == (
        f"a.txt: {where}; left out",
        "a.txt: 1 label of a point in time, without length (first: line 5); left out",
    )
    path.write_text(RAVEN + "2\t1\t2\t1\n")
    with pytest.raises(LaennecError, match=r"a\.txt: event .* on channel 2, where .* has channel 1 alone"):
        analyze(x[0], sample_rate=RATE, model=tiny, events=path)


@pytest.mark.parametrize("by", ["clips", "recording"])
def test_an_analysis_of_channels_reads_back_into_them(tiny: LungModel, tmp_path: Path, by: str) -> None:
    wav, table = tmp_path / "p1" / "st.wav", tmp_path / "st.csv"
    wav.parent.mkdir()
    soundfile.write(wav, np.stack([sound(0.02, 0.2), sound(0.2, 0.02)], axis=1), RATE)
    table.write_text(
        "path,channel,start_s,end_s,label\np1/st.wav,0,0,1,left\np1/st.wav,1,1,2,right\np2/st.wav,1,0,1,x\n"
    )
    found = analyze(wav, model=tiny if by == "clips" else "recording", events=table)
    rows = [(event.channel, event.start_s, event.annotated) for event in found.events]
    assert rows == [(0, 0, "left"), (1, 1, "right")]


def test_rows_of_a_table_belong_to_their_channel(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "recording,channel,start_s,end_s,label\nst.wav,0,0,1,a\nst.wav,1,1,2,b\nst.wav,all,2,3,c\n"
    )
    assert [event.channel for event in read_events(path, "st.wav")] == [0, 1, None]
    path.write_text("channel,start_s,end_s\nleft,0,1\n")
    with pytest.raises(LaennecError, match="line 2: channel is 'left'; expected 0, 1"):
        read_events(path)


@pytest.mark.parametrize(
    ("name", "text", "label"),
    [
        ("labels.csv", "0.5\t1.5\tWheeze\n", "Wheeze"),  # a label track
        ("events.txt", "start_s,end_s,label\n0.5,1.5,Wheeze\n", "Wheeze"),
        ("cycles.lab", "0.5 1.5 1 0\n", "Crackle"),
        ("a.txt", '\n {"event_annotation": [{"start": 500, "end": 1500, "type": "wheeze"}]}', "Wheeze"),
    ],
)
def test_the_content_decides_what_a_label_file_is(tmp_path: Path, name: str, text: str, label: str) -> None:
    (tmp_path / name).write_text(text)
    assert boundaries(tmp_path / name) == [(0.5, 1.5, label)]


def test_labels_of_a_point_are_left_out_and_said_in_one_line(tiny: LungModel, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0\t1\tWheeze\n0.5\t0.5\tmark\n0,7\t0.7\n")
    found = analyze(sound(0.02, 0.02), sample_rate=RATE, model=tiny, events=path)
    assert spans(found.events) == [(0, 1, "Normal")]
    assert found.repairs == ("a.txt: 2 labels of a point in time, without length (first: line 2); left out",)
    path.write_text("0.5\t0.5\tmark\n")
    with pytest.raises(LaennecError, match=r"a\.txt: its labels mark points in time, without length"):
        read_events(path)
    path.write_text("0.5\t0.4\tmark\n1\t2\tWheeze\n")
    with pytest.raises(LaennecError, match=r"line 1: it ends at 0\.4 s, not after its start at 0\.5 s"):
        read_events(path)


@pytest.mark.parametrize("text", ["0.036\t0.579\t0\n0.579\t2.45\t1\n", "0\t1\t0.0\n1\t2\n", "0,5\t1\t1\n"])
def test_cycles_that_lack_a_flag_are_no_label_track(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(LaennecError, match=r"a\.txt: line 1: expected start, end, crackles and wheezes"):
        read_events(tmp_path / "a.txt")


@pytest.mark.parametrize("labels", [["0", "1", "2"], ["b1"], ["1 ?"], ["01"]])
def test_numbers_may_be_labels_of_a_track(tmp_path: Path, labels: list[str]) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{n}\t{n + 1}\t{label}\n" for n, label in enumerate(labels)))
    assert [label for _, _, label in boundaries(tmp_path / "a.txt")] == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "-: empty; expected events"),
        ("a,b\n", "-: line 1: expected start, end and label"),
        (None, "-: there is no standard input to read from"),
    ],
)
def test_events_of_standard_input_that_are_none(
    monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    stream = None if text is None else io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(LaennecError, match=message):
        read_events("-")


@pytest.mark.parametrize("flags", ["1\t2", "1"])
def test_one_odd_line_does_not_make_cycles_a_label_track(tmp_path: Path, flags: str) -> None:
    path = tmp_path / "cycles.txt"
    path.write_text(f"0.036\t0.579\t0\t0\n0.579\t2.45\t{flags}\n")
    with pytest.raises(LaennecError, match=r"cycles\.txt: line 2: expected start, end, crackles and wheezes"):
        read_events(path)


def test_an_event_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LaennecError, match=r"none\.csv: no such file"):
        read_events(tmp_path / "none.csv")


# --- sources and metadata -----------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same(tiny: LungModel, tmp_path: Path) -> None:
    x = sound(0.02, 0.02, 0.2, 0.2)
    path = tmp_path / "a.wav"
    soundfile.write(path, x, RATE, subtype="FLOAT")
    by_path = analyze(path, model=tiny)
    assert by_path.name == "a.wav"
    content = path.read_bytes()
    for other in (str(path), content, io.BytesIO(content), Recording.read(path)):
        assert analyze(other, model=tiny).events == by_path.events
    assert analyze(x, sample_rate=RATE, model=tiny).events == by_path.events
    assert analyze(path, model=tiny.source).events == by_path.events


def test_sources_that_are_none(tiny: LungModel, tmp_path: Path) -> None:
    with pytest.raises(LaennecError, match="an array of samples needs its sample_rate"):
        analyze(sound(0.1), model=tiny)
    with pytest.raises(LaennecError, match="a sample rate is only for arrays"):
        analyze(tmp_path / "a.wav", sample_rate=RATE, model=tiny)
    with pytest.raises(LaennecError, match="not audio that can be read"):
        analyze(b"no sound at all" * 9, model=tiny)


def test_what_is_known_of_the_patient_reaches_the_model(tiny: LungModel) -> None:
    x = sound(0.02, 0.02)
    unknown = analyze(x, sample_rate=RATE, model=tiny)
    assert (unknown.age_years, unknown.sex, unknown.position) == (None, None, None)
    known = analyze(x, sample_rate=RATE, model=tiny, age_years=10, sex="f", position="p3")
    assert (known.age_years, known.sex, known.position) == (10.0, "female", "right-posterior")
    more = [
        label
        for label, p in known.events[0].probabilities.items()
        if p > unknown.events[0].probabilities[label]
    ]
    assert more == ["Rhonchi", "Stridor", "Coarse Crackle"]  # one for each of the three inputs
    with pytest.raises(LaennecError, match="age is -1 years"):
        analyze(x, sample_rate=RATE, model=tiny, age_years=-1)
    with pytest.raises(LaennecError, match="position is 'back'"):
        analyze(x, sample_rate=RATE, model=tiny, position="back")


def test_any_place_is_taken_and_what_the_model_does_with_it_is_noted(tiny: LungModel) -> None:
    """The model knows four places, as SPRSound has them."""

    def given(position: str | None) -> Analysis:
        return analyze(sound(0.02, 0.02), sample_rate=RATE, model=tiny, position=position)

    unknown, coarse, fine, other = map(given, (None, "p1", "P L L", "Tc"))
    assert (coarse.position, fine.position, other.position) == (
        *("left-posterior", "left-posterior-lower"),
        "trachea",
    )
    assert coarse.notes == ()
    does_not_know = "the model tiny does not know the position"
    assert fine.notes == (f"{does_not_know} left-posterior-lower, which is taken for left-posterior",)
    assert other.notes == (f"{does_not_know} trachea, which is left out",)
    assert fine.events == coarse.events != unknown.events == other.events


def test_a_model_without_metadata_says_that_it_was_told_in_vain(tiny: LungModel, tmp_path: Path) -> None:
    blind = load_model(tiny_model(tmp_path / "blind.onnx", card={"uses_metadata": False}))
    x = np.stack([sound(0.02, 0.02), sound(0.02, 0.02, seed=1)])
    note = "the model tiny makes no use of age, sex and position"
    assert analyze(x, sample_rate=RATE, model=blind, sex="f").notes == (note,)
    assert analyze(x, sample_rate=RATE, model=blind).notes == ()
    assert analyze(x, sample_rate=RATE, model=tiny, sex="f").notes == ()


def test_a_file_name_of_undecodable_bytes_can_be_shown(tiny: LungModel) -> None:
    recording = Recording.from_array(sound(0.02), RATE, os.fsdecode(b"\xff.wav"))
    assert analyze(recording, model=tiny).name == "\\xff.wav"


def test_an_hour_takes_seconds(tiny: LungModel) -> None:
    found = analyze(np.tile(sound(0.02, 0.2, 0.2, 0.02, 0.02, 0.02), 600), sample_rate=RATE, model=tiny)
    assert found.duration_s == 3_600
    assert len(found.adventitious) == 600


# --- real recordings ----------------------------------------------------------------------------------------


def real_folder(*parts: str) -> Path:
    folder = os.environ.get("LAENNEC_DATA")
    if not folder or not Path(folder, *parts).is_dir():
        pytest.skip("LAENNEC_DATA does not name the folder of the real recordings")
    return Path(folder, *parts)


@real
def test_malformed_files_of_sprsound(tiny: LungModel) -> None:
    for path in sorted(real_folder("malformed").glob("*.wav")):
        found = analyze(path, model=tiny)
        assert any("block align" in repair for repair in found.repairs)
        assert found.events


@real
def test_events_files_of_both_datasets(tiny: LungModel) -> None:
    wavs, jsons = real_folder("SPRSound", "train_wav"), real_folder("SPRSound", "train_json")
    for path in sorted(wavs.iterdir())[::400]:
        annotation = jsons / f"{path.stem}.json"
        count = len(json.loads(annotation.read_text())["event_annotation"])
        found = analyze(path, model=tiny, events=annotation)
        assert len(found.events) == count
        assert all(event.annotated in SPRSOUND_EVENTS for event in found.events)
    icbhi = real_folder("ICBHI", "ICBHI_final_database")
    for path in sorted(icbhi.glob("*.flac"))[::40]:
        found = analyze(path, model=tiny, events=path.with_suffix(".txt"))
        assert {event.annotated for event in found.events} <= {
            "Normal",
            "Crackle",
            "Wheeze",
            "Wheeze+Crackle",
        }
        assert found.events
