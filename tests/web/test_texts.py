"""The words of the page: every language has them all, and no others than are used."""

import json
import re
from importlib.resources import files

from laennec.output.html import asset

STATIC = files("laennec.web").joinpath("static")
VIEWER = files("laennec.output").joinpath("viewer")
LANGUAGES = ("en", "de")
# Keys that are put together from what the server names.
COMPUTED = re.compile(r"(label|place|quality|sex|answer\.heard)\.")


def tokens(css: str) -> list[dict[str, str]]:
    """The colours of each block of `:root`, in their order: light, dark, print."""
    blocks = re.findall(r":root\s*{(.*?)}", css, re.S)
    return [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]+);", block)) for block in blocks if "--paper" in block]


def test_page_and_report_have_one_palette() -> None:
    page = tokens(STATIC.joinpath("style.css").read_text(encoding="utf-8"))
    report = tokens(asset("page.css"))
    assert [sorted(block) for block in report] == [sorted(report[0])] * 3
    for here, there in zip(page, report, strict=True):
        assert {name: here.get(name) for name in there} == there


def words(language: str) -> dict[str, str]:
    texts = [
        folder.joinpath(f"texts.{language}.json").read_text(encoding="utf-8") for folder in (STATIC, VIEWER)
    ]
    pairs = [pair for text in texts for pair in json.loads(text, object_pairs_hook=list)]
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"texts.{language}.json names a key twice"
    return dict(pairs)


def scripts() -> str:
    found = []
    folders = [STATIC, VIEWER]
    for folder in folders:
        for path in folder.iterdir():
            if path.is_dir():
                folders.append(path)
            elif path.name.endswith(".js"):
                found.append(path.read_text(encoding="utf-8"))
    return "\n".join(found)


def test_languages_have_the_same_keys_and_values() -> None:
    english, *others = (words(language) for language in LANGUAGES)
    for other in others:
        assert sorted(other) == sorted(english)
        for key, text in english.items():
            values = set(re.findall(r"{\w+}", text))
            assert set(re.findall(r"{\w+}", other[key])) == values, key
            assert other[key].strip(), key


def test_every_text_that_is_asked_for_is_there_and_none_is_left_over() -> None:
    source, english = scripts(), words("en")
    bare = {re.sub(r"\.(one|other)$", "", key) for key in english}
    asked = set(re.findall(r"""\btext\(\s*["']([\w.-]+)["']""", source))
    assert asked - bare == set(), "these are missing from texts.*.json"
    parts = set(re.findall(r"`([a-z]+\.[\w.-]*)\$\{", source))  # `list.state.${state}`
    unused = {
        key
        for key in bare
        if not re.search(rf"""["'`]{re.escape(key)}["'`]""", source)
        and not key.startswith(tuple(parts))
        and not COMPUTED.match(key)
    }
    assert unused == set(), "these are asked for nowhere"


def test_a_plural_has_both_forms() -> None:
    keys = set(words("en"))
    for key in keys:
        if key.endswith(".one"):
            assert key.removesuffix("one") + "other" in keys, key
