"""Scoring recordings: what each process does with a task, and the parts that come of it."""

import hashlib
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from laennec.analyze.described import analyze_described
from laennec.analyze.inputs import model_for
from laennec.annotations.described import described
from laennec.audio.recording import Recording
from laennec.bulk.addresses import filesystem, scheme_of
from laennec.bulk.archive import Fault, members
from laennec.bulk.manifest import Manifest, Run
from laennec.bulk.places import Place
from laennec.bulk.rows import Row, failed, part_content, scored
from laennec.bulk.source import address_of, is_archive
from laennec.errors import LaennecError, without_name
from laennec.files import printable, sha256_of
from laennec.model.detector import Detector
from laennec.processes import Lost, Ready, Workers

PARTS = "parts"
HELD_BYTES = 2**26  # of a recording that is read at once; a longer one stays on a disk
TRIES, FIRST_PAUSE_S = 4, 0.5  # of reading from an object store
READERS = 8  # threads that read ahead from an object store, which answers after tens of milliseconds


@dataclass(frozen=True)
class Options:
    """What each process needs to load its model: files on this computer, and what they must be."""

    model: str | None
    calibration: str | None
    any_sound: bool
    model_sha256: str
    calibration_sha256: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A recording: where it is, or what an archive holds of it."""

    row: int
    key: str
    name: str
    address: str
    member: int | None = None
    content: bytes | None = None


@dataclass(frozen=True)
class Sound:
    """The bytes of a recording, in memory or in a file."""

    source: bytes | Path
    id: str
    size: int
    is_temporary: bool = False


@dataclass(frozen=True)
class End:
    """Stands after the last row of a shard."""

    shard: int


def part_name(shard: int) -> str:
    """Return the name of a shard's part file."""
    return f"{PARTS}/shard-{shard:07d}.parquet"


def done_shards(place: Place) -> set[int]:
    """Return the shards whose part files are there; an empty file, as a full disk leaves one, is none."""
    names = (name for name, size in place.sizes(PARTS).items() if size)
    return {int(name[6:13]) for name in names if name.startswith("shard-") and name[6:13].isdigit()}


def is_remote(run: Run) -> bool:
    """Whether recordings come from an object store, whose answers are waited for."""
    return scheme_of(run.base) is not None


def workers_for(options: Options, count: int, remote: bool) -> Workers[Task, Row]:
    """Return processes that score; they are started anew, since what speaks to stores must not be forked."""
    readers = READERS if remote else 1
    return Workers(partial(work, options, readers), count, ahead=readers + 1, fork=False)


def score_shards(
    workers: Workers[Task, Row],
    manifest: Manifest,
    place: Place,
    shards: Iterable[int],
    on_rows: Callable[[int], None] = lambda count: None,
) -> Iterator[int]:
    """Score shards and write the part of each; yield its number once it is there.

    LaennecError if an object store does not answer or a part cannot be written: the shards that were yielded
    are done, and the others can be done again.
    """
    run, rows = manifest.run, list[Row]()
    with closing(workers.results(tasks_of(manifest, shards))) as results:  # type: ignore[type-var]
        for result in results:
            if isinstance(result, End):
                content = part_content(rows, run.labels, run.digest, run.model_columns)
                place.write(part_name(result.shard), content)
                rows = []
                yield result.shard
                continue
            rows.append(_lost(result, run) if isinstance(result, Lost) else result)
            on_rows(1)


def _lost(lost: Lost[Task], run: Run) -> Row:
    task = lost.task
    return Row(task.row, task.key, failed(task.name, lost.why, run.labels), task.member)


def tasks_of(manifest: Manifest, shards: Iterable[int]) -> Iterator[Any]:
    """Yield the tasks of shards, and after those of each its `End`, ready as what needs no process is."""
    run = manifest.run
    for shard in shards:
        table = manifest.shard(shard)
        columns = (table.column(name).to_pylist() for name in ("row", "key", "path"))
        for row, key, path in zip(*columns, strict=True):
            task = Task(row, key, path, address_of(run.base, path))
            yield from _of_archive(task, run) if is_archive(path) else (task,)
        yield Ready(End(shard))


def _of_archive(task: Task, run: Run) -> Iterator[Task | Ready[Row]]:
    for number, member in enumerate(members(task.address)):
        if isinstance(member, Fault):
            yield Ready(Row(task.row, task.key, failed(task.name, printable(member.why), run.labels)))
            continue
        name = f"{task.name}/{member.name}"
        if member.content is None:
            values = failed(name, "too large for a member of an archive; name it as a file", run.labels)
            yield Ready(Row(task.row, task.key, values, number))
        else:
            yield replace(task, name=name, member=number, content=member.content)


