"""A model for whole recordings, ready to run: sound in, the outputs of every frame out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laennec.errors import LaennecError
from laennec.model.calibration import Calibration
from laennec.model.card import OUTPUTS, RecordingCard
from laennec.model.probability import Array
from laennec.model.session import Model, fits

CHUNK_S = 54.0  # processed at a time; longer chunks are hardly faster and take more memory, a MiB a second


@dataclass(frozen=True)
class Frames:
    """Outputs for neighbouring frames of one channel; time is the last axis of each array."""

    first: int  # number of the first frame, counted from the start of the recording
    end_s: float  # where the sound of the last frame ends, from there
    last: bool  # whether nothing follows
    presence: Array  # (3, frames) logits of presence, onset and offset
    evidence: Array  # (classes, rows, frames), logits of the classes together with the context
    context: Array  # (classes, frames)
    record: Array  # (2 records, frames): attention logits, then values
    kind: Array  # (sound classes, frames) logits
    extent: Array  # (frames,): from the lowest sample of the frame to the highest
    level_db: Array  # (frames,): power of the frame's samples in dB of full scale

    @property
    def end(self) -> int:
        """Number of the frame after the last."""
        return self.first + int(self.presence.shape[-1])

    def class_logits(self) -> npt.NDArray[np.float64]:
        """Logits of the event classes in every frame, ``(classes, frames)``."""
        return np.asarray(self.evidence.mean(1, dtype=np.float64) + self.context)

    def cut(self, first: int, end: int) -> "Frames":
        """The frames from `first` to before `end`, as views."""
        here = slice(first - self.first, end - self.first)
        arrays = {name: getattr(self, name)[..., here] for name in ARRAYS}
        return Frames(first=first, end_s=self.end_s, last=self.last, **arrays)

    def after(self, earlier: "Frames | None") -> "Frames":
        """The `earlier` frames, then these, which may stand in place of their last; none before them."""
        if earlier is None:
            return self
        if self.first <= earlier.first:
            return self.cut(earlier.first, self.end)
        kept = earlier.cut(earlier.first, self.first)
        arrays = {
            name: np.concatenate([getattr(kept, name), getattr(self, name)], axis=-1) for name in ARRAYS
        }
        return Frames(first=earlier.first, end_s=self.end_s, last=self.last, **arrays)


ARRAYS = (*OUTPUTS, "extent", "level_db")


@dataclass(frozen=True, eq=False)
class Detector(Model):
    """A model file for recordings, ready to run. It can be pickled.

    `card` is what the file says, with the numbers of a `calibration` where there is one.
    """

    card: RecordingCard
    calibration: Calibration | None = None

    def frames(
        self, blocks: Iterable[Array], chunk_s: float = CHUNK_S, levels: Sequence[float] = ()
    ) -> Iterator[tuple[Frames, ...]]:
        """Outputs of every frame, chunk by chunk, in constant memory: a `Frames` for each channel.

        No output depends on more than the card's `reach_frames`, and one for the phases, to either side, so a
        chunk is processed with that much of its neighbours, and where chunks or blocks meet changes nothing.
        The last frames are marked; without a sample, there are none.

        Parameters
        ----------
        blocks : iterable of numpy.ndarray
            ``(channels, samples)`` float32 at the card's sample rate, of any lengths.
        chunk_s : float
            Seconds processed at a time.
        levels : sequence of float
            Of each channel, as `Recording.levels`; the network gets it at the card's `level`. Without, or
            where one is 0, the samples are taken as they are.
        """
        stream = FrameStream(self, chunk_s, levels=levels)
        for block in blocks:
            yield from stream.feed(block)
        yield from stream.finish()

    def averaged(self, samples: Array) -> dict[str, Array]:
        """What `run` gives, averaged over the card's `phases`."""
        return mean_over_shifts(self.run, samples, self.card.frame_samples, self.card.phases)

    def run(self, samples: Array) -> dict[str, Array]:
        """The graph's outputs, without its first axis, for ``(samples,)`` float32 at the card's sample rate.

        Time, in frames, is the last axis. LaennecError if the graph fails, or gives other shapes than its
        card says or non-finite values.
        """
        values = self.graph.run(OUTPUTS, {"waveform": samples[None]})
        outputs = dict(zip(OUTPUTS, values, strict=True))
        lengths = {value.shape[-1] if value.ndim else 0 for value in values}
        expected = self.card.outputs
        if len(lengths) > 1 or not all(fits(outputs[name].shape, expected[name]) for name in OUTPUTS):
            shapes = ", ".join(f"{name} {value.shape}" for name, value in outputs.items())
            raise LaennecError(f"{self.source}: the model gave other shapes than its metadata says: {shapes}")
        (frames,) = lengths
        if abs(frames - samples.size / self.card.frame_samples) > 1:
            raise LaennecError(
                f"{self.source}: the model gave {frames} frames for {samples.size} samples, "
                f"which is not one every {self.card.frame_samples} (frame_samples)"
            )
        if not all(np.isfinite(value).all() for value in values):
            raise LaennecError(f"{self.source}: the model gave a non-finite value")
        return {name: value[0] for name, value in outputs.items()}


