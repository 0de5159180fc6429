"""What the rows of a paper would take: sizes from the data, times by the quickest step."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from laennec.reproduce import nguyen2022_estimate
from laennec.reproduce.jobs import NguyenJob
from laennec.reproduce.nguyen2022_estimate import clips_of_epoch, estimate
from laennec.reproduce.nguyen2022_rows import BASELINE, parse_row
from laennec.train.cohort import Cohort
from laennec.train.protocols import Fold
from laennec.train.recipe import load_recipe

ICBHI = {"normal": 3642, "crackle": 1864, "wheeze": 886, "both": 506}  # cycles of the whole data set


def test_the_source_of_the_paper_has_two_and_two_fifths_copies() -> None:
    clips = pd.DataFrame({"label": np.repeat(list(ICBHI), list(ICBHI.values()))})
    chosen = np.random.default_rng(0).random(len(clips)) < 0.7
    count = clips_of_epoch(clips, Fold("random", chosen, ~chosen), load_recipe("nguyen2022-source"))
    assert count / chosen.sum() == pytest.approx(2.40, abs=0.02)
    assert count == pytest.approx(11_600, rel=0.02)


def test_an_estimate_names_its_assumptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nguyen2022_estimate, "seconds_per_clip", lambda recipe: 0.01)
    clips = pd.DataFrame({"label": ["normal"] * 30 + ["crackle"] * 12})
    cohort = Cohort(clips, np.arange(42) % 3, ("normal", "crackle"), 16_000, 32_000, [32_000] * 42)
    said: list[str] = []
    job = NguyenJob(Path("target"), runs=2, epochs=5, jobs=2)
    seconds = estimate(job, [parse_row(BASELINE)], cohort, "", said.append)
    # Three folds of 14 clips; the crackles among those that are trained on have a copy each.
    by_hand = 0.01 * 5 * 2 * 3 * (14 + 4 + 14 / 3)
    assert seconds == pytest.approx(by_hand / 2)
    assert said[0] == f"{BASELINE}: {by_hand:.0f} s"
    for words in ("2 at a time (--jobs 2)", "one thread", "nobody else uses", "the quickest of"):
        assert words in said[-1]
