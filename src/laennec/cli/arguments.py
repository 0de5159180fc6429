"""What can be asked of each command: fields are its arguments, the docstring is its help.

Nothing is imported here that does work, so that ``--help`` comes at once. The arguments of training are in
:mod:`laennec.train.jobs`, those of papers in :mod:`laennec.reproduce.jobs`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from laennec.cli.options import Positional, arg, subcommand


@dataclass(frozen=True)
class Calibrate:
    """Make answers hold on your own device: fit certainty to ten or more labelled patients of yours.

    How sure a model may be depends on the stethoscope and on who is heard. Of recordings of your own, each
    labelled Normal or with what is heard, it takes two numbers that make probabilities fit, and the certainty
    from which an answer is right often enough; with few patients, no answer is certain. OUT keeps them,
    with figures before and after: each patient is answered by what the others chose. `laennec analyze
    --calibration OUT` answers by it.

    It holds for this device, this model and this kind of patients: another stethoscope needs another one.

    Your own folder has a clips.csv with the columns path, label and subject (the patient); or any layout that
    `laennec datasets` reads. Recordings without a patient or of poor quality are left out.

    Example:  laennec calibrate --data ward/ --out ward.json

    Example:  laennec calibrate --data ~/data/KAUH --dataset kauh --out littmann.json --prevalence 0.2

    Attributes
    ----------
    data
        Folder of the recordings with their labels.
    out
        The file to write, outside that folder.
    dataset
        {datasets}; otherwise what the folder looks like.
    model
        A model for whole recordings; the one that comes with Laennec otherwise.
    prevalence
        Share of recordings with adventitious sounds where it will be used.
    """

    data: Annotated[Path, arg(metavar="FOLDER")]
    out: Annotated[Path, arg(metavar="FILE")]
    dataset: Annotated[str | None, arg(metavar="NAME")] = None
    model: Annotated[str | None, arg(metavar="MODEL")] = None
    prevalence: Annotated[float, arg(metavar="SHARE")] = 0.3


@dataclass(frozen=True)
class Adapt:
    """Fit a model's event classes to labelled events of your own patients: a new model file, in minutes.

    The network stays as it is; only its last layer learns, and the fewer events there are, the less. It is
    measured on patients that it did not learn from, before and after. Needs the extra "web" or "train".

    Example:  laennec adapt --data ward/ --out ward.onnx

    Attributes
    ----------
    data
        Folder of labelled recordings of ten patients or more, as `laennec train` takes them.
    out
        Model file to write; its figures go beside it, as .onnx.json.
    dataset
        Name of the data set; by default what the folder looks like.
    model
        A model for whole recordings; the one that comes with Laennec otherwise.
    anyway
        Write the model even if it does not help.
    """

    data: Annotated[Path, arg(metavar="FOLDER")]
    out: Annotated[Path, arg(metavar="FILE")]
    dataset: Annotated[str | None, arg(metavar="NAME")] = None
    model: Annotated[str | None, arg(metavar="MODEL")] = None
    anyway: bool = False


@dataclass(frozen=True)
class Simulate:
    """Make lung-sound recordings with exact ground truth, for demonstrations and tests.

    Example:  laennec simulate practice --subjects 12 --seed 0 --layout sprsound

    Example:  laennec simulate cohort --layout multichannel --subjects 16 healthy 7 ipf

    Attributes
    ----------
    out
        Folder to write; new or empty, or one that the same command wrote before.
    layout
        Files as SPRSound or ICBHI has them; "multichannel" makes a cohort recorded by sixteen sensors
        with airflow (1 GB); "demo" makes two recordings with label tracks.
    subjects
        How many patients, 12; of a cohort, how many healthy and ipf, 16 and 7.
    recordings
        Recordings a patient, 4; of a cohort, 2 of the healthy and 5 of the others.
    seed
        The same seed makes the same bytes.
    """

    out: Positional[Path] = Path("simulated")
    layout: Literal["sprsound", "icbhi", "multichannel", "demo"] = "sprsound"
    subjects: Annotated[tuple[str, ...], arg(metavar="N | N GROUP …")] = ()
    recordings: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class List:
    """List the data sets that Laennec can read, with their licence and source.

    Example:  laennec datasets list
    """


@dataclass(frozen=True)
class Info:
    """Count what a data set holds and name every defect found in it.

    Example:  laennec datasets info sprsound ~/data/SPRSound --strict

    Attributes
    ----------
    name
        {datasets}.
    folder
        Its folder.
    strict
        Exit with 1 if there is any defect.
    """

    name: Positional[str]
    folder: Positional[Path]
    strict: bool = False


@dataclass(frozen=True)
class Download:
    """Download a public data set, resuming an interrupted download, and verify it.

    Example:  laennec datasets download sprsound --to ~/data/SPRSound

    Attributes
    ----------
    name
        {datasets}.
    to
        Folder to put it in.
    """

    name: Positional[str]
    to: Path


@dataclass(frozen=True)
class Audit:
    """List annotations that are likely wrong: confident learning on out-of-fold predictions.

    The predictions are those of a cross-validation; what reading the files tells is listed as well. Nothing
    is changed.

    Example:  laennec datasets audit sprsound ~/data/SPRSound --predictions runs/cv --out issues.csv

    Attributes
    ----------
    name
        {datasets}.
    folder
        Its folder.
    predictions
        Folder of `laennec crossvalidate`, or one predictions.csv.
    out
        CSV for all likely label errors, with their times.
    shown
        How many of them are printed.
    """

    name: Positional[str]
    folder: Positional[Path]
    predictions: Path
    out: Path | None = None
    shown: int = 20


@dataclass(frozen=True)
class Croissant:
    """Describe a data set for other programs: Croissant metadata, with every record and file digest.

    One JSON file holds recordings, events, labels of whole recordings and patients, the SHA-256 of each sound
    file, licence and citation. No sound is in it and nothing is sent; what is known of patients is in it.

    Example:  laennec datasets croissant sprsound ~/data/SPRSound --out ~/data/SPRSound/metadata.json

    Example:  laennec datasets croissant folder ward/ --out ward/metadata.json

    Attributes
    ----------
    name
        {datasets}.
    folder
        Its folder.
    out
        JSON file to write; its paths are those below the folder.
    """

    name: Positional[str]
    folder: Positional[Path]
    out: Annotated[Path, arg(metavar="FILE")]


@dataclass(frozen=True)
class Datasets:
    """List, check, audit, describe and download data sets.

    Example:  laennec datasets info sprsound ~/data/SPRSound --strict
    """

    action: (
        Annotated[List, subcommand("list")]
        | Annotated[Info, subcommand("info")]
        | Annotated[Audit, subcommand("audit")]
        | Annotated[Croissant, subcommand("croissant")]
        | Annotated[Download, subcommand("download")]
    ) = List()


@dataclass(frozen=True)
class Serve:
    """Open a page to look at, listen to, correct and learn from a folder of recordings.

    The page is served on this computer and asks nothing of any other. What is corrected is kept in one file
    in the folder, laennec.sqlite; the recordings stay as they are. Needs the extra "web".

    Example:  laennec serve ward/

    Attributes
    ----------
    folder
        Folder of the recordings; new ones that are dropped on the page are kept in it.
    port
        Where the page is: http://127.0.0.1:PORT/. 0 takes any free port.
    host
        Address to listen at. One that other computers can reach demands a token.
    token
        What a client must know: http://HOST:PORT/?token=TOKEN. Also read from LAENNEC_TOKEN.
    model
        An .onnx model file, a run folder, or one that comes with Laennec.
    phases
        Tell the phases of breaths as well; recordings that were analysed without them are analysed again.
    open
        Open the page in the browser.
    """

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")] = Path()
    port: Annotated[int, arg(metavar="PORT")] = 8765
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1"
    token: Annotated[str | None, arg(metavar="TOKEN")] = None
    model: Annotated[str | None, arg(metavar="MODEL")] = None
    phases: bool = False
    open: bool = False


@dataclass(frozen=True)
class Live:
    """Record from a microphone or a stethoscope, with its events as they are found.

    Shows level, quality and events, each within 2 s of its end, until Ctrl+C ends it. The sound is in a
    FLAC file from its first second on; at the end it is analysed as a whole, as by laennec analyze. Needs the
    extra "live", or sound from another program on standard input.

    Example:  laennec live

    Example:  laennec live --devices

    Example:  laennec live --device "USB Audio" --position left-posterior --duration 15 --out ward

    Example:  arecord -f S16_LE -r 8000 | laennec live -

    Attributes
    ----------
    source
        - is WAV on standard input, or raw samples (16 bits, little-endian, one channel) with --rate.
    device
        Name, a part of it, or number of the input; the system's own otherwise.
    devices
        List the inputs, and record nothing.
    rate
        Sample rate in Hz: of the input, where it is not to be its own; of raw samples.
    out
        Folder for the recording and its analysis in JSON.
    duration
        Seconds after which it ends by itself.
    model
        An .onnx model file, a run folder, or one that comes with Laennec, for whole recordings.
    age
        Age in years, if known.
    sex
        male or female, if known.
    position
        trachea, or left- or right- with anterior, lateral or posterior, perhaps with upper, middle or lower;
        in any order, such as "lower left posterior", or as a data set writes it (p1, Tc, LUP).
    """

    source: Annotated[Positional[str], arg(metavar="-")] = ""
    device: Annotated[str | None, arg(metavar="DEVICE")] = None
    devices: bool = False
    rate: Annotated[int | None, arg(metavar="HZ")] = None
    out: Annotated[Path, arg(metavar="FOLDER")] = Path()
    duration: Annotated[float | None, arg(metavar="SECONDS")] = None
    model: Annotated[str | None, arg(metavar="MODEL")] = None
    age: Annotated[float | None, arg(metavar="YEARS")] = None
    sex: Annotated[str | None, arg(metavar="SEX")] = None
    position: Annotated[str | None, arg(metavar="POSITION")] = None
