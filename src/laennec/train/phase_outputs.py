"""What networks predicted of sounds whose breath phases are annotated, kept fold by fold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laennec.files import written_whole

PLAIN = ("name", "subject", "dataset", "kind", "phase", "frame_s")


@dataclass(frozen=True)
class PhaseOutput:
    """What is annotated of a sound, as `laennec.train.phases.PhaseExample`, and its logits."""

    name: str
    subject: str
    dataset: str
    kind: str
    phase: int
    frame_s: float
    logits: np.ndarray
    """``(3, frames)``."""
    spans: np.ndarray
    inspiration_end_s: np.ndarray
    fold: str = ""


def save_phase_outputs(path: Path, outputs: Sequence[PhaseOutput]) -> None:
    """Write outputs, whole or not at all."""
    table: dict[str, Any] = {name: np.array([getattr(own, name) for own in outputs]) for name in PLAIN}
    table["frames"] = np.array([own.logits.shape[1] for own in outputs])
    table["events"] = np.array([len(own.spans) for own in outputs])
    table["logits"] = np.concatenate([own.logits for own in outputs], axis=1).astype(np.float32)
    table["spans"] = np.concatenate([own.spans.reshape(-1, 2) for own in outputs])
    table["inspiration_end_s"] = np.concatenate([own.inspiration_end_s for own in outputs])
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **table)


def load_phase_outputs(folders: Iterable[Path]) -> list[PhaseOutput]:
    """The outputs of folds, each with its folder's name."""
    outputs = []
    for folder in folders:
        with np.load(folder / "outputs.npz", allow_pickle=False) as table:
            logits = np.split(table["logits"], np.cumsum(table["frames"])[:-1], axis=1)
            spans, middles = (
                np.split(table[name], np.cumsum(table["events"])[:-1])
                for name in ("spans", "inspiration_end_s")
            )
            columns = [table[name].tolist() for name in PLAIN]
            plain = [dict(zip(PLAIN, row, strict=True)) for row in zip(*columns, strict=True)]
            outputs += [
                PhaseOutput(**row, logits=own, spans=span, inspiration_end_s=middle, fold=folder.name)
                for row, own, span, middle in zip(plain, logits, spans, middles, strict=True)
            ]
    return outputs
