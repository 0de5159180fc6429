"""The words of the page: every language has them all, and no others than are used."""

import ast
import json
import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

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


# --- sentences of the server --------------------------------------------------------------------------------

# Whose sentences the page shows: what is wrong with a recording, an edit, a label file, what is learnt.
SPOKEN = (
    *("audio/quality.py", "audio/stream.py", "audio/containers.py", "audio/media.py", "audio/recording.py"),
    *("analyze/recording.py", "analyze/inputs.py", "analyze/rate.py", "annotations/formats.py"),
    *("analyze/breathing.py", "analyze/timing.py", "analyze/breath_words.py"),
    *("web/corrections.py", "web/database.py", "web/edits.py", "web/exchange.py", "web/folder.py"),
    *("web/jobs.py", "web/learn.py", "web/learning.py", "web/library.py", "web/live.py", "web/models.py"),
    *(
        "web/device.py",
        "web/sounds.py",
        "web/uploads.py",
        "web/worker.py",
        "web/described.py",
        "web/wrong.py",
    ),
)
# Said to programs and on the terminal alone, or of what the page cannot send.
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|PRAGMA|ORDER BY|RAISE)\b")
UNHEARD = re.compile(
    r"^(laennec: |M4A |3GP |the waveform needs|no channel |there is no channel|expected 1 sample"
    r"|part .* is expected next|events is |nothing to change is given|channel is |format is |kind is "
    r"|one's own folder|a sample rate is only|an array of samples needs|.*expected samples of shape"
    r"|.*the sample rate must be|event .* s$|.*outside the recording|.*outside it, too|event .*expected start"
    r"|.*written by a later Laennec|.*is open in another program, perhaps|.*name another$|.*point in time"
    r"|.*; left out$|.*no channel .*, it has"
    r"|breath phases: |.*half of the breaths|the given phases are none|given phases overlap)"
)


def sentences() -> dict[str, str]:
    return dict(json.loads(STATIC.joinpath("sentences.de.json").read_text(encoding="utf-8")))


def spoken(module: str) -> Iterator[str]:
    """The sentences of a module, with a zero byte for each of their values."""
    tree = ast.parse(files("laennec").joinpath(module).read_text(encoding="utf-8"))
    nested = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    nested |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if id(node) in nested:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values
            )
        else:
            continue
        if len(text.split()) > 3 and re.search("[a-z] [a-z]", text) and not SQL.search(text):
            yield text


def is_known(text: str) -> bool:
    """Whether a sentence, or a part that sentences are put together from, is one of the catalogue's."""
    bare = re.sub(r"^\0: ", "", text).strip(" ;:,")  # without the name of the file
    pieces = [re.escape(piece) for piece in re.split("\0", bare)]
    part = re.compile(r".*?".join(pieces), re.S)
    return any(part.search(re.sub(r"{\w+}", "7", template)) for template in sentences())


@pytest.mark.parametrize("module", SPOKEN)
def test_what_the_server_says_is_in_the_catalogue(module: str) -> None:
    missing = [text.replace("\0", "{}") for text in spoken(module) if not is_known(text)]
    left = [text for text in missing if not UNHEARD.match(text)]
    assert left == [], f"{module}: these have no German"


def test_translations_use_the_values_of_their_sentence() -> None:
    for english, german in sentences().items():
        assert set(re.findall(r"{\w+}", german)) <= set(re.findall(r"{\w+}", english)), english
        assert german.strip()
