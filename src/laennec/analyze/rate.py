"""Respiratory rate from the onsets of respiratory events, with a flag for how far to trust it."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from laennec.analyze.analysis import RespiratoryRate

SLOWEST_PER_MIN, FASTEST_PER_MIN = 6.0, 90.0  # from an adult asleep to a newborn in distress
FEWEST_INTERVALS = 2  # below, there is no median to speak of
ENOUGH_INTERVALS = 3
STEADY = 0.35  # interquartile range over median, up to which breathing counts as steady
LONGEST_INTERVALS = 1.7  # times the median: a longer interval holds a breath that was not found


def respiratory_rate(onsets_s: Sequence[float]) -> RespiratoryRate:
    """Breaths a minute: sixty over the median interval between neighbouring onsets (s, of one channel).

    The median does not mind a breath that was missed or found twice. Intervals so long that a breath is
    missing in them are left out, and so are pauses between segments. The quality is ``good`` for
    `ENOUGH_INTERVALS` or more that vary by at most `STEADY`; ``doubtful`` for fewer or unsteady ones;
    ``none`` for fewer than `FEWEST_INTERVALS`, or a rate that nobody breathes at.
    """
    onsets = sorted(onsets_s)
    intervals = [later - earlier for earlier, later in pairwise(onsets)]
    if len(intervals) < FEWEST_INTERVALS:
        return RespiratoryRate(None, "none", f"{len(onsets)} breaths are too few", len(intervals))
    typical = median(intervals)
    kept = sorted(interval for interval in intervals if interval <= LONGEST_INTERVALS * typical)
    typical = median(kept)
    per_min = 60.0 / typical if typical > 0 else float("inf")
    if not SLOWEST_PER_MIN <= per_min <= FASTEST_PER_MIN:
        return RespiratoryRate(None, "none", f"{per_min:.0f} a minute is no rate of breathing", len(kept))
    spread = (kept[(3 * len(kept)) // 4] - kept[len(kept) // 4]) / typical
    per_min = round(per_min, 1)
    if len(kept) < ENOUGH_INTERVALS:
        return RespiratoryRate(per_min, "doubtful", f"it rests on {len(kept)} intervals", len(kept))
    if spread > STEADY:
        reason = f"intervals vary by {100 * spread:.0f} % of their median"
        return RespiratoryRate(per_min, "doubtful", reason, len(kept))
    return RespiratoryRate(per_min, "good", f"{len(kept)} steady intervals", len(kept))
