"""Every loader, on tiny copies of every layout; every kind of defect; downloads from a local server."""

import functools
import hashlib
import io
import json
import os
import re
import threading
import time
import zipfile
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

pd = pytest.importorskip("pandas")

from laennec import datasets
from laennec.annotations import read_events, read_labels
from laennec.cli import names
from laennec.datasets import fetch, folder, hf_lung, hls_cmds, icbhi, kauh, multichannel, not_lung, sprsound
from laennec.datasets.table import COLUMNS, SPLITS, Archive
from laennec.datasets.tiny import write_sound
from laennec.errors import LaennecError
from laennec.labels import (
    POSITIONS,
    SEXES,
    SOUND_KINDS,
    SPRSOUND_EVENTS,
    SPRSOUND_RECORDS,
    as_record,
    to_icbhi,
)
from laennec.patient import CHEST_PLACES
from laennec.simulate import simulate_dataset
from waiting import WAIT_S

RATE_HZ = 8000
TRAIN, INTER, INTRA = "40000001_4.5_0_p1_11", "40000002_0.3_1_p4_12", "40000001_4.6_0_p2_13"


def event(start_ms, end_ms, label="Normal"):
    return {"start": str(start_ms), "end": str(end_ms), "type": label}


def write_audio(path, seconds=1.0, seed=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(path.stem.encode()).digest()[:4]) if seed is None else seed
    samples = np.random.default_rng(seed).integers(-3000, 3000, int(seconds * RATE_HZ), dtype=np.int16)
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
    return path


def write_recording(wav_folder, json_folder, stem, events=(), label="Normal", suffix=".wav", **annotation):
    write_audio(wav_folder / f"{stem}{suffix}")
    json_folder.mkdir(parents=True, exist_ok=True)
    content = {"record_annotation": label, "event_annotation": list(events), **annotation}
    if label is None:
        del content["record_annotation"]
    (json_folder / f"{stem}.json").write_text(json.dumps(content))


# Layout: train audio and annotations, then the test set's audio, and its inter and intra annotations.
LAYOUTS = {
    "first": (
        "train_wav",
        "train_json",
        "test_wav",
        "test_json/inter_test_json",
        "test_json/intra_test_json",
    ),
    "BioCAS2022": (
        "BioCAS2022/train2022_wav",
        "BioCAS2022/train2022_json",
        "BioCAS2022/test2022_wav",
        "BioCAS2022/test2022_json/inter_test_json",
        "BioCAS2022/test2022_json/intra_test_json",
    ),
    "Classification": (
        "Classification/train_classification_wav",
        "Classification/train_classification_json",
        "Classification/valid_classification_wav/2022",
        "Classification/valid_classification_json/2022/inter_test_json",
        "Classification/valid_classification_json/2022/intra_test_json",
    ),
}


@pytest.fixture(params=[(layout, suffix) for layout in LAYOUTS for suffix in (".wav", ".flac")], ids="".join)
def layout(request, tmp_path):
    name, suffix = request.param
    train_wav, train_json, test_wav, inter, intra = (tmp_path / part for part in LAYOUTS[name])
    crackle, wheeze = event(300, 600, "Wheeze+Crackle"), event(100, 200, "Wheeze")
    write_recording(train_wav, train_json, TRAIN, [crackle, wheeze], "CAS & DAS", suffix)
    write_recording(test_wav, inter, INTER, [event(0, 900)], "Normal", suffix)
    write_recording(test_wav, intra, INTRA, [], "Poor Quality", suffix)
    return tmp_path


def test_every_layout_gives_the_same_events(layout):
    clips = sprsound.load(layout)
    assert clips["clip_id"].tolist() == [f"{TRAIN}-100-200", f"{TRAIN}-300-600", f"{INTER}-0-900"]
    assert clips["label"].tolist() == ["Wheeze", "Wheeze+Crackle", "Normal"]
    assert clips["split"].tolist() == ["train", "train", "test-inter"]
    assert clips["start_s"].tolist() == [0.1, 0.3, 0.0]
    assert clips["end_s"].tolist() == [0.2, 0.6, 0.9]
    first, last = clips.iloc[0], clips.iloc[-1]
    assert (first.subject, first.age_years, first.sex, first.location) == (
        "40000001",
        4.5,
        "male",
        POSITIONS[0],
    )
    assert (last.subject, last.age_years, last.sex, last.location) == (
        "40000002",
        0.3,
        "female",
        POSITIONS[3],
    )
    assert clips.attrs["defects"] == []


def test_every_layout_gives_the_same_records(layout):
    clips = sprsound.load(layout, level="record")
    assert clips["clip_id"].tolist() == [TRAIN, INTRA, INTER]
    assert clips["label"].tolist() == ["CAS & DAS", "Poor Quality", "Normal"]
    assert clips["split"].tolist() == ["train", "test-intra", "test-inter"]
    assert clips["end_s"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("json_folder", "split"),
    [
        ("BioCAS2023/test2023_json", "test"),
        ("BioCAS2024/test2024_json", "test"),
        ("BioCAS2025/test2025_json", "test"),
        ("Detection/train_detection_json", "train"),
        ("Detection/valid_detection_json", "test"),
        ("Detection/test2024_detection_json", "test"),
        ("releases/BioCAS2022/test2022_json/intra_test_json", "test-intra"),
        ("annotation_json", None),
    ],
)
def test_split_is_what_the_folders_say(tmp_path, json_folder, split):
    root = tmp_path / "my test copy"  # the name of the copy itself says nothing
    wav_folder = root / json_folder.split("/")[0] / "any_wav"
    write_recording(wav_folder, root / json_folder, TRAIN, [event(0, 500)])
    (found,) = sprsound.load(root)["split"]
    assert found == split


def test_names_since_2024(tmp_path):
    for stem in ("_5.3_0_p8_34877", "_5.3_0_p5_34878"):
        write_recording(tmp_path / "wav", tmp_path / "json", stem, [event(0, 500)], label=None)
    clips = sprsound.load(tmp_path)
    assert clips["subject"].isna().all()
    assert clips["location"].tolist() == ["p5", "p8"]
    assert clips["age_years"].tolist() == [5.3, 5.3]
    with pytest.raises(LaennecError, match="no SPRSound record annotation"):
        sprsound.load(tmp_path, level="record")


def test_old_spellings(tmp_path):
    write_recording(
        tmp_path / "wav",
        tmp_path / "json",
        TRAIN,
        [{"start": 342, "end": 500, "type": "Wheeze & Crackle"}],
        label=None,
        recording_annotation="CAS&DAS",
    )
    assert sprsound.load(tmp_path)["label"].tolist() == ["Wheeze+Crackle"]
    assert sprsound.load(tmp_path, "record")["label"].tolist() == ["CAS & DAS"]


def test_audio_beside_the_annotation_is_preferred_and_wav_before_flac(tmp_path):
    write_recording(tmp_path / "b/train_wav", tmp_path / "b/train_json", TRAIN, [event(0, 500)])
    write_audio(tmp_path / f"b/train_wav/{TRAIN}.flac")
    write_audio(tmp_path / f"a/train_wav/{TRAIN}.wav")
    assert sprsound.load(tmp_path)["path"].tolist() == [str(tmp_path / f"b/train_wav/{TRAIN}.wav")]


def test_a_recording_in_two_releases_is_read_once_and_a_difference_is_said(tmp_path):
    for place in ("Classification", "BioCAS2022"):
        write_recording(
            tmp_path / place / "train_wav", tmp_path / place / "train_json", TRAIN, [event(0, 500)]
        )
    assert sprsound.load(tmp_path).attrs["defects"] == []
    detection = tmp_path / "Detection"
    write_recording(detection / "train_wav", detection / "train_json", TRAIN, [event(0, 501, "Wheeze")])
    write_recording(
        tmp_path / "BioCAS2023/test_wav", tmp_path / "BioCAS2023/test_json", TRAIN, [event(0, 500)]
    )
    clips = sprsound.load(tmp_path)
    assert clips["label"].tolist() == ["Normal"]
    differs, moved = sorted(clips.attrs["defects"], key=lambda text: "differs" not in text)
    assert "Detection" in differs
    assert "differs from" in differs
    assert "is test here and train in" in moved


@pytest.mark.parametrize("text", ["[" * 100_000, '{"event_annotation": [{"start": 1%s}]}' % ("0" * 5000)])
def test_an_annotation_that_python_cannot_hold_is_malformed(tmp_path, text):
    write_recording(tmp_path / "train_wav", tmp_path / "train_json", INTER, [event(0, 500)])
    write_recording(tmp_path / "train_wav", tmp_path / "train_json", TRAIN)
    (tmp_path / f"train_json/{TRAIN}.json").write_text(text)
    (defect,) = sprsound.check(tmp_path)
    assert (defect.kind, Path(defect.path).stem) == ("malformed annotation", TRAIN)
    assert "nested too deeply, or a number has too many digits" in defect.detail
    assert sprsound.load(tmp_path)["recording"].tolist() == [INTER]


def test_the_detection_task_is_no_conflict(tmp_path):
    events, turned = [event(0, 400), event(500, 900, "Wheeze")], [event(500, 900, "Wheeze"), event(0, 400)]
    for place, own, label in (("Classification/valid", events, "CAS"), ("Detection/train", turned, None)):
        write_recording(tmp_path / f"{place}_wav", tmp_path / f"{place}_json", TRAIN, own, label)
    assert sprsound.load(tmp_path).attrs["defects"] == []
    assert sprsound.load(tmp_path)["split"].tolist() == ["test", "test"]
    assert sprsound.check(tmp_path) == []


def test_each_recording_says_its_release(tmp_path):
    unknown = "_5.3_0_p8_34877"
    for place, stem in {
        "BioCAS2022/train2022_json": TRAIN,
        "Classification/valid_classification_json/2023": INTER,
        "Detection/test2024_detection_json": INTRA,
        "train_json": unknown,
    }.items():
        write_recording(tmp_path / "wav", tmp_path / place, stem, [event(0, 500)])
    clips = sprsound.load(tmp_path).set_index("recording")
    assert clips["release"].to_dict() == {TRAIN: "2022", INTER: "2023", INTRA: "2024", unknown: None}
    assert clips["split"].to_dict() == {TRAIN: "train", INTER: "test", INTRA: "test", unknown: "train"}


