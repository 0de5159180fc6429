"""Speed of the three-channel image (log-mel, MFCC, LFCC) against librosa and SciPy, one thread, same run.

Run:  OMP_NUM_THREADS=1 python benchmarks/features.py
"""

import argparse
import statistics
import time

import librosa
import numpy as np
import scipy.fft
import torch

from laennec.features.base import extract
from laennec.features.cepstral import CepstralImage
from laennec.features.spectrum import linear_filters
from laennec.train.hardware import tuned_cpu


def by_librosa(clips: np.ndarray, filters: np.ndarray, mel_filters: np.ndarray) -> np.ndarray:
    """The same images with librosa and SciPy, all clips at once and one spectrum for all three, as ours."""
    clips = clips / np.sqrt(np.mean(clips**2, axis=-1, keepdims=True))
    power = np.abs(librosa.stft(clips, n_fft=512, hop_length=256, pad_mode="constant")) ** 2
    mel_db = librosa.power_to_db(mel_filters @ power, amin=1e-8, top_db=None)
    mfcc = scipy.fft.dct(mel_db, norm="ortho", axis=-2)
    lfcc = scipy.fft.dct(np.log(filters @ power + 1e-8), norm="ortho", axis=-2)
    return np.stack([mel_db, mfcc, lfcc], axis=1)


def main() -> None:
    """Alternate the two and print the median of the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    clips = (rng.standard_normal((arguments.clips, 20_000)) * 0.05).astype(np.float32)
    filters = linear_filters(64, 512, 8000, 0, 4000).astype(np.float32)
    front_end, waveforms = CepstralImage(), torch.from_numpy(clips)
    extract(front_end, waveforms)
    mel_filters = librosa.filters.mel(sr=8000, n_fft=512, n_mels=64, htk=True, norm=None)
    by_librosa(clips, filters, mel_filters)
    ratios, ours_ms, theirs_ms = [], [], []
    for _ in range(arguments.rounds):
        started = time.perf_counter()
        extract(front_end, waveforms)
        ours = (time.perf_counter() - started) / arguments.clips
        started = time.perf_counter()
        by_librosa(clips, filters, mel_filters)
        theirs = (time.perf_counter() - started) / arguments.clips
        ratios.append(theirs / ours)
        ours_ms.append(1000 * ours)
        theirs_ms.append(1000 * theirs)
    print(f"librosa and SciPy  {statistics.median(theirs_ms):.3f} ms a clip of 2.5 s")
    print(f"laennec            {statistics.median(ours_ms):.3f} ms a clip of 2.5 s")
    print(f"ratio              {statistics.median(ratios):.1f} (median of {arguments.rounds} rounds)")


if __name__ == "__main__":
    with tuned_cpu(threads=1):
        main()
