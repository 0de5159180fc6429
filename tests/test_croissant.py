"""Croissant metadata of every data set: mlcroissant finds nothing wrong, and its records are our table."""

import hashlib
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pd = pytest.importorskip("pandas")

from laennec import datasets
from laennec.cli import main
from laennec.datasets import croissant as own
from laennec.datasets.croissant import OF_CLIPS, OF_RECORDINGS, croissant, write_croissant
from laennec.datasets.table import NUMBERS
from laennec.errors import LaennecError
from laennec.simulate import simulate_dataset

NAMES = [name for name, module in datasets.data_sets().items() if module.LEVELS]


def made(name: str, tmp_path: Path) -> tuple[Any, Path]:
    """A data set, and a tiny copy in a folder whose name must not be in the metadata."""
    root = tmp_path / "somebody's folder"
    module = datasets.dataset(name)
    module.tiny(root)
    return module, root


def read_back(path: Path) -> dict[str, Any]:
    """The record sets as mlcroissant reads them, as tables with the names of our columns."""
    mlc = pytest.importorskip("mlcroissant")
    logging.getLogger("absl").setLevel(logging.ERROR)
    described = mlc.Dataset(str(path))
    assert not described.metadata.issues.errors
    tables = {}
    for each in described.metadata.record_sets:
        rows = [
            {key.partition("/")[2]: value for key, value in row.items()}
            for row in described.records(each.name)
        ]
        tables[each.name] = pd.DataFrame(rows)
    return tables


def plain(value: Any) -> Any:
    return None if pd.isna(value) else value


