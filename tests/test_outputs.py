"""Each format reads back as what was written, and the ledger knows what is up to date."""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyses import bare_analysis
from laennec import Analysis, Event, LaennecError, RecordAnswer, Recording
from laennec.analyze.analysis import RespiratoryRate
from laennec.annotations import read_events, read_labels
from laennec.audio.quality import Finding
from laennec.errors import UsageError
from laennec.labels import ICBHI_CYCLES, SPRSOUND_EVENTS, SPRSOUND_RECORDS, to_icbhi
from laennec.output.files import FORMATS, beginning, planned, refuse_twice, write_outputs
from laennec.output.formats import (
    Summary,
    summary,
    to_audacity,
    to_csv,
    to_record_csv,
    to_sprsound,
    to_summary_csv,
)
from laennec.output.formats import to_icbhi as icbhi_text
from laennec.output.ledger import LEDGER, Ledger

RATE = 4_000


def event(start_s: float, end_s: float, label: str, channel: int = 0, uncertain: bool = False) -> Event:
    told = {name: 0.7 if name == label else 0.05 for name in SPRSOUND_EVENTS}
    return Event(start_s, end_s, label, 0.7, told, channel, None, 0.8, uncertain)


def answer(label: str | None, channel: int | None = None, **changes: object) -> RecordAnswer:
    told = {name: 0.8 if name == label else 0.05 for name in SPRSOUND_RECORDS} if label else {}
    found = RecordAnswer(label, 0.8 if label else None, told, channel=channel)
    return replace(found, **changes)  # type: ignore[arg-type]


def analysis(events: Sequence[Event] = (), **changes: object) -> Analysis:
    return bare_analysis(**{"duration_s": 1_000.0, "sample_rate": RATE, "events": tuple(events), **changes})


@st.composite
def analyses(draw: st.DrawFn) -> Analysis:
    """Up to twelve events that follow each other, some shorter than the formats can tell."""
    steps_s = st.floats(0.002, 40, allow_nan=False)
    at_s, events = 0.0, []
    for _ in range(draw(st.integers(1, 12))):
        start_s = at_s + draw(steps_s)
        at_s = start_s + draw(st.one_of(steps_s, st.floats(1e-9, 0.002)))
        events.append(event(start_s, at_s, draw(st.sampled_from(SPRSOUND_EVENTS)), 0, draw(st.booleans())))
    record = draw(st.sampled_from([None, *map(answer, (None, *SPRSOUND_RECORDS))]))
    return analysis(events, record=record)


def spans(events: Sequence[Event]) -> list[float]:
    return [time_s for each in events for time_s in (each.start_s, each.end_s)]


# --- one function a format ----------------------------------------------------------------------------------


@given(analyses())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_label_format_reads_back(tmp_path: Path, found: Analysis) -> None:
    written = {
        "a.csv": (to_csv(found), 2e-4),
        "a.txt": (to_audacity(found), 2e-6),
        "a.json": (json.dumps(to_sprsound(found)), 2e-3),
        "b.txt": (icbhi_text(found), 2e-3),
    }
    for name, (text, tolerance_s) in written.items():
        (tmp_path / name).write_text(text)
        read = read_events(tmp_path / name)
        assert spans(read) == pytest.approx(spans(found.events), abs=tolerance_s)
        for got, put in zip(read, found.events, strict=True):
            if name == "b.txt":
                assert to_icbhi(got.annotated or "") == to_icbhi(put.label)
            else:
                doubt = " ?" if name == "a.txt" and put.uncertain else ""
                assert got.annotated == put.label + doubt


@given(analyses())
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_reader_of_sprsound_takes_the_annotation(tmp_path: Path, found: Analysis) -> None:
    path = write_outputs(found, None, tmp_path, "1_2.0_0_p1_1", ["sprsound"])[0]
    labels = read_labels(path)
    assert labels.problems == ()
    assert [each.annotated for each in labels.events] == [each.label for each in found.events]
    assert labels.record == (found.record.label if found.record else None)


