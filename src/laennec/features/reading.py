"""From the clips table to samples: every recording is decoded once."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from laennec.audio.recording import Recording
from laennec.audio.segment import cut, fit_length
from laennec.progress import track
from laennec.threads import in_threads


def read_waveforms(clips: pd.DataFrame, sample_rate: int, clip_samples: int, padding: str) -> Tensor:
    """Waveforms of all clips, ``(clips, clip_samples)`` float32, each recording decoded once."""
    waveforms = torch.empty(len(clips), clip_samples)
    for row, samples in cut_clips(clips, sample_rate):
        waveforms[row] = torch.from_numpy(fit_length(samples, clip_samples, padding))
    return waveforms


def cut_clips(
    clips: pd.DataFrame, sample_rate: int, what: str = "reading recordings"
) -> Iterator[tuple[int, np.ndarray]]:
    """Row number and samples of each clip, recording by recording, each decoded once.

    A clip without a channel is its recording's first; one without a start is the whole recording.
    """
    start_s, end_s = (clips[name].to_numpy(float) for name in ("start_s", "end_s"))
    for row, samples in _channels(clips, sample_rate, what):
        if not np.isnan(start_s[row]):
            samples = cut(samples, sample_rate, start_s[row], end_s[row], notes=[])
        yield row, samples


def placed_clips(clips: pd.DataFrame, sample_rate: int) -> Iterator[tuple[int, np.ndarray, int, int]]:
    """Row number of each clip, the samples of its whole recording, its first sample and one past its last."""
    start_s, end_s = (clips[name].to_numpy(float) for name in ("start_s", "end_s"))
    for row, samples in _channels(clips, sample_rate, "reading recordings"):
        if np.isnan(start_s[row]):
            yield row, samples, 0, samples.size
        else:
            first, last = round(start_s[row] * sample_rate), round(end_s[row] * sample_rate)
            yield row, samples, first, min(max(last, first + 1), samples.size)


def _channels(clips: pd.DataFrame, sample_rate: int, what: str) -> Iterator[tuple[int, np.ndarray]]:
    """Row number of each clip and the channel of its recording, each decoded once."""
    channel = clips["channel"].fillna(0).to_numpy(int)
    groups = clips.groupby("path", sort=False).indices
    recordings = in_threads(lambda path: Recording.read(str(path)).resampled(sample_rate), groups)
    read = zip(recordings, groups.values(), strict=True)
    for recording, rows in track(read, what, total=len(groups)):
        for row in rows:
            yield int(row), recording.samples[channel[row]]
