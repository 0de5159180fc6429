"""The demonstration: what was drawn is found, and the table says so."""

import json
from collections import Counter
from pathlib import Path

import pytest

from laennec.errors import LaennecError
from laennec.experiments import demonstration
from laennec.simulate import write_demo


def test_each_found_event_answers_for_one_drawn_event_of_its_label() -> None:
    drawn = [(0.0, 1.0, "Wheeze"), (1.2, 2.0, "Wheeze"), (3.0, 4.0, "Normal"), (5.0, 6.0, "Wheeze")]
    found = [(0.1, 2.0, "Wheeze"), (3.0, 4.0, "Wheeze"), (5.6, 7.0, "Wheeze")]
    assert demonstration.matched_labels(drawn, found) == {"Wheeze": 1}
    assert demonstration.matched_labels(drawn, drawn) == {"Wheeze": 3, "Normal": 1}
    assert demonstration.matched_labels(drawn, []) == {}


def test_the_shipped_model_finds_what_the_simulator_drew() -> None:
    # Of 100 seeds: nine of ten crackling breaths, eight of ten wheezes, 194 of 200 record labels.
    comparisons = demonstration.compare_seeds(4)
    drawn, matched = (
        sum((getattr(each, field) for each in comparisons), Counter()) for field in ("drawn", "matched")
    )
    assert drawn["Wheeze"] > 20 < drawn["Fine Crackle"]
    assert matched["Fine Crackle"] >= 0.8 * drawn["Fine Crackle"]
    assert matched["Wheeze"] >= 0.65 * drawn["Wheeze"]
    assert sum(each.found_record == each.drawn_record for each in comparisons) >= len(comparisons) - 1
    first = comparisons[:2]
    assert [each.found_record for each in first] == ["DAS", "CAS"]  # of `make demo`


def test_the_table_reads_what_the_commands_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recordings, results = tmp_path / "recordings", tmp_path / "results"
    write_demo(recordings)
    truth = json.loads((recordings / "ground_truth.json").read_text())["recordings"]
    results.mkdir()
    for name, drawn in truth.items():
        events = [{"start_s": s, "end_s": e, "label": label} for s, e, label in drawn["events"][1:]]
        (results / f"{name}.json").write_text(json.dumps({"events": events, "record": None}))
    comparisons = demonstration.compare_folders(recordings, results)
    for each in comparisons:
        (label,) = each.drawn
        assert each.drawn[label] - 1 == each.found[label] == each.matched[label]
        assert each.found_record == "none"
    (results / "wheezes.json").unlink()
    with pytest.raises(LaennecError, match=r"wheezes.json cannot be read .*laennec analyze"):
        demonstration.compare_folders(recordings, results)
    with pytest.raises(LaennecError, match=r"ground_truth.json cannot be read .*laennec simulate"):
        demonstration.compare_folders(results, results)
