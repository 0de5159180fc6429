"""What the README and the docs tell people to type exists."""

import re
import shlex
from pathlib import Path

import pytest

from laennec.cli import COMMANDS, parse

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]


def commands() -> list[tuple[str, str]]:
    """Every `laennec …` line of a shell block, with its page."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            lines = (line.split("  #")[0].strip() for line in block.replace("\\\n", " ").splitlines())
            found += [(page.name, line) for line in lines if line.startswith("laennec ")]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_command_parses(page: str, line: str) -> None:
    _, name, *arguments = shlex.split(line)
    assert name in COMMANDS
    parse(name, arguments)


def test_pages_link_to_files_that_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
