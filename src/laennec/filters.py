"""The high-pass filter of a lung-sound recorder, as second-order sections."""

from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError

CUTOFF_HZ = (
    80.0  # Nguyen & Pernkopf, section II-B: "a Bessel high-pass filter with a cut-off frequency of 80Hz"
)
ORDER = 4  # "and a slope of 24dB/oct": 6 dB an octave for each order


def bessel_highpass_sos(sample_rate: int, cutoff_hz: float = CUTOFF_HZ, order: int = ORDER) -> np.ndarray:
    """Second-order sections ``(order / 2, 6)`` of a Bessel high-pass that is 3 dB down at `cutoff_hz`.

    Raises
    ------
    LaennecError
        If the cut-off is not between 0 and half the sample rate.
    """
    from scipy.signal import bessel

    if not 0 < cutoff_hz < sample_rate / 2:
        raise LaennecError(f"the cut-off is {cutoff_hz:g} Hz; expected 0 to {sample_rate / 2:g} Hz")
    return bessel(order, cutoff_hz, "highpass", output="sos", norm="mag", fs=sample_rate)


def bessel_highpass(
    samples: npt.NDArray[Any], sample_rate: int, cutoff_hz: float = CUTOFF_HZ, order: int = ORDER
) -> npt.NDArray[Any]:
    """Filter the last axis, forwards, as the recorder does; same shape and type."""
    from scipy.signal import sosfilt

    sos = bessel_highpass_sos(sample_rate, cutoff_hz, order)
    return sosfilt(sos, samples, axis=-1).astype(samples.dtype, copy=False)


def bessel_highpass_magnitude(
    frequencies_hz: npt.ArrayLike, sample_rate: int, cutoff_hz: float = CUTOFF_HZ, order: int = ORDER
) -> np.ndarray:
    """Gain of the filter at each frequency, 0 to 1, in the shape of `frequencies_hz`."""
    from scipy.signal import sosfreqz

    sos = bessel_highpass_sos(sample_rate, cutoff_hz, order)
    return np.abs(sosfreqz(sos, worN=np.asarray(frequencies_hz, float), fs=sample_rate)[1])
