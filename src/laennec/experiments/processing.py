"""What a teacher, an app or a phone does to a recording of lungs before others hear it.

Each takes samples ``(samples,)`` and their rate, and gives samples of that rate or the bytes of a sound file.
The length stays, but for loops, which last `LOOPED_S`, an announcement, which stands before the lungs, and
MP3 of 32 kbit/s, which begins 31 ms late.
Whatever is drawn is drawn from the samples, so that a recording always becomes the same.
"""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.audio.samples import Array, resample
from laennec.experiments.invariances import stored

Floats = NDArray[np.floating[Any]]
Filter = Callable[[Array, int], Array]
Process = Callable[[Array, int], Array | bytes]
Voice = Callable[[int], tuple[Floats, int]]
"""From the number of a speaker to samples and their rate."""

AS_IT_IS = "as it is"
LOOP_S, LOOPED_S, CROSSFADE_S = 5.0, 60.0, 0.1  # two breaths of a child, a film's minute, an editor's default
ANNOUNCEMENT_S = 2.0
MUSIC_HZ, CALL_HZ = 44100, 48000  # what editors save as MP3, what Opus works at
PIVOT_HZ, LOWEST_HZ = 200.0, 50.0  # a tilt turns about the one and is level below the other
DRIVE = 4.0  # 12 dB above full scale
BANDS_HZ = np.geomspace(50.0, 1900.0, 17)  # of an equaliser towards a usual spectrum
BELOW_DB, LOUDER_DB = -20.0, 10.0  # against the recording's deviation


def through(gain: Callable[[Floats], Floats]) -> Filter:
    """A filter that delays nothing, by its gain at each frequency in Hz."""

    def change(samples: Array, rate: int) -> Array:
        spectrum = np.fft.rfft(samples) * gain(np.fft.rfftfreq(samples.size, 1 / rate))
        return np.asarray(np.fft.irfft(spectrum, samples.size), np.float32)

    return change


def band(low_hz: float, high_hz: float) -> Filter:
    """What an app's bell or diaphragm passes: Butterworth's gain, 24 dB an octave beyond either end."""

    def gain(hz: Floats) -> Floats:
        below, above = (low_hz / np.maximum(hz, 1e-3)) ** 8, (hz / high_hz) ** 8
        return np.asarray(1 / np.sqrt((1 + below) * (1 + above)))

    return through(gain)


def tilt(db_per_octave: float) -> Filter:
    """An equaliser, at the peak that was."""

    def gain(hz: Floats) -> Floats:
        octaves = np.log2(np.maximum(hz, LOWEST_HZ) / PIVOT_HZ)
        return np.asarray(10.0 ** (db_per_octave * octaves / 20))

    equalised = through(gain)
    return lambda samples, rate: peaking(equalised(samples, rate), peak(samples))


def spectrum(samples: Array, rate: int) -> Floats:
    """Mean power in `BANDS_HZ` in natural logarithms, less their mean, ``(bands,)``."""
    power, hz = np.abs(np.fft.rfft(samples)) ** 2, np.fft.rfftfreq(samples.size, 1 / rate)
    place = np.digitize(hz, BANDS_HZ)
    sums = np.array([power[place == k].mean() for k in range(1, len(BANDS_HZ))])
    bands = np.log(np.maximum(sums, 1e-12 * sums.max() + 1e-30))
    return np.asarray(bands - bands.mean())


def equalised(target: Floats, share: float) -> Filter:
    """Brings the spectrum of a recording so much of the way to a target."""
    middles = np.sqrt(BANDS_HZ[1:] * BANDS_HZ[:-1])

    def change(samples: Array, rate: int) -> Array:
        gains = 0.5 * share * (target - spectrum(samples, rate))

        def gain(hz: Floats) -> Floats:
            return np.asarray(np.exp(np.interp(np.log(np.maximum(hz, 1.0)), np.log(middles), gains)))

        return through(gain)(samples, rate)

    return change


