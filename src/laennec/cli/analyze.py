"""``laennec analyze``: events of recordings and of folders of them."""

from contextlib import nullcontext
from pathlib import Path

from laennec.audio.source import STANDARD_INPUT
from laennec.cli import load
from laennec.cli.analyze_arguments import Analyze
from laennec.cores import jobs_of
from laennec.errors import UsageError
from laennec.files import folder_to_fill
from laennec.output.files import Recordings, find_recordings, parse_formats, refuse_twice
from laennec.output.recordings import Job, analyze_one


def run(command: Analyze) -> int:
    """Analyse recordings, and folders of them; a bad one of several is reported and the others are done.

    Returns the exit code, 1 if a recording failed. UsageError and LaennecError come before any work: the
    arguments contradict each other, or the model or the folder cannot be used.
    """
    formats = parse_formats(command.format, command.out)
    several = len(command.files) > 1 or any(path.is_dir() for path in command.files)
    if command.events is not None and several:
        raise UsageError("--events belongs to one recording; name one file")
    if command.phases_from is not None and several:
        raise UsageError("--phases-from belongs to one recording; name one file")
    if command.events == Path(STANDARD_INPUT) and command.files == (command.events,):
        raise UsageError("-: standard input is the recording or its events, not both; name a file for one")
    jobs = jobs_of(command.jobs)
    recordings = find_recordings(command.files, formats)
    if command.out is not None and several:
        refuse_twice(command.out, recordings.names, formats)
    with nullcontext() if command.out is None else folder_to_fill(command.out):
        return _analyzed(command, formats, recordings, several, jobs)


def _analyzed(
    command: Analyze, formats: tuple[str, ...], recordings: Recordings, several: bool, jobs: int
) -> int:
    metadata = {"age_years": command.age, "sex": command.sex, "position": command.position}
    job = Job.prepare(
        command.model,
        command.events,
        metadata,
        command.out,
        formats,
        command.json,
        command.any_sound,
        command.calibration,
        command.phases_from or command.phases,
    )
    if several:
        analyze_many = load("laennec.output.several:analyze_many")  # with what starts processes
        return int(analyze_many(recordings, job, command.again, jobs))
    return analyze_one(*next(iter(recordings.names.items())), job)
