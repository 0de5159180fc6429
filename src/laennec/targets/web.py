"""``laennec export --target web``: a folder that runs a model in a browser, without a server of its own.

The folder holds a page, the same page as one file that is opened from disk, a module for pages of one's own,
the model with its card as JSON (runtimes for browsers do not tell a model's metadata), and ONNX Runtime.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from laennec.errors import LaennecError, UsageError
from laennec.files import folder_written_whole, refuse_other_folder
from laennec.model.card import RECORDING, ModelCard
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.model.load import load_model
from laennec.output.html import asset, script_json, skeleton
from laennec.output.presentation import label_colours, short_label
from laennec.output.scripts import joined
from laennec.targets.runtime import ARCHIVE_SHA256, FETCH, SCRIPT, VERSION, WASM, licences, read_runtime
from laennec.train.jobs import ExportJob
from laennec.version import DISCLAIMER, __version__

LANGUAGES = ("en", "de")
MODULE, PAGE, PAGE_SCRIPT, STYLE, ALONE = "laennec.js", "index.html", "page.js", "page.css", "laennec.html"
WRITTEN = "laennec-files.json"  # what the export wrote: only that may be replaced by another
PUBLIC = {  # of the module: what each of ours lends it
    "laennec": ("load", "Model"),
    "sound": ("readSound",),
    "resample": ("resample",),
}
WORDS = ("label.", "answer.")  # of the words of the server's page
# What a page may do: its own scripts and WebAssembly, sounds that it makes; nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src {script} 'wasm-unsafe-eval'; style-src {style}; img-src data:; "
    "media-src blob:; connect-src {connect}; base-uri 'none'; form-action 'none'"
)


def write(job: ExportJob) -> Path:
    """Write the folder that a job of `laennec export --target web` asks for, and return its path.

    LaennecError if model or runtime cannot be used, or the folder cannot be written; UsageError if one of
    them is not named, or a file in the folder is none of an earlier export, or was changed.
    """
    if job.out is None:
        raise UsageError("--out is missing: the folder to write")
    refuse_other_folder(job.out, WRITTEN)  # before a runtime is asked for, which is to be fetched
    model = load_model(job.model or RECORDING)  # what a browser cannot run needs none
    content = contents(model, read_runtime(job.runtime))
    with folder_written_whole(job.out, WRITTEN) as folder:
        for name, data in content.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    return job.out


def contents(model: Detector | LungModel, runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the folder by their names; `runtime` is as of `read_runtime`."""
    name = re.sub(r"[^\w.-]+", "-", model.card.name).strip(".-") or "model"
    card = card_json(model)
    labels, texts = _labels(model.card), {language: words(language) for language in LANGUAGES}
    shown = script_json({"texts": texts, "labels": labels})
    style = _style()
    pages = {
        MODULE: module_script(),
        PAGE_SCRIPT: _page_script(name, shown),
        STYLE: style,
        PAGE: _page(_served_policy(), f'<link rel="stylesheet" href="{STYLE}">', _script_at(PAGE_SCRIPT)),
        ALONE: _page_alone(model.graph.content, card, runtime, shown, style),
        f"{name}.json": card,
        "README.md": _readme(name, model),
    }
    texts_of = {f"LICENSES/{file}": text for file, text in (_own_licence() | licences()).items()}
    return {
        **{file: text.encode() for file, text in (pages | texts_of).items()},
        f"{name}.onnx": model.graph.content,
        **{f"runtime/{file}": data for file, data in runtime.items()},
    }


def card_json(model: Detector | LungModel) -> str:
    """Return the card of a model as JSON: its metadata, the SHA-256 of its file, and who wrote this."""
    entries = json.loads(model.graph.metadata or "{}")
    whole = {**entries, "sha256": model.sha256, "laennec": __version__, "disclaimer": DISCLAIMER}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def module_script() -> str:
    """Return the module for pages of one's own, in one file."""
    script = joined(*(_browser(name) for name in PUBLIC))
    lines = [f"export const {{ {', '.join(names)} }} = ${module};" for module, names in PUBLIC.items()]
    return "\n".join([f"/* Laennec {__version__}, Apache-2.0. {DISCLAIMER} */", script, *lines, ""])


