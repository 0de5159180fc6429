"""The pitch of a wheeze, rhonchus or stridor: the frequency that stands out most from what is around it."""

import numpy as np
import numpy.typing as npt

WINDOW_S = 0.1  # as short as a wheeze may be, and 10 Hz fine before the peak is interpolated
LOWEST_HZ, HIGHEST_HZ = 80.0, 1600.0  # rhonchi begin near 100 Hz, stridors reach above 1 kHz
AROUND_HZ = 150.0  # to either side, of which the median is what a peak stands out from
STANDS_OUT = 5.0  # times that power, from which there is a pitch (7 dB)


def pitch_hz(samples: npt.NDArray[np.float32], sample_rate: int) -> float | None:
    """The frequency (Hz) whose power stands out most over ``(samples,)``; None where none does.

    The power is the mean over windows of `WINDOW_S` that overlap by three quarters. Of a sound with
    harmonics it is the strongest of them, which need not be the lowest.
    """
    length = round(WINDOW_S * sample_rate)
    if len(samples) < length:
        return None
    views = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), length)[:: length // 4]
    size = 4 * length
    power = (np.abs(np.fft.rfft(views * np.hanning(length), size, axis=1)) ** 2).mean(0)
    step_hz = sample_rate / size
    reach = round(AROUND_HZ / step_hz)
    around = np.median(
        np.lib.stride_tricks.sliding_window_view(np.pad(power, reach, mode="reflect"), 2 * reach + 1), axis=1
    )
    first, end = round(LOWEST_HZ / step_hz), min(len(power) - 1, round(HIGHEST_HZ / step_hz))
    prominence = power[first:end] / np.maximum(around[first:end], 1e-20)
    best = first + int(prominence.argmax())
    if prominence.max() < STANDS_OUT or not power[best - 1] <= power[best] >= power[best + 1]:
        return None
    before, here, after = np.log(np.maximum(power[best - 1 : best + 2], 1e-30))
    bend = before - 2 * here + after
    return float((best + (0.5 * (before - after) / bend if bend else 0.0)) * step_hz)
