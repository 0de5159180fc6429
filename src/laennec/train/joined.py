"""Short recordings, single words or breaths, made as long as others are, by others of the same subject."""

from collections.abc import Sequence

import numpy as np

from laennec.simulate.chest import coloured_noise

SHORT_S = 3.0  # a shorter recording says too little by itself
MOST_WORDS = 11  # in the length of a crop, that of two words a second at most
SNR_DB = (10.0, 40.0)  # lowest and highest level of words over the noise of their room
PAUSE_NOISE_EXPONENT = 2.0  # largest; the amplitude of the noise falls with that power of frequency


def continued(
    own: int, clips: Sequence[np.ndarray], length: int, sample_rate: int, pauses: bool, seed: int = 0
) -> np.ndarray:
    """Clip number `own` with others behind it: ``(length,)`` float32.

    Parameters
    ----------
    clips
        ``(samples,)`` each, of one subject.
    pauses
        Words follow each other with pauses, in the noise of a room, as `seed` draws them; breaths in turn.
    """
    if not pauses:
        parts: list[np.ndarray] = []
        while sum(part.size for part in parts) < length:
            parts.append(clips[(own + len(parts)) % len(clips)])
        return np.concatenate(parts)[:length]
    rng = np.random.default_rng([seed, own])
    return with_pauses(own, clips, length, sample_rate, rng)


def with_pauses(
    own: int, clips: Sequence[np.ndarray], length: int, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Clip number `own` and others, in a row with pauses, in the noise of a room; all of it is drawn."""
    chosen = [own, *rng.integers(len(clips), size=rng.integers(0, MOST_WORDS))]
    while len(chosen) > 1 and sum(clips[k].size for k in chosen) > length:
        chosen.pop()
    words = [clips[k][:length] for k in chosen]
    spare = length - sum(word.size for word in words)
    pauses = np.diff(np.sort(rng.integers(0, spare + 1, len(words))), prepend=0)
    out, at = np.zeros(length), 0
    for word, pause in zip(words, pauses, strict=True):
        at += int(pause)
        out[at : at + word.size] = word
        at += word.size
    freqs_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    noise = coloured_noise(rng, np.maximum(freqs_hz, 30.0) ** -rng.uniform(0.0, PAUSE_NOISE_EXPONENT), length)
    power = np.mean(np.concatenate(words) ** 2)
    level = np.sqrt(power / (np.mean(noise**2) + 1e-12)) * 10.0 ** (-rng.uniform(*SNR_DB) / 20.0)
    return np.asarray(out + level * noise, np.float32)
