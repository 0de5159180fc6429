"""Respiratory rate: right where breathing is steady, flagged or withheld where it is not."""

import numpy as np
import pytest

from laennec.analyze.recording import breath_onsets, respiratory_rate


@pytest.mark.parametrize("per_min", [12.0, 24.0, 45.0])
def test_steady_breathing_is_counted(per_min: float) -> None:
    found = respiratory_rate(list(np.arange(8) * 60 / per_min))
    assert found.per_min == pytest.approx(per_min, abs=0.1)
    assert found.quality == "good"
    assert found.breaths == 7


def test_a_missed_breath_does_not_matter() -> None:
    onsets = list(np.arange(9) * 2.0)
    del onsets[4]
    assert respiratory_rate(onsets).per_min == pytest.approx(30.0)


def test_order_does_not_matter() -> None:
    assert respiratory_rate([6.0, 0.0, 2.0, 4.0]) == respiratory_rate([0.0, 2.0, 4.0, 6.0])


def test_unsteady_breathing_is_doubtful() -> None:
    found = respiratory_rate([0, 1, 2.6, 3.3, 4.8, 5.8])
    assert found.quality == "doubtful"
    assert "vary" in found.reason


@pytest.mark.parametrize("onsets", [[], [1.0], [1.0, 3.0]])
def test_too_few_breaths_have_no_rate(onsets: list[float]) -> None:
    found = respiratory_rate(onsets)
    assert found.per_min is None
    assert found.quality == "none"


def test_nobody_breathes_twice_a_second() -> None:
    assert respiratory_rate(list(np.arange(10) * 0.4)).per_min is None


def test_events_of_one_breath_count_once() -> None:
    breaths = [(2.0 * k, "Normal") for k in range(6)]
    crackles = [(2.0 * k + 0.5, "Fine Crackle") for k in range(1, 6, 2)]
    assert breath_onsets(sorted(breaths + crackles)) == [onset_s for onset_s, _ in breaths]


def test_events_of_one_label_are_breaths_of_their_own_however_fast() -> None:
    onsets = [0.4 * k for k in range(10)]
    assert breath_onsets((onset_s, "Normal") for onset_s in onsets) == onsets


def test_a_wheeze_long_after_the_onset_is_a_breath() -> None:
    assert breath_onsets([(0.0, "Normal"), (0.9, "Wheeze")]) == [0.0, 0.9]
