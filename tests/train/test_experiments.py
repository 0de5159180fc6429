"""Experiments: their commands, and what they change and measure."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import soundfile

from laennec.analyze.analysis import RespiratoryRate
from laennec.audio.recording import Recording
from laennec.experiments import detection, other_devices, predictions, rates, refusals, robustness, run
from laennec.score.ranking import roc_auc
from laennec.simulate import simulate_dataset

RATE = 8000


@pytest.mark.parametrize("module", [detection, other_devices, predictions, rates, refusals, robustness])
def test_every_experiment_has_help(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--help"])
    with pytest.raises(SystemExit) as left:
        run(module.main)
    assert left.value.code == 0


def test_a_folder_without_folds_is_one_sentence(tmp_path: Path) -> None:
    def main() -> None:
        other_devices.of_folds(tmp_path, pd.DataFrame(), 1.5)

    with pytest.raises(SystemExit, match=r"laennec: .* holds no folds; laennec crossvalidate writes them"):
        run(main)


def test_boundaries_move_by_exactly_what_is_said() -> None:
    clips = pd.DataFrame({"start_s": [1.0] * 50, "end_s": [2.0] * 50})
    moved = robustness.moved(clips, 0.1)
    for column, at in (("start_s", 1.0), ("end_s", 2.0)):
        assert set(np.round(moved[column] - at, 9)) == {-0.1, 0.1}
    assert robustness.moved(clips, 0) is clips


def test_conditions_do_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=10 * RATE).astype(np.float32)
    noise = robustness.add_noise(samples, RATE, [0, 0]) - samples
    assert 20 * np.log10(samples.std() / noise.std()) == pytest.approx(robustness.SNR_DB, abs=1.0)
    power = np.abs(np.fft.rfft(robustness.through_4_khz(samples, RATE, []))) ** 2
    half = power.size // 2  # 2 kHz, the highest frequency of a device of 4 kHz
    assert power[int(1.1 * half) :].sum() < 1e-3 * power[:half].sum()
    louder = robustness.gain(12.0)(samples, RATE, [])
    assert louder.std() / samples.std() == pytest.approx(10 ** (12 / 20), rel=1e-5)


def test_energy_finds_a_loud_part(tmp_path: Path) -> None:
    t = np.arange(10 * RATE) / RATE
    loud = np.where((t > 3) & (t < 4.5), 0.5, 0.001) * np.sin(2 * np.pi * 300 * t)
    soundfile.write(tmp_path / "loud.wav", loud, RATE)
    recording = Recording.read(tmp_path / "loud.wav")
    ((start_s, end_s, label),) = detection.energy_events(recording, 0.5)
    assert (start_s, end_s, label) == (pytest.approx(3, abs=0.2), pytest.approx(4.5, abs=0.2), "Normal")


def test_auc_and_difference_of_a_device() -> None:
    rng = np.random.default_rng(0)
    there = rng.random(60) < 0.4
    cycles = pd.DataFrame(
        {"clip_id": [f"c{k}" for k in range(60)], "subject": [f"p{k % 9}" for k in range(60)]}
    )
    runs = [np.clip(rng.normal(0.3 + 0.2 * there[:, None], 0.1, (60, 2)), 0, 1) for _ in range(2)]
    own, base = (other_devices.of_sound([each], 0, there, cycles) for each in runs)
    figures = other_devices.measure(own, base)
    areas = [roc_auc(there, each[:, 0]) for each in runs]
    assert figures["auc"] == pytest.approx(areas[0])
    assert figures["difference"]["difference"] == pytest.approx(areas[0] - areas[1])
    assert (figures["cycles"], figures["with"], figures["patients"]) == (60, there.sum(), 9)


def test_a_rate_is_right_doubled_or_halved() -> None:
    def own(per_min: float | None, quality: str = "good") -> tuple[float, RespiratoryRate]:
        return 20.0, RespiratoryRate(per_min, quality, "", 5)

    found = rates.figures(
        [own(20.5), own(40.0), own(10.0), own(31.0), own(39.0, "doubtful"), own(None, "none")]
    )
    assert (found["recordings"], found["good"], found["doubtful"], found["none"]) == (6, 4, 1, 1)
    assert (found["right"], found["doubled"], found["halved"], found["within_2_per_min"]) == (1, 1, 1, 1)
    assert found["median_error_per_min"] == 10.5  # of 0.5, 20, 10 and 11


def test_annotated_cycles_and_steady_events_tell_a_rate(tmp_path: Path) -> None:
    simulate_dataset(tmp_path / "icbhi", subjects=2, recordings_per_subject=2, layout="icbhi", seed=1)
    found = list(rates.annotated("icbhi", tmp_path / "icbhi"))
    assert len(found) == 4
    assert all(10 < per_min < 80 for _, _, per_min in found)
    simulate_dataset(tmp_path / "spr", subjects=2, recordings_per_subject=3, seed=1)
    assert len(list(rates.annotated("sprsound", tmp_path / "spr"))) <= 2, "one a patient"
