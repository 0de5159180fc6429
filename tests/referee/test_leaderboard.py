"""The leaderboard is what its files of predictions give."""

import json
from pathlib import Path

import pytest

from laennec.experiments.leaderboard import ENTRIES, measured

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("k", [0, 3])
def test_an_entry_is_what_its_predictions_give(k):
    kept = json.loads((ROOT / "docs/results/leaderboard.json").read_text())["entries"]
    assert len(kept) == len(ENTRIES)
    again = json.loads(json.dumps(measured(ENTRIES[k], ROOT / "docs/results/predictions")))
    for name, score in again.pop("scores").items():
        assert kept[k]["scores"][name] == pytest.approx(score, abs=1e-9)
    rule = again.pop("strongest_baseline")
    assert rule["name"] == kept[k]["strongest_baseline"]["name"]
    assert again == {key: value for key, value in kept[k].items() if key in again}
