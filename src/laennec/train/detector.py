"""`laennec detector`: folds of patients, a network each; thresholds and temperatures from what they say of
patients they never heard; then one network of everybody, written as a model file.

What a fold's network said of its patients is kept in ``seed0/fold0.npz`` and so on; a fold that is there is
not trained again. Everything reported comes from those files by `laennec.train.detector_figures`.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from laennec.datasets import icbhi, splits, sprsound
from laennec.errors import LaennecError
from laennec.features.recording import RecordingLogMel
from laennec.files import make_folder, write_json, write_text, written_whole
from laennec.models.recording import RecordingNet, class_logits, pool
from laennec.train.loop import tuned_cpu
from laennec.train.recordings import (
    Example,
    Lesson,
    icbhi_examples,
    other_examples,
    sprsound_examples,
    train_network,
)

OTHERS = 50  # sounds of each kind that is no lung


@dataclass(frozen=True)
class Material:
    """All examples, and the fold of each."""

    examples: Sequence[Example]
    fold: np.ndarray
    others: Sequence[Example]
    front_end: RecordingLogMel

    def training(self, fold: int | None) -> list[Example]:
        """Examples of the other folds' patients, or of everybody, and the sounds that are no lung."""
        chosen = [e for e, own in zip(self.examples, self.fold, strict=True) if own != fold]
        return chosen + list(self.others)

    def held_out(self, fold: int) -> list[Example]:
        """Examples of a fold's patients."""
        return [e for e, own in zip(self.examples, self.fold, strict=True) if own == fold]


def gather(
    data: str | os.PathLike[str], icbhi_data: str | os.PathLike[str] | None, folds: int, lesson: Lesson
) -> Material:
    """Read the data sets and deal their patients into folds."""
    front_end = RecordingLogMel(**lesson.front_end)
    events, records = sprsound.load(data), sprsound.load(data, "record")
    examples = sprsound_examples(events, records, front_end)
    fold = np.zeros(len(records), int)
    for index, split in enumerate(splits.kfold(records, folds)):
        fold[split.validation] = index
    if icbhi_data is not None:
        pieces = icbhi_examples(icbhi.load(icbhi_data), front_end)
        subjects = sorted({piece.subject for piece in pieces})
        order = np.random.default_rng(0).permutation(len(subjects))
        own = {subject: int(place) % folds for subject, place in zip(subjects, order, strict=True)}
        examples += pieces
        fold = np.concatenate([fold, [own[piece.subject] for piece in pieces]])
    return Material(examples, fold, other_examples(OTHERS, 0, front_end), front_end)


def train_detector(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    icbhi_data: str | os.PathLike[str] | None = None,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    epochs: int | None = None,
    threads: int = 0,
    command: str = "",
) -> Path:
    """Cross-validate, measure, train on everybody and export.

    Parameters
    ----------
    data
        SPRSound's folder.
    out
        Receives ``seedS/foldK.npz``, ``detector.json``, ``detector.md`` and ``recording.onnx``.
    icbhi_data
        ICBHI 2017's folder: other devices' lungs. Optional, and then only SPRSound's own sound like one.
    folds, seeds
        A network for each of both.

    Returns
    -------
    Path
        The model file.
    """
    from laennec.train.detector_figures import Figures, measure, render, settings_of
    from laennec.train.recording_export import export_recording

    out = make_folder(out)
    lesson = Lesson() if epochs is None else Lesson(epochs=epochs)
    plan = {"folds": folds, "lesson": json.loads(json.dumps(asdict(lesson))), "icbhi": icbhi_data is not None}
    refuse_other_plan(out / "plan.json", plan)
    with tuned_cpu(1, threads):
        material = gather(data, icbhi_data, folds, lesson)
        for seed in seeds:
            for fold in range(folds):
                path = out / f"seed{seed}" / f"fold{fold}.npz"
                if not path.exists():
                    print(f"seed {seed}, fold {fold + 1} of {folds}", flush=True)
                    network = train_network(material.training(fold), lesson, seed, progress=True)
                    save_said(path, network, material.held_out(fold), fold)
        figures: Figures = measure([load_said(out, seed, folds) for seed in seeds])
        write_json(out / "detector.json", {**figures.told, "command": command, "seeds": list(seeds)})
        write_text(out / "detector.md", render(figures.told))
        weights = out / f"seed{seeds[0]}" / "all.pt"
        if not weights.exists():
            print("everybody", flush=True)
            network = train_network(material.training(None), lesson, seeds[0], progress=True)
            with written_whole(weights) as temporary:
                torch.save(network.state_dict(), temporary)
        network = RecordingNet(**lesson.network)
        network.load_state_dict(torch.load(weights, weights_only=True))
        told = settings_of(figures, len(material.examples), command, list(seeds))
        return export_recording(material.front_end, network.eval(), out / "recording.onnx", told)