def test_simulated_data_is_not_taken_for_the_data_set_and_half_of_it_is_a_defect(tmp_path, capsys):
    (sound,) = simulate_dataset(tmp_path, subjects=1, recordings_per_subject=1, duration_s=8.0)
    for level in ("event", "record"):
        assert set(sprsound.load(tmp_path, level)["dataset"]) == {"simulated sprsound"}
    assert set(datasets.load("sprsound", tmp_path)["dataset"]) == {"simulated sprsound"}
    assert datasets.print_info("sprsound", tmp_path, strict=True, progress=False) == 0
    assert "simulated recordings, of no patients" in capsys.readouterr().out
    annotation = tmp_path / "train_json" / f"{sound.stem}.json"
    whole = annotation.read_text()
    annotation.write_text(whole.replace("Normal", "Wheeze"))
    assert datasets.print_info("sprsound", tmp_path, strict=True, progress=False) == 1
    assert "changed: 1" in capsys.readouterr().out
    annotation.write_text(whole)
    truth = tmp_path / "ground_truth.json"
    record = json.loads(truth.read_text())
    truth.write_text(json.dumps({**record, "files": [*record["files"], "train_wav/gone.wav"]}))
    assert datasets.print_info("sprsound", tmp_path, strict=True, progress=False) == 1
    assert "train_wav/gone.wav: the simulation wrote it, and it is not here" in capsys.readouterr().out
    truth.write_text(json.dumps({key: record[key] for key in record if key not in ("sha256", "recordings")}))
    assert datasets.print_info("sprsound", tmp_path, strict=True, progress=False) == 1
    assert "the simulation was cut short" in capsys.readouterr().out


def test_what_is_no_copy_is_said(tmp_path):
    with pytest.raises(LaennecError, match="nowhere: no such folder; give the folder that holds SPRSound"):
        sprsound.load(tmp_path / "nowhere")
    (tmp_path / f"{TRAIN}.json").write_text("{}")
    with pytest.raises(LaennecError, match=r"expected \.json files in a folder below it such as train_json"):
        sprsound.load(tmp_path)
    with pytest.raises(LaennecError, match="level is 'cycle'"):
        sprsound.load(tmp_path, "cycle")


# One copy with everything wrong ---------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path):
    train_wav, train_json = tmp_path / "train_wav", tmp_path / "train_json"
    test_wav, inter = tmp_path / "test_wav", tmp_path / "test_json/inter_test_json"
    events = [
        event(0, 400),
        event(300, 500, "Wheeze"),
        event(600, 700, "Snore"),
        event(700, 600),
        {"start": "1"},
        event(900, 1500),
    ]
    write_recording(train_wav, train_json, TRAIN, events, "Nice")
    write_recording(test_wav, inter, "40000001_4.5_0_p2_21", [event(0, 500)])  # its patient is trained on
    write_audio(test_wav / "40000001_4.5_0_p2_21.wav", seed=1)
    write_recording(test_wav, inter, INTER, [event(0, 500)], suffix=".flac")
    write_audio(test_wav / f"{INTER}.flac", seed=1)  # the same samples, in another format
    write_recording(train_wav, train_json, "41000000_1.0_0_p1_31", [event(0, 500)])
    (train_wav / "41000000_1.0_0_p1_31.wav").unlink()
    write_recording(train_wav, train_json, "41000001_1.0_0_p1_32", [event(0, 500)])
    (train_wav / "41000001_1.0_0_p1_32.wav").write_text("version https://git-lfs.github.com/spec/v1")
    write_recording(train_wav, train_json, "41000002_1.0_0_p1_33")
    (train_json / "41000002_1.0_0_p1_33.json").write_text("{")
    write_recording(train_wav, train_json, "41000003_1.0_0_p1_34", event_annotation={})
    write_recording(train_wav, train_json, "41000004 copy", [event(0, 500)])
    write_audio(train_wav / "41000005_1.0_0_p1_35.wav")
    soundfile.write(train_wav / "41000006_1.0_0_p1_36.wav", np.zeros(0, np.int16), RATE_HZ)
    (train_json / "41000006_1.0_0_p1_36.json").write_text('{"event_annotation": []}')
    return tmp_path


def test_check_finds_every_kind_of_defect(broken):
    found = {}
    for defect in sprsound.check(broken):
        found.setdefault(defect.kind, []).append(f"{Path(defect.path).name}: {defect.detail}")
    expected = {
        "missing": ["41000000_1.0_0_p1_31.json: no 41000000_1.0_0_p1_31.wav"],
        "unreadable": ["41000001_1.0_0_p1_32.wav: ", "41000006_1.0_0_p1_36.wav: empty, it holds no samples"],
        "malformed annotation": [
            "event 4: it ends at 0.6 s, not after its start at 0.7 s",
            "event 5: end is None, no number",
            "_33.json: not JSON",
            "_34",
        ],
        "malformed name": ["41000004 copy.json"],
        "unknown label": ["the recording is 'Nice'", "event 3 is 'Snore'"],
        "outside file": [f"{TRAIN}.wav: Normal ends at 1.500 s, the file at 1.000 s"],
        "overlap": [f"{TRAIN}.wav: Wheeze at 0.300 s begins before Normal ends at 0.400 s"],
        "duplicate audio": ["40000001_4.5_0_p2_21.wav"],
        "no annotation": ["41000005_1.0_0_p1_35.wav"],
        "patient in two splits": ["test-inter and train: 1 patient: 40000001"],
    }
    assert set(found) == set(expected)
    for kind, parts in expected.items():
        assert len(found[kind]) == len(parts), found[kind]
        for part in parts:
            assert any(part in text for text in found[kind]), (part, found[kind])


def test_load_keeps_what_is_good_and_says_what_is_not(broken):
    clips = sprsound.load(broken)
    assert set(clips["label"]) <= set(SPRSOUND_EVENTS)
    assert clips.loc[clips["recording"] == TRAIN, "label"].tolist() == ["Normal", "Wheeze", "Normal"]
    said = " ".join(clips.attrs["defects"])
    assert all(part in said for part in ("'Snore'", "event 5", "_31.json", "_33.json"))
    assert clips.loc[clips["recording"] == "41000004 copy", "subject"].isna().all()


def test_strict_is_the_exit_status(broken, capsys):
    assert datasets.print_info("sprsound", broken, strict=True, progress=False) == 1
    assert "duplicate audio: 1" in capsys.readouterr().out
    assert datasets.print_info("sprsound", broken, strict=False, progress=False) == 0


def test_info_counts_and_a_sound_copy_passes_strict(tmp_path, capsys):
    write_recording(tmp_path / "train_wav", tmp_path / "train_json", TRAIN, [event(0, 400), event(500, 900)])
    write_recording(tmp_path / "test_wav", tmp_path / "test_json", INTER, [event(0, 400, "Stridor")], "CAS")
    assert datasets.print_info("sprsound", tmp_path, strict=True, progress=False) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["events", "train", "test", "all"] in lines
    assert ["Normal", "2", "0", "2"] in lines
    assert ["Stridor", "0", "1", "1"] in lines
    assert ["CAS", "0", "1", "1"] in lines
    assert ["all", "2", "2"] in lines  # patients, recordings
    assert ["under", "1", "1", "1"] in lines
    assert ["female", "1", "1"] in lines
    assert ["right-lateral", "1", "1"] in lines
    assert ["no", "defect", "found"] in lines


def test_info_of_no_copy_is_an_error(tmp_path):
    with pytest.raises(LaennecError, match="no SPRSound annotation here"):
        datasets.print_info("sprsound", tmp_path)
    with pytest.raises(
        LaennecError,
        match="'icbhi2' is no dataset; known are icbhi, sprsound, hf-lung, hls-cmds, kauh, multi",
    ):
        datasets.print_info("icbhi2", tmp_path)


def test_list_names_every_dataset(capsys):
    datasets.list_datasets()
    out = capsys.readouterr().out
    for name, module in datasets.data_sets().items():
        assert name in out
        assert module.TITLE in out
        assert name in names.data_sets().replace(",", "").split(), "help reads it, and imports nothing"


# The contract, over every dataset -------------------------------------------------------------------------


EXAMPLES = sorted(str(path) for path in (Path(__file__).parents[1] / "examples" / "own_dataset").glob("*.py"))


@pytest.mark.parametrize("name", [*datasets.data_sets(), *EXAMPLES])
def test_contract(name, tmp_path):
    module = datasets.dataset(name)
    module.tiny(tmp_path)
    assert set(module.LEVELS) <= {"event", "record"}
    assert module.LEVELS
    for level in module.LEVELS:
        keeps_the_contract(module, level, tmp_path)
    assert isinstance(module.check(tmp_path), list)
    assert datasets.guess(tmp_path) == name or name in EXAMPLES
    assert datasets.print_info(name, tmp_path, progress=False) == 0
    for label in module.TO_CANONICAL.values():
        assert label is None or to_icbhi(label) is not None


def keeps_the_contract(module, level, tmp_path):
    clips = module.load(tmp_path, level)
    assert all(
        isinstance(getattr(module, word), str) for word in ("TITLE", "CITATION", "LICENCE", "HOMEPAGE")
    )
    assert all(archive.url.startswith("https://") for archive in module.ARCHIVES)
    assert tuple(clips.columns) == COLUMNS
    assert len(clips) > 0
    assert clips.index.equals(pd.RangeIndex(len(clips)))
    assert clips["clip_id"].is_unique
    for column in ("clip_id", "path", "label", "recording", "dataset", "start_s", "end_s"):
        assert clips[column].notna().all(), column
    assert all(Path(path).is_file() for path in clips["path"])
    assert (clips["start_s"] >= 0).all()
    assert (clips["end_s"] > clips["start_s"]).all()
    assert set(clips["sex"].dropna()) <= set(SEXES)
    assert set(clips["split"].dropna()) <= set(SPLITS)
    assert (clips["dataset"] == module.NAME).all()
    # Unknown is missing: no column holds a stand-in for it.
    text = clips.select_dtypes("object").stack()
    assert not set(text.astype(str).str.lower()) & {"", "nan", "none", "unknown", "-1"}
    assert not (clips["age_years"] < 0).any()
    assert level not in module.LABELS or set(clips["label"]) <= set(module.LABELS[level])
    pd.testing.assert_frame_equal(clips, module.load(tmp_path, level))
    canonical = datasets.load(str(getattr(module, "__file__", "")), tmp_path, level)
    assert set(canonical["clip_id"]) <= set(clips["clip_id"])


# Your own data --------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    write_audio(tmp_path / "anna" / "day1.wav", 2.0)
    write_audio(tmp_path / "p02_left.flac", 2.0)
    write_audio(tmp_path / "noname.wav", 2.0)
    return tmp_path


