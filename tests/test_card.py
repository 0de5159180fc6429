"""The metadata of model files: read as they are, and every wrong entry is named or harmless."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from laennec import LaennecError, analyze, load_model
from laennec.model.card import ClipCard, RecordingCard, read_card
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.output.formats import to_json

WRONG: tuple[Any, ...] = (
    None,
    "",
    "word",
    -1,
    0,
    0.5,
    10**9,
    10**400,
    math.nan,
    math.inf,
    True,
    [],
    ["word"],
    [1.0, 2.0],
    [[]],
    {},
    {"21": {}},
)
ENTRIES = {  # that a message may name instead, since two contradict each other
    "normal": "labels",
    "clip_samples": "window_s",
    "sample_rate": "window_s",
    "records": "record",
    "labels": "evidence|presence|context|probabilities|event_bias",
    "edges_hz": "evidence",
    "kinds": "kind",
    "patterns": "kind",
}


def entries_of(name: str) -> dict[str, Any]:
    entries = json.loads(str(load_model(name).graph.metadata))
    assert isinstance(entries, dict)
    return entries


def shortened(value: Any) -> Any:
    """A list or a text of one less, as such things go wrong by hand."""
    return value[:-1] if isinstance(value, list | str) else value


def altered(entries: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each entry left out and replaced by each wrong value, numbers of the rule too; and one entry more."""
    yield "spare", entries | {"spare": {"nested": [1, None]}}
    for key, value in entries.items():
        yield key, {other: entries[other] for other in entries if other != key}
        for wrong in (
            *WRONG,
            [value],
            shortened(value),
            [*value, *value] if isinstance(value, list) else value,
        ):
            yield key, entries | {key: wrong}
        if isinstance(value, list) and len(value) > 1:
            for wrong in WRONG:
                yield key, entries | {key: [wrong, *value[1:]]}
    for key, value in entries.get("rule", {}).items():
        for wrong in (*WRONG, [value]):
            yield key, entries | {"rule": entries["rule"] | {key: wrong}}
    for wrong in WRONG:
        yield "task_shift", entries | {"task_shift": {"21": wrong}}


@pytest.mark.parametrize("name", ["recording", "default", "source"])
def test_a_wrong_entry_is_named_or_harmless(name: str) -> None:
    """Whatever an entry is replaced by, the file loads and works, or one sentence names the entry."""
    model, entries = load_model(name), entries_of(name)
    sound = (0.05 * np.random.default_rng(0).standard_normal(8_000)).astype(np.float32)
    refused, worked = [], 0
    for key, changed in altered(entries):
        try:
            card = read_card(json.dumps(changed), "m.onnx")
            model.graph.check(card)
            analyze(sound, sample_rate=8_000, model=type(model)(card, model.graph))  # type: ignore[arg-type]
            worked += 1
        except LaennecError as error:
            refused.append((key, str(error)))
    unnamed = [
        (key, message)
        for key, message in refused
        if not any(name in message for name in (key, *ENTRIES.get(key, key).split("|")))
    ]
    assert unnamed == []
    assert len(refused) > 8 * len(entries)
    assert worked > len(entries)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = {"a": [value]}
    return value


