"""DICOM audio waveforms: written, read by pydicom alone, and read again by us."""

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

pydicom = pytest.importorskip("pydicom")

from pydicom.uid import CTImageStorage, GeneralAudioWaveformStorage

from laennec.annotations import read_labels
from laennec.audio.folder import audio_files
from laennec.audio.recording import Recording
from laennec.cli import main
from laennec.clinic.dicom import to_dicom, write_all
from laennec.errors import LaennecError, UsageError

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
RATE = 4000


def samples(channels: int = 1, length: int = 9000) -> np.ndarray:
    return np.random.default_rng(0).integers(-(2**15), 2**15, (length, channels), dtype=np.int16)


def stored(dataset: "pydicom.Dataset") -> bytes:
    held = io.BytesIO()
    pydicom.dcmwrite(held, dataset, enforce_file_format=True)
    return held.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
def test_pydicom_reads_what_we_write(channels):
    dataset = pydicom.dcmread(
        io.BytesIO(stored(to_dicom(samples(channels), RATE, AT, position="left-posterior")))
    )
    assert dataset.SOPClassUID == GeneralAudioWaveformStorage == "1.2.840.10008.5.1.4.1.1.9.4.2"
    assert dataset.Modality == "AU"
    assert dataset.PatientName == ""
    assert dataset.AcquisitionDateTime[:8] == "20260131"
    assert np.array_equal(dataset.waveform_array(0), samples(channels))
    group = dataset.WaveformSequence[0]
    assert group.SamplingFrequency == RATE
    sources = [each.ChannelSourceSequence[0] for each in group.ChannelDefinitionSequence]
    assert {(s.CodeValue, s.CodingSchemeDesignator) for s in sources} == {("109115", "DCM")}
    assert len(sources) == channels


@pytest.mark.parametrize("channels", [1, 2])
def test_we_read_it_like_a_sound_file(tmp_path, channels):
    content = stored(to_dicom(samples(channels), RATE, AT))
    soundfile.write(tmp_path / "a.wav", samples(channels), RATE, subtype="PCM_16")
    ours, theirs = Recording.read(content, "a.dcm"), Recording.read(tmp_path / "a.wav")
    assert np.array_equal(ours.samples, theirs.samples)
    assert (ours.sample_rate, ours.channels) == (RATE, channels)


@pytest.mark.parametrize(
    ("interpretation", "kind", "full"),
    [("US", "<u2", 2**16), ("SB", "i1", 2**8), ("UB", "u1", 2**8)],
)
def test_other_interpretations_of_samples(interpretation, kind, full):
    values = np.random.default_rng(1).integers(0, full, 5000).astype(kind if interpretation != "SB" else "u1")
    if interpretation == "SB":
        values = values.view("i1")
    dataset = to_dicom(samples(), RATE, AT)
    group = dataset.WaveformSequence[0]
    group.WaveformSampleInterpretation, group.WaveformBitsAllocated = interpretation, 8 * values.itemsize
    group.NumberOfWaveformSamples = len(values)
    group.add_new("WaveformData", "OB" if values.itemsize == 1 else "OW", values.tobytes())
    centre = 0 if interpretation == "SB" else full / 2
    expected = (values.astype(np.float64) - centre) / (full / 2)
    assert np.allclose(Recording.read(stored(dataset), "a.dcm").samples[0], expected, atol=1e-6)


@pytest.mark.parametrize(("interpretation", "subtype"), [("MB", "ULAW"), ("AB", "ALAW")])
def test_companded_samples(tmp_path, interpretation, subtype):
    soundfile.write(tmp_path / "a.wav", samples(), RATE, subtype=subtype)
    raw = io.BytesIO()
    soundfile.write(raw, samples(), RATE, subtype=subtype, format="RAW")
    dataset = to_dicom(samples(), RATE, AT)
    group = dataset.WaveformSequence[0]
    group.WaveformSampleInterpretation, group.WaveformBitsAllocated = interpretation, 8
    group.add_new("WaveformData", "OB", raw.getvalue())
    read = Recording.read(stored(dataset), "a.dcm")
    assert np.array_equal(read.samples, Recording.read(tmp_path / "a.wav").samples)


def test_what_holds_no_sound_is_one_sentence():
    image = to_dicom(samples(), RATE, AT)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    two = to_dicom(samples(), RATE, AT)
    two.WaveformSequence = [*two.WaveformSequence, *two.WaveformSequence]
    for dataset, said in ((image, "CT Image Storage, no audio"), (two, "2 waveforms; expected one")):
        with pytest.raises(LaennecError, match=said):
            Recording.open(stored(dataset), "a.dcm")
    whole = stored(to_dicom(samples(), RATE, AT))
    for cut in (140, 400):
        with pytest.raises(LaennecError, match=r"a\.dcm"):
            Recording.open(whole[:cut], "a.dcm")


def test_a_waveform_that_was_cut_off_is_truncated():
    dataset = to_dicom(samples(), RATE, AT)
    group = dataset.WaveformSequence[0]
    group.add_new("WaveformData", "OW", group.WaveformData[:8000])
    read = Recording.read(stored(dataset), "a.dcm")
    assert read.samples.shape == (1, 4000)
    assert "truncated" in {finding.kind for finding in read.warnings}