def test_csv(own):
    (own / "clips.csv").write_text(
        "path,start_s,end_s,label,subject,age_years,sex,split,location,device,channel\n"
        "anna/day1.wav,0.5,1.0,fine crackle,anna,61,F,train,left-lateral,Littmann 3200,0\n"
        "p02_left.flac,,,Normal,,,,,,,\n"
    )
    clips = folder.load(own)
    assert clips["clip_id"].tolist() == ["anna/day1-500-1000", "p02_left"]
    assert clips["label"].tolist() == ["Fine Crackle", "Normal"]
    assert clips["end_s"].tolist() == [1.0, 2.0]
    assert clips.iloc[0][["subject", "age_years", "sex", "split", "device"]].tolist() == [
        "anna",
        61.0,
        "female",
        "train",
        "Littmann 3200",
    ]
    assert clips.iloc[1][["subject", "age_years", "sex", "split", "device", "channel"]].isna().all()
    pd.testing.assert_frame_equal(folder.load(own / "clips.csv"), clips)
    assert folder.load(own, "record")["clip_id"].tolist() == ["p02_left"]


def test_the_examples_of_the_documentation_load(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "your-own-data.md").read_text(encoding="utf-8")
    table = page.split("```csv\n")[1].split("```")[0]
    track = page.split('```text title="visit1.txt"\n')[1].split("```")[0]
    for path in pd.read_csv(io.StringIO(table))["path"].unique():
        write_audio(tmp_path / "csv" / path, 15.0)
    (tmp_path / "csv" / "clips.csv").write_text(table)
    clips = folder.load(tmp_path / "csv")
    assert len(clips) == 4
    assert clips["subject"].nunique() == 2
    write_audio(tmp_path / "tracks" / "anna" / "visit1.wav", 15.0)
    (tmp_path / "tracks" / "anna" / "visit1.txt").write_text(track)
    assert folder.load(tmp_path / "tracks")["label"].tolist() == ["Normal", "Fine Crackle", "Wheeze"]
    assert folder.check(tmp_path / "csv") == folder.check(tmp_path / "tracks") == []


def test_csv_with_semicolons_and_a_byte_order_mark(own):
    (own / "clips.csv").write_text("path;label;note\nnoname.wav;Normal;cough\n", encoding="utf-8-sig")
    clips = folder.load(own)
    assert clips["recording"].tolist() == ["noname"]
    (said,) = clips.attrs["defects"]
    assert said.startswith(
        f"unknown column: {own / 'clips.csv'}: line 1: 'note' is not read; known are path, "
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("gone.wav,0,1,Normal,,", r"clips\.csv: line 3: there is no file .*gone\.wav"),
        (",0,1,Normal,,", "line 3: path is empty"),
        ("noname.wav,0,1,,,", "line 3: label is empty"),
        ("noname.wav,0,,Normal,,", "line 3: start_s and end_s are given both or neither"),
        ("noname.wav,1,1,Normal,,", "line 3: the clip from 1 to 1 s has no duration"),
        ("noname.wav,a,1,Normal,,", "line 3: start_s is 'a'; expected a number from 0 up"),
        ("noname.wav,0,nan,Normal,,", "line 3: end_s is 'nan'"),
        ("noname.wav,0,1,Normal,2,", "line 3: sex is '2'; expected male or female"),
        ("noname.wav,0,1,Normal,,dev", "line 3: split is 'dev'; expected train, test-inter"),
        ("noname.wav,0,1,Normal,,,more", "line 3: 6 columns but more cells"),
    ],
)
def test_csv_errors_name_the_line(own, line, message):
    (own / "clips.csv").write_text(f"path,start_s,end_s,label,sex,split\nnoname.wav,0,1,Normal,,\n{line}\n")
    with pytest.raises(LaennecError, match=message):
        folder.load(own)
    assert len(folder.check(own)) == 1


@pytest.mark.parametrize("age", ["150", "-1"])
def test_ages_nobody_has_are_errors_with_their_line(own, age):
    (own / "clips.csv").write_text(f"path,label,age_years\nnoname.wav,Normal,{age}\n")
    with pytest.raises(LaennecError, match=rf"clips\.csv: line 2: age is '?{age}'?.*; expected"):
        folder.load(own)
    assert [defect.kind for defect in folder.check(own)] == ["malformed annotation"]


def test_positions_in_any_spelling_and_others_as_they_are(own):
    places = [
        "left posterior",
        "Left Posterior",
        "p1",
        "RIGHT_lateral",
        "Tc",
        "right-anterior",
        "knee",
        "knee",
    ]
    rows = "".join(f"noname.wav,{k / 8},{k / 8 + 0.1},Normal,{place}\n" for k, place in enumerate(places))
    (own / "clips.csv").write_text(
        "path,start_s,end_s,label,location\n" + rows + "noname.wav,1,1.1,Normal,hip\n"
    )
    clips = folder.load(own)
    known = ["left-posterior"] * 3 + ["right-lateral", "trachea", "right-anterior"]
    assert clips["location"].tolist() == [*known, "knee", "knee", "hip"]
    (said,) = clips.attrs["defects"]
    assert (
        "3 rows with a location that is no known place on the chest, kept as it is: 'knee' (2), 'hip' (1)"
        in said
    )
    assert [defect.kind for defect in folder.check(own)] == ["unknown position"]
    (own / "clips.csv").unlink()
    (own / "noname.txt").write_text("0\t1\tNormal\n")
    (own / "subjects.csv").write_text("recording,subject,location\nnoname,a,P4\n")
    assert folder.load(own)["location"].tolist() == ["right-lateral"]


def test_every_place_of_ours_is_read_back(own):
    """The page writes these into what it exports."""
    rows = "".join(
        f"noname.wav,{k / 50},{k / 50 + 0.01},Normal,{place}\n" for k, place in enumerate(CHEST_PLACES)
    )
    (own / "clips.csv").write_text("path,start_s,end_s,label,location\n" + rows)
    clips = folder.load(own)
    assert clips.attrs["defects"] == []
    coarse = ["-".join(place.split("-")[:2]) for place in CHEST_PLACES]
    expected = [
        short if short in POSITIONS else place for place, short in zip(CHEST_PLACES, coarse, strict=True)
    ]
    assert clips["location"].tolist() == expected


def test_kauh_beside_icbhi_keeps_its_patients(own):
    """Three filters are one person, who is not the patient of that number elsewhere."""
    for stem in ("103_2b2_Ar_mc_LittC2SE", *(f"{kind}P103_Asthma,E W,P L L,70,M" for kind in "BDE")):
        write_sound(own / f"{stem}.wav")
        (own / f"{stem}.txt").write_text("0\t0.5\tNormal\n")
    subjects = folder.load(own).set_index("recording")["subject"]
    assert subjects["103_2b2_Ar_mc_LittC2SE"] == "103"
    assert set(subjects[subjects.index.str.contains("P103_")]) == {"P103"}


def test_a_channel_that_the_file_does_not_have(own):
    (own / "clips.csv").write_text("path,label,channel\nanna/day1.wav,Normal,0\nnoname.wav,Wheeze,1\n")
    (defect,) = folder.check(own)
    assert defect.kind == "malformed annotation"
    assert defect.path.endswith("noname.wav")
    assert defect.detail == "Wheeze is on channel 1, but the file has 1, from 0"


def test_csv_without_a_needed_column(own):
    (own / "clips.csv").write_text("file,label\nnoname.wav,Normal\n")
    with pytest.raises(LaennecError, match="line 1: no column path; it has file, label"):
        folder.load(own)


def test_audacity_label_tracks_and_whose_they_are(own):
    spectral = "0.100000\t0.900000\tWheeze\n\\\t200.000000\t900.000000\n1,000000\t1,500000\tfine crackle\n"
    (own / "anna" / "day1.txt").write_text(spectral, encoding="utf-8-sig")
    (own / "p02_left.txt").write_text("0\t2\tsnoring\n")
    (own / "noname.json").write_text(
        json.dumps({"event_annotation": [event(0, 2000)], "record_annotation": "Normal"})
    )
    clips = folder.load(own)
    assert clips["recording"].tolist() == ["anna/day1", "anna/day1", "noname", "p02_left"]
    assert clips["label"].tolist() == ["Wheeze", "Fine Crackle", "Normal", "snoring"]
    assert clips["start_s"].tolist() == [0.1, 1.0, 0.0, 0.0]
    assert clips["subject"].tolist() == ["anna", "anna", None, "p02"]
    assert folder.load(own, "record")["clip_id"].tolist() == ["noname"]
    assert folder.check(own) == []


def test_subjects_csv_decides(own):
    (own / "anna" / "day1.txt").write_text("0\t1\tNormal\n")
    (own / "p02_left.txt").write_text("0\t1\tNormal\n")
    (own / "subjects.csv").write_text(
        "recording,subject,age_years\nanna/day1.wav,A,60\np02_left,B,\nelsewhere,C,\n"
    )
    with pytest.raises(LaennecError, match=r"subjects\.csv: line 4: there is no recording elsewhere"):
        folder.load(own)
    (own / "subjects.csv").write_text("recording,subject,age_years\nanna/day1.wav,A,60\np02_left,B,\n")
    clips = folder.load(own)
    assert clips["subject"].tolist() == ["A", "B"]
    assert clips["age_years"].tolist()[0] == 60
    assert "no annotation" in clips.attrs["defects"][0]  # noname.wav, which is no reason to stop


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\t1\tNormal\n0 1 Normal\n", "line 2: expected start, end and label with tabs between"),
        ("0\t1\t\n", "no event annotation was found; .*line 1: no label"),
        ("0.5\t0.4\tNormal\n", "line 1: it ends at 0.4 s, not after its start at 0.5 s"),
        ("0.5\t0.5\tNormal\n", "no event annotation was found; .*line 1: marks a point in time"),
        ("x\t1\tNormal\n", "line 1: start is 'x'"),
    ],
)
def test_label_track_errors_name_the_line(own, text, message):
    (own / "noname.txt").write_text(text)
    with pytest.raises(LaennecError, match=message):
        folder.load(own)


def test_a_missing_file_does_not_hide_the_counts(own, capsys):
    (own / "clips.csv").write_text("path,label\nnoname.wav,Wheeze\ngone.wav,Wheeze\np02_left.flac,Stridor\n")
    assert datasets.print_info("folder", own, progress=False) == 0
    told = capsys.readouterr().out
    assert re.search(r"Wheeze +1\n", told)
    assert re.search(r"Stridor +1\n", told)
    assert "counted is what can be used; training would stop at" in told
    assert "no patient is known; each such recording counts as a patient of its own" in told
    assert "missing: 1" in told
    assert "line 3: there is no file" in told


