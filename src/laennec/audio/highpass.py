"""The high-pass filter of a lung-sound recorder: Bessel, fourth order, in closed form.

Thomson, "Delay networks having maximally flat frequency characteristics", Proc. IEE 96, 1949: the low-pass is
105 over the reverse Bessel polynomial; the frequency is inverted for the high-pass.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError

# Nguyen & Pernkopf, section II-B: "a Bessel high-pass filter with a cut-off frequency of 80Hz and a slope of
# 24dB/oct", which is fourth order: 6 dB an octave for each.
CUTOFF_HZ = 80.0
_DOWN_3_DB = 2.113917674904216  # where the polynomial of unit delay is 3 dB down
_PERIODS_OF_ECHO = 16  # of the cut-off, after which the filter's echo of a sample is below 1e-16 of it


def analogue_highpass(s: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Response at the complex frequencies `s`, not 0, in units of the cut-off, where it is 3 dB down."""
    p = _DOWN_3_DB / s
    return np.asarray(105.0 / (p**4 + 10.0 * p**3 + 45.0 * p**2 + 105.0 * p + 105.0))


def bessel_highpass_magnitude(
    frequencies_hz: npt.ArrayLike, sample_rate: int, cutoff_hz: float = CUTOFF_HZ
) -> npt.NDArray[np.float64]:
    """Gain, 0 to 1, at each frequency; LaennecError if the cut-off is not between 0 and half the rate."""
    return np.abs(_digital_highpass(frequencies_hz, sample_rate, cutoff_hz))


def _digital_highpass(
    frequencies_hz: npt.ArrayLike, sample_rate: int, cutoff_hz: float
) -> npt.NDArray[np.complex128]:
    """Response of the analogue filter by the bilinear transform, exactly 3 dB down at the cut-off."""
    if not 0 < cutoff_hz < sample_rate / 2:
        raise LaennecError(f"the cut-off is {cutoff_hz:g} Hz; expected 0 to {sample_rate / 2:g} Hz")
    frequencies_hz = np.asarray(frequencies_hz, float)
    warped = np.tan(np.pi * frequencies_hz / sample_rate) / np.tan(np.pi * cutoff_hz / sample_rate)
    passed = analogue_highpass(1j * np.where(warped == 0, 1, warped))
    return np.where(warped == 0, 0, passed)


def bessel_highpass(
    samples: npt.NDArray[Any], sample_rate: int, cutoff_hz: float = CUTOFF_HZ
) -> npt.NDArray[Any]:
    """Filter the last axis, forwards, as the recorder does; same shape and type."""
    length = samples.shape[-1]
    padded = length + round(_PERIODS_OF_ECHO * sample_rate / cutoff_hz)
    response = _digital_highpass(np.fft.rfftfreq(padded, 1 / sample_rate), sample_rate, cutoff_hz)
    filtered = np.fft.irfft(np.fft.rfft(samples, padded) * response, padded)[..., :length]
    return filtered.astype(samples.dtype, copy=False)
