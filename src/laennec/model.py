"""The one reader of model files: an ``.onnx`` file that takes waveforms and gives probabilities.

What a file holds is written in ``docs/model-file.md``. Nothing about features is repeated here: the graph
brings a clip to its length, computes what the network sees, and calibrates what it says.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from laennec.audio import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, resample
from laennec.errors import LaennecError
from laennec.labels import POSITIONS

if TYPE_CHECKING:
    import onnxruntime

Array = npt.NDArray[np.float32]

FORMAT = 1  # of the metadata; files of a later format are refused
METADATA_KEY = "laennec"
DEFAULT = "default"  # name of the model that ships
RUN_MODEL = "model.onnx"  # in a run folder
INPUTS = {
    "waveform": "tensor(float)",
    "length": "tensor(int64)",
    "age_years": "tensor(float)",
    "sex": "tensor(int64)",
    "position": "tensor(int64)",
}
OUTPUT = "probabilities"
CENTRE = "centre"  # a padding: silence on both sides of a clip, and of one that is too long, its middle

BATCH_CLIPS = 8  # more are no faster on a processor, and memory grows with them
BATCH_SAMPLES = 2**20  # of a padded batch, 4 MiB, so that one long clip does not make eight of them
LARGEST_SAMPLE = 2.0  # resampling may overshoot full scale; beyond this an array holds no samples in [-1, 1]
SUM_TOLERANCE = 1e-3  # of the probabilities of a clip, from 1
OLDEST_YEARS = 130.0  # no one has lived longer; a larger number is a mistake such as months for years

SEX_SPELLINGS = {"m": "male", "f": "female"}
POSITION_SPELLINGS = {f"p{number}": position for number, position in enumerate(POSITIONS, start=1)}


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself: its metadata, checked.

    Attributes
    ----------
    name : str
    labels : tuple of str
        Classes, in the order of the probabilities.
    normal : str
        The one of them that means normal breathing.
    sample_rate : int
        Hz, of the waveform the graph takes.
    clip_samples : int
        What the model hears of a clip: its first `clip_samples` samples, or those in its middle where
        `padding` is ``centre``; a shorter clip is filled up by `padding`, inside the graph.
    padding : str
        ``tile``, ``zero`` or ``sample``, see :func:`laennec.segment.fit_length`; or ``centre``: silence on
        both sides.
    sexes, positions : tuple of str
        Vocabularies of the metadata inputs; index 0 means "not known", 1 the first of these.
    temperature : float
        By which the logits were divided (Guo et al., "On calibration of modern neural networks", ICML 2017).
    window_s, hop_s : float
        Windows to cut a recording into when no event boundaries are given.
    version : str
        Of the Laennec that wrote the file.
    task : str
    data, recipe, metrics : mapping
        Training data with licence and citation; training settings; measured scores. Empty where not told.
    limits : str
        What the model is not for.
    uses_metadata : bool
        Whether age, sex and position change what it says; its graph takes them either way.
    """

    name: str
    labels: tuple[str, ...]
    normal: str
    sample_rate: int
    clip_samples: int
    padding: str
    sexes: tuple[str, ...]
    positions: tuple[str, ...]
    temperature: float
    window_s: float
    hop_s: float
    version: str
    task: str = "event"
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    uses_metadata: bool = True

    @property
    def clip_s(self) -> float:
        """Longest clip the model hears in full, in seconds."""
        return self.clip_samples / self.sample_rate