def test_a_wrong_subjects_csv_does_not_hide_the_counts(own, capsys):
    (own / "noname.txt").write_text("0\t1\tWheeze\n")
    for text, what in (("", "empty; expected"), ("recording,who\n", "line 1: no column subject")):
        (own / "subjects.csv").write_text(text)
        with pytest.raises(LaennecError, match=rf"subjects\.csv: {what}"):
            folder.load(own)
        assert datasets.print_info("folder", own, progress=False) == 0
        told = capsys.readouterr().out
        assert re.search(r"Wheeze +1\n", told)
        assert what in told


def test_one_file_is_one_recording_however_its_path_is_written(own):
    (own / "clips.csv").write_text(
        "path,label,start_s,end_s\nanna/../noname.wav,Wheeze,0,0.5\n./noname.wav,Wheeze,0.5,1\n"
        f"{own}/noname.wav,Wheeze,1,2\n"
    )
    clips = folder.load(own)
    assert set(clips["recording"]) == {"noname"}
    assert set(clips["path"]) == {str(own / "noname.wav")}


def test_a_recording_of_several_labels_or_patients_is_a_defect(own):
    (own / "clips.csv").write_text("path,label\nnoname.wav,Wheeze\nnoname.wav,Crackle\n")
    assert [d.detail for d in folder.check(own)] == ["as a whole labelled Crackle and Wheeze"]
    (own / "clips.csv").write_text(
        "path,label,start_s,end_s,subject\nnoname.wav,Wheeze,0,1,anna\nnoname.wav,Wheeze,1,2,bob\n"
    )
    assert [d.detail for d in folder.check(own)] == ["is of several patients: anna, bob"]
    with pytest.raises(LaennecError, match=r"noname\.wav: is of several patients: anna, bob"):
        folder.load(own)  # a split by patient would tear it apart


def test_files_that_cannot_be_read_by_their_ending_are_counted(own):
    (own / "a.raw").touch()
    (own / "noname.txt").write_text("0\t1\tNormal\n")
    assert "1 file with other endings passed over (.raw 1)" in str(folder.load(own).attrs["defects"])


def test_a_link_to_a_recording_is_taken_instead_of_it_where_it_has_the_labels(own):
    (own / "labelled.wav").symlink_to("noname.wav")
    (own / "labelled.txt").write_text("0\t1\tNormal\n")
    clips = folder.load(own)
    assert set(clips["recording"]) == {"labelled"}
    assert "1 link left out, to a recording that is taken already (noname.wav)" in str(clips.attrs["defects"])


def test_other_faults_of_a_folder(own):
    with pytest.raises(LaennecError, match="no event annotation was found"):
        folder.load(own)
    (own / "noname.txt").write_text("0\t1\tNormal\n")
    (own / "noname.json").write_text("{}")
    with pytest.raises(LaennecError, match=r"both noname\.txt and noname\.json annotate it"):
        folder.load(own)
    (own / "empty").mkdir()
    with pytest.raises(LaennecError, match="no recording here"):
        folder.load(own / "empty")
    with pytest.raises(LaennecError, match="no such file or folder"):
        folder.load(own / "nowhere")


# One reader for all: what a label file says to a data set and, as given events, to an analysis.
TEXTS = {
    "cycles": ("0.5\t1.5\t0\t1\n1.5\t1.8\t1\t0\n", ["Wheeze", "Crackle"], []),
    "flags of Pandas": ("0.03\t0.57\t0.0\t0.0\n0.57\t1.4\t1.0\t1.0\n", ["Normal", "Wheeze+Crackle"], []),
    "a flag amiss": ("0\t0.5\t0\t0\n0.6\t1.5\t1\t2\n", ["Normal"], ["line 2: expected start, end, crack"]),
    "a flag short": ("0\t0.5\t0\t0\n0.6\t1.5\t1\n", ["Normal"], ["line 2: expected start, end, crack"]),
    "no label": ("0\t0.5\n0.6\t1\tsnore\n", ["snore"], ["line 1: no label; left out"]),
    "three columns": ("0\t0.5\t0\n", [], ["line 1: expected start, end, crack"]),
    "a point": (
        "0.5\t0.5\tmark\n0.6\t1\tsnore\n",
        ["snore"],
        ["line 1: marks a point in time, no event; le"],
    ),
    "begins before": ("-0.1\t0.5\tWheeze\n", ["Wheeze"], ["line 1: begins at -0.1 s; cut to 0 s"]),
    "ends before": ("-2\t-1\ta\n0\t1\tb\n", ["b"], ["line 1: ends at -1 s, before its recording"]),
    "another type": ('{"event_annotation": [{"start": 0, "end": 9, "type": "Squawk"}]}', ["Squawk"], []),
    "other keys": ('{"record_annotation": "CAS", "event_annotation": [], "by": 1}', [], []),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_label_file_says_the_same_to_a_data_set_and_to_an_analysis(own, name):
    text, labels, said = TEXTS[name]
    (own / "noname.txt").write_text(text)
    read = read_labels(own / "noname.txt")
    defects = [d for d in folder.check(own) if d.kind != "no annotation"]
    assert [d.detail.startswith(part) for d, part in zip(defects, said, strict=True)] == [True] * len(said)
    assert [event.annotated for event in read.events if event.annotated and event.end_s > 0] == labels
    if any(problem for problem in read.problems):  # a line that is no event stops both
        with pytest.raises(LaennecError, match=said[0]):
            folder.load(own)
        with pytest.raises(LaennecError, match=said[0]):
            read_events(own / "noname.txt")
    elif labels:
        clips = folder.load(own)
        assert clips["label"].tolist() == labels
        assert (clips["start_s"] >= 0).all()


def test_tables_that_spreadsheets_write(own):
    (own / "clips.csv").write_text(
        "path;label;start_s;end_s;age_years;sex;location\nnoname.wav;Wheeze;0,5;1,2;NA;unknown;NA\n"
        "noname.wav;Wheeze;1,2;1,5;4,5;U;\n",
        encoding="utf-8-sig",
    )
    clips = folder.load(own)
    assert clips[["start_s", "end_s"]].to_numpy().tolist() == [[0.5, 1.2], [1.2, 1.5]]
    assert clips["age_years"].tolist()[1] == 4.5
    assert clips[["sex", "location"]].isna().all().all()
    assert np.isnan(clips["age_years"][0])
    assert clips.attrs["defects"] == []
    (own / "clips.csv").write_text("path,label,label\nnoname.wav,Wheeze,Crackle\n")
    with pytest.raises(LaennecError, match="line 1: column label is there twice"):
        folder.load(own)


def test_hidden_files_are_no_recordings(own):
    (own / "noname.txt").write_text("0\t1\tNormal\n")
    (own / "._noname.wav").write_bytes(b"\0\5\x16\7")
    (own / "._noname.txt").write_bytes(b"\0\5\x16\7\xff")
    write_audio(own / ".Trash" / "old.wav")
    write_audio(own / "__MACOSX" / "old.wav")
    assert folder.load(own)["recording"].tolist() == ["noname"]
    assert {defect.kind for defect in folder.check(own)} == {"no annotation"}


def test_names_with_decomposed_letters_and_suffixes_in_capitals(own):
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    for number, name in enumerate((composed, decomposed)):
        write_audio(own / f"{name}_{number}.WAV", seed=number)
    (own / f"{decomposed}_0.TXT").write_text("0\t1\tNormal\n")
    (own / f"{composed}_1.txt").write_text("0\t1\tNormal\n")
    clips = folder.load(own)
    assert clips["subject"].tolist() == [composed, composed]
    (own / "clips.csv").write_text(f"path,label,subject\n{composed}_1.WAV,Normal,{decomposed}\n")
    assert folder.load(own)["subject"].tolist() == [composed]


def test_one_label_file_for_two_recordings_is_a_defect(own):
    write_audio(own / "noname.flac", 2.0, seed=4)
    (own / "noname.txt").write_text("0\t1\tNormal\n")
    with pytest.raises(LaennecError, match=r"noname\.wav: noname\.txt annotates another recording"):
        folder.load(own)


def test_paths_of_another_system_are_found(own):
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    write_audio(own / decomposed / "v1.WAV")
    (own / "clips.csv").write_text(
        f"path,label,start_s,end_s\n{composed}\\v1.wav,Normal,0,0.5\n{decomposed}/v1.WAV,Normal,0.5,1\n"
        "anna\\day1.wav,Normal,,\n"
    )
    clips = folder.load(own)
    assert clips["recording"].tolist() == [f"{composed}/v1", f"{composed}/v1", "anna/day1"]
    assert folder.check(own) == []
    (own / "clips.csv").write_text(f"path,label\n{'x' * 5000}.wav,Normal\n")
    with pytest.raises(LaennecError, match="line 2: there is no file"):
        folder.load(own)


def test_missing_values_in_every_column(own):
    (own / "clips.csv").write_text(
        "path,label,start_s,end_s,subject,device,channel,split,age_years\n"
        "noname.wav,Normal,NA,NA,N/A,nan,<NA>,#N/A,NaN\nanna/day1.wav,Normal,0,1,U,x,0.0,train,4 months\n"
    )
    clips = folder.load(own).set_index("recording")
    assert clips.loc["noname", ["subject", "device", "channel", "split", "age_years"]].isna().all()
    assert clips.loc["noname", "end_s"] == 2.0
    assert clips.loc["anna/day1", "subject"] == "U"
    assert clips.loc["anna/day1", "channel"] == 0
    assert clips.attrs["defects"] == [
        f"odd form: {own / 'clips.csv'}: line 3: age '4 months' is taken for 0.333 years"
    ]
    (own / "clips.csv").write_text("path,label\nnoname.wav,NA\n")
    with pytest.raises(LaennecError, match="line 2: label is empty"):
        folder.load(own)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"path,label,start_s,end_s\nnoname.wav,Normal,0,1e308\n",
            "line 2: end_s is '1e308'; expected a number",
        ),
        (
            b"path,label,channel\nnoname.wav,Normal," + b"9" * 5000,
            "line 2: channel is '9{80}…'; expected 0, 1",
        ),
        (b'path,label\nnoname.wav,"Normal\nanna/day1.wav,Normal\n', "line 2: a quotation mark is opened"),
        (b"path,label\nnoname.wav," + b"x" * 200_000, "line 2: a cell has more than 131,072 characters"),
        (b"path,label\nnoname.wav,\0\n", "line 2 holds a zero byte"),
        (
            b"path,label\nnoname.wav,\xff\n",
            r"not UTF-8 text \(line 2\); save it as UTF-8, a table as CSV UTF-8",
        ),
    ],
)
def test_tables_that_cannot_be_read_are_named(own, text, message):
    (own / "clips.csv").write_bytes(text)
    with pytest.raises(LaennecError, match=rf"clips\.csv: .*{message}"):
        folder.load(own)


