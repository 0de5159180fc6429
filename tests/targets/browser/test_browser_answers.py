"""What a browser makes of a recording is what Python makes of it, key by key."""

import json
import random
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import Page

from laennec import analyze
from laennec.output.formats import to_json
from laennec.simulate import write_demo

Analysed = Callable[..., dict[str, Any]]
REAL = {"SPRSound": 20, "ICBHI": 15, "KAUH": 10, "not_lung": 5}
ANY_SOUND = "; --any-sound analyses it all the same"  # an option that a browser has not


def differences(here: Any, there: Any, place: str = "") -> Iterator[str]:
    """Each place where two analyses differ: text and flags at all, numbers by more than a thousandth."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in sorted({*here, *there}):
            if key not in here or key not in there:
                yield f"{place}.{key}: only {'there' if key in there else 'here'}"
            else:
                yield from differences(here[key], there[key], f"{place}.{key}")
    elif isinstance(here, list) and isinstance(there, list):
        if len(here) != len(there):
            yield f"{place}: {len(here)} and {len(there)} of them"
        for number, (one, other) in enumerate(zip(here, there, strict=False)):
            yield from differences(one, other, f"{place}[{number}]")
    elif isinstance(here, str) and isinstance(there, str):
        if here != there.replace(ANY_SOUND, ""):
            yield f"{place}: {here!r} and {there!r}"
    elif isinstance(here, bool) or isinstance(there, bool) or here is None or there is None:
        if here is not there:
            yield f"{place}: {here} and {there}"
    else:
        # Times are those of the same frames; the rest are probabilities and shares of what is seen.
        limit = 1e-4 if place.endswith("_s") else 2e-3 if ".relevance" in place else 1e-3
        if abs(here - there) > limit + 1e-9:
            yield f"{place}: {here} and {there}"


def expected(path: Path, model: str = "recording") -> dict[str, Any]:
    return to_json(analyze(path, model=model))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Simulated recordings in several formats, rates and states, a few seconds each."""
    folder = tmp_path_factory.mktemp("sounds")
    write_demo(folder, seed=3)
    wheezes, rate = soundfile.read(folder / "wheezes.wav", dtype="float32")
    crackles, _ = soundfile.read(folder / "fine_crackles.wav", dtype="float32")
    noise = np.random.default_rng(0).normal(0, 0.05, 4 * rate).astype(np.float32)
    at_44100 = [soxr.resample(part[: 4 * rate], rate, 44_100) for part in (wheezes, crackles)]
    loud = crackles[: 9 * rate] / np.abs(crackles).max()
    silent_end = np.concatenate([loud, np.zeros(13 * rate, np.float32)])
    kinds: dict[str, tuple[Any, int, str]] = {
        "whole.wav": (wheezes, rate, "PCM_16"),
        "stereo.flac": (np.stack(at_44100, axis=1), 44_100, "PCM_24"),
        "loud.wav": (
            soxr.resample(3 * wheezes[: 4 * rate] / np.abs(wheezes).max(), rate, 16_000),
            16_000,
            "FLOAT",
        ),
        "clipped.wav": (np.clip(30 * crackles[: 4 * rate], -0.5, 0.5), rate, "PCM_16"),
        "slow.wav": (soxr.resample(crackles[: 4 * rate], rate, 4_000), 4_000, "PCM_24"),
        "odd-rate.flac": (soxr.resample(wheezes[: 4 * rate], rate, 11_025), 11_025, "PCM_16"),
        "quiet.wav": (wheezes[: 4 * rate] * (2e-3 / np.abs(wheezes).max()), rate, "PCM_16"),
        "noise.wav": (noise, rate, "PCM_16"),
        "silence.wav": (np.zeros(2 * rate), rate, "PCM_16"),
        "short.wav": (wheezes[: rate // 20], rate, "PCM_16"),
        "segments.wav": (silent_end, rate, "PCM_U8"),
    }
    for name, (samples, own_rate, coding) in kinds.items():
        soundfile.write(folder / name, samples, own_rate, coding)
    whole = (folder / "whole.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    return {path.name: path for path in folder.iterdir() if path.name in kinds or path.stem == "truncated"}


def test_every_simulated_recording_is_answered_alike(analysed: Analysed, sounds: dict[str, Path]) -> None:
    found = {name: list(differences(analysed(path), expected(path))) for name, path in sounds.items()}
    assert found == {name: [] for name in sounds}


def test_the_simulated_recordings_hold_what_they_are_for(sounds: dict[str, Path]) -> None:
    told = {name: expected(path) for name, path in sounds.items()}
    kinds = {name: {each["kind"] for each in one["recording"]["quality"]} for name, one in told.items()}
    assert "clipped" in kinds["clipped.wav"]
    assert "truncated" in kinds["truncated.wav"]
    assert "too_short" in kinds["short.wav"]
    assert "quiet" in kinds["quiet.wav"]
    assert told["noise.wav"]["record"]["refused"]
    assert told["silence.wav"]["record"] is None
    assert told["segments.wav"]["refused_parts"]
    assert told["loud.wav"]["recording"]["repairs"]
    assert {event["channel"] for event in told["stereo.flac"]["events"]} == {0, 1}


def test_an_answer_obeys_the_published_schema(analysed: Analysed, sounds: dict[str, Path]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(files("laennec").joinpath("analysis.schema.json").read_text(encoding="utf-8"))
    for name in ("stereo.flac", "noise.wav"):
        jsonschema.Draft202012Validator(schema).validate(analysed(sounds[name]))


def test_where_chunks_meet_changes_nothing(analysed: Analysed, sounds: dict[str, Path]) -> None:
    path = sounds["whole.wav"]
    assert list(differences(analysed(path, chunk_s=1.5), expected(path))) == []


@pytest.mark.parametrize("model", ["default", "source"])
def test_models_for_clips_answer_alike(model: str, analysed: Analysed, sounds: dict[str, Path]) -> None:
    for name in ("loud.wav", "segments.wav"):
        here, there = analysed(sounds[name], model), expected(sounds[name], model)
        for each in (
            here,
            there,
        ):  # which windows are silent; objects of the card, which Python words its own way
            each["notes"], each["model"]["data"] = [], ""
        assert list(differences(here, there)) == []
        assert there["events"]


def test_a_comparison_sees_a_difference() -> None:
    one = {"events": [{"start_s": 1.0, "probability": 0.5, "label": "Wheeze", "uncertain": False}]}
    assert list(differences(one, one)) == []
    for key, other in (("start_s", 1.05), ("probability", 0.502), ("label", "Normal"), ("uncertain", True)):
        assert len(list(differences(one, {"events": [one["events"][0] | {key: other}]}))) == 1


@pytest.mark.parametrize(("rate", "to"), [(44_100, 8_000), (4_000, 8_000), (10_000, 8_000), (48_000, 16_000)])
def test_rates_change_as_soxr_changes_them(rate: int, to: int, module_page: Page) -> None:
    samples = np.random.default_rng(rate).normal(0, 0.1, rate // 2).astype(np.float32)
    call = """async ([samples, from, to]) => {
      const { resample } = await import("./laennec.js");
      return Array.from(resample(Float32Array.from(samples), from, to));
    }"""
    here = np.array(module_page.evaluate(call, [samples.tolist(), rate, to]))
    there = soxr.resample(samples, rate, to).astype(float)
    assert here.size == there.size
    inside = slice(200, -200)  # at the ends soxr's stages see other neighbours
    error, signal = (
        np.abs(np.fft.rfft(x[inside] * np.hanning(x[inside].size))) for x in (here - there, there)
    )
    hz = np.linspace(0, to / 2, error.size)
    low = hz < 0.5 * min(rate, to) / 2
    assert np.sqrt((error[low] ** 2).sum() / (signal[low] ** 2).sum()) < 1e-5
    assert np.sqrt((error**2).sum() / (signal**2).sum()) < 3e-3


@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "PCM_S8"])
def test_flac_is_decoded_sample_by_sample(coding: str, module_page: Page, tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    tones = np.sin(np.arange(6_000)[:, None] * [0.02, 0.021])
    parts = [0.3 * tones, np.zeros((5_000, 2)), generator.uniform(-1, 1, (5_000, 2)), 0.5 + 0 * tones]
    path = tmp_path / "sound.flac"
    soundfile.write(path, np.concatenate(parts), 22_050, coding)
    call = """async (bytes) => {
      const { readSound } = await import("./laennec.js");
      const { channels, rate, coding } = await readSound(Uint8Array.from(bytes).buffer, "sound.flac");
      return { channels: channels.map((each) => Array.from(each)), rate, coding };
    }"""
    here = module_page.evaluate(call, list(path.read_bytes()))
    there, rate = soundfile.read(path, dtype="float32")
    assert here["rate"] == rate
    assert here["coding"] == coding.replace("_S", "_")
    assert np.array_equal(np.array(here["channels"], np.float32), there.T)


@pytest.mark.real
@pytest.mark.slow
def test_fifty_real_recordings_are_answered_alike(analysed: Analysed, real_data: Path) -> None:
    found = {}
    for name, count in REAL.items():
        whole = sorted(p for p in (real_data / name).rglob("*") if p.suffix.lower() in (".wav", ".flac"))
        own = [path for path in whole if "test" not in str(path.relative_to(real_data)).lower()]
        for path in random.Random(16).sample(own, count):
            found[path.name] = list(differences(analysed(path), expected(path)))
    assert len(found) == sum(REAL.values())
    assert {name: faults for name, faults in found.items() if faults} == {}
