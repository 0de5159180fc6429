"""Sound for the tiny example that every data set can write of itself (``tiny(root)``), for tests."""

import hashlib
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 8000


def write_sound(path: Path, duration_s: float = 1.0, channels: int = 1) -> Path:
    """Write quiet noise, 16 bit at 8 kHz, that depends on the file's name; its folders are made."""
    seed = int.from_bytes(hashlib.sha256(path.stem.encode()).digest()[:4])
    shape = (round(duration_s * RATE_HZ), channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).integers(-3000, 3000, shape, dtype=np.int16)
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a text file as it stands, line ends included; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path