def test_excels_unicode_text_is_a_table(own):
    table = "path\tlabel\tstart_s\tend_s\nnoname.wav\tWheeze\t0,25\t0,5\n"
    (own / "clips.csv").write_text(table, encoding="utf-16")
    assert folder.load(own)["start_s"].tolist() == [0.25]


def test_a_misspelt_label_has_a_suggestion(own):
    (own / "clips.csv").write_text(
        "path,label,start_s,end_s\nnoname.wav,Weeze,0,0.4\nnoname.wav,Weeze,0.5,0.9\nanna/day1.wav,snoring,0,1\n"
    )
    assert folder.load(own).attrs["defects"] == []
    (defect,) = folder.check(own)
    assert (defect.kind, Path(defect.path).name) == ("misspelt label", "noname.wav")
    assert defect.detail == "2 clips labelled 'Weeze'; did you mean Wheeze?"


def test_a_misspelt_label_of_sprsound_has_a_suggestion(tmp_path):
    write_recording(tmp_path / "train_wav", tmp_path / "train_json", TRAIN, [event(0, 500, "fine crackel")])
    (defect,) = sprsound.check(tmp_path)
    assert defect.detail == "event 1 is 'fine crackel'; did you mean Fine Crackle?"


def test_label_files_of_raven_and_those_without_a_recording(own):
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"
    (own / "noname.Table.1.selections.txt").write_text(head + "1\tSpectrogram 1\t1\t0.25\t0.75\twheeze\n")
    (own / "gone.txt").write_text("0\t1\tNormal\n")
    (own / "README.txt").write_text("These are recordings.\n")
    clips = folder.load(own)
    assert clips[["recording", "start_s", "label"]].to_numpy().tolist() == [["noname", 0.25, "Wheeze"]]
    kinds = [defect.kind for defect in folder.check(own)]
    assert sorted(kinds) == ["no annotation", "no annotation", "no recording"]


def test_a_recording_that_subjects_csv_names_without_its_folder(own):
    write_audio(own / "ben" / "day1.wav")
    for place in ("anna", "ben"):
        (own / place / "day1.txt").write_text("0\t1\tNormal\n")
    (own / "subjects.csv").write_text("recording,subject\nday1,A\n")
    with pytest.raises(LaennecError, match="line 2: day1 could be anna/day1 or ben/day1; name its folder"):
        folder.load(own)
    (own / "subjects.csv").write_text("recording,subject\nanna\\day1.wav,A\nben/day1.WAV,B\n")
    assert folder.load(own)["subject"].tolist() == ["A", "B"]


# Downloads ------------------------------------------------------------------------------------------------


class ArchiveHandler(BaseHTTPRequestHandler):
    """Serve one file with ranges, and break the connection after some bytes as often as asked."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        state = self.server.state
        state.requests.append(self.headers.get("Range"))
        if state.status != 200:
            self.send_error(state.status)
            return
        start = 0
        if (
            self.headers.get("Range")
            and state.ranges
            and self.headers.get("If-Range", state.etag) == state.etag
        ):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        self.send_header("ETag", state.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start - state.shift}-/{len(state.content)}")
        self.send_header("Content-Length", state.length or str(len(state.content) - start))
        self.end_headers()
        body = state.content[start:]
        if state.breaks:
            state.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), ArchiveHandler)
    httpd.state = SimpleNamespace(content=b"", requests=[], breaks=0, ranges=True, status=200, etag='"1"')
    httpd.state.length, httpd.state.shift = "", 0
    httpd.state.url = f"http://127.0.0.1:{httpd.server_address[1]}/a.zip"
    thread = threading.Thread(target=functools.partial(httpd.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    yield httpd.state
    httpd.shutdown()
    httpd.server_close()


def zipped(root, top="SPRSound-1745/"):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                archive.write(path, top + path.relative_to(root).as_posix())
    return content.getvalue()


@pytest.fixture
def published(server, tmp_path):
    """A dataset whose archive the local server holds, with its checksum."""
    source = tmp_path / "source"
    sprsound.tiny(source)
    write_audio(source / "more.wav", 10.0)
    server.content = zipped(source)
    sha256 = hashlib.sha256(server.content).hexdigest()
    return SimpleNamespace(NAME="sprsound", ARCHIVES=(Archive(server.url, sha256),), verify=lambda *_: [])


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "source")


def test_download_unpacks_a_copy_that_loads(published, server, tmp_path):
    to = fetch.fetch(published, tmp_path / "copy", progress=False)
    assert len(sprsound.load(to)) == 3
    assert server.requests == [None]
    assert left(tmp_path) == ["copy"]  # no archive, no partial file


def test_download_goes_on_where_the_connection_broke(published, server, tmp_path):
    server.breaks = 2
    fetch.fetch(published, tmp_path / "copy", progress=False)
    assert server.requests[:2] == [None, f"bytes={len(server.content) // 2}-"]
    assert len(server.requests) == 3
    assert len(sprsound.load(tmp_path / "copy")) == 3


def test_download_goes_on_in_the_next_call(published, server, tmp_path):
    half = len(server.content) // 2
    (tmp_path / "copy.1.zip.part").write_bytes(server.content[:half])
    fetch.fetch(published, tmp_path / "copy", progress=False)
    assert server.requests == [f"bytes={half}-"]
    assert left(tmp_path) == ["copy"]


def test_download_that_had_all_but_its_end(published, server, tmp_path):
    (tmp_path / "copy.1.zip.part").write_bytes(server.content)
    fetch.fetch(published, tmp_path / "copy", progress=False)
    assert left(tmp_path) == ["copy"]


@pytest.mark.parametrize("changed", ["no ranges", "another file"])
def test_download_begins_anew_where_it_cannot_go_on(published, server, tmp_path, changed):
    (tmp_path / "copy.1.zip.part").write_bytes(b"x" * 100)
    (tmp_path / "copy.1.zip.part.etag").write_text('"0"' if changed == "another file" else '"1"')
    server.ranges = changed != "no ranges"
    fetch.fetch(published, tmp_path / "copy", progress=False)
    assert server.requests == ["bytes=100-"]
    assert left(tmp_path) == ["copy"]


def test_download_with_a_wrong_checksum_leaves_nothing(published, server, tmp_path):
    published.ARCHIVES = (Archive(server.url, "0" * 64),)
    with pytest.raises(LaennecError, match="checksum is not the published one; it was removed"):
        fetch.fetch(published, tmp_path / "copy", progress=False)
    assert left(tmp_path) == []


def test_download_offline_keeps_what_has_come(published, tmp_path):
    published.ARCHIVES = (Archive("http://127.0.0.1:9/a.zip"),)
    (tmp_path / "copy.1.zip.part").write_bytes(b"x" * 100)
    start = time.monotonic()
    with pytest.raises(
        LaennecError, match=r"cannot be downloaded .*run the same command again once you are online"
    ):
        fetch.fetch(published, tmp_path / "copy", progress=False)
    assert time.monotonic() - start < WAIT_S  # it does not try for long
    assert (tmp_path / "copy.1.zip.part").stat().st_size == 100


def test_download_that_the_server_refuses(published, server, tmp_path):
    server.status = 404
    with pytest.raises(LaennecError, match=r"the server refused .*404"):
        fetch.fetch(published, tmp_path / "copy", progress=False)
    assert not (tmp_path / "copy").exists()


def test_download_shows_progress(published, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # with it, Rich takes anything for a terminal
    fetch.fetch(published, tmp_path / "copy", progress=True)
    assert "Downloading" in capsys.readouterr().err


def test_download_without_a_checksum_is_verified_by_contents(published, server, tmp_path, monkeypatch):
    published.ARCHIVES = (Archive(server.url),)
    published.verify = sprsound.verify
    index = sprsound.digests(tmp_path / "source")
    monkeypatch.setattr(sprsound, "read_index", lambda: index)
    fetch.fetch(published, tmp_path / "copy", progress=False)
    write_audio(tmp_path / f"source/train_wav/{TRAIN}.wav", seed=99)
    server.content = zipped(tmp_path / "source")
    with pytest.raises(
        LaennecError, match=f"in 1 places, .* unreadable: {TRAIN}: its samples are not those published"
    ):
        fetch.fetch(published, tmp_path / "other", progress=False)
    assert not (tmp_path / "other").exists()


def test_verify_tells_lost_and_relabelled_recordings(tmp_path, monkeypatch):
    sprsound.tiny(tmp_path)
    index = sprsound.digests(tmp_path)
    monkeypatch.setattr(sprsound, "read_index", lambda: {**index, "gone": ("0", "0")})
    path = tmp_path / f"train_json/{TRAIN}.json"
    annotation = json.loads(path.read_text())
    annotation["event_annotation"].reverse()
    path.write_text(json.dumps(annotation))
    assert [defect.kind for defect in sprsound.verify(tmp_path)] == [
        "missing"
    ]  # order of events is no difference
    annotation["event_annotation"][0]["type"] = "Stridor"
    path.write_text(json.dumps(annotation))
    assert [defect.kind for defect in sprsound.verify(tmp_path)] == ["conflicting annotation", "missing"]


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"]
)
def test_unpack_refuses_paths_outside(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("top/good.txt", "good")
        archive.writestr(zipfile.ZipInfo(name), "evil")
    with pytest.raises(LaennecError, match="unsafe path"):
        fetch.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not list(tmp_path.rglob("evil.txt"))


def test_unpack_refuses_links_and_half_archives(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(LaennecError, match="unsafe path 'link'"):
        fetch.unpack(tmp_path / "a.zip", tmp_path / "out")
    (tmp_path / "b.zip").write_bytes(b"PK half of it")
    with pytest.raises(LaennecError, match="not a whole zip archive"):
        fetch.unpack(tmp_path / "b.zip", tmp_path / "out")


@pytest.mark.parametrize("name", ["", ".", "./", "./.", "a/..", ".."])
def test_unpack_refuses_names_that_are_no_file(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        member = zipfile.ZipInfo("x")
        member.filename = name if name != "./" else "."  # which would be a folder
        archive.writestr(member, "evil")
    with pytest.raises(LaennecError, match="unsafe path"):
        fetch.unpack(tmp_path / "a.zip", tmp_path / "out")


def changed(path, name="a.wav", content=b"0" * 1000, **bits):
    """A zip archive whose headers say something else than what is in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    raw = bytearray(path.read_bytes())
    local, central = raw.index(b"PK\3\4"), raw.index(b"PK\1\2")
    for at, (offset_local, offset_central, value) in bits.items():
        size = 4 if at == "size" else 2
        raw[local + offset_local : local + offset_local + size] = value.to_bytes(size, "little")
        raw[central + offset_central : central + offset_central + size] = value.to_bytes(size, "little")
    path.write_bytes(raw)
    return path