@pytest.mark.needs("pandas")
def test_a_folder_of_results_is_a_data_set_of_sprsound(tmp_path: Path) -> None:
    from laennec.datasets import sprsound

    (tmp_path / "wav").mkdir()
    soundfile.write(tmp_path / "wav" / "1_2.0_0_p1_1.wav", np.zeros(4_000), RATE)
    found = analysis([event(0.1, 0.5, "Wheeze")], record=answer("CAS"))
    write_outputs(found, None, tmp_path, "1_2.0_0_p1_1", ["sprsound"])
    clips = sprsound.load(tmp_path)
    assert clips[["start_s", "end_s", "label"]].to_numpy().tolist() == [[0.1, 0.5, "Wheeze"]]
    assert sprsound.load(tmp_path, "record")["label"].tolist() == ["CAS"]


def test_milliseconds_are_whole_and_words() -> None:
    (found,) = to_sprsound(analysis([event(1.2344, 2.5, "wheeze & crackle")]))["event_annotation"]
    assert found == {"start": "1234", "end": "2500", "type": "Wheeze+Crackle"}


def test_the_lines_of_audacity_and_icbhi() -> None:
    found = analysis([event(0, 1.5, "Rhonchi", uncertain=True), event(2, 3.25, "Wheeze+Crackle")])
    assert to_audacity(found) == "0.000000\t1.500000\tRhonchi ?\n2.000000\t3.250000\tWheeze+Crackle\n"
    assert icbhi_text(found) == "0.000\t1.500\t0\t1\n2.000\t3.250\t1\t1\n"
    odd = Event(0, 1, "a\tb\nc", 1.0, {"a\tb\nc": 1.0})
    assert to_audacity(analysis([odd])) == "0.000000\t1.000000\ta b c\n"


def test_labels_without_a_place_are_refused_by_name() -> None:
    cycles = analysis([Event(0, 1, "crackle", 0.9, dict.fromkeys(ICBHI_CYCLES, 0.2))], labels=ICBHI_CYCLES)
    assert icbhi_text(cycles) == "0.000\t1.000\t1\t0\n"
    with pytest.raises(LaennecError, match="the label crackle has no place in SPRSound's format"):
        to_sprsound(cycles)
    with pytest.raises(LaennecError, match="the label squawk has no place in ICBHI's format"):
        icbhi_text(analysis([Event(0, 1, "squawk", 0.9, {"squawk": 0.9})]))


def test_csv_holds_everything_about_an_event() -> None:
    odd = replace(event(0.5, 1.25, "Wheeze", 1, uncertain=True), presence=None)
    found = analysis([odd], name='a, "b".wav', channels=2)
    (row,) = csv.DictReader(io.StringIO(to_csv(found)))
    assert row["recording"] == 'a, "b".wav'
    assert (row["channel"], row["start_s"], row["end_s"]) == ("1", "0.5000", "1.2500")
    assert (row["label"], row["uncertain"], row["presence"]) == ("Wheeze", "true", "")
    assert {label: float(row[label]) for label in SPRSOUND_EVENTS} == pytest.approx(odd.probabilities)


def test_csv_of_the_answers() -> None:
    rate = RespiratoryRate(21.26, "good", "steady", 5)
    refused = answer(None, 1, refused="sounds like speech")
    channels = (answer("CAS", 0, uncertain=True), refused)
    found = analysis(channels=2, record=answer("CAS", rate=rate), channel_records=channels)
    rows = list(csv.DictReader(io.StringIO(to_record_csv(found))))
    assert [row["channel"] for row in rows] == ["all", "0", "1"]
    assert (rows[0]["rate_per_min"], rows[0]["rate_quality"], rows[0]["CAS"]) == ("21.3", "good", "0.800000")
    assert [row["uncertain"] for row in rows] == ["false", "true", "false"]
    assert (rows[2]["label"], rows[2]["refused"], rows[2]["CAS"]) == ("", "sounds like speech", "")
    assert len(to_record_csv(analysis()).splitlines()) == 1


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.needs("matplotlib")
def test_where_each_format_goes(tmp_path: Path) -> None:
    recording = Recording.from_array(np.random.default_rng(0).normal(0, 0.1, (2, RATE)), RATE, "a.wav")
    found = analysis([event(0, 0.5, "Wheeze", 1)], channels=2, duration_s=1.0)
    written = write_outputs(found, recording, tmp_path, "ward/a.b", FORMATS)
    told = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert told == sorted(path.relative_to(tmp_path).as_posix() for path in written)
    assert told == [
        "audacity/ward/a.b.ch0.txt",
        "audacity/ward/a.b.ch1.txt",
        "fhir/ward/a.b.json",
        "fhir_r5/ward/a.b.json",
        "icbhi/ward/a.b.ch0.txt",
        "icbhi/ward/a.b.ch1.txt",
        "sprsound_json/ward/a.b.ch0.json",
        "sprsound_json/ward/a.b.ch1.json",
        "ward/a.b.ch0.png",
        "ward/a.b.ch1.png",
        "ward/a.b.csv",
        "ward/a.b.html",
        "ward/a.b.json",
        "ward/a.b.record.csv",
    ]
    assert (tmp_path / "audacity/ward/a.b.ch0.txt").read_text() == ""
    assert (tmp_path / "audacity/ward/a.b.ch1.txt").read_text() == "0.000000\t0.500000\tWheeze\n"


