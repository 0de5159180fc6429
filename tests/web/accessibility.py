"""What axe-core would find in a page, as far as HTML and style sheet tell it without a browser."""

import re
from html.parser import HTMLParser
from itertools import pairwise

from laennec.output.html import asset

VOID = {"meta", "link", "img", "br", "input", "path"}
# Text and ground of the pages; WCAG 2.1 asks for 4.5 between them.
PAIRS = [(ink, ground) for ink in ("ink", "faint", "accent", "warn") for ground in ("paper", "panel")]
PAIRS += [("on-accent", "accent")]


class _Elements(HTMLParser):
    """Each element as tag, attributes, and the text in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs}, [])
        self.found.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for *_, words in self.open:
            words.append(data)


def faults(html: str) -> list[str]:
    """Return what is wrong with the structure of a page: language, title, headings, names, tables."""
    found = _Elements(html).found
    tags = [tag for tag, *_ in found]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    wrong = []
    if not next(told for tag, told, _ in found if tag == "html").get("lang"):
        wrong.append("no language")
    if not "".join(next(words for tag, _, words in found if tag == "title")).strip():
        wrong.append("no title")
    if levels.count(1) != 1 or any(after > before + 1 for before, after in pairwise(levels)):
        wrong.append(f"headings {levels}")
    if tags.count("main") != 1:
        wrong.append(f"{tags.count('main')} main")
    ids = [told["id"] for _, told, _ in found if "id" in told]
    if len(ids) != len(set(ids)):
        wrong.append("an id stands twice")
    for tag, told, words in found:
        named = told.get("aria-label", "").strip()
        seen = "".join(words).strip()
        if tag == "img" and "alt" not in told:
            wrong.append("an image without alt")
        if tag == "audio" and not named:
            wrong.append("a sound without a name")
        if (
            tag == "svg"
            and told.get("aria-hidden") != "true"
            and not (named or told.get("role") == "presentation")
        ):
            wrong.append("a drawing without a name")
        if tag == "button" and not (named or seen):
            wrong.append("a button without a name")
        if tag == "th" and told.get("scope") not in ("row", "col"):
            wrong.append(f"a header without scope: {seen}")
        if tag == "th" and not seen:
            wrong.append("a header without words")
        if tag == "table" and "caption" not in tags:
            wrong.append("a table without caption")
        if told.get("tabindex") == "0" and not named:
            wrong.append(f"<{tag}> takes the keyboard's focus and has no name")
    return wrong


def contrasts() -> dict[str, float]:
    """Return the contrast of each pair of text and ground of ``page.css``: light, dark and on paper."""
    css = asset("page.css")
    blocks = re.findall(r":root\s*\{([^}]*)\}", css)
    found = {}
    for name, block in zip(("light", "dark", "print"), blocks, strict=True):
        colours = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block))
        found |= {
            f"{name}: {ink} on {ground}": contrast(colours[ink], colours[ground]) for ink, ground in PAIRS
        }
    return found


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.1)."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    """Return the colour that has `share` of `one` laid over `other`."""
    pairs = ((int(one[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
