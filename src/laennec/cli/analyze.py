"""``laennec analyze``: events of recordings and of folders of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from laennec.errors import UsageError


@dataclass(frozen=True)
class Command:
    """Find respiratory events in recordings, name them, and say what each recording as a whole is.

    Of one recording, the table tells its answer with reasons, its respiratory rate and every event. Of
    several, or of folders with all that lies below them, it has one row per recording, and the same command
    goes on after an interruption. --out writes results into the same folders below FOLDER:

    json, csv (everything); html (a page to see and hear), png (a picture; needs the extra "web"); audacity,
    sprsound, icbhi (label files that other programs open).

    Exit code 1: a recording failed; the others are done all the same.

    Example:  laennec analyze rec.wav

    Example:  laennec analyze ward/ --out results --format csv,html,audacity

    Example:  laennec analyze rec.wav --events breaths.txt --age 4.5 --sex female --out results

    Attributes
    ----------
    files
        Recordings (WAV, FLAC, OGG, MP3, AIFF; 4 to 192 kHz, up to 64 channels), and folders of them.
    events
        Event boundaries of one recording: CSV, Audacity labels, SPRSound JSON, ICBHI text. They are found
        otherwise.
    model
        An .onnx model file, a run folder, or one that comes with Laennec: "recording", which finds
        events, or "default", which is taken with --events.
    age
        Age in years, if known.
    sex
        male or female, if known.
    position
        left-posterior, left-lateral, right-posterior or right-lateral, if known.
    out
        Folder for the results.
    format
        Some of json,csv,audacity,sprsound,icbhi,html,png; json,html otherwise.
    json
        Print JSON, an array with one element per recording, instead of a table.
    again
        Analyse recordings anew whose results are there and up to date.
    """

    files: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="FILE|FOLDER [FILE|FOLDER ...]", help_behavior_hint="(required)"),
    ]
    events: Annotated[Path | None, arg(metavar="FILE")] = None
    model: Annotated[str | None, arg(metavar="MODEL")] = None
    age: Annotated[float | None, arg(metavar="YEARS")] = None
    sex: Annotated[str | None, arg(metavar="SEX")] = None
    position: Annotated[str | None, arg(metavar="PLACE")] = None
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    format: Annotated[str | None, arg(metavar="FORMAT,…")] = None
    json: bool = False
    again: bool = False


def run(command: Command) -> int:
    """Analyse recordings, and folders of them; a bad one is reported and the others go on.

    Returns
    -------
    int
        The exit code: 1 if a recording failed.

    Raises
    ------
    UsageError, LaennecError
        Before any work: the arguments contradict each other, or the model or the folder cannot be used.
    """
    from laennec.output.files import find_recordings, parse_formats, refuse_twice
    from laennec.output.recordings import Job, analyze_many, analyze_one

    formats = parse_formats(command.format, command.out)
    several = len(command.files) > 1 or any(path.is_dir() for path in command.files)
    if command.events is not None and several:
        raise UsageError("--events belongs to one recording; name one file")
    recordings = find_recordings(command.files)
    if command.out is not None and several:
        refuse_twice(command.out, recordings, formats)
    metadata = {"age_years": command.age, "sex": command.sex, "position": command.position}
    job = Job.prepare(command.model, command.events, metadata, command.out, formats, command.json)
    if several:
        return analyze_many(recordings, job, command.again)
    return analyze_one(*next(iter(recordings.items())), job)
