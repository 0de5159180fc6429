"""From the sound of one channel to events and an answer, piece by piece and in constant memory.

The model file (``docs/model-file.md``, task ``recording``) says something of every frame of 50 ms. Nothing
in it reaches further than the card's `reach_frames`, so a piece is heard with that much of its neighbours,
and what is said of it does not depend on where the pieces meet. From there on: events are the likeliest
sequence of breaths and pauses; their class is the mean evidence over them; a recording is answered stretch
by stretch, and a stretch that does not sound like a lung is refused.
"""

import hashlib
import itertools
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from laennec.analysis import Event, RecordAnswer, Relevance
from laennec.audio import SILENT_RANGE, SILENT_SHARE
from laennec.errors import LaennecError
from laennec.labels import EVENT_FAMILY
from laennec.rate import respiratory_rate

if TYPE_CHECKING:
    import onnxruntime

    from laennec.model import LungModel

Array = npt.NDArray[np.float32]

RECORDING = "recording"  # name of the model that ships, and the task its card names
FORMAT = 1
OUTPUTS = ("presence", "evidence", "context", "record", "kind")
PIECE_S = 60.0  # heard at a time; longer pieces are no faster and take more memory
STRETCH_S = 15.0  # what one answer is about; SPRSound's recordings, which it was learnt from, last 9 to 15 s
SHORTEST_STRETCH_S = 5.0  # a shorter rest belongs to the stretch before
PAUSE, GO_ON, FIRST = -1, -2, 10  # states of a path that are no family; what marks an event's first frame
LONGEST_EVENT_S = 10.0  # a longer one is cut; no annotated event lasts so long
LOUD_DB = 30.0  # above the median level, beyond what breathing does: the chest piece was touched
# Share of such frames from which contact noise is named: 12 % of SPRSound's records of poor quality have it
# and 3 % of the others.
LOUD_SHARE = 0.02


class OtherModelError(LaennecError):
    """A model file of another sort."""


@dataclass(frozen=True)
class EventRule:
    """How events are found: the sequence of pauses and events of each family that is worth most.

    Inside an event of normal breathing, a frame is worth the logit of presence less `bias`. Inside one of
    continuous or of discontinuous adventitious sounds, it is worth `class_weight` times the margin of that
    family's logits over the others, plus `class_presence` times the logit of presence, less `class_bias`:
    such sounds are annotated where they are heard, which may be a part of a breath. Every beginning and every
    end is worth `edge_weight` times the logit of onset or offset there, less `edge_cost`.

    Attributes
    ----------
    bias, edge_weight, edge_cost, class_weight, class_presence, class_bias : float
    shortest_s : float
        Shorter events are dropped.
    frame_s : float
        Seconds a frame.
    """

    bias: float = 0.0
    edge_weight: float = 1.0
    edge_cost: float = -1.0
    class_weight: float = 0.3
    class_presence: float = 0.3
    class_bias: float = 0.6
    shortest_s: float = 0.25
    frame_s: float = 0.05


