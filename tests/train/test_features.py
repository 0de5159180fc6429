from pathlib import Path

import numpy as np
import pytest
import torch

from laennec.audio.highpass import bessel_highpass
from laennec.audio.segment import INPUTS, fit_parts
from laennec.features import build_front_end
from laennec.features.base import extract
from laennec.features.cepstral import CepstralImage
from laennec.features.cycle import MAGNITUDE_FLOOR, CycleLogMel, vtlp_warp
from laennec.features.log_mel import LogMel
from laennec.features.spectrum import dct_matrix, linear_filters, mel_filters

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "features.npz")
SIGNALS = ("breath", "wheeze", "crackles")


def signals() -> torch.Tensor:
    return torch.from_numpy(np.stack([GOLDEN[f"{name}_signal"] for name in SIGNALS]))


@pytest.mark.parametrize("as_convolution", [False, True])
def test_cepstral_image_agrees_with_librosa_and_scipy(as_convolution: bool) -> None:
    golden = np.stack([GOLDEN[f"{name}_image"] for name in SIGNALS])
    front_end = CepstralImage()
    front_end.power.as_convolution = as_convolution
    front_end.fit_statistics(torch.from_numpy(golden).float())
    mean = golden.mean((0, 3))[..., None]
    deviation = golden.std((0, 3), ddof=1)[..., None]
    image = front_end(signals()).numpy()
    assert image.shape == (3, 3, 64, 79)
    np.testing.assert_allclose(image, (golden - mean) / deviation, atol=1e-4)


