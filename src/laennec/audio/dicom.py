"""Sound in DICOM: General Audio and Basic Voice Audio waveforms, by pydicom.

Samples are taken as they are stored, full scale being 1. A channel's sensitivity that makes them quieter
parts of full scale, as Laennec writes for quiet sound, is applied; one in other units, such as pascals, is
left alone.

Source: DICOM PS3.3, A.34.7 and A.34.10 (waveforms of audio), C.10.9 (waveform module).
"""

import io
from typing import Any

import numpy as np
import soundfile

from laennec.audio.level import STEP_16_BIT
from laennec.audio.media import MediaSound
from laennec.audio.samples import as_float32
from laennec.audio.source import Input
from laennec.errors import LaennecError

HOW_TO_READ = 'is DICOM, which is read with pydicom: pip install "laennec[clinic]"'
GENERAL_AUDIO, BASIC_VOICE = "1.2.840.10008.5.1.4.1.1.9.4.2", "1.2.840.10008.5.1.4.1.1.9.4.1"
MAGIC_AT = 128  # bytes of preamble before "DICM"
# By the interpretation of samples: the coding as a sound file has it, and how the bytes are read.
LINEAR = {"SS": ("PCM_16", "<i2"), "US": ("PCM_16", "<u2"), "SB": ("PCM_S8", "i1"), "UB": ("PCM_U8", "u1")}
OF_FULL_SCALE = ("1", "UCUM")  # code and scheme of the unit "no units"
COMPANDED = {"MB": "ULAW", "AB": "ALAW"}


def is_dicom(source: Input) -> bool:
    """Whether a file is one of DICOM, by its content."""
    return source.peek(MAGIC_AT, 4) == b"DICM"


def open_dicom(source: Input, name: str) -> MediaSound:
    """Open the sound of a DICOM file.

    Raises
    ------
    LaennecError
        If pydicom is not installed, the file is damaged, or holds something else than one waveform of sound.
    """
    try:
        import pydicom  # here, since it is optional
    except ImportError:
        raise LaennecError(f"{name}: {HOW_TO_READ}") from None
    try:
        dataset = pydicom.dcmread(io.BytesIO(source.peek(0, source.size)))
        kind = dataset.get("SOPClassUID", "")
        groups = dataset.get("WaveformSequence", [])
        samples, coding, rate = _samples(groups[0]) if len(groups) == 1 else (None, "", 0)
        factors = _factors(groups[0]) if samples is not None else ()
    except Exception as error:  # pydicom raises whatever its parsing meets
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LaennecError(f"{name}: a damaged DICOM file ({reason})") from error
    if kind not in (GENERAL_AUDIO, BASIC_VOICE):
        held = getattr(kind, "name", "") or "an unknown object"
        raise LaennecError(f"{name}: is DICOM and holds {held}, no audio waveform")
    if samples is None:
        raise LaennecError(f"{name}: holds {len(groups)} waveforms; expected one")
    promised = int(groups[0].NumberOfWaveformSamples)  # fewer are there where the file is cut off
    sound = as_float32(samples, name)
    if len(factors) == sound.shape[1] and any(factor != 1 for factor in factors):
        sound, coding = sound * np.array(factors, np.float32), "FLOAT"
    return MediaSound(iter([sound]), rate, coding, promised)


def _factors(group: Any) -> tuple[float, ...]:
    """Return what the samples of each channel are multiplied by; 1 where they are stored as they are."""
    return tuple(map(_factor, group.get("ChannelDefinitionSequence", [])))


def _factor(channel: Any) -> float:
    units = (channel.get("ChannelSensitivityUnitsSequence") or [{}])[0]
    sensitivity = channel.get("ChannelSensitivity")
    is_of_full_scale = (units.get("CodeValue"), units.get("CodingSchemeDesignator")) == OF_FULL_SCALE
    if sensitivity is None or not is_of_full_scale:
        return 1.0
    correction = channel.get("ChannelSensitivityCorrectionFactor")
    factor = float(sensitivity) * (1.0 if correction is None else float(correction)) / STEP_16_BIT
    return factor if 0 < factor < 1 else 1.0  # louder than full scale: not parts of it


def _samples(group: Any) -> tuple[Any, str, int]:
    """Return ``(samples, channels)`` of a waveform, its coding and its sample rate in Hz."""
    channels, length = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    interpretation, data = str(group.WaveformSampleInterpretation), bytes(group.WaveformData)
    rate = round(float(group.SamplingFrequency))
    if interpretation in COMPANDED:
        coding = COMPANDED[interpretation]
        flat, _ = soundfile.read(
            io.BytesIO(data), dtype="int16", format="RAW", subtype=coding, samplerate=rate, channels=1
        )
    else:
        coding, kind = LINEAR[interpretation]
        size = np.dtype(kind).itemsize
        flat = np.frombuffer(data[: len(data) // size * size], kind)
    whole = flat[: length * channels].reshape(-1, channels)
    if interpretation == "US":
        return (whole.astype(np.int32) - 2**15).astype(np.int16), coding, rate
    if interpretation == "SB":
        return whole.astype(np.int16) * 256, coding, rate
    return np.ascontiguousarray(whole), coding, rate
