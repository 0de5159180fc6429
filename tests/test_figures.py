"""Tables of README and docs are those of docs/results."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from laennec.errors import LaennecError
from laennec.experiments import rehearsal_trials
from laennec.experiments.figures import MARKED, TABLES, pages, rendered

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages(ROOT)])
def test_tables_are_as_their_json_has_them(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert rendered(text, RESULTS) == text, "run: make figures"


def test_every_table_stands_in_a_page() -> None:
    shown = {name for page in pages(ROOT) for name in MARKED.findall(page.read_text(encoding="utf-8"))}
    assert shown == set(TABLES)


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/detection.md", "docs/experiments.md", "docs/performance.md", "docs/results.md"],
)
def test_no_table_of_scores_is_written_by_hand(page: str) -> None:
    by_hand = MARKED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    assert [line for line in by_hand.splitlines() if re.match(r"\|.*\d?\.\d\d", line)] == []


def test_a_changed_figure_is_seen(tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "docs" / "results")
    for page in pages(ROOT):
        (tmp_path / page.relative_to(ROOT)).write_bytes(page.read_bytes())
    command = [sys.executable, "-m", "laennec.experiments.figures", "--root", str(tmp_path)]
    assert subprocess.run([*command, "--check"], check=False, capture_output=True).returncode == 0
    changed = tmp_path / "docs" / "results" / "robustness.json"
    changed.write_text(changed.read_text().replace('"score": 0.8458', '"score": 0.7458', 1))
    checked = subprocess.run([*command, "--check"], check=False, capture_output=True, text=True)
    assert (checked.returncode, Path(checked.stdout.strip()).name) == (1, "experiments.md")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert "| gain +12 dB | 0.746 |" in (tmp_path / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert subprocess.run([*command, "--check"], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- figures: nothing -->\n<!-- end -->", "no table is called 'nothing'"),
        ("<!-- figures: clips-trials -->\n<!-- end -->", r"experiments\.json cannot be read"),
    ],
)
def test_a_marker_or_file_that_is_not_there_is_named(tmp_path: Path, page: str, message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        rendered(page, tmp_path)


def test_trained_rows_stand_above_what_needs_no_network() -> None:
    """Rows of the long trainings are put into the JSON one by one; their table is ready for them."""
    found = json.loads((RESULTS / "nguyen2022-subset.json").read_text(encoding="utf-8"))
    row = {
        **found["baselines"][0],
        "row": "Scratch_Ins_Exp_Ratio_25_SamplePad",
        "paper": {"f": 0.8245},
        "runs": 5,
    }
    del row["about"]
    row |= {"settings": {"late_best_share": 0.2}, "difference": 0.05, "difference_interval_95": [-0.01, 0.11]}
    text = TABLES["nguyen2022-subset"](lambda name: {**found, "rows": [row]})
    first = text.splitlines()[2]
    assert first.startswith("| Scratch_Ins_Exp_Ratio_25_SamplePad | 0.825 | 1.000 |")
    assert first.endswith("|  | +5.0 (-1.0 to +11.0) | 5 of 5 | 20 % |")
    del row["difference"]
    row |= {"difference_from_all": -0.1, "difference_from_all_interval_95": [-0.2, 0.01]}
    text = TABLES["nguyen2022-subset"](lambda name: {**found, "rows": [row]})
    assert text.splitlines()[2].endswith("| -10.0 (-20.0 to +1.0) |  | 5 of 5 | 20 % |")


def test_the_papers_differences_say_how_many_runs_they_are_of() -> None:
    rows = [{"row": "one", "runs": 1}, {"row": "other", "runs": 5}]
    own = {"row": "one", "less": "other", "paper": 0.0758, "ours": 0.03, "interval_95": [-0.05, 0.125]}
    text = TABLES["nguyen2022-differences"](lambda name: {"rows": rows, "differences": [own]})
    assert text.splitlines()[2] == "| one | other | +7.58 | +3.0 (-5.0 to +12.5) | 1, 5 |"


def test_a_literal_reading_stands_below_ours() -> None:
    found = json.loads((RESULTS / "chen2022-tables.json").read_text(encoding="utf-8"))
    text = TABLES["chen2022-patient"](lambda name: found)
    assert [line.split(" | ")[1] for line in text.splitlines()[-3:]] == ["paper", "ours", "literal"]
    literal = next(row for row in found["rows"] if row["recipe"] == "chen2022-literal")
    line = TABLES["chen2022-readme"](lambda name: found).splitlines()[-2]  # the full model, patients apart
    assert line.split(" | ")[3].startswith(f"{literal['ours']['ts']:.3f} (")
    ours = [row for row in found["rows"] if row.get("reading", "ours") == "ours"]
    without = TABLES["chen2022-readme"](lambda name: {"rows": ours}).splitlines()[-2]
    assert without.split(" | ")[2:5] == [line.split(" | ")[2], "", "yes"]


def test_a_trial_lacks_what_it_was_not_measured_on() -> None:
    def score(value: float) -> dict[str, Any]:
        return {"value": value, "interval": [value - 0.1, value + 0.1]}

    def trial(**more: Any) -> dict[str, Any]:
        own = {"recordings": 9, "patients": 3, "auc": {"sick": score(0.8)}}
        heart = {"heart": {"sounds": 7, **score(0.9)}}
        return {"figures": {"recordings": {"sprsound": own, **more}, "refusals": heart, "events": {}}}

    kauh = {"recordings": 4, "patients": 2, "auc": {"sick": score(0.5)}}
    trials = {"before": trial(), "now": trial(kauh=kauh)}
    text = rehearsal_trials.trials_table(lambda name: {"trials": trials})
    assert "| sick against well: AUC | 0.800 (0.700 to 0.900) | 0.800 (0.700 to 0.900) |" in text
    assert "| sick against well: AUC |  | 0.500 (0.400 to 0.600) |" in text
    assert "| heart, 7 recordings | 0.900 (0.800 to 1.000) |" in text
