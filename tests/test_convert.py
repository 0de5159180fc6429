"""Label formats: each gives back what it can hold, every pair too; other programs read what we write."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laennec.annotations import read_content
from laennec.annotations.events import Boundary, LabelFile
from laennec.annotations.formats import BANDS, CHANNELS, FORMATS, PROBABILITIES, RECORD, About, write_labels
from laennec.labels import ICBHI_CYCLES, PHASES, SPRSOUND_EVENTS, SPRSOUND_RECORDS

ABOUT = About("ward/rec 1.wav", 60.0, 8000)
# What a person may type: no control characters, and no text that is a sign of a format by itself.
FREE = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12).map(
    lambda text: "x" + " ".join(text.split())
)
LABELS = st.one_of(st.sampled_from([*SPRSOUND_EVENTS, *PHASES, "Crackle", *ICBHI_CYCLES]), FREE)
MILLISECONDS = st.integers(0, 60_000)


@st.composite
def boundaries(draw) -> Boundary:
    start, length = draw(MILLISECONDS), draw(st.integers(1, 5_000))
    low, width = draw(st.integers(1, 1000)), draw(st.integers(1, 1000))
    has_band, has_probability = draw(st.booleans()), draw(st.booleans())
    return Boundary(
        start / 1000,
        (start + length) / 1000,
        draw(LABELS),
        draw(st.integers(0, 3)),
        low_hz=float(low) if has_band else None,
        high_hz=float(low + width) if has_band else None,
        probability=draw(st.integers(0, 1000)) / 1000 if has_probability else None,
    )


ANNOTATIONS = st.builds(
    LabelFile,
    st.lists(boundaries(), min_size=1, max_size=6, unique_by=lambda e: (e.start_s, e.annotated)).map(tuple),
    record=st.sampled_from([None, *SPRSOUND_RECORDS]),
)


def held(labels: LabelFile, name: str) -> list[Boundary]:
    """What a format can hold of labels, as it is read back, in the order of time."""
    form, kept = FORMATS[name], []
    for event in labels.events:
        word = form.word(str(event.annotated))
        if word is None:
            continue
        kept.append(
            replace(
                event,
                annotated=word,
                channel=event.channel if CHANNELS in form.holds else None,
                low_hz=event.low_hz if BANDS in form.holds else None,
                high_hz=event.high_hz if BANDS in form.holds else None,
                probability=event.probability if PROBABILITIES in form.holds else None,
            )
        )
    # Raven needs a channel, from 1; an event of all channels is then one of the first.
    kept = [replace(e, channel=0) if name in ("raven", "rttm") and e.channel is None else e for e in kept]
    return ordered(kept)


def ordered(events) -> list[Boundary]:
    return sorted(events, key=lambda e: (e.start_s, e.end_s, str(e.annotated), e.channel or 0, str(e.low_hz)))


def same(found: list[Boundary], expected: list[Boundary]) -> bool:
    def close(a, b) -> bool:
        return a == b or (None not in (a, b) and abs(a - b) < 2e-4)

    return len(found) == len(expected) and all(
        (a.annotated, a.channel) == (b.annotated, b.channel)
        and all(
            close(getattr(a, field), getattr(b, field))
            for field in ("start_s", "end_s", "low_hz", "high_hz", "probability")
        )
        for a, b in zip(found, expected, strict=True)
    )


def through(labels: LabelFile, name: str) -> LabelFile:
    form = FORMATS[name]
    text = write_labels(labels, form, ABOUT).text
    return read_content(text.encode(), f"rec 1{form.suffix}", None)


@pytest.mark.parametrize("name", FORMATS)
@given(labels=ANNOTATIONS)
def test_a_format_gives_back_what_it_can_hold(name: str, labels: LabelFile) -> None:
    expected = held(labels, name)
    found = through(labels, name)
    if expected:
        assert not found.problems
        assert same(ordered(found.events), expected)
    assert found.record == (labels.record if RECORD in FORMATS[name].holds and expected else found.record)


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_every_pair_keeps_what_both_can_hold(first: str, second: str) -> None:
    labels = LabelFile(
        tuple(
            Boundary(k / 2, k / 2 + 0.4, label, k % 2, "", 100.0 + k, 900.0 + k, 0.5 + k / 100)
            for k, label in enumerate((*SPRSOUND_EVENTS, *PHASES, "Crackle", "my own"))
        ),
        record="DAS",
    )
    once = through(labels, first)
    assert same(ordered(through(once, second).events), held(LabelFile(tuple(held(labels, first))), second))


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_dropped_in_silence(name: str) -> None:
    """Each thing that a format cannot hold has its sentence, and nothing else has one."""
    form = FORMATS[name]
    event = Boundary(0.5, 1.0, "Wheeze", 1, "", 100.0, 900.0, 0.9)
    said = " ".join(write_labels(LabelFile((event,), record="CAS"), form, ABOUT).not_held)
    assert ("channel" in said) == (CHANNELS not in form.holds)
    assert ("frequencies" in said) == (BANDS not in form.holds)
    assert ("probabilities" in said) == (PROBABILITIES not in form.holds)
    assert ("CAS" in said) == (RECORD not in form.holds)
    own = write_labels(LabelFile((Boundary(0.5, 1.0, "my own"), Boundary(1.0, 2.0, None))), form, ABOUT)
    assert ("my own" in " ".join(own.not_held)) == (form.word("my own") is None)
    assert any("without a label" in each for each in own.not_held)


# --- independent readers ------------------------------------------------------------------------------------

LABELLED = LabelFile(
    (
        Boundary(0.5, 1.25, "Wheeze", probability=0.9),
        Boundary(1.0, 2.0, "Fine Crackle", probability=0.7),  # overlaps
        Boundary(2.5, 3.0, 'a "quoted" one'),
        Boundary(0.25, 3.0, "inspiration"),
    )
)
SPANS = sorted((e.start_s, e.end_s, e.annotated) for e in LABELLED.events)


def written(name: str, tmp_path: Path) -> Path:
    path = tmp_path / f"rec{FORMATS[name].suffix}"
    path.write_text(write_labels(LABELLED, FORMATS[name], ABOUT).text, encoding="utf-8")
    return path


def test_praatio_reads_our_textgrid(tmp_path: Path) -> None:
    praatio = pytest.importorskip("praatio.textgrid")
    grid = praatio.openTextgrid(str(written("textgrid", tmp_path)), includeEmptyIntervals=False)
    found = [tuple(entry) for name in grid.tierNames for entry in grid.getTier(name).entries]
    assert sorted((start, end, label) for start, end, label in found) == SPANS
    assert set(grid.tierNames) == {"events", "events 2", "phases"}
    assert grid.maxTimestamp == 60.0


def test_we_read_what_praatio_writes(tmp_path: Path) -> None:
    praatio = pytest.importorskip("praatio.textgrid")
    grid = praatio.openTextgrid(str(written("textgrid", tmp_path)), includeEmptyIntervals=True)
    for form in ("short_textgrid", "long_textgrid"):
        path = tmp_path / f"{form}.TextGrid"
        grid.save(str(path), format=form, includeBlankSpaces=True)
        labels = read_content(path.read_bytes(), path.name)
        assert not labels.problems
        assert sorted((e.start_s, e.end_s, e.annotated) for e in labels.events) == SPANS


def test_pympi_reads_our_elan_and_we_read_its(tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi.Elan")
    eaf = pympi.Eaf(str(written("elan", tmp_path)))
    found = [
        (start / 1000, end / 1000, label)
        for name in eaf.get_tier_names()
        for start, end, label in eaf.get_annotation_data_for_tier(name)
    ]
    assert sorted(found) == SPANS
    eaf.to_file(str(tmp_path / "theirs.eaf"))
    labels = read_content((tmp_path / "theirs.eaf").read_bytes(), "theirs.eaf")
    assert sorted((e.start_s, e.end_s, e.annotated) for e in labels.events) == SPANS


def test_crowsetta_reads_our_raven_table(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta")
    path = written("raven", tmp_path)
    raven = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Annotation")
    boxes = raven.to_annot().bboxes
    assert sorted((box.onset, box.offset, box.label) for box in boxes) == SPANS
    assert {(box.low_freq, box.high_freq) for box in boxes} == {(0.0, 4000.0)}


def test_label_studio_gets_predictions_with_scores(tmp_path: Path) -> None:
    (task,) = json.loads(written("label-studio", tmp_path).read_text())
    (prediction,) = task["predictions"]
    assert task["data"] == {"audio": ABOUT.recording}
    assert prediction["score"] == 0.7
    for region in prediction["result"]:
        assert {"id", "from_name", "to_name", "type", "value"} <= region.keys()
        assert region["type"] in region["value"]
        assert region["value"]["start"] < region["value"]["end"]


LABEL_STUDIO = (
    '<View><Labels name="label" toName="audio">{}</Labels><AudioPlus name="audio" value="$audio"/></View>'
)


@pytest.fixture(scope="module")
def label_studio() -> Any:
    """Label Studio's own reader, with a labelling setup for the labels of `LABELLED`."""
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    labels = "".join(f"<Label value={quoteattr(str(each.annotated))}/>" for each in LABELLED.events)
    interface = sdk.LabelInterface(LABEL_STUDIO.format(labels))
    interface.validate()
    return interface