def words(language: str) -> dict[str, str]:
    """Return the words of a language: those of the viewer, of this page, and of labels and answers."""
    rooms = ("output/viewer", "targets/browser", "web/static")
    texts = [json.loads(_text(f"{room}/texts.{language}.json")) for room in rooms]
    server = {key: text for key, text in texts[2].items() if key.startswith(WORDS)}
    return {**server, **texts[0], **texts[1]}


def _text(path: str) -> str:
    return files("laennec").joinpath(path).read_text(encoding="utf-8")


def _browser(name: str) -> str:
    return f"targets/browser/{name}.js"


def _labels(card: ModelCard) -> dict[str, dict[str, Any]]:
    return {
        label: {"colour": colour, "short": short_label(label), "adventitious": label != card.normal}
        for label, colour in label_colours(card.labels, card.normal).items()
    }


def _style() -> str:
    return "\n".join([asset("page.css"), asset("viewer/viewer.css"), _text("targets/browser/page.css")])


def _page(policy: str, style: str, script: str) -> str:
    body = Template(_text("targets/browser/page.html")).substitute(script=script).rstrip("\n")
    return skeleton("Laennec: lung sounds", body, style, policy)


def _served_policy() -> str:
    return POLICY.format(script="'self'", style="'self'", connect="'self'")


def _script_at(place: str) -> str:
    return f'<script type="module" src="{place}"></script>'


def _page_script(name: str, shown: str) -> str:
    files = ", ".join(f"beside({script_json(f'{name}.{suffix}')})" for suffix in ("onnx", "json"))
    start = (
        "const beside = (name) => new URL(name, import.meta.url);\n"
        f"$page.start({{ load: () => load({files}), readSound, ...{shown} }});\n"
    )
    return f'import {{ load, readSound }} from "./{MODULE}";\n{joined(_browser("page"))}\n{start}'


def _page_alone(model: bytes, card: str, runtime: Mapping[str, bytes], shown: str, style: str) -> str:
    """Return the page as one file, which works from disk, where a browser loads neither modules nor data."""
    modules = joined(*(_browser(name) for name in (*PUBLIC, "page", "embedded")))
    start = (
        "const load = async () => $laennec.load(await $embedded.content('model'),\n"
        "  JSON.parse(new TextDecoder().decode(await $embedded.content('card'))),\n"
        "  { ort: await $embedded.runtime('runtime'), wasm: await $embedded.content('wasm') });\n"
        f"$page.start({{ load, readSound: $sound.readSound, ...{shown} }});\n"
    )
    script = f"\n{modules}\n{start}"
    blocks = {"model": model, "card": card.encode(), "runtime": runtime[SCRIPT], "wasm": runtime[WASM]}
    data = "\n".join(
        f'<script type="application/octet-stream" id="{name}">{_packed(block)}</script>'
        for name, block in blocks.items()
    )
    policy = POLICY.format(script=f"{_hash(script)} blob:", style=_hash(style), connect="'none'")
    return _page(policy, f"<style>{style}</style>", f'{data}\n<script type="module">{script}</script>')


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _own_licence() -> dict[str, str]:
    own = distribution("laennec")
    text = own.read_text("licenses/LICENSE") or own.read_text("LICENSE")
    if text is None:
        raise LaennecError("Laennec's licence is not where it was installed; install it again")
    return {"Laennec-Apache-2.0.txt": text}


def _readme(name: str, model: Detector | LungModel) -> str:
    card = model.card
    data = "\n".join(f"- {key}: {value}" for key, value in card.data.items() if value)
    return Template(_text("targets/browser/README.md")).substitute(
        name=name,
        version=__version__,
        sha256=model.sha256,
        rate=card.sample_rate,
        runtime=VERSION,
        fetch=FETCH,
        archive_sha256=ARCHIVE_SHA256,
        data=data or "- not told",
        limits=card.limits or "Not told.",
        disclaimer=DISCLAIMER,
    )
