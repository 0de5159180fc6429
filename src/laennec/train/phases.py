"""Sounds to learn the phases of breaths from: clips of one phase, respiratory cycles, annotated breaths.

Of the first data set every breath is annotated with its boundaries, of others cycles or, of short recordings,
which phase they are of. What tells nothing of phases is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.features.base import Batch
from laennec.labels import PHASES
from laennec.models.phase_task import BREATH, CYCLE, INSPIRATION, REST, PhaseTask
from laennec.progress import track
from laennec.train.data import as_is, share_of
from laennec.train.phase_outputs import PhaseOutput, save_phase_outputs
from laennec.train.recipe import Recipe
from laennec.train.recordings import image_of, levelled
from laennec.train.tables import recording_names, source_of

CLIP, CYCLES, BREATHS = "clip", "cycles", "breaths"  # what is annotated of a sound
FEWEST_BREATHS = 3  # of a recording with fewer, the rest is no pause for sure


@dataclass(frozen=True)
class PhaseExample:
    """A sound, and what is annotated of its phases."""

    name: str
    subject: str
    dataset: str
    kind: str
    """`CLIP`, `CYCLES`, `BREATHS`, or "" where nothing is."""
    image: Tensor
    """``(1, bands, frames)`` float16, not normalised."""
    phase: int
    """Index into `PHASES` of a clip, -1 of others."""
    spans: np.ndarray
    """``(spans, 2)`` seconds, of cycles or of breaths."""
    inspiration_end_s: np.ndarray
    """``(spans,)``: where an airflow signal told the end of inspiration; NaN."""


@dataclass(frozen=True)
class PhaseExamples(Dataset[Batch]):
    """Sounds held in memory, handed out one at a time."""

    examples: Sequence[PhaseExample]
    front_end: Any = None

    def __len__(self) -> int:
        return len(self.examples)

    @torch.no_grad()
    def __getitems__(self, indices: Sequence[int]) -> Batch:
        (index,) = indices
        own = self.examples[index]
        phase = [own.phase] if own.kind == CLIP else []
        return {
            "image": self.front_end.normalised(own.image[None].float()),
            "clip_phase": torch.tensor(phase, dtype=torch.long),
        }

    def subset(self, chosen: np.ndarray) -> "PhaseExamples":
        """The sounds where `chosen` is True."""
        return replace(self, examples=[self.examples[int(row)] for row in np.flatnonzero(chosen)])

    def joined(self, more: "PhaseExamples") -> "PhaseExamples":
        """These sounds and more of them."""
        return replace(self, examples=[*self.examples, *more.examples])

    def fit_statistics(self, front_end: Any) -> None:
        """Nothing to learn: each sound normalises itself."""

    def normalised(self, front_end: Any) -> "PhaseExamples":
        """The same, with images normalised on the way."""
        return replace(self, front_end=front_end)

    def additions(self, chosen: np.ndarray, recipe: Recipe, front_end: Any) -> None:
        """Nothing is added."""

    def task(self, recipe: Recipe, front_end: Any) -> PhaseTask:
        """What a network is trained for on these sounds."""
        return PhaseTask(front_end, recipe.phases.loss_weights, recipe.augmentation)

    def training_loader(
        self, recipe: Recipe, front_end: Any, world: int = 1, rank: int = 0
    ) -> DataLoader[Batch]:
        """Batches of clips and of crops of recordings, drawn by seed and epoch alone."""
        crops = PhaseCrops(self.examples, front_end.frame_s, recipe.recording.piece_s)
        return DataLoader(crops, batch_sampler=PhaseBatches(crops, recipe, world, rank), collate_fn=as_is)

    def loader(self) -> DataLoader[Batch]:
        """All sounds in their own order, one at a time."""
        return DataLoader(self, 1, collate_fn=as_is)

    def undecided(self) -> Any:
        """The default rule, and no calibration."""
        return PhaseDecision()

    def decision(self, predictions: Sequence[Tensor], recipe: Recipe) -> Any:
        """The default rule: a rule is chosen on all folds together (`laennec.train.phase_report`)."""
        return PhaseDecision()

    def write(
        self, folder: Path, clips: pd.DataFrame, recipe: Recipe, predictions: Any, decision: Any = None
    ) -> None:
        """Write ``outputs.npz`` of a network's predictions."""
        frame_s = self.front_end.frame_s
        outputs = []
        for own, logits in zip(self.examples, predictions, strict=True):
            step = round(own.image.shape[2] / logits.shape[2])  # frames of the image to one of the output
            told = own.spans, own.inspiration_end_s
            outputs.append(
                PhaseOutput(
                    own.name,
                    own.subject,
                    own.dataset,
                    own.kind,
                    own.phase,
                    frame_s * step,
                    logits[0].numpy(force=True),
                    *told,
                )
            )
        save_phase_outputs(folder / "outputs.npz", outputs)


