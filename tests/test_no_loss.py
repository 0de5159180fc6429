"""No command replaces a file of the user: a sentence says so, and the file is as it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laennec.annotations.convert import convert_all
from laennec.annotations.formats import FORMATS
from laennec.cli import main
from laennec.datasets.tiny import write_sound
from laennec.errors import LaennecError, UsageError
from laennec.files import begins, holds, refuse_loss
from laennec.model.integer import load_integer_model

IN_THE_WAY = "is there and would be replaced; name another"
MINE = b"mine\n"


def laennec(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return int(ended.value.code or 0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recording and its labels, a table without rows, and a sound that is in the way."""
    write_sound(tmp_path / "ward" / "rec.wav")
    (tmp_path / "ward" / "rec.csv").write_text("start_s,end_s,label\n0.1,0.4,Wheeze\n")
    write_sound(tmp_path / "victim.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kept(here: Path) -> Iterator[Path]:
    """The sound in the way, which is afterwards as it was."""
    victim, before = here / "victim.wav", (here / "victim.wav").read_bytes()
    yield victim
    assert victim.read_bytes() == before
    assert not (here / "victim.md").exists()


def test_the_rule(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    refuse_loss(path)
    path.touch()
    refuse_loss(path)  # nothing is lost
    path.write_bytes(MINE)
    refuse_loss(path, holds(MINE))
    refuse_loss(path, begins(b"{", b"mi"))
    for own in (None, holds(b"yours"), holds(MINE + MINE), begins(b"{"), begins(b"mine\nand more")):
        with pytest.raises(UsageError, match=f"a.json: {IN_THE_WAY} --map"):
            refuse_loss(path, own, "--map")
    with pytest.raises(LaennecError, match="is a folder, not a file to write; --out names a file"):
        refuse_loss(tmp_path)
    with pytest.raises(LaennecError, match="name another --out"):
        refuse_loss(tmp_path / ("a" * 300))


@pytest.mark.parametrize("mine", ["rec.dcm", "rec.csv"])
def test_dicom(mine: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pydicom")
    assert laennec("dicom", "ward", "--out", "out") == 0
    assert laennec("dicom", "ward", "--out", "out") == 0, "the same bytes are written again"
    other = next(path for path in (here / "out").iterdir() if path.name != mine)
    other.unlink()
    (here / "out" / mine).write_bytes(MINE)
    capsys.readouterr()
    assert laennec("dicom", "ward", "--out", "out") == 1
    assert f"{mine}: {IN_THE_WAY} --out" in capsys.readouterr().err
    assert (here / "out" / mine).read_bytes() == MINE
    assert not other.exists(), "nothing else is written"


def test_a_dicom_file_is_not_written_over_itself(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pydicom = pytest.importorskip("pydicom")
    assert laennec("dicom", "ward", "--out", "hosp") == 0
    exam = here / "hosp" / "rec.dcm"
    dataset = pydicom.dcmread(exam)
    dataset.PatientName = "Mustermann^Erika"
    dataset.save_as(exam)
    before = exam.read_bytes()
    assert laennec("dicom", "hosp", "--out", "hosp") == 1
    assert IN_THE_WAY in capsys.readouterr().err
    assert exam.read_bytes() == before


def test_convert(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("convert", "ward/rec.csv", "--to", "audacity", "--out", "ward")
    hand_made = here / "ward" / "rec.txt"
    assert laennec(*words) == 0
    assert laennec(*words) == 0, "the same bytes are written again"
    hand_made.write_bytes(MINE)
    assert laennec(*words) == 1
    assert f"rec.txt: {IN_THE_WAY} --out" in capsys.readouterr().err
    assert hand_made.read_bytes() == MINE
    with pytest.raises(UsageError, match=f"rec.csv: {IN_THE_WAY}"):
        list(convert_all([Path("ward/rec.csv")], FORMATS["csv"], Path("ward")))


def test_the_map_of_a_deidentification(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place, said, code in (
        ("victim.wav", f"victim.wav: {IN_THE_WAY} --map", 2),
        ("ward", "ward: is a folder, not a file to write; --map names a file", 2),
        ("victim.wav/map.csv", "victim.wav is a file", 1),
    ):
        assert laennec("deidentify", "ward", "--out", "copies", "--map", place) == code
        assert said in capsys.readouterr().err
        assert not Path("copies").exists(), "checked before the work"
    assert laennec("deidentify", "ward", "--out", "copies", "--map", "map.csv") == 0
    first = Path("map.csv").read_bytes()
    assert laennec("deidentify", "ward", "--out", "more", "--map", "map.csv") == 2
    assert Path("map.csv").read_bytes() == first


@pytest.mark.parametrize("mine", ["main.c", "Makefile", "README.md", "notes.txt"])
def test_a_program_for_a_microcontroller(mine: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = here / "program"
    folder.mkdir()
    (folder / mine).write_bytes(MINE)
    assert laennec("export", "--target", "microcontroller", "--out", folder) == 2
    said = f"program: holds files that this command did not write ({mine}); name another --out"
    assert said in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [mine]
    assert (folder / mine).read_bytes() == MINE


def test_an_example_that_was_changed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("export", "--target", "microcontroller", "--out", "program")
    assert laennec(*words) == 0
    (here / "program" / "laennec_model.c").write_bytes(MINE)
    assert laennec(*words) == 0, "the model is replaced"
    assert (here / "program" / "laennec_model.c").read_bytes() != MINE
    (here / "program" / "main.c").write_bytes(MINE)
    assert laennec(*words) == 2
    assert f"main.c: {IN_THE_WAY} --out" in capsys.readouterr().err
    assert (here / "program" / "main.c").read_bytes() == MINE


def of(*words: str, need: tuple[str, ...] = ("pandas",)) -> Any:
    return pytest.param(words, marks=pytest.mark.needs(*need))


WRITE_ONE_FILE = (
    ("export", "recording", "--target", "chai"),
    ("challenge", "--task", "22", "--wav", "ward"),
    of("referee", "--dataset", "icbhi", "--predictions", "answers.csv"),
    of("datasets", "croissant", "folder", "ward"),
)


@pytest.mark.parametrize(
    "words",
    [
        *WRITE_ONE_FILE,
        of("export", "recording", "--target", "int8", "--data", "ward", need=("torch", "onnx", "pandas")),
        of("calibrate", "--data", "ward", "--dataset", "folder"),
    ],
)
def test_a_file_of_another_kind(
    words: tuple[str, ...], kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("answers.csv").write_text("name,label,predicted\n101_1b1_Al_sc_Meditron_0,normal,normal\n")
    assert laennec(*words, "--out", kept) == 2
    assert f"victim.wav: {IN_THE_WAY} --out" in capsys.readouterr().err


@pytest.mark.needs("torch", "onnx", "pandas")
def test_a_model_and_what_goes_beside_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapt = ("adapt", "--data", "ward", "--dataset", "folder", "--out", "my.onnx")
    small = ("export", "recording", "--target", "int8", "--data", "ward", "--out", "my.onnx")
    for words, mine in ((adapt, "my.onnx"), (adapt, "my.onnx.json"), (small, "my.md"), (small, "my.onnx")):
        (here / mine).write_bytes(MINE)
        assert laennec(*words) == 2
        assert f"{mine}: {IN_THE_WAY} --out" in capsys.readouterr().err
        assert (here / mine).read_bytes() == MINE
        (here / mine).unlink()


@pytest.mark.parametrize("words", WRITE_ONE_FILE)
def test_a_command_writes_over_its_own_earlier_file(words: tuple[str, ...], here: Path) -> None:
    Path("answers.csv").write_text(
        "name,label,predicted\n"
        + "".join(
            f"{101 + k}_1b1_Al_sc_Meditron_{k},normal,{('normal', 'wheeze')[k % 2]}\n" for k in range(6)
        )
    )
    Path("ward/rec.txt").write_text("0.1\t0.4\tWheeze\n")
    first = None
    for _ in range(2):
        assert laennec(*words, "--out", "earlier") == 0
        first = first or Path("earlier").read_bytes()
    assert Path("earlier").read_bytes() == first


@pytest.mark.parametrize(
    "words",
    [("export", "recording", "--target", "chai"), of("datasets", "croissant", "folder", "ward")],
)
def test_what_somebody_has_worked_on_stays(words: tuple[str, ...], here: Path, capsys) -> None:
    """A card is edited before it is published, and metadata get their licence by hand."""
    Path("ward/rec.txt").write_text("0.1\t0.4\tWheeze\n")
    assert laennec(*words, "--out", "mine") == 0
    edited = Path("mine").read_bytes() + b"\n"
    Path("mine").write_bytes(edited)
    capsys.readouterr()
    assert laennec(*words, "--out", "mine") == 2
    assert f"mine: {IN_THE_WAY} --out" in capsys.readouterr().err
    assert Path("mine").read_bytes() == edited


def test_what_is_no_model_in_integers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert laennec("export", "ward/rec.wav", "--target", "microcontroller", "--out", "program") == 1
    said = capsys.readouterr().err
    assert "rec.wav: damaged, or no model in integers (it is no archive of arrays)" in said
    np.savez("objects.npz", metadata=np.array([{"a": 1}], dtype=object))
    with pytest.raises(LaennecError, match="it holds Python objects") as error:
        load_integer_model("objects.npz")
    assert "pickle" not in said + str(error.value)


def test_a_recording_is_no_folder_to_serve(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fastapi")
    assert laennec("serve", "ward/rec.wav") == 1
    said = capsys.readouterr().err
    assert "ward/rec.wav: is a file; name the folder that it is in" in said
    assert "mkdir" not in said
