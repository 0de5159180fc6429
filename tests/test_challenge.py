"""The challenge's contract: a folder of cut events in, one JSON object out."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec.analyze.analysis import Analysis
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.model.clips import LungModel
from laennec.model.load import load_model
from laennec.output import challenge
from laennec.output.challenge import answer_folder, answers_of, patient_of, record_answer_of
from laennec.patient import Patient
from tiny_model import BIAS, RATE, tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LungModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def write_event(path: Path, level: float, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> None:
    x = level * np.random.default_rng(0).standard_normal(round(seconds * rate))
    soundfile.write(path, np.stack([x] * channels, axis=1), rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wav"
    folder.mkdir()
    write_event(folder / "65039232_6.4_1_p1_373.wav", 0.02)
    write_event(folder / "_5.3_0_p8_34877.WAV", 0.2, 0.3)
    write_event(folder / "b.flac", 0.2, 5.0, 16_000, 2)
    (folder / "notes.txt").write_text("not an event")
    (folder / "deeper").mkdir()
    return folder


@pytest.mark.parametrize(("task", "loud"), [(11, "Adventitious"), (12, "Wheeze")])
def test_the_answer_is_one_object_by_file_name(folder: Path, tiny: LungModel, task: int, loud: str) -> None:
    out = folder.parent / "output.json"
    answer_folder(task, folder, out, tiny)
    expected = {"65039232_6.4_1_p1_373.wav": "Normal", "_5.3_0_p8_34877.WAV": loud, "b.flac": loud}
    assert json.loads(out.read_text()) == expected
    answer_folder(task, folder, out, tiny.source)
    assert json.loads(out.read_text()) == expected


def test_file_names_tell_the_model_of_the_patient(tmp_path: Path) -> None:
    stridor = load_model(tiny_model(tmp_path / "m.onnx", bias=np.where(np.arange(7) == 3, -1, BIAS)))
    for name in ("1_15_0_p1_7.wav", "1_1_0_p1_7.wav", "nobody.wav"):
        write_event(tmp_path / name, 0.01)
    answer_folder(12, tmp_path, tmp_path / "out.json", stridor)  # whose Stridor grows with age
    found = json.loads((tmp_path / "out.json").read_text())
    assert found == {"1_15_0_p1_7.wav": "Stridor", "1_1_0_p1_7.wav": "Normal", "nobody.wav": "Normal"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("65039232_6.4_1_p1_373.wav", (6.4, "female", "left-posterior")),
        ("65039232_6.4_0_p4_373_12.wav", (6.4, "male", "right-lateral")),
        ("_5.3_0_p8_34877.flac", (5.3, "male", None)),
        ("1_600_0_p2_3.wav", (None, "male", "left-lateral")),
        ("event_001.wav", (None, None, None)),
        ("a_1_1_p1_1.wav", (None, None, None)),
    ],
)
def test_names(name: str, expected: tuple) -> None:
    assert patient_of(name) == Patient(*expected)


def test_spelling_and_the_rule_of_task_11() -> None:
    rows = np.eye(7)[[0, 6]]
    assert answers_of(rows, SPRSOUND_EVENTS, "Normal", 12) == ["Normal", "Wheeze & Crackle"]
    split = np.array([[0.4, 0.3, 0.3, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0, 0, 0]])
    assert answers_of(split, SPRSOUND_EVENTS, "Normal", 12) == ["Normal", "Normal"]
    assert answers_of(split, SPRSOUND_EVENTS, "Normal", 11) == ["Adventitious", "Normal"]


def test_a_bad_file_gets_no_answer_and_the_others_do(folder: Path, tiny: LungModel) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF" + bytes(9))
    (folder / "c.wav").write_bytes(b"no sound")
    out = folder.parent / "output.json"
    with pytest.raises(
        LaennecError, match=r"2 of 5 files have no answer in .*output\.json: broken\.wav: .*c\.wav"
    ):
        answer_folder(12, folder, out, tiny)
    assert len(json.loads(out.read_text())) == 3


def test_hidden_files_and_folders_are_passed_over(folder: Path, tiny: LungModel) -> None:
    (folder / "._b.wav").write_bytes(b"of macOS")
    (folder / "c.wav").mkdir()
    answer_folder(12, folder, folder.parent / "output.json", tiny)
    assert len(json.loads((folder.parent / "output.json").read_text())) == 3


def test_what_is_too_short_is_answered_and_named(
    folder: Path, tiny: LungModel, capsys: pytest.CaptureFixture[str]
) -> None:
    write_event(folder / "click.wav", 0.02, 0.05)
    answer_folder(12, folder, folder.parent / "output.json", tiny)
    assert json.loads((folder.parent / "output.json").read_text())["click.wav"] == "Normal"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("laennec: click.wav: too short: 0.050 s")


def test_what_cannot_be_answered(folder: Path, tiny: LungModel, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with pytest.raises(LaennecError, match="task is 23; expected one of 11, 12, 21, 22"):
        answer_folder(23, folder, out, tiny)
    with pytest.raises(LaennecError, match="the model tiny gives no answers for whole recordings"):
        answer_folder(22, folder, out, tiny)
    with pytest.raises(LaennecError, match="is for whole recordings; task 12 asks of events"):
        answer_folder(12, folder, out, load_model("recording"))
    with pytest.raises(LaennecError, match="nowhere: no such folder; for task 12"):
        answer_folder(12, tmp_path / "nowhere", out, tiny)
    with pytest.raises(LaennecError, match="deeper: no audio file in it"):
        answer_folder(12, folder / "deeper", out, tiny)
    two = {"labels": ["Normal", "Adventitious"]}
    other = tiny_model(tmp_path / "two.onnx", card=two, weights=np.zeros((4, 2)), bias=np.array([0.0, 1.0]))
    with pytest.raises(LaennecError, match="the model tiny tells Normal, Adventitious; task 12 asks for"):
        answer_folder(12, folder, out, other)
    with pytest.raises(LaennecError, match="is a folder, not a file to write; --out names a file"):
        answer_folder(12, folder, folder, tiny)
    assert not out.exists()
    answer_folder(11, folder, out, other)
    assert set(json.loads(out.read_text()).values()) == {"Adventitious"}


# --- whole recordings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chances", "shift", "task_21", "task_22"),
    [
        ((0.40, 0.25, 0.20, 0.10, 0.05), 0.0, "Adventitious", "Normal"),
        ((0.56, 0.20, 0.14, 0.05, 0.05), 0.0, "Normal", "Normal"),
        ((0.30, 0.10, 0.10, 0.10, 0.40), 0.0, "Poor Quality", "Poor Quality"),
        ((0.10, 0.20, 0.25, 0.40, 0.05), 0.0, "Adventitious", "CAS & DAS"),
        ((0.56, 0.30, 0.09, 0.00, 0.05), 1.0, "Adventitious", "CAS"),
        ((0.40, 0.25, 0.20, 0.10, 0.05), -1.0, "Normal", "Normal"),
    ],
)
def test_the_answer_for_a_recording(
    chances: tuple[float, ...], shift: float, task_21: str, task_22: str
) -> None:
    told = dict(zip(SPRSOUND_RECORDS, chances, strict=True))
    assert record_answer_of(told, 21, shift) == task_21
    assert record_answer_of(told, 22, shift) == task_22
    assert told == dict(zip(SPRSOUND_RECORDS, chances, strict=True))


def test_poor_quality_is_said_less_often_by_its_shift() -> None:
    told = dict(zip(SPRSOUND_RECORDS, (0.30, 0.10, 0.10, 0.10, 0.40), strict=True))
    for shift, expected in ((0.2, "Poor Quality"), (0.4, "Normal")):
        assert record_answer_of(told, 22, poor_shift=shift) == expected


def test_a_recording_that_was_refused_is_of_poor_quality() -> None:
    assert record_answer_of({}, 21) == record_answer_of({}, 22) == "Poor Quality"


@pytest.mark.parametrize(
    ("task", "answers"), [(21, {"Normal", "Adventitious", "Poor Quality"}), (22, set(SPRSOUND_RECORDS))]
)
def test_every_recording_of_a_folder_gets_a_class(
    tmp_path: Path, task: int, answers: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from laennec import analyze
    from laennec.simulate import write_demo

    folder = tmp_path / "wav"
    write_demo(folder)
    (folder / "wheezes.wav").rename(folder / "1_4.5_1_p2_7.wav")
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_bytes(b"no sound")
    told = {}

    def heard(path: Path, **metadata: object) -> Analysis:
        told[path.name] = metadata
        return analyze(path, **metadata)  # type: ignore[arg-type]

    monkeypatch.setattr(challenge, "analyze", heard)
    out = tmp_path / "out.json"
    with pytest.raises(LaennecError, match=r"1 of 4 files has no answer in .*broken\.wav: "):
        answer_folder(task, folder, out)
    found = json.loads(out.read_text())
    assert list(found) == ["1_4.5_1_p2_7.wav", "fine_crackles.wav", "silent.wav"]
    assert found.pop("silent.wav") == "Poor Quality"
    assert set(found.values()) <= answers
    assert told["1_4.5_1_p2_7.wav"]["age_years"] == 4.5
    assert told["1_4.5_1_p2_7.wav"]["sex"] == "female"
