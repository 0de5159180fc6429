"""The pages that the server gives out: both have the head that every page has, filled once."""

from functools import cache
from importlib.resources import files

from laennec.output.html import skeleton

PLAIN = "/style.css"  # what the page that asks for the token needs, at whatever address it is shown


@cache
def main_page() -> str:
    """Return the page itself: a head with its styles and scripts, which make the body."""
    return skeleton("Laennec", "", _part("links.html"))


@cache
def token_page() -> str:
    """Return the page that asks for the token."""
    return skeleton("Laennec", _part("token.html"), f'<link rel="stylesheet" href="{PLAIN}">')


def _part(name: str) -> str:
    return files("laennec.web").joinpath(name).read_text(encoding="utf-8").rstrip("\n")