@pytest.mark.parametrize("as_convolution", [False, True])
def test_log_mel_agrees_with_librosa(as_convolution: bool) -> None:
    golden = np.stack([GOLDEN[f"{name}_log_mel"] for name in SIGNALS])
    front_end = LogMel(clip_samples=20_000)
    front_end.power.as_convolution = as_convolution
    np.testing.assert_allclose(front_end.unnormalised(signals())[:, 0].numpy(), golden, atol=1e-4)
    image = front_end(signals())
    torch.testing.assert_close(image.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(image.std((1, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_filters_are_triangles_that_cover_the_band() -> None:
    for filters in (mel_filters(64, 512, 8000, 0, 4000), linear_filters(64, 512, 8000, 0, 4000)):
        assert filters.shape == (64, 257)
        assert (filters >= 0).all()
        assert (filters.max(1) > 0.3).all()  # no band without a bin, the classic fault of too many mel bands
    # Neighbouring triangles add up to one between the first and the last peak.
    assert linear_filters(64, 512, 8000, 0, 4000)[:, 4:253].sum(0) == pytest.approx(1)


def test_dct_is_orthonormal() -> None:
    np.testing.assert_allclose(dct_matrix(64) @ dct_matrix(64).T, np.eye(64), atol=1e-12)


@pytest.mark.parametrize("front_end", [CepstralImage(), LogMel()])
def test_gain_does_not_matter_and_silence_is_finite(front_end: torch.nn.Module) -> None:
    wave = torch.randn(2, front_end.clip_samples, generator=torch.Generator().manual_seed(0)) * 0.1
    torch.testing.assert_close(front_end(wave), front_end(wave * 0.01), atol=1e-3, rtol=1e-3)
    assert front_end(torch.zeros(1, front_end.clip_samples)).isfinite().all()


def test_extract_in_chunks_equals_one_batch() -> None:
    front_end = CepstralImage()
    wave = torch.randn(21, 20_000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(extract(front_end, wave, chunk=4), front_end.unnormalised(wave))


def test_statistics_come_from_the_images_given() -> None:
    front_end = CepstralImage()
    images = torch.randn(50, 3, 64, 79, generator=torch.Generator().manual_seed(2)) * 3 + 5
    front_end.fit_statistics(images)
    normal = front_end.normalised(images)
    torch.testing.assert_close(normal.mean((0, 3)), torch.zeros(3, 64), atol=1e-4, rtol=0)
    torch.testing.assert_close(normal.std((0, 3)), torch.ones(3, 64), atol=1e-3, rtol=0)


def test_a_recipe_builds_its_front_end() -> None:
    front_end = build_front_end({"kind": "log-mel", "bands": 32, "clip_samples": 8000})
    assert front_end(torch.randn(1, 8000)).shape == (1, 1, 32, 81)


# Cycles ---------------------------------------------------------------------------------------------------


def cycle(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * 16_000)) * 0.1).astype(np.float32)


@pytest.mark.parametrize("as_convolution", [False, True])
def test_cycle_log_mel_agrees_with_librosa(as_convolution: bool) -> None:
    import librosa

    front_end = CycleLogMel(clip_samples=16_384)
    front_end.power.as_convolution = as_convolution
    samples = cycle(2.0)[:16_384]
    magnitude = np.abs(
        librosa.stft(samples / np.sqrt(np.mean(samples**2)), n_fft=512, hop_length=512, center=False)
    )
    filters = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=45, htk=True, norm=None)
    expected = np.log(filters @ magnitude + MAGNITUDE_FLOOR)
    found = front_end.log_bands(torch.from_numpy(samples[None]))[0, 0].numpy()
    assert found.shape == (45, 32)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    image = front_end(torch.from_numpy(samples[None])).numpy()
    np.testing.assert_allclose(image, ((expected - expected.mean()) / expected.std())[None, None], atol=2e-3)


def test_parts_side_by_side_are_the_parts_alone() -> None:
    whole = CycleLogMel(clip_samples=16_384, inputs=INPUTS, ratio="2:5")
    parts = fit_parts(cycle(0.7), INPUTS, whole.part_samples, whole.ratio)
    together = whole(torch.from_numpy(parts[None]))
    assert together.shape == (1, 1, 45, sum(whole.part_frames))
    first = 0
    for samples, image in zip(
        np.split(parts, np.cumsum(whole.part_samples)[:-1]), together.split(whole.part_frames, 3), strict=True
    ):
        alone = CycleLogMel(clip_samples=len(samples))(torch.from_numpy(samples[None]))
        torch.testing.assert_close(image, alone, atol=1e-4, rtol=1e-4)
        assert abs(float(image.mean())) < 1e-4
        assert float(image.std(correction=0)) == pytest.approx(1, abs=1e-3)
        first += 1
    assert first == 3


def test_gain_does_not_matter_and_band_normalisation_takes_out_a_response() -> None:
    samples = torch.from_numpy(cycle()[None, :16_384])
    plain = CycleLogMel(clip_samples=16_384)
    torch.testing.assert_close(plain(samples), plain(samples * 0.03), atol=1e-4, rtol=1e-4)
    spectrum = torch.fft.rfft(samples)
    coloured = torch.fft.irfft(spectrum * torch.logspace(-1, 1, spectrum.shape[1])[None])
    by_band = CycleLogMel(clip_samples=16_384, normalisation="band")
    moved = [float((front_end(samples) - front_end(coloured)).abs().mean()) for front_end in (plain, by_band)]
    assert moved[0] > 0.2
    assert moved[1] < moved[0] / 3


def test_vtlp_warps_by_the_equation_of_jaitly_and_hinton() -> None:
    for alpha in (0.9, 0.95, 1.0, 1.05, 1.1):
        frequency_hz = np.linspace(0, 8000, 801)
        warped = vtlp_warp(frequency_hz, alpha, 16_000)
        boundary = 4800 * min(alpha, 1) / alpha
        np.testing.assert_allclose(
            warped[frequency_hz <= boundary], frequency_hz[frequency_hz <= boundary] * alpha
        )
        assert warped[-1] == pytest.approx(8000)
        assert (np.diff(warped) > 0).all()
        assert np.abs(np.diff(warped)).max() < 25  # no jump at the boundary: 10 Hz steps by slopes below 2
    np.testing.assert_allclose(vtlp_warp(np.array([0.0, 5.0]), 1.0, 16_000), [0, 5])


def test_vtlp_moves_a_tone_to_another_band() -> None:
    front_end = CycleLogMel(clip_samples=16_384)
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_384) / 16_000).astype(np.float32)
    bands = [
        int(front_end.log_bands(torch.from_numpy(tone[None]), warp).mean(3).argmax())
        for warp in (0.9, 1.0, 1.1)
    ]
    assert bands[0] > bands[1] > bands[2]  # filters that reach higher put the tone lower


def test_highpass_in_the_front_end_is_the_filter_of_the_recorder() -> None:
    samples = cycle(4.0)
    filtered = bessel_highpass(samples, 16_000)
    length = 32_768
    within = CycleLogMel(clip_samples=length, highpass_hz=80.0)
    outside = CycleLogMel(clip_samples=length)
    rms = float(np.sqrt(np.mean(filtered[:length] ** 2)) / np.sqrt(np.mean(samples[:length] ** 2)))
    one = within.log_bands(torch.from_numpy(samples[None, :length])).mean(3) - np.log(rms)
    two = outside.log_bands(torch.from_numpy(filtered[None, :length])).mean(3)
    assert (one - two).abs().max() < 0.5  # the lowest band, narrower than a window can tell
    assert (one - two)[..., 1:].abs().max() < 0.07
    assert (one - two)[..., 4:].abs().max() < 0.02


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ratio": "1:4"}, "ratio"),
        ({"normalisation": "none"}, "normalisation"),
        ({"hop_length": 100}, "hops"),
    ],
)
def test_a_cycle_front_end_that_cannot_be(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_front_end({"kind": "cycle-log-mel", **wrong})
