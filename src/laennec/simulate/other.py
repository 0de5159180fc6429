"""Sounds that are no lung: speech-like, music, noise, hearts. A model learns from them what to refuse.

They are drawn as roughly as such sounds vary, not to fool anybody: training against a broad set of outliers
teaches a model to refuse others that it never met (Hendrycks, Mazeika & Dietterich, "Deep anomaly detection
with outlier exposure", ICLR 2019). How far that carries is measured on speech and music made by other means.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from laennec.labels import SOUND_KINDS
from laennec.simulate.chest import Wave, bell, coloured_noise, render_heart


def other_sound(kind: str, rng: np.random.Generator, duration_s: float, sample_rate: int) -> Wave:
    """A sound of a kind in :data:`laennec.labels.SOUND_KINDS` but ``lung``: peak .01 to .9 of full scale."""
    length = round(duration_s * sample_rate)
    if kind not in _MAKERS:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(SOUND_KINDS[1:])}")
    wave = _MAKERS[kind](rng, length, sample_rate)
    # Nothing is recorded without some noise, nor with the same response at all frequencies.
    wave = _through_something(rng, wave / max(1e-9, float(np.abs(wave).max())), sample_rate)
    noise = _coloured(rng, length, sample_rate, rng.uniform(0.0, 1.0))
    wave = wave + noise * 10.0 ** rng.uniform(-4.5, -1.5)
    return np.asarray(wave / np.abs(wave).max() * 10.0 ** rng.uniform(-2.0, -0.05))


def ward_noise(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Wave:
    """What a stethoscope hears of a hospital ward: ventilation, voices at the next bed, a monitor's beeps.

    Steady noise of any colour from white to brown, and with some chance one or two voices, beeps and knocks
    at random levels beside it; ``(samples,)`` of unit deviation.
    """
    length = round(duration_s * sample_rate)
    t = np.arange(length) / sample_rate
    out = _coloured(rng, length, sample_rate, rng.uniform(0.0, 2.0))
    out = out / (out.std() + 1e-9)
    for _ in range(rng.integers(0, 3)):
        voice = _through_something(rng, _speech(rng, length, sample_rate), sample_rate)
        out = out + 10.0 ** rng.uniform(-1.0, 0.3) * voice / (voice.std() + 1e-9)
    if rng.random() < 0.4:
        period_s, share = rng.uniform(0.5, 1.2), rng.uniform(0.1, 0.3)
        on = (t + rng.uniform(0, period_s)) % period_s < share * period_s
        out = out + 10.0 ** rng.uniform(-1.0, 0.0) * np.sin(2 * np.pi * rng.uniform(500.0, 1200.0) * t) * on
    if rng.random() < 0.3:
        knocks = (rng.random(length) < rng.uniform(1, 6) / sample_rate) * rng.standard_normal(length)
        ring = np.exp(-np.arange(sample_rate // 10) / (0.01 * sample_rate))
        out = out + 10.0 ** rng.uniform(0.0, 0.7) * np.convolve(knocks, ring)[:length]
    return np.asarray(out / (out.std() + 1e-9))


def _coloured(rng: np.random.Generator, length: int, sample_rate: int, exponent: float) -> Wave:
    """Noise whose amplitude falls with a power of frequency."""
    freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    return coloured_noise(rng, np.maximum(freqs_hz, 30.0) ** -exponent, length)


def _through_something(rng: np.random.Generator, wave: Wave, sample_rate: int) -> Wave:
    """A smooth random response: a stethoscope's, a loudspeaker's, a telephone's."""
    freqs_hz = np.fft.rfftfreq(wave.size, 1.0 / sample_rate)
    knots = np.geomspace(30.0, sample_rate / 2, 8)
    gain_db = np.interp(np.log(np.maximum(freqs_hz, 1.0)), np.log(knots), rng.uniform(-18.0, 0.0, knots.size))
    return np.fft.irfft(np.fft.rfft(wave) * 10.0 ** (gain_db / 20.0), n=wave.size)


def _path(rng: np.random.Generator, length: int, knots: int, low: float, high: float) -> Wave:
    """A line through random values, ``(length,)``."""
    return np.interp(np.linspace(0, knots - 1, length), np.arange(knots), rng.uniform(low, high, knots))