@dataclass(frozen=True, eq=False)
class LungModel:
    """A model file, ready to run.

    Attributes
    ----------
    card : ModelCard
        What the file says of itself.
    sha256 : str
        Of the file, 64 hexadecimal digits: names the model in every result.
    source : str
        The file's path, for messages.
    """

    card: ModelCard
    sha256: str
    source: str
    _session: "onnxruntime.InferenceSession" = field(repr=False)

    def predict(
        self,
        waveforms: Sequence[npt.ArrayLike] | npt.NDArray[Any],
        sample_rate: int,
        age_years: float | Sequence[float | None] | None = None,
        sex: str | Sequence[str | None] | None = None,
        position: str | Sequence[str | None] | None = None,
    ) -> Array:
        """Probabilities of each clip's classes.

        Parameters
        ----------
        waveforms : sequence of array_like
            Clips ``(samples,)`` of any lengths, floating point in [-1, 1]; or an array ``(clips, samples)``;
            or one clip ``(samples,)``. What a clip gets does not depend on the clips beside it.
        sample_rate : int
            Hz, of all clips; resampled where the model's is another.
        age_years : float or sequence, optional
            Years, 0 to 130; None or NaN: not known. One for all clips, or one for each.
        sex : str or sequence, optional
            ``male`` or ``female`` (``m``, ``f``); None: not known.
        position : str or sequence, optional
            One of ``card.positions`` (or ``p1`` to ``p4``); None: not known.

        Returns
        -------
        numpy.ndarray
            ``(clips, classes)`` float32 in [0, 1], rows summing to 1, columns as ``card.labels``.

        Raises
        ------
        LaennecError
            If a clip is empty, of another type or shape, not finite or not in [-1, 1], if the metadata is not
            as above, or if the file's graph fails or gives what is no probability.
        """
        clips = [self._clip(clip, index, sample_rate) for index, clip in enumerate(_as_clips(waveforms))]
        count = len(clips)
        metadata: dict[str, npt.NDArray[Any]] = {
            "age_years": np.array([check_age(v) for v in _each(age_years, count, "age_years")], np.float32),
            "sex": np.array([self._sex_index(v) for v in _each(sex, count, "sex")], np.int64),
            "position": np.array(
                [self._position_index(v) for v in _each(position, count, "position")], np.int64
            ),
        }
        probabilities = np.empty((count, len(self.card.labels)), np.float32)
        for chosen in _batches([clip.size for clip in clips]):
            inputs = _padded([clips[index] for index in chosen])
            inputs |= {name: values[chosen] for name, values in metadata.items()}
            probabilities[chosen] = self._run(inputs)
        return probabilities

    def _clip(self, clip: npt.ArrayLike, index: int, sample_rate: int) -> Array:
        """Return a clip as the graph takes it."""
        samples = np.asarray(clip)
        if samples.ndim != 1 or samples.size == 0:
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

    def _sex_index(self, sex: str | None) -> int:
        known = check_sex(sex)
        return 0 if known is None else self._index(known, self.card.sexes, "sex")

    def _position_index(self, position: str | None) -> int:
        known = check_position(position, self.card.positions)
        return 0 if known is None else self._index(known, self.card.positions, "position")

    def _index(self, value: str, vocabulary: tuple[str, ...], what: str) -> int:
        if value not in vocabulary:
            raise LaennecError(f"{what} is {value!r}, which the model {self.card.name} does not know")
        return vocabulary.index(value) + 1

    def _run(self, inputs: dict[str, npt.NDArray[Any]]) -> Array:
        """Run one batch and check that what comes out is what the contract says."""
        try:
            found: Array = np.asarray(self._session.run([OUTPUT], inputs)[0])
        except runtime_errors() as error:
            raise LaennecError(f"{self.source}: the model failed ({first_line(error)})") from error
        expected = (inputs["length"].size, len(self.card.labels))
        if found.shape != expected:
            raise LaennecError(f"{self.source}: the model gave {found.shape} probabilities, not {expected}")
        if not (np.all(found >= -SUM_TOLERANCE) and np.all(np.abs(found.sum(axis=1) - 1) <= SUM_TOLERANCE)):
            raise LaennecError(f"{self.source}: the model gave probabilities that do not sum to 1")
        return found


