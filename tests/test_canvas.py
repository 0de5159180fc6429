"""What pictures are drawn with: pixels with a palette, words that are kept."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from laennec.output.canvas import Canvas, PixelCanvas, _renderer, indexed, write_vector


def test_kept_words_are_as_matplotlib_draws_them() -> None:
    texts = [
        ("7 adventitious events; 15.0 s, 8000 Hz", 8.5, False),
        ("wheezes.wav", 12.0, True),
        ("Ägyptën", 8.0, False),
    ]
    for text, size, bold in texts:
        renderer = _renderer(500, 40)
        np.asarray(renderer.buffer_rgba())[..., 3] = 255
        Canvas(renderer, 40, 1.0).words(text, 20, 25, size, bold=bold)
        expected = np.asarray(renderer.buffer_rgba())[..., 0].astype(float)
        ours = PixelCanvas(500, 40)
        ours.words(text, 20, 25, size, bold=bold)
        pixels = ours.pixels[..., 0].astype(float)
        assert (255 - pixels).sum() == pytest.approx((255 - expected).sum(), rel=0.03)  # as much ink
        inked = [np.flatnonzero((page < 128).any(axis=0)) for page in (pixels, expected)]
        assert inked[0][0] == pytest.approx(inked[1][0], abs=1)
        assert inked[0][-1] == pytest.approx(inked[1][-1], abs=3)  # spaces are of whole pixels
        rows = [np.flatnonzero((page < 128).any(axis=1)) for page in (pixels, expected)]
        assert list(rows[0]) == list(rows[1])


def test_words_lie_where_they_are_put_and_may_leave_the_page() -> None:
    canvas = PixelCanvas(200, 100)
    width = canvas.width("middle", 8)
    canvas.words("middle", 100, 50, 8, align=0.5)
    columns = np.flatnonzero((canvas.pixels[..., 0] < 128).any(axis=0))
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(100, abs=1.5)
    assert columns[-1] - columns[0] == pytest.approx(width, abs=3)
    canvas = PixelCanvas(200, 100)
    canvas.words("upright", 50, 50, 8, align=0.5, upright=True)
    rows, columns = np.nonzero(canvas.pixels[..., 0] < 128)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(50, abs=1.5)
    assert columns.max() <= 54  # nothing but what hangs below the line is to the right of it
    for x, y in ((-20, 50), (190, 50), (50, 2), (50, 104), (-500, 50), (50, 500)):
        canvas.words("beyond the edge", x, y, 8)


def test_a_palette_keeps_what_is_flat_and_nearly_what_is_not() -> None:
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(0, 256, (40, 60, 1)), 3, axis=2).astype(np.uint8)
    pixels[:10, :30] = (230, 159, 0)
    pixels[10:20, :30] = (0, 114, 178)
    places, palette = indexed(pixels)
    drawn = palette[places].astype(int)
    assert np.abs(drawn - pixels).max() <= 2  # half a step of 64 greys
    assert (drawn[:20, :30] == pixels[:20, :30]).all()
    assert (palette[places[pixels[..., 0] == 255]] == 255).all()


def test_more_colours_than_there_is_room_for_are_made_fewer() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    places, palette = indexed(pixels)
    assert np.abs(palette[places].astype(int) - pixels).mean() < 20
    assert len(np.unique(palette[places].reshape(-1, 3), axis=0)) > 50
    places, palette = indexed(np.full((3, 4, 3), 255, np.uint8))
    assert (palette[places] == 255).all()


def test_pictures_fill_their_box_as_a_vector_too(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    canvas = PixelCanvas(40, 30)
    canvas.image(grey, (4, 6, 36, 24))
    assert (canvas.pixels[6:24, 4:36, 0] == np.repeat(np.repeat(grey, 6, axis=0), 8, axis=1)).all()
    assert (canvas.pixels[:6] == 255).all()
    write_vector(lambda page: page.image(grey, (4, 6, 36, 24)), 40, 30, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text.count("<image") == 1