def test_label_studio_accepts_our_predictions(label_studio, tmp_path: Path) -> None:
    (task,) = json.loads(written("label-studio", tmp_path).read_text())
    (prediction,) = task["predictions"]
    assert label_studio.validate_prediction(prediction, return_errors=True) == []
    for key, value in (("from_name", "other"), ("type", "choices"), ("value", {"labels": ["Wheeze"]})):
        wrong = {**prediction, "result": [{**prediction["result"][0], key: value}]}
        assert label_studio.validate_prediction(wrong, return_errors=True), key


def test_label_studio_converts_our_tasks(label_studio, tmp_path: Path) -> None:
    converter = pytest.importorskip("label_studio_sdk.converter")
    (task,) = json.loads(written("label-studio", tmp_path).read_text())
    (prediction,) = task.pop("predictions")
    annotated = {**task, "id": 1, "annotations": [{"id": 1, "result": prediction["result"]}]}
    (tmp_path / "tasks.json").write_text(json.dumps([annotated]))
    reader = converter.Converter(label_studio.config, project_dir=str(tmp_path))
    reader.convert_to_json_min(str(tmp_path / "tasks.json"), str(tmp_path / "out"), is_dir=False)
    (row,) = json.loads((tmp_path / "out" / "result.json").read_text())
    assert row["audio"] == ABOUT.recording
    assert sorted((each["start"], each["end"], *each["labels"]) for each in row["label"]) == SPANS


