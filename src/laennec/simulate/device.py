"""Stethoscopes and microphones: frequency response, level and noise floor."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.audio.highpass import analogue_highpass
from laennec.simulate.chest import Wave, breath_spectrum


@dataclass(frozen=True)
class Device:
    """A frequency response (causal), a usual level and a noise floor."""

    highpass_hz: float
    highpass_order: int
    lowpass_hz: float
    lowpass_order: int
    resonances: tuple[tuple[float, float, float], ...]  # Hz, dB, Q
    level_dbfs: float  # RMS of an inspiration
    floor_dbfs: float  # RMS of white sensor noise
    heart: float  # peak of the first heart sound / inspiration RMS at the chest wall
    bessel_highpass_hz: float = 0.0  # fourth order, 24 dB an octave; 0 for none


# Shapes in the manner of the stethoscopes and microphones behind SPRSound and ICBHI, set by eye against the
# spectra and levels of those recordings: not measurements of any device, whatever the name (values ours).
DEVICES = {
    "flat": Device(5.0, 1, 1e6, 1, (), -30.0, -300.0, 2.0),
    "paediatric stethoscope": Device(100.0, 2, 470.0, 7, (), -47.0, -104.0, 1.25),
    "AKGC417L": Device(20.0, 1, 2500.0, 2, ((900.0, 3.0, 1.0),), -15.0, -48.0, 6.0),
    "LittC2SE": Device(45.0, 2, 1200.0, 3, ((330.0, 4.0, 1.5),), -25.0, -66.0, 5.0),
    "Litt3200": Device(30.0, 2, 1000.0, 5, ((550.0, 9.0, 1.2),), -24.0, -76.0, 5.0),
    "Meditron": Device(20.0, 1, 2000.0, 2, ((210.0, 3.0, 2.0), (750.0, 4.0, 2.0)), -19.0, -58.0, 6.0),
}


def device_response(device: Device, freqs_hz: Wave) -> Wave:
    """Complex response of a device at `freqs_hz`: Butterworth skirts and peaking resonances, minimum phase.

    Crackles therefore ring after, never before, their onset, as through a real device.
    """
    freqs_hz = np.maximum(freqs_hz, 1e-3)
    response = _butterworth(1j * freqs_hz / device.lowpass_hz, device.lowpass_order)
    response = response * _butterworth(device.highpass_hz / (1j * freqs_hz), device.highpass_order)
    if device.bessel_highpass_hz:
        response = response * analogue_highpass(1j * freqs_hz / device.bessel_highpass_hz)
    for centre_hz, gain_db, q in device.resonances:
        s = 1j * freqs_hz / centre_hz
        a = 10.0 ** (gain_db / 40.0)
        response = response * (s**2 + s * a / q + 1.0) / (s**2 + s / (a * q) + 1.0)
    return response


def _butterworth(s: Wave, order: int) -> Wave:
    """Analogue Butterworth low-pass of unit corner at complex frequency `s`."""
    k = np.arange(1, order + 1)
    poles = np.exp(1j * np.pi * (2 * k + order - 1) / (2 * order))
    return np.asarray(np.prod([-pole / (s - pole) for pole in poles], axis=0))


def through_device(device: Device, wave: Wave, sample_rate: int) -> Wave:
    """`wave` as the device passes it, scaled so that inspiratory breath noise keeps its RMS."""
    padded = (wave.size // 1024 + 2) * 1024  # the tail may ring past the end instead of into the start
    freqs_hz = np.fft.rfftfreq(padded, 1.0 / sample_rate)
    response = device_response(device, freqs_hz)
    power = breath_spectrum(freqs_hz, "inspiration") ** 2
    passed = np.sum(power * np.abs(response) ** 2) / np.sum(power)
    return np.fft.irfft(np.fft.rfft(wave, padded) * response, n=padded)[: wave.size] / math.sqrt(passed)


def record_with(
    rng: np.random.Generator, device: Device, wave: Wave, sample_rate: int
) -> tuple[npt.NDArray[np.float32], float]:
    """Samples in [-1, 1] as the device stores them, and the gain from inspiration RMS to full scale."""
    wave = through_device(device, wave, sample_rate)
    gain = 10.0 ** ((device.level_dbfs + float(np.clip(rng.normal(0.0, 3.0), -7.0, 7.0))) / 20.0)
    floor = 10.0 ** (device.floor_dbfs / 20.0) * rng.standard_normal(wave.size)
    # A real device would clip here; turning it down keeps what the ground truth says true of the samples.
    gain = min(gain, (0.95 - np.abs(floor).max()) / np.abs(wave).max())
    return (gain * wave + floor).astype(np.float32), float(gain)
