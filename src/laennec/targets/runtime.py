"""ONNX Runtime for browsers: what of its npm package is needed, and that it is what it should be.

The package has 33 MB, so that neither Laennec holds it nor an export fetches it: nothing leaves a user's
computer, nor comes to it, unasked.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import IO

from laennec.errors import LaennecError, UsageError

VERSION = "1.30.0"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"  # what npm calls it
FETCH = f"npm pack onnxruntime-web@{VERSION}"
ARCHIVE_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
SHA256 = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
FOLDER = "dist"  # of the package
LARGEST_FILE = 2**26  # bytes


def read_runtime(place: Path | None) -> dict[str, bytes]:
    """Return the files of ONNX Runtime that a browser needs, by their names.

    Parameters
    ----------
    place
        The package as npm packs it, or a folder that holds it or its files.

    Raises
    ------
    UsageError
        If no place is given; the message says how to get the package.
    LaennecError
        If a file is not there, cannot be read or is not that of the pinned version.
    """
    if place is None:
        raise UsageError(
            f"a browser runs a model by onnxruntime-web {VERSION}, which is not part of Laennec; get it once "
            f"with `{FETCH}` (33 MB, MIT), then add --runtime {ARCHIVE}"
        )
    try:
        content = _of_folder(place) if place.is_dir() else _of_archive(place)
    except (OSError, tarfile.TarError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "not an npm archive"
        raise LaennecError(f"{place}: cannot be read ({reason}); get it with `{FETCH}`") from error
    for name, expected in SHA256.items():
        if hashlib.sha256(content[name]).hexdigest() != expected:
            raise LaennecError(
                f"{place}: its {name} is not that of onnxruntime-web {VERSION}; get it with `{FETCH}`"
            )
    return content


def licences() -> dict[str, str]:
    """Return the licence of ONNX Runtime and those of what it is made of, by names of files."""
    installed = files("onnxruntime")  # the same sources, built for Python
    names = {"ONNX-Runtime-MIT.txt": "LICENSE", "ONNX-Runtime-third-party.txt": "ThirdPartyNotices.txt"}
    return {name: installed.joinpath(own).read_text(encoding="utf-8") for name, own in names.items()}


def _of_folder(place: Path) -> dict[str, bytes]:
    folders = (place, place / FOLDER, place / "package" / FOLDER)
    found = next((folder for folder in folders if (folder / WASM).is_file()), None)
    if found is None:
        raise LaennecError(f"{place}: a folder without {WASM}; get it with `{FETCH}`")
    return {name: (found / name).read_bytes() for name in SHA256}


def _of_archive(place: Path) -> dict[str, bytes]:
    if not place.is_file():
        raise LaennecError(f"{place}: no such file or folder; get it with `{FETCH}`")
    with tarfile.open(place, "r:gz") as archive:
        members = {os.path.basename(each.name): each for each in archive if f"/{FOLDER}/" in each.name}
        missing = [name for name in SHA256 if name not in members]
        if missing:
            raise LaennecError(f"{place}: an archive without {missing[0]}; get it with `{FETCH}`")
        return {name: _content(archive.extractfile, members[name]) for name in SHA256}


def _content(extract: Callable[[tarfile.TarInfo], IO[bytes] | None], member: tarfile.TarInfo) -> bytes:
    file = extract(member)
    return file.read(LARGEST_FILE) if file is not None else b""