# --- in a process -------------------------------------------------------------------------------------------


def work(options: Options, readers: int, tasks: Iterator[Task]) -> Iterator[Row]:
    """What each process does: it loads the model once, then scores one recording after the other."""
    model = model_for(options.model, clips=False, calibration=options.calibration)
    calibration = model.calibration.sha256 if isinstance(model, Detector) and model.calibration else None
    if (model.sha256, calibration) != (options.model_sha256, options.calibration_sha256):
        raise LaennecError("the model or its calibration is not what it was when the scoring began")
    for task, reading in ahead(tasks, readers):
        yield row_of(task, reading, model, options)


def ahead(tasks: Iterator[Task], readers: int) -> Iterator[tuple[Task, "Future[Sound]"]]:
    """Yield tasks with what is read of them, by so many threads, which begin as soon as a task is there."""
    waiting: queue.SimpleQueue[tuple[Task, Future[Sound]] | None] = queue.SimpleQueue()
    with ThreadPoolExecutor(readers) as pool:

        def feed() -> None:
            for task in tasks:
                waiting.put((task, pool.submit(sound_of, task)))
            waiting.put(None)

        threading.Thread(target=feed, daemon=True).start()
        while (item := waiting.get()) is not None:
            yield item


def row_of(task: Task, reading: "Future[Sound]", model: Any, options: Options) -> Row:
    """Score one recording; what is wrong with it is in its row, and only a store's silence is raised."""
    name = task.name.rsplit("/", 1)[-1]
    try:
        sound = reading.result()
    except OSError as error:
        return Row(task.row, task.key, failed(task.name, _why_unread(error), options.labels), task.member)
    try:
        recording = Recording.open(sound.source, name)
        known = described(Path(name).stem).metadata
        values, events = scored(
            analyze_described(recording, model, known, any_sound=options.any_sound), task.name
        )
    except LaennecError as error:
        values, events = failed(task.name, printable(without_name(error, name)), options.labels), []
    except MemoryError:
        values, events = failed(task.name, "there is not enough memory for it", options.labels), []
    except Exception as error:  # a mistake of ours with one recording must not cost all the others
        why = f"{type(error).__name__}: {error} (an error in Laennec)"
        values, events = failed(task.name, printable(why), options.labels), []
    finally:
        if sound.is_temporary:
            Path(sound.source).unlink(missing_ok=True)  # type: ignore[arg-type]
    return Row(task.row, task.key, values, task.member, sound.id, sound.size, events)


def _why_unread(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is not there"
    return f"cannot be read ({error.strerror or error})"


def sound_of(task: Task) -> Sound:
    """Read a recording and hash it; OSError if it cannot be, LaennecError if a store does not answer."""
    if task.content is not None:
        return _held(task.content)
    if scheme_of(task.address) is not None:
        return _from_store(task.address)
    path = Path(task.address)
    facts = path.stat()
    if not path.is_file():
        raise OSError("it is no file")
    if facts.st_size <= HELD_BYTES:
        return _held(path.read_bytes())
    return Sound(path, sha256_of(path), facts.st_size)


def _held(content: bytes) -> Sound:
    return Sound(content, hashlib.sha256(content).hexdigest(), len(content))


def _from_store(address: str) -> Sound:
    files = filesystem(address)
    for number in range(1, TRIES + 1):
        try:
            return _fetched(files, address)
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise LaennecError(f"{address}: access is refused ({error})") from error
        except Exception as error:  # each package has its own for the network
            if number == TRIES:
                raise LaennecError(
                    f"{address}: cannot be read after {TRIES} tries ({error}); the same command goes on"
                ) from error
            time.sleep(FIRST_PAUSE_S * 2 ** (number - 1))
    raise AssertionError


def _fetched(files: Any, address: str) -> Sound:
    try:
        content = files.cat_file(address, start=0, end=HELD_BYTES)
    except FileNotFoundError:
        raise
    except Exception:  # a store may refuse a range of an empty object
        content = files.cat_file(address) if not files.size(address) else None
        if content is None:
            raise
    if len(content) < HELD_BYTES:
        return _held(content)
    handle, path = tempfile.mkstemp(prefix="laennec-")
    os.close(handle)
    try:
        files.get_file(address, path)
        return Sound(Path(path), sha256_of(path), os.path.getsize(path), is_temporary=True)
    except BaseException:
        os.unlink(path)
        raise
