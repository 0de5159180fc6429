"""Bins of a spectrum that no filter takes are not computed, and nothing else changes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from laennec.audio.recording import Recording
from laennec.features.event import EventLogMel
from laennec.features.log_mel import LogMel
from laennec.features.recording import RecordingLogMel
from laennec.features.spectrum import PowerSpectrum, mel_filters, used_bins
from laennec.model.load import model_path
from laennec.simulate import demo_recordings
from laennec.simulate.other import other_sound

RATE, N_FFT, BANDS = 8000, 400, 64


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def uncropped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The shipped graph as it was exported before: with every bin up to half the sample rate."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.graph.ClearField("value_info")  # shapes of the cropped one
    values = {
        "front_end.mel": mel_filters(BANDS, N_FFT, RATE, 40.0, 2000.0).T.astype(np.float32),
        "front_end.power.basis": PowerSpectrum(N_FFT, 100).basis.numpy(),
    }
    for constant in whole.graph.initializer:
        if constant.name in values:
            constant.CopyFrom(numpy_helper.from_array(values.pop(constant.name), constant.name))
    assert not values
    return whole


@pytest.fixture(scope="module")
def both() -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
    shipped = onnx.load(model_path("recording"))
    return session(shipped), session(uncropped(shipped))


def assert_equal_outputs(
    both: tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession], samples: np.ndarray
) -> None:
    found, expected = (each.run(None, {"waveform": samples[None]}) for each in both)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def generated() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for length in (400, 799, 8000, 37_123, 15 * RATE):
        for level in (1e-4, 0.05, 1.0):
            yield (level * rng.standard_normal(length)).astype(np.float32)
    yield np.zeros(RATE, np.float32)
    for recording in demo_recordings().values():
        yield recording.samples
    for kind in ("speech", "music", "heart"):
        yield other_sound(kind, rng, 5.0, RATE).astype(np.float32)
    yield np.sin(2 * np.pi * 3000 / RATE * np.arange(3 * RATE)).astype(np.float32)  # above the highest band


def test_the_shipped_graph_gives_what_it_gave_with_every_bin(
    both: tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession],
) -> None:
    for samples in generated():
        assert_equal_outputs(both, samples)


@pytest.mark.real
def test_the_shipped_graph_gives_what_it_gave_on_real_sound(
    both: tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession], real_data: Path
) -> None:
    sets = [sorted((real_data / name).rglob("*.*a*")) for name in ("SPRSound", "ICBHI", "KAUH")]
    paths = [path for own in sets for path in own if path.suffix in (".wav", ".flac")][::150]
    assert len(paths) > 10
    for path in paths:
        assert_equal_outputs(both, Recording.read(path).resampled(RATE).samples[0])


def test_the_shipped_graph_has_the_front_end_of_its_recipe() -> None:
    constants = {each.name: each for each in onnx.load(model_path("recording")).graph.initializer}
    front_end = RecordingLogMel(by_band=True)
    for name, value in (("mel", front_end.mel), ("power.basis", front_end.power.basis)):
        np.testing.assert_array_equal(numpy_helper.to_array(constants[f"front_end.{name}"]), value.numpy())


@pytest.mark.parametrize(
    ("front_end", "bins"), [(RecordingLogMel(), 100), (LogMel(), 250), (EventLogMel(), 128)]
)
def test_bins_above_the_highest_band_are_not_computed(front_end: object, bins: int) -> None:
    powers = [part for part in front_end.modules() if isinstance(part, PowerSpectrum)]  # type: ignore[attr-defined]
    assert {power.bins for power in powers} == {bins}
    assert {len(power.basis) for power in powers} == {2 * bins}
    assert len(front_end.mel) == bins  # type: ignore[attr-defined]


def test_the_last_bin_that_a_filter_takes_is_kept() -> None:
    filters = mel_filters(BANDS, N_FFT, RATE, 40.0, 2000.0)
    used = used_bins(filters)
    assert filters[:, used - 1].any()
    assert not filters[:, used:].any()
    assert used_bins(np.eye(3)) == 3
