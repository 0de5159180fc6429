"""What is wrong with a recording and was left alone, in words; and silence."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MIN_DURATION_S = 0.1  # a wheeze lasts 0.1 s or more (Sovijärvi et al., Eur. Respir. Rev. 10(77), 2000)
SILENT_RANGE = 2.0**-14  # peak to peak, two steps of 16 bits: what dither leaves of silence
SILENT_BLOCK_S = 0.05  # a block this long holds several periods of any lung sound (60 Hz and up)
SILENT_SHARE = 0.5  # of the blocks of a channel, from which it is called silent
CLIPPED_SHARE = 1e-4  # of the samples of a channel, from which it is called clipped: one sample in 10,000


@dataclass(frozen=True)
class Finding:
    """Something wrong with a recording that was left as it is.

    Attributes
    ----------
    kind : str
        ``truncated``, ``unread``, ``silent``, ``clipped``, ``too_short``; ``contact_noise`` comes from an
        analysis.
    message : str
        The finding in words.
    share : float or None
        Share in [0, 1] of the samples concerned (``truncated``: of those promised), where known.
    channel : int or None
        The channel concerned, from 0; None for the whole recording.
    """

    kind: str
    message: str
    share: float | None = None
    channel: int | None = None

    def __str__(self) -> str:
        return self.message


def silent_share(samples: npt.NDArray[Any], sample_rate: int) -> float:
    """Share, in [0, 1], of the 50 ms blocks of ``(samples,)`` that stay within two steps of 16 bits.

    Samples after the last whole block do not count, unless the whole channel is shorter than a block.
    """
    length = min(silent_block_length(sample_rate), samples.size)
    blocks = samples[: samples.size // length * length].reshape(-1, length)
    return float(np.mean(blocks.max(axis=1) - blocks.min(axis=1) <= SILENT_RANGE))


def silent_block_length(sample_rate: int) -> int:
    """Samples of the blocks that are silent or not."""
    return max(1, round(SILENT_BLOCK_S * sample_rate))