STRANGE: dict[str, Any] = {  # as JSON has it
    "half a character": '"\\ud800"',
    "half a character in a list": '["\\ud800"]',
    "a long text": json.dumps("x" * 10**5),
    "a long list": json.dumps([0.5] * 10**4),
    "many words": json.dumps([f"word {n}" for n in range(1000)]),
    "many digits": "1" + "0" * 4000,
    "the largest number": "1e308",
    "more than that": "1e999",
    "NaN in an object": '{"a": [NaN]}',
    "text in an object": '{"\\ud800": "a"}',
    "deep": json.dumps(nested(150)),
    "lines": '"a\\nb"',
    "lines in a list": '["Normal", "a\\u001b[2Jb"]',
    "other letters": '["Normál", "呼吸音"]',
}


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("name", ["recording", "default"])
def test_strange_values_are_named_in_a_short_line_or_survive_to_the_output(name: str, strange: str) -> None:
    model, entries = load_model(name), entries_of(name)
    sound = (0.05 * np.random.default_rng(0).standard_normal(8_000)).astype(np.float32)
    refused = []
    for key in (*entries, "spare"):
        parts = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in entries.items() if k != key]
        text = "{" + ", ".join([*parts, f'"{key}": {STRANGE[strange]}']) + "}"
        try:
            card = read_card(text, "m.onnx")
            model.graph.check(card)
        except LaennecError as error:
            refused.append((key, str(error)))
            continue
        if key not in ("spare", "event_bias", "record_bias"):
            found = analyze(sound, sample_rate=8_000, model=type(model)(card, model.graph))  # type: ignore[arg-type]
            json.dumps(to_json(found), ensure_ascii=False, allow_nan=False).encode()
    for key, message in refused:
        assert any(word in message for word in (key, *ENTRIES.get(key, key).split("|"))), message
        assert len(message.encode()) < 1500


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        (None, "without Laennec's metadata"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"format": 1' + "0" * 5000 + "}", "is not JSON"),
        ("[]", "not a JSON object"),
        ('{"task": "event"}', "names no format"),
        ('{"task": "event", "format": true}', "names no format: format is True"),
        ('{"task": "recording", "format": 99}', "format 99"),
        ('{"task": "recording", "format": 1}', "wrong metadata: no entry 'name'"),
    ],
)
def test_wrong_metadata_is_refused(metadata: str | None, wrong: str) -> None:
    with pytest.raises(LaennecError, match=wrong):
        read_card(metadata)


def test_entries_of_later_cards_are_optional_and_checked() -> None:
    entries = entries_of("recording")
    more = {"event_presence": [0, 1, 1, 0.5], "record_evidence": [1, 1], "normal_certain": 0.9}
    more |= {"task_poor_shift": {"21": 4.0}}
    card = read_card(json.dumps({**entries, **more, "sick_certain": None, "hit_certain": 0.25}))
    assert isinstance(card, RecordingCard)
    assert (card.event_presence, card.record_evidence) == ((0, 1, 1, 0.5), (1, 1))
    assert (card.normal_abstain_below, card.sick_abstain_below) == (0.9, None)
    assert card.event_hit_abstain_below == 0.25
    assert card.poor_shift == {"21": 4.0}
    for wrong in ({"event_presence": [1]}, {"record_evidence": [1, 1, 1]}, {"normal_certain": 2}):
        with pytest.raises(LaennecError, match=next(iter(wrong))):
            read_card(json.dumps({**entries, **wrong}))


def test_the_file_s_names_and_the_card_s_are_one_mapping() -> None:
    entries = entries_of("recording")
    card = read_card(json.dumps(entries))
    assert isinstance(card, RecordingCard)
    assert card.sound_classes == tuple(entries["kinds"])
    assert card.event_abstain_below == entries["event_certain"]
    assert card.record_abstain_below == entries["record_certain"]
    assert card.lung_threshold == entries["lung_share"]
    assert card.normal_shift == entries["task_shift"]
    assert card.rule.class_weight == entries["rule"]["class_weight"]
    assert card.frame_s == pytest.approx(entries["frame_samples"] / entries["sample_rate"])


@pytest.mark.parametrize(
    ("name", "model", "card"),
    [
        ("recording", Detector, RecordingCard),
        ("default", LungModel, ClipCard),
        ("source", LungModel, ClipCard),
    ],
)
def test_the_task_decides_what_is_loaded(name: str, model: type, card: type) -> None:
    loaded = load_model(name)
    assert type(loaded) is model
    assert type(loaded.card) is card
    assert type(load_model()) is LungModel
    assert load_model().sha256 == load_model("default").sha256


@pytest.mark.parametrize(
    ("name", "other", "wrong"),
    [
        ("recording", "default", r"takes waveform tensor\(float\); a Laennec model takes .*, length"),
        ("default", "recording", r"takes .*, length .*; a Laennec model takes waveform tensor\(float\)$"),
        ("source", "default", r"probabilities has the shape \(batch, 4\); by its metadata it is \(any, 7\)"),
    ],
)
def test_a_graph_that_is_not_of_its_card_is_refused(name: str, other: str, wrong: str) -> None:
    with pytest.raises(LaennecError, match=wrong):
        load_model(name).graph.check(load_model(other).card)


def test_a_card_that_only_speaks_of_recordings_is_one_for_clips() -> None:
    entries = entries_of("default") | {"limits": 'as text: "task": "recording"'}
    assert isinstance(read_card(json.dumps(entries)), ClipCard)
