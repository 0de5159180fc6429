"""The sound inside a page."""

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from laennec.audio.recording import Recording
from laennec.audio.samples import resample
from laennec.output.html import data_uri
from laennec.output.spectrogram import SHOWN_S

RATE = 16_000  # Hz: has all that a stethoscope passes
LONG_S, LONG_RATE = 120.0, 8_000  # from this length on; 10 minutes are then 13 MB of page
PEAK = 10 ** (-3 / 20)  # -3 dBFS


class Sounds(NamedTuple):
    """The sound in a page."""

    elements: tuple[str, ...]  # HTML
    ids: Mapping[int, str]  # of the element that plays each channel
    note: str  # what they are, in a sentence


def sounds_of(recording: Recording, channels: Sequence[int]) -> Sounds:
    """Return each channel's sound, or the mean of all where that would make the page too large."""
    if recording.duration_s > SHOWN_S:
        return Sounds((), {}, f"The sound is longer than {SHOWN_S / 60:.0f} minutes and not in this page.")
    samples = recording.samples[list(channels)]
    mixed = recording.duration_s * len(channels) > SHOWN_S
    rate = min(recording.sample_rate, RATE if recording.duration_s <= LONG_S else LONG_RATE)
    elements = tuple(
        f'<audio class="screen" id="sound-{index}" controls preload="auto" aria-label="Sound {index}" '
        f'src="{data_uri(wav(row, recording.sample_rate, rate), "audio/wav")}"></audio>'
        for index, row in enumerate(samples.mean(axis=0, keepdims=True) if mixed else samples)
    )
    ids = {channel: f"sound-{0 if mixed else index}" for index, channel in enumerate(channels)}
    what = "the mean of the channels" if mixed else "the recording"
    note = (
        f"The sound in this page is {what} at {rate} Hz and 16 bit. "
        "Lung sounds are quiet, so it is scaled: its peak is at -3 dBFS."
    )
    return Sounds(elements, ids, note)


def wav(samples: npt.NDArray[np.float32], sample_rate: int, rate: int) -> bytes:
    """Return samples, ``(samples,)`` at `sample_rate`, as a 16-bit WAV at `rate` with a peak of -3 dBFS."""
    resampled = resample(samples, sample_rate, rate)
    peak = float(np.abs(resampled).max())
    written = io.BytesIO()
    scaled = resampled * (PEAK / peak) if peak > 0 else resampled
    soundfile.write(written, scaled, rate, format="WAV", subtype="PCM_16")
    return written.getvalue()
