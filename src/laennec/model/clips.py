"""A clip model, ready to run: waveforms in, probabilities out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.audio.samples import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, counted, resample
from laennec.errors import LaennecError
from laennec.labels import vocabulary_index
from laennec.model.card import OUTPUT, ClipCard
from laennec.model.session import Model
from laennec.patient import check_age, check_position, check_sex

Array = npt.NDArray[np.float32]
BATCH_CLIPS = 8  # more are no faster on a processor, and memory grows with them
BATCH_SAMPLES = 2**20  # of a padded batch, 4 MiB, so that one long clip does not make eight of them
LARGEST_SAMPLE = 2.0  # resampling may overshoot full scale; beyond this an array holds no samples in [-1, 1]
SUM_TOLERANCE = 1e-3  # of the probabilities of a clip, from 1


@dataclass(frozen=True, eq=False)
class LungModel(Model):
    """A model file for clips, ready to run. It can be pickled. `card` is what the file says."""

    card: ClipCard

    def predict(
        self,
        waveforms: Sequence[npt.ArrayLike] | npt.NDArray[Any],
        sample_rate: int,
        age_years: float | Sequence[float | None] | None = None,
        sex: str | Sequence[str | None] | None = None,
        position: str | Sequence[str | None] | None = None,
    ) -> Array:
        """Probabilities ``(clips, classes)`` of the classes of the card, float32; rows sum to 1.

        Parameters
        ----------
        waveforms : sequence of array_like
            Clips ``(samples,)`` of any lengths, floating point in [-1, 1]; or an array ``(clips, samples)``;
            or one clip ``(samples,)``. What a clip gets does not depend on the clips beside it.
        sample_rate : int
            Hz, of all clips; resampled where the model's is another.
        age_years, sex, position : value or sequence, optional
            Years, 0 to 130; ``male`` or ``female`` (``m``, ``f``); one of ``card.positions`` (or ``p1`` to
            ``p4``). One for all clips, or one for each; None: not known.

        Raises
        ------
        LaennecError
            If a clip is empty, of another type or shape, not finite or not in [-1, 1], if the metadata is not
            as above, or if the file's graph fails or gives what is no probability.
        """
        clips = [self._clip(clip, index, sample_rate) for index, clip in enumerate(_as_clips(waveforms))]
        count = len(clips)
        sexes = [check_sex(value) for value in _each(sex, count, "sex")]
        places = self.card.positions
        positions = [check_position(value, places) for value in _each(position, count, "position")]
        metadata: dict[str, npt.NDArray[Any]] = {
            "age_years": np.array([check_age(v) for v in _each(age_years, count, "age_years")], np.float32),
            "sex": self._indices(sexes, self.card.sexes, "sex"),
            "position": self._indices(positions, places, "position"),
        }
        probabilities = np.empty((count, len(self.card.labels)), np.float32)
        for chosen in _batches([clip.size for clip in clips]):
            inputs = _padded([clips[index] for index in chosen])
            inputs |= {name: values[chosen] for name, values in metadata.items()}
            probabilities[chosen] = self._run(inputs)
        return probabilities

    def _clip(self, clip: npt.ArrayLike, index: int, sample_rate: int) -> Array:
        if not isinstance(sample_rate, int | float | np.number):
            raise LaennecError(f"the sample rate is {sample_rate!r}; expected a number, in Hz")
        samples = np.asarray(clip)
        if samples.shape == (0,):
            raise LaennecError(f"clip {index}: empty, it holds no samples")
        if samples.ndim != 1:
            raise LaennecError(f"clip {index}: expected samples of shape (samples,), got {samples.shape}")
        if not np.issubdtype(samples.dtype, np.floating):
            raise LaennecError(
                f"clip {index}: samples are {samples.dtype}, expected floats in [-1, 1]; "
                "Recording.from_array scales whole numbers"
            )
        if not np.abs(samples).max() <= LARGEST_SAMPLE:  # NaN compares false
            raise LaennecError(f"clip {index}: samples must be numbers in [-1, 1]")
        samples = samples.astype(np.float32, copy=False)
        if sample_rate == self.card.sample_rate:
            return samples
        if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
            raise LaennecError(
                f"the sample rate is {sample_rate} Hz; expected {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"
            )
        return resample(samples, sample_rate, self.card.sample_rate)

    def _indices(
        self, values: list[str | None], vocabulary: tuple[str, ...], what: str
    ) -> npt.NDArray[np.int64]:
        """Indices of words in a vocabulary, from 1; 0 where none is known."""
        for value in values:
            if value is not None and value not in vocabulary:
                raise LaennecError(f"{what} is {value!r}, which the model {self.card.name} does not know")
        return np.array([vocabulary_index(value, vocabulary) for value in values], np.int64)

    def _run(self, inputs: dict[str, npt.NDArray[Any]]) -> Array:
        """Run one batch and check that what comes out is what the contract says."""
        probabilities: Array
        (probabilities,) = self.graph.run([OUTPUT], inputs)
        expected = (inputs["length"].size, len(self.card.labels))
        if probabilities.shape != expected:
            raise LaennecError(
                f"{self.source}: the model gave {probabilities.shape} probabilities, not {expected}"
            )
        sums = probabilities.sum(axis=1)
        if not (np.all(probabilities >= -SUM_TOLERANCE) and np.all(np.abs(sums - 1) <= SUM_TOLERANCE)):
            raise LaennecError(f"{self.source}: the model gave probabilities that do not sum to 1")
        return probabilities


def _as_clips(waveforms: Sequence[npt.ArrayLike] | npt.NDArray[Any]) -> list[npt.ArrayLike]:
    """Return the clips one by one; a one-dimensional array or a list of numbers is one clip."""
    if isinstance(waveforms, np.ndarray):
        return [waveforms] if waveforms.ndim == 1 else list(waveforms)
    if len(waveforms) and np.ndim(waveforms[0]) == 0:
        return [np.asarray(waveforms)]
    return list(waveforms)


def _each(value: Any, count: int, what: str) -> list[Any]:
    """Return one value for each clip, of one for all or of as many as there are clips."""
    if value is None or isinstance(value, str) or np.ndim(value) == 0:
        return [value] * count
    if len(value) != count:
        raise LaennecError(f"{what}: {counted(len(value), 'value')} for {counted(count, 'clip')}")
    return list(value)


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Deal clips into batches of similar lengths, so that little is padded; yields their indices."""
    batch: list[int] = []
    for index in sorted(range(len(sizes)), key=sizes.__getitem__):
        if batch and (len(batch) == BATCH_CLIPS or (len(batch) + 1) * sizes[index] > BATCH_SAMPLES):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _padded(clips: Sequence[Array]) -> dict[str, npt.NDArray[Any]]:
    """Return ``waveform`` and ``length`` of a batch; what follows a clip in its row is not looked at."""
    waveform = np.zeros((len(clips), max(clip.size for clip in clips)), np.float32)
    for row, clip in zip(waveform, clips, strict=True):
        row[: clip.size] = clip
    return {"waveform": waveform, "length": np.array([clip.size for clip in clips], np.int64)}