@pytest.mark.parametrize(
    ("one", "other", "formats"),
    [
        ("a", "a", ["json"]),
        ("a", "A", ["html"]),
        ("a.ch0", "a", ["audacity"]),
        ("a.record", "a", ["csv"]),
        ("sprsound_json/a", "a", ["json", "sprsound"]),
    ],
)
def test_two_that_write_the_same_file_are_named(one: str, other: str, formats: list[str]) -> None:
    names = {Path("x/first.wav"): one, Path("y/second.wav"): other}
    with pytest.raises(UsageError, match=r"(first.*second|second.*first)\.wav (would|might) both write out"):
        refuse_twice(Path("out"), names, formats)


def test_a_recording_may_not_take_the_summary_s_place() -> None:
    with pytest.raises(UsageError, match=r"x/Summary\.wav would write out/Summary\.csv"):
        refuse_twice(Path("out"), {Path("x/Summary.wav"): "Summary"}, ["csv"])
    refuse_twice(Path("out"), {Path("x/summary.wav"): "summary"}, ["json"])


def test_neighbours_are_not_refused() -> None:
    names = {Path(name): name for name in ("a.ch0", "a.ch1", "b/a", "a.record", "b")}
    refuse_twice(Path("out"), names, FORMATS)
    refuse_twice(Path("out"), {Path("a.wav"): "a", Path("a.ch0.wav"): "a.ch0"}, ["json", "html", "csv"])
    assert len({planned(Path("out"), "a", form) for form in FORMATS}) == len(FORMATS)


def test_the_beginning_of_a_long_recording() -> None:
    found = analysis([event(1, 2, "Wheeze"), event(599, 601, "Normal"), event(700, 701, "Normal")])
    shown = beginning(found, 600.0)
    assert (shown.duration_s, spans(shown.events)) == (600.0, [1, 2, 599, 600])
    assert shown.notes == ("shown are the first 600 s of 1000 s; the answer is for all of it",)
    assert beginning(found, 1_000.0) is found


# --- many recordings ----------------------------------------------------------------------------------------


def test_summary_has_a_row_a_recording() -> None:
    rate = RespiratoryRate(21.26, "good", "steady", 5)
    clipped = tuple(Finding("clipped", "clipped", 0.1, channel) for channel in (0, 1))
    one = summary(
        analysis([event(0, 1, "Wheeze"), event(1, 2, "Wheeze"), event(2, 3, "Normal")],
                 record=answer("CAS", rate=rate, uncertain=True), quality=clipped), "ward/a.wav",
    )  # fmt: skip
    refused = summary(analysis(record=answer(None, refused="sounds like music")), "b.wav")
    rows = list(
        csv.DictReader(io.StringIO(to_summary_csv([one, Summary("c.wav", error="not audio"), refused])))
    )
    assert [row["recording"] for row in rows] == ["ward/a.wav", "c.wav", "b.wav"]
    assert (rows[0]["label"], rows[0]["probability"], rows[0]["uncertain"]) == ("CAS", "0.800000", "true")
    assert (rows[0]["Wheeze"], rows[0]["Normal"], rows[0]["Stridor"]) == ("2", "1", "0")
    assert (rows[0]["rate_per_min"], rows[0]["quality"], rows[0]["duration_s"]) == (
        "21.3",
        "clipped",
        "1000.000",
    )
    assert (rows[1]["error"], rows[1]["Wheeze"], rows[1]["label"]) == ("not audio", "", "")
    assert rows[2]["refused"] == "sounds like music"
    assert to_summary_csv([]).startswith("recording,label,")


