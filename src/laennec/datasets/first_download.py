"""What a download held the first time, where its publisher has no checksum: every later one must hold it too.

A list beside the new folder has, for each download, a digest of the files that were unpacked. The archive
itself is not compared: GitHub makes it on demand, and may pack the same files in other bytes.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from laennec.errors import LaennecError
from laennec.files import sha256_of, write_json

LIST = "laennec-downloads.json"


def contents_digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{sha256_of(path)} {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def compare_with_first(urls: Sequence[str], unpacked: Path, to: Path) -> None:
    """Compare an unpacked download with the first one from the same addresses, or record it as the first.

    Raises
    ------
    LaennecError
        If it differs, or the list of downloads cannot be read.
    """
    path, key, digest = to.parent / LIST, " ".join(urls), contents_digest(unpacked)
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        first = known.get(key, {"sha256": digest, "date": date.today().isoformat(), "folder": to.name})
        recorded, since = first["sha256"], first["date"]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise LaennecError(f"{path}: no list of downloads ({error}); remove it to begin a new one") from error
    if recorded != digest:
        raise LaennecError(
            f"the download is not what the same address gave on {since} ({path} has its checksum); nothing "
            f"was unpacked. If the publisher has changed it, remove that entry and run the same command again"
        )
    if key not in known:
        write_json(path, {**known, key: first})