def test_unpack_refuses_what_is_encrypted_packed_oddly_or_damaged(tmp_path):
    with pytest.raises(LaennecError, match=r"'a\.wav' is encrypted; not unpacked"):
        fetch.unpack(changed(tmp_path / "a.zip", flag=(6, 8, 1)), tmp_path / "out")
    with pytest.raises(LaennecError, match=r"cannot be unpacked \(.*compression"):
        fetch.unpack(changed(tmp_path / "b.zip", method=(8, 10, 97)), tmp_path / "out")
    damaged = changed(tmp_path / "c.zip", content=np.random.default_rng(0).bytes(2000))
    raw = bytearray(damaged.read_bytes())
    raw[60:70] = b"\xff" * 10
    damaged.write_bytes(raw)
    with pytest.raises(LaennecError, match="not a whole zip archive"):
        fetch.unpack(damaged, tmp_path / "out")


def test_unpack_refuses_bombs_full_disks_and_what_stands_twice(tmp_path, monkeypatch):
    bomb = changed(tmp_path / "a.zip", size=(22, 24, 3_000_000_000))
    with pytest.raises(LaennecError, match=r"holds 1 file of 3\.0 GB in 0\.0 MB, which is no data set"):
        fetch.unpack(bomb, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name in ("a/x.wav", "a/./x.wav"):
            archive.writestr(name, "x")
    with pytest.raises(LaennecError, match=r"holds 'a/x\.wav' 2 times"):
        fetch.unpack(tmp_path / "b.zip", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for name in ("a", "a/x.wav"):
            archive.writestr(name, "x")
    with pytest.raises(LaennecError, match="cannot be unpacked"):
        fetch.unpack(tmp_path / "c.zip", tmp_path / "out")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(LaennecError, match=r"needs 0\.0 GB, and the disk has 0\.0 GB left"):
        fetch.unpack(changed(tmp_path / "d.zip"), tmp_path / "out")


def test_download_of_what_cannot_be_unpacked_leaves_no_folder(published, server, tmp_path):
    server.content = changed(tmp_path / "source" / "a.zip", flag=(6, 8, 1)).read_bytes()
    published.ARCHIVES = (Archive(server.url),)
    with pytest.raises(LaennecError, match="is encrypted"):
        fetch.fetch(published, tmp_path / "copy", progress=False)
    assert left(tmp_path) == ["copy.1.zip"]


def test_download_from_a_server_that_states_no_length(published, server, tmp_path):
    server.length = "abc"
    fetch.fetch(published, tmp_path / "copy", progress=False)
    assert left(tmp_path) == ["copy"]


def test_download_that_is_too_slow_is_given_up_and_kept(published, server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "SLOW_S", 0.0)
    monkeypatch.setattr(fetch, "SLOWEST_BYTES", 1 << 30)
    with pytest.raises(LaennecError, match=r"fewer than .* bytes came in 0 s.*what has come is kept"):
        fetch.fetch(published, tmp_path / "copy", progress=False)
    assert (tmp_path / "copy.1.zip.part").stat().st_size > 0
    monkeypatch.undo()
    fetch.fetch(published, tmp_path / "copy", progress=False)
    assert left(tmp_path) == ["copy"]


@pytest.mark.parametrize("call", ["replace", "rename", "nothing"])
def test_a_download_that_is_killed_while_it_cleans_up(published, server, tmp_path, monkeypatch, call):
    def killed(*_):
        raise KeyboardInterrupt

    to = tmp_path / "copy"
    with monkeypatch.context() as patched:
        patched.setattr(fetch, "_remove", lambda *_: None)  # a killed process removes nothing
        patched.setattr(fetch.os, "getpid", lambda: 2**22 + 1)
        archive = fetch.retrieve(published.ARCHIVES[0], tmp_path / "copy.1.zip", progress=False)
        patched.setattr(Path, call, killed, raising=False)
        with pytest.raises(KeyboardInterrupt) if call != "nothing" else nullcontext():
            fetch.fetch(published, to, progress=False)
    if call == "nothing":
        with pytest.raises(LaennecError, match="already there"):
            fetch.fetch(published, to, progress=False)
    else:
        fetch.fetch(published, to, progress=False)
    assert len(server.requests) == 1
    assert left(tmp_path) == ["copy"]
    assert not archive.exists()


def test_download_that_gets_another_part_begins_anew(published, server, tmp_path):
    (tmp_path / "copy.1.zip.part").write_bytes(server.content[:100])
    server.shift = 50
    fetch.fetch(published, tmp_path / "copy", progress=False)
    assert server.requests == ["bytes=100-", None]
    assert left(tmp_path) == ["copy"]


def test_a_download_is_compared_with_the_first_one(published, server, tmp_path):
    published.ARCHIVES = (Archive(server.url),)
    fetch.fetch(published, tmp_path / "one", progress=False)
    server.content = zipped(tmp_path / "source", top="packed-again/")  # the same files in other bytes
    fetch.fetch(published, tmp_path / "two", progress=False)
    record = json.loads((tmp_path / "laennec-downloads.json").read_text())
    assert list(record) == [server.url]
    write_audio(tmp_path / "source" / "more.wav", 10.0, seed=5)
    server.content = zipped(tmp_path / "source")
    with pytest.raises(LaennecError, match=r"not what the same address gave on .*laennec-downloads\.json"):
        fetch.fetch(published, tmp_path / "three", progress=False)
    assert not (tmp_path / "three").exists()
    (tmp_path / "laennec-downloads.json").write_text("[")
    (tmp_path / "three.1.zip").unlink()
    with pytest.raises(LaennecError, match="no list of downloads"):
        fetch.fetch(published, tmp_path / "three", progress=False)


def test_download_into_what_is_there_or_of_what_is_yours(published, server, tmp_path):
    with pytest.raises(LaennecError, match="already there and not empty"):
        fetch.fetch(published, tmp_path / "source", progress=False)
    assert server.requests == []
    with pytest.raises(LaennecError, match="folder cannot be downloaded: it is your own data"):
        datasets.download("folder", tmp_path / "copy")
    with pytest.raises(
        LaennecError, match="kauh is not downloaded by Laennec: download it from https://data"
    ):
        datasets.download("kauh", tmp_path / "copy")


# ICBHI 2017 -----------------------------------------------------------------------------------------------


def test_icbhi_cycles_and_what_is_told_of_them(tmp_path):
    icbhi.tiny(tmp_path)
    clips = icbhi.load(tmp_path)
    assert clips["label"].tolist() == ["normal", "crackle", "wheeze", "both", "normal", "crackle"]
    row = clips.iloc[1]
    assert row["clip_id"] == "156_1b1_Tc_sc_Meditron-400-900"
    assert (row["subject"], row["age_years"], row["sex"], row["diagnosis"]) == ("156", 80.0, "male", "COPD")
    assert (row["location"], row["device"], row["split"]) == ("trachea", "Meditron", "train")
    assert clips[["age_years", "sex"]].iloc[4].isna().all()  # "NA" is not known
    assert icbhi.load(tmp_path, "record")["label"].tolist() == ["crackle", "both", "normal", "crackle"]
    pd.testing.assert_frame_equal(
        clips.drop(columns="path"),
        icbhi.load(tmp_path / "ICBHI_final_database").drop(columns="path"),
    )


def test_icbhi_copies_with_other_spellings_are_read_and_what_is_no_cycle_is_a_defect(tmp_path):
    icbhi.tiny(tmp_path)
    audio = tmp_path / "ICBHI_final_database"
    (audio / "218_1p1_Pr_sc_Litt3200.txt").rename(audio / "218_1p1_Pr_sc_Litt3200.TXT")
    (audio / "226_1b1_Pl_sc_LittC2SE.txt").write_text("0.2\t0.8\tcrackel\n")
    (tmp_path / icbhi.DEMOGRAPHICS_FILE).write_text(
        "156\t4m\tf\t28\tNA\tNA\n218\t<1\tm\tNA\tNA\tNA\n226\tx\tm\t1\t2\t3\n"
    )
    clips = icbhi.load(tmp_path).drop_duplicates("subject").set_index("subject")
    assert clips["age_years"].round(2).to_dict() == {"156": 0.33, "218": 0.5}
    assert clips["sex"].to_dict() == {"156": "female", "218": "male"}
    found = [defect.detail for defect in icbhi.check(tmp_path)]
    assert "patient 156: age '4m' is taken for 0.333 years" in found
    assert "patient 218: age '<1' is taken for 0.5 years" in found
    assert any(text.startswith("patient 226: age is 'x'") for text in found)
    assert "line 1 is 'crackel'; did you mean Crackle?" in found


def test_icbhi_says_what_is_odd_about_a_copy(tmp_path):
    icbhi.tiny(tmp_path)
    found = {defect.kind: defect.detail for defect in icbhi.check(tmp_path)}
    assert found["patient in two splits"].endswith("in both halves of the official split: 156, 218")
    assert found["renamed"] == "lists 226_1b1_Pl_sc_Meditron, whose file is 226_1b1_Pl_sc_LittC2SE"
    assert icbhi.load(tmp_path).set_index("recording")["split"]["226_1b1_Pl_sc_LittC2SE"] == "test"
    assert "1 of 5 listed recordings is not here (1 of test)" in found["missing"]
    odd = [defect.detail for defect in icbhi.check(tmp_path) if defect.kind == "odd form"]
    assert odd == ["lines end with CRLF; read all the same", "1 empty line; left out"]
    assert set(found) == {"patient in two splits", "renamed", "missing", "odd form"}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("0.1 0.9 0", "expected start, end, crackles and wheezes"),
        ("a b 0 0", "expected start, end, crackles and wheezes"),
        ("0.1 0.9 2 0", "expected start, end, crackles and wheezes"),
        ("0.1 0.9 0 0 0", "expected start, end, crackles and wheezes"),
        ("0.9 0.1 0 0", "it ends at 0.1 s, not after its start at 0.9 s"),
        ("0 nan 0 0", "end is nan, no number"),
    ],
)
def test_icbhi_names_a_line_that_is_no_cycle(line, what, tmp_path):
    icbhi.tiny(tmp_path)
    path = tmp_path / "ICBHI_final_database" / "218_1p1_Pr_sc_Litt3200.txt"
    path.write_text(f"0.1\t0.2\t0\t0\n\n{line}\n")
    clips = icbhi.load(tmp_path)
    assert (clips["subject"] == "218").sum() == 1
    (said,) = [text for text in clips.attrs["defects"] if text.startswith("malformed annotation")]
    assert f"line 3: {what}" in said


