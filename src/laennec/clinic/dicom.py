"""Recordings written as DICOM General Audio Waveforms, with their labels as a table beside them.

Who the patient is, is left empty: the system that takes a file in fills it. Identities are made from the
sound, so the same recording has the same.

Sound that is quiet and finer than 16 bits is scaled up by a power of two, so that it uses them; the channel
sensitivity says what a sample is of full scale, and reading applies it.

Source: DICOM PS3.3, A.34.10 (General Audio Waveform), C.10.9.1.4 (channel sensitivity); PS3.16,
CID 3000 (audio channel source).
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, GeneralAudioWaveformStorage, generate_uid

from laennec.audio.dicom import OF_FULL_SCALE
from laennec.audio.level import STEP_16_BIT
from laennec.audio.recording import Recording
from laennec.clinic.recordings import LABELS, changed_at, labels_beside, table_of
from laennec.errors import LaennecError, UsageError
from laennec.files import holds, make_folder, refuse_loss, write_bytes
from laennec.patient import CHEST_PLACES, check_position
from laennec.version import __version__

# A label of DICOM has 16 letters: upper, middle and lower do not fit, and are left out.
PLACES = tuple(place for place in CHEST_PLACES if place.count("-") < 2)
MOST_CHANNELS = 2  # of General Audio
LARGEST_OCTAVES = 100  # of a gain; what is so quiet is no sound, and a smaller factor is no float
SOURCE = codes.CID3000.PhysiologicalAudioSignal


@dataclass(frozen=True)
class WrittenDicom:
    """What became of a recording: the files, and what changed; or why there is none."""

    source: Path
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    labels: Path | None = None
    """The label file that was written with it; None where none of its name lies beside it."""


def write_all(sources: Sequence[Path], out: Path, position: str | None = None) -> Iterator[WrittenDicom]:
    """Write recordings as DICOM files; a bad one does not stop the rest.

    A file that is there stays, unless it would be written again as it is: that is an error of its recording.

    Parameters
    ----------
    sources
        Recordings. A label file of a recording's name beside it becomes a CSV table beside the DICOM file.
    out
        Folder for the files, under the names of the recordings.
    position
        Where on the chest they were recorded, as the label of the channels: one of `PLACES`.

    Raises
    ------
    UsageError
        If the position is unknown, or two recordings would become the same file.
    """
    place = _place(position)
    make_folder(out)
    taken: dict[str, Path] = {}
    for source in sources:
        other = taken.setdefault(source.stem.lower(), source)
        if other != source:
            raise UsageError(f"{other} and {source} would both become {source.stem}.dcm; write them apart")
    for number, source in enumerate(sources, start=1):
        try:
            yield _one(source, out, number, place)
        except LaennecError as error:
            yield WrittenDicom(source, error=str(error))


def _place(position: str | None) -> str | None:
    try:
        return check_position(position, PLACES)
    except LaennecError as error:
        raise UsageError(f"--{error}") from None


def _one(source: Path, out: Path, number: int, position: str | None) -> WrittenDicom:
    recording = Recording.read(source)
    samples, gain, notes = sixteen_bits(recording)
    dataset = to_dicom(samples, recording.sample_rate, changed_at(source), number, position, gain)
    labels = labels_beside(source)  # before anything is written: a fault in them is one of both
    target = out / f"{source.stem}.dcm"
    held = io.BytesIO()
    pydicom.dcmwrite(held, dataset, enforce_file_format=True)
    contents, not_held = {target: held.getvalue()}, tuple[str, ...]()
    if labels is not None:
        contents[out / f"{source.stem}{LABELS.suffix}"], not_held = table_of(labels[1], source, target.name)
    for path, content in contents.items():
        refuse_loss(path, holds(content))
    for path, content in contents.items():
        write_bytes(path, content)
    notes = (*recording.repairs, *notes, *not_held)
    return WrittenDicom(source, tuple(contents), notes, labels=None if labels is None else labels[0])


def sixteen_bits(recording: Recording) -> tuple[NDArray[np.int16], float, tuple[str, ...]]:
    """Return ``(samples, channels)`` in 16 bits, what they are multiplied by, and what that changes.

    The factor is 1 for what 16 bits hold exactly, else the largest power of two that fits the peak.
    LaennecError for more than two channels, which General Audio does not have.
    """
    if recording.channels > MOST_CHANNELS:
        raise LaennecError(
            f"{recording.name}: has {recording.channels} channels; DICOM's General Audio has one or two"
        )
    exact = recording.samples.T.astype(np.float64) * 2.0**15
    peak, gain = float(np.abs(exact).max(initial=0.0)), 1.0
    if 0 < peak < 2.0**14 and not np.array_equal(exact, np.round(exact)):
        gain = 2.0 ** min(math.floor(math.log2((2**15 - 1) / peak)), LARGEST_OCTAVES)
    scaled = exact * gain
    rounded = np.clip(np.round(scaled), -(2**15), 2**15 - 1)
    change = float(np.abs(scaled - rounded).max(initial=0.0))
    notes = [f"samples are multiplied by {gain:g}, which the file says, to use 16 bits"] if gain > 1 else []
    notes += [f"samples are rounded to 16 bits, by {change:.2g} of one at most"] if change else []
    return np.ascontiguousarray(rounded.astype(np.int16)), gain, tuple(notes)


def to_dicom(
    samples: NDArray[np.int16],
    sample_rate: int,
    acquired: datetime,
    number: int = 1,
    position: str | None = None,
    gain: float = 1.0,
) -> FileDataset:
    """Return a General Audio Waveform of ``(samples, channels)``.

    Parameters
    ----------
    sample_rate
        Hz.
    acquired
        When it was recorded, with a time zone; the standard demands a time.
    number
        Of the recording in its series.
    position
        Label of the channels.
    gain
        What the samples were multiplied by, 1 or more.
    """
    meta = FileMetaDataset()
    entropy = [samples.tobytes().hex()[:4096], str(samples.shape), str(sample_rate), acquired.isoformat()]
    entropy += [] if gain == 1 else [str(gain)]
    meta.MediaStorageSOPClassUID = GeneralAudioWaveformStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*entropy, "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    for empty in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(dataset, empty, "")
    dataset.ReferringPhysicianName = ""
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[*entropy, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[*entropy, "series"])
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "AU", 1, number
    dataset.Manufacturer, dataset.SoftwareVersions = "", f"Laennec {__version__}"
    day, time = acquired.strftime("%Y%m%d"), acquired.strftime("%H%M%S")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = time
    dataset.AcquisitionDateTime = acquired.strftime("%Y%m%d%H%M%S%z")
    dataset.AcquisitionContextSequence = []
    dataset.WaveformSequence = [_group(samples, sample_rate, position, gain)]
    return dataset


def _group(samples: NDArray[np.int16], sample_rate: int, position: str | None, gain: float) -> Dataset:
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformSamples, group.NumberOfWaveformChannels = samples.shape
    group.SamplingFrequency = sample_rate
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.ChannelDefinitionSequence = [_channel(k, position, gain) for k in range(samples.shape[1])]
    group.add_new("WaveformData", "OW", samples.astype("<i2").tobytes())
    return group


def _coded(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _channel(number: int, position: str | None, gain: float) -> Dataset:
    channel = Dataset()
    channel.WaveformChannelNumber, channel.WaveformBitsStored = number + 1, 16
    channel.ChannelSourceSequence = [_coded(SOURCE.value, SOURCE[1], SOURCE.meaning)]
    if gain != 1:
        channel.ChannelSensitivity = f"{STEP_16_BIT / gain:.9g}"
        channel.ChannelSensitivityUnitsSequence = [_coded(*OF_FULL_SCALE, "no units")]
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "1", "0"
    if position:
        channel.ChannelLabel = position
    return channel