def test_a_row_without_an_answer_has_its_reason() -> None:
    short = replace(analysis(), notes=("resampled", "not analysed: 0.500 s are too short to hold a breath"))
    row = summary(short, "a.wav")
    assert row.refused == "0.500 s are too short to hold a breath"
    assert row.not_analysed_s == short.duration_s
    silent_channel = (Finding("silent", "channel 1 is silent", 1.0, 1),)
    heard = replace(short, channels=2, quality=silent_channel, notes=("not analysed: channel 1 is silent",))
    assert summary(heard, "a.wav").refused is None  # a model for clips heard the other, and found nothing
    answered = replace(heard, record=answer("CAS"))
    assert (summary(answered, "a.wav").refused, summary(answered, "a.wav").not_analysed_s) == (None, 0.0)


OPTIONS = {"model": "0123", "age_years": 4.5}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.wav"
    path.write_bytes(b"some sound")
    os.utime(path, ns=(10**18, 10**18))
    return path


@pytest.fixture
def out(tmp_path: Path, source: Path) -> Path:
    """A folder where one recording is done."""
    folder = tmp_path / "out"
    written = write_outputs(analysis(), None, folder, "in", ["json", "csv"])
    ledger = Ledger(folder, OPTIONS)
    ledger.add("in.wav", source, ["json", "csv"], written, summary(analysis(), "in.wav"))
    ledger.save()
    return folder


def test_what_is_done_is_known_in_another_run(out: Path, source: Path) -> None:
    assert Ledger(out, OPTIONS).done("in.wav", source, ["json"]) == summary(analysis(), "in.wav")
    assert Ledger(out, OPTIONS).done("in.wav", source, ["json", "html"]) is None
    assert Ledger(out, {**OPTIONS, "model": "4567"}).done("in.wav", source, ["json"]) is None
    assert Ledger(out, OPTIONS).done("other.wav", source, ["json"]) is None


def test_a_file_is_known_by_place_and_time_or_by_content(out: Path, source: Path) -> None:
    ledger = Ledger(out, OPTIONS)
    os.utime(source, ns=(10**18, 2 * 10**18))
    assert ledger.done("in.wav", source, ["json"])  # touched
    moved = source.rename(source.with_name("moved.wav"))
    assert ledger.done("in.wav", moved, ["json"])
    moved.write_bytes(b"some other")  # of the same length and, below, of the same time
    os.utime(moved, ns=(10**18, 10**18))
    assert ledger.done("in.wav", moved, ["json"]) is None
    source.write_bytes(b"longer than before")
    os.utime(source, ns=(10**18, 10**18))
    assert ledger.done("in.wav", source, ["json"]) is None
    assert ledger.done("in.wav", source.with_name("gone.wav"), ["json"]) is None


def test_a_result_that_is_gone_is_made_again(out: Path, source: Path) -> None:
    (out / "in.record.csv").unlink()
    assert Ledger(out, OPTIONS).done("in.wav", source, ["json"]) is None


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[]", '{"format": 2, "files": {}}', '{"format": 1, "files": {"in.wav": {}}}']
)
def test_a_ledger_that_cannot_be_read_is_none(out: Path, source: Path, content: str) -> None:
    (out / LEDGER).write_text(content)
    ledger = Ledger(out, OPTIONS)
    assert ledger.done("in.wav", source, ["json"]) is None
    ledger.add("in.wav", source, ["json"], [], summary(analysis(), "in.wav"))
    ledger.save()
    assert Ledger(out, OPTIONS).done("in.wav", source, ["json"])


def test_the_ledger_is_written_every_few_seconds(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from laennec.output import ledger as batch

    now_s = 0.0
    monkeypatch.setattr(batch.time, "monotonic", lambda: now_s)
    ledger = Ledger(tmp_path, OPTIONS)
    written = []
    for number in range(12):
        now_s = float(number)
        ledger.add(f"{number}", source, ["json"], [], summary(analysis(), "in.wav"))
        written.append(len(json.loads((tmp_path / LEDGER).read_text())["files"]) if now_s >= 5 else 0)
    assert written == [0] * 5 + [6] * 5 + [11] * 2
