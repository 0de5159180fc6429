"""A server that tells the phases of breaths: what is stored, and what is analysed again for it."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from web_client import API, settled, web_client

from laennec import analyze
from laennec.output.formats import to_json
from laennec.simulate import demo_recordings
from laennec.simulate.dataset import write_wav

NAME = "wheezes.wav"


def analyses(client: TestClient) -> list[Any]:
    """Number and model of every analysis that is kept, and the latest of the one recording."""
    row = settled(client)[NAME]
    assert row["state"] == "done"
    kept = client.app.state.server.database.rows("SELECT id FROM analysis")  # type: ignore[attr-defined]
    return [row["phases"], len(kept), client.get(f"{API}/recordings/{row['id']}").json()["analysis"]]


def test_phases_are_kept_where_they_are_asked_for_and_lacking_ones_are_told_anew(tmp_path: Path) -> None:
    sound = demo_recordings(0)["wheezes"]
    write_wav(tmp_path / NAME, sound.samples, sound.sample_rate)
    with web_client(tmp_path) as client:
        asked, kept, without = analyses(client)
        assert (asked, kept) == (False, 1)
        assert "breathing" not in without
    expected = to_json(analyze(tmp_path / NAME, phases=True))
    with web_client(tmp_path, phases=True) as client:
        asked, kept, told = analyses(client)
        assert (asked, kept) == (True, 2)
        assert told["breathing"] == expected["breathing"]
        assert told["phase_model"] == expected["phase_model"]
        assert [event.get("timing") for event in told["events"]] == [
            event.get("timing") for event in expected["events"]
        ]
        assert any("timing" in event for event in told["events"])
    for phases in (True, False):  # what has phases is good for either
        with web_client(tmp_path, phases=phases) as client:
            assert analyses(client) == [True, 2, told]
