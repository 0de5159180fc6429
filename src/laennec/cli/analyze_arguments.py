"""What can be asked of ``laennec analyze``; those of others would delay it (:mod:`laennec.cli.arguments`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from laennec.cli.options import Positional, arg


@dataclass(frozen=True)
class Analyze:
    """Find and classify respiratory events in recordings, and classify each recording as a whole.

    Of one recording, the table has its class with reasons, its respiratory rate and every event. Of
    several, or of folders with all that lies below them, it has one row per recording, and the same command
    resumes after an interruption. --out writes results into the same folders below FOLDER:

    json, csv (everything); html (a page to see and hear), png (a picture; needs the extra "web"); audacity,
    sprsound, icbhi (label files that other programs open); fhir, fhir-r5 (reports for clinical systems).

    Exit code 1: a recording failed; the others are done all the same.

    Example:  laennec analyze rec.wav

    Example:  laennec analyze ward/ --out results --format csv,html,audacity

    Example:  laennec analyze rec.wav --events breaths.txt --age 4.5 --sex female --out results

    Example:  laennec analyze rec.wav --calibration ward.json

    Example:  laennec analyze rec.wav --phases

    Attributes
    ----------
    files
        Recordings (WAV, FLAC, OGG, MP3, AIFF; 4 to 192 kHz, up to 64 channels), and folders of them; - is
        standard input.
    events
        Event boundaries of one recording, in any format that `laennec convert` reads, such as CSV, Audacity
        labels or Raven's table; - is standard input. They are found otherwise.
    model
        An .onnx model file, a run folder, or one that comes with Laennec: "recording", which is taken
        otherwise; "recording-int8", the same in eight bits and half the time; "auto", whichever of the two
        is quicker on this computer; or "default", which hears nothing but each event.
    age
        Age in years, if known.
    sex
        male or female, if known.
    position
        trachea, or left- or right- with anterior, lateral or posterior, perhaps with upper, middle or lower;
        in any order, such as "lower left posterior", or as a data set writes it (p1, Tc, LUP).
    out
        Folder for the results.
    format
        Some of json,csv,audacity,sprsound,icbhi,fhir,fhir-r5,html,png; json,html otherwise.
    json
        Print JSON, an array with one element per recording, instead of a table.
    again
        Analyse recordings anew whose results are there and up to date.
    jobs
        Processes that share several recordings out, each with one thread; otherwise one for each core that
        this computer or container has. Results are the same.
    any_sound
        Analyse what does not sound like a lung all the same; such an answer is uncertain.
    calibration
        A file of `laennec calibrate`, made with the same stethoscope and patients of the same kind.
    phases
        Tell inspiration, expiration and pause as well, the I:E ratio, and when in a breath crackles and
        wheezes are heard; "unknown" where that cannot be told.
    phases_from
        The phases of one recording, in place of those told from its sound: a label file with inspiration and
        expiration.
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
    jobs: Annotated[int | None, arg(metavar="N")] = None
    any_sound: bool = False
    calibration: Annotated[Path | None, arg(metavar="FILE")] = None
    phases: bool = False
    phases_from: Annotated[Path | None, arg(metavar="FILE")] = None