@dataclass(frozen=True)
class RecordingCard:
    """What a model file for recordings says of itself.

    Attributes
    ----------
    name, version, limits, data, metrics, recipe
        As in :class:`laennec.model.ModelCard`.
    labels : tuple of str
        Event classes; `normal` is the one of normal breathing.
    records : tuple of str
        Answers for a recording.
    kinds : tuple of str
        What it may sound like, the lung first.
    sample_rate : int
        Hz.
    frame_samples : int
        Samples a frame of the answer.
    reach_frames : int
        Frames to either side that an answer depends on.
    edges_hz : tuple of float
        Edges of the rows of the evidence.
    rule : EventRule
        How events are found.
    event_temperature, record_temperature : float
        Divide the logits.
    event_bias, record_bias : tuple of float
        Are then added, one a label: what the weights of the training's losses had moved.
    task_shift : mapping of str to float
        For the challenge's tasks ``"21"`` and ``"22"``: taken from the logarithm of the probability of Normal
        before the likeliest is chosen, since their Score weighs classes otherwise than their frequency does.
    event_certain, record_certain : float
        Probability below which the answer is uncertain.
    lung_share : float
        Share of the lung among kinds, below which a stretch is refused.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    normal: str
    records: tuple[str, ...]
    kinds: tuple[str, ...]
    sample_rate: int
    frame_samples: int
    reach_frames: int
    edges_hz: tuple[float, ...]
    rule: EventRule
    event_temperature: float
    record_temperature: float
    event_certain: float
    record_certain: float
    lung_share: float
    event_bias: tuple[float, ...] = ()
    record_bias: tuple[float, ...] = ()
    task_shift: Mapping[str, float] = field(default_factory=dict)
    limits: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frame_s(self) -> float:
        """Seconds a frame of the answer."""
        return self.frame_samples / self.sample_rate


@dataclass(frozen=True, eq=False)
class Detector:
    """A model file for recordings, ready to run.

    Attributes
    ----------
    card : RecordingCard
    sha256 : str
        Of the file.
    source : str
        Its path, for messages.
    """

    card: RecordingCard
    sha256: str
    source: str
    _session: "onnxruntime.InferenceSession" = field(repr=False)

    def run(self, samples: Array) -> dict[str, Array]:
        """What the graph says of a piece ``(samples,)``: `OUTPUTS`, each with time as its last axis."""
        from laennec.model import first_line, runtime_errors

        try:
            found = self._session.run(list(OUTPUTS), {"waveform": samples[None]})
        except runtime_errors() as error:
            raise LaennecError(f"{self.source}: the model failed ({first_line(error)})") from error
        if not all(np.isfinite(value).all() for value in found):
            raise LaennecError(f"{self.source}: the model gave what is no number")
        return {name: value[0] for name, value in zip(OUTPUTS, found, strict=True)}

    def label(self, samples: Array, spans_s: Sequence[tuple[float, float]], channel: int = 0) -> list[Event]:
        """Name the events at given boundaries in ``(samples,)`` at the model's rate, shorter than minutes."""
        if samples.size == 0 or not spans_s:
            return []
        said = self.run(samples)
        frames = said["presence"].shape[-1]
        events = []
        for start_s, end_s in spans_s:
            first = min(max(0, round(start_s / self.card.frame_s)), frames - 1)
            last = min(max(first + 1, round(end_s / self.card.frame_s)), frames)
            events.append(named_event(self.card, said, (start_s, end_s), (first, last), channel, None))
        return events


def load_detector(path_or_name: str | os.PathLike[str] | None = None, *, threads: int = 1) -> Detector:
    """Read a model file for recordings.

    Parameters
    ----------
    path_or_name : path or str, optional
        An ``.onnx`` file, a run folder that holds one, or the name of one that ships; by default
        ``recording``.
    threads : int
        As for :func:`laennec.load_model`.

    Raises
    ------
    LaennecError
        If there is no such file, or it is no model for recordings.
    """
    from laennec.model import METADATA_KEY, model_path, open_session

    path = model_path(path_or_name, RECORDING)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LaennecError(f"{path}: cannot be read ({error.strerror})") from error
    session = open_session(content, str(path), threads)
    card = read_recording_card(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), str(path))
    outputs = {node.name for node in session.get_outputs()}
    if not set(OUTPUTS) <= outputs:
        raise LaennecError(f"{path}: the model gives {', '.join(sorted(outputs))}, not {', '.join(OUTPUTS)}")
    return Detector(card, hashlib.sha256(content).hexdigest(), str(path), session)


def load_any(path_or_name: str | os.PathLike[str], *, threads: int = 1) -> "Detector | LungModel":
    """Read a model file of either sort: for recordings or for clips.

    Raises
    ------
    LaennecError
        As `load_detector` and :func:`laennec.load_model` do.
    """
    from laennec.model import load_model

    try:
        return load_detector(path_or_name, threads=threads)
    except OtherModelError:
        return load_model(path_or_name, threads=threads)


