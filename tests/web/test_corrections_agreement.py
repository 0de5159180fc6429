"""Two readers side by side, and in which order recordings are reviewed."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
from corrections_folder import add_analysis, add_recording
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from test_corrections import API, database, edit, state
from web_client import web_client

from laennec.web.agreement import Pair, cohen, disagreements, shared_seconds
from laennec.web.edits import Marked
from laennec.web.review import ORDERS, Candidate, most_informative


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with web_client(tmp_path) as client:
        for name in ("Anna", "Ben"):
            client.post(f"{API}/readers", json={"name": name})
        yield client


def marked(*events: tuple[float, float, str]) -> tuple[Marked, ...]:
    return tuple(Marked(f"e{k}", 0, *event, "added") for k, event in enumerate(events))


def pair(first: tuple[Marked, ...], second: tuple[Marked, ...]) -> Pair:
    return Pair(1, "anna", 0, 10.0, first, second)


# --- agreement ----------------------------------------------------------------------------------------------


def test_kappa_of_a_table_worked_out_by_hand() -> None:
    # Cohen's own form: 20 yes/yes, 15 no/no, 5 and 10 mixed: p_o = .7, p_e = .5
    found = cohen(np.array([[[20.0, 5.0], [10.0, 15.0]]]))
    assert found["same_time"][0] == pytest.approx(0.7)
    assert found["kappa"][0] == pytest.approx(0.4)


def test_time_is_shared_out_from_border_to_border() -> None:
    seconds = shared_seconds(
        pair(marked((1, 3, "Wheeze"), (2, 4, "Normal")), marked((1.5, 4, "Wheeze"), (9, 10, "Normal")))
    )
    assert seconds == {
        ((), ()): pytest.approx(6.0),
        (("Wheeze",), ()): pytest.approx(0.5),
        (("Wheeze",), ("Wheeze",)): pytest.approx(0.5),
        (("Normal", "Wheeze"), ("Wheeze",)): pytest.approx(1.0),
        (("Normal",), ("Wheeze",)): pytest.approx(1.0),
        ((), ("Normal",)): pytest.approx(1.0),
    }


SPANS = st.lists(
    st.tuples(st.integers(0, 90), st.integers(1, 10), st.sampled_from(["a", "b"])).map(
        lambda span: (span[0] / 10, (span[0] + span[1]) / 10, span[2])
    ),
    max_size=6,
)


@given(SPANS, SPANS)
def test_seconds_are_frames_counted_very_finely(
    one: list[tuple[float, float, str]], other: list[tuple[float, float, str]]
) -> None:
    seconds = shared_seconds(pair(marked(*one), marked(*other)))
    frames: dict[Any, float] = {}
    for k in range(100):
        at_s = k / 10 + 0.05
        both = tuple(
            tuple(sorted({label for start, end, label in side if start < at_s < end}))
            for side in (one, other)
        )
        frames[both] = frames.get(both, 0) + 0.1
    assert {key: round(value, 6) for key, value in seconds.items() if value > 1e-9} == {
        key: round(value, 6) for key, value in frames.items()
    }


def test_disagreements_are_told_apart() -> None:
    pytest.importorskip("mir_eval")
    first = marked((0, 1, "Normal"), (2, 3, "Wheeze"), (4, 5, "Stridor"), (6, 7, "Rhonchi"), (9, 10, "x"))
    second = marked(
        (0.1, 1.1, "Normal"), (2, 3, "Rhonchi"), (4.5, 5.9, "Stridor"), (8, 9, "Wheeze"), (9.3, 10, "y")
    )
    found = disagreements(pair(first, second))
    assert [(each["kind"], each["start_s"], each["end_s"]) for each in found] == [
        ("label", 2, 3), ("borders", 4, 5.9), ("first", 6, 7), ("second", 8, 9), ("label", 9, 10),
    ]  # fmt: skip
    assert (found[0]["first"]["label"], found[0]["second"]["label"]) == ("Wheeze", "Rhonchi")
    assert found[3]["first"] is None


def test_two_readers_of_a_folder(client: TestClient) -> None:
    pytest.importorskip("mir_eval")
    for k, patient in enumerate(("anna", "ben", "cleo", "dora")):
        number = add_recording(database(client), f"{patient}.wav", patient)
        add_analysis(database(client), number)
        first = state(client, number)["events"][0]["id"]
        edit(client, number, {"kind": "review"})
        change = {"kind": "change", "events": [first], "label": "Rhonchi"}
        if patient != "dora":  # whom Ben has not reviewed
            edit(client, number, *([change] if k else []), {"kind": "review"}, reader="Ben")
    answer = client.get(f"{API}/agreement", params={"readers": "Anna,Ben"}).json()
    assert (answer["recordings"], answer["patients"], answer["reviewed"]) == (3, 3, [True, True])
    assert answer["f1"]["value"] == pytest.approx(7 / 9)
    assert answer["agnostic_f1"] == {"value": 1.0, "interval": [1.0, 1.0]}
    # one second of ten differs in two of three recordings
    assert answer["same_time"]["value"] == pytest.approx(1 - 2 / 30)
    assert answer["kappa"]["interval"][0] < answer["kappa"]["value"] < answer["kappa"]["interval"][1]
    assert [each["kind"] for each in answer["disagreements"]] == ["label", "label"]
    alone = client.get(f"{API}/recordings/1/compare", params={"readers": ["Ben", "Anna"]}).json()
    assert (alone["kappa"]["value"], alone["kappa"]["interval"], alone["disagreements"]) == (1.0, None, [])
    assert alone["no_interval"] == "there is only one patient"
    phases = client.get(f"{API}/agreement", params={"readers": "Anna,Ben", "layer": "phases"}).json()
    assert (phases["kappa"]["value"], phases["f1"]["value"]) == (None, None)


@pytest.mark.parametrize("readers", ["Anna", "Anna,Anna", "Anna,nobody", "Anna,Ben,Cleo", ""])
def test_two_different_readers_are_compared(client: TestClient, readers: str) -> None:
    answer = client.get(f"{API}/agreement", params={"readers": readers})
    assert (answer.status_code, bool(answer.json()["error"])) == (404 if "nobody" in readers else 422, True)


def test_nothing_reviewed_is_no_error(client: TestClient) -> None:
    answer = client.get(f"{API}/agreement", params={"readers": "Anna,Ben"}).json()
    assert (answer["recordings"], answer["kappa"]["value"], answer["disagreements"]) == (0, None, [])


# --- order of review ----------------------------------------------------------------------------------------


def candidate(number: int, *probabilities: tuple[float, float], patient: str = "") -> Candidate:
    rows = np.array(probabilities).reshape(-1, 2)
    return Candidate(number, f"{number}.wav", patient or f"patient {number}", None, rows)


def numbers(found: list[Candidate]) -> list[int]:
    return [each.number for each in found]


def test_entropy_is_a_share_of_the_largest() -> None:
    assert candidate(1, (0.5, 0.5)).entropy == pytest.approx(1)
    assert candidate(1, (1, 0), (0.5, 0.5)).entropy == pytest.approx(0.5)
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert candidate(1, (0.25, 0.75)).entropy == pytest.approx(quarter)
    assert candidate(1).entropy == 0


def test_what_resembles_what_was_reviewed_comes_later() -> None:
    left = [candidate(1, (0.6, 0.4)), candidate(2, (0.2, 0.8))]
    assert numbers(most_informative(left, [])) == [1, 2]  # by entropy alone
    assert numbers(most_informative(left, [candidate(9, (0.62, 0.38))])) == [2, 1]


def test_what_comes_before_counts_as_seen() -> None:
    left = [candidate(1, (0.6, 0.4)), candidate(2, (0.61, 0.39)), candidate(3, (0.2, 0.8))]
    assert numbers(most_informative(left, [])) == [1, 3, 2]


def test_patients_take_turns() -> None:
    left = [
        candidate(1, (0.5, 0.5), patient="a"),
        candidate(2, (0.75, 0.25), patient="a"),
        candidate(3, (0.25, 0.75), patient="b"),
    ]
    assert numbers(most_informative(left, [])) == [1, 3, 2]
    assert numbers(most_informative(left, [candidate(9, patient="b")] * 9)) == [1, 2, 3]


@pytest.mark.parametrize("order", ORDERS)
def test_a_folder_without_events_has_every_order(client: TestClient, order: str) -> None:
    number = add_recording(database(client), "a.wav")
    assert client.get(f"{API}/review", params={"order": order}).json()["recordings"] == [number]


def test_orders_over_the_api(client: TestClient) -> None:
    sure = {"a": 0.9, "b": 0.6, "c": 0.75}
    made = {
        name: add_recording(database(client), f"{name}.wav", name) for name in ("a", "b", "c", "not analysed")
    }
    for name, probability in sure.items():
        add_analysis(database(client), made[name], [(0, 1.0, 2.0, "Wheeze", probability)])

    def order(**query: str) -> list[int]:
        found: list[int] = client.get(f"{API}/review", params=query).json()["recordings"]
        return found

    by_certainty = [made[name] for name in ("b", "c", "a", "not analysed")]
    assert order() == order(order="uncertain", reader="Anna") == by_certainty
    assert order(order="informative")[0] == made["b"]
    assert order(order="informative")[-1] == made["not analysed"]
    random = order(order="random")
    assert sorted(random) == sorted(made.values())
    add_recording(database(client), "later.wav")
    assert [number for number in order(order="random") if number in random] == random
    edit(client, made["b"], {"kind": "review"})
    assert order(reader="Anna") == [made["c"], made["a"], made["not analysed"] + 1, made["not analysed"]]
    assert order(reader="Ben")[0] == made["b"]
    for query, status in (({"order": "x"}, 422), ({"reader": "nobody"}, 404)):
        assert client.get(f"{API}/review", params=query).status_code == status
