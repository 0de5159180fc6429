"""``laennec score``: recordings by the million, in shards."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from laennec.analyze.inputs import model_for
from laennec.audio.samples import counted
from laennec.bulk import engines
from laennec.bulk.addresses import scheme_of
from laennec.bulk.jobs import Score
from laennec.bulk.manifest import LARGEST_SHARD, Manifest, Run, read_run, settled
from laennec.bulk.merge import merge, missing
from laennec.bulk.places import Place, place_of
from laennec.bulk.score import Options
from laennec.bulk.source import Source, begun, find_source, listed
from laennec.cores import jobs_of
from laennec.errors import LaennecError, UsageError
from laennec.model.detector import Detector
from laennec.progress import progress_bar
from laennec.version import __version__


def run(command: Score) -> int:
    """Score a source: list it once, do the shards that are not done, and merge once all are.

    Returns 0 also if recordings failed, whose rows say why. LaennecError if the source cannot be listed, the
    results are of something else, or shards are not done; the same command then goes on.
    """
    _check(command)
    jobs = jobs_of(command.jobs)
    source, place = find_source(command.source), place_of(command.out)
    _refuse_inside(source, place)
    options, wanted = _wanted(command, source)
    entries = listed(source)
    if read_run(place) is None:
        entries = begun(source)  # before there is a place, which would hold nothing
        _say(f"Listing {source.given}")
    place.prepare()
    own = settled(wanted, source, entries, place)
    with Manifest(place, own) as manifest:
        if not (command.list or command.merge):
            engines.share_of((), command.shard)
            left = engines.share_of(missing(manifest, place), command.shard)
            _score(command, options, manifest, place, left, jobs)
        lacking = len(missing(manifest, place))
        if command.list or (lacking and not command.merge):
            _say(f"{counted(own.rows, 'file')} in {counted(own.shards, 'shard')}; {lacking} not done yet")
            return 0
        found = merge(manifest, place)
    failed = f", {found['failed']:,} of them failed" if found["failed"] else ""
    same = found["same_content_as_another"]
    total, events = counted(found["recordings"], "recording"), counted(found["events"], "event")
    _say(f"{total}{', each' if found['recordings'] > 1 else ''} with one row{failed}; {events}")
    if same:
        _say(f"{same:,} of them have the content of another (the same id)")
    _say(f"Results are in {place.root}")
    return 0


def _score(
    command: Score, options: Options, manifest: Manifest, place: Place, shards: Sequence[int], jobs: int
) -> None:
    if not shards:
        return
    skipped = manifest.run.shards - len(shards)
    if skipped and command.shard is None:
        _say(f"{skipped} of {counted(manifest.run.shards, 'shard')} done before")
    with progress_bar("shards") as advance:
        advance(0, len(shards))
        for done, _ in enumerate(_engine(command, options, manifest, place, shards, jobs), start=1):
            advance(done, len(shards))


def _engine(
    command: Score, options: Options, manifest: Manifest, place: Place, shards: Sequence[int], jobs: int
) -> Iterator[int]:
    if command.engine == "local":
        return engines.local(options, manifest, place, shards, jobs, lambda count: None)
    return engines.cluster(options, manifest, place, shards, command.jobs, lambda count: None)


def _check(command: Score) -> None:
    if not 1 <= command.shard_size <= LARGEST_SHARD:
        raise UsageError(f"--shard-size is {command.shard_size}; expected 1 to {LARGEST_SHARD}")
    if command.list + command.merge + (command.shard is not None) > 1:
        raise UsageError("--list, --merge and --shard are three steps; give one of them")
    if command.engine != "local" and command.shard is not None:
        raise UsageError("--shard is for jobs that know nothing of each other; leave out --engine")
    engines.share_of((), command.shard)


def _refuse_inside(source: Source, place: Place) -> None:
    """Refuse results among the recordings, where the next listing would find them."""
    if scheme_of(source.given) is None and scheme_of(place.root) is None:
        inside = Path(source.given).is_dir() and Path(place.root).resolve().is_relative_to(
            Path(source.given).resolve()
        )
    else:
        inside = f"{place.root}/".startswith(f"{source.given}/")
    if inside:
        raise LaennecError(f"{place.root}: lies in the source, {source.given}; name a place outside it")


def _wanted(command: Score, source: Source) -> tuple[Options, Run]:
    calibration = None if command.calibration is None else str(command.calibration)
    model = model_for(command.model, clips=False, calibration=calibration)
    used = model.calibration if isinstance(model, Detector) else None
    sha256 = None if used is None else used.sha256
    labels = tuple(model.card.labels)
    options = Options(command.model, calibration, command.any_sound, model.sha256, sha256, labels)
    run = Run(
        source=source.given,
        base=source.base,
        model=model.card.name,
        model_version=model.card.version,
        model_sha256=model.sha256,
        calibration_sha256=sha256,
        any_sound=command.any_sound,
        labels=labels,
        laennec=__version__,
        shard_size=command.shard_size,
    )
    return options, run


def _say(line: str) -> None:
    print(line, file=sys.stdout, flush=True)
