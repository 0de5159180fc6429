"""De-identified copies hold the same samples and nothing else."""

import csv
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec.annotations import read_labels
from laennec.cli import main
from laennec.clinic.recordings import changed_at
from laennec.clinic.tags import strip_tags
from laennec.errors import LaennecError

SECRET = "Erika Mustermann"


def laennec(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return int(ended.value.code or 0)


def samples(subtype: str, channels: int = 1, length: int = 4001) -> np.ndarray:
    rng = np.random.default_rng(0)
    if subtype in ("FLOAT", "DOUBLE"):
        return rng.normal(0, 0.2, (length, channels))
    return rng.integers(-(2**31), 2**31, (length, channels), dtype=np.int64).astype(np.int32)


def recorded(folder: Path, *names: str) -> Path:
    """Make a folder with recordings of these names; the folder."""
    folder.mkdir(parents=True)
    for name in names:
        soundfile.write(folder / f"{name}.wav", samples("PCM_16"), 8000)
    return folder


def tagged(path: Path, subtype: str, channels: int = 1) -> Path:
    """A file with a name in its tags; a WAV file also with notes before and bytes behind the sound."""
    with soundfile.SoundFile(path, "w", 8000, channels, subtype) as file:
        file.artist, file.comment, file.date = SECRET, f"bed 3, {SECRET}", "2026-01-31"
        file.write(samples(subtype, channels))
    if path.suffix == ".wav":
        content = path.read_bytes()
        notes = f"patient {SECRET}".encode()
        notes += b"\0" * (len(notes) % 2)
        content = (
            content[:12]
            + b"bext"
            + struct.pack("<I", len(notes))
            + notes
            + content[12:]
            + b"\xff\xfe"
            + SECRET.encode()
        )
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"]
)
def test_a_wav_file_keeps_its_samples_and_nothing_else(tmp_path, subtype, channels):
    path = tagged(tmp_path / "a.wav", subtype, channels)
    before = soundfile.read(path, dtype="float64")[0]
    stripped = strip_tags(path)
    assert SECRET.encode() not in stripped.content
    (tmp_path / "b.wav").write_bytes(stripped.content)
    after = soundfile.info(tmp_path / "b.wav")
    assert (after.subtype, after.samplerate, after.channels) == (subtype, 8000, channels)
    assert np.array_equal(soundfile.read(tmp_path / "b.wav", dtype="float64")[0], before)
    assert any(part.startswith("bext") and SECRET in part for part in stripped.removed)
    assert any(part.startswith("LIST") for part in stripped.removed)
    assert any("behind the last chunk" in part for part in stripped.removed)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_flac_file_keeps_its_frames_and_nothing_else(tmp_path, subtype):
    path = tagged(tmp_path / "a.flac", subtype)
    before = soundfile.read(path, dtype="int32")[0]
    path.write_bytes(b"ID3\x04\0\0\0\0\0\x10" + SECRET.encode() + path.read_bytes())
    stripped = strip_tags(path)
    assert SECRET.encode() not in stripped.content
    (tmp_path / "b.flac").write_bytes(stripped.content)
    assert np.array_equal(soundfile.read(tmp_path / "b.flac", dtype="int32")[0], before)
    with soundfile.SoundFile(tmp_path / "b.flac") as file:
        assert not any(file.copy_metadata().values())
    assert [part.split(",")[0] for part in stripped.removed][:2] == ["ID3", "tags"]


def test_a_float_file_of_libsndfile_loses_the_time_of_its_peak(tmp_path):
    """libsndfile writes when a float file was made."""
    path = tagged(tmp_path / "a.wav", "FLOAT")
    assert b"PEAK" in path.read_bytes()
    assert b"PEAK" not in strip_tags(path).content


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    folder.mkdir()
    for name in ("mustermann_left", "mustermann_right", "anna_b"):
        tagged(folder / f"{name}.wav", "PCM_16")
    (folder / "anna_b.txt").write_text("0.1\t0.4\tWheeze\n")
    (folder / "notes.docx").write_text(SECRET)
    return folder


