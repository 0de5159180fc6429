"""The recorder's high-pass filter: its slope, its form, and the two other places that have it."""

import numpy as np
import pytest

signal = pytest.importorskip("scipy.signal")

from laennec.errors import LaennecError
from laennec.filters import bessel_highpass, bessel_highpass_magnitude, bessel_highpass_sos
from laennec.simulate.sound import bessel_highpass as analogue

RATE_HZ = 16_000


def test_second_order_sections_of_a_fourth_order_filter():
    sos = bessel_highpass_sos(RATE_HZ)
    assert sos.shape == (2, 6)
    assert np.allclose(sos, signal.bessel(4, 80, "high", output="sos", norm="mag", fs=RATE_HZ))


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
    assert not bessel_highpass(impulse, RATE_HZ)[:50].any()  # causal


def test_the_simulated_sensor_has_the_same_filter():
    frequencies_hz = np.array([10.0, 40.0, 80.0, 160.0, 1000.0])
    simulated = np.abs(analogue(1j * frequencies_hz / 80.0))
    assert np.allclose(simulated, bessel_highpass_magnitude(frequencies_hz, RATE_HZ), atol=0.005)


def test_a_cutoff_above_half_the_rate_is_refused():
    with pytest.raises(LaennecError, match="cut-off"):
        bessel_highpass_sos(100, 80)