def test_icbhi_without_its_tables_and_without_anything(tmp_path):
    icbhi.tiny(tmp_path)
    for name in (icbhi.SPLIT_FILE, icbhi.DEMOGRAPHICS_FILE, icbhi.DIAGNOSIS_FILE):
        (tmp_path / name).unlink()
    clips = icbhi.load(tmp_path)
    assert len(clips) == 6
    assert clips[["split", "age_years", "diagnosis"]].isna().all().all()
    (tmp_path / "empty").mkdir()
    with pytest.raises(LaennecError, match="no ICBHI annotation"):
        icbhi.load(tmp_path / "empty")
    with pytest.raises(LaennecError, match="no such folder"):
        icbhi.load(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(LaennecError, match="not a folder"):
        icbhi.load(tmp_path / "file")


def test_icbhi_verify_compares_with_the_published_counts(tmp_path, monkeypatch):
    icbhi.tiny(tmp_path)
    wrong = {defect.path: defect.detail for defect in icbhi.verify(tmp_path)}
    assert wrong["recordings"] == "4 found, 920 published"
    assert wrong["crackle cycles"] == "2 found, 1864 published"
    monkeypatch.setattr(icbhi, "RECORDINGS", 4)
    monkeypatch.setattr(icbhi, "PATIENTS", 3)
    monkeypatch.setattr(icbhi, "CYCLES", {"normal": 2, "crackle": 2, "wheeze": 1, "both": 1})
    monkeypatch.setattr(icbhi, "SPLIT_RECORDINGS", {"train": 2, "test": 2})
    assert [defect.kind for defect in icbhi.verify(tmp_path)] == ["missing"]  # the one that the list has
    path = tmp_path / icbhi.SPLIT_FILE
    path.write_bytes(path.read_bytes().replace(b"218_9p9_Pr_sc_Litt3200\ttest\r\n", b""))
    assert icbhi.verify(tmp_path) == []


def test_download_puts_plain_files_beside_what_it_unpacks(server, tmp_path):
    source = tmp_path / "source"
    icbhi.tiny(source)
    server.content = zipped(source / "ICBHI_final_database")
    published = SimpleNamespace(
        NAME="icbhi",
        ARCHIVES=(
            Archive(server.url),
            Archive(server.url.rsplit("/", 1)[0] + f"/{icbhi.SPLIT_FILE}"),
        ),
        verify=lambda *_: [],
    )
    to = fetch.fetch(published, tmp_path / "copy", progress=False)
    assert len(icbhi.load(to)) == 6
    assert (to / icbhi.SPLIT_FILE).read_bytes() == server.content
    assert left(tmp_path) == ["copy", "laennec-downloads.json"]


# A multichannel cohort ------------------------------------------------------------------------------------


def test_multichannel_labels_by_cycle_channel_and_recording(tmp_path):
    multichannel.tiny(tmp_path)
    clips = multichannel.load(tmp_path)
    one = clips[clips["recording"] == "a"]
    told = dict(
        zip(one["clip_id"], zip(one["label"], one["channel"], one["location"], strict=True), strict=True)
    )
    assert told == {
        "a-100-500-ch0": ("normal", 0, "top"),
        "a-100-500-ch1": ("normal", 1, "base"),
        "a-500-900-ch0": ("normal", 0, "top"),
        "a-500-900-ch1": ("crackle", 1, "base"),
    }
    assert one["inspiration_end_s"].dropna().unique().tolist() == [0.25]
    two = clips[clips["recording"] == "b"]
    assert len(two) == 2 * 3  # whole cycles of the airflow, on both channels
    assert (two["channel"] == 0).all()  # a file each
    assert set(two[two["location"] == "top"]["label"]) == {"crackle"}
    assert set(two[two["location"] == "base"]["label"]) == {"normal"}
    share = (two["inspiration_end_s"] - two["start_s"]) / (two["end_s"] - two["start_s"])
    assert share.between(0.45, 0.55).all()
    records = multichannel.load(tmp_path, "record").set_index("clip_id")["label"]
    assert records.to_dict() == {"a-ch0": "normal", "a-ch1": "crackle", "b-ch0": "crackle", "b-ch1": "normal"}
    assert multichannel.check(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("cycles.csv", "recording,start_s,end_s\nc,0,1\n", "line 2: recording 'c' is not in recordings.csv"),
        ("cycles.csv", "recording,start_s,end_s\na,0.5,0.2\n", "line 2: the cycle runs from 0.5 to 0.2 s"),
        (
            "cycles.csv",
            "recording,start_s,end_s,channel\na,0,0.5,7\n",
            "a has no channel 7, from 0; it has 2",
        ),
        (
            "cycles.csv",
            "recording,start_s,end_s,inspiration_end_s\na,0,0.5,0.6\n",
            "inspiration ends at 0.6 s, outside",
        ),
        ("labels.csv", "recording,label\na,crackle\n", "b, channel 0: no label in cycles.csv"),
        ("recordings.csv", "recording,subject\na,s1\na,s2\n", "line 3: a is there twice"),
        (
            "recordings.csv",
            "recording,subject,label\na,s1,normal\ngone,s2,\n",
            r"neither gone.wav nor gone_ch0.wav",
        ),
        ("recordings.csv", "recording,subject,sex,label\na,s1,x,normal\n", "sex is 'x'"),
        (
            "recordings.csv",
            "recording,subject,split,label\na,s1,dev,normal\n",
            "split is 'dev'; expected train",
        ),
        ("recordings.csv", "recording,subject,label\na,NA,normal\n", "recording or subject is empty"),
        ("cycles.csv", "recording,start_s,end_s\na,0,1e308\n", "line 2: end_s is '1e308'; expected a number"),
        ("cycles.csv", "recording,start_s,end_s\na,0,x\n", "line 2: end_s is 'x'; expected a number"),
        ("labels.csv", "recording,label\na,crackle\na.wav,normal\n", "line 3: a is there twice"),
        ("labels.csv", "recording,label\na,\n", "line 2: label is empty"),
        ("channels.csv", "channel,location\n0,top\n0,base\n", "line 3: 0 is there twice"),
        ("channels.csv", "channel,location\nx,top\n", "line 2: channel is 'x'; expected 0, 1"),
    ],
)
def test_multichannel_names_what_is_wrong(file, text, message, tmp_path):
    multichannel.tiny(tmp_path)
    if file == "recordings.csv":
        (tmp_path / "labels.csv").unlink()  # which names a recording that is gone
    (tmp_path / file).write_text(text)
    with pytest.raises(LaennecError, match=message):
        multichannel.load(tmp_path)


def test_multichannel_names_in_other_spellings(tmp_path):
    multichannel.tiny(tmp_path)
    sounds = tmp_path / "recordings"
    (sounds / "a.wav").rename(sounds / "Jose\u0301.WAV")
    (sounds / "b.airflow.wav").rename(sounds / "b.airflow.WAV")
    for table in ("recordings.csv", "cycles.csv"):
        text = (tmp_path / table).read_text()
        (tmp_path / table).write_text(text.replace("\na,", "\nJos\u00e9.wav,").replace("44", "4 months"))
    clips = multichannel.load(tmp_path)
    assert set(clips["recording"]) == {"b", "Jos\u00e9"}
    assert len(clips) == 10
    assert [defect.kind for defect in multichannel.check(tmp_path)] == ["odd form"]
    write_audio(sounds / "b_ch0.flac", seed=3)
    with pytest.raises(LaennecError, match=r"b_ch0\.wav: b_ch0\.flac has the same name; remove one"):
        multichannel.load(tmp_path)


def test_multichannel_without_cycles_or_a_table(tmp_path):
    multichannel.tiny(tmp_path)
    (tmp_path / "recordings" / "b.airflow.wav").unlink()
    with pytest.raises(LaennecError, match=r"b has no cycles in cycles.csv and no b.airflow.wav"):
        multichannel.load(tmp_path)
    (tmp_path / "recordings.csv").unlink()
    with pytest.raises(LaennecError, match="it names each recording and its subject"):
        multichannel.load(tmp_path)


def test_a_folder_is_known_by_its_files(tmp_path):
    for name, module in datasets.data_sets().items():
        module.tiny(tmp_path / name)
        assert datasets.guess(tmp_path / name) == name
    assert datasets.guess(tmp_path / "icbhi" / "ICBHI_final_database") == "icbhi"
    (tmp_path / "empty").mkdir()
    with pytest.raises(LaennecError, match="no recordings of a known layout"):
        datasets.guess(tmp_path / "empty")
    with pytest.raises(LaennecError, match="no such file or folder"):
        datasets.guess(tmp_path / "gone")


def test_multichannel_names_labels_of_what_is_not_there_and_reads_other_columns(tmp_path):
    multichannel.tiny(tmp_path)
    path = tmp_path / "recordings.csv"
    path.write_text(path.read_text().replace("label\n", "label,notes\n", 1))
    assert len(multichannel.load(tmp_path)) == 10
    labels = tmp_path / "labels.csv"
    good = labels.read_text()
    labels.write_text(good + "B,0,crackle\n")
    with pytest.raises(LaennecError, match=r"line 4: recording 'B' is not in recordings.csv"):
        multichannel.load(tmp_path)
    labels.write_text(good + "a,7,crackle\n")
    with pytest.raises(LaennecError, match="a has no channel 7, from 0; it has 2"):
        multichannel.load(tmp_path)


# The real recordings --------------------------------------------------------------------------------------


def real(*parts):
    if not os.environ.get("LAENNEC_DATA"):
        pytest.skip("LAENNEC_DATA does not name the real recordings")
    return Path(os.environ["LAENNEC_DATA"]).joinpath(*parts)