def load_model(path_or_name: str | os.PathLike[str] | None = None, *, threads: int = 1) -> LungModel:
    """Read a model file.

    Parameters
    ----------
    path_or_name : path or str, optional
        An ``.onnx`` file, a run folder of ``laennec train``, which holds one, or the name of a model that
        ships; by default the one called ``default``.
    threads : int
        Processor cores that one batch may take; 0 lets ONNX Runtime decide. One is best for a recording or
        two, since the clips are small.

    Returns
    -------
    LungModel

    Raises
    ------
    LaennecError
        If there is no such file or model, or the file is no ONNX, holds no Laennec metadata, is of a later
        format, or does not take and give what the contract says.
    """
    if threads < 0:
        raise LaennecError(f"threads is {threads}; expected 1 or more, or 0 for as many as are useful")
    path = model_path(path_or_name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LaennecError(f"{path}: cannot be read ({error.strerror})") from error
    session = open_session(content, str(path), threads)
    metadata = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if metadata is None:
        raise LaennecError(
            f"{path}: an ONNX file without Laennec's metadata; `laennec export` writes files that have it"
        )
    if '"task": "recording"' in metadata:
        raise LaennecError(
            f"{path}: for whole recordings, not for clips; `laennec analyze` uses it by itself"
        )
    card = read_card(metadata, str(path))
    _check_graph(session, card, str(path))
    return LungModel(card, hashlib.sha256(content).hexdigest(), str(path), session)


def shipped_models() -> tuple[str, ...]:
    """Names of the models that are installed with the package, sorted."""
    folder = files("laennec").joinpath("pretrained")
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted(name.removesuffix(".onnx") for name in names if name.endswith(".onnx")))


def model_path(path_or_name: str | os.PathLike[str] | None, default: str = DEFAULT) -> Path:
    """The file of a model by its path, its run folder or its name; `default` where nothing is named."""
    name = default if path_or_name is None else os.fspath(path_or_name)
    if name in shipped_models():
        return Path(str(files("laennec").joinpath("pretrained", f"{name}.onnx")))
    if path_or_name is None:
        raise LaennecError("no model ships with this installation; name a model file")
    path = Path(name)
    if path.is_dir():
        if not (path / RUN_MODEL).is_file():
            raise LaennecError(
                f"{name}: a folder without {RUN_MODEL}, which a finished run has; name an .onnx file"
            )
        return path / RUN_MODEL
    if not path.exists():
        shipped = ", ".join(shipped_models()) or "none"
        raise LaennecError(f"{name}: no such model file, nor a model that ships (those are: {shipped})")
    return path


def open_session(content: bytes, source: str, threads: int) -> "onnxruntime.InferenceSession":
    import onnxruntime  # here, since reading a card's type or checking an age needs none of it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; the same text on stderr would be noise
    # Waiting threads that spin take processor time from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except runtime_errors() as error:
        raise LaennecError(
            f"{source}: not an ONNX model that ONNX Runtime {onnxruntime.__version__} can load "
            f"({first_line(error)})"
        ) from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions, which have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (value for value in vars(state).values() if isinstance(value, type))
    return (RuntimeError, ValueError, *(kind for kind in found if issubclass(kind, Exception)))


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")


def read_card(metadata: str, source: str = "model") -> ModelCard:
    """Return the card that a file's metadata holds.

    Parameters
    ----------
    metadata : str
        The JSON under the key ``laennec``.
    source : str
        What to call the file in messages.

    Raises
    ------
    LaennecError
        If it is no JSON object, of a later format, or lacks an entry or has one of another kind.
    """
    try:
        told = json.loads(metadata)
    except (ValueError, RecursionError) as error:
        raise LaennecError(f"{source}: its metadata is no JSON ({error})") from error
    if not isinstance(told, dict):
        raise LaennecError(f"{source}: its metadata is no JSON object")
    file_format = told.get("format")
    if not isinstance(file_format, int) or file_format < 1:
        raise LaennecError(f"{source}: its metadata names no format")
    if file_format > FORMAT:
        raise LaennecError(
            f"{source}: a model file of format {file_format}, and this Laennec reads up to {FORMAT}; "
            "update it: pip install -U laennec"
        )
    try:
        card = _card_of(told)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"no entry {error}" if isinstance(error, KeyError) else error
        raise LaennecError(f"{source}: wrong metadata: {what}") from error
    return card


