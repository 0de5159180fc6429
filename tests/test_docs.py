"""What the README and the docs tell people to type exists."""

import re
import shlex
from pathlib import Path

import pytest

from laennec.cli import COMMANDS, parse

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*/README.md"))]


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


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_pages_name_modules_and_files_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = {
        name
        for name in re.findall(r"(?<!/)\blaennec(?:\.\w+)+", text)
        if not name.endswith((".md", ".js", ".html"))
    }
    assert sorted(name for name in names if not is_there(name.split("."))) == []
    files = set(re.findall(r"`((?:\w+/)+\w+\.py)`", text))
    assert (
        sorted(name for name in files if not any((at / name).is_file() for at in (ROOT, SOURCE / "laennec")))
        == []
    )


def is_there(parts: list[str]) -> bool:
    """Whether a dotted name is a module, or stands in the text of one."""
    for count in range(len(parts), 0, -1):
        place = SOURCE.joinpath(*parts[:count])
        for module in (place.with_suffix(".py"), place / "__init__.py"):
            if module.is_file():
                text = module.read_text(encoding="utf-8")
                return all(re.search(rf"\b{name}\b", text) for name in parts[count:])
    return False
