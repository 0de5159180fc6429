"""The head of every HTML page stands in one place, whoever serves the page or opens it from disk."""

import re
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from web_client import web_client

import laennec
from laennec import load_model
from laennec.output.html import page
from laennec.targets import runtime
from laennec.targets.web import contents

TOKEN = "a-token-of-many-letters"
RUNTIME = {runtime.SCRIPT: b"export const env = {};\n", runtime.WASM: b"\0asm"}
OWN = re.compile(  # what each page has of its own: its policy, title, styles and scripts
    r'<meta http-equiv="Content-Security-Policy"[^>]*>|<title>.*?</title>|<style>.*?</style>'
    r'|<link rel="(?:stylesheet|preload|modulepreload)"[^>]*>|<script.*?</script>',
    re.DOTALL,
)


def head_of(text: str) -> list[str]:
    """Lines of a page before its body, without what is its own."""
    head, body = re.split(r"^<body>$", text, maxsplit=1, flags=re.MULTILINE)
    assert body.rstrip().endswith("</body>\n</html>")
    return [line for line in OWN.sub("", head).splitlines() if line.strip()]


def test_every_page_has_the_same_head(tmp_path: Path) -> None:
    with web_client(tmp_path, token=TOKEN) as client:
        html = {"Accept": "text/html"}
        asked = client.get("/", headers=html)
        served = client.get("/", headers=html | {"Authorization": f"Bearer {TOKEN}"})
    assert (asked.status_code, served.status_code) == (401, 200)
    exported = contents(load_model("recording"), RUNTIME)
    pages = {
        "served": served.text,
        "token": asked.text,
        "report": page("A <report>", "<main></main>", "main { color: red }", "start();"),
        "exported": exported["index.html"].decode(),
        "alone": exported["laennec.html"].decode(),
    }
    heads = {name: head_of(text) for name, text in pages.items()}
    assert all(head == heads["served"] for head in heads.values()), heads
    head = "\n".join(heads["served"])
    for wanted in (
        'lang="en"',
        'charset="utf-8"',
        'name="viewport"',
        "color-scheme",
        'content="no-referrer"',
    ):
        assert wanted in head, wanted
    assert "<title>A &lt;report&gt;</title>" in pages["report"]
    for name in ("report", "exported", "alone"):  # of the others the server sends it
        assert pages[name].count('http-equiv="Content-Security-Policy"') == 1, name
    assert asked.text.count("<link") == 2, "styles without the token: the page's own and an empty icon"


def test_a_head_stands_in_one_file() -> None:
    package = Path(laennec.__file__).parent
    found = [path.name for path in package.rglob("*.html") if "<head>" in path.read_text(encoding="utf-8")]
    assert found == ["page.html"]
