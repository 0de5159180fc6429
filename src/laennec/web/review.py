"""In which order recordings are to be reviewed.

- ``uncertain``: the recording first whose least certain event, or answer for the whole, has the smallest
  probability (least confidence; Lewis & Gale, SIGIR 1994). Good for finding what the model gets wrong.
- ``informative``: entropy times novelty, for choosing what to learn from. *Entropy* is Shannon's, of the
  classes of an event, as a share of the largest there can be, averaged over the events of a recording
  (uncertainty sampling; Settles, "Active Learning Literature Survey", 2009, section 2.3). *Novelty* is how
  far the mean probabilities of its events lie from those of the nearest recording that was reviewed or comes
  before: the Jensen-Shannon distance, 0 to 1 (Lin, IEEE Trans. Inf. Theory 37(1), 1991), chosen greedily as
  k-centre does (Sener & Savarese, ICLR 2018). Recordings of one patient resemble each other in ways that
  probabilities do not show, so the product is divided by one more than how many of that patient were
  reviewed or come before.
- ``random``: by a hash of the path, the same every time, and a new recording changes the order of no others.
  The first of them are an honest sample: figures on what a rule has chosen are not those of the folder.

A recording that was not analysed comes last in the first two. Those that the reader has reviewed are left
out, and so are files that cannot be read.
"""

import json
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from laennec.errors import shown
from laennec.web.corrections import Corrections
from laennec.web.edits import EditError

Floats = NDArray[np.float64]
ORDERS = {
    "uncertain": "smallest probability of an event or of the whole recording first",
    "informative": "entropy of the events' classes times novelty, divided among a patient's recordings",
    "random": "random, the same order every time",
}
SEED = 15
GREEDY = 200  # recordings whose order takes each other into account; the others follow by the same product

RECORDINGS = """
SELECT recording.id, recording.path, recording.patient, analysis.id AS analysis,
    json_extract(analysis.summary, '$.least_certain') AS least_certain
FROM recording LEFT JOIN analysis ON analysis.id = (
    SELECT max(id) FROM analysis WHERE analysis.recording = recording.id AND content IS NOT NULL)
LEFT JOIN analysis AS last ON last.id = (
    SELECT max(id) FROM analysis WHERE analysis.recording = recording.id)
WHERE gone = 0 AND NOT (recording.duration_s IS NULL AND last.error IS NOT NULL) ORDER BY path
"""
EVENTS = """
SELECT suggestion.analysis, suggestion.probability, suggestion.probabilities FROM suggestion
WHERE suggestion.analysis IN (
    SELECT max(id) FROM analysis WHERE content IS NOT NULL GROUP BY recording)
"""


@dataclass(frozen=True)
class Candidate:
    """A recording that may be reviewed; the probabilities of its events are ``(events, labels)``."""

    number: int
    path: str
    patient: str
    least_certain: float | None
    probabilities: Floats

    @property
    def entropy(self) -> float:
        """Mean over the events, as a share of the largest there can be."""
        rows = self.probabilities
        if not rows.size or rows.shape[1] < 2:
            return 0.0
        return float(_entropies(rows).mean() / np.log2(rows.shape[1]))


def review_order(corrections: Corrections, reader: str | None, order: str) -> list[int]:
    """Return the numbers of the recordings that a reader has not reviewed, in an order of `ORDERS`."""
    if order not in ORDERS:
        raise EditError(f"order is {shown(order)}; expected one of {', '.join(ORDERS)}")
    with corrections.database.snapshot():
        done = set() if reader is None else _reviewed(corrections, reader)
        found = candidates(corrections)
    left = [each for each in found if each.number not in done]
    match order:
        case "random":
            ranked = sorted(
                left, key=lambda each: sha256(f"{SEED}:{each.path}".encode(errors="replace")).digest()
            )
        case "uncertain":
            ranked = sorted(left, key=lambda each: 2.0 if each.least_certain is None else each.least_certain)
        case _:
            ranked = most_informative(left, [each for each in found if each.number in done])
    return [each.number for each in ranked]


def _reviewed(corrections: Corrections, reader: str) -> set[int]:
    corrections.reader(reader)
    return {number for number, names in corrections.reviewed().items() if reader in names}


def candidates(corrections: Corrections) -> list[Candidate]:
    """Return every recording with what its newest analysis found, in order of paths."""
    events: dict[int, list[dict[str, float]]] = {}
    least: dict[int, float] = {}
    for row in corrections.database.rows(EVENTS):
        probability = 1.0 if row["probability"] is None else row["probability"]
        told = json.loads(row["probabilities"]) if row["probabilities"] else {}
        events.setdefault(row["analysis"], []).append(told)
        least[row["analysis"]] = min(probability, least.get(row["analysis"], 1.0))
    labels = sorted({label for rows in events.values() for row in rows for label in row})

    def table(analysis: int | None) -> Floats:  # with as many columns where there is no event
        rows = [] if analysis is None else events.get(analysis, [])
        return np.array([[each.get(label, 0.0) for label in labels] for each in rows]).reshape(
            len(rows), len(labels)
        )

    return [
        Candidate(
            row["id"],
            row["path"],
            row["patient"] or "",
            least.get(row["analysis"]) if row["least_certain"] is None else row["least_certain"],
            table(row["analysis"]),
        )
        for row in corrections.database.rows(RECORDINGS)
    ]


def most_informative(left: list[Candidate], reviewed: list[Candidate]) -> list[Candidate]:
    """Return candidates by what a model would learn from them, most first; see the top of this file."""
    if not left:
        return []
    means = np.array([_mean(each) for each in left])
    entropy = np.array([each.entropy for each in left])
    novelty = np.ones(len(left))
    seen = Counter(each.patient for each in reviewed)
    for each in reviewed:
        if each.probabilities.size:
            novelty = np.minimum(novelty, _distances(means, _mean(each)))
    remaining = np.ones(len(left), bool)
    ranked: list[Candidate] = []
    for _ in range(min(GREEDY, len(left))):
        share = np.array([1 / (1 + seen[each.patient]) for each in left])
        score = np.where(remaining, entropy * novelty * share, -1.0)
        best = int(score.argmax())  # the first of equals, by path
        remaining[best] = False
        ranked.append(left[best])
        seen[left[best].patient] += 1
        if left[best].probabilities.size:
            novelty = np.minimum(novelty, _distances(means, means[best]))
    rest = np.flatnonzero(remaining)
    return ranked + [left[k] for k in rest[np.argsort(-(entropy * novelty)[rest], kind="stable")]]


def _mean(each: Candidate) -> Floats:
    """Return the mean probabilities of a recording's events; of none, all are as likely."""
    rows = each.probabilities
    return np.asarray(rows.mean(axis=0) if len(rows) else np.full(rows.shape[1], 1 / max(rows.shape[1], 1)))


def _entropies(rows: Floats) -> Floats:
    """Entropy in bits of each row, which need not sum to one."""
    total = rows.sum(axis=1, keepdims=True)
    shares = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=1))


def _distances(rows: Floats, one: Floats) -> Floats:
    """Jensen-Shannon distance of each row to another one, 0 to 1."""
    own = _entropies(one[None])[0]
    divergence = _entropies((rows + one) / 2) - (_entropies(rows) + own) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0, 1)))