def test_a_folder_is_copied_without_names_tags_and_times(ward, tmp_path, capsys):
    out, secret = tmp_path / "shared", tmp_path / "secret.csv"
    assert laennec("deidentify", ward, "--out", out, "--map", secret) == 0
    assert "without bext" in capsys.readouterr().out
    names = sorted(path.name for path in out.iterdir())
    assert [name for name in names if name.endswith(".wav")] == [f"recording-000{k}.wav" for k in (1, 2, 3)]
    assert len(names) == 4
    assert len({os.stat(out / name).st_mtime for name in names}) == 1
    everything = b"".join((out / name).read_bytes() for name in names)
    for told in (SECRET, "mustermann", "anna"):
        assert told.encode() not in everything
    with secret.open() as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    kept = rows[str(ward / "anna_b.wav")]["written"].split()
    assert [(e.start_s, e.end_s, e.annotated) for e in read_labels(out / kept[1]).events] == [
        (0.1, 0.4, "Wheeze")
    ]
    assert np.array_equal(soundfile.read(out / kept[0])[0], soundfile.read(ward / "anna_b.wav")[0])


@pytest.mark.parametrize("command", ["dicom", "deidentify"])
def test_what_the_table_beside_a_copy_cannot_hold_is_said(command, tmp_path, capsys):
    if command == "dicom":
        pytest.importorskip("pydicom")
    ward = recorded(tmp_path / "ward", "a", "b", "c")
    event = '{"start": "100", "end": "200", "type": "Wheeze"}'
    (ward / "a.json").write_text(f'{{"record_annotation": "CAS", "event_annotation": [{event}]}}')
    (ward / "b.csv").write_text("start_s,end_s,label,patient,mood\n0.1,0.2,Wheeze,7,good\n0.2,0.3,,7,bad\n")
    (ward / "c.txt").write_text("0.1\t0.2\tWheeze\n0.3\t0.3\tcough\n")
    assert laennec(command, ward, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "  the recording's label CAS is not in the file: CSV has none\n" in said
    assert "  1 event without a label is not in the file\n" in said
    assert "  the columns patient, mood are not in the file\n" in said
    assert "  line 2: marks a point in time, no event; left out\n" in said
    assert command == "dicom" or said.count("but 1 label\n") == 3


def test_the_order_of_a_folder_tells_nothing(tmp_path):
    """Forty files keep the alphabet's order once in 40! draws."""
    folder = tmp_path / "ward"
    folder.mkdir()
    for k in range(40):
        soundfile.write(folder / f"{k:02d}.wav", np.full(100, k / 100), 8000)
    assert laennec("deidentify", folder, "--out", tmp_path / "out") == 0
    values = [soundfile.read(path)[0][0] for path in sorted((tmp_path / "out").glob("*.wav"))]
    assert values != sorted(values)
    assert len(set(values)) == 40


def test_what_cannot_be_vouched_for_is_not_copied(ward, tmp_path, capsys):
    (ward / "broken.flac").write_bytes(b"fLaC\x04\0\0\x40short")
    (ward / "song.mp3").write_bytes(b"ID3\x04\0\0\0\0\0\x04abcd\xff\xfb")
    (ward / "mustermann_left.json").write_text("{")
    out = tmp_path / "shared"
    assert laennec("deidentify", ward, "--out", out) == 1
    said = capsys.readouterr()
    assert "broken.flac" in said.err
    assert "mustermann_left.json" in said.err
    assert len(list(out.glob("*.wav"))) == 2
    with pytest.raises(LaennecError, match="neither WAV nor FLAC"):
        strip_tags(ward / "notes.docx")


def test_wrong_places_are_refused(ward, tmp_path, capsys):
    out = tmp_path / "shared"
    assert laennec("deidentify", ward, "--out", out, "--map", out / "map.csv") == 2
    assert "would be shared" in capsys.readouterr().err
    assert laennec("deidentify", ward, "--out", ward / "inside") == 1
    out.mkdir()
    (out / "old.wav").write_bytes(b"")
    assert laennec("deidentify", ward, "--out", out) == 2
    assert "not empty" in capsys.readouterr().err


def test_labels_that_are_not_copied_are_named(tmp_path, capsys):
    """A label file of another folder stays behind, and a recording without one is counted."""
    ward = tmp_path / "ward"
    recorded(ward / "wav", "a", "b")
    (ward / "json").mkdir()
    (ward / "wav" / "a.txt").write_text("0.1\t0.2\tWheeze\n")
    (ward / "json" / "b.txt").write_text("0.1\t0.2\tWheeze\n")
    assert laennec("deidentify", ward, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "1 recording without labels: no label file of the same name lies in the same folder" in said
    assert (
        f"Labels left behind, since no recording of their name lies beside them: {ward / 'json' / 'b.txt'}"
        in said
    )
    assert len(list((tmp_path / "out").glob("*.csv"))) == 1
    assert laennec("deidentify", ward / "wav" / "a.wav", "--out", tmp_path / "one") == 0
    assert "without labels" not in capsys.readouterr().out


def test_what_is_not_there_is_said_as_elsewhere(tmp_path, capsys):
    assert laennec("deidentify", tmp_path / "gone.wav", "--out", tmp_path / "out") == 1
    assert "gone.wav: no such file\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["dicom", "deidentify"])
def test_an_empty_folder_of_several_stops_none_of_the_others(command, tmp_path, capsys):
    if command == "dicom":
        pytest.importorskip("pydicom")
    first, last = recorded(tmp_path / "first", "a"), recorded(tmp_path / "last", "b")
    empty = recorded(tmp_path / "empty")
    (last / "memo.dss").write_bytes(b"dss")
    assert laennec(command, first, empty, last, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"laennec: {empty}/: no audio file in it or below it (.wav, .flac")
    assert said.err.count("\n") == 1
    done = "written" if command == "dicom" else "copied"
    assert f"1 file with other endings passed over (.dss 1); name a file to have it {done}\n" in said.out
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert laennec(command, empty, empty, "--out", tmp_path / "none") == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["dicom", "deidentify"])
def test_every_label_file_that_stays_behind_is_named(command, tmp_path, capsys):
    """One of another name, and one of a recording whose labels are taken from another file."""
    if command == "dicom":
        pytest.importorskip("pydicom")
    ward = recorded(tmp_path / "ward", "a", "b")
    for name in ("a.txt", "a.TextGrid", "c.txt"):
        (ward / name).write_text("0.1\t0.2\tWheeze\n")
    (ward / "b.json").write_text("{")
    assert laennec(command, ward, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "  a.TextGrid is left behind: the labels are those of a.txt\n" in said.out
    assert f"since no recording of their name lies beside them: {ward / 'c.txt'}\n" in said.out
    assert "b.json" in said.err
    assert laennec(command, ward / "a.wav", "--out", tmp_path / "one") == 0
    assert "  a.TextGrid is left behind" in capsys.readouterr().out


def test_the_time_that_is_taken_off_can_be_read(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", samples("PCM_16"), 8000)
    os.utime(tmp_path / "a.wav", (0, 1795849799))
    assert laennec("deidentify", tmp_path / "a.wav", "--out", tmp_path / "out") == 0
    assert "  without time 2026-11-28 07:09:59 UTC\n" in capsys.readouterr().out


class Late(type(Path())):
    """A file of the year 33658, which few disks can hold."""

    def stat(self, **_):
        return os.stat_result((0,) * 8 + (10**12, 0))


def test_a_time_beyond_all_calendars_is_one_sentence():
    with pytest.raises(LaennecError, match=r"a\.wav: the time of the file is no date"):
        changed_at(Late("a.wav"))