def _card_of(told: dict[str, Any]) -> ModelCard:
    """Return the metadata's entries in their types; KeyError and ValueError say what is wrong."""
    card = ModelCard(
        name=str(told["name"]),
        labels=_words(told, "labels"),
        normal=str(told["normal"]),
        sample_rate=int(told["sample_rate"]),
        clip_samples=int(told["clip_samples"]),
        padding=str(told["padding"]),
        sexes=_words(told, "sexes"),
        positions=_words(told, "positions"),
        temperature=float(told["temperature"]),
        window_s=float(told["window_s"]),
        hop_s=float(told["hop_s"]),
        version=str(told["version"]),
        task=str(told.get("task", "event")),
        data=dict(told.get("data") or {}),
        recipe=dict(told.get("recipe") or {}),
        metrics=dict(told.get("metrics") or {}),
        limits=str(told.get("limits", "")),
        uses_metadata=told.get("uses_metadata", True),
    )
    if not isinstance(card.uses_metadata, bool):
        raise ValueError(f"uses_metadata is {card.uses_metadata!r}; expected true or false")
    if len(set(card.labels)) != len(card.labels) or card.normal not in card.labels:
        raise ValueError(f"labels are {card.labels}; expected distinct ones, {card.normal!r} among them")
    if not MIN_SAMPLE_RATE <= card.sample_rate <= MAX_SAMPLE_RATE or card.clip_samples < 1:
        raise ValueError(f"clips of {card.clip_samples} samples at {card.sample_rate} Hz")
    if not (0 < card.hop_s <= card.window_s <= card.clip_s + 1 / card.sample_rate):
        raise ValueError(
            f"windows of {card.window_s} s every {card.hop_s} s, where a clip has {card.clip_s} s"
        )
    return card


def _words(told: dict[str, Any], name: str) -> tuple[str, ...]:
    words = told[name]
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{name} is {words!r}; expected a list of words")
    return tuple(words)


def _check_graph(session: "onnxruntime.InferenceSession", card: ModelCard, source: str) -> None:
    """Refuse a graph that does not take or give what the contract says."""
    found = {node.name: node.type for node in session.get_inputs()}
    if found != INPUTS:
        raise LaennecError(
            f"{source}: the model takes {_listed(found)}; a Laennec model takes {_listed(INPUTS)}"
        )
    outputs = {node.name: (node.type, node.shape) for node in session.get_outputs()}
    kind, shape = outputs.get(OUTPUT, ("nothing", []))
    if kind != "tensor(float)":
        raise LaennecError(f"{source}: the model gives {', '.join(outputs)}, not {OUTPUT} as tensor(float)")
    classes = shape[-1] if shape else None
    if isinstance(classes, int) and classes != len(card.labels):
        raise LaennecError(f"{source}: {classes} classes, but its metadata names {len(card.labels)}")


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())


# --- what is known of a patient -----------------------------------------------------------------------------


def check_age(age_years: float | None) -> float:
    """Return an age in years, 0 to 130, or NaN where it is not known (None, NaN).

    Raises
    ------
    LaennecError
        If it is something else.
    """
    if age_years is None:
        return math.nan
    if isinstance(age_years, bool) or not isinstance(age_years, int | float | np.integer | np.floating):
        raise LaennecError(f"age is {age_years!r}; expected years as a number, or nothing")
    if not (math.isnan(age_years) or 0 <= age_years <= OLDEST_YEARS):
        raise LaennecError(f"age is {age_years:g} years; expected 0 to {OLDEST_YEARS:g}, or nothing")
    return float(age_years)


def check_sex(sex: str | None) -> str | None:
    """Return ``male`` or ``female``, or None where it is not known; capitals and ``m``, ``f`` are taken.

    Raises
    ------
    LaennecError
        If it is something else.
    """
    if sex is None:
        return None
    known = str(sex).strip().lower()
    known = SEX_SPELLINGS.get(known, known)
    if known not in SEX_SPELLINGS.values():
        raise LaennecError(f"sex is {sex!r}; expected male or female (m or f), or nothing")
    return known


def check_position(position: str | None, positions: Sequence[str] = POSITIONS) -> str | None:
    """Return one of `positions`, or None where it is not known.

    Capitals, blanks and underscores for hyphens are taken, and so are ``p1`` to ``p4``, as SPRSound numbers
    left and right posterior and lateral.

    Raises
    ------
    LaennecError
        If it is something else.
    """
    if position is None:
        return None
    known = str(position).strip().lower().replace("_", "-").replace(" ", "-")
    known = POSITION_SPELLINGS.get(known, known)
    if known not in positions:
        raise LaennecError(
            f"position is {position!r}; expected {', '.join(positions)} (p1 to p4), or nothing"
        )
    return known


# --- batches ------------------------------------------------------------------------------------------------


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
        raise LaennecError(f"{what}: {len(value)} values for {count} clips")
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
