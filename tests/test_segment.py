"""Lengths, windows and clips."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laennec.audio.segment import (
    INPUTS,
    PADDINGS,
    PHASE_RATIOS,
    cut,
    fit_length,
    fit_parts,
    part_lengths,
    phases,
    windows,
)
from laennec.errors import LaennecError


def test_the_three_paddings() -> None:
    x = np.array([1, 2, 3], np.float32)
    assert fit_length(x, 8, "tile").tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert fit_length(x, 8, "zero").tolist() == [1, 2, 3, 0, 0, 0, 0, 0]
    assert fit_length(x, 8, "sample").tolist() == [1, 2, 3, 3, 2, 1, 1, 2]
    assert fit_length(x, 5, "sample").tolist() == [1, 2, 3, 3, 2]  # the last samples are used first


@pytest.mark.parametrize("how", PADDINGS)
def test_a_longer_clip_keeps_its_start(how: str) -> None:
    assert fit_length(np.arange(5), 3, how).tolist() == [0, 1, 2]


@given(
    samples=st.integers(1, 40),
    length=st.integers(1, 200),
    how=st.sampled_from(list(PADDINGS)),
    lead=st.sampled_from([(), (1,), (2, 3)]),
)
def test_fitting(samples: int, length: int, how: str, lead: tuple[int, ...]) -> None:
    x = np.random.default_rng(samples).standard_normal((*lead, samples)).astype(np.float32)
    before = x.copy()
    fitted = fit_length(x, length, how)
    assert fitted.shape == (*lead, length)
    assert fitted.dtype == np.float32
    kept = min(samples, length)
    np.testing.assert_array_equal(fitted[..., :kept], x[..., :kept])
    index = np.arange(length)
    if how == "zero":
        assert not fitted[..., samples:].any()
    elif how == "tile":
        np.testing.assert_array_equal(fitted, x[..., index % samples])
    else:
        turn = index % (2 * samples)
        np.testing.assert_array_equal(fitted, x[..., np.where(turn < samples, turn, 2 * samples - 1 - turn)])
    fitted[...] = 7
    np.testing.assert_array_equal(x, before)


@given(samples=st.integers(2, 50), length=st.integers(2, 300))
def test_sample_padding_has_no_jump_that_the_clip_has_not(samples: int, length: int) -> None:
    x = np.random.default_rng(samples).standard_normal(samples)
    jumps = np.abs(np.diff(fit_length(x, length, "sample")))
    assert jumps.max() <= np.abs(np.diff(x)).max()


@pytest.mark.parametrize(
    ("x", "length", "how", "message"),
    [
        (np.ones(3), 5, "mirror", "unknown padding 'mirror'; expected one of tile, zero, sample"),
        (np.ones(3), 0, "tile", "at least 1 sample, got 0"),
        (np.ones((2, 0)), 5, "zero", "an empty clip"),
        (np.float32(1), 5, "zero", "an empty clip"),
    ],
)
def test_what_cannot_be_fitted(x: np.ndarray, length: int, how: str, message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        fit_length(x, length, how)


def test_windows_by_example() -> None:
    assert windows(10, 4, 2) == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert windows(9, 4, 4) == [(0, 4), (4, 8), (5, 9)]
    assert windows(3, 4, 4) == [(0, 3)]
    assert windows(4, 4, 4) == [(0, 4)]
    assert len(windows(0.3 * 3, 0.3, 0.3)) == 3  # 0.9 is not a whole number of 0.3 in binary
    assert windows(15.36, 2.0, 0.5)[-1] == (13.36, 15.36)


@given(
    duration_s=st.floats(0.001, 200), window_s=st.floats(0.05, 30), part=st.floats(0.05, 1, exclude_min=True)
)
def test_windows_cover_the_recording(duration_s: float, window_s: float, part: float) -> None:
    hop_s = window_s * part
    found = windows(duration_s, window_s, hop_s)
    assert found[0][0] == 0
    assert found[-1][1] == duration_s
    if duration_s <= window_s + 1e-6 * hop_s:
        assert found == [(0, duration_s)]
        return
    starts_s, ends_s = np.array(found).T
    np.testing.assert_allclose(ends_s - starts_s, window_s, rtol=1e-9)
    assert (ends_s <= duration_s + 1e-4).all()
    assert (np.diff(starts_s) > 0).all()
    assert (np.diff(starts_s) <= hop_s + 1e-4).all()  # so no gap either: the hop is at most the window


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 2), "recording must have a length above 0 s"),
        ((float("nan"), 4, 2), "recording must have"),
        ((float("inf"), 4, 2), "recording must have"),
        ((10, -1, 2), "window must have"),
        ((10, 4, 0), r"hop .* must be 0\.001 s to the window's 4 s, got 0 s"),
        ((10, 4, 5), "hop .* got 5 s"),
        ((10, 4, float("nan")), "hop .* got nan s"),
    ],
)
def test_windows_that_make_no_sense(arguments: tuple[float, float, float], message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        windows(*arguments)


def test_cutting() -> None:
    x = np.arange(2 * 8_000).reshape(2, 8_000)
    np.testing.assert_array_equal(cut(x, 8_000, 0.25, 0.5), x[:, 2_000:4_000])
    np.testing.assert_array_equal(cut(x, 8_000, 0, 1), x)
    assert cut(x, 8_000, 0.5, 0.50001).shape == (2, 1)
    assert cut(x, 8_000, 0.99999, 1.0).shape == (2, 1)


def test_an_event_that_reaches_outside_is_an_error_or_a_note() -> None:
    x = np.arange(8_000)
    with pytest.raises(LaennecError, match=r"event 0\.5 to 1\.5 s: reaches outside the recording of 1 s"):
        cut(x, 8_000, 0.5, 1.5)
    notes: list[str] = []
    np.testing.assert_array_equal(cut(x, 8_000, 0.5, 1.5, notes), x[4_000:])
    np.testing.assert_array_equal(cut(x, 8_000, -0.5, 0.25, notes), x[:2_000])
    assert notes == [
        "event 0.5 to 1.5 s: reaches outside the recording of 1 s; shortened to 0.5 to 1 s",
        "event -0.5 to 0.25 s: reaches outside the recording of 1 s; shortened to 0 to 0.25 s",
    ]
    notes.clear()
    np.testing.assert_array_equal(cut(x, 8_000, 0.5, 1.001, notes), x[4_000:])  # rounding of the label
    assert notes == []


@pytest.mark.parametrize(
    ("start_s", "end_s", "message"),
    [
        (0.5, 0.5, "must end after its start"),
        (0.6, 0.5, "must end after its start"),
        (float("nan"), 0.5, "must end after its start"),
        (0, float("inf"), "must end after its start"),
        (1.0, 1.5, "outside the recording of 1 s"),
        (-1.0, 0.0, "outside the recording of 1 s"),
    ],
)
def test_events_that_cannot_be_cut(start_s: float, end_s: float, message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        cut(np.zeros(8_000), 8_000, start_s, end_s, [])


@given(start_s=st.floats(-1, 2), length_s=st.floats(0.00001, 3), rate=st.sampled_from([4_000, 8_000, 44_100]))
def test_a_cut_lies_inside_and_is_never_empty(start_s: float, length_s: float, rate: int) -> None:
    x = np.arange(rate)
    try:
        clip = cut(x, rate, start_s, start_s + length_s, [])
    except LaennecError:
        assert start_s >= 1 or start_s + length_s <= 0
        return
    assert clip.size >= 1
    inside_s = min(1, start_s + length_s) - max(0, start_s)
    assert abs(clip.size - inside_s * rate) <= 1.01


@pytest.mark.real
def test_every_icbhi_cycle_can_be_cut() -> None:
    from laennec.audio.recording import Recording

    root = os.environ.get("LAENNEC_DATA")
    if not root:
        pytest.skip("LAENNEC_DATA names no folder with real recordings")
    count = 0
    for path in sorted(Path(root, "ICBHI", "ICBHI_final_database").glob("*.flac"))[::4]:
        recording = Recording.read(path)
        for line in path.with_suffix(".txt").read_text().split("\n"):
            if line.strip():
                start_s, end_s = map(float, line.split()[:2])
                clip = cut(recording.samples, recording.sample_rate, start_s, end_s)
                assert clip.shape[1] / recording.sample_rate == pytest.approx(end_s - start_s, abs=0.0015)
                count += 1
    assert count > 100


# Phases ---------------------------------------------------------------------------------------------------


def test_the_papers_five_ratios() -> None:
    assert list(PHASE_RATIOS) == ["1:3", "2:5", "3:7", "4:9", "1:2"]
    for name, ratio in PHASE_RATIOS.items():
        one, two = map(int, name.split(":"))
        assert ratio == one / two


@given(samples=st.integers(2, 3000), ratio=st.sampled_from(list(PHASE_RATIOS.values())))
def test_phases_are_the_cycle_and_lose_nothing(samples: int, ratio: float) -> None:
    cycle = np.arange(samples)
    inspiration, expiration = phases(cycle, ratio)
    assert inspiration.size >= 1
    assert expiration.size >= 1
    np.testing.assert_array_equal(np.concatenate([inspiration, expiration]), cycle)
    assert abs(inspiration.size - samples * ratio) <= 0.5 + (samples < 4)


def test_a_known_end_of_inspiration_is_used_in_place_of_the_ratio() -> None:
    inspiration, expiration = phases(np.arange(100), 0.5, inspiration_length=30)
    assert (inspiration.size, expiration.size) == (30, 70)
    assert phases(np.arange(100), 0.5, inspiration_length=500)[1].size == 1


def test_lengths_of_the_parts_at_the_papers_length() -> None:
    lengths = part_lengths(131_960, INPUTS, 1 / 3, 512)
    assert [length / 512 for length in lengths] == [257, 85, 171]
    with pytest.raises(LaennecError, match="too short"):
        part_lengths(900, INPUTS, 1 / 3, 512)
    with pytest.raises(LaennecError, match="expected different ones"):
        part_lengths(131_960, ("cycle", "cycle"), 1 / 3, 512)


@given(
    samples=st.integers(2, 700),
    ratio=st.sampled_from(list(PHASE_RATIOS.values())),
    how=st.sampled_from(["zero", "sample"]),
)
def test_parts_have_exact_lengths_and_begin_with_what_they_are_of(
    samples: int, ratio: float, how: str
) -> None:
    cycle = np.random.default_rng(samples).standard_normal(samples)
    lengths = part_lengths(512, INPUTS, ratio, 16)
    fitted = fit_parts(cycle, INPUTS, lengths, ratio, how)
    assert fitted.shape == (sum(lengths),)
    starts = np.cumsum((0, *lengths))
    inspiration, expiration = phases(cycle, ratio)
    for part, start, length in zip((cycle, inspiration, expiration), starts, lengths, strict=False):
        found = fitted[start : start + length]
        kept = min(part.size, length)
        np.testing.assert_array_equal(found[:kept], part[:kept])
        if how == "sample" and part.size < length:
            # Backwards from the last sample: the first one after the joint repeats it, so nothing jumps.
            assert found[part.size] == part[-1]
            more = min(part.size, length - part.size)
            np.testing.assert_array_equal(found[part.size : part.size + more], part[::-1][:more])
            steps = np.abs(np.diff(found))
            assert steps.max() <= np.abs(np.diff(part)).max(initial=0.0)
        elif part.size < length:
            assert not found[part.size :].any()


def test_a_cycle_of_one_sample_has_no_phases() -> None:
    with pytest.raises(LaennecError, match="cannot be split"):
        phases(np.zeros(1), 0.5)
    with pytest.raises(LaennecError, match="between 0 and 1"):
        phases(np.zeros(10), 1.0)
