"""The command line: one function a subcommand, arguments from its signature, heavy imports inside.

Exit codes: 0 done, 2 wrong usage, 1 anything else, with one line on stderr (``--debug`` shows where).
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg, subcommand

from laennec.errors import LaennecError, UsageError
from laennec.version import __version__

EXTRAS = {
    "torch": "train",
    "lightning": "train",
    "pandas": "train",
    "scipy": "train",
    "sklearn": "train",
    "onnx": "train",
    "requests": "train",
    "mir_eval": "train",
    "matplotlib": "web",
}


def analyze(
    files: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="FILE|FOLDER [FILE|FOLDER ...]", help_behavior_hint="(required)"),
    ],
    /,
    events: Annotated[Path | None, arg(metavar="FILE")] = None,
    model: Annotated[str | None, arg(metavar="MODEL")] = None,
    age: Annotated[float | None, arg(metavar="YEARS")] = None,
    sex: Annotated[str | None, arg(metavar="SEX")] = None,
    position: Annotated[str | None, arg(metavar="PLACE")] = None,
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None,
    format: Annotated[str | None, arg(metavar="FORMAT,…")] = None,
    json: bool = False,
    again: bool = False,
) -> int:
    """Find respiratory events in recordings, name them, and say what each recording as a whole is.

    Of one recording, the table tells its answer with reasons, its respiratory rate and every event. Of
    several, or of folders with all that lies below them, it has a row each, and the same command goes on
    after an interruption. --out writes results into the same folders below FOLDER:

    json, csv (everything); html (a page to see and hear), png (a picture; needs the extra "web"); audacity,
    sprsound, icbhi (label files that other programs open).

    Exit code 1: a recording failed; the others are done all the same.

    Example:  laennec analyze rec.wav

    Example:  laennec analyze ward/ --out results --format csv,html,audacity

    Example:  laennec analyze rec.wav --events breaths.txt --age 4.5 --sex female --out results

    Args:
        files: Recordings (WAV, FLAC, OGG, MP3, AIFF; 4 to 192 kHz, up to 64 channels), and folders of them.
        events: Event boundaries of one recording: CSV, Audacity labels, SPRSound JSON, ICBHI text. They are
            found otherwise.
        model: An .onnx model file, a run folder, or one that comes with Laennec: "recording", which finds
            events, or "default", which is taken with --events.
        age: Age in years, if known.
        sex: male or female, if known.
        position: left-posterior, left-lateral, right-posterior or right-lateral, if known.
        out: Folder for the results.
        format: Some of json,csv,audacity,sprsound,icbhi,html,png; json,html otherwise.
        json: Print JSON, an array with an element a recording, instead of a table.
        again: Analyse recordings anew whose results are there and up to date.
    """
    from laennec.commands import analyze_files

    return analyze_files(
        files,
        events=events,
        model=model,
        age=age,
        sex=sex,
        position=position,
        out=out,
        formats=format,
        as_json=json,
        again=again,
    )


@dataclass(frozen=True)
class ListDatasets:
    """List the data sets that Laennec can read, with their licence and source."""


@dataclass(frozen=True)
class DatasetInfo:
    """Count what a data set holds and name every defect found in it."""

    name: Positional[str]
    """A name that `laennec datasets` lists, for example sprsound."""
    folder: Positional[Path]
    """Where it lies."""
    strict: bool = False
    """Exit with 1 if there is any defect."""


@dataclass(frozen=True)
class DownloadDataset:
    """Fetch a public data set, going on where an earlier download stopped, and verify it."""

    name: Positional[str]
    """A name that `laennec datasets` lists, for example sprsound."""
    to: Path
    """Folder to put it in."""


@dataclass(frozen=True)
class AuditDataset:
    """List annotations that are likely wrong, by what models that never heard the patient say of them.

    Confident learning on the predictions of a cross-validation, and what reading the files tells. Nothing is
    changed.

    Example:  laennec datasets audit sprsound ~/data/SPRSound --predictions runs/cv --out doubts.csv
    """

    name: Positional[str]
    """A name that `laennec datasets` lists, for example sprsound."""
    folder: Positional[Path]
    """Where it lies."""
    predictions: Path
    """Folder of `laennec crossvalidate`, or one predictions.csv."""
    out: Path | None = None
    """CSV for all doubted annotations, with their times."""
    shown: int = 20
    """How many of them are printed."""


def datasets(
    action: Annotated[ListDatasets, subcommand("list")]
    | Annotated[DatasetInfo, subcommand("info")]
    | Annotated[AuditDataset, subcommand("audit")]
    | Annotated[DownloadDataset, subcommand("download")] = ListDatasets(),
) -> int:
    """List, check, audit and download data sets.

    Example:  laennec datasets info sprsound ~/data/SPRSound --strict
    """
    from laennec import datasets as layer

    if isinstance(action, DatasetInfo):
        return layer.print_info(action.name, action.folder, action.strict)
    if isinstance(action, AuditDataset):
        return layer.print_audit(action.name, action.folder, action.predictions, action.out, action.shown)
    if isinstance(action, DownloadDataset):
        print(f"{action.name} is in {layer.download(action.name, action.to)}")
        return 0
    layer.list_datasets()
    return 0


def simulate(
    out: Positional[Path] = Path("simulated"),
    /,
    layout: Literal["sprsound", "icbhi", "multichannel", "demo"] = "sprsound",
    subjects: Annotated[tuple[str, ...], arg(metavar="N | N GROUP …")] = (),
    recordings: int | None = None,
    seed: int = 0,
) -> int:
    """Make lung-sound recordings with exact ground truth, for demonstrations and tests.

    Example:  laennec simulate practice --subjects 12 --seed 0 --layout sprsound

    Example:  laennec simulate cohort --layout multichannel --subjects 16 healthy 7 ipf

    Args:
        out: Folder to write; new or empty, or one that the same command wrote before.
        layout: Files as SPRSound or ICBHI has them; "multichannel" makes a cohort recorded by sixteen sensors
            with airflow (1 GB); "demo" makes two recordings with label tracks.
        subjects: How many patients, 12; of a cohort, how many healthy and ipf, 16 and 7.
        recordings: Recordings a patient, 4; of a cohort, 2 of the healthy and 5 of the others.
        seed: The same seed makes the same bytes.
    """
    from laennec.commands import simulate_folder

    return simulate_folder(out, layout, subjects, recordings, seed)


def train(
    recipe: Positional[str],
    /,
    data: Path,
    out: Path,
    dataset: str | None = None,
    also: Annotated[str | None, arg(metavar="DATASET=FOLDER")] = None,
    start: Path | None = None,
    split: Literal["patient", "random", "official", "official-disjoint", "none"] | None = None,
    seed: int | None = None,
    split_seed: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    precision: Literal["bf16-mixed", "32-true"] | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    threads: int = 0,
) -> int:
    """Train a model by a recipe; the same command goes on after an interruption.

    OUT receives the checkpoints, logs for TensorBoard and as CSV, predictions, figures and model.onnx.

    Example:  laennec train default --data ~/data/SPRSound --out runs/first

    Args:
        recipe: A recipe's name (default, chen2022, chen2022-cnn, …) or a TOML file.
        data: The data set's folder.
        out: Run folder.
        dataset: sprsound, icbhi, multichannel, or folder for your own data; the recipe says which otherwise.
        also: A second data set to train on, such as icbhi=~/data/ICBHI; its labels may be ICBHI's.
        start: Finished run of the recipe that this one starts from; trained on the way otherwise.
        split: patient: no patient on both sides; random: by event, which leaks; official: the data set's own,
            nothing is chosen on its test part; official-disjoint: without test clips of trained patients;
            none: train on everything.
        seed: Seed of weights, order and augmentation.
        split_seed: Seed of the split.
        epochs: In place of the recipe's.
        batch_size: In place of the recipe's.
        precision: In place of the recipe's.
        accelerator: auto, cpu or gpu.
        devices: Processes or GPUs on each machine.
        nodes: Machines; start the same command on each, as Lightning describes.
        strategy: Lightning's strategy for several devices, for example ddp.
        threads: CPU threads a process; 0 shares the cores out.
    """
    from laennec.train.commands import train_recipe, with_second
    from laennec.train.fit import Hardware
    from laennec.train.recipe import load_recipe

    chosen = load_recipe(
        recipe,
        dataset=dataset,
        split=split,
        seed=seed,
        split_seed=split_seed,
        epochs=epochs,
        batch_size=batch_size,
        precision=precision,
    )
    hardware = Hardware(accelerator, devices, nodes, strategy, threads)
    chosen, second = with_second(chosen, also)
    return train_recipe(chosen, data, out, hardware, start, second)


def crossvalidate(
    recipe: Positional[str],
    /,
    data: Path,
    out: Path,
    dataset: str | None = None,
    also: Annotated[str | None, arg(metavar="DATASET=FOLDER")] = None,
    folds: int = 5,
    seeds: tuple[int, ...] = (0,),
    only: tuple[int, ...] = (),
    set_: Annotated[tuple[str, ...], arg(name="set", metavar="NAME=VALUE")] = (),
    against: Path | None = None,
    final: bool = False,
    accelerator: str = "auto",
    threads: int = 0,
) -> int:
    """Measure a recipe by cross-validation over patients: every patient is answered for by a model that never
    heard that patient. The same command goes on after an interruption.

    OUT receives each fold's model and predictions, and of all of them predictions.csv (one a seed),
    metrics.json and tables.txt: scores with 95 % intervals over patients, averaged over the seeds. Nothing is
    chosen on a fold; its model is that of the last epoch. With --final, a model of all patients besides, as
    model.onnx, whose card holds these figures.

    Example:  laennec crossvalidate default --data ~/data/SPRSound --out runs/cv --seeds 0 1 2

    Example:  laennec crossvalidate default --data ~/data/SPRSound --out runs/no-mixup --only 1
    --set augmentation.mixup=0 --against runs/cv

    Args:
        recipe: A recipe's name or a TOML file.
        data: The data set's folder.
        out: Folder for the results.
        dataset: sprsound, icbhi, multichannel, or folder for your own data; the recipe says which otherwise.
        also: A second data set to train on, such as icbhi=~/data/ICBHI; its labels may be ICBHI's, and its
            patients have folds of their own.
        folds: As many parts, dealt by patient, that keep rare classes apart as well as they can.
        seeds: Of weights, order and augmentation; the folds stay the same.
        only: Numbers of the folds to run, from 1; all otherwise.
        set_: Settings in place of the recipe's, such as epochs=30 or augmentation.mixup=0.3.
        against: Another cross-validation's folder with the same folds: differences, with paired intervals.
        final: Train on everybody when the folds are done, with the first seed, and export.
        accelerator: auto, cpu or gpu.
        threads: CPU threads; 0 uses all cores.
    """
    from laennec.train.commands import crossvalidate_recipe, with_second
    from laennec.train.fit import Hardware
    from laennec.train.recipe import load_recipe, with_settings

    chosen, second = with_second(with_settings(load_recipe(recipe, dataset=dataset), set_), also)
    hardware = Hardware(accelerator, threads=threads)
    return crossvalidate_recipe(chosen, data, out, folds, seeds, only, against, final, hardware, second)


def transfer(
    data: Path,
    target_class: str = "crackle",
    from_: Annotated[str, arg(name="from", metavar="MODEL|RECIPE")] = "source",
    source_data: Path | None = None,
    out: Path = Path("runs/transfer"),
    recipe: str = "transfer",
    dataset: str = "",
    runs: int = 1,
    epochs: int | None = None,
    folds: int = 7,
    threads: int = 0,
) -> int:
    """Carry a model over to your own small cohort: figures by cross-validation, then a model of all of it.

    Patients are dealt into folds, so that no patient is trained on and measured on; OUT receives predictions,
    metrics.json, tables.txt and confusion.png of that, and model.onnx, trained on everybody. The same command
    goes on after an interruption.

    Example:  laennec transfer --data my-cohort --target-class crackle --out runs/mine

    Example:  laennec transfer --from transfer-source --source-data ~/data/ICBHI --data my-cohort

    Args:
        data: Your recordings: a CSV, a folder with label files, a multichannel cohort, ICBHI or SPRSound.
        target_class: The class to find: crackle, wheeze or both in any spelling, or a label of yours.
        from_: Where to start: a model that ships, a run folder, an .onnx file, or a recipe to train first.
        source_data: What a recipe given with --from is trained on.
        out: Folder for the results.
        recipe: How to fine-tune: transfer (what worked best), nguyen2022 (the paper's best) or a TOML file.
        dataset: sprsound, icbhi, multichannel or folder; told by the files otherwise.
        runs: Independent cross-validations with the same folds.
        epochs: In place of the recipe's.
        folds: Fewer where fewer patients have the class.
        threads: CPU threads; 0 uses all cores.
    """
    from laennec.train.adapt import Request
    from laennec.train.adapt import transfer as run_transfer

    return run_transfer(
        Request(from_, data, target_class, out, source_data, recipe, dataset, runs, epochs, folds, threads)
    )


def evaluate(
    model: Positional[str],
    /,
    data: Path,
    out: Path,
    split: str = "validation",
    dataset: str | None = None,
) -> int:
    """Measure a model on annotated events, with 95 % intervals over patients.

    OUT receives predictions.csv, metrics.json, tables.txt, confusion.png and a page, index.html. A model for
    whole recordings is measured on both: the events that it finds and its answers (detection.json,
    events.csv besides).

    Example:  laennec evaluate runs/first --data ~/data/SPRSound --split validation --out results

    Args:
        model: An .onnx file, a run folder, "default" or "recording".
        data: The data set's folder.
        out: Folder for the results.
        split: validation (what the model's recipe held out), all, train, test (or official),
            official-disjoint (without test clips of patients who are trained on), test-inter or test-intra.
        dataset: sprsound, icbhi, multichannel, or folder for your own data; otherwise the model's recipe's.
    """
    from laennec.train.commands import evaluate_model

    return evaluate_model(model, dataset, data, split, out)


def detector(
    data: Path,
    out: Path,
    icbhi: Path | None = None,
    folds: int = 5,
    seeds: tuple[int, ...] = (0,),
    epochs: int | None = None,
    threads: int = 0,
) -> int:
    """Train the model that finds events in whole recordings, and measure it by cross-validation.

    Patients are dealt into folds; thresholds and calibration come from what networks say of patients they
    never heard. OUT receives detector.md, detector.json and recording.onnx, trained on everybody. The same
    command goes on after an interruption, fold by fold.

    Example:  laennec detector --data ~/data/SPRSound --icbhi ~/data/ICBHI --out runs/detector --seeds 0 1

    Args:
        data: SPRSound's folder.
        out: Folder for the folds, the figures and the model.
        icbhi: ICBHI 2017's folder, for lungs heard by other devices.
        folds: Parts that the patients are dealt into.
        seeds: A whole cross-validation each; the first one's settings ship.
        epochs: In place of the ten that were measured.
        threads: CPU threads; 0 uses all cores.
    """
    from laennec.train.commands import command
    from laennec.train.detector import train_detector

    print(train_detector(data, out, icbhi, folds, seeds, epochs, threads, command()))
    return 0


def export(run: Positional[Path], /, out: Path | None = None, temperature: float | None = None) -> int:
    """Write a finished run as one .onnx file: waveform in, calibrated probabilities out.

    Example:  laennec export runs/first --out lungs.onnx

    Args:
        run: Run folder of `laennec train`.
        out: The file to write; model.onnx in the run folder otherwise.
        temperature: Calibration in place of the run's own, for a model trained on everything.
    """
    from laennec.train.export import export as write

    print(write(run, out, temperature=temperature))
    return 0


@dataclass(frozen=True)
class ReproduceChen:
    """Chen & Zhang: four models on SPRSound, Tables 2 and 3; goes on after an interruption.

    Example:  laennec reproduce chen2022 --data ~/data/SPRSound --quick
    """

    data: Path
    """SPRSound's folder."""
    out: Path = Path("runs/chen2022")
    """Folder for the runs, tables.md and tables.json."""
    quick: bool = False
    """Two epochs on an eighth of the events: shows that all of it runs."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One run a seed."""
    models: tuple[str, ...] = ()
    """Some of chen2022-cnn, chen2022-upsampling-cnn, chen2022-convlstm, chen2022; all otherwise."""
    split: Literal["patient", "random"] = "patient"
    """patient, or the paper's random split, which leaks patients."""
    epochs: int | None = None
    """In place of the recipes'."""
    threads: int = 0
    """CPU threads; 0 uses all cores."""


@dataclass(frozen=True)
class ReproduceNguyen:
    """Nguyen & Pernkopf: Table II, crackles in a small cohort by transfer; goes on after an interruption.

    Rows are named as in the paper, such as 2ndConv_Cyc_Ins_Ratio_12_SamplePad, in any combination of their
    parts, with options after a plus; all, scratch, transfer, ratios and layers stand for several.

    Example:  laennec reproduce nguyen2022 --source ~/data/ICBHI --target cohort --estimate
    """

    target: Path
    """The small cohort's folder."""
    source: Path | None = None
    """The large data set's folder; needed for rows that are not from scratch."""
    out: Path = Path("runs/nguyen2022")
    """Folder for source models, folds, tables.md and tables.json."""
    rows: tuple[str, ...] = ("all",)
    """Systems of Table II; all fourteen otherwise."""
    runs: int = 5
    """Independent trainings with the same folds."""
    epochs: int = 150
    """Of every fold."""
    source_epochs: int | None = None
    """Of a source model; as many as --epochs otherwise."""
    folds: int = 7
    """Fewer where fewer patients have crackles."""
    patients: tuple[int, int] | None = None
    """Draw so many patients without and with crackles from the target; all of it otherwise."""
    every: int = 1
    """Take one cycle in so many of the target, for a trial."""
    length_s: float | None = None
    """Seconds that cycles are brought to; the longest cycle's otherwise, at most the paper's 8.25."""
    seed: int = 0
    """Of folds and drawn patients."""
    estimate: bool = False
    """Say what it would cost on this machine, and run nothing."""
    source_dataset: str = ""
    """icbhi, sprsound, multichannel or folder; told by the files otherwise."""
    target_dataset: str = ""
    """The same of the target."""
    threads: int = 0
    """CPU threads; 0 uses all cores."""


def reproduce(
    paper: Annotated[ReproduceChen, subcommand("chen2022")]
    | Annotated[ReproduceNguyen, subcommand("nguyen2022")],
) -> int:
    """Train a paper's models and print its tables beside ours.

    Example:  laennec reproduce nguyen2022 --source ~/data/ICBHI --target cohort --estimate
    """
    if isinstance(paper, ReproduceNguyen):
        return _reproduce_nguyen(paper)
    from laennec.reproduce.chen2022 import MODELS, render, reproduce_chen2022
    from laennec.train.commands import command

    result = reproduce_chen2022(
        paper.data,
        paper.out,
        quick=paper.quick,
        seeds=paper.seeds,
        models=paper.models or tuple(MODELS),
        split=paper.split,
        epochs=paper.epochs,
        threads=paper.threads,
        typed=command(),
    )
    print(render(result))
    return 0


def _reproduce_nguyen(asked: ReproduceNguyen) -> int:
    from laennec.reproduce.nguyen2022 import Plan, expand, render, reproduce_nguyen2022
    from laennec.train.commands import command

    plan = Plan(
        asked.source,
        asked.target,
        asked.out,
        expand(asked.rows),
        asked.runs,
        asked.epochs,
        asked.source_epochs or asked.epochs,
        asked.folds,
        asked.patients,
        asked.every,
        round((asked.length_s or 0) * 16_000),
        asked.seed,
        asked.threads,
        asked.source_dataset,
        asked.target_dataset,
        command(),
    )
    result = reproduce_nguyen2022(plan, estimate=asked.estimate)
    if not asked.estimate:
        print(render(result))
    return 0


def challenge(
    task: Literal[11, 12, 21, 22],
    wav: Path,
    out: Path,
    model: Annotated[str | None, arg(metavar="MODEL")] = None,
) -> int:
    """Answer the BioCAS respiratory sound challenge: one class for each file of a folder.

    Example:  laennec challenge --task 12 --wav events --out output.json

    Example:  laennec challenge --task 22 --wav recordings --out output.json

    Args:
        task: Of events already cut, 11: Normal or Adventitious, 12: seven classes. Of whole recordings, 21:
            Normal, Adventitious or Poor Quality, 22: CAS, DAS or CAS & DAS in place of Adventitious.
        wav: Folder of events, or of whole recordings.
        out: JSON file, file name to class.
        model: An .onnx model file or a run folder; the one that comes with Laennec for the task otherwise.
    """
    from laennec.commands import answer_challenge

    return answer_challenge(task, wav, out, model)


COMMANDS: dict[str, Callable[..., int]] = {
    "analyze": analyze,
    "datasets": datasets,
    "simulate": simulate,
    "train": train,
    "crossvalidate": crossvalidate,
    "transfer": transfer,
    "detector": detector,
    "evaluate": evaluate,
    "export": export,
    "reproduce": reproduce,
    "challenge": challenge,
}

DESCRIPTION = """Laennec listens to lungs: respiratory events from recordings, and the models that find them.

Start with:  laennec analyze recording.wav

Every command has its own --help with an example. --debug shows where an error came from; --version prints
the version. Research software, not a medical device."""


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments, call the command and return its exit code."""
    if list(arguments) == ["--version"]:
        print(f"laennec {__version__}")
        return 0
    result: Any = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="laennec",
        description=DESCRIPTION,
        args=list(arguments) or ["--help"],
        sort_subcommands=False,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    return int(result or 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the ``laennec`` command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        code = run(given)
    except UsageError as error:
        code = _fail(str(error), debug, code=2)
    except LaennecError as error:
        code = _fail(str(error), debug)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        hint = f'; install it with: pip install "laennec[{extra}]"' if extra else ""
        code = _fail(f"this command needs the Python package {error.name}{hint}", debug)
    except KeyboardInterrupt:
        code = _fail("interrupted; the same command goes on where it can", debug)
    except BrokenPipeError:
        # The reader of our output is gone (laennec … | head); Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = _fail(f"{type(error).__name__}: {error} (an error in Laennec; --debug shows where)", debug)
    sys.exit(code)


def _fail(message: str, debug: bool, code: int = 1) -> int:
    if debug:
        raise
    print("laennec: " + " ".join(message.split()), file=sys.stderr)
    return code