def _speech(rng: np.random.Generator, length: int, sample_rate: int) -> Wave:
    """A voice by source and filter: pulses through moving formants, in syllables, with hisses between."""
    seconds = length / sample_rate
    base_hz = 10.0 ** rng.uniform(np.log10(80.0), np.log10(420.0))
    pitch_hz = base_hz * _path(rng, length, max(3, int(3 * seconds)), 0.75, 1.35)
    phase = np.cumsum(pitch_hz) / sample_rate
    source = np.zeros(length)
    for harmonic in range(1, 1 + int(0.45 * sample_rate / base_hz / 1.35)):
        source += np.cos(2 * np.pi * harmonic * phase) / harmonic ** rng.uniform(0.8, 1.2)
    step = sample_rate // 50
    count = length // step - 1  # frames of two steps
    formants = [
        _path(rng, length // step + 2, max(3, int(8 * seconds)), low, high)[:count, None]
        for low, high in ((250.0, 850.0), (800.0, 2300.0), (2100.0, 3200.0))
    ]
    freqs_hz = np.fft.rfftfreq(2 * step, 1.0 / sample_rate)
    weighted = zip((1.0, 0.5, 0.25), formants, strict=True)
    gain = sum(weight / (1.0 + ((freqs_hz - path) / 90.0) ** 2) for weight, path in weighted)
    frames = sliding_window_view(source, 2 * step)[: count * step : step] * np.hanning(2 * step + 1)[:-1]
    frames = np.fft.irfft(np.fft.rfft(frames) * gain, 2 * step)
    out = np.zeros(length)
    out[: count * step] += frames[:, :step].ravel()
    out[step : (count + 1) * step] += frames[:, step:].ravel()
    at, envelope, hiss = 0.0, np.zeros(length), np.zeros(length)
    while at < seconds:
        lasts = rng.uniform(0.08, 0.35)
        first, last = round(at * sample_rate), min(length, round((at + lasts) * sample_rate))
        shape = np.sin(np.linspace(0, np.pi, max(1, last - first))) ** 0.5
        (hiss if rng.random() < 0.2 else envelope)[first:last] = shape * rng.uniform(0.3, 1.0)
        at += lasts + (rng.uniform(0.3, 1.2) if rng.random() < 0.12 else rng.uniform(0.0, 0.08))
    freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    breathy = coloured_noise(rng, np.clip((freqs_hz - 1200.0) / 1500.0, 0.0, 1.0), length)
    return np.asarray(out / (out.std() + 1e-9) * envelope + 0.5 * breathy * hiss)


def _music(rng: np.random.Generator, length: int, sample_rate: int) -> Wave:
    """Notes of some instrument, chords, steady tones, sweeps or beeps."""
    t = np.arange(length) / sample_rate
    style = rng.choice(["notes", "notes", "notes", "tone", "sweep", "beeps"])
    if style == "tone":
        count = int(rng.integers(1, 4))
        return sum((np.sin(2 * np.pi * f * t) for f in rng.uniform(60.0, 1900.0, count)), np.zeros(length))
    if style == "sweep":
        low_hz, high_hz = sorted(rng.uniform(50.0, 1900.0, 2))
        hz = np.geomspace(low_hz, high_hz, length)
        return np.sin(2 * np.pi * np.cumsum(np.roll(hz, int(rng.integers(length)))) / sample_rate)
    if style == "beeps":
        period, share = rng.uniform(0.2, 1.5), rng.uniform(0.1, 0.6)
        return np.sin(2 * np.pi * rng.uniform(300.0, 1800.0) * t) * (t % period < share * period)
    out = np.zeros(length)
    beat_s = rng.uniform(0.12, 0.6)
    partials = 1.0 / np.arange(1, 9) ** rng.uniform(0.6, 2.5) * (rng.random(8) < 0.85)
    decay_s, attack_s = rng.uniform(0.1, 1.5), rng.uniform(0.002, 0.08)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    root_hz = rng.uniform(60.0, 300.0)
    drums = rng.random() < 0.3
    for start_s in np.arange(0.0, length / sample_rate, beat_s):
        first = round(start_s * sample_rate)
        u = t[: length - first]
        if drums and rng.random() < 0.5:
            out[first:] += 0.8 * np.exp(-u / 0.06) * rng.standard_normal(u.size)
        if rng.random() < 0.15:
            continue
        for _ in range(int(rng.choice([1, 1, 2, 3]))):
            hz = root_hz * 2.0 ** ((rng.choice(scale) + 12 * rng.integers(0, 3)) / 12)
            shape = np.minimum(u / attack_s, 1.0) * np.exp(-u / decay_s)
            for number, share in enumerate(partials, start=1):
                if share and number * hz < 0.45 * sample_rate:
                    out[first:] += share * shape * np.sin(2 * np.pi * number * hz * u)
    return out


def _noise(rng: np.random.Generator, length: int, sample_rate: int) -> Wave:
    """Steady noise of some colour, a fan, hum, rain of clicks, quick fluctuation, or next to nothing."""
    t = np.arange(length) / sample_rate
    out = _coloured(rng, length, sample_rate, rng.choice([0.0, 0.5, 1.0, rng.uniform(0, 1.5)]))
    style = rng.choice(["plain", "plain", "band", "hum", "clicks", "flutter"])
    if style == "band":
        freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
        band = bell(freqs_hz, rng.uniform(80.0, 1800.0), rng.uniform(0.1, 1.0))
        out = coloured_noise(rng, band, length)
    elif style == "hum":
        mains_hz = rng.choice([50.0, 60.0])
        hums = (rng.uniform(0, 1) / n * np.sin(2 * np.pi * n * mains_hz * t) for n in range(1, 9))
        out = 0.1 * out / out.std() + sum(hums, np.zeros(length))
    elif style == "clicks":
        clicks = (rng.random(length) < rng.uniform(2, 200) / sample_rate) * rng.standard_normal(length)
        out = 0.02 * out / out.std() + clicks
    elif style == "flutter":
        out = out * (1 + rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * rng.uniform(3.0, 25.0) * t))
    return out


def _heart(rng: np.random.Generator, length: int, sample_rate: int) -> Wave:
    """Heart sounds alone, some with a murmur between them, at an infant's to an adult's rate."""
    beats_per_minute = rng.uniform(50.0, 170.0)
    out, beats_s = render_heart(rng, beats_per_minute, length, sample_rate)
    if rng.random() < 0.4:
        freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
        murmur = coloured_noise(rng, bell(freqs_hz, rng.uniform(80.0, 350.0), 0.5), length)
        t = np.arange(length) / sample_rate
        gate = np.zeros(length)
        for beat_s in beats_s:
            u = (t - beat_s) / (0.5 * 60.0 / beats_per_minute)
            gate += np.where((u > 0.1) & (u < 0.9), np.sin(np.pi * np.clip((u - 0.1) / 0.8, 0, 1)), 0.0)
        out = out + rng.uniform(0.02, 0.2) * murmur / murmur.std() * gate
    return out


_MAKERS = {"speech": _speech, "music": _music, "noise": _noise, "heart": _heart}