@pytest.mark.real
def test_sprsound_table_1():
    """Chen & Zhang, Table 1, and Zhang et al. 2022: events, records, recordings and patients."""
    root = real("SPRSound")
    clips = sprsound.load(root)
    assert clips["label"].value_counts().to_dict() == {
        "Normal": 5159,
        "Rhonchi": 39,
        "Wheeze": 452,
        "Stridor": 15,
        "Coarse Crackle": 49,
        "Fine Crackle": 912,
        "Wheeze+Crackle": 30,
    }
    records = sprsound.load(root, "record")
    assert records["label"].value_counts().to_dict() == {
        "Normal": 1303,
        "DAS": 248,
        "Poor Quality": 177,
        "CAS": 126,
        "CAS & DAS": 95,
    }
    assert set(records["label"]) == set(SPRSOUND_RECORDS)
    assert len(records) == records["recording"].nunique() == 1949
    assert records["subject"].nunique() == 251
    assert set(records["split"]) == {"train"}
    assert clips.attrs["defects"] == records.attrs["defects"] == []


@pytest.mark.real
def test_sprsound_training_set_is_sound_and_is_the_indexed_one(some_sprsound):
    """Every recording is there; those of some patients are decoded and compared."""
    indexed = set(sprsound.read_index())
    assert {path.stem for path in (real("SPRSound") / "train_wav").iterdir()} == indexed
    assert sprsound.check(some_sprsound) == []
    here = {path.stem for path in (some_sprsound / "train_wav").iterdir()}
    lacking = sprsound.verify(some_sprsound)
    assert {defect.kind for defect in lacking} == {"missing"}, "those that are here are as published"
    assert {defect.path for defect in lacking} == indexed - here
    assert len(here) > 100


def test_a_header_that_promises_years_of_sound_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.sin(np.arange(8_000)) / 2, 8_000)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the upper bits of "total samples" (RFC 9639, section 8.2)
    path.write_bytes(content)
    facts, defects = datasets.sprsound.checks.read_audio([str(path)])
    assert (facts[str(path)].duration_s, defects) == (1.0, [])


@pytest.mark.real
def test_public_files_with_a_wrong_riff_header_can_be_read(tmp_path):
    paths = sorted(real("malformed").glob("*.wav"))
    facts, defects = datasets.sprsound.checks.read_audio(map(str, paths))
    assert len(facts) == len(paths) == 4
    assert defects == []


@pytest.mark.real
def test_icbhi_subset():
    """What is beside the project: 151 of the official training half's recordings."""
    root = real("ICBHI")
    clips = icbhi.load(root)
    assert clips["label"].value_counts().to_dict() == {
        "normal": 945,
        "crackle": 321,
        "wheeze": 157,
        "both": 63,
    }
    assert clips["subject"].nunique() == 58
    assert clips["recording"].nunique() == 151
    assert set(clips["split"]) == {"train"}
    said = clips.attrs["defects"]
    assert any("in both halves of the official split: 156, 218" in text for text in said)
    assert any("769 of 920 listed recordings are not here" in text for text in said)
    assert (clips["end_s"] - clips["start_s"]).between(0.1999, 16.2).all()
    assert clips["diagnosis"].notna().all()


@pytest.mark.parametrize("module", [folder, sprsound, icbhi])
def test_a_folder_that_cannot_be_read_is_a_defect(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module.tiny(tmp_path)
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def locked(path: str) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert [defect.path for defect in module.check(tmp_path) if defect.kind == "unreadable"] == [
        str(tmp_path / "locked")
    ]


# KAUH and HLS-CMDS ------------------------------------------------------------------------------------------


def test_kauh_is_read_from_its_names(tmp_path):
    kauh.tiny(tmp_path)
    clips = kauh.load(tmp_path).set_index("recording")
    assert list(clips.index.str[:3]) == ["BP1", "BP2", "BP3", "BP4", "BP5", "DP1", "EP1"]
    assert list(clips["label"]) == ["wheeze", "normal", "crackle", "both", "bronchial", "wheeze", "wheeze"]
    assert clips["subject"].nunique() == 5
    first, second, third, fourth = (clips.iloc[row] for row in range(4))
    assert (first["age_years"], first["sex"], first["diagnosis"]) == (70.0, "male", "asthma")
    assert first["device"] == "Littmann 3200 bell"
    assert [row["location"] for row in (first, second, fourth)] == [
        "left-posterior",
        "right-anterior",
        "right-posterior",
    ]
    assert third["location"] is None
    assert [defect for defect in clips.attrs["defects"] if "place 'P L L R'" in defect]
    canonical = datasets.load("kauh", tmp_path, "record")
    assert "bronchial" not in set(canonical["label"])


@pytest.mark.parametrize(
    ("sound", "label"),
    [("N", "normal"), ("E W", "wheeze"), ("I C", "crackle"), ("I C B", "crackle"), ("I C E W", "both")],
)
def test_kauh_spells_sounds_in_letters(sound, label):
    assert kauh.label_of(sound) == label


@pytest.mark.parametrize("sound", ["", "I E", "X", "N W"])
def test_kauh_names_a_sound_that_is_none(sound, tmp_path):
    with pytest.raises(ValueError, match="sound"):
        kauh.label_of(sound)
    write_audio(tmp_path / f"BP9_Asthma,{sound},P L L,70,M.wav")
    write_audio(tmp_path / "BP8_N,N,P L L,70,M.wav")
    clips = kauh.load(tmp_path)
    assert list(clips["subject"]) == ["8"]
    assert "malformed annotation" in clips.attrs["defects"][0]


def test_the_manikin_is_one_patient_and_names_what_is_not_there(tmp_path):
    hls_cmds.tiny(tmp_path)
    clips = hls_cmds.load(tmp_path)
    assert list(clips["label"]) == ["Fine Crackles", "Normal", "Pleural Rub", "Wheezing"]
    assert set(clips["subject"]) == {"manikin"}
    assert list(clips["location"]) == ["left-anterior"] * 2 + ["right-anterior"] * 2
    told = " ".join(clips.attrs["defects"])
    assert "line 6: M_R_RLA: no such recording" in told
    assert "line 7: 'Weezing'" in told
    assert "lists F_C_LUA, whose file is F_FC_LUA" in told
    with pytest.raises(LaennecError, match="labels of whole recordings"):
        hls_cmds.load(tmp_path, "event")


def test_real_kauh_and_manikin(real_data):
    clips = kauh.load(real_data / "KAUH")
    assert len(clips) == 162
    assert clips["subject"].nunique() == 54
    assert clips["label"].value_counts().to_dict() == {
        "wheeze": 66, "normal": 48, "crackle": 39, "both": 6, "bronchial": 3
    }  # fmt: skip
    assert len(hls_cmds.load(real_data / "HLS-CMDS")) == 50


# Breath phases, and what is no lung ------------------------------------------------------------------------


def test_breath_phases_keep_the_clips_of_a_recording_together(tmp_path):
    hf_lung.tiny(tmp_path)
    clips = hf_lung.load(tmp_path)
    assert list(clips["label"]) == ["inspiration", "expiration", "inspiration", "expiration"]
    assert list(clips["subject"].str[-2:]) == ["11", "11", "11", "12"]
    assert set(clips["device"]) == {"electronic stethoscope"}
    told = " ".join(clips.attrs["defects"])
    assert "line 6: 'X' is not I or E" in told
    assert "line 7: steth_20180814_09_37_14_000: no such clip" in told
    write_audio(tmp_path / "own.wav")
    with open(tmp_path / "labels.csv", "a") as file:
        file.write("own,e\nown,I\n")
    clips = hf_lung.load(tmp_path).set_index("recording")
    assert (clips.loc["own", "subject"], clips.loc["own", "label"]) == ("own", "expiration")
    assert "own is listed twice" in " ".join(clips.attrs["defects"])
    (tmp_path / "labels.csv").write_text("file,label\nown,I\n")
    assert not hf_lung.MATCHES(tmp_path)
    with pytest.raises(LaennecError, match=r"labels\.csv: cannot be read"):
        hf_lung.load(tmp_path)


def test_what_is_no_lung_has_its_kind_from_the_sub_folder_and_is_a_persons_a_speakers_or_a_class(tmp_path):
    not_lung.tiny(tmp_path)
    write_audio(tmp_path / "music" / "tune.wav")
    write_audio(tmp_path / "lungs" / "1.wav")
    write_audio(tmp_path / "stray.wav")
    clips = not_lung.load(tmp_path).set_index("recording")
    assert clips["label"].value_counts().to_dict() == {"heart": 4, "speech": 4, "noise": 2, "music": 1}
    subjects = {
        "heart_circor/14241_AV": "heart_circor/14241",
        "heart_manikin/F_N_A": "heart_manikin",
        "heart_manikin/M_AF_LC": "heart_manikin",
        "speech_digits/1_jackson_3": "speech_digits/jackson",
        "environment/001_-_Dog_bark_1-100032-A": "environment/001",
        "speech_ours/anna/1": "speech_ours/anna",
        "music/tune": "music/tune",
    }
    assert clips.loc[list(subjects), "subject"].to_dict() == subjects
    assert clips.loc["music/tune", "device"] == "music"
    assert sum("lies in no sub-folder that begins with" in own for own in clips.attrs["defects"]) == 2


def test_folders_of_patients_are_not_taken_for_what_is_no_lung(tmp_path):
    for name in ("heart_failure/1.wav", "heart_failure_2/2.wav"):
        write_audio(tmp_path / name)
    assert datasets.guess(tmp_path) == "folder"
    write_audio(tmp_path / "noise" / "3.wav")
    assert datasets.guess(tmp_path) == "not-lung"
    write_audio(tmp_path / "healthy" / "4.wav")
    assert datasets.guess(tmp_path) == "folder"


@pytest.mark.parametrize("label", [*SOUND_KINDS, *hf_lung.LABELS["record"]])
def test_kinds_of_sound_and_phases_are_no_labels_of_lungs(label):
    assert as_record(label) is None


def test_real_phases_and_sounds_that_are_no_lung(real_data):
    phases = hf_lung.load(real_data / "HF_Lung_phase")
    assert phases["label"].value_counts().to_dict() == {"expiration": 2000, "inspiration": 2000}
    assert phases["subject"].nunique() == 2479
    sounds = not_lung.load(real_data / "not_lung")
    assert sounds["label"].value_counts().to_dict() == {"speech": 240, "noise": 200, "heart": 185}
    assert sounds.groupby("device")["subject"].nunique().to_dict() == {
        "environment": 5, "heart_circor": 160, "heart_manikin": 1, "speech_digits": 3
    }  # fmt: skip
    assert datasets.guess(real_data / "HF_Lung_phase") == "hf-lung"
    assert datasets.guess(real_data / "not_lung") == "not-lung"
