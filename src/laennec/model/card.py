"""The card of a model file: what its metadata says, checked, in types.

One reader for every task. A field of a card is declared once, with the check that its entry must pass and,
where the file's name for it is another, that name. ``docs/model-file.md`` is the contract.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from laennec.audio.samples import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from laennec.audio.segment import CENTRE, PADDINGS
from laennec.errors import LaennecError, shown
from laennec.labels import EVENT_FAMILY, POSITIONS
from laennec.model.metadata import entries_in

FORMAT = 1  # of the metadata; files of a later format are refused
METADATA_KEY = "laennec"
RECORDING = "recording"  # the task of models for whole recordings
WINDOW = "window"  # of those for windows of a few seconds, which are no ONNX files (`laennec.model.integer`)
BREATHS = "breath-phases"  # of those for the phases of breaths, beside one for recordings (`.phases`)
OF_PHASES = "tells phases of breaths alone; `laennec analyze --phases` uses it"  # of such a model, elsewhere
OF_RECORDINGS = (RECORDING, WINDOW, BREATHS)  # learnt from whole recordings
CLIP_TASKS = ("event", "cycle")
INPUTS = {  # of a model for clips
    "waveform": "tensor(float)",
    "length": "tensor(int64)",
    "age_years": "tensor(float)",
    "sex": "tensor(int64)",
    "position": "tensor(int64)",
}
OUTPUT = "probabilities"  # of a model for clips
OUTPUTS = ("presence", "evidence", "context", "record", "kind")  # of a model for whole recordings
LONGEST_SAMPLES = 2**30  # a clip or a reach of more is a mistake
LONGEST_FRAME = 2**20  # samples
LONGEST_WORD = 200  # characters
DEEPEST, LARGEST_WEIGHT = 20, 1e6  # objects and lists within each other; of a rule, of a bias or a shift
SHORTEST_HOP_S, MOST_PHASES = 0.001, 64

Shape = tuple[int | None, ...]  # of an output; None: any length
Check = Callable[[Any], Any]  # returns an entry in its type; ValueError says what is expected
Kind = TypeVar("Kind")


# --- checks -------------------------------------------------------------------------------------------------


def entry(check: Check, key: str = "", **default: Any) -> Any:
    """A field of a card: its check, the file's name for it where that differs, its default."""
    return dataclasses.field(metadata={"check": check, "key": key}, **default)


def expect(expected: str, valid: Callable[[Any], bool], convert: Check = lambda value: value) -> Check:
    """A check that converts a valid entry, and raises ValueError, saying what is expected, for others."""

    def check(value: Any) -> Any:
        if not valid(value):
            raise ValueError(expected)
        return convert(value)

    return check


def is_text(value: Any) -> bool:
    """Whether it is text that can be written: an escape of JSON may be half a character."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def is_filled(value: Any) -> bool:
    """Whether it is a name: a line break in a label would be one in every table."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= LONGEST_WORD


def is_plain(value: Any, depth: int = DEEPEST) -> bool:
    """Whether JSON, tables and pages can hold it."""
    if isinstance(value, dict | list | tuple):
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        return depth > 0 and all(is_plain(one, depth - 1) for one in inside)
    if isinstance(value, float):
        return math.isfinite(value)
    return is_text(value) or value is None or isinstance(value, int)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


text = expect("text", is_text)
filled_text = expect(f"a line of text, up to {LONGEST_WORD} characters", is_filled)
flag = expect("true or false", lambda value: isinstance(value, bool))
mapping = expect("an object", lambda value: isinstance(value, dict))
plain_mapping = expect(
    f"an object of text and finite numbers, at most {DEEPEST} levels deep",
    lambda value: isinstance(value, dict) and is_plain(value),
)
distinct = expect("distinct words", lambda value: len(set(value)) == len(value), tuple)
LINES = "a list of words, none of them empty or longer than a line"
words = expect(
    LINES, lambda value: isinstance(value, list) and value != [] and all(map(is_filled, value)), distinct
)
repeated_words = expect(LINES, lambda value: isinstance(value, list) and all(map(is_filled, value)), tuple)


def one_of(*options: str) -> Check:
    return expect(f"one of {', '.join(options)}", lambda value: is_text(value) and value in options)


def whole(low: int, high: int) -> Check:
    return expect(
        f"a whole number from {low} to {high}",
        lambda value: is_number(value) and isinstance(value, int) and low <= value <= high,
    )