def rebuilt(tables: dict[str, Any], level: str) -> list[dict[str, Any]]:
    """The clips table of a level, of the record sets alone."""
    recordings = {row["id"]: row for row in tables["recordings"].to_dict("records")}
    name = own.LEVELS[level][0]
    rows = []
    for clip in tables[name].to_dict("records") if name in tables else []:
        recording = recordings[clip["recording"]]
        row = {
            **{c: recording.get(c) for c in ("recording", *OF_RECORDINGS)},
            **{c: clip.get(c) for c in OF_CLIPS},
        }
        rows.append({key: plain(value) for key, value in row.items()})
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_records_that_mlcroissant_reads_are_our_table(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mlcroissant")
    module, root = made(name, tmp_path)
    expected = {}
    for level in module.LEVELS:
        try:
            expected[level] = module.load(root, level)
        except LaennecError:
            continue
    path = root / "metadata.json"
    write_croissant(module, root, path, progress=False)
    tables = read_back(path)
    assert expected
    for level, clips in expected.items():
        wanted = [
            {key: plain(row[key]) for key in ("recording", *OF_RECORDINGS, *OF_CLIPS)}
            for row in clips.to_dict("records")
        ]
        for row in wanted:
            row["path"] = Path(row["path"]).relative_to(root).as_posix()
        assert rebuilt(tables, level) == wanted
        # The file lies in the copy now, and changes nothing of it.
        pd.testing.assert_frame_equal(module.load(root, level), clips)
    patients = {clips_subject for clips in expected.values() for clips_subject in clips["subject"].dropna()}
    assert set(tables["patients"]["id"] if patients else ()) == patients


@pytest.mark.parametrize("name", NAMES)
def test_files_have_their_digests_and_no_path_of_the_computer(name: str, tmp_path: Path) -> None:
    module, root = made(name, tmp_path)
    metadata = croissant(module, root)
    assert metadata["distribution"]
    for each in metadata["distribution"]:
        content = (root / each["contentUrl"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
        assert each["contentSize"] == f"{len(content)} B"
        assert each["encodingFormat"].startswith("audio/")
    named = {each["name"] for each in metadata["distribution"]}
    recordings = next(each for each in metadata["recordSet"] if each["name"] == "recordings")
    assert {row["recordings/path"] for row in recordings["data"]} == named
    text = json.dumps(metadata)
    assert str(tmp_path) not in text
    assert "somebody" not in text
    assert metadata.get("license", "yours") == module.LICENCE
    assert metadata.get("citeAs", "") == module.CITATION


def test_simulated_recordings_have_nobodys_licence(tmp_path: Path) -> None:
    simulate_dataset(tmp_path / "s", subjects=2, seed=0, recordings_per_subject=1)
    metadata = croissant(datasets.dataset("sprsound"), tmp_path / "s")
    assert metadata["name"] == "simulated-sprsound"
    assert metadata["description"].startswith("simulated")
    assert "license" not in metadata
    assert "citeAs" not in metadata


def test_what_is_personal_and_what_is_rare_is_said(tmp_path: Path) -> None:
    module, root = made("icbhi", tmp_path)
    metadata = croissant(module, root)
    clips = module.load(root)
    known = [name for name in ("age_years", "sex", "diagnosis") if clips[name].notna().any()]
    assert metadata["rai:personalSensitiveInformation"] == ", ".join(n.removesuffix("_years") for n in known)
    assert f"{clips['subject'].nunique()} patient" in metadata["rai:dataBiases"]
    assert "fewer than 20 patients" in metadata["rai:dataLimitations"]


def test_patients_have_what_all_their_recordings_agree_in(tmp_path: Path) -> None:
    recordings = pd.DataFrame(
        {
            "subject": ["a", "a", "b", "b", None],
            "recording": ["1", "2", "3", "4", "5"],
            "sex": ["male", None, "female", "male", "male"],
            "diagnosis": ["COPD", "COPD", None, None, None],
        }
    )
    assert list(own._patients(recordings)) == [
        {"id": "a", "sex": "male", "diagnosis": "COPD", "recordings": 2},
        {"id": "b", "sex": None, "diagnosis": None, "recordings": 2},
    ]


def test_a_recording_outside_the_folder_is_refused(tmp_path: Path) -> None:
    module, root = made("folder", tmp_path)
    clips = module.load(root, module.LEVELS[0])
    moved = tmp_path / "elsewhere.wav"
    moved.write_bytes(Path(clips["path"][0]).read_bytes())
    (root / "clips.csv").write_text(f"path,label,subject\n{moved},Normal,1\n")
    with pytest.raises(LaennecError, match="lies outside"):
        croissant(module, root)


def laennec(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return int(ended.value.code or 0)


def test_the_command_says_what_it_tells_of_patients(tmp_path: Path, capsys) -> None:
    _, root = made("sprsound", tmp_path)
    out = root / "metadata.json"
    assert laennec("datasets", "croissant", "sprsound", root, "--out", out) == 0
    said = capsys.readouterr().out
    assert "It tells of patients: age, sex" in said
    assert "licence" not in said
    assert json.loads(out.read_text())["@type"] == "sc:Dataset"
    own_root = tmp_path / "own"
    datasets.dataset("folder").tiny(own_root)
    assert laennec("datasets", "croissant", "folder", own_root, "--out", tmp_path / "m.json") == 0
    assert "It names no licence" in capsys.readouterr().out
    assert laennec("datasets", "croissant", "sprsound", tmp_path / "gone", "--out", out) == 1


def test_the_command_says_what_is_left_out(simulated: Path, tmp_path: Path, capsys) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(simulated, copy)
    next(copy.rglob("*.wav")).write_bytes(b"cut short")
    datasets.print_croissant("sprsound", copy, tmp_path / "metadata.json")
    said = capsys.readouterr().out
    assert re.search(r"^Limits that it states: .*\d defects? of the copy among ", said, re.MULTILINE)


@pytest.mark.real
@pytest.mark.parametrize(("name", "folder"), [("icbhi", "ICBHI"), ("kauh", "KAUH")])
def test_real_data_sets(name: str, folder: str, real_data: Path, tmp_path: Path) -> None:
    """Names with blanks and commas, patients with several devices."""
    pytest.importorskip("mlcroissant")
    module = datasets.dataset(name)
    write_croissant(module, real_data / folder, tmp_path / "metadata.json", progress=False)
    tables = read_back(tmp_path / "metadata.json")
    for level in module.LEVELS:
        try:
            clips = module.load(real_data / folder, level)
        except LaennecError:
            continue
        rows = rebuilt(tables, level)
        assert [row["clip_id"] for row in rows] == list(clips["clip_id"])
        for column in ("subject", "label", "start_s", "end_s", "age_years", "sex", "location", "device"):
            assert [row[column] for row in rows] == [plain(value) for value in clips[column]], column


def test_numbers_are_numbers() -> None:
    assert {column for column in (*OF_RECORDINGS, *OF_CLIPS) if own._type(column) == "sc:Float"} == set(
        NUMBERS
    )