def test_a_folder_is_written_with_its_labels(tmp_path, capsys):
    folder = tmp_path / "ward"
    folder.mkdir()
    soundfile.write(folder / "a.wav", samples(2), RATE, subtype="PCM_16")
    soundfile.write(folder / "b.flac", samples().astype(np.float64)[:, 0] / 2**15, RATE, subtype="PCM_24")
    soundfile.write(folder / "c.wav", samples(3), RATE, subtype="PCM_16")
    (folder / "b.txt").write_text("0.5\t1.0\tWheeze\n")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["dicom", str(folder), "--out", str(out)])
    assert ended.value.code == 1
    assert "has 3 channels" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["a.dcm", "b.csv", "b.dcm"]
    assert [event.annotated for event in read_labels(out / "b.csv").events] == ["Wheeze"]
    assert np.array_equal(Recording.read(out / "a.dcm").samples, Recording.read(folder / "a.wav").samples)
    again = list(write_all([folder / "a.wav"], tmp_path / "again"))
    assert (tmp_path / "again" / "a.dcm").read_bytes() == (out / "a.dcm").read_bytes()
    assert not again[0].notes


def test_a_fault_in_the_labels_leaves_nothing_written(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", samples(), RATE, subtype="PCM_16")
    (tmp_path / "a.json").write_text("{")
    (done,) = write_all([tmp_path / "a.wav"], tmp_path / "out")
    assert "a.json" in done.error
    assert not list((tmp_path / "out").iterdir())


def test_the_waveform_is_analysed(tmp_path: Path):
    from laennec import analyze
    from laennec.simulate import simulate_dataset

    simulate_dataset(tmp_path / "s", subjects=1, seed=2, recordings_per_subject=1)
    (source,) = [p for p in (tmp_path / "s").rglob("*") if p.suffix in (".wav", ".flac")]
    (done,) = write_all([source], tmp_path / "out")
    assert analyze(done.files[0]).events == analyze(source).events


def test_a_position_is_one_of_the_known(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", samples(), RATE, subtype="PCM_16")
    with pytest.raises(UsageError, match=r"--position is 'nowhere'; expected trachea, left-anterior, .*"):
        list(write_all([tmp_path / "a.wav"], tmp_path / "out", "nowhere"))
    assert not (tmp_path / "out").exists()
    for given, label in (
        ("Left Posterior", "left-posterior"),
        ("p4", "right-lateral"),
        ("LUP", "left-posterior"),
    ):
        (written,) = write_all([tmp_path / "a.wav"], tmp_path / given, given)
        dataset = pydicom.dcmread(written.files[0])
        definition = dataset.WaveformSequence[0].ChannelDefinitionSequence[0]
        assert definition.ChannelLabel == label


def test_sound_in_dicom_is_found_in_folders_and_images_are_not(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "sound.dcm").write_bytes(stored(to_dicom(samples(), RATE, AT)))
    image = to_dicom(samples(), RATE, AT)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    (folder / "image.dcm").write_bytes(stored(image))
    (folder / "empty.dcm").write_bytes(b"")
    assert [path.name for path in audio_files(folder).paths] == ["sound.dcm"]


def test_quiet_floats_use_the_16_bits_and_come_back_as_loud(tmp_path, capsys):
    quiet = np.random.default_rng(0).uniform(-1e-4, 1e-4, (9000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "f.wav", quiet, RATE, subtype="FLOAT")
    with pytest.raises(SystemExit):
        main(["dicom", str(tmp_path / "f.wav"), "--out", str(tmp_path / "out")])
    assert "samples are multiplied by 8192" in capsys.readouterr().out
    read = Recording.read(tmp_path / "out" / "f.dcm")
    np.testing.assert_allclose(read.samples.T, quiet, atol=2.0**-16 / 8192 * 1.01)
    assert not read.silent_channels
    channel = pydicom.dcmread(tmp_path / "out" / "f.dcm").WaveformSequence[0].ChannelDefinitionSequence[1]
    assert float(channel.ChannelSensitivity) == pytest.approx(2.0**-15 / 8192)


def test_16_bits_that_are_quiet_stay_bit_for_bit(tmp_path):
    quiet = samples() // 4096
    soundfile.write(tmp_path / "a.wav", quiet, RATE, subtype="PCM_16")
    (done,) = write_all([tmp_path / "a.wav"], tmp_path / "out")
    assert not done.notes
    assert np.array_equal(pydicom.dcmread(done.files[0]).waveform_array(0), quiet)


def test_sensitivity_in_another_unit_is_left_alone():
    dataset = to_dicom(samples(), RATE, AT, gain=4)
    channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[0]
    before = Recording.read(stored(dataset), "a.dcm").samples
    channel.ChannelSensitivityUnitsSequence[0].CodeValue = "Pa"
    assert np.array_equal(Recording.read(stored(dataset), "a.dcm").samples, 4 * before)
