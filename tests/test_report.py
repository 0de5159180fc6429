"""What is shown of an analysis: stable JSON, a table that says everything once, a picture."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from laennec import Analysis, Event, RecordAnswer, Recording, analyze
from laennec.analyze.analysis import (
    Breathing,
    BreathPhase,
    CalibrationUsed,
    EventTiming,
    PhaseModelUsed,
    RefusedPart,
    Relevance,
    RespiratoryRate,
)
from laennec.audio.quality import Finding
from laennec.errors import LaennecError
from laennec.labels import SOUND_KINDS, SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.output.formats import (
    Summary,
    summary,
    to_audacity,
    to_csv,
    to_json,
    to_record_csv,
    to_summary_csv,
    write_json,
)
from laennec.output.page import render_report
from laennec.output.picture import LEFT, WIDTH, Layout, _subtitle, draw
from laennec.output.presentation import assign_lanes, label_colours, notes, refusals, short_label, tick_step
from laennec.output.spectrogram import COARSE, log_spectrogram, spectrogram_of, top_level_db
from laennec.output.text import print_summary, print_table
from laennec.simulate import demo_recordings
from laennec.version import DISCLAIMER


def event(start_s: float, end_s: float, label: str, channel: int = 0, annotated: str | None = None) -> Event:
    told = {name: 0.7 if name == label else 0.05 for name in SPRSOUND_EVENTS}
    return Event(start_s, end_s, label, 0.7, told, channel, annotated)


def analysis(events: Sequence[Event] = (), **changes: object) -> Analysis:
    found = Analysis(
        name="a.wav",
        duration_s=15.0,
        sample_rate=8_000,
        channels=1,
        events=tuple(events),
        segmentation="windows",
        window_s=2.0,
        hop_s=1.0,
        quality=(Finding("clipped", "clipped: 0.10% of samples", 0.001, 0),),
        repairs=("RIFF header says block align 4",),
        notes=("not analysed: 3.00 to 7.00 s is silent",),
        model_name="tiny",
        model_version="0.1.0",
        model_sha256="0123456789abcdef" * 4,
        labels=SPRSOUND_EVENTS,
        normal="Normal",
        age_years=4.5,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


# --- JSON ---------------------------------------------------------------------------------------------------


def test_json_has_the_documented_keys() -> None:
    told = to_json(analysis([event(1.00004, 2.5, "Fine Crackle", annotated="Normal")]))
    assert told["format"] == 1
    assert told["disclaimer"] == DISCLAIMER
    assert told["recording"] == {
        "name": "a.wav",
        "duration_s": 15.0,
        "sample_rate": 8_000,
        "channels": 1,
        "quality": [
            {"kind": "clipped", "message": "clipped: 0.10% of samples", "share": 0.001, "channel": 0}
        ],
        "repairs": ["RIFF header says block align 4"],
    }
    assert told["patient"] == {"age_years": 4.5, "sex": None, "position": None}
    assert told["model"]["sha256"] == "0123456789abcdef" * 4
    assert told["model"]["labels"] == list(SPRSOUND_EVENTS)
    assert told["segmentation"] == {"kind": "windows", "window_s": 2.0, "hop_s": 1.0}
    (found,) = told["events"]
    assert (found["start_s"], found["end_s"], found["label"]) == (1.0, 2.5, "Fine Crackle")
    assert list(found["probabilities"]) == list(SPRSOUND_EVENTS)
    assert (found["probability"], found["annotated"], found["channel"]) == (0.7, "Normal", 0)
    assert told["notes"] == ["not analysed: 3.00 to 7.00 s is silent"]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


RATE = RespiratoryRate(21.256, "good", "intervals are steady", 5)
RELEVANCE = Relevance(1.0, 2.5, (20.0, 100.0, 2_000.0), ((0.12345, 1.0), (0.0, 0.5)))


def answer(label: str | None = "CAS", **changes: object) -> RecordAnswer:
    told = {name: 0.8 if name == label else 0.05 for name in SPRSOUND_RECORDS} if label else {}
    kinds = dict.fromkeys(SOUND_KINDS, 0.2)
    found = RecordAnswer(label, 0.8 if label else None, told, kinds=kinds, rate=RATE)
    return replace(found, **changes)  # type: ignore[arg-type]


def test_json_of_what_a_detector_says() -> None:
    heard = replace(event(1, 2.5, "Wheeze"), presence=0.98765432, uncertain=True, relevance=RELEVANCE)
    refused = answer(None, refused="sounds like speech", kinds=None, rate=None, channel=1, heard_as="speech")
    told = to_json(
        analysis(
            [heard],
            segmentation="detected",
            window_s=None,
            hop_s=None,
            channels=2,
            record=answer(reasons=("3 events found",), uncertain=True),
            channel_records=(answer(channel=0), refused),
            model_data="SPRSound",
            model_limits="no adults",
        )
    )
    assert told["segmentation"] == {"kind": "detected", "window_s": None, "hop_s": None}
    assert (told["model"]["data"], told["model"]["limits"]) == ("SPRSound", "no adults")
    record = told["record"]
    assert (record["label"], record["probability"], record["uncertain"]) == ("CAS", 0.8, True)
    assert record["reasons"] == ["3 events found"]
    assert list(record["probabilities"]) == list(SPRSOUND_RECORDS)
    assert list(record["kinds"]) == list(SOUND_KINDS)
    reason = "intervals are steady"
    assert record["rate"] == {"per_min": 21.26, "quality": "good", "reason": reason, "breaths": 5}
    assert [one["channel"] for one in told["channel_records"]] == [0, 1]
    assert told["channel_records"][1] == {
        "channel": 1, "label": None, "probability": None, "probabilities": {}, "uncertain": False,
        "refused": "sounds like speech", "reasons": [], "kinds": None, "rate": None, "heard_as": "speech",
    }  # fmt: skip
    (found,) = told["events"]
    assert (found["presence"], found["uncertain"]) == (0.987654, True)
    assert found["relevance"] == {
        "start_s": 1.0,
        "end_s": 2.5,
        "edges_hz": [20.0, 100.0, 2_000.0],
        "values": [[0.123, 1.0], [0.0, 0.5]],
    }


SCHEMA = json.loads(files("laennec").joinpath("analysis.schema.json").read_text(encoding="utf-8"))


def validate(told: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator(SCHEMA).validate(told)


def test_the_schema_is_one_and_names_no_place() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].startswith("urn:")


OPTIONAL = {"breathing", "phase_model", "timing"}  # there where phases were asked for


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of every object in a schema, with the object's."""
    if isinstance(schema, dict):
        if "properties" in schema:
            assert schema["additionalProperties"] is False
            assert schema["required"] == [name for name in schema["properties"] if name not in OPTIONAL]
            yield from schema["properties"].items()
        for part in schema.values():
            yield from properties(part)