@dataclass(frozen=True)
class PhaseDecision:
    """What the card of a model file says of rule and certainty."""

    given: Mapping[str, Any] | None = None
    temperature = 1.0
    shift = 0.0

    def entries(self) -> dict[str, Any]:
        """Entries of the model file's card."""
        return dict(self.given or {})


# --- batches ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PhaseCrops(Dataset[Batch]):
    """Clips and crops of `piece_s` of recordings, handed out a whole batch at a time."""

    examples: Sequence[PhaseExample]
    frame_s: float
    piece_s: float

    def rows(self, kind: str) -> list[int]:
        """The sounds of which that is annotated."""
        return [row for row, own in enumerate(self.examples) if own.kind == kind]

    @property
    def frames(self) -> int:
        """Of a crop's image."""
        return round(self.piece_s / self.frame_s)

    @property
    def clip_frames(self) -> int:
        """Of a clip's image: those that the shortest has."""
        return min((self.examples[row].image.shape[2] for row in self.rows(CLIP)), default=1)

    def __getitems__(self, crops: Sequence[tuple[int, int]]) -> Batch:
        """Rows and first frames become ``image`` and ``clips``, both not normalised, and their labels."""
        clips = [(self.examples[row], first) for row, first in crops if self.examples[row].kind == CLIP]
        pieces = [(self.examples[row], first) for row, first in crops if self.examples[row].kind != CLIP]
        spans, row_of, what = self._spans(pieces)
        return {
            "image": _stacked([_piece(own.image, first, self.frames) for own, first in pieces]),
            "clips": _stacked([_piece(own.image, first, self.clip_frames) for own, first in clips]),
            "clip_phase": torch.tensor([own.phase for own, _ in clips], dtype=torch.long),
            "spans": torch.tensor(spans).reshape(-1, 2).float(),
            "row": torch.tensor(row_of, dtype=torch.long),
            "what": torch.tensor(what, dtype=torch.long),
            "placed": torch.tensor([own.kind == BREATHS for own, _ in pieces], dtype=torch.bool),
            "kind": torch.zeros(len(pieces), dtype=torch.long),
        }

    def _spans(
        self, pieces: Sequence[tuple[PhaseExample, int]]
    ) -> tuple[list[list[float]], list[int], list[int]]:
        """What lies in each piece, in seconds from its start: breaths as cut, cycles that lie in it whole."""
        found = [
            (span, what, place)
            for place, (own, first) in enumerate(pieces)
            for span, what in self._inside(own, first * self.frame_s)
        ]
        return [span for span, _, _ in found], [place for *_, place in found], [what for _, what, _ in found]

    def _inside(self, own: PhaseExample, first_s: float) -> Iterator[tuple[list[float], int]]:
        """The spans of a recording in the piece that begins at a time, and what each is of."""
        length_s = min(self.piece_s, own.image.shape[2] * self.frame_s - first_s)
        rows = zip(own.spans - first_s, own.inspiration_end_s - first_s, strict=True)
        for (start, end), middle in rows:
            if own.kind == BREATHS:
                if end > 0 and start < length_s:
                    yield [max(0.0, start), min(end, length_s)], BREATH
            elif start < -self.frame_s or end > length_s + self.frame_s:
                continue
            elif np.isnan(middle):
                yield [max(0.0, start), end], CYCLE
            else:
                yield [max(0.0, start), middle], INSPIRATION
                yield [middle, end], REST


