import numpy as np
import pytest
import torch

from laennec.errors import LaennecError
from laennec.features.augment import (
    Copy,
    ImageVariation,
    Mixing,
    draw_copies,
    draw_hidden_metadata,
    draw_image_variation,
    draw_mixing,
    mix,
    time_stretch,
    vary_images,
)
from laennec.train.recipe import Augmentation

SETTINGS = Augmentation(circular_shift=True, frequency_masks=2, time_masks=2, mixup=0.3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_draws_the_same_variation() -> None:
    first, second = (draw_image_variation(4, 64, 79, SETTINGS, generator(3)) for _ in range(2))
    for name in ImageVariation.__dataclass_fields__:
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_item_of_a_batch_equals_the_item_alone() -> None:
    images = torch.randn(5, 3, 64, 79, generator=generator())
    drawn = draw_image_variation(5, 64, 79, SETTINGS, generator(1))
    alone = ImageVariation(drawn.shift_frames[2:3], drawn.hidden_rows[2:3], drawn.hidden_frames[2:3])
    torch.testing.assert_close(vary_images(images, drawn)[2:3], vary_images(images[2:3], alone))


def test_shift_rolls_and_masks_are_zero_and_no_wider_than_asked() -> None:
    images = torch.randn(64, 1, 64, 79, generator=generator()) + 10
    drawn = draw_image_variation(64, 64, 79, Augmentation(circular_shift=True), generator(2))
    rolled = vary_images(images, drawn)
    for k in range(64):
        torch.testing.assert_close(rolled[k], images[k].roll(int(drawn.shift_frames[k]), dims=2))
    drawn = draw_image_variation(
        64, 64, 79, Augmentation(frequency_masks=1, frequency_mask_bins=8, time_masks=1, time_mask_frames=24)
    )
    assert 0 < drawn.hidden_rows.sum(1).max() <= 8
    assert 0 < drawn.hidden_frames.sum(1).max() <= 24
    masked = vary_images(images, drawn)
    hidden = (drawn.hidden_rows[:, None, :, None] | drawn.hidden_frames[:, None, None, :]).expand_as(images)
    assert (masked[hidden] == 0).all()
    torch.testing.assert_close(masked[~hidden], images[~hidden])


def test_nothing_asked_changes_nothing() -> None:
    images = torch.randn(3, 1, 8, 9)
    torch.testing.assert_close(vary_images(images, draw_image_variation(3, 8, 9, Augmentation())), images)


def test_mixup_keeps_the_larger_share_and_sums_to_one() -> None:
    drawn = draw_mixing(1000, 0.3, generator())
    assert drawn.weight.min() >= 0.5
    assert drawn.weight.max() <= 1
    target = mix(torch.eye(7)[torch.arange(1000) % 7], drawn)
    torch.testing.assert_close(target.sum(1), torch.ones(1000))
    values = torch.tensor([[1.0], [3.0]])
    assert mix(values, Mixing(torch.tensor([0.75, 1.0]), torch.tensor([1, 0]))).tolist() == [[1.5], [3.0]]


def test_metadata_is_hidden_as_often_as_asked() -> None:
    hidden = draw_hidden_metadata(20_000, 0.15, generator())
    assert hidden.shape == (3, 20_000)
    assert abs(hidden.float().mean().item() - 0.15) < 0.01


# Copies ---------------------------------------------------------------------------------------------------

LABELS = ["normal", "crackle", "wheeze", "both", "wheeze", "normal"]


def test_the_papers_rules_for_the_source() -> None:
    """Section III-B: stretching doubles wheeze and both; VTLP enlarges all, the stretched ones too."""
    rules = Augmentation(
        stretch_labels=("wheeze", "both"), vtlp_labels=("normal", "crackle", "wheeze", "both")
    )
    copies = draw_copies(LABELS, rules, 0)
    stretched = [copy for copy in copies if copy.warp == 1.0]
    assert sorted(copy.row for copy in stretched) == [2, 3, 4]
    warped = [copy for copy in copies if copy.warp != 1.0]
    assert len(warped) == len(LABELS) + len(stretched)
    rates = {copy.row: copy.stretch for copy in stretched}
    both = [copy for copy in warped if copy.stretch != 1.0]
    assert {copy.row: copy.stretch for copy in both} == rates
    assert all(0.8 <= copy.stretch <= 1.25 and 0.9 <= copy.warp <= 1.1 for copy in copies)


def test_the_papers_rules_for_the_target() -> None:
    """Section III-B: VTLP only for crackles."""
    copies = draw_copies(LABELS, Augmentation(vtlp_labels=("crackle",), vtlp_copies=2), 0)
    assert [copy.row for copy in copies] == [1, 1]
    assert copies[0].warp != copies[1].warp


def test_copies_are_the_same_for_the_same_seed_alone() -> None:
    rules = Augmentation(vtlp_labels=("crackle", "normal"))
    assert draw_copies(LABELS, rules, 5) == draw_copies(LABELS, rules, 5)
    assert draw_copies(LABELS, rules, 5) != draw_copies(LABELS, rules, 6)
    assert draw_copies(LABELS, Augmentation(), 5) == []
    assert Copy(0) == Copy(0, 1.0, 1.0)


@pytest.mark.parametrize("rate", [0.8, 0.93, 1.0, 1.1, 1.25])
def test_stretching_changes_the_length_and_keeps_the_pitch(rate: float) -> None:
    times_s = np.arange(24_000) / 16_000
    tone = (np.sin(2 * np.pi * 400 * times_s) * np.hanning(24_000)).astype(np.float32)
    stretched = time_stretch(tone, rate)
    assert stretched.dtype == np.float32
    assert len(stretched) == round(24_000 / rate)
    spectrum = np.abs(np.fft.rfft(stretched))
    assert spectrum.argmax() * 16_000 / len(stretched) == pytest.approx(400, abs=1.5)
    # The envelope is the tone's own, faster or slower.
    level = np.abs(stretched).reshape(-1)[: len(stretched) // 400 * 400].reshape(-1, 400).max(1)
    wanted = np.interp(np.linspace(0, 1, len(level)), np.linspace(0, 1, 24_000), np.hanning(24_000))
    assert np.abs(level - wanted).mean() < 0.05


def test_stretching_agrees_with_librosa() -> None:
    import librosa

    samples = (np.random.default_rng(0).standard_normal(16_000) * np.hanning(16_000) * 0.1).astype(np.float32)
    ours = time_stretch(samples, 1.2)
    theirs = librosa.effects.time_stretch(samples, rate=1.2, n_fft=512, hop_length=128)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_a_clip_shorter_than_a_window_and_rates_that_are_none() -> None:
    assert len(time_stretch(np.ones(50, np.float32), 0.8)) == round(50 / 0.8)
    with pytest.raises(LaennecError, match=r"0\.25 to 4"):
        time_stretch(np.ones(50, np.float32), 5.0)