def test_we_read_regions_that_label_studio_makes(label_studio) -> None:
    spans = [{"start": start, "end": end, "label": [label]} for start, end, label in SPANS]
    regions = [region.model_dump(mode="json") for region in label_studio.create_regions({"label": spans})]
    task = [{"id": 1, "data": {"audio": "rec 1.wav"}, "annotations": [{"result": regions}]}]
    labels = read_content(json.dumps(task).encode(), "export.json", "rec 1.wav")
    assert sorted((e.start_s, e.end_s, e.annotated) for e in labels.events) == SPANS


# --- what others write --------------------------------------------------------------------------------------


def test_hf_lung_as_published() -> None:
    text = "I 00:00:00.500 00:00:01.250\nD 00:00:01.000 00:00:01.500\nWheeze 00:01:02.000 00:01:03.500\n"
    labels = read_content(text.encode(), "steth_label.txt")
    assert [(e.start_s, e.end_s, e.annotated) for e in labels.events] == [
        (0.5, 1.25, "inspiration"),
        (1.0, 1.5, "Crackle"),
        (62.0, 63.5, "Wheeze"),
    ]
    assert write_labels(labels, FORMATS["hf-lung"], ABOUT).text == text
    tabs = read_content(text.replace(" ", "\t").replace("500\n", "5\n").encode(), "steth_label.txt")
    assert tabs.events == labels.events


