"""What there is to score: a folder, a prefix of an object store, a table of paths, archives, a recording.

Each is listed as a stream in an order that depends on names alone.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from laennec.annotations.table import NAMING
from laennec.audio.folder import files_below, is_audio, is_hidden, is_recording
from laennec.bulk.addresses import filesystem, scheme_of, store_errors
from laennec.errors import LaennecError

ARCHIVES = (".tar", ".tar.gz", ".tgz")
TABLES = (".csv", ".tsv", ".parquet")
COLUMNS = (*NAMING, "url", "uri", "address")  # of a table, the first that it has
BATCH_ROWS = 65_536
MOST_LINES_SHOWN = 3


class Entry(NamedTuple):
    """A file to score: its path below `base`, or whole, and how long it is, where the listing tells."""

    path: str
    size: int | None = None


class Source(NamedTuple):
    """Where the paths of a listing begin, and what was asked for."""

    given: str
    base: str


def find_source(given: str) -> Source:
    """Return a source by its path or address; LaennecError if there is no such path."""
    if scheme_of(given) is not None:
        given = given.rstrip("/")
        single = _is_one_file(given)
        return Source(given, given.rsplit("/", 1)[0] if single else given)
    if not os.path.exists(given):
        raise LaennecError(f"{given}: no such file or folder")
    whole = os.path.abspath(given)
    if not os.path.isdir(whole) and not _is_one_file(whole):
        endings = ", ".join((*TABLES, *ARCHIVES))
        raise LaennecError(f"{given}: expected a folder, a recording, or a file that ends in {endings}")
    return Source(whole, whole if os.path.isdir(whole) else os.path.dirname(whole))


def _is_one_file(given: str) -> bool:
    return given.lower().endswith((*TABLES, *ARCHIVES)) or _is_sound(given)


def _is_sound(given: str) -> bool:
    return is_audio(given.rsplit("/", 1)[-1]) or (scheme_of(given) is None and is_recording(Path(given)))


def is_archive(path: str) -> bool:
    """Whether a file is an archive of recordings by its ending."""
    return path.lower().endswith(ARCHIVES)


def address_of(base: str, path: str) -> str:
    """Return where a path of a listing lies."""
    return path if os.path.isabs(path) or scheme_of(path) is not None else f"{base}/{path}"


def listed(source: Source) -> Iterator[Entry]:
    """Yield all there is to score, in order.

    LaennecError if it cannot be listed to its end: what is missing could not be told from what is not there.
    """
    given = source.given
    if given.lower().endswith(TABLES):
        return _of_table(given)
    if given.lower().endswith(ARCHIVES) or (_is_sound(given) and not os.path.isdir(given)):
        return iter([Entry(given.rsplit("/", 1)[-1] if "/" in given else given)])
    if scheme_of(given) is None:
        return _of_folder(Path(given))
    return _of_store(given)


def begun(source: Source) -> Iterator[Entry]:
    """Yield what `listed` does, whose first is there at once; LaennecError if there is none."""
    entries = listed(source)
    first = next(entries, None)
    if first is None:
        raise no_recording(source)
    return chain([first], entries)


def no_recording(source: Source) -> LaennecError:
    return LaennecError(f"{source.given}: no recording in it or below it")


def _of_folder(folder: Path) -> Iterator[Entry]:
    for path in files_below(folder):
        if is_archive(path.name) or is_recording(path):
            try:
                size = path.stat().st_size
            except OSError:
                size = None  # a link to nothing stays, so that its row says so
            yield Entry(path.relative_to(folder).as_posix(), size)


# --- object stores ------------------------------------------------------------------------------------------


def _of_store(address: str) -> Iterator[Entry]:
    files = filesystem(address)
    with store_errors(address):
        root = files._strip_protocol(address).rstrip("/")
        pages = _s3_pages(files, root) if hasattr(files, "call_s3") else _walked(files, root)
        for name, size in pages:
            path = name[len(root) + 1 :]
            parts = path.split("/")
            if not any(is_hidden(part) for part in parts) and (is_archive(path) or is_audio(parts[-1])):
                yield Entry(path, size)


def _s3_pages(files: Any, root: str) -> Iterator[tuple[str, int]]:
    """Yield objects below a prefix of S3 page by page: `ls` and `find` would hold them all."""
    bucket, _, prefix = root.partition("/")
    more: dict[str, str] = {}
    while True:
        page = files.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", **more)
        for each in page.get("Contents", ()):
            yield f"{bucket}/{each['Key']}", int(each["Size"])
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _walked(files: Any, root: str) -> Iterator[tuple[str, int]]:
    """Yield files folder by folder: in memory is the list of one folder."""
    waiting = [root]
    while waiting:
        entries = sorted(files.ls(waiting.pop(), detail=True), key=lambda each: str(each["name"]))
        yield from ((each["name"], int(each["size"] or 0)) for each in entries if each["type"] == "file")
        waiting += reversed([each["name"] for each in entries if each["type"] == "directory"])


# --- tables -------------------------------------------------------------------------------------------------


@contextmanager
def opened(address: str) -> Iterator[Any]:
    """Open a file of this computer or of an object store, to read its bytes."""
    if scheme_of(address) is not None:
        with store_errors(address):
            file = filesystem(address).open(address, "rb")
        with file:
            yield file
        return
    try:
        file = open(address, "rb")  # noqa: SIM115 (closed below; only opening may raise these errors)
    except OSError as error:
        raise LaennecError(f"{address}: cannot be opened ({error.strerror})") from error
    with file:
        yield file


def _of_table(address: str) -> Iterator[Entry]:
    remote = scheme_of(address) is not None
    with opened(address) as file, store_errors(address) if remote else nullcontext():
        rows = (
            _parquet_rows(file, address) if address.lower().endswith(".parquet") else _csv_rows(file, address)
        )
        for where, path in rows:
            if not path or "\0" in path:
                raise LaennecError(f"{address}: {where} has no path")
            try:
                scheme_of(path)
            except LaennecError as error:
                raise LaennecError(f"{address}: {where}: {error}") from error
            yield Entry(path)


def _column(names: Iterable[str], address: str) -> int:
    lowered = [name.strip().lower() for name in names]
    found = next((lowered.index(name) for name in COLUMNS if name in lowered), None)
    if found is None:
        has = ", ".join(lowered[:8]) or "none"
        raise LaennecError(f"{address}: no column path (or file, url, …); its columns: {has[:200]}")
    return found


def _csv_rows(file: Any, address: str) -> Iterator[tuple[str, str]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = None
    try:
        first = text.readline(2**20)
        reader = csv.reader([first], delimiter=max(",;\t", key=first.count))
        header = next(reader, [])
        column = _column(header, address)
        reader = csv.reader(text, reader.dialect)
        for cells in reader:
            if cells:
                yield f"line {reader.line_num + 1}", cells[column].strip() if column < len(cells) else ""
    except (csv.Error, UnicodeDecodeError) as error:
        line = 1 if reader is None else reader.line_num + 1
        raise LaennecError(f"{address}: no table can be read there (line {line}: {error})") from error


def _parquet_rows(file: Any, address: str) -> Iterator[tuple[str, str]]:
    try:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        column = names[_column(names, address)]
        kind = table.schema_arrow.field(column).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise LaennecError(f"{address}: its column {column} is {kind}; expected text")
        number = 0
        for batch in table.iter_batches(BATCH_ROWS, columns=[column]):
            for path in batch.column(0).to_pylist():
                number += 1
                yield f"row {number}", path or ""
    except (pa.ArrowException, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise LaennecError(f"{address}: no Parquet file that can be read ({first})") from error
