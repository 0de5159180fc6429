"""A handful of kills; ``make faults`` runs many, and those of commands that train."""

from pathlib import Path

import pytest

from faults.commands import COMMANDS, differences, halves
from faults.kills import Point, Victim, shares, strace_works


@pytest.mark.parametrize(
    ("name", "renames"),
    [
        ("analyze", (3, 12)),  # a result of the first recording, one of the third
        ("simulate", (3,)),
        pytest.param("datasets download", (1,), marks=pytest.mark.needs("pandas", "requests")),
    ],
)
def test_what_is_killed_while_it_renames_a_file_is_resumed(
    name: str, renames: tuple[int, ...], tmp_path: Path
) -> None:
    victim = Victim(COMMANDS[name], tmp_path / "victim", count_calls=False)
    for number in renames:
        late = Point("SIGKILL", after_s=0.8 * victim.seconds)
        point = Point("SIGKILL", "rename", number) if strace_works() else late
        assert victim.interrupted(point) == []


def test_what_differs_and_what_is_half_is_seen(tmp_path: Path) -> None:
    assert differences({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 4, "d": 5}) == [
        "d: is missing",
        "a: is left over",
        "c: differs",
    ]
    for name, text in {"a.json": '{"a":', "b.csv": "x,y\n1", "c.wav": "RIFF", "d.pt": "PK"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / ".0.0.1.tmp.json").write_text("{")
    assert [line.split(":")[0] for line in halves(tmp_path)] == ["a.json", "b.csv", "c.wav", "d.pt"]


@pytest.mark.parametrize("kills", [6, 7, 20, 100])
def test_every_kill_is_dealt_out(kills: int) -> None:
    dealt = shares(kills, list(COMMANDS))
    assert sum(dealt.values()) == kills
    assert min(dealt.values()) >= 1
