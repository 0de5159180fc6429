"""What pictures are drawn with: boxes, lines, areas, grey images and words, by Matplotlib's renderers.

A picture is a function that is given a canvas. Its own axes and text objects would take Matplotlib most of
the time of a picture, so they are left out: places are pixels from the upper left corner, at `DPI` dots per
inch, and font sizes and line widths are points. On pixels, words are kept as they were drawn before, and the
file has a palette, which is a third of the bytes.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from laennec.output.html import png
from laennec.output.spectrogram import COARSE, GREYS, STEPS

DPI = 110  # of the pixels
COLOURS = 256 - GREYS  # of a PNG, for what is coloured
WORDS = 4096  # that are kept
PAD = 2  # pixels around a word, into which its letters may reach

Pixels = npt.NDArray[np.uint8]
Paint = Callable[["Canvas"], None]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


class Canvas:
    """A page of Matplotlib's renderers: its pixels are scaled to what the renderer measures in."""

    def __init__(self, renderer: Any, height: float, scale: float) -> None:
        self._renderer, self._height, self._scale = renderer, height, scale
        self._transform = Affine2D().scale(scale, -scale).translate(0, height * scale)

    def boxes(
        self, boxes: Sequence[Box], colour: str, *, alpha: float = 1.0, edge: str = "", hatched: bool = False
    ) -> None:
        """Fill boxes of one colour; those that are `hatched` have white stripes."""
        if boxes:
            corners = [((a, b), (c, b), (c, d), (a, d), (a, b)) for a, b, c, d in boxes]
            codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(boxes)
            path = Path(np.reshape(corners, (-1, 2)), codes)
            self._path(path, fill=colour, alpha=alpha, line=edge, width=0.5, hatched=hatched)

    def lines(self, lines: Sequence[Box], colour: str, width: float) -> None:
        """Draw straight lines, each from its first to its last place."""
        if lines:
            path = Path(np.reshape(lines, (-1, 2)), [Path.MOVETO, Path.LINETO] * len(lines))
            self._path(path, line=colour, width=width)

    def curve(self, points: npt.NDArray[Any], colour: str, width: float) -> None:
        """Draw a line through points, ``(points, 2)``."""
        self._path(Path(points), line=colour, width=width, snap=False)

    def area(self, points: npt.NDArray[Any], colour: str) -> None:
        """Fill what an outline, ``(points, 2)``, encloses."""
        self._path(Path(points), fill=colour, snap=False)

    def _path(
        self,
        path: Path,
        *,
        fill: str = "",
        line: str = "",
        width: float = 0.0,
        alpha: float = 1.0,
        hatched: bool = False,
        snap: bool = True,
    ) -> None:
        pen = self._renderer.new_gc()
        pen.set_snap(snap)
        pen.set_alpha(alpha)
        pen.set_linewidth(width if line else 0.0)
        if line:
            pen.set_foreground(line)
        if hatched:
            pen.set_hatch("////")
            pen.set_hatch_color(to_rgb("white"))
            pen.set_hatch_linewidth(1.0)
        self._renderer.draw_path(pen, path, self._transform, to_rgb(fill) if fill else None)
        pen.restore()

    def image(self, grey: Pixels, box: Box) -> None:
        """Put a grey picture, ``(rows, columns)``, the first row on top, into a box."""
        left, _, right, bottom = box
        rgba = np.full((*grey.shape, 4), 255, np.uint8)
        rgba[..., :3] = grey[::-1, :, None]
        size = Affine2D().scale((right - left) * self._scale, (bottom - box[1]) * self._scale)
        pen = self._renderer.new_gc()
        place = left * self._scale, (self._height - bottom) * self._scale
        self._renderer.draw_image(pen, *place, rgba, size)
        pen.restore()

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        """Return how wide a text is."""
        measured = self._renderer.get_text_width_height_descent(text, _font(size, bold), False)
        return float(measured[0]) / self._scale

    def words(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        *,
        colour: str = "black",
        align: float = 0.0,
        bold: bool = False,
        upright: bool = False,
    ) -> None:
        """Write a line of text.

        Parameters
        ----------
        x, y : float
            A place on the line that the letters stand on: their left end with `align` 0, their middle with
            0.5, their right end with 1.
        size : float
            In points.
        upright : bool
            From bottom to top instead of from left to right.
        """
        before = align * self.width(text, size, bold=bold)
        x, y = (x, y + before) if upright else (x - before, y)
        pen = self._renderer.new_gc()
        pen.set_foreground(colour)
        y = y if self._renderer.flipy() else self._height - y
        place = x * self._scale, y * self._scale
        self._renderer.draw_text(pen, *place, text, _font(size, bold), 90 if upright else 0)
        pen.restore()