def half(second: bool) -> Filter:
    """The first or the second half of a recording."""
    return lambda samples, _: samples[samples.size // 2 :] if second else samples[: samples.size // 2]


def peak(samples: Floats) -> float:
    """Largest magnitude."""
    return float(np.abs(samples).max(initial=0.0))


def peaking(samples: Floats, at: float) -> Array:
    """The same with another peak; silence stays."""
    return np.asarray(samples * (at / (peak(samples) or 1.0)), np.float32)


def through_4_khz(samples: Array, rate: int) -> Array:
    """An editor's rate, and a device's; what lies above 2 kHz is gone."""
    changed = resample(resample(resample(samples, rate, MUSIC_HZ), MUSIC_HZ, 4000), 4000, rate)
    return np.pad(changed, (0, max(0, samples.size - changed.size)))[: samples.size]


def looped(fade_s: float) -> Filter:
    """`LOOPED_S` of the first `LOOP_S`, again and again, each faded into the next over `fade_s`."""

    def change(samples: Array, rate: int) -> Array:
        fade = min(round(fade_s * rate), samples.size // 2)
        period = min(round(LOOP_S * rate), samples.size - fade)
        part = samples[: period + fade].astype(np.float64)
        if fade:
            rise = (np.arange(fade) + 0.5) / fade
            part[:fade] *= rise
            part[-fade:] *= 1 - rise
        length = round(LOOPED_S * rate)
        out = np.zeros(length + part.size)
        for start in range(0, length, period):
            out[start : start + part.size] += part
        return out[:length].astype(np.float32)

    return change


def clipped_softly(samples: Array, rate: int) -> Array:
    """Normalised to `DRIVE` times full scale, which a limiter rounds off."""
    return np.asarray(np.tanh(peaking(samples, DRIVE)) / np.tanh(DRIVE), np.float32)


def drawn_by(samples: Array) -> np.random.Generator:
    """A generator that is the same for the same samples."""
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(samples, "<f4").tobytes()))


def announced(voice: Voice) -> Filter:
    """`ANNOUNCEMENT_S` of a speaker before the lungs, `LOUDER_DB` than they are; that much longer."""

    def change(samples: Array, rate: int) -> Array:
        words, own_rate = voice(int(drawn_by(samples).integers(60)))
        words = resample(words, own_rate, rate)[: round(ANNOUNCEMENT_S * rate)]
        louder = samples.std() / words.std() * 10 ** (LOUDER_DB / 20)
        return np.concatenate([np.asarray(louder * words, np.float32), samples])

    return change


def hum(db: float) -> Filter:
    """Mains of 50 Hz with two harmonics, at a level against the recording's deviation."""

    def change(samples: Array, rate: int) -> Array:
        t = np.arange(samples.size) / rate
        wave = sum((np.sin(2 * np.pi * 50 * n * t) / n for n in (1, 2, 3)), np.zeros(samples.size))
        return np.asarray(samples + samples.std() / wave.std() * 10 ** (db / 20) * wave, np.float32)

    return change


def microphone(samples: Array, rate: int) -> Array:
    """White noise, `BELOW_DB` from the recording's deviation."""
    noise = drawn_by(samples).standard_normal(samples.size)
    return np.asarray(samples + samples.std() * 10 ** (BELOW_DB / 20) * noise, np.float32)


def mp3(kbit_per_s: int) -> Process:
    """MP3 of a constant bit rate: libsndfile maps 320 to 32 kbit/s, those of `MUSIC_HZ`, to 0 to below 1."""
    level = min(0.999, (320 - kbit_per_s) / (320 - 32))
    return stored("MP3", "MPEG_LAYER_III", MUSIC_HZ, bitrate_mode="CONSTANT", compression_level=level)


def opus(kbit_per_s: int) -> Process:
    """Opus: libsndfile maps 256 to 6 kbit/s a channel to 0 to 1."""
    return stored("OGG", "OPUS", CALL_HZ, compression_level=(256 - kbit_per_s) / (256 - 6))


def lesson(samples: Array, rate: int) -> Array | bytes:
    """An app's diaphragm, normalised, looped and put on a page."""
    loud = clipped_softly(band(100, 1000)(samples, rate), rate)
    return mp3(64)(looped(CROSSFADE_S)(loud, rate), rate)


PROCESSES: dict[str, Process] = {
    AS_IT_IS: lambda samples, rate: samples,
    "MP3, 64 kbit/s": mp3(64),
    "MP3, 32 kbit/s": mp3(32),
    "Ogg Vorbis": stored("OGG", "VORBIS", MUSIC_HZ),
    "Opus, 24 kbit/s": opus(24),
    "to 44.1 kHz and back through 4 kHz": through_4_khz,
    "band of 100 to 1000 Hz": band(100, 1000),
    "band of 60 to 400 Hz": band(60, 400),
    "tilt of +6 dB an octave": tilt(6.0),
    "tilt of -6 dB an octave": tilt(-6.0),
    "loop of 5 s, cut": looped(0.0),
    "loop of 5 s, crossfaded": looped(CROSSFADE_S),
    "full scale, softly clipped": clipped_softly,
    "hum of 50 Hz, 20 dB below the lungs": hum(BELOW_DB),
    "hum of 50 Hz, as loud as the lungs": hum(0.0),
    "noise of a microphone, 20 dB below the lungs": microphone,
    "band of 100 to 1000 Hz, softly clipped, crossfaded loop, MP3": lesson,
}