def _piece(image: Tensor, first: int, frames: int) -> Tensor:
    """So many frames of an image from the first on; of a shorter one, its last frame stands for the rest."""
    piece = image[:, :, first : first + frames].float()
    return torch.nn.functional.pad(piece, (0, frames - piece.shape[2]), mode="replicate")


def _stacked(images: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(images)) if images else torch.zeros(0, 1, 1, 1)


class PhaseBatches(Sampler[list[tuple[int, int]]]):
    """Batches of so many clips and crops of each kind, drawn by seed and epoch alone."""

    def __init__(self, crops: PhaseCrops, recipe: Recipe, world: int = 1, rank: int = 0) -> None:
        self.crops, self.recipe, self.world, self.rank, self.epoch = crops, recipe, world, rank, 0
        own = recipe.phases
        wanted = {CLIP: own.clips, CYCLES: own.cycles, BREATHS: own.breaths}
        self.drawn = [(np.array(crops.rows(kind)), count) for kind, count in wanted.items()]
        self.drawn = [
            (rows, share_of(count, world, count)) for rows, count in self.drawn if len(rows) and count
        ]
        if not any(crops.rows(kind) for kind in (CLIP, CYCLES)):
            raise LaennecError(
                "nothing tells inspiration from expiration: no clip of a phase and no respiratory cycle; add "
                "--also hf-lung=FOLDER or --also icbhi=FOLDER"
            )

    @property
    def sampler(self) -> "PhaseBatches":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Draw the batches of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.recipe.recording.batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rng = np.random.default_rng([self.recipe.seed, self.epoch, 0])
        for _ in range(len(self)):
            batch = []
            for rows, share in self.drawn:
                # Every process draws the same batches, and takes its share of each kind.
                chosen = rows[rng.integers(len(rows), size=share * self.world)]
                places = [(int(row), self._first(rng, int(row))) for row in chosen]
                batch += places[self.rank :: self.world]
            yield batch

    def _first(self, rng: np.random.Generator, row: int) -> int:
        own = self.crops.examples[row]
        frames = self.crops.clip_frames if own.kind == CLIP else self.crops.frames
        return int(rng.integers(0, max(0, own.image.shape[2] - frames) + 1))


# --- reading ------------------------------------------------------------------------------------------------


def read_phases(
    events: pd.DataFrame, recordings: pd.DataFrame, recipe: Recipe, front_end: Any
) -> PhaseExamples:
    """One example for each row of `recordings` (`recordings_of`), with the events of the clips table."""
    sources = source_of(events).to_numpy()
    spans = events[["start_s", "end_s"]].to_numpy(float)
    middles = events["inspiration_end_s"].to_numpy(float)
    rows_of = events.assign(channel=events["channel"].fillna(0)).groupby(["path", "channel"]).indices
    rows: list[Any] = list(recordings.assign(source=source_of(recordings)).itertuples())
    examples = []
    for name, row in track(list(zip(recording_names(recordings), rows, strict=True)), "reading recordings"):
        channel = 0 if pd.isna(row.channel) else int(row.channel)
        found = np.asarray(rows_of.get((row.path, channel), ()), int)
        found = found[np.argsort(spans[found, 0], kind="stable")]
        kind = ""
        if row.label in PHASES:
            kind = CLIP
        elif row.source != sources[0]:
            kind = CYCLES if len(found) else ""
        elif len(found) >= FEWEST_BREATHS:
            kind = BREATHS
        samples = levelled(Recording.read(row.path).resampled(front_end.sample_rate), channel)
        examples.append(
            PhaseExample(
                name,
                "" if pd.isna(row.subject) else str(row.subject),
                row.source,
                kind,
                image_of(samples, front_end),
                PHASES.index(row.label) if kind == CLIP else -1,
                spans[found],
                middles[found],
            )
        )
    return PhaseExamples(examples)