class PixelCanvas(Canvas):
    """A page of pixels. Words that were drawn before are copied, and so are pictures."""

    def __init__(self, width: int, height: int) -> None:
        renderer = _renderer(width, height)
        super().__init__(renderer, height, 1.0)
        rgba = np.asarray(renderer.buffer_rgba())
        rgba[..., 3] = 255
        self.pixels: Pixels = rgba[..., :3]

    def image(self, grey: Pixels, box: Box) -> None:
        left, top, right, bottom = map(round, box)
        rows, columns = (
            (np.arange(n) * m) // n for n, m in zip((bottom - top, right - left), grey.shape, strict=True)
        )
        own = grey if grey.shape == (rows.size, columns.size) else grey[rows[:, None], columns]
        self.pixels[top:bottom, left:right] = own[..., None]

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        space = _space(size, bold)
        return sum(_word(word, size, bold).width + space for word in text.split(" ")) - space

    def words(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        *,
        colour: str = "black",
        align: float = 0.0,
        bold: bool = False,
        upright: bool = False,
    ) -> None:
        words, space = [_word(word, size, bold) for word in text.split(" ")], _space(size, bold)
        above = max(word.above for word in words)
        below = max(len(word.coverage) - word.above for word in words)
        width = sum(word.width + space for word in words) - space
        line = np.zeros((above + below, math.ceil(width) + 2 * PAD + 1), np.uint8)
        at = 0.0
        for word in words:
            rows = slice(above - word.above, above - word.above + len(word.coverage))
            part = line[rows, round(at) : round(at) + word.coverage.shape[1]]
            np.maximum(part, word.coverage[:, : part.shape[1]], out=part)
            at += word.width + space
        if upright:
            self._blend(
                np.rot90(line), round(x) - above, round(y + align * width) + PAD - line.shape[1], colour
            )
        else:
            self._blend(line, round(x - align * width) - PAD, round(y) - above, colour)

    def _blend(self, coverage: Pixels, left: int, top: int, colour: str) -> None:
        """Lay a colour over pixels, as far as each is covered; what lies outside of the page is cut off."""
        rows, columns = coverage.shape
        page = self.pixels[max(0, top) : max(0, top + rows), max(0, left) : max(0, left + columns)]
        own = coverage[max(0, -top) :, max(0, -left) :][: page.shape[0], : page.shape[1], None]
        share = own.astype(np.float32) / 255
        ink = 255 * np.asarray(to_rgb(colour), np.float32)
        page[:] = np.rint(page + (ink - page) * share)


class _Word(NamedTuple):
    """A word as pixels: how far each is covered, the rows above the line it stands on, and its width."""

    coverage: Pixels
    above: int
    width: float


@lru_cache(WORDS)
def _word(text: str, size: float, bold: bool) -> _Word:
    font = _font(size, bold)
    width, height, descent = _renderer(1, 1).get_text_width_height_descent(text, font, False)
    above = math.ceil(height - descent) + PAD
    renderer = _renderer(math.ceil(width) + 2 * PAD + 1, above + math.ceil(descent) + PAD)
    renderer.draw_text(renderer.new_gc(), PAD, above, text, font, 0)
    return _Word(np.asarray(renderer.buffer_rgba())[..., 3].copy(), above, float(width))


@lru_cache
def _space(size: float, bold: bool) -> float:
    return _word("n\N{NO-BREAK SPACE}n", size, bold).width - 2 * _word("n", size, bold).width


def _renderer(width: int, height: int) -> Any:
    agg: Any = RendererAgg  # has no types
    return agg(width, height, DPI)


@lru_cache
def _font(size: float, bold: bool) -> FontProperties:
    return FontProperties(size=size, weight="bold" if bold else "normal")


def png_of(paint: Paint, width: int, height: int) -> bytes:
    """Return a picture as a PNG file with a palette."""
    canvas = PixelCanvas(width, height)
    paint(canvas)
    return png(*indexed(canvas.pixels), noisy=True)


def write_vector(paint: Paint, width: int, height: int, path: FilePath) -> None:
    """Write a picture as SVG or PDF, by the suffix of `path`."""
    from matplotlib.artist import Artist  # these two take half as long to import as all that pixels need
    from matplotlib.figure import Figure

    class Painted(Artist):
        def draw(self, renderer: Any) -> None:
            paint(Canvas(renderer, height, figure.dpi / DPI))

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    figure.add_artist(Painted())
    figure.savefig(path)


def indexed(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Return a picture, ``(rows, columns, 3)``, as places in a palette, and the palette, ``(256, 3)``.

    Grey has `GREYS` steps from black to white. Other colours that differ in the last bits alone become one,
    in as fine steps as there is room for: flat ones and the edges between them keep theirs.
    """
    red, green, blue = np.moveaxis(pixels, -1, 0)
    places = STEPS[green]
    palette = np.zeros((256, 3), np.uint8)
    palette[STEPS] = COARSE[:, None]
    coloured = np.flatnonzero((red != green) | (green != blue))
    own = pixels.reshape(-1, 3)[coloured].astype(np.int64)
    for bits in range(6, 0, -1):
        code = ((own >> (8 - bits)) << np.array([2 * bits, bits, 0])).sum(axis=1)
        count = np.bincount(code, minlength=1)
        used = np.flatnonzero(count)
        if used.size <= COLOURS:
            break
    rank = np.cumsum(count > 0) - 1
    places.reshape(-1)[coloured] = GREYS + rank[code]
    for k in range(3):
        mean = np.bincount(code, own[:, k], minlength=1)[used] / count[used]
        palette[GREYS : GREYS + used.size, k] = np.rint(mean)
    return places, palette