class FrameStream:
    """The outputs of a model for sound that comes in blocks: the work of `Detector.frames`.

    A chunk is processed when the sound that its outputs depend on has come. With `again_s`, it is processed
    at once, as if nothing followed, and that much before it once more, with the sound that came since: these
    frames stand in place of the earlier ones; all that came, a chunk or more, is processed as one.
    `levels` may be changed between blocks.
    """

    def __init__(
        self,
        model: Detector,
        chunk_s: float = CHUNK_S,
        again_s: float | None = None,
        levels: Sequence[float] = (),
    ) -> None:
        self.levels = levels
        card = model.card
        self._model, self._frame = model, card.frame_samples
        self._step = max(1, round(chunk_s / card.frame_s)) * self._frame
        self._reach = (card.reach_frames + 1) * self._frame
        self._ahead, self._again = self._reach, 0  # samples that are awaited; that are processed again
        self._spare = 1  # sample for the last chunk
        self._part = self._step  # samples of a block that are taken at a time
        if again_s is not None:
            self._ahead = self._spare = 0
            self._again = round(again_s / card.frame_s) * self._frame
            self._part = max(self._step, round(CHUNK_S / card.frame_s) * self._frame)
        self._held: Array | None = None  # from sample `first` on
        self._first = self._done = 0

    def feed(self, block: Array) -> Iterator[tuple[Frames, ...]]:
        """The chunks that another block ``(channels, samples)`` completes; to be taken before the next."""
        for start in range(0, block.shape[1], self._part):  # a long one would be copied again and again
            part = block[:, start : start + self._part]
            self._held = part if self._held is None else np.concatenate([self._held, part], axis=1)
            while (length := self._ready()) > 0:
                end = self._done + length
                yield self._chunk(self._held[:, : end + self._ahead - self._first], end)
                self._done = end
                needed = (end - self._again - self._reach) // self._frame * self._frame
                kept = max(self._first, needed)
                self._held, self._first = self._held[:, kept - self._first :].copy(), kept

    def _ready(self) -> int:
        """How many samples can be processed: a chunk, with `again_s` all whole frames; 0 before a chunk."""
        assert self._held is not None
        came = self._first + self._held.shape[1] - self._done - self._ahead - self._spare
        if came < self._step:
            return 0
        return came // self._frame * self._frame if self._again else self._step

    def finish(self) -> Iterator[tuple[Frames, ...]]:
        """The last chunk, which is marked; none without a sample."""
        if self._held is not None and self._held.shape[1]:
            yield self._chunk(self._held, None)

    def _chunk(self, piece: Array, end: int | None) -> tuple[Frames, ...]:
        """The frames from what is to be processed up to sample `end`, None for that of the sound."""
        card, frame, first = self._model.card, self._frame, self._first
        start = max(0, self._done - self._again)
        length = (first + piece.shape[1] if end is None else end) / card.sample_rate
        chosen = slice((start - first) // frame, None if end is None else (end - first) // frame)
        gains = [card.level / level if level else 1.0 for level in self.levels] or [1.0] * len(piece)
        channels = []
        for samples, gain in zip(np.ascontiguousarray(piece), gains, strict=True):
            outputs = self._model.averaged(samples if gain == 1 else samples * np.float32(gain))
            outputs |= _levels(samples, frame, outputs["presence"].shape[-1])
            arrays = {name: outputs[name][..., chosen] for name in ARRAYS}
            channels.append(Frames(first=start // frame, end_s=length, last=end is None, **arrays))
        return tuple(channels)


def mean_over_shifts(
    run: Callable[[Array], dict[str, Array]], samples: Array, frame: int, phases: int
) -> dict[str, Array]:
    """What `run` gives for ``(samples,)``, averaged over `phases` shifts of the samples below a `frame`.

    The convolutions stride over time, so what they give depends on where frames begin in the sound, which is
    chance (Zhang, "Making convolutional networks shift-invariant again", ICML 2019). The shifts lie evenly
    around none. Silence stands before the first sample.
    """
    count = -(-samples.size // frame)
    total: dict[str, Array] = {}
    for phase in range(phases):
        shift = ((2 * phase + 1 - phases) * frame) // (2 * phases)
        moved = samples[shift:] if shift >= 0 else np.concatenate([np.zeros(-shift, np.float32), samples])
        for name, value in run(moved if moved.size else samples).items():
            value = _of_length(value, count)
            total[name] = value if phase == 0 else total[name] + value
    return {name: value / np.float32(phases) for name, value in total.items()}


def _of_length(values: Array, frames: int) -> Array:
    """The first `frames` frames; the last one stands for those that lack."""
    lacking = frames - values.shape[-1]
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, max(0, lacking))], mode="edge")[..., :frames]


def _levels(samples: Array, frame_samples: int, frames: int) -> dict[str, Array]:
    """Extent and level of each frame's samples; of a last frame that is not full, those of what there is."""
    padded = np.zeros(frames * frame_samples, np.float32)
    taken = samples[: padded.size]
    padded[: taken.size] = taken
    if taken.size:
        padded[taken.size :] = taken[-1]
    blocks = padded.reshape(frames, frame_samples)
    power = (blocks * blocks).mean(1)
    return {"extent": np.ptp(blocks, axis=1), "level_db": 10 * np.log10(power + 1e-12)}
