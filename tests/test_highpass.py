"""The recorder's high-pass filter: its slope and its form, by SciPy's."""

import numpy as np
import pytest

signal = pytest.importorskip("scipy.signal")

from laennec.audio.highpass import analogue_highpass, bessel_highpass, bessel_highpass_magnitude
from laennec.errors import LaennecError

RATE_HZ = 16_000


@pytest.mark.parametrize(("rate_hz", "cutoff_hz"), [(16_000, 80.0), (4_000, 80.0), (8_000, 1_000.0)])
def test_the_closed_form_is_the_filter_of_scipy(rate_hz: int, cutoff_hz: float):
    sos = signal.bessel(4, cutoff_hz, "high", output="sos", norm="mag", fs=rate_hz)
    frequencies_hz = np.linspace(0, rate_hz / 2, 257)
    expected = np.abs(signal.sosfreqz(sos, worN=frequencies_hz, fs=rate_hz)[1])
    assert np.abs(bessel_highpass_magnitude(frequencies_hz, rate_hz, cutoff_hz) - expected).max() < 1e-9
    samples = np.random.default_rng(0).standard_normal((2, 3, 5_001))
    filtered = signal.sosfilt(sos, samples, axis=-1)
    assert np.abs(bessel_highpass(samples, rate_hz, cutoff_hz) - filtered).max() < 1e-9
    assert bessel_highpass(samples[0, 0, :1], rate_hz, cutoff_hz) == pytest.approx(filtered[0, 0, 0])


def test_three_decibels_at_the_cutoff_and_24_an_octave_below():
    db = 20 * np.log10(bessel_highpass_magnitude([80, 10, 5, 2000], RATE_HZ))
    assert db[0] == pytest.approx(-3.01, abs=0.02)
    assert db[1] - db[2] == pytest.approx(24, abs=0.5)
    assert db[3] == pytest.approx(0, abs=0.1)


def test_samples_are_filtered_forwards_along_the_last_axis():
    times_s = np.arange(RATE_HZ) / RATE_HZ
    low, high = np.sin(2 * np.pi * 20 * times_s), np.sin(2 * np.pi * 500 * times_s)
    found = bessel_highpass(np.stack([low, high]).astype(np.float32), RATE_HZ)
    assert found.dtype == np.float32
    rms = np.sqrt((found[:, RATE_HZ // 2 :] ** 2).mean(1))
    assert rms[0] < 0.02
    assert rms[1] == pytest.approx(np.sqrt(0.5), rel=0.02)
    impulse = np.zeros(100, np.float32)
    impulse[50] = 1
    assert np.abs(bessel_highpass(impulse, RATE_HZ)[:50]).max() < 1e-9  # causal


def test_the_simulated_sensor_has_the_same_filter():
    frequencies_hz = np.array([10.0, 40.0, 80.0, 160.0, 1000.0])
    simulated = np.abs(analogue_highpass(1j * frequencies_hz / 80.0))
    assert np.allclose(simulated, bessel_highpass_magnitude(frequencies_hz, RATE_HZ), atol=0.005)


def test_a_cutoff_above_half_the_rate_is_refused():
    with pytest.raises(LaennecError, match="cut-off"):
        bessel_highpass(np.zeros(9), 100, 80)
