"""What is known of a patient from the name of a file, for the command line and whatever it writes."""

import json
import shutil
from dataclasses import astuple
from pathlib import Path

import pytest

from laennec.analyze.described import analyze_described
from laennec.annotations.described import described
from laennec.audio.recording import Recording
from laennec.cli import run
from laennec.model.load import load_model
from laennec.simulate import write_demo


@pytest.mark.parametrize(
    ("stem", "known"),
    [
        ("40996256_4.0_1_p3_107", ("40996256", "right-posterior", 4.0, "female", None)),
        ("101_1b1_Al_sc_Meditron", ("101", "left-anterior", None, None, "Meditron")),
        ("BP7_Asthma,I E W,P L L,70,M", ("P7", "left-posterior-lower", 70.0, "male", "Littmann 3200 bell")),
        ("BP7_Asthma,I E W,knee,young,M", ("P7", None, None, None, "Littmann 3200 bell")),
        ("ward-3", (None,) * 5),
    ],
)
def test_names_of_data_sets_tell_of_patient_and_place(stem: str, known: tuple[object, ...]) -> None:
    assert astuple(described(stem)) == known


NAME = "40996256_4.0_1_p3_107.wav"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated recording under a name of SPRSound's form."""
    folder = tmp_path_factory.mktemp("named")
    write_demo(folder / "demo", seed=0)
    return Path(shutil.move(folder / "demo" / "wheezes.wav", folder / NAME))


def test_a_name_tells_the_analysis_and_what_is_given_goes_before(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["analyze", str(recording), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["patient"] == {"age_years": 4.0, "sex": "female", "position": "right-posterior"}
    assert not any("makes no use of" in note for note in told["notes"]), "nobody gave it to the model"
    options = ["--position", "p1", "--age", "5", "--json", "--out", str(tmp_path), "--format", "fhir"]
    assert run(["analyze", str(recording), *options]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["patient"] == {"age_years": 5.0, "sex": "female", "position": "left-posterior"}
    assert any("makes no use of" in note for note in told["notes"])
    (bundle,) = tmp_path.glob("fhir/*.json")
    assert "Chest, left posterior" in bundle.read_text()


def test_a_model_that_makes_use_of_it_is_given_it(recording: Path, tmp_path: Path) -> None:
    tiny_model = pytest.importorskip("tiny_model").tiny_model
    model = load_model(tiny_model(tmp_path / "tiny.onnx"))
    assert model.card.uses_metadata
    sound = Recording.open(recording)
    known = described(recording.stem).metadata
    named, unnamed = (analyze_described(sound, model, told) for told in (known, {}))
    assert (named.age_years, named.sex, named.position) == (4.0, "female", "right-posterior")
    assert [event.probabilities for event in named.events] != [
        event.probabilities for event in unnamed.events
    ]
