"""The metadata of a model file: JSON of a format that this version reads."""

import json
from typing import Any

from laennec.errors import LaennecError, shown


def entries_in(metadata: str | None, source: str, latest: int) -> dict[str, Any]:
    """The entries that a file's metadata hold, of a format up to the `latest`; LaennecError otherwise."""
    if metadata is None:
        raise LaennecError(
            f"{source}: an ONNX file without Laennec's metadata; `laennec export` writes files that have it"
        )
    try:
        entries = json.loads(metadata)
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{source}: its metadata is not JSON ({error})") from error
    if not isinstance(entries, dict):
        raise LaennecError(f"{source}: its metadata is not a JSON object")
    file_format = entries.get("format")
    if isinstance(file_format, bool) or not isinstance(file_format, int) or file_format < 1:
        raise LaennecError(f"{source}: its metadata names no format: format is {shown(file_format)}")
    if file_format > latest:
        raise LaennecError(
            f"{source}: a model file of format {shown(file_format)}, and this Laennec reads up to {latest}; "
            "update it: pip install -U laennec"
        )
    return entries