def number(low: float, high: float) -> Check:
    # NaN compares false; a whole number too large for a float compares exactly.
    return expect(
        f"a number from {low:g} to {high:g}", lambda value: is_number(value) and low <= value <= high, float
    )


def numbers(low: float, high: float) -> Check:
    def convert(values: list[Any]) -> tuple[float, ...]:
        try:
            return tuple(map(number(low, high), values))
        except ValueError as error:
            raise ValueError(f"in it only {error}") from error

    expected = f"a list of numbers from {low:g} to {high:g}"
    return expect(expected, lambda value: isinstance(value, list), convert)


def numbers_by_name(low: float, high: float) -> Check:
    check_one = number(low, high)

    def check(value: Any) -> Mapping[str, float]:
        try:
            return {key: check_one(each) for key, each in mapping(value).items()}
        except ValueError as error:
            raise ValueError(f"an object of {error}") from error

    return check


PROBABILITY = number(0.0, 1.0)
TEMPERATURE = number(1e-12, 1e12)
SECONDS = number(0.0, 1e6)
WEIGHT = number(-LARGEST_WEIGHT, LARGEST_WEIGHT)
WEIGHTS = numbers(-LARGEST_WEIGHT, LARGEST_WEIGHT)


# --- cards --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What every model file says of itself.

    Attributes
    ----------
    version : str
        Of the Laennec that wrote the file.
    task : str
        ``event`` or ``cycle``: a clip of either; ``recording``: whole recordings.
    labels : tuple of str
        Classes of events, in the order of the outputs; `normal` is that of normal breathing.
    sample_rate : int
        Hz, of the waveform that the graph takes.
    data, recipe, metrics : mapping
        Training data with licence and citation; training settings; measured scores. Empty where unknown.
    limits : str
        What the model is not for.
    """

    name: str = entry(filled_text)
    version: str = entry(text)
    task: str = entry(one_of(*CLIP_TASKS, RECORDING, BREATHS), default="event")
    labels: tuple[str, ...] = entry(words)
    normal: str = entry(text)
    sample_rate: int = entry(whole(MIN_SAMPLE_RATE, MAX_SAMPLE_RATE))
    data: Mapping[str, Any] = entry(plain_mapping, default_factory=dict)
    recipe: Mapping[str, Any] = entry(plain_mapping, default_factory=dict)
    metrics: Mapping[str, Any] = entry(plain_mapping, default_factory=dict)
    limits: str = entry(text, default="")

    def __post_init__(self) -> None:
        if self.normal not in self.labels:
            raise ValueError(
                f"labels are {shown(self.labels)}; expected the normal one, {shown(self.normal)} among them"
            )

    @property
    def inputs(self) -> Mapping[str, str]:
        """Types of the graph's inputs by name."""
        raise NotImplementedError

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """Shapes of the graph's outputs by name; all are ``tensor(float)``."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class ClipCard(ModelCard):
    """The card of a model for clips.

    Attributes
    ----------
    clip_samples : int
        What the model takes of a clip: its first `clip_samples` samples, or those in its middle where
        `padding` is ``centre``; a shorter clip is filled up by `padding`, inside the graph.
    padding : str
        ``tile``, ``zero`` or ``sample``, see `fit_length`; or ``centre``: silence on both sides.
    sexes, positions : tuple of str
        Vocabularies of the metadata inputs; index 0 means "not known", 1 the first of these.
    temperature : float
        By which the logits were divided (Guo et al., "On calibration of modern neural networks", ICML 2017).
    window_s, hop_s : float
        Windows to cut a recording into when no event boundaries are given.
    uses_metadata : bool
        Whether age, sex and position change the probabilities; the graph takes them either way.
    """

    clip_samples: int = entry(whole(1, LONGEST_SAMPLES))
    padding: str = entry(one_of(*PADDINGS, CENTRE))
    sexes: tuple[str, ...] = entry(words)
    positions: tuple[str, ...] = entry(words)
    temperature: float = entry(TEMPERATURE)
    window_s: float = entry(SECONDS)
    hop_s: float = entry(SECONDS)
    uses_metadata: bool = entry(flag, default=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not SHORTEST_HOP_S <= self.hop_s <= self.window_s <= self.clip_s + 1 / self.sample_rate:
            raise ValueError(
                f"window_s, hop_s: windows of {self.window_s} s every {self.hop_s} s, "
                f"where a clip has {self.clip_s} s"
            )

    @property
    def clip_s(self) -> float:
        """Longest clip that the model takes in full, in seconds."""
        return self.clip_samples / self.sample_rate

    @property
    def inputs(self) -> Mapping[str, str]:
        return INPUTS

    @property
    def outputs(self) -> Mapping[str, Shape]:
        return {OUTPUT: (None, len(self.labels))}


@dataclass(frozen=True)
class EventRule:
    """How events are found: the highest-scoring sequence of pauses and events of each family.

    Inside an event of normal breathing, a frame scores the logit of presence less `bias`. Inside one of
    continuous or of discontinuous adventitious sounds, it scores `class_weight` times the margin of that
    family's logits over the others, plus `class_presence` times the logit of presence, less `class_bias`:
    such sounds are annotated where they are audible, which may be a part of a breath. Every beginning and
    every end scores `edge_weight` times the logit of onset or offset there, less `edge_cost`. Events shorter
    than `shortest_s` are dropped.
    """

    bias: float = entry(WEIGHT, default=0.0)
    edge_weight: float = entry(WEIGHT, default=1.0)
    edge_cost: float = entry(WEIGHT, default=-1.0)
    class_weight: float = entry(WEIGHT, default=0.3)
    class_presence: float = entry(WEIGHT, default=0.3)
    class_bias: float = entry(WEIGHT, default=0.6)
    shortest_s: float = entry(SECONDS, default=0.25)


@dataclass(frozen=True, kw_only=True)
class FrameCard(ModelCard):
    """The card of a model that gives outputs in frames of a waveform of any length.

    Attributes
    ----------
    frame_samples, reach_frames : int
        Samples from one frame of the outputs to the next; frames to either side that an output depends on.
    level : float
        What a recording is multiplied to before the network gets it: half the median extent of 50 ms, as
        `Recording.levels`. Without the entry, that of SPRSound's recordings.
    """

    frame_samples: int = entry(whole(1, LONGEST_FRAME))
    reach_frames: int = entry(whole(0, LONGEST_SAMPLES))
    level: float = entry(number(2.0**-30, 1.0), default=2.0**-8)

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.frame_samples / self.sample_rate

    @property
    def inputs(self) -> Mapping[str, str]:
        return {"waveform": INPUTS["waveform"]}


@dataclass(frozen=True, kw_only=True)
class RecordingCard(FrameCard):
    """The card of a model for whole recordings.

    Attributes
    ----------
    records, sound_classes : tuple of str
        Classes of a whole recording; what it may sound like, the lung first.
    patterns : tuple of str
        Which of the `sound_classes` each channel of the output ``kind`` is a pattern of. Several may be of
        one: the probability of a sound class is the sum of theirs. Empty: one channel each.
    phases : int
        Shifts below a frame that the outputs are averaged over.
    edges_hz : tuple of float
        Edges of the rows of the evidence, rising.
    event_temperature, record_temperature, event_bias, record_bias
        Temperatures divide the logits. Then biases are added, one a label, which undo what the class weights
        of the training's losses shifted.
    event_abstain_below, record_abstain_below : float
        Probability below which the model abstains: the prediction is uncertain.
    lung_threshold : float
        Probability of the lung among the sound classes, below which a segment is refused.
    normal_shift : mapping of str to float
        For the challenge's tasks ``"21"`` and ``"22"``: taken from the logarithm of the probability of Normal
        before the likeliest is chosen, since their Score weighs classes otherwise than their frequency does.
    poor_shift : mapping of str to float
        The same of Poor Quality, which their Score never rewards.
    event_presence, event_hit_abstain_below
        Weights of `hit_probability`, and the probability below which a found event is uncertain. Without
        the weights, it is by `event_abstain_below`, as an event of given boundaries always is.
    record_evidence : tuple of float
        Weights of the events' evidence for a record label, see `with_evidence`. Empty: they have none.
    normal_abstain_below, sick_abstain_below : float or None
        In place of `record_abstain_below`, of an answer Normal and of one of adventitious sounds; see
        `answer_certainty`.
    """

    positions: ClassVar[tuple[str, ...]] = POSITIONS  # of which it makes no use
    uses_metadata: ClassVar[bool] = False

    records: tuple[str, ...] = entry(words)
    sound_classes: tuple[str, ...] = entry(words, "kinds")
    patterns: tuple[str, ...] = entry(repeated_words, default=())
    phases: int = entry(whole(1, MOST_PHASES), default=4)
    edges_hz: tuple[float, ...] = entry(numbers(0.0, MAX_SAMPLE_RATE))
    rule: EventRule = entry(lambda value: read_part(EventRule, mapping(value), "rule."))  # noqa: RUF009 (a field)
    event_temperature: float = entry(TEMPERATURE)
    record_temperature: float = entry(TEMPERATURE)
    event_bias: tuple[float, ...] = entry(WEIGHTS, default=())
    record_bias: tuple[float, ...] = entry(WEIGHTS, default=())
    event_abstain_below: float = entry(PROBABILITY, "event_certain")
    record_abstain_below: float = entry(PROBABILITY, "record_certain")
    lung_threshold: float = entry(PROBABILITY, "lung_share")
    normal_shift: Mapping[str, float] = entry(numbers_by_name(-1e3, 1e3), "task_shift", default_factory=dict)
    poor_shift: Mapping[str, float] = entry(
        numbers_by_name(-1e3, 1e3), "task_poor_shift", default_factory=dict
    )
    event_presence: tuple[float, ...] = entry(WEIGHTS, default=())
    event_hit_abstain_below: float = entry(PROBABILITY, "hit_certain", default=0.0)
    record_evidence: tuple[float, ...] = entry(WEIGHTS, default=())
    normal_abstain_below: float | None = entry(PROBABILITY, "normal_certain", default=None)
    sick_abstain_below: float | None = entry(PROBABILITY, "sick_certain", default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [label for label in self.labels if label not in EVENT_FAMILY]
        if unknown:
            raise ValueError(f"labels are {shown(self.labels)}; {unknown[0]!r} is of no known family")
        if self.patterns and set(self.patterns) != set(self.sound_classes):
            raise ValueError(
                f"patterns are {shown(self.patterns)}; expected each of kinds, {shown(self.sound_classes)}, "
                "and no other"
            )
        if len(self.edges_hz) < 2 or any(low >= high for low, high in itertools.pairwise(self.edges_hz)):
            raise ValueError(f"edges_hz is {shown(self.edges_hz)}; expected two or more, rising")
        for what, given, count, each in (
            ("event_bias", self.event_bias, len(self.labels), "one a label"),
            ("record_bias", self.record_bias, len(self.records), "one a label"),
            ("event_presence", self.event_presence, 4, "a constant, and of presence, class and length"),
            ("record_evidence", self.record_evidence, 2, "of continuous and of discontinuous sounds"),
        ):
            if len(given) not in (0, count):
                raise ValueError(f"{what} has {len(given)} numbers; expected {count}, {each}")

    @property
    def outputs(self) -> Mapping[str, Shape]:
        shapes: tuple[Shape, ...] = (
            (1, 3, None),
            (1, len(self.labels), len(self.edges_hz) - 1, None),
            (1, len(self.labels), None),
            (1, 2 * len(self.records), None),
            (1, len(self.patterns or self.sound_classes), None),
        )
        return dict(zip(OUTPUTS, shapes, strict=True))


# --- reading ------------------------------------------------------------------------------------------------


def read_card(metadata: str | None, source: str = "model") -> ClipCard | RecordingCard:
    """Return the card that a file holds as JSON under the key ``laennec``; its task decides which.

    LaennecError, which names the entry and calls the file `source`, if there is no metadata (None), it is no
    JSON object, of a later format or of breath phases, or an entry is missing, wrong, or contradicts another.
    """
    entries = entries_in(metadata, source, FORMAT)
    if entries.get("task") == BREATHS:
        raise LaennecError(f"{source}: {OF_PHASES}")
    if entries.get("task") != RECORDING:
        return read_card_of(ClipCard, entries, source)
    return read_card_of(RecordingCard, entries, source)


def read_card_of(kind: type[Kind], entries: Mapping[str, Any], source: str) -> Kind:
    """A card of a kind, of a file's entries; LaennecError names the entry that is wrong."""
    try:
        return read_part(kind, entries)
    except ValueError as error:
        raise LaennecError(f"{source}: wrong metadata: {error}") from error


def read_part(kind: type[Kind], entries: Mapping[str, Any], prefix: str = "") -> Kind:
    """Make a card of the entries that its fields name; others are left alone. ValueError names an entry.

    An optional entry may be null, which says as much as leaving it out.
    """
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        key = field.metadata["key"] or field.name
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if key not in entries and required:
            task = entries.get("task", "event")
            raise ValueError(f"no entry {prefix + key!r}, which a model of task {task!r} has")
        if key not in entries or (entries[key] is None and not required):
            continue
        try:
            values[field.name] = field.metadata["check"](entries[key])
        except ValueError as error:
            if str(error).startswith(f"{key}."):
                raise
            raise ValueError(f"{prefix + key} is {shown(entries[key])}; expected {error}") from error
    return kind(**values)