def test_the_schema_describes_every_key_with_its_unit() -> None:
    found = list(properties(SCHEMA))
    assert len(found) > 50
    for name, told in found:
        assert len(told["description"]) > 4, name
        for ending, unit in (
            ("_s", "in seconds"),
            ("_hz", "in Hz"),
            ("_rate", "in Hz"),
            ("_min", "a minute"),
        ):
            assert not name.endswith(ending) or unit in told["description"], name


shares = st.floats(0, 1)
words = st.text(max_size=5)


def each(names: Sequence[str]) -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries(dict.fromkeys(names, shares))


rates = st.builds(
    RespiratoryRate,
    st.none() | st.floats(0, 200),
    st.sampled_from(["good", "doubtful", "none"]),
    words,
    st.integers(0, 9),
)
records = st.builds(
    RecordAnswer,
    st.sampled_from([None, *SPRSOUND_RECORDS]),
    st.none() | shares,
    each(SPRSOUND_RECORDS) | st.just({}),
    st.booleans(),
    st.none() | words,
    st.lists(words, max_size=2).map(tuple),
    st.none() | each(SOUND_KINDS),
    st.none() | rates,
    st.none() | st.integers(0, 63),
)
timings = st.builds(
    EventTiming,
    st.sampled_from(["inspiration", "expiration", "both", None]),
    st.sampled_from(["early", "mid", "late", None]),
    st.none() | shares,
    st.none() | st.floats(0, 2000),
    st.none() | shares,
    st.none() | words,
)
breaths = st.builds(
    Breathing,
    st.integers(0, 63),
    st.sampled_from(["model", "given"]),
    st.booleans(),
    st.none() | words,
    st.none() | shares,
    st.lists(
        st.builds(
            BreathPhase,
            st.floats(0, 600),
            st.floats(0, 600),
            st.sampled_from(["inspiration", "expiration", "pause"]),
            st.none() | shares,
            st.none() | st.integers(0, 99),
        ),
        max_size=2,
    ).map(tuple),
    st.integers(0, 99),
    st.none() | st.floats(0, 9),
    st.just(()) | st.just((0.5, 0.75)),
    *[st.none() | st.floats(0, 60)] * 3,
)
events = st.builds(
    Event,
    st.floats(0, 1e5),
    st.floats(0, 1e5),
    st.sampled_from(SPRSOUND_EVENTS),
    shares,
    each(SPRSOUND_EVENTS),
    st.integers(0, 63),
    st.none() | words,
    st.none() | shares,
    st.booleans(),
    st.none() | st.just(RELEVANCE),
    st.none() | timings,
)
findings = st.builds(Finding, words, words, st.none() | shares, st.none() | st.integers(0, 63))
analyses = st.builds(
    analysis,
    st.lists(events, max_size=3),
    segmentation=st.sampled_from(["detected", "given", "windows"]),
    window_s=st.none() | st.floats(0.1, 10),
    hop_s=st.none() | st.floats(0.1, 10),
    quality=st.lists(findings, max_size=2).map(tuple),
    age_years=st.none() | st.floats(0, 130),
    sex=st.sampled_from([None, "male", "female"]),
    position=st.none() | words,
    record=st.none() | records,
    channel_records=st.lists(records, max_size=2).map(tuple),
    calibration=st.none() | st.just(CalibrationUsed("ward.json", "0" * 64, "2026-01-31", 12, 30)),
    breathing=st.none() | st.lists(breaths, max_size=2).map(tuple),
    phase_model=st.none() | st.just(PhaseModelUsed("phases", "0.1.0", "0" * 64)),
)


