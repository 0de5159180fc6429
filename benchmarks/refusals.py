"""How many sounds that are no lung the shipped model refuses.

    python benchmarks/refusals.py [--count 40]

Speech is espeak-ng's (the program must be installed) in ten languages and voices, which the model never
heard: it learnt from a rough vocal-tract synthesiser. The plucked strings are of another synthesiser than its
music. Tones, noises and hearts are drawn anew, and so are of the kinds it learnt from. Real recordings are
measured in `laennec detector`'s folds.
"""

import argparse
import io
import subprocess
from collections.abc import Callable

import numpy as np

from laennec.analyze import analyze
from laennec.audio.recording import Recording
from laennec.model.load import load_model
from laennec.simulate.other import other_sound

RATE, SECONDS = 8000, 12.0
VOICES = ("en-us", "en-gb", "de", "fr", "es", "it", "cmn", "hi", "ru", "ar")
TEXTS = {
    "en": "Please breathe in deeply through your mouth, hold it, and breathe out again. How are you? ",
    "other": "Una due tre quattro cinque sei sette otto nove dieci, respirare profondamente, grazie. ",
}


def speech(index: int) -> np.ndarray:
    """Speech by espeak-ng."""
    voice = VOICES[index % len(VOICES)]
    variant = ("", "+f2", "+m3", "+f4", "+croak", "+whisper")[index // len(VOICES) % 6]
    text = TEXTS["en" if voice.startswith("en") else "other"] * 4
    command = ["espeak-ng", "-v", voice + variant, "-s", str(120 + 15 * (index % 5)), "--stdout", text]
    sound = subprocess.run(command, capture_output=True, check=True).stdout
    recording = Recording.read(io.BytesIO(sound)).resampled(RATE)
    return recording.samples[0][: round(SECONDS * RATE)]


def strings(index: int) -> np.ndarray:
    """Plucked strings: Karplus & Strong, Computer Music Journal 7(2), 1983."""
    rng = np.random.default_rng(index)
    out = np.zeros(round(SECONDS * RATE))
    at = 0
    while at < out.size:
        period = round(RATE / (110 * 2 ** (rng.integers(0, 30) / 12)))
        line = rng.uniform(-1, 1, period)
        for start in range(at, min(out.size, at + RATE), period):
            stop = min(out.size, start + period)
            out[start:stop] += line[: stop - start]
            line = 0.498 * (line + np.roll(line, 1))
        at += round(RATE * rng.choice([0.15, 0.3, 0.6]))
    return out * 0.2


def steady(index: int) -> np.ndarray:
    """One pure tone."""
    t = np.arange(round(SECONDS * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * np.geomspace(60, 1900, 40)[index % 40] * t)


def noise(exponent: float) -> Callable[[int], np.ndarray]:
    """White or pink noise at some level."""

    def make(index: int) -> np.ndarray:
        rng = np.random.default_rng(index)
        length = round(SECONDS * RATE)
        hz = np.fft.rfftfreq(length, 1 / RATE)
        shape = np.maximum(hz, 20.0) ** -exponent
        wave = np.fft.irfft(shape * np.exp(2j * np.pi * rng.random(hz.size)), length)
        return wave / np.abs(wave).max() * 10 ** rng.uniform(-2, -0.1)

    return make


def silence(index: int) -> np.ndarray:
    """Zeros, or the last bit of a converter flickering."""
    rng = np.random.default_rng(index)
    return rng.integers(0, 2, round(SECONDS * RATE)) * (index % 2) / 2**15


def drawn(kind: str) -> Callable[[int], np.ndarray]:
    """Of a kind that it learnt from, drawn anew."""
    return lambda index: other_sound(kind, np.random.default_rng([99, index]), SECONDS, RATE)


SOUNDS: dict[str, Callable[[int], np.ndarray]] = {
    "speech (espeak-ng)": speech,
    "speech (as learnt)": drawn("speech"),
    "plucked strings": strings,
    "music and tones (as learnt)": drawn("music"),
    "pure tones": steady,
    "white noise": noise(0.0),
    "pink noise": noise(0.5),
    "silence": silence,
    "hearts (as learnt)": drawn("heart"),
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--model", default="recording")
    asked = parser.parse_args()
    model = load_model(asked.model)
    print("| sound | refused | of | answered as |\n|---|---|---|---|")
    total = 0
    for name, make in SOUNDS.items():
        refused, answers = 0, {}
        for index in range(asked.count):
            found = analyze(make(index).astype(np.float32), sample_rate=RATE, model=model)
            if found.record is None or found.record.refused:
                refused += 1
            else:
                answers[found.record.label] = answers.get(found.record.label, 0) + 1
        total += refused
        print(f"| {name} | {refused / asked.count:.1%} | {asked.count} | {answers or ''} |", flush=True)
    print(f"| all | {total / asked.count / len(SOUNDS):.1%} | {asked.count * len(SOUNDS)} | |")


if __name__ == "__main__":
    main()
