"""How many sounds that are no lung the shipped model refuses.

    python -m laennec.experiments.refusals [--count 40] [--out docs/results/refusals.json]

Speech is espeak-ng's (the program must be installed) in ten languages and voices, which the model was not
trained on: it learnt from a rough vocal-tract synthesiser. The plucked strings are of another synthesiser
than its music. Tones, noises and hearts are drawn anew, and so are of the kinds it learnt from. Real
recordings are measured in `laennec detector`'s folds.
"""

import argparse
import io
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laennec.analyze import analyze
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.files import write_json
from laennec.model.load import load_model
from laennec.simulate.other import other_sound

Wave = NDArray[np.floating[Any]]
RATE, SECONDS = 8000, 12.0
VOICES = ("en-us", "en-gb", "de", "fr", "es", "it", "cmn", "hi", "ru", "ar")
TEXTS = {
    "en": "Please breathe in deeply through your mouth, hold it, and breathe out again. How are you? ",
    "other": "Una due tre quattro cinque sei sette otto nove dieci, respirare profondamente, grazie. ",
}


def speech(index: int) -> Wave:
    """Speech by espeak-ng."""
    voice = VOICES[index % len(VOICES)]
    variant = ("", "+f2", "+m3", "+f4", "+croak", "+whisper")[index // len(VOICES) % 6]
    text = TEXTS["en" if voice.startswith("en") else "other"] * 4
    command = ["espeak-ng", "-v", voice + variant, "-s", str(120 + 15 * (index % 5)), "--stdout", text]
    try:
        sound = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LaennecError(f"speech is espeak-ng's, which does not run here: {error}") from error
    recording = Recording.read(io.BytesIO(sound)).resampled(RATE)
    return np.asarray(recording.samples[0][: round(SECONDS * RATE)])


def strings(index: int) -> Wave:
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


def steady(index: int) -> Wave:
    """One pure tone."""
    t = np.arange(round(SECONDS * RATE)) / RATE
    return np.asarray(0.3 * np.sin(2 * np.pi * np.geomspace(60, 1900, 40)[index % 40] * t))


def noise(exponent: float) -> Callable[[int], Wave]:
    """White or pink noise at some level."""

    def make(index: int) -> Wave:
        rng = np.random.default_rng(index)
        length = round(SECONDS * RATE)
        hz = np.fft.rfftfreq(length, 1 / RATE)
        shape = np.maximum(hz, 20.0) ** -exponent
        wave = np.fft.irfft(shape * np.exp(2j * np.pi * rng.random(hz.size)), length)
        return np.asarray(wave / np.abs(wave).max() * 10 ** rng.uniform(-2, -0.1))

    return make


def silence(index: int) -> Wave:
    """Zeros, or the last bit of a converter flickering."""
    rng = np.random.default_rng(index)
    return np.asarray(rng.integers(0, 2, round(SECONDS * RATE)) * (index % 2) / 2**15)


def drawn(kind: str) -> Callable[[int], Wave]:
    """Of a kind that it learnt from, drawn anew."""
    return lambda index: other_sound(kind, np.random.default_rng([99, index]), SECONDS, RATE)


SOUNDS: dict[str, Callable[[int], Wave]] = {
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
    """Measure every kind of sound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="sounds of each kind, 40")
    parser.add_argument(
        "--model", default="recording", help="a model for whole recordings that ships, or its file"
    )
    parser.add_argument("--out", type=Path, help="JSON for the figures")
    options = parser.parse_args()
    model = load_model(options.model)
    sounds: list[dict[str, Any]] = []
    for name, make in SOUNDS.items():
        answers: Counter[str] = Counter()
        for index in range(options.count):
            record = analyze(make(index).astype(np.float32), sample_rate=RATE, model=model).record
            answers.update([] if record is None or record.refused else [str(record.label)])
        refused = options.count - answers.total()
        sounds.append({"sound": name, "refused": refused, "of": options.count, "answers": dict(answers)})
        print(f"{name:28} {refused} of {options.count} refused; {dict(answers)}", flush=True)
    if options.out:
        command = f"python -m laennec.experiments.refusals --count {options.count}"
        write_json(options.out, {"command": command, "model": options.model, "sounds": sounds})


if __name__ == "__main__":
    run(main)