@given(analyses)
@settings(deadline=None, max_examples=40)
def test_every_json_obeys_the_schema(found: Analysis) -> None:
    validate(json.loads(json.dumps(to_json(found), allow_nan=False)))


@pytest.mark.parametrize("model", ["recording", "default"])
def test_real_analyses_obey_the_schema(model: str) -> None:
    simulated = demo_recordings()["wheezes"]
    stereo = np.stack([simulated.samples, np.zeros_like(simulated.samples)])
    validate(to_json(analyze(stereo, sample_rate=simulated.sample_rate, model=model)))


def test_the_schema_refuses_what_is_not_documented() -> None:
    from jsonschema import ValidationError

    told = to_json(analysis([event(0, 1, "Wheeze")], record=answer()))
    validate(told)
    wrong = [
        {**told, "extra": 1},
        {**told, "format": 2},
        {key: value for key, value in told.items() if key != "record"},
        {**told, "record": {**told["record"], "label": "Wheeze"}},
        {**told, "events": [{**told["events"][0], "probability": 1.1}]},
        {**told, "segmentation": {**told["segmentation"], "kind": "guessed"}},
    ]
    for changed in wrong:
        with pytest.raises(ValidationError):
            validate(changed)


def test_one_analysis_is_an_object_and_a_sequence_a_list(tmp_path: Path) -> None:
    one = analysis()
    write_json(one, tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_text()) == to_json(one)
    write_json([one], tmp_path / "list.json")
    assert json.loads((tmp_path / "list.json").read_text()) == {"format": 1, "analyses": [to_json(one)]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.json", "one.json"]


# --- table --------------------------------------------------------------------------------------------------


def printed(analyses: Analysis | Sequence[Analysis], width: int = 120) -> str:
    out = io.StringIO()
    print_table(analyses, Console(file=out, width=width))
    return out.getvalue()


def test_the_table_says_what_was_found_and_what_is_wrong() -> None:
    text = printed(analysis([event(0, 2.5, "Normal"), event(2.5, 15, "Fine Crackle")]))
    lines = [line.split() for line in text.splitlines()]
    assert ["2.50", "15.00", "Fine", "Crackle", "0.70", "Wheeze+Crackle", "0.05"] in lines
    assert "a.wav  15.0 s, 8000 Hz; 4.5 years; windows of 2 s every 1 s; model tiny (01234567)" in text
    assert "quality: clipped: 0.10% of samples" in text
    assert "repaired: RIFF header says block align 4" in text
    assert "note: not analysed: 3.00 to 7.00 s is silent" in text
    assert "annotated" not in text
    assert "channel" not in text


def test_columns_that_are_only_sometimes_needed() -> None:
    two = analysis([event(0, 1, "Normal", 1, "Wheeze")], channels=2, segmentation="given", age_years=None)
    text = printed(two)
    assert "channel" in text
    assert "annotated" in text
    assert "2 channels; age, sex and position not given; events as given" in text
    assert "no events" in printed(analysis())


def test_the_disclaimer_comes_once_at_the_end() -> None:
    text = printed([analysis(), analysis()])
    assert text.count(DISCLAIMER) == 1
    assert text.rstrip().endswith(DISCLAIMER)


def test_the_answer_its_reasons_and_the_rate_stand_at_the_head() -> None:
    uncertain = replace(event(0, 1, "Wheeze"), uncertain=True)
    record = answer(uncertain=True, reasons=("so",))
    text = printed(analysis([uncertain], segmentation="detected", record=record))
    head, table = text.split("from s")
    assert "events found by the model" in head
    assert "CAS (continuous sounds: wheeze, rhonchus, stridor), probability 0.80, uncertain\n  so\n" in head
    assert "respiratory rate: 21 breaths a minute, good (intervals are steady)" in head
    assert "uncertain" in table
    assert "uncertain" not in printed(analysis([event(0, 1, "Wheeze")], record=answer()))


def test_a_refusal_says_why_and_channels_have_their_own_answers() -> None:
    silence = replace(RATE, per_min=None)
    refused = answer(None, refused="sounds like speech", rate=silence, channel=1, heard_as="speech")
    text = printed(analysis(channels=2, record=refused, channel_records=(answer(channel=0), refused)))
    step = "if it is a lung after all, --any-sound analyses it all the same"
    assert f"\nno answer: sounds like speech; {step}\n" in text
    assert "respiratory rate: not found (intervals are steady)" in text
    assert "channel 0: CAS" in text
    assert f"channel 1: no answer: sounds like speech; {step}" in text
    silent = replace(refused, refused="silent or mostly so", heard_as=None)
    text = printed(analysis(record=silent))
    assert "\nno answer: silent or mostly so; check the recording, and record it again if need be\n" in text
    assert "--any-sound" not in text


def refusal(start_s: float, end_s: float, channel: int = 0, heard_as: str | None = "speech") -> RefusedPart:
    why = f"sounds like {heard_as}, not like a lung" if heard_as else "silent or mostly so"
    return RefusedPart(channel, start_s, end_s, why, heard_as)


def test_refused_parts_are_one_line_each_reason() -> None:
    speech = "sounds like speech, not like a lung"
    parts = (refusal(0, 30), refusal(45, 70), refusal(30, 45, heard_as=None))
    one = analysis(record=answer(), refused_parts=parts, notes=("first",))
    told = [
        f"not analysed: 0.0 to 30.0, 45.0 to 70.0 s ({speech}); --any-sound analyses it all the same",
        "not analysed: 30.0 to 45.0 s (silent or mostly so)",
        "first",
    ]
    assert notes(one) == told
    assert to_json(one)["notes"] == told
    assert to_json(one)["refused_parts"][0] == {
        "channel": 0, "start_s": 0, "end_s": 30, "refused": speech, "heard_as": "speech",
    }  # fmt: skip
    both = [refusal(0, 5, 0), refusal(0, 5, 1)]
    assert "0.0 to 5.0 s of channels 0 to 1 (" in refusals(both, 2)[0]
    many = refusals([refusal(2 * k, 2 * k + 1) for k in range(300)], 1)
    assert len(many) == 1
    assert "38.0 to 39.0 s and 280 further parts (" in many[0]
    refused = answer(None, refused=speech, heard_as="speech", channel=0)
    whole = analysis(record=refused, channel_records=(refused,), refused_parts=(refusal(0, 15),), notes=())
    assert printed(whole).count(speech) == 1  # its answer says so, and a note would say it again


def test_the_summary_advises_only_where_it_helps() -> None:
    def table(**changes: object) -> str:
        out = io.StringIO()
        print_summary([summary(analysis(**changes), "a.wav")], Console(file=out, width=200))
        return out.getvalue()

    silent = answer(None, refused="silent or mostly so")
    assert "--any-sound" not in table(record=silent, refused_parts=(refusal(0, 15, heard_as=None),))
    assert "--any-sound" in table(record=silent, refused_parts=(refusal(0, 15),))
    assert "6 s not analysed: sounds like speech" in table(record=answer(), refused_parts=(refusal(0, 6),))


def test_uncertain_is_told_in_every_view() -> None:
    """An event that contradicts the answer, and is uncertain as the answer is."""
    doubtful = replace(event(1, 6, "Wheeze"), uncertain=True)
    record = answer("Normal", uncertain=True)
    found = analysis([doubtful, event(7, 9, "Normal")], record=record, channel_records=(record,), notes=())
    kept = summary(found, "a.wav")
    out = io.StringIO()
    print_summary([kept], Console(file=out, width=200))
    recording = Recording.from_array(np.full(15 * 8_000, 0.1, np.float32), 8_000, "a.wav")
    page = render_report(found, recording)
    title = "\n".join(_subtitle(found, found.events, 0))  # the picture's boxes have a test of their own
    (row,) = csv.DictReader(io.StringIO(to_summary_csv([kept])))
    views = {
        "terminal, answer": "Normal, probability 0.80, uncertain" in printed(found),
        "terminal, event": re.search("Wheeze .* uncertain\n", printed(found)),
        "folder, answer": "Normal ? " in out.getvalue(),
        "folder, event": "1 Wheeze ?" in out.getvalue(),
        "folder, legend": "?: uncertain" in out.getvalue(),
        "summary": (row["uncertain"], row["uncertain_events"]) == ("true", "1"),
        "csv": ",true," in to_csv(found).splitlines()[1],
        "csv, answer": ",true," in to_record_csv(found).splitlines()[1],
        "json": to_json(found)["record"]["uncertain"] and to_json(found)["events"][0]["uncertain"],
        "audacity": to_audacity(found).splitlines()[0].endswith("Wheeze ?"),
        "page, answer": 'Normal</strong> <span class="uncertain">uncertain</span>' in page,
        "page, count": "1 of 2; uncertain" in page,
        "page, event": 'Wheeze <span class="uncertain">uncertain</span>' in page,
        "page, lane": "Wheeze (W), uncertain" in page,
        "picture, answer": "Normal, probability 0.80, uncertain" in title,
        "picture, count": "1 adventitious event, 1 uncertain" in title,
    }
    assert [view for view, told in views.items() if not told] == []
    sure = replace(kept, uncertain=False, uncertain_events={"Wheeze": 1}, events={"Wheeze": 3, "Normal": 0})
    out = io.StringIO()
    print_summary([sure], Console(file=out, width=200))
    assert "3 Wheeze (1 ?)" in out.getvalue()
    assert "?: uncertain" in out.getvalue()  # the legend of events alone


def test_the_summary_has_a_row_a_recording() -> None:
    out = io.StringIO()
    counts = {"Normal": 4, "Wheeze": 2, "Stridor": 0}
    rows = [
        Summary("[red]a.wav", "CAS", 0.8, True, None, 21.26, "good", 15.0, counts, "Normal", ("clipped",)),
        Summary("b.wav", "Normal", 0.9, events={"Normal": 3, "Wheeze": 0}, normal="Normal"),
        Summary("c.wav", refused="sounds like music", events={"Normal": 0}, normal="Normal"),
        Summary("d.wav", error="not audio"),
    ]
    print_summary(rows, Console(file=out, width=120))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "[red]a.wav CAS ? 0.80 2 Wheeze 21 clipped" in lines
    assert "b.wav Normal 0.90 3 Normal" in lines
    assert "c.wav none none sounds like music" in lines
    assert "d.wav failed not audio" in lines
    assert "?: uncertain, the model abstains" in lines
    assert lines.count(DISCLAIMER) == 1


def test_names_are_not_markup() -> None:
    assert "[red]a[/blue].wav" in printed(analysis(name="[red]a[/blue].wav"))


# --- picture ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recording() -> Recording:
    simulated = demo_recordings()["wheezes"]
    return Recording.from_array(simulated.samples, simulated.sample_rate, "wheezes.wav")


@pytest.mark.needs("matplotlib")
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_pictures(tmp_path: Path, recording: Recording, suffix: str) -> None:
    shown = analysis([event(0, 5, "Normal"), event(5, 5.2, "Wheeze"), event(5.1, 9, "Stridor", 0, "odd $x")])
    path = tmp_path / f"a{suffix}"
    draw(shown, recording, path)
    assert path.stat().st_size > 10_000
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.needs("matplotlib")
def test_a_pixel_of_a_picture_is_a_cell_of_the_spectrogram(tmp_path: Path, recording: Recording) -> None:
    from matplotlib.image import imread

    shown = analysis([event(5, 6, "Wheeze"), replace(event(8, 9, "Stridor"), uncertain=True)])
    draw(shown, recording, tmp_path / "a.png")
    pixels = np.rint(255 * imread(tmp_path / "a.png")[..., :3]).astype(int)
    layout = Layout.of(shown, recording, 0)
    assert pixels.shape == (layout.height, WIDTH, 3)
    own = pixels[layout.spectrogram + 2 : layout.bottom - 2, LEFT + 2 : round(layout.x(4.9))]
    cells = COARSE[spectrogram_of(recording, 0).grey].astype(int)[2:-2, 2 : own.shape[1] + 2]
    assert np.abs(own - cells[..., None]).max() == 0
    colours = {label: colour[1:] for label, colour in label_colours(shown.labels, shown.normal).items()}
    wheeze = np.array(list(bytes.fromhex(colours["Wheeze"])))
    assert (pixels[layout.labels + 6, round(layout.x(5.05))] == wheeze).all()
    assert pixels[layout.bottom - 50, round(layout.x(5))] == pytest.approx(wheeze, abs=16)  # an edge
    stripes = pixels[layout.labels + 6, round(layout.x(8.05)) : round(layout.x(8.95))]
    assert len(np.unique(stripes, axis=0)) > 1
    wave = pixels[layout.wave + 4, round(layout.x(5.5))]
    assert list(wave) == pytest.approx(
        [255 - 0.28 * (255 - int(colours["Wheeze"][k : k + 2], 16)) for k in (0, 2, 4)], abs=1
    )


@pytest.mark.needs("matplotlib")
def test_a_picture_shows_labels_as_words_and_the_disclaimer_once(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")  # text stays text
    shown = analysis(
        [event(0, 5, "Fine Crackle"), event(5, 5.5, "Coarse Crackle"), event(9, 9.01, "Stridor")]
    )
    draw(replace(shown, name="a $1 <b>_c^.wav"), recording, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text.count(DISCLAIMER) == 1
    assert ">Fine Crackle<" in text
    assert ">CC<" in text
    assert ">S<" not in text  # no room; the legend has it
    assert ">Stridor (S)<" in text
    assert "a $1 &lt;b&gt;_c^.wav" in text
    assert "3 adventitious events; 15.0 s" in text


@pytest.mark.needs("matplotlib")
def test_a_picture_shows_doubt_and_the_answer(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    sure, unsure = event(0, 5, "Stridor", annotated="Wheeze"), replace(event(6, 9, "Wheeze"), uncertain=True)
    draw(analysis([sure, unsure], record=answer()), recording, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert ">Wheeze ?<" in text
    assert ">Wheeze<" in text  # as annotated
    assert ">Stridor<" in text
    assert ">CAS (continuous sounds: wheeze, rhonchus, stridor), probability 0.80<" in text


@pytest.mark.needs("matplotlib")
def test_odd_recordings_can_be_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, (samples, rate) in enumerate(
        [
            (np.zeros((1, 8_000)), 8_000),
            (rng.normal(0, 0.1, (2, 100)), 4_000),
            (rng.normal(0, 0.1, (1, 3)), 192_000),
        ]
    ):
        odd = Recording.from_array(samples, rate, "肺音.wav")
        shown = analysis(duration_s=odd.duration_s, channels=odd.channels, name=odd.name)
        draw(shown, odd, tmp_path / f"{number}.png", channel=odd.channels - 1)
        assert (tmp_path / f"{number}.png").stat().st_size > 5_000


@pytest.mark.needs("matplotlib")
def test_pictures_that_cannot_be_drawn(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LaennecError, match=r"a\.bmp: a picture's name ends in \.png"):
        draw(analysis(), recording, tmp_path / "a.bmp")
    with pytest.raises(LaennecError, match="no channel 3"):
        draw(analysis(), recording, tmp_path / "a.png", channel=3)
    monkeypatch.delitem(sys.modules, "laennec.output.canvas", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(LaennecError, match="drawing needs Matplotlib"):
        draw(analysis(), recording, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_labels_are_told_apart_by_colour_and_by_letters() -> None:
    colours = label_colours(SPRSOUND_EVENTS, "Normal")
    assert len(set(colours.values())) == len({short_label(label) for label in SPRSOUND_EVENTS}) == 7
    assert short_label("Wheeze+Crackle") == "W+C"


def test_events_that_overlap_get_lanes_of_their_own() -> None:
    events = [event(0, 2, "Normal"), event(1, 3, "Wheeze"), event(2, 4, "Normal"), event(2.5, 5, "Normal")]
    assert assign_lanes(events) == ([0, 1, 0, 2], 3)
    assert assign_lanes([]) == ([], 1)


@pytest.mark.parametrize("size", [1, 2, 300, 5_000, 100_000])
def test_what_is_black_is_a_percentile(size: int) -> None:
    rng = np.random.default_rng(size)
    noise = rng.normal(-60, 10, size).astype(np.float32)
    click = noise.copy()
    click[: max(1, size // 1000)] = 0
    for levels in (noise, np.round(noise), click, np.full(size, -120, np.float32)):
        assert top_level_db(levels) == pytest.approx(np.percentile(levels, 99.7), abs=1e-3)


def test_page_and_picture_share_a_spectrogram(recording: Recording) -> None:
    assert spectrogram_of(recording, 0) is spectrogram_of(recording, 0, recording.length)
    assert spectrogram_of(recording, 0, 8_000) is not spectrogram_of(recording, 0)


@pytest.mark.parametrize(
    ("length", "most", "step"), [(15, 8, 2), (8, 8, 1), (8.1, 8, 2), (600, 8, 100), (1e-5, 8, 1e-3)]
)
def test_steps_of_an_axis(length: float, most: int, step: float) -> None:
    assert tick_step(length, most) == pytest.approx(step)


@pytest.mark.parametrize(("rate", "seconds"), [(8_000, 15), (4_000, 600), (44_100, 2)])
def test_a_tone_stands_at_its_place_and_level(rate: int, seconds: int) -> None:
    x = 0.5 * np.sin(2 * np.pi * 400 * np.arange(rate * seconds) / rate)
    x[x.size // 2 :] = 0
    level_db, fmax_hz = log_spectrogram(x, rate)
    rows_hz = np.geomspace(20, fmax_hz, len(level_db))
    quarter = level_db[:, level_db.shape[1] // 4]
    assert fmax_hz == 2_000
    assert rows_hz[quarter.argmax()] == pytest.approx(400, rel=0.02)
    assert quarter.max() == pytest.approx(20 * np.log10(0.5), abs=1.0)
    assert level_db[:, -level_db.shape[1] // 4].max() < -100
