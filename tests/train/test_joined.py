"""Words and breaths are continued by others of the same subject."""

import numpy as np

from laennec.train.joined import continued

RATE = 1000


def tones(count: int, samples: int) -> list[np.ndarray]:
    """Clips of one value each, so that they can be told apart."""
    return [np.full(samples, 1.0 + number, np.float32) for number in range(count)]


def test_breaths_follow_in_turn() -> None:
    joined = continued(1, tones(3, 100), 450, RATE, pauses=False)
    assert joined.shape == (450,)
    assert joined[::100].tolist() == [2, 3, 1, 2, 3]


def test_a_breath_alone_is_repeated() -> None:
    assert continued(0, tones(1, 100), 250, RATE, pauses=False).tolist() == [1.0] * 250


def test_words_are_drawn_with_pauses_in_noise() -> None:
    words = [100 * word for word in tones(40, 80)]
    joined = [continued(own, words, 3000, RATE, pauses=True) for own in range(20)]
    for own, wave in enumerate(joined):
        assert wave.shape == (3000,)
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()
        assert (np.abs(wave - 100 * (own + 1)) < 60 * (own + 1)).sum() >= 60  # its own word is there
    pauses = [(np.abs(wave) < 90).mean() for wave in joined]
    assert max(pauses) - min(pauses) > 0.2, "some have many words, some one"
    again = continued(3, words, 3000, RATE, pauses=True)
    np.testing.assert_array_equal(again, joined[3])
    assert not np.array_equal(continued(3, words, 3000, RATE, pauses=True, seed=1), again)


def test_a_word_longer_than_the_whole_is_cut() -> None:
    assert continued(0, tones(2, 500), 300, RATE, pauses=True).shape == (300,)
