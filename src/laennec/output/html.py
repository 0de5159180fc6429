"""What every page shares: the skeleton of an HTML page, and pictures and sounds inside it.

A report is opened from disk and asks nothing of anybody: its Content-Security-Policy forbids every request,
and lets no script run but its own. Names, labels and notes can hold anything, so they go through
:func:`text` on their way into a page, and through :func:`script_json` on their way into a script.
"""

import base64
import hashlib
import html
import io
import json
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from laennec.audio.samples import resample
from laennec.signals import deferred

_PNG_COLOURS = {1: 0, 3: 2, 4: 6}  # channels: colour type (PNG specification, section 11.2.1)
_PNG_PALETTE = 3
_PNG_UP = 2  # filter: less the row above (section 9.2)
_TAG = re.compile("<[^>]*>")
_LONG_FACT = 60  # letters, from which on it gets a line of its own
POLICY = (
    "default-src 'none'; script-src {script}; style-src 'unsafe-inline'; img-src data:; media-src data:; "
    "base-uri 'none'; form-action 'none'"
)
PEAK = 10 ** (-3 / 20)  # of a sound: -3 dBFS
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "\ufffd")  # have no place in HTML


def page(title: str, body: str, css: str = "", scripts: str = "") -> str:
    """Return one whole HTML page.

    `title` is plain text and escaped here; everything in `body` that is not the page's own went through
    :func:`text`. `css` follows the shared ``page.css``, which has the colours, light, dark and on paper.
    `scripts` run when the body has been read; data goes in by :func:`script_json`.
    """
    scripts = f"\n{scripts}\n".replace("\r\n", "\n") if scripts else ""
    digest = base64.b64encode(hashlib.sha256(scripts.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if scripts else "'none'"
    script = f"<script>{scripts}</script>" if scripts else ""
    style = f"<style>\n{asset('page.css')}\n{css}\n</style>"
    return skeleton(title, f"{body}\n{script}", style, POLICY.format(script=allowed))


def skeleton(title: str, body: str, links: str, policy: str | None = None) -> str:
    """Return a whole HTML page: the one place where a head stands, whoever serves the page or opens it.

    `title` is plain text; `links` are the HTML of its styles and scripts, `policy` is its
    Content-Security-Policy where no server sends one. An empty icon keeps browsers from asking for one.
    """
    stated = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n' if policy else ""
    return fill("page.html", policy=stated, title=text(title), links=links.rstrip("\n"), body=body)


def text(value: object) -> str:
    """Return anything as text that is safe in HTML, between tags and within quoted attributes.

    What cannot be written as UTF-8 (undecodable bytes of a file name) or has no place in HTML (control
    characters) shows as a replacement character.
    """
    readable = str(value).encode("utf-8", "replace").decode().translate(_CONTROLS)
    return html.escape(readable, quote=True)


def script_json(value: Any) -> str:
    """Return a value of JSON's types as text that may stand within a script; NaN is refused."""
    written = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for sign, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        written = written.replace(sign, escaped)  # else "</script>" in a name would end the element
    return written


@cache
def asset(name: str) -> str:
    """Return the text of a file beside this module: the pages' templates, style sheets and scripts."""
    return files("laennec.output").joinpath(name).read_text(encoding="utf-8")


def fill(template: str, **values: str) -> str:
    """Return a template, a file beside this module, with HTML in the place of each ``$name``."""
    return Template(asset(template)).substitute(values)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    numbers: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> str:
    """Return a table that scrolls by itself where the page is narrow, or in lines if its style says so.

    Cells are HTML, the first of each row its header; columns and caption are plain text. Each cell has the
    name of its column for styles that show it. The columns `numbers` are set to the right; `attributes` are
    HTML for the ``<tr>`` of each row.
    """
    classes = [' class="number"' if column in numbers else "" for column in columns]
    opened = [f'<td{kind} data-name="{text(name)}">' for kind, name in zip(classes, columns, strict=True)]
    head = "".join(
        f'<th scope="col"{kind}>{text(column)}</th>' if column else "<td></td>"  # a header has words
        for kind, column in zip(classes, columns, strict=True)
    )
    lines = []
    for (first, *others), attribute in zip(rows, attributes or [""] * len(rows), strict=True):
        cells = "".join(f"{start}{cell}</td>" for start, cell in zip(opened[1:], others, strict=True))
        lines.append(
            f'<tr{attribute and f" {attribute}"}><th scope="row"{classes[0]}>{first}</th>{cells}</tr>'
        )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def facts(pairs: Mapping[str, str]) -> str:
    """Return a list of names (plain text) and what is known of each (HTML); empty ones are left out."""
    items = []
    for name, value in pairs.items():
        box = 'div class="long"' if len(_TAG.sub("", value)) > _LONG_FACT else "div"
        items += [f"<{box}><dt>{text(name)}</dt><dd>{value}</dd></div>"] if value else []
    return f'<dl class="facts">{"".join(items)}</dl>'


def png(
    pixels: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8] | None = None, *, noisy: bool = False
) -> bytes:
    """Return pixels as a PNG file (PNG specification, third edition: one IDAT chunk).

    They are uint8, ``(rows, columns)`` grey or ``(rows, columns, 3 or 4)`` RGB or RGBA, the first row on top;
    ValueError for others. With a `palette`, ``(256, 3)`` RGB, those of two dimensions are places in it. Of
    `noisy` ones, such as spectrograms, the differences of rows are packed, and nothing is looked for that
    comes again but runs, and these only where most of it is even: half the bytes in a tenth of the time.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1] if pixels.ndim == 3 else 0
    if pixels.dtype != np.uint8 or channels not in _PNG_COLOURS or pixels.size == 0:
        raise ValueError(f"expected uint8 pixels, grey, RGB or RGBA; got {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _PNG_UP if noisy else 0  # each row begins with its filter
    rows[:, 1:] = pixels.reshape(height, -1)
    strategy = zlib.Z_DEFAULT_STRATEGY
    if noisy:
        rows[1:, 1:] -= pixels.reshape(height, -1)[:-1]
        is_even = 2 * np.count_nonzero(rows) < rows.size
        strategy = zlib.Z_RLE if is_even else zlib.Z_HUFFMAN_ONLY
    packer = zlib.compressobj(6, strategy=strategy)
    packed = packer.compress(rows.tobytes()) + packer.flush()
    colours = [] if palette is None else [(b"PLTE", palette.tobytes())]
    kind = _PNG_COLOURS[channels] if palette is None else _PNG_PALETTE
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), *colours, (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def wav(samples: npt.NDArray[np.float32], sample_rate: int, rate: int) -> bytes:
    """Return samples, ``(samples,)`` at `sample_rate`, as a 16-bit WAV at `rate` with a peak of -3 dBFS."""
    resampled = resample(samples, sample_rate, rate)
    peak = float(np.abs(resampled).max())
    written = io.BytesIO()
    scaled = resampled * (PEAK / peak) if peak > 0 else resampled
    with deferred():
        soundfile.write(written, scaled, rate, format="WAV", subtype="PCM_16")
    return written.getvalue()


def data_uri(data: bytes, mime: str) -> str:
    """Return bytes as an address that holds them, for ``src`` and ``href``."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
