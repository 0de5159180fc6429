"""What can be asked of the commands that work on files of others: labels, recordings to share, figures.

As in :mod:`laennec.cli.arguments`: fields are arguments, the docstring is the help.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from laennec.cli.options import Positional, arg


@dataclass(frozen=True)
class Convert:
    """Write label files in another format; what it cannot hold is named.

    It reads Audacity, Raven, Praat TextGrid, ELAN, RTTM, Label Studio JSON, BirdNET's table, CSV, SPRSound
    JSON, ICBHI and HF_Lung text, and analyses of Laennec (JSON, CSV, FHIR); which one a file is, its content
    tells. A recording of the same name beside a label file gives duration and sample rate where a format has
    them.

    Exit code 1: a file could not be read; the others are done all the same.

    Example:  laennec convert results/rec.csv --to textgrid --out praat

    Example:  laennec convert labels/ --to label-studio --out tasks --terms

    Attributes
    ----------
    files
        Label files, and folders of them with all that lies below.
    to
        audacity, raven, textgrid, elan, rttm, label-studio, birdnet, csv, sprsound, icbhi or hf-lung.
    out
        Folder for the new files; they keep their names and folders.
    terms
        Replace words of other vocabularies (crepitations, I, Wheezing) by the known terms.
    """

    files: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="FILE|FOLDER [FILE|FOLDER ...]", help_behavior_hint="(required)"),
    ]
    to: Annotated[str, arg(metavar="FORMAT")]
    out: Annotated[Path, arg(metavar="FOLDER")]
    terms: bool = False


@dataclass(frozen=True)
class Deidentify:
    """Copy recordings and their labels without names, tags and times, and list what was taken off.

    Samples are copied bit for bit; of a WAV or FLAC file nothing but sound is kept. Label files of the same
    name in the same folder become CSV with times and labels alone. What is spoken stays in the sound: listen
    before you share.

    Example:  laennec deidentify ward/ --out shared --map secret.csv

    Attributes
    ----------
    files
        WAV and FLAC files, and folders of them.
    out
        Empty folder for recording-0001.wav and so on, in an order drawn anew each time.
    keep_names
        Keep the names of files, where they mean nothing.
    map
        CSV of old and new names and of all that was taken off. It tells who is who: keep it apart.
    """

    files: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="FILE|FOLDER [FILE|FOLDER ...]", help_behavior_hint="(required)"),
    ]
    out: Annotated[Path, arg(metavar="FOLDER")]
    keep_names: bool = False
    map: Annotated[Path | None, arg(metavar="FILE")] = None


@dataclass(frozen=True)
class Dicom:
    """Write recordings as DICOM General Audio Waveforms, with their labels as a table beside them.

    The patient is left empty; the time is that of the file. Samples are written in 16 bits. The commands that
    read recordings read such files, too. Needs the extra "clinic".

    Example:  laennec dicom ward/ --out dicom

    Attributes
    ----------
    files
        Recordings of one or two channels, and folders of them.
    out
        Folder for the files.
    position
        Where on the chest they were recorded, as the label of the channels: trachea, or left- or right- with
        anterior, lateral or posterior.
    """

    files: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="FILE|FOLDER [FILE|FOLDER ...]", help_behavior_hint="(required)"),
    ]
    out: Annotated[Path, arg(metavar="FOLDER")]
    position: Annotated[str | None, arg(metavar="PLACE")] = None


@dataclass(frozen=True)
class Referee:
    """Check a published figure: its split, its definition, and rules that reach it without listening.

    The split is a table of names and sets (as ICBHI's official list), train.txt and test.txt, JSON or .npz.
    Predictions are a table with a name, a label, and a class or probabilities per row, .npz, or a confusion
    matrix. Names are those of the data set's recordings, whatever follows them.

    It finds patients, recordings and content that training and test share, differences from the official
    split, the definition that gives a claimed figure, an epoch that was chosen on the test set, and rules
    (most frequent class, position, device, duration) that come as far.

    Example:  laennec referee --dataset icbhi --split train_test.txt --predictions answers.csv --claimed 66.5

    Example:  laennec referee --dataset sprsound --predictions a.csv --against b.csv --data ~/data/SPRSound

    Attributes
    ----------
    dataset
        icbhi or sprsound.
    split
        One file or folder of lists, or one list for each set.
    predictions
        What the system answered.
    claimed
        Published figures: 66.5, or with what they are, such as score=66.5 sensitivity=60.1.
    against
        Answers of another system for the same clips, for a paired comparison.
    epochs
        Table with a column test, and perhaps validation: the score after each epoch.
    data
        A copy of the data set: adds content, annotations and durations. Needs the extra "train".
    classes
        Names of the classes in the order of their numbers, where classes are numbers.
    out
        JSON file for the whole report.
    strict
        Exit code 1 if a fault is found.
    """

    dataset: Annotated[str, arg(metavar="NAME")]
    split: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")] = ()
    predictions: Annotated[Path | None, arg(metavar="FILE")] = None
    claimed: Annotated[tuple[str, ...], arg(metavar="FIGURE [FIGURE ...]")] = ()
    against: Annotated[Path | None, arg(metavar="FILE")] = None
    epochs: Annotated[Path | None, arg(metavar="FILE")] = None
    data: Annotated[Path | None, arg(metavar="FOLDER")] = None
    classes: Annotated[tuple[str, ...], arg(metavar="CLASS [CLASS ...]")] = ()
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    strict: bool = False


@dataclass(frozen=True)
class Challenge:
    """Predict for the BioCAS respiratory sound challenge: one class per file of a folder.

    Example:  laennec challenge --task 12 --wav events --out output.json

    Example:  laennec challenge --task 22 --wav recordings --out output.json

    Attributes
    ----------
    task
        Of events already cut, 11: Normal or Adventitious, 12: seven classes. Of whole recordings, 21:
        Normal, Adventitious or Poor Quality, 22: CAS, DAS or CAS & DAS in place of Adventitious.
    wav
        Folder of events, or of whole recordings.
    out
        JSON file, file name to class.
    model
        An .onnx model file or a run folder; the one that comes with Laennec for the task otherwise.
    """

    task: Literal[11, 12, 21, 22]
    wav: Path
    out: Path
    model: Annotated[str | None, arg(metavar="MODEL")] = None
