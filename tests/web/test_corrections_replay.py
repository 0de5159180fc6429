"""Edits done in their order: undo and redo without end, and events that could have been heard."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laennec.labels import PHASES, SPRSOUND_EVENTS
from laennec.web.edits import SHORTEST_S, Bounds, Edit, EditError, GoneError, Suggestion
from laennec.web.replay import State, replay

BOUNDS = Bounds(duration_s=10.0, channels=2)
LABELS = (*SPRSOUND_EVENTS, *PHASES)


def suggestion(number: int, start_s: float, end_s: float, label: str = "Wheeze", **other: Any) -> Suggestion:
    told = {"analysis": 1, "channel": 0, "probability": 0.7, "uncertain": False, **other}
    return Suggestion(number, told.pop("analysis"), told.pop("channel"), start_s, end_s, label,
                      model_name="m", model_sha256="0" * 64, **told)  # fmt: skip


FIRST = [
    suggestion(1, 1.0, 2.0),
    suggestion(2, 2.0, 3.0, "Fine Crackle"),
    suggestion(3, 4.0, 6.0, "Normal"),
    suggestion(4, 1.0, 2.0, channel=1),
]
SECOND = [suggestion(11, 1.02, 2.0, analysis=2), suggestion(12, 7.0, 8.0, "Stridor", analysis=2)]


def edits(*contents: Mapping[str, Any]) -> list[Edit]:
    return [Edit(k, each["kind"], each, 1) for k, each in enumerate(contents, start=1)]


def after(*contents: Mapping[str, Any]) -> State:
    """What holds, where every edit must be one that can be done."""
    return replay(FIRST, [], BOUNDS, new=edits(*contents))


def told(state: State) -> dict[str, tuple[float, float, str, str]]:
    return {e.id: (e.start_s, e.end_s, e.label, e.status) for e in state.events}


def test_without_edits_the_suggestions_hold() -> None:
    state = after()
    assert told(state)["s1"] == (1, 2, "Wheeze", "suggested")
    assert [each.id for each in state.events] == ["s1", "s2", "s3", "s4"]  # by channel, then by start
    assert (state.rejected, state.undo, state.reviewed, state.labelled()) == ((), (), False, ())


def test_each_kind_does_what_it_says() -> None:
    added = {"kind": "add", "events": [{"start_s": 8, "end_s": 9, "label": "wheeze & crackle"}]}
    assert told(after(added))["e1"] == (8, 9, "Wheeze+Crackle", "added")
    moved = {"kind": "change", "events": ["s1"], "start_s": 0.5}
    assert told(after(moved))["s1"] == (0.5, 2, "Wheeze", "changed")
    back = {"kind": "change", "events": ["s1"], "start_s": 1.0}
    assert told(after(moved, back))["s1"] == (1, 2, "Wheeze", "accepted")
    both = {"kind": "change", "events": ["s1", "s2"], "label": "Stridor"}
    assert {told(after(both))[name][2] for name in ("s1", "s2")} == {"Stridor"}
    assert told(after({"kind": "accept", "events": ["s2"]}))["s2"][3] == "accepted"
    assert after({"kind": "record", "label": "CAS"}).record == "CAS"
    assert after({"kind": "review"}).reviewed
    assert not after({"kind": "review"}, {"kind": "review", "reviewed": False}).reviewed


def test_rejected_suggestions_are_kept_and_can_be_had_back() -> None:
    state = after({"kind": "delete", "events": ["s1", "s2"]})
    assert [each.id for each in state.rejected] == ["s1", "s2"]
    state = after({"kind": "delete", "events": ["s1", "s2"]}, {"kind": "accept", "events": ["s2"]})
    assert [each.id for each in state.rejected] == ["s1"]
    assert told(state)["s2"][3] == "accepted"


def test_split_and_merge_keep_what_the_model_said() -> None:
    split = {"kind": "split", "events": ["s1", "s4"], "at_s": 1.5}
    state = after(split)
    assert told(state)["s1"] == (1, 1.5, "Wheeze", "changed")
    assert told(state)["e1"] == told(state)["e1-2"] == (1.5, 2, "Wheeze", "changed")
    assert {event.id: event.origins for event in state.events}["e1"] == (1,)
    assert not after(split, {"kind": "delete", "events": ["s1"]}).rejected  # its second half is left
    merged = after({"kind": "merge", "events": ["s2", "s1"]})
    assert told(merged)["s1"] == (1, 3, "Wheeze", "changed")
    assert next(event.origins for event in merged.events if event.id == "s1") == (1, 2)
    assert not merged.rejected


def test_reviewed_recordings_are_labelled_whole() -> None:
    accepted = {"kind": "accept", "events": ["s1"]}
    assert [event.id for event in after(accepted).labelled()] == ["s1"]
    assert len(after(accepted, {"kind": "review"}).labelled()) == 4


def test_an_import_is_one_edit() -> None:
    label_file = {
        "kind": "import", "remove": ["s2"], "accept": ["s1"], "record": "CAS",
        "events": [{"start_s": 8, "end_s": 9, "label": "Stridor"}, {"start_s": 9, "end_s": 10, "label": "x"}],
    }  # fmt: skip
    state = after(label_file)
    assert set(told(state)) == {"s1", "s3", "s4", "e1", "e1-2"}
    assert (state.record, told(state)["s1"][3]) == ("CAS", "accepted")
    assert told(after(label_file, {"kind": "undo"})) == told(after())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"kind": "add", "events": [{"start_s": 1, "end_s": 1, "label": "Wheeze"}]}, "shortest event"),
        ({"kind": "add", "events": [{"start_s": 2, "end_s": 1, "label": "Wheeze"}]}, "shortest event"),
        ({"kind": "add", "events": [{"start_s": 9, "end_s": 11, "label": "Wheeze"}]}, "end_s is 11"),
        ({"kind": "add", "events": [{"start_s": float("nan"), "end_s": 1, "label": "x"}]}, "start_s is nan"),
        ({"kind": "add", "events": [{"start_s": 1, "label": "x"}]}, "end_s is None"),
        ({"kind": "add", "events": [{"start_s": 1, "end_s": 2, "label": " "}]}, "label is ' '"),
        ({"kind": "add", "events": [{"start_s": 1, "end_s": 2, "label": "a\u202eb"}]}, "label is"),
        ({"kind": "add", "events": [{"start_s": 1, "end_s": 2, "label": "x", "channel": 2}]}, "channel is 2"),
        ({"kind": "add", "events": [{"start_s": 1, "end_s": 2, "label": "x", "channel": True}]}, "channel"),
        ({"kind": "add", "events": [{"start_s": 1, "end_s": 2, "label": "x", "layer": "phases"}]}, "layer"),
        ({"kind": "add", "events": 3}, "events is 3"),
        ({"kind": "change", "events": ["s1"]}, "nothing to change"),
        ({"kind": "change", "events": ["s1"], "end_s": 0.5}, "shortest event"),
        ({"kind": "change", "events": [], "end_s": 0.5}, "at least 1"),
        ({"kind": "split", "events": ["s1"], "at_s": 2.0}, "shortest event"),
        ({"kind": "split", "events": ["s1"]}, "end_s is None"),
        ({"kind": "merge", "events": ["s1"]}, "at least 2"),
        ({"kind": "merge", "events": ["s1", "s1"]}, "each once"),
        ({"kind": "merge", "events": ["s1", "s4"]}, "different channels"),
        ({"kind": "undo"}, "nothing to undo"),
        ({"kind": "redo"}, "nothing to redo"),
        ({"kind": "burn"}, "kind is 'burn'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_does_nothing(edit: dict[str, Any], message: str) -> None:
    with pytest.raises(EditError, match=message):
        after(edit)
    assert told(replay(FIRST, edits(edit), BOUNDS)) == told(after())


@pytest.mark.parametrize("kind", ["change", "delete", "accept", "split", "merge"])
def test_an_event_that_is_gone_is_said(kind: str) -> None:
    edit = {"kind": kind, "events": ["s2", "e99"], "start_s": 1.0, "at_s": 2.5}
    with pytest.raises(GoneError, match="no longer there"):
        after(edit)
    with pytest.raises(GoneError):
        after({**edit, "events": ["s2", {}]})


# --- another model's analysis -------------------------------------------------------------------------------


def test_without_corrections_the_newest_analysis_is_shown() -> None:
    state = replay([*FIRST, *SECOND], [], BOUNDS)
    assert (set(told(state)), state.analysis, state.offered) == ({"s11", "s12"}, 2, ())


def test_corrections_stay_on_what_they_were_made_on_and_newer_suggestions_are_offered() -> None:
    made = edits(
        {"kind": "change", "events": ["s1"], "label": "Rhonchi"}, {"kind": "delete", "events": ["s2"]}
    )
    state = replay([*FIRST, *SECOND], made, BOUNDS)
    assert told(state) == told(replay(FIRST, made, BOUNDS))
    assert [each.id for each in state.offered] == ["s11", "s12"]
    taken = [*made, Edit(3, "accept", {"events": ["s12"]}, 1)]
    state = replay([*FIRST, *SECOND], taken, BOUNDS)
    assert told(state)["s12"] == (7, 8, "Stridor", "accepted")
    assert [each.id for each in state.offered] == ["s11"]


def test_adopting_replaces_what_nobody_has_decided_about() -> None:
    made = edits(
        {"kind": "change", "events": ["s1"], "label": "Rhonchi"},
        {"kind": "delete", "events": ["s2"]},
        {"kind": "adopt", "analysis": 2},
    )
    second = [*SECOND, suggestion(13, 2.1, 3.0, "Coarse Crackle", analysis=2)]
    state = replay([*FIRST, *second], made, BOUNDS)
    assert set(told(state)) == {"s1", "s12"}  # s3 and s4 are gone; s11 is s1's sound, s13 the rejected s2's
    assert [each.id for each in state.rejected] == ["s2"]
    assert [each.id for each in state.offered] == ["s11", "s13"]
    undone = replay([*FIRST, *second], [*made, Edit(4, "undo", {}, 1)], BOUNDS)
    assert told(undone) == told(replay(FIRST, made[:2], BOUNDS))


def test_the_same_suggestions_again_are_not_offered() -> None:
    again = [replace(each, number=each.number + 20, analysis=2) for each in FIRST]
    assert not replay([*FIRST, *again], edits({"kind": "review"}), BOUNDS).offered


def test_an_analysis_that_found_nothing_counts() -> None:
    assert replay(FIRST, [], BOUNDS, analyses=[1, 2]).events == ()
    state = replay(FIRST, edits({"kind": "review"}), BOUNDS, analyses=[1, 2])
    assert len(state.events) == 4
    assert replay([], [], BOUNDS, analyses=[]).analysis is None


# --- any order of any edits ---------------------------------------------------------------------------------


def an_edit(draw: random.Random, state: State) -> dict[str, Any]:
    """An edit that a page might send, or a wrong one."""
    names = [event.id for event in state.events] + [each.id for each in (*state.rejected, *state.offered)]
    some = draw.sample(names, min(len(names), draw.randint(1, 3))) or ["s1"]
    start_s = draw.uniform(-0.5, 10.2)
    time = {"start_s": start_s, "end_s": start_s + draw.uniform(-0.2, 3)}
    label = {"label": draw.choice(LABELS)}
    event = {**time, **label, "channel": draw.randint(0, 2)}
    return draw.choice(
        [
            {"kind": "add", "events": [event] * draw.randint(1, 2)},
            {"kind": "change", "events": some, **time},
            {"kind": "change", "events": some, **label},
            {"kind": "change", "events": some[:1], "end_s": time["end_s"]},
            {"kind": "delete", "events": some},
            {"kind": "accept", "events": some},
            {"kind": "split", "events": some[:1], "at_s": start_s},
            {"kind": "merge", "events": some},
            {"kind": "record", "label": draw.choice([None, "CAS"])},
            {"kind": "review", "reviewed": draw.random() < 0.5},
            {"kind": "adopt", "analysis": draw.choice([1, 2])},
            {"kind": "import", "remove": some[:1], "accept": some[1:], "events": [event]},
            *({"kind": kind} for kind in ("undo", "redo", "undo", "redo")),
        ]
    )


def core(state: State) -> tuple[Any, ...]:
    return state.events, state.rejected, state.offered, state.analysis, state.record, state.reviewed


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_whatever_is_done_can_be_undone_and_done_again(seed: int, steps: int) -> None:
    draw, suggestions = random.Random(seed), [*FIRST, *SECOND]
    # So that the first analysis is the base, and the second offered.
    history = edits({"kind": "review", "reviewed": False}, {"kind": "undo"})
    state = replay(suggestions, history, BOUNDS)
    past: list[tuple[Any, ...]] = []  # the states that undo goes back to
    future = [core(state)]
    for k in range(3, steps + 3):
        content = an_edit(draw, state)
        edit = Edit(k, content["kind"], content, 1)
        try:
            new = replay(suggestions, history, BOUNDS, new=[edit])
        except EditError:
            continue
        if edit.kind == "undo":
            future.append(core(state))
            assert core(new) == past.pop()
        elif edit.kind == "redo":
            past.append(core(state))
            assert core(new) == future.pop()
        else:
            past.append(core(state))
            future.clear()
        history.append(edit)
        state = new
        assert (len(state.undo), len(state.redo)) == (len(past), len(future))
        assert replay(suggestions, history, BOUNDS) == state  # the same every time
        sound(state)


def sound(state: State) -> None:
    """No event without length, none outside the recording, none twice, none of the model's lost."""
    for event in state.events:
        assert 0 <= event.start_s < event.end_s <= 10
        assert event.end_s - event.start_s >= SHORTEST_S - 1e-6
        assert event.channel in (0, 1)
    assert len({event.id for event in state.events}) == len(state.events)
    alive = {number for event in state.events for number in event.origins}
    assert not alive & {each.number for each in (*state.rejected, *state.offered)}
