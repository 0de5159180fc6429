"""Time to make one tile of an hour's spectrogram, beside SciPy's and Matplotlib's for the same picture.

Run:  python benchmarks/tiles.py

Each side starts from the hour's samples, 16 bit at 16 kHz, in a mapped file, and ends with 256 x 512 grey
pixels as a PNG. SciPy and Matplotlib compute the frames that the tile shows, as densely as it has them. Sides
alternate round by round; times are of one thread's processor, so that other processes do not count.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from matplotlib import mlab
from scipy import signal

from laennec.output.html import png
from laennec.output.tiles import COLUMN_S, COLUMNS, RANGE_DB, ROWS, WINDOW_MS, Pyramid

RATE, HOUR_S, ROUNDS = 16_000, 3600, 9


def pixels(level_db: np.ndarray, reference_db: float) -> bytes:
    """Grey as a tile has it."""
    grey = (level_db - reference_db + RANGE_DB) * (255 / RANGE_DB)
    return png(np.clip(grey, 0, 255).astype(np.uint8)[::-1])


def alternatives(x: np.ndarray, level: int, reference_db: float) -> dict[str, Callable[[], bytes]]:
    """The same picture by others: the whole part at the tile's own density of frames, columns averaged."""
    frames = Pyramid(x.size, RATE, WINDOW_MS)._frames(level)
    hop = round(COLUMN_S * 2**level * RATE / frames)
    length, n_fft = WINDOW_MS * RATE // 1000, 1024
    part = x[: COLUMNS * frames * hop]
    window = signal.windows.hann(length, sym=False)

    def shown(power: np.ndarray) -> bytes:
        columns = power.shape[1] // frames
        power = power[: ROWS // 2, : columns * frames].reshape(ROWS // 2, columns, frames).mean(axis=2)
        return pixels(10 * np.log10(np.repeat(power, 2, axis=0) + 1e-14), reference_db)

    def scipy_side() -> bytes:
        if hop > length:  # SciPy has no overlap below zero: the frames are cut out
            cut = np.lib.stride_tricks.sliding_window_view(part, length)[::hop].reshape(-1)
            _, _, power = signal.spectrogram(cut.astype(np.float32), RATE, window, length, 0, n_fft)
        else:
            _, _, power = signal.spectrogram(
                part.astype(np.float32), RATE, window, length, length - hop, n_fft
            )
        return shown(power)

    def matplotlib_side() -> bytes:
        if hop > length:
            cut = np.lib.stride_tricks.sliding_window_view(part, length)[::hop].reshape(-1)
            power, _, _ = mlab.specgram(
                cut.astype(np.float32), length, RATE, window=window, noverlap=0, pad_to=n_fft
            )
        else:
            power, _, _ = mlab.specgram(
                part.astype(np.float32), length, RATE, window=window, noverlap=length - hop, pad_to=n_fft
            )
        return shown(power)

    return {"SciPy": scipy_side, "Matplotlib": matplotlib_side}


def main() -> None:
    """Print the time of a tile on some levels, and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.raw"
        noise = np.random.default_rng(0).normal(0, 3000, RATE * 60).astype(np.int16)
        with path.open("wb") as file:
            for _ in range(HOUR_S // 60):
                file.write(noise.tobytes())
        x = np.memmap(path, np.int16, "r")
        pyramid = Pyramid(x.size, RATE, WINDOW_MS)
        reference_db = pyramid.reference_db(x)
        for level in (0, 4, 8, pyramid.levels - 1):
            sides = {"tile": lambda level=level: pyramid.tile_png(x, level, 0, reference_db)}
            sides |= alternatives(x, level, reference_db)
            spent: dict[str, list[float]] = {name: [] for name in sides}
            for _ in range(ROUNDS):
                for name, run in sides.items():
                    start = time.thread_time()
                    run()
                    spent[name].append(1000 * (time.thread_time() - start))
            line = ", ".join(f"{name} {statistics.median(times):.1f} ms" for name, times in spent.items())
            ratios = ", ".join(
                f"{statistics.median(b / a for a, b in zip(spent['tile'], spent[name], strict=True)):.2f}"
                for name in list(sides)[1:]
            )
            covers_s = min(HOUR_S, COLUMNS * COLUMN_S * 2**level)
            print(f"level {level}, {covers_s:.0f} s: {line}; ratios {ratios}")


if __name__ == "__main__":
    main()
