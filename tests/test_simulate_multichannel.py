"""The simulated cohort: its layout, its truth, and what sensors, flow and crackles are said to be."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec.cli import run
from laennec.cli.simulate import count_subjects
from laennec.datasets import multichannel
from laennec.datasets.airflow import cycles_from_airflow
from laennec.errors import LaennecError, UsageError
from laennec.simulate import simulate_cohort
from laennec.simulate.multichannel import CYCLES_AT_FLOW, RECORDINGS_EACH

SMALL = {"subjects": {"healthy": 1, "ipf": 2}, "recordings": {"healthy": 1, "ipf": 2}, "duration_s": 15.0}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "cohort"
    assert len(simulate_cohort(out, seed=3, **SMALL)) == 5
    return out


def truth(cohort: Path) -> dict[str, dict]:
    return json.loads((cohort / "ground_truth.json").read_text())["recordings"]


def test_sixteen_channels_at_16_khz_with_airflow_beside_them(cohort: Path) -> None:
    for name in truth(cohort):
        info = soundfile.info(cohort / "recordings" / f"{name}.wav")
        assert (info.channels, info.samplerate, info.duration) == (16, 16_000, 15.0)
        samples, _ = soundfile.read(cohort / "recordings" / f"{name}.wav")
        assert 0.01 < np.abs(samples).max() < 1
        assert (samples.std(0) > 1e-3).all()


@pytest.mark.needs("pandas")
def test_the_loader_reads_what_was_drawn(cohort: Path) -> None:
    clips = multichannel.load(cohort)
    assert multichannel.check(cohort) == []
    for name, told in truth(cohort).items():
        own = clips[clips["recording"] == name]
        whole = [breath for breath in told["breaths"] if breath["whole"]]
        assert len(own) == 16 * len(whole)
        crackling = set(own[own["label"] == "crackle"]["channel"])
        assert crackling == set(told["crackling"])
        assert (told["group"] == "healthy") == (not told["crackling"])
        assert own["subject"].unique().tolist() == [told["subject"]]
        for breath in whole:
            rows = own[np.isclose(own["start_s"], breath["start_s"], atol=1e-3)]
            assert len(rows) == 16
            assert np.allclose(rows["inspiration_end_s"], breath["inspiration_end_s"], atol=1e-3)
    sick = [told for told in truth(cohort).values() if told["group"] == "ipf"]
    assert all(len(told["crackling"]) < 16 for told in sick)  # absent from some channels
    assert all({12, 13, 14, 15} <= set(told["crackling"]) for told in sick)  # at the bases they always are
    patients = {told["subject"]: told["crackling"] for told in sick}
    assert all(told["crackling"] == patients[told["subject"]] for told in sick)


def test_airflow_tells_the_same_cycles(cohort: Path) -> None:
    for name, told in truth(cohort).items():
        flow, rate = soundfile.read(cohort / "recordings" / f"{name}.airflow.wav")
        found = cycles_from_airflow(flow, rate)
        whole = [breath for breath in told["breaths"] if breath["whole"]]
        assert len(found) == len(whole)
        for cycle, breath in zip(found, whole, strict=True):
            assert cycle.start_s == pytest.approx(breath["start_s"], abs=0.15)
            assert cycle.inspiration_end_s == pytest.approx(breath["inspiration_end_s"], abs=0.15)


def test_crackles_come_mid_to_late_in_inspiration_and_are_louder_at_the_base(cohort: Path) -> None:
    for name, told in truth(cohort).items():
        breaths = [breath for breath in told["breaths"] if breath["label"] != "Normal"]
        for crackle in told["crackles"]:
            (own,) = [b for b in breaths if b["start_s"] <= crackle["start_s"] < b["end_s"]]
            place = (crackle["start_s"] - own["start_s"]) / (own["inspiration_end_s"] - own["start_s"])
            assert 0.4 < place < 1
        if told["crackles"]:
            samples, rate = soundfile.read(cohort / "recordings" / f"{name}.wav")
            edge = np.diff(samples, axis=0) ** 2
            at = np.zeros(len(edge), bool)
            for crackle in told["crackles"]:
                start = round(crackle["start_s"] * rate)
                at[start : start + round(0.008 * rate)] = True
            share = edge[at].mean(0) / edge[~at].mean(0)
            silent = [channel for channel in range(16) if channel not in told["crackling"]]
            assert share[12:].mean() > 3 * share[silent].mean()


def test_low_frequencies_are_filtered_as_the_papers_are(cohort: Path) -> None:
    samples, rate = soundfile.read(cohort / "recordings" / f"{next(iter(truth(cohort)))}.wav")
    power = np.abs(np.fft.rfft(samples[:, 0])) ** 2
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / rate)

    def level(low: float, high: float) -> float:
        return float(power[(frequency_hz >= low) & (frequency_hz < high)].mean())

    assert level(10, 30) < 0.1 * level(120, 200)


def test_the_same_seed_makes_the_same_bytes_and_folders_are_not_overwritten(
    cohort: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    simulate_cohort(again, seed=3, **SMALL)
    for path in sorted(cohort.rglob("*")):
        if path.is_file():
            assert (again / path.relative_to(cohort)).read_bytes() == path.read_bytes(), path.name
    with pytest.raises(LaennecError, match="another simulation"):
        simulate_cohort(again, seed=4, **SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(LaennecError, match="no simulation wrote"):
        simulate_cohort(tmp_path / "mine", **SMALL)


def test_the_whole_cohort_has_about_the_papers_cycles() -> None:
    """Table I: 4405 normal and 1791 crackle cycles; counted from what is drawn, without rendering it."""
    from laennec.simulate.multichannel import _draw

    normal = crackle = 0
    for group, count in (("healthy", 16), ("ipf", 7)):
        for index in range(count):
            for number in range(RECORDINGS_EACH[group]):
                key = [0, {"healthy": 1, "ipf": 2}[group], index]
                rng, person = np.random.default_rng([*key, number]), np.random.default_rng(key)
                drawn = _draw(rng, person, "x", group, number, 30.0, 16)
                cycles = sum(breath.whole for breath in drawn.breaths)
                assert 3 <= cycles <= 8  # section II-B
                low, high = CYCLES_AT_FLOW[drawn.flow_rate]
                assert low <= cycles <= high
                crackle += cycles * len(drawn.crackling)
                normal += cycles * (16 - len(drawn.crackling))
    assert normal == pytest.approx(4405, rel=0.08)
    assert crackle == pytest.approx(1791, rel=0.08)


def test_subjects_as_they_are_told() -> None:
    assert count_subjects(("16", "healthy", "7", "ipf"), "multichannel") == {"healthy": 16, "ipf": 7}
    assert count_subjects((), "multichannel") == {"healthy": 16, "ipf": 7}
    assert count_subjects(("2 ipf",), "multichannel") == {"ipf": 2}
    assert count_subjects((), "icbhi") == {"all": 12}
    for words, layout in (
        (("16",), "multichannel"),
        (("1", "ill"), "multichannel"),
        (("a",), "sprsound"),
        (("1", "2"), "icbhi"),
    ):
        with pytest.raises(UsageError, match="--subjects"):
            count_subjects(words, layout)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subjects": {"ill": 3}}, "subjects"),
        ({"subjects": {"ipf": 0}}, "subjects"),
        ({"channels": 17}, "17 channels"),
        ({"duration_s": 5.0}, "12 to 300"),
        ({"seed": -1}, "seed"),
        ({"recordings": {"ipf": 0}}, "recordings"),
    ],
)
def test_what_cannot_be_simulated(wrong: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        simulate_cohort(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_no_recording_is_a_number_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recordings are .* give 1 to 99 each"):
        run(["simulate", str(tmp_path / "c"), "--layout", "multichannel", "--recordings", "0"])
    assert not (tmp_path / "c").exists()


@pytest.mark.needs("pandas")
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["simulate", str(tmp_path / "c"), "--layout", "multichannel", "--recordings", "1", "--subjects"]
    assert run([*line, "1", "healthy"]) == 0
    assert "1 simulated recording is" in capsys.readouterr().out
    assert set(multichannel.load(tmp_path / "c")["label"]) == {"normal"}