def refuse_other_plan(path: Path, plan: dict[str, object]) -> None:
    """Refuse a folder whose folds were trained otherwise."""
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != plan:
        raise LaennecError(f"{path.parent}: holds folds of other settings; name another folder")
    write_json(path, plan)


@torch.inference_mode()
def save_said(path: Path, network: RecordingNet, examples: Sequence[Example], fold: int) -> None:
    """Write what a network says of the examples, and what is annotated."""
    parts: dict[str, list[np.ndarray]] = {"presence": [], "classes": [], "record": [], "kind": []}
    for example in examples:
        answer = network(example.image[None].float())
        parts["presence"].append(answer["presence"][0].numpy())
        parts["classes"].append(class_logits(answer)[0].numpy())
        parts["record"].append(pool(answer["record"])[0].numpy())
        parts["kind"].append(answer["kind"].mean(2)[0].numpy())
    with written_whole(path) as temporary:
        np.savez_compressed(
            temporary,
            fold=np.full(len(examples), fold),
            name=np.array([example.name for example in examples]),
            subject=np.array([example.subject for example in examples]),
            record=np.array([example.record for example in examples]),
            frames=np.array([part.shape[1] for part in parts["presence"]]),
            presence=np.concatenate(parts["presence"], axis=1).astype(np.float32),
            classes=np.concatenate(parts["classes"], axis=1).astype(np.float32),
            record_logits=np.stack(parts["record"]),
            kind_logits=np.stack(parts["kind"]),
            events=np.array([len(example.spans) for example in examples]),
            spans=np.concatenate([example.spans for example in examples]),
            labels=np.concatenate([example.classes.argmax(1) for example in examples]),
        )


@dataclass(frozen=True)
class Said:
    """What is annotated of a recording, and what a network that never heard its patient says of it."""

    name: str
    subject: str
    fold: int
    record: int
    """Index of the record label, or -1."""
    spans: np.ndarray
    """``(events, 2)`` seconds."""
    labels: np.ndarray
    """``(events,)`` class indices."""
    presence: np.ndarray
    """``(3, frames)`` logits of presence, onset and offset."""
    classes: np.ndarray
    """``(classes, frames)`` logits."""
    record_logits: np.ndarray
    kind_logits: np.ndarray


def load_said(out: str | os.PathLike[str], seed: int, folds: int) -> list[Said]:
    """All recordings of a seed's folds."""
    found = []
    for fold in range(folds):
        with np.load(Path(out) / f"seed{seed}" / f"fold{fold}.npz") as file:
            held = {name: file[name] for name in file.files}
        frame = np.concatenate([[0], np.cumsum(held["frames"])])
        event = np.concatenate([[0], np.cumsum(held["events"])])
        for row in range(len(held["name"])):
            frames, events = slice(frame[row], frame[row + 1]), slice(event[row], event[row + 1])
            found.append(
                Said(
                    str(held["name"][row]),
                    str(held["subject"][row]),
                    int(held["fold"][row]),
                    int(held["record"][row]),
                    held["spans"][events],
                    held["labels"][events],
                    held["presence"][:, frames],
                    held["classes"][:, frames],
                    held["record_logits"][row],
                    held["kind_logits"][row],
                )
            )
    return found
