"""Respiratory cycles from an airflow signal: zero crossings with hysteresis.

A pneumotachograph's flow is positive in inspiration. Around zero it trembles, so a phase begins only when the
flow has gone well past zero; its boundary is then the zero crossing before that.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError
from laennec.labels import PHASES

# Of the flow's 95th percentile: beyond a pneumotachograph's tremble, below any breath (ours).
HYSTERESIS = 0.1
SMOOTHING_S = 0.1  # s, moving average before crossings are looked for (ours)
SHORTEST_PHASE_S = 0.2  # s; 60 breaths a minute have phases of half a second


@dataclass(frozen=True)
class FlowCycle:
    """One respiratory cycle, times in seconds from the start of the signal."""

    start_s: float
    inspiration_end_s: float
    end_s: float


def cycles_from_airflow(
    flow: npt.ArrayLike,
    sample_rate: int,
    hysteresis: float = HYSTERESIS,
    shortest_phase_s: float = SHORTEST_PHASE_S,
) -> list[FlowCycle]:
    """Find the whole respiratory cycles in an airflow signal.

    They run from each onset of inspiration to the next; what is cut by an end of the signal is left out.

    Parameters
    ----------
    flow
        ``(samples,)``, positive in inspiration, in any unit. A constant offset is taken for the sensor's.
    sample_rate
        Hz.
    hysteresis
        How far past zero the flow must go for a phase to count, as a share of its 95th percentile, 0 to 1.
    shortest_phase_s
        A phase shorter than this belongs to the one around it.

    Raises
    ------
    LaennecError
        If the signal is empty, not finite or does not move, or a setting is out of range.
    """
    values = np.asarray(flow, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise LaennecError("an airflow signal must be a line of numbers")
    if not 0 < hysteresis < 1:
        raise LaennecError(f"the hysteresis is {hysteresis:g}; expected a share between 0 and 1")
    width = max(1, round(SMOOTHING_S * sample_rate))
    smooth = np.convolve(np.pad(values, width // 2, mode="edge"), np.ones(width) / width, "same")
    smooth = smooth[width // 2 : width // 2 + values.size]
    # Breath in and out cancel over whole cycles, so what is left on average is the sensor's offset.
    smooth = smooth - smooth.mean()
    scale = float(np.percentile(np.abs(smooth), 95))
    if scale <= 0:
        raise LaennecError("the airflow signal does not move; is it the right channel?")
    onsets = _onsets(smooth, hysteresis * scale, round(shortest_phase_s * sample_rate))
    return [
        FlowCycle(start / sample_rate, middle / sample_rate, end / sample_rate)
        for (sign, start), (_, middle), (_, end) in zip(onsets, onsets[1:], onsets[2:], strict=False)
        if sign > 0
    ]


def phases_from_airflow(flow: npt.ArrayLike, sample_rate: int) -> list[tuple[float, float, str]]:
    """The phases of the whole cycles in an airflow signal, as `laennec.analyze.analyze` takes ``phases``.

    ``(start_s, end_s, label)``; arguments and errors are those of `cycles_from_airflow`.
    """
    return [
        phase
        for cycle in cycles_from_airflow(flow, sample_rate)
        for phase in (
            (cycle.start_s, cycle.inspiration_end_s, PHASES[0]),
            (cycle.inspiration_end_s, cycle.end_s, PHASES[1]),
        )
    ]


def _onsets(flow: np.ndarray, threshold: float, shortest: int) -> list[tuple[int, float]]:
    """Sign and onset (samples) of each phase, alternating; the first, cut by the start, is left out."""
    state = np.where(flow > threshold, 1, np.where(flow < -threshold, -1, 0))
    places = np.flatnonzero(state)
    changes = places[np.flatnonzero(np.diff(state[places])) + 1] if places.size else places
    onsets: list[tuple[int, float]] = []
    for change in changes:
        sign = int(state[change])
        before = np.flatnonzero(flow[:change] * sign <= 0)
        last = int(before[-1]) if before.size else int(change)
        step = flow[last + 1] - flow[last] if last + 1 < flow.size else 0.0
        onsets.append((sign, last + (-flow[last] / step if step else 0.0)))
    # A phase that is too short is dropped with its end, so that signs still alternate.
    index = 0
    while index + 1 < len(onsets):
        if onsets[index + 1][1] - onsets[index][1] < shortest:
            del onsets[index : index + 2]
            index = max(0, index - 1)
        else:
            index += 1
    return onsets
