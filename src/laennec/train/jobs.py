"""What the training layer can be asked for: the fields are a command's arguments, the docstring its help.

Nothing is imported here that needs PyTorch, so that the help works without it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg


@dataclass(frozen=True)
class TrainJob:
    """Train a model by a recipe; the same command resumes after an interruption.

    OUT receives the checkpoints, logs for TensorBoard and as CSV, predictions, figures and model.onnx.

    Example:  laennec train default --data ~/data/SPRSound --out runs/first

    Attributes
    ----------
    recipe
        A recipe's name (default, chen2022, chen2022-cnn, …) or a TOML file.
    data
        The data set's folder.
    out
        Run folder.
    dataset
        {datasets}; the recipe says which otherwise.
    also
        Another data set to train on, such as icbhi=~/data/ICBHI, whose labels may be ICBHI's. A model for
        whole recordings takes several, each behind an --also of its own.
    start
        Finished run of the recipe that this one starts from; trained on the way otherwise.
    split
        patient: no patient in both sets; random: by event, which leaks; official: the data set's own,
        nothing is chosen on its test part; official-disjoint: without test clips of trained patients;
        none: train on everything.
    seed
        Seed of weights, order and augmentation.
    split_seed
        Seed of the split.
    epochs
        In place of the recipe's.
    batch_size
        In place of the recipe's.
    settings
        Other settings in place of the recipe's, such as augmentation.mixup=0.3.
    accelerator
        auto, cpu or gpu.
    devices
        Processes or GPUs on each machine.
    nodes
        Machines; start the same command on each, as Lightning describes.
    strategy
        Lightning's strategy for several devices, for example ddp.
    precision
        auto: the faster on this processor, timed when the run begins; bf16-mixed; 32-true. In place of the
        recipe's.
    threads
        CPU threads a process; 0: one or all, whichever is faster when the run begins.
    """

    recipe: Positional[str]
    data: Path
    out: Path
    dataset: str | None = None
    also: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="DATASET=FOLDER")] = ()
    start: Path | None = None
    split: Literal["patient", "random", "official", "official-disjoint", "none"] | None = None
    seed: int | None = None
    split_seed: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    precision: Literal["auto", "bf16-mixed", "32-true"] | None = None
    settings: Annotated[tuple[str, ...], arg(name="set", metavar="NAME=VALUE")] = ()
    threads: int = 0


@dataclass(frozen=True)
class CrossValidationJob:
    """Measure a recipe by cross-validation over patients.

    Every patient is predicted by the fold that did not train on that patient. The same command resumes
    after an interruption.

    OUT receives each fold's model and predictions, and of all of them predictions.csv (one per seed),
    metrics.json and tables.txt: scores with 95 % intervals over patients, averaged over the seeds. Nothing is
    chosen on a fold; its model is that of the last epoch. With --final, a model of all patients besides, as
    model.onnx, whose card holds these figures.

    Example:  laennec crossvalidate default --data ~/data/SPRSound --out runs/cv --seeds 0 1 2

    Example:  laennec crossvalidate default --data ~/data/SPRSound --out runs/no-mixup --only 1 --set
    augmentation.mixup=0 --against runs/cv

    Attributes
    ----------
    recipe
        A recipe's name or a TOML file.
    data
        The data set's folder.
    out
        Folder for the results.
    dataset
        {datasets}; the recipe says which otherwise.
    also
        Another data set to train on, such as icbhi=~/data/ICBHI, whose labels may be ICBHI's. A model for
        whole recordings takes several, each behind an --also of its own. Patients are dealt within each.
    protocol
        k-fold: every patient is measured on once. chronological: the patients who were first recorded last,
        by the last number in their recordings' names: from 1800 and from 2700 on in SPRSound, the last 30 %
        elsewhere. earlier: parts of the patients whom chronological's first fold trains on, to choose by
        before that fold is measured. leave-one-out: each data set, those of --data and --also, by a model
        trained on the others.
    folds
        As many parts of k-fold, dealt by patient, that keep rare classes apart as well as they can.
    seeds
        Of weights, order and augmentation; the folds stay the same.
    only
        Numbers of the folds to run, from 1; all otherwise.
    settings
        Settings in place of the recipe's, such as epochs=30 or augmentation.mixup=0.3.
    against
        Another cross-validation's folder with the same folds: differences, with paired intervals.
    chosen_with
        Folders of other cross-validations of a recording model, by other protocols. Its thresholds are chosen
        on their answers as well, where they do worst.
    final
        Train on all patients when the folds are done, with the first seed, and export. A model for whole
        recordings may be chosen on the folds of any protocol; where it is there already, it is exported
        again with what is chosen now.
    accelerator
        auto, cpu or gpu.
    jobs
        How many folds and seeds at a time, each in a process of one thread; the results stay the same.
    precision
        auto: the faster on this processor, timed when the run begins; bf16-mixed; 32-true. In place of the
        recipe's.
    threads
        CPU threads; 0: one or all, whichever is faster when the run begins.
    """

    recipe: Positional[str]
    data: Path
    out: Path
    dataset: str | None = None
    also: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="DATASET=FOLDER")] = ()
    protocol: Literal["k-fold", "chronological", "earlier", "leave-one-out"] = "k-fold"
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    only: tuple[int, ...] = ()
    settings: Annotated[tuple[str, ...], arg(name="set", metavar="NAME=VALUE")] = ()
    against: Path | None = None
    chosen_with: tuple[Path, ...] = ()
    final: bool = False
    accelerator: str = "auto"
    jobs: int = 1
    precision: Literal["auto", "bf16-mixed", "32-true"] | None = None
    threads: int = 0


@dataclass(frozen=True)
class TransferJob:
    """Fine-tune a model on another data set, such as your own small cohort; scores by cross-validation.

    Patients are dealt into folds, so that no patient is trained on and measured on; OUT receives predictions,
    metrics.json, tables.txt and confusion.png of that, and model.onnx, trained on all patients. The same
    command resumes after an interruption.

    Example:  laennec transfer --data my-cohort --target-class crackle --out runs/mine

    Example:  laennec transfer --from transfer-source --source-data ~/data/ICBHI --data my-cohort

    Attributes
    ----------
    data
        Your recordings: a CSV, a folder with label files, a multichannel cohort, or a copy of a data set.
    target_class
        The class to find: crackle, wheeze or both in any spelling, or a label of yours.
    source
        Where to start: a model that ships, a run folder, an .onnx file, or a recipe to train first.
    source_data
        What a recipe given with --from is trained on.
    out
        Folder for the results.
    recipe
        How to fine-tune: transfer (what worked best), nguyen2022 (the paper's best) or a TOML file.
    dataset
        {datasets}; recognised by the files otherwise.
    runs
        Independent cross-validations with the same folds.
    epochs
        In place of the recipe's.
    folds
        Fewer where fewer patients have the class.
    jobs
        How many folds and runs at a time, each in a process of one thread; the results stay the same.
    precision
        auto: the faster on this processor, timed when the run begins; bf16-mixed; 32-true. In place of the
        recipe's.
    threads
        CPU threads; 0: one or all, whichever is faster when the run begins.
    """

    data: Path
    target_class: str = "crackle"
    source: Annotated[str, arg(name="from", metavar="MODEL|RECIPE")] = "source"
    source_data: Path | None = None
    out: Path = Path("runs/transfer")
    recipe: str = "transfer"
    dataset: str = ""
    runs: int = 1
    epochs: int | None = None
    folds: int = 7
    jobs: int = 1
    precision: Literal["auto", "bf16-mixed", "32-true"] | None = None
    threads: int = 0


@dataclass(frozen=True)
class DetectorJob:
    """Train the model that finds events in whole recordings, and measure it by cross-validation.

    Patients are dealt into folds; thresholds and calibration come from out-of-fold predictions. OUT receives
    detector.md, detector.json and recording.onnx, trained on all patients. The same command resumes after an
    interruption, fold by fold.

    Example:  laennec detector --data ~/data/SPRSound --icbhi ~/data/ICBHI --out runs/detector --seeds 0 1

    Attributes
    ----------
    data
        SPRSound's folder.
    out
        Folder for the folds, the figures and the model.
    icbhi
        ICBHI 2017's folder, for lungs recorded by other devices.
    also
        Another data set to train on, such as not-lung=~/data/not_lung; each behind an --also of its own.
    folds
        Parts that the patients are dealt into.
    seeds
        A whole cross-validation each; the first one's settings ship.
    epochs
        In place of the ten that were measured.
    jobs
        How many folds and seeds at a time, each in a process of one thread; the results stay the same.
    precision
        auto: the faster on this processor, timed when the run begins; bf16-mixed; 32-true. In place of the
        recipe's.
    threads
        CPU threads; 0: one or all, whichever is faster when the run begins.
    """

    data: Path
    out: Path
    icbhi: Path | None = None
    also: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="DATASET=FOLDER")] = ()
    folds: int = 5
    seeds: tuple[int, ...] = (0,)
    epochs: int | None = None
    jobs: int = 1
    precision: Literal["auto", "bf16-mixed", "32-true"] | None = None
    threads: int = 0


@dataclass(frozen=True)
class EvaluateJob:
    """Measure a model on annotated events, with 95 % intervals over patients.

    OUT receives predictions.csv, metrics.json, tables.txt, confusion.png and a page, index.html. A model for
    whole recordings is measured on both: the events that it finds and its answers (detection.json,
    events.csv besides).

    Example:  laennec evaluate runs/first --data ~/data/SPRSound --split validation --out results

    Attributes
    ----------
    model
        An .onnx file, a run folder, "default" or "recording".
    data
        The data set's folder.
    out
        Folder for the results.
    split
        validation (what the model's recipe held out), all, train, test (or official), official-disjoint,
        which leaves out test clips of patients who are trained on, test-inter, test-intra, or test-2023 and
        the like: the test set of that release of SPRSound.
    dataset
        {datasets}; otherwise the model's recipe's.
    """

    model: Positional[str]
    data: Path
    out: Path
    split: str = "validation"
    dataset: str | None = None


@dataclass(frozen=True)
class ExportJob:
    """Write a model in the form that another program runs.

    onnx: a finished run as one .onnx file, waveform in, calibrated probabilities out.
    int8: a model for whole recordings with its convolutions in eight bits, in half the time on most
    processors. Ranges are learnt from recordings, which it may have been trained on.
    web: a folder that runs a model in a browser, on the computer in front of it.
    microcontroller: a model for windows of 2 s as C files that need no other library.
    chai: the model's card alone, as the Applied Model Card of the Coalition for Health AI, in XML.

    Example:  laennec export runs/first --out lungs.onnx

    Example:  laennec export recording --target int8 --data ~/data/SPRSound --out small.onnx

    Example:  laennec export --target web recording --runtime onnxruntime-web-1.30.0.tgz --out site

    Example:  laennec export --target microcontroller --out wheezes-and-crackles

    Example:  laennec export recording --target chai --out recording.xml

    Attributes
    ----------
    model
        onnx: run folder of `laennec train`. web, chai: that, a model file or the name of a model that ships;
        recording by default. microcontroller: run folder or .npz file of a model for windows;
        the one that ships otherwise.
    target
        What it is for.
    out
        onnx, int8, chai: the file to write; of onnx, model.onnx in the run folder otherwise. web,
        microcontroller: the folder.
    temperature
        onnx: calibration in place of the run's own, for a model trained on everything.
    data
        int8: folder of recordings to learn ranges from, up to 32 of a data set, each of another patient.
    dataset
        int8: {datasets}; otherwise the model's recipe's.
    also
        int8: another data set of recordings, such as icbhi=~/data/ICBHI; several, each behind an --also of
        its own.
    runtime
        web: the npm package onnxruntime-web, as `npm pack` fetches it, or its folder.
    """

    model: Annotated[Positional[str], arg(metavar="MODEL", help_behavior_hint="")] = ""
    target: Literal["onnx", "int8", "web", "microcontroller", "chai"] = "onnx"
    out: Path | None = None
    temperature: float | None = None
    data: Path | None = None
    dataset: str | None = None
    also: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="DATASET=FOLDER")] = ()
    runtime: Path | None = None