def test_an_audacity_band_belongs_to_the_label_before() -> None:
    text = "0.5\t1.0\tWheeze\n\\\t200.5\t800.0\n2.0\t3.0\tRhonchi\n\\\t-1\t400.0\n"
    labels = read_content(text.encode(), "labels.txt")
    assert [(e.low_hz, e.high_hz) for e in labels.events] == [(200.5, 800.0), (None, None)]


def test_one_recording_of_several_in_a_file() -> None:
    rttm = "SPEAKER a 1 0.5 1.0 <NA> <NA> Wheeze 0.5 <NA>\nSPEAKER b 1 1.5 1.0 <NA> <NA> Wheeze <NA> <NA>\n"
    assert [e.start_s for e in read_content(rttm.encode(), "x.rttm", "folder/b.wav").events] == [1.5]
    tasks = [
        {
            "data": {"audio": f"/upload/8a7b-{name}.wav"},
            "annotations": [{"result": [region]}],
            "predictions": [],
        }
        for name, start in (("a", 1), ("b", 2))
        for region in [{"type": "labels", "value": {"start": start, "end": start + 1, "labels": ["Wheeze"]}}]
    ]
    text = json.dumps(tasks).encode()
    assert [e.start_s for e in read_content(text, "export.json", "b.wav").events] == [2.0]
    assert read_content(text, "export.json", "c.wav").problems


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.eaf", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><ANNOTATION_DOCUMENT/>'),
        ("x.eaf", "<ANNOTATION_DOCUMENT><TIER"),
        ("x.TextGrid", 'File type = "ooTextFile"\nObject class = "TextGrid"\n0 5 <exists> 3 "IntervalTier"'),
        ("x.json", '[{"data": 3, "annotations": [{"result": 4}]}]'),
        ("x.json", '{"laennec": "1", "events": [{"start_s": 0, "end_s": 1, "label": 3}]}'),
        ("x.json", '{"laennec": "1", "events": [{"start_s": 0, "end_s": 1, "channel": 1e999}]}'),
        ("x.json", '{"laennec": "1", "events": [{"start_s": [], "end_s": 1}]}'),
        ("x.json", '[{"laennec": "1", "events": 4}]'),
        ("x.json", '[{"laennec": "1"}, 3]'),
        ("x.json", '{"laennec": "1", "events": [' + "[" * 100_000),
        ("x.rttm", "SPEAKER a one 0.5 1.0 <NA> <NA> Wheeze 0.5 <NA>\n"),
        ("x.csv", "Start (s),End (s),Confidence\nx,2,0.5\n"),
    ],
)
def test_a_damaged_file_is_a_problem_and_no_traceback(name: str, text: str) -> None:
    assert read_content(text.encode(), name, "a.wav").problems


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["SPEAKER other 1 0.5 1.0 <NA> <NA> Wheeze <NA> <NA>"], "its only line is not for b.wav"),
        (["SPEAKER other 1 0.5 1.0 <NA> <NA> Wheeze <NA> <NA>"] * 2, "none of its 2 lines is for b.wav"),
        (
            [
                "SPEAKER b 1 0.5 1.0 <NA> <NA> Wheeze <NA> <NA>",
                "SPEAKER other 1 a 1.0 <NA> <NA> Wheeze <NA> <NA>",
            ],
            "line 2: channel, start or duration is no number: 1 a 1.0",
        ),
    ],
)
def test_rttm_that_says_nothing_of_a_recording_is_a_problem(lines: list[str], said: str) -> None:
    content = "".join(line + "\n" for line in lines).encode()
    assert [str(each) for each in read_content(content, "x.rttm", "folder/b.wav").problems] == [said]