def read_recording_card(metadata: str | None, source: str = "model") -> RecordingCard:
    """Return the card in a file's metadata.

    Raises
    ------
    LaennecError
        If there is none, or it is another model's, of a later format, or lacks an entry.
    """
    try:
        told = json.loads(metadata or "")
        task, file_format = told["task"], int(told["format"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OtherModelError(f"{source}: an ONNX file without Laennec's metadata") from error
    if task != RECORDING:
        raise OtherModelError(f"{source}: a model for clips ({task}), not for whole recordings")
    if file_format > FORMAT:
        raise LaennecError(f"{source}: a model file of format {file_format}; update: pip install -U laennec")
    fields = RecordingCard.__dataclass_fields__
    try:
        values: dict[str, Any] = {name: told[name] for name, entry in fields.items() if name in told}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        values["rule"] = EventRule(**values["rule"])
        card = RecordingCard(**values)
        numbers = [value for value in vars(card).values() if isinstance(value, float | int)]
        if not all(math.isfinite(number) for number in numbers) or card.normal not in card.labels:
            raise ValueError("a number is not finite, or its normal class is none of its labels")
    except (KeyError, TypeError, ValueError) as error:
        raise LaennecError(f"{source}: wrong metadata: {error}") from error
    return card


# --- listening ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """What is said of `STRETCH_S` seconds of a recording."""

    start_s: float
    end_s: float
    probabilities: npt.NDArray[np.float64]
    """Of the record labels."""
    kinds: npt.NDArray[np.float64]
    silent: float
    """Share of it."""
    loud: float
    """Share of it that is far louder than the rest."""
    refused: str | None
    """Why there is no answer for it."""

    @property
    def length_s(self) -> float:
        """Its weight among others; a single sample has some."""
        return max(1e-3, self.end_s - self.start_s)


class Listener:
    """Hears one channel as it comes; what it finds does not depend on how the sound was handed over.

    Parameters
    ----------
    detector : Detector
    channel : int
        Handed on to the events.
    piece_s : float
        Seconds heard at a time.
    maps : bool
        Keep each event's relevance, 2 kB or more of it; a day has tens of thousands of events.

    Attributes
    ----------
    events : list of Event
        Settled so far, in order.
    stretches : list of Stretch
        Answered so far.
    """

    def __init__(
        self, detector: Detector, channel: int = 0, piece_s: float = PIECE_S, maps: bool = True
    ) -> None:
        self.detector, self.card, self.channel, self.maps = detector, detector.card, channel, maps
        self.step = max(1, round(piece_s / self.card.frame_s)) * self.card.frame_samples
        self.reach = self.card.reach_frames * self.card.frame_samples
        self.events: list[Event] = []
        self.stretches: list[Stretch] = []
        self._heard = np.zeros(0, np.float32)  # from sample self._first on
        self._first = self._done = self._length = 0  # samples
        self._said: dict[str, Array] = {}  # of frames that are not settled yet, from frame self._frame on
        self._frame = 0
        self._answered = 0  # frames that belong to finished stretches
        self._reached = 0  # frames up to which events are settled
        self._waiting: list[Event] = []  # settled, in stretches that are not answered yet

    def push(self, samples: Array) -> None:
        """Hear more samples ``(samples,)`` at the model's rate."""
        for first in range(0, samples.size, self.step):
            self._heard = np.concatenate([self._heard, samples[first : first + self.step]])
            self._length = self._first + self._heard.size
            while self._length - self._done >= self.step + self.reach:
                self._hear(self._done + self.step, last=False)

    def finish(self) -> None:
        """Hear what is left; nothing may be pushed afterwards."""
        if self._length > self._done:
            self._hear(self._length, last=True)

    def _hear(self, until: int, last: bool) -> None:
        """Run the model on what is held and keep what it says of the samples from ``_done`` to `until`."""
        frame = self.card.frame_samples
        end = self._length if last else until + self.reach
        piece = self._heard[: end - self._first]
        said = self.detector.run(np.ascontiguousarray(piece))
        said |= _levels(piece, frame, said["presence"].shape[-1])
        start = (self._done - self._first) // frame
        stop = None if last else (until - self._first) // frame
        kept = {name: value[..., start:stop] for name, value in said.items()}
        self._said = (
            {name: np.concatenate([self._said[name], value], axis=-1) for name, value in kept.items()}
            if self._said
            else kept
        )
        self._done = until
        cut = max(self._first, (until - self.reach) // frame * frame)
        self._heard, self._first = self._heard[cut - self._first :].copy(), cut
        self._settle(last)

    def _settle(self, last: bool) -> None:
        """Find the events and answer the stretches that nothing to come can change; forget their frames."""
        frames = self._frame + self._said["presence"].shape[-1]
        self._find_events(frames, last)
        stretch, rest = (round(s / self.card.frame_s) for s in (STRETCH_S, SHORTEST_STRETCH_S))
        while frames - self._answered >= stretch + rest:
            self._answer(self._answered + stretch)
        if last and frames > self._answered:
            self._answer(frames)
        self._release(last)
        forget = min(self._answered, self._reached)
        self._said = {name: value[..., forget - self._frame :].copy() for name, value in self._said.items()}
        self._frame = forget

    def _find_events(self, frames: int, last: bool) -> None:
        offset = self._reached
        said = {name: value[..., offset - self._frame :] for name, value in self._said.items()}
        worth = frame_worth(said["presence"], class_logits(said), families(self.card.labels), self.card.rule)
        found, settled = find_events(worth, said["presence"], self.card.rule, last)
        for start, end in found:
            span_s = (
                (offset + start) * self.card.frame_s,
                min((offset + end) * self.card.frame_s, self._length / self.card.sample_rate),
            )
            place = (offset + start - self._frame, offset + end - self._frame)
            event = named_event(self.card, self._said, span_s, place, self.channel, self._frame)
            self._waiting.append(event if self.maps else replace(event, relevance=None))
        self._reached += settled

    def _answer(self, until: int) -> None:
        first, last = self._answered - self._frame, until - self._frame
        said = {name: value[..., first:last] for name, value in self._said.items()}
        start_s, end_s = (
            min(frame * self.card.frame_s, self._length / self.card.sample_rate)
            for frame in (self._answered, until)
        )
        self.stretches.append(answer_stretch(self.card, said, start_s, end_s))
        self._answered = until

    def _release(self, last: bool) -> None:
        """Hand out the waiting events whose stretch is answered; those of a refused one are dropped."""
        answered_s = math.inf if last else self._answered * self.card.frame_s
        while self._waiting and self._waiting[0].end_s <= answered_s:
            event = self._waiting.pop(0)
            middle_s = (event.start_s + event.end_s) / 2
            home = next((s for s in reversed(self.stretches) if s.start_s <= middle_s), self.stretches[0])
            if home.refused is None:
                self.events.append(event)


def families(labels: Sequence[str]) -> list[int]:
    """Family of each event class: 0 normal, 1 continuous, 2 discontinuous or both."""
    number = {"Normal": 0, "CAS": 1, "DAS": 2, "CAS & DAS": 2}
    return [number[EVENT_FAMILY[label]] for label in labels]


def class_logits(said: Mapping[str, Array]) -> npt.NDArray[np.float64]:
    """Class logits of every frame, ``(classes, frames)``."""
    return said["evidence"].mean(1, dtype=np.float64) + said["context"]


def frame_worth(
    presence: npt.NDArray[Any], classes: npt.NDArray[Any], family: Sequence[int], rule: EventRule
) -> npt.NDArray[np.float64]:
    """What a frame inside an event of each family is worth, ``(families, frames)``; see `EventRule`.

    Parameters
    ----------
    presence : numpy.ndarray
        ``(3, frames)`` logits of presence, onset and offset.
    classes : numpy.ndarray
        ``(classes, frames)`` logits.
    family : sequence of int
        Of each class, from `families`.
    rule : EventRule
    """
    here = presence[0].astype(np.float64)
    best = np.stack([classes[np.equal(family, k)].max(0) for k in range(3)])
    worth = [here - rule.bias]
    for k in (1, 2):
        margin = best[k] - np.delete(best, k, axis=0).max(0)
        worth.append(rule.class_weight * margin + rule.class_presence * here - rule.class_bias)
    return np.stack(worth)


def find_events(
    worth: npt.NDArray[np.float64], presence: npt.NDArray[Any], rule: EventRule, last: bool = True
) -> tuple[list[tuple[int, int]], int]:
    """Find the events that are worth most together (Viterbi's algorithm over pauses and families of events).

    Parameters
    ----------
    worth : numpy.ndarray
        ``(families, frames)``, from `frame_worth`, from a frame that no event reaches across.
    presence : numpy.ndarray
        ``(3, frames)`` logits of presence, onset and offset.
    rule : EventRule
    last : bool
        Whether nothing follows. Otherwise only what no frame to come can change is found.

    Returns
    -------
    list of (first, end)
        In frames, in order, without overlap.
    int
        Frames that are settled: where to go on from.
    """
    frames = worth.shape[1]
    if frames == 0:
        return [], 0
    # An edge lies between two frames; the answer of either may say so.
    edges = np.maximum(presence[1:], np.roll(presence[1:], 1, axis=1)).astype(np.float64)
    edges[:, 0] = presence[1:, 0]
    begins, ends = (rule.edge_weight * edges - rule.edge_cost).tolist()
    columns = worth.T.tolist()
    pause = 0.0
    inside = [value + begins[0] for value in columns[0]]
    came_from = [[PAUSE] * (len(inside) + 1)]  # to each family and, last, to a pause
    for frame in range(1, frames):
        likeliest = max(range(len(inside)), key=inside.__getitem__)
        stopped = inside[likeliest] + ends[frame]
        rest, source = (pause, PAUSE) if pause >= stopped else (stopped, likeliest)
        fresh = rest + begins[frame]
        came_from.append([GO_ON if value >= fresh else source for value in inside] + [source])
        inside = [max(value, fresh) + here for value, here in zip(inside, columns[frame], strict=True)]
        pause = rest
    if last:
        likeliest = max(range(len(inside)), key=inside.__getitem__)
        stopped = inside[likeliest] + rule.edge_weight * float(presence[2, -1]) - rule.edge_cost
        return _spans_of(_path_back(came_from, likeliest if stopped > pause else PAUSE), rule), frames
    paths = np.stack([_path_back(came_from, state) for state in (*range(len(inside)), PAUSE)])
    differ = np.flatnonzero((paths != paths[0]).any(0))
    agreed = int(differ[0]) if differ.size else frames
    pauses = np.flatnonzero(paths[0][:agreed] == PAUSE)
    settled = int(pauses[-1]) if pauses.size else 0
    return _spans_of(paths[0][:settled], rule), settled


def _path_back(came_from: Sequence[Sequence[int]], state: int) -> npt.NDArray[np.int64]:
    """The best path to a state: `PAUSE`, or the family of the event, ten more in its first frame."""
    path = np.full(len(came_from), PAUSE, np.int64)
    for frame in range(len(came_from) - 1, -1, -1):
        if state == PAUSE:
            state = came_from[frame][-1]
            continue
        source = came_from[frame][state]
        path[frame] = state
        if source != GO_ON:
            path[frame] += FIRST
            state = source
    return path


def _spans_of(path: npt.NDArray[np.int64], rule: EventRule) -> list[tuple[int, int]]:
    """Events of a path; one that is too short is dropped, one that is too long is cut."""
    stops = np.flatnonzero((path >= FIRST) | (path == PAUSE)).tolist() + [path.size]
    found: list[tuple[int, int]] = []
    for first, end in itertools.pairwise(stops):
        if path[first] >= FIRST and (end - first) * rule.frame_s >= rule.shortest_s - 1e-9:
            count = math.ceil((end - first) * rule.frame_s / LONGEST_EVENT_S)
            edges = np.linspace(first, end, count + 1).round().astype(int)
            found += [(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    return found


def named_event(
    card: RecordingCard,
    said: Mapping[str, Array],
    span_s: tuple[float, float],
    frames: tuple[int, int],
    channel: int,
    frame_offset: int | None,
) -> Event:
    """The event over `frames` of what was said, named; without an offset its boundaries were given."""
    first, last = frames
    evidence = said["evidence"][:, :, first:last].astype(np.float64)
    logits = evidence.mean((1, 2)) + said["context"][:, first:last].mean(1, dtype=np.float64)
    probabilities = calibrated(logits, card.event_temperature, card.event_bias)
    best = int(probabilities.argmax())
    presence = float(sigmoid(said["presence"][0, first:last]).mean())
    offset = frame_offset or 0
    return Event(
        float(span_s[0]),
        float(span_s[1]),
        card.labels[best],
        float(probabilities[best]),
        dict(zip(card.labels, map(float, probabilities), strict=True)),
        channel,
        presence=None if frame_offset is None else presence,
        uncertain=bool(probabilities[best] < card.event_certain),
        relevance=Relevance(
            (offset + first) * card.frame_s,
            (offset + last) * card.frame_s,
            card.edges_hz,
            _relevance(evidence, best),
        ),
    )


def _relevance(evidence: npt.NDArray[np.float64], best: int) -> tuple[tuple[float, ...], ...]:
    """Evidence for a class against the mean of the others, where it is more than nothing, at most 1."""
    others = np.delete(evidence, best, axis=0).mean(0)
    map_ = np.maximum(0.0, evidence[best] - others)
    map_ = map_ / max(float(map_.max()), 1e-9)
    return tuple(tuple(round(float(value), 4) for value in row) for row in map_)


def answer_stretch(card: RecordingCard, said: Mapping[str, Array], start_s: float, end_s: float) -> Stretch:
    """The answer for the frames in `said`."""
    attention, values = np.split(said["record"].astype(np.float64), 2)
    attention = np.exp(attention - attention.max(1, keepdims=True))
    logits = (attention * values).sum(1) / attention.sum(1)
    kinds = calibrated(said["kind"].mean(1, dtype=np.float64), 1.0)
    silent = float((said["range"] <= SILENT_RANGE).mean())
    level_db = said["level_db"]
    loud = float((level_db > np.median(level_db) + LOUD_DB).mean())
    refused = None
    if silent >= SILENT_SHARE:
        refused = "silent or mostly so"
    elif kinds[0] < card.lung_share:
        refused = f"sounds like {card.kinds[1 + int(kinds[1:].argmax())]}, not like a lung"
    return Stretch(
        start_s,
        end_s,
        calibrated(logits, card.record_temperature, card.record_bias),
        kinds,
        silent,
        loud,
        refused,
    )


def record_answer(
    card: RecordingCard, stretches: Sequence[Stretch], events: Sequence[Event], channel: int | None = None
) -> RecordAnswer:
    """One answer for all stretches of a channel: the mean of those that were not refused, by their lengths.

    Refused where more than half of the time was.
    """
    lengths = np.array([s.length_s for s in stretches])
    refused = np.array([s.refused is not None for s in stretches])
    kinds = np.average([s.kinds for s in stretches], axis=0, weights=lengths)
    told = dict(zip(card.kinds, map(float, kinds), strict=True))
    if lengths[refused].sum() > 0.5 * lengths.sum():
        why = Counter(s.refused for s in stretches if s.refused).most_common(1)[0][0]
        return RecordAnswer(None, None, {}, refused=why, kinds=told, channel=channel)
    heard = [s for s in stretches if s.refused is None]
    probabilities = np.average([s.probabilities for s in heard], axis=0, weights=lengths[~refused])
    best = int(probabilities.argmax())
    return RecordAnswer(
        card.records[best],
        float(probabilities[best]),
        dict(zip(card.records, map(float, probabilities), strict=True)),
        uncertain=bool(probabilities[best] < card.record_certain),
        reasons=tuple(_reasons(card, stretches, events, card.records[best])),
        kinds=told,
        rate=respiratory_rate([event.start_s for event in events]),
        channel=channel,
    )


def _reasons(
    card: RecordingCard, stretches: Sequence[Stretch], events: Sequence[Event], answer: str
) -> Iterator[str]:
    counts = Counter(event.label for event in events)
    total = f"{len(events)} event{'s'[: len(events) != 1]}"
    if not events:
        yield "no respiratory event was found"
    elif set(counts) == {card.normal}:
        yield f"{total} found, normal all of them"
    else:
        parts = [f"{counts[label]} {label}" for label in card.labels if counts[label]]
        yield f"{total} found: {', '.join(parts)}"
    sure = sum(event.label != card.normal and not event.uncertain for event in events)
    if answer == "Normal" and sure:
        # Events and record are answered by different heads; neither is put right by the other.
        yield f"its events say otherwise: {sure} of them adventitious without being uncertain"
    answers = Counter(
        f"refused ({s.refused})" if s.refused else card.records[int(s.probabilities.argmax())]
        for s in stretches
    )
    if len(stretches) > 1:
        parts = [f"{count} {label}" for label, count in answers.most_common()]
        yield f"of {len(stretches)} stretches of about {STRETCH_S:g} s: {', '.join(parts)}"
    loud = loud_share(stretches)
    if loud >= LOUD_SHARE:
        yield contact_noise(loud)


def loud_share(stretches: Sequence[Stretch]) -> float:
    """Share of the time that is far louder than the rest of its stretch."""
    return float(np.average([s.loud for s in stretches], weights=[s.length_s for s in stretches]))


def contact_noise(share: float) -> str:
    """Say so."""
    return f"contact noise: {100 * share:.1f} % of it is {LOUD_DB:g} dB louder than the rest"


def summary_answer(answers: Sequence[RecordAnswer]) -> RecordAnswer | None:
    """One answer for all channels: that of the channel which is least likely normal.

    Poor quality stands only where every channel is poor: one good channel is enough to hear.
    """
    given = [answer for answer in answers if answer.refused is None]
    if not answers or not given:
        return answers[0] if answers else None
    clear = [answer for answer in given if answer.label != "Poor Quality"] or given
    return min(clear, key=lambda answer: answer.probabilities.get("Normal", 0.0))


def _levels(piece: Array, frame: int, frames: int) -> dict[str, Array]:
    """Peak to peak range and level in dB of each frame's samples; of a rest, those of what there is."""
    padded = np.zeros(frames * frame, np.float32)
    taken = piece[: frames * frame]
    padded[: taken.size] = taken
    if taken.size < padded.size and taken.size:
        padded[taken.size :] = taken[-1]
    blocks = padded.reshape(frames, frame)
    power = (blocks * blocks).mean(1)
    return {"range": np.ptp(blocks, axis=1), "level_db": 10 * np.log10(power + 1e-12)}


def calibrated(
    logits: npt.NDArray[Any], temperature: float, bias: Sequence[float] | npt.NDArray[Any] = ()
) -> npt.NDArray[np.float64]:
    """Probabilities of logits ``(..., classes)``: divided by the temperature, the bias added, then softmax.

    A vector scaling with one slope for all classes (Guo et al., "On calibration of modern neural networks",
    ICML 2017, section 4.2).
    """
    scaled = logits.astype(np.float64) / temperature + (np.asarray(bias) if len(bias) else 0.0)
    shifted = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True), np.float64)


def sigmoid(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probabilities of logits of yes or no."""
    return 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
