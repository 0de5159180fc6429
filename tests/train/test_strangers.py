"""What was tried for strangers without another training: refusals by patterns, and rules of certainty."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from laennec.errors import LaennecError
from laennec.experiments import certainty, processing, sound_patterns
from laennec.experiments.certainty import Judged, distances, lowest_normal, lowest_sick, of_all, of_each
from laennec.experiments.sound_patterns import Fold, Heard, chosen_clips, drawn, kept
from laennec.labels import SOUND_KINDS, SPRSOUND_RECORDS
from laennec.model.detector import Detector
from laennec.train.recording_certainty import CALLED_NORMAL, CALLED_SICK, GRID, NEITHER, Answers
from laennec.train.recording_decision import RecordingDecision
from laennec.train.sound_patterns import fit_patterns, threshold_of_lungs

LAYER = (np.eye(len(SOUND_KINDS)), np.zeros(len(SOUND_KINDS)))
SOURCES = {"sprsound": 0, "icbhi": 0, "hf-lung": 0, "speech_digits": 1, "songs": 2, "rooms": 3, "hearts": 4}


def heard(seed: int, count: int = 60, spread: float = 1.0) -> Heard:
    """Sounds of each source around the corner of its class; three of a person, words of one speaker."""
    rng = np.random.default_rng(seed)
    names = np.repeat(list(SOURCES), count)
    kinds = np.array([SOURCES[name] for name in names])
    features = 4 * np.eye(len(SOUND_KINDS))[kinds] + spread * rng.standard_normal((len(names), 5))
    persons = [f"{name}-{k // 3}" for name in SOURCES for k in range(count)]
    speakers = [
        "one" if name == "speech_digits" else person for name, person in zip(names, persons, strict=True)
    ]
    return Heard(features, kinds, names, np.array(speakers))


@pytest.fixture(scope="module")
def fold() -> Fold:
    return Fold(heard(0), heard(1), heard(2), LAYER)


def test_thresholds_are_chosen_by_other_persons_and_known_devices(fold: Fold) -> None:
    odds, _ = fold.odds(0.0)
    asked: list[set[str]] = []

    def choose(values: np.ndarray, kinds: np.ndarray, sources: np.ndarray) -> float:
        asked.append(set(sources.tolist()))
        return threshold_of_lungs(values, kinds, sources)

    refused = fold.refused(odds, choose, without="icbhi")
    assert set.union(*asked) == set(SOURCES) - {"hf-lung", "icbhi"}
    others = fold.others
    assert refused[others.kinds == 4].mean() > 0.9 > 0.1 > refused[others.sources == "sprsound"].mean()
    # A person's sounds are always in one part, so what depends on the part alone is the same for them.
    by_part = fold.refused(np.zeros(len(odds)), lambda values, *_: float(len(values) % 2) - 0.5)
    hearts = by_part[others.sources == "hearts"].reshape(-1, 3)
    assert (hearts == hearts[:, :1]).all()


def test_figures_of_a_fold_hold_every_source_and_the_gain_of_patterns(
    fold: Fold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound_patterns, "DEALS", 2)
    monkeypatch.setattr(sound_patterns, "SHARES", (1.0,))
    found = sound_patterns.measured(fold)
    assert [(row["share"], row["threshold"]) for row in found["rows"][:2]] == [(0.0, "lungs"), (0.0, "both")]
    first, last = found["rows"][0], found["rows"][-1]
    assert set(first["sources"]) == set(SOURCES)
    assert all(own["gain"]["value"] == 0 for own in first["sources"].values())
    gained = last["sources"]["hearts"]["refused"]["value"] - first["sources"]["hearts"]["refused"]["value"]
    assert last["sources"]["hearts"]["gain"]["value"] == pytest.approx(gained)
    assert {row["without"] for row in found["left_out"]} == {"sprsound", "icbhi"}


def test_sources_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sound_patterns, "MOST", 4)
    rows = [("kauh", "stethoscope", k) for k in range(9)] + [
        ("not-lung", "heart_circor", k) for k in range(3)
    ]
    clips = pd.DataFrame(rows, columns=["dataset", "device", "recording"])
    clips = clips.assign(recording=clips["dataset"] + clips["recording"].astype(str), channel=np.nan)
    own, sources = chosen_clips(clips)
    assert own["recording"].tolist() == ["kauh0", "kauh3", "kauh6", "not-lung0", "not-lung1", "not-lung2"]
    assert sources.tolist() == ["kauh"] * 3 + ["heart_circor"] * 3
    index, place = drawn(clips)
    assert (index["kauh6"], place["kauh6"], place["not-lung0"]) == (6, 2, 3)


def test_what_was_heard_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    first = kept(path, lambda: heard(3))
    again = kept(path, lambda: pytest.fail("heard twice"))
    assert all(np.array_equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True))


# --- certainty ----------------------------------------------------------------------------------------------


def made_up() -> tuple[Answers, np.ndarray]:
    """Twenty sick patients, of whom the last is called Normal at .8; twenty well, one called sick at .6."""
    sick = np.repeat([True, False], 20)
    called = np.where(sick, CALLED_SICK, CALLED_NORMAL)
    certainty_ = np.full(40, 0.9)
    called[19], certainty_[19] = CALLED_NORMAL, 0.8
    called[39], certainty_[39] = CALLED_SICK, 0.6
    return Answers(sick, called, certainty_), np.arange(40).astype(str)


def test_thresholds_of_normal_and_sick() -> None:
    answers, patients = made_up()
    assert lowest_normal(answers, patients, 0.05, 0.0) == 0.0  # one of twenty is one in twenty
    assert lowest_normal(answers, patients, 0.04, 0.0) == GRID[GRID > 0.8][0]
    # Two of 21 are more, and so is one of 21 above .8: no threshold holds for one more patient below .047.
    assert lowest_normal(answers, patients, 0.05, 1.0) == GRID[GRID > 0.8][0]
    assert lowest_normal(answers, patients, 0.04, 1.0) == certainty.NEVER
    # .7 x 1/20 against .3 x 19/20 is .109 wrong.
    assert lowest_sick(answers, 0.11, 0.0) == 0.0
    assert lowest_sick(answers, 0.10, 0.0) == GRID[GRID > 0.6][0]


def test_rules_give_a_threshold_for_each_data_set_or_the_same() -> None:
    answers, patients = made_up()
    sets = np.array(["sprsound", "icbhi"] * 20)
    normal, sick = of_all(0.0)(answers, sets, patients)
    assert len(set(normal)) == len(set(sick)) == 1
    normal, _ = of_each(0.0)(answers, sets, patients)
    # The one who is missed is of ICBHI: one in ten of its sick, of whom .08 may be; of KAUH there is nobody.
    assert normal.tolist() == [0.0, GRID[GRID > 0.8][0], certainty.NEVER, certainty.NEVER]


def test_what_is_certain_is_chosen_by_the_other_parts() -> None:
    answers, patients = made_up()
    judged = object.__new__(Judged)
    judged.sick, judged.patients, judged.datasets = answers.sick, patients, np.full(40, "kauh")
    judged.parts, judged.answers = np.arange(40) % 2, [answers, replace(answers, certainty=np.zeros(40))]
    seen: list[int] = []

    def rule(own: Answers, sets: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(len(own.sick))
        assert not {int(name) % 2 for name in who} & {len(seen) - 1}
        return np.full(4, 0.85), np.full(4, 0.5)

    called = judged.certain(rule)
    assert seen == [20, 20]
    assert (called[1::2] == NEITHER).all()  # the second part's own answers are never sure
    assert (called[0::2] == np.where(answers.certainty[0::2] > 0.5, answers.called[0::2], NEITHER)).all()


def test_another_seed_is_asked_about_the_same_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    judged, other = (object.__new__(Judged) for _ in range(2))
    judged.names = other.names = ["a", "b"]
    other.odds = np.array([1.0, -1.0])
    monkeypatch.setattr(certainty, "judged_of", lambda fold: other)
    assert certainty.odds_of_seed(Path("seed1"), judged).tolist() == [1.0, -1.0]
    other.names = ["b", "a"]
    with pytest.raises(LaennecError, match="other recordings"):
        certainty.odds_of_seed(Path("seed1"), judged)


def test_distances_and_labels_of_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certainty, "NEIGHBOURS", 10)
    rng = np.random.default_rng(0)
    learnt = np.concatenate([rng.standard_normal((40, 3)), rng.standard_normal((40, 3)) + 20])
    sick, sets = np.repeat([True, False], 40), np.repeat(["a", "b"], 40)
    own = np.array([[0.0, 0, 0], [20.0, 20, 20], [60.0, 60, 60]])
    far, near, label = distances(own, learnt, sick, sets)
    assert far[2] > 10 * max(far[0], far[1])
    assert near[2] > 10 * max(near[0], near[1])
    assert label.tolist() == [1.0, 0.0, 0.0]


def test_an_equalised_recording_has_the_spectrum_that_is_usual() -> None:
    rng = np.random.default_rng(0)
    samples = np.asarray(np.cumsum(rng.standard_normal(80_000)) / 100, np.float32)
    target = np.linspace(1, -1, len(processing.BANDS_HZ) - 1)
    before = np.abs(processing.spectrum(samples, 8000) - target).max()
    for share, left in ((0.5, 0.5), (1.0, 0.0)):
        changed = processing.equalised(target, share)(samples, 8000)
        after = np.abs(processing.spectrum(changed, 8000) - target).max()
        assert after == pytest.approx(left * before, abs=0.15 * before)


def test_what_a_model_says_of_a_processed_recording(detector: Detector, tmp_path: Path) -> None:
    samples = (0.01 * np.random.default_rng(1).standard_normal(24_000)).astype(np.float32)
    sf.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    clips = pd.DataFrame(
        [{"path": str(tmp_path / "a.wav"), "recording": "a", "label": "Normal", "dataset": "kauh"}]
    )
    clips = clips.assign(channel=np.nan, subject="", age_years=np.nan)
    processes = [lambda sound, _: sound, processing.half(True)]
    found = certainty.Processed.of(detector, clips, processes)
    assert found.logits.shape == (2, 1, len(SPRSOUND_RECORDS))
    whole, second = found.odds(RecordingDecision(record_evidence=(0.5, 0.5)))[:, 0]
    assert whole != second
    again = certainty.Processed.of(detector, clips, processes[:1])
    assert np.array_equal(again.logits[0], found.logits[0])


def test_what_a_model_refused_before_and_refuses_now(fold: Fold) -> None:
    model = SimpleNamespace(
        values=lambda layer: layer, layer=lambda name: LAYER, card=SimpleNamespace(lung_threshold=0.5)
    )
    own = fold.learnt
    patterns = fit_patterns(own.features, own.kinds, own.sources, LAYER)
    found = sound_patterns.in_sample(model, own, patterns, 1.0)  # type: ignore[arg-type]
    assert all(row["after"] == row["sounds"] == 60 for row in found.values())
    assert found["hearts"]["before"] > 50 > 10 > found["icbhi"]["before"]
