"""Label vocabularies of the field, one spelling of each label, and the relations between vocabularies.

The order of a vocabulary is the order of a model's outputs, so it never changes. What the labels of a data
set mean in these vocabularies stands with the data set (``TO_CANONICAL``).

Sources: Zhang et al., "SPRSound: Open-Source SJTU Paediatric Respiratory Sound Database", IEEE TBioCAS
16(5), 2022; Zhang et al., "Grand Challenge on Respiratory Sound Classification", IEEE BioCAS 2022; Rocha
et al., "An open access database for the evaluation of respiratory sound classification algorithms",
Physiological Measurement 40(3), 2019; Chen & Zhang, Table 1, for the order of the seven event classes.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

NORMAL, ADVENTITIOUS, POOR_QUALITY = "Normal", "Adventitious", "Poor Quality"
SPRSOUND_EVENTS = (
    NORMAL,
    "Rhonchi",
    "Wheeze",
    "Stridor",
    "Coarse Crackle",
    "Fine Crackle",
    "Wheeze+Crackle",
)
SPRSOUND_RECORDS = (NORMAL, "CAS", "DAS", "CAS & DAS", POOR_QUALITY)
# What a recording may be of; a model answers for lungs and refuses the rest.
SOUND_KINDS = ("lung", "speech", "music", "noise", "heart")
PHASES = ("inspiration", "expiration")  # of breaths, with nothing said of what else is heard
PAUSE = "pause"  # between the phases of breaths
BOTH = "both"  # phases in which an event is heard
ICBHI_CYCLES = ("normal", "crackle", "wheeze", "both")
WINDOW_LABELS = ("wheeze", "crackle")  # what a window of seconds may hold: CAS and DAS, as ICBHI calls them

# The BioCAS challenge's tasks: number, then class, then the labels that the class stands for. 11 and 12 are
# about events, 21 and 22 about whole recordings.
CHALLENGE_TASKS: dict[int, dict[str, tuple[str, ...]]] = {
    11: {NORMAL: (NORMAL,), ADVENTITIOUS: SPRSOUND_EVENTS[1:]},
    12: {label: (label,) for label in SPRSOUND_EVENTS},
    21: {NORMAL: (NORMAL,), ADVENTITIOUS: SPRSOUND_RECORDS[1:-1], POOR_QUALITY: (POOR_QUALITY,)},
    22: {label: (label,) for label in SPRSOUND_RECORDS},
}
EVENT_TASKS, RECORD_TASKS = (11, 12), (21, 22)
TASK_11 = tuple(CHALLENGE_TASKS[11])
# The challenge's output format writes "Wheeze & Crackle" where the annotation files write "Wheeze+Crackle".
CHALLENGE_SPELLING = {"Wheeze+Crackle": "Wheeze & Crackle"}

SEXES = ("male", "female")  # SPRSound file names: 0 male, 1 female
POSITIONS = ("left-posterior", "left-lateral", "right-posterior", "right-lateral")  # SPRSound p1 to p4

# Age groups of every table: age in years, from the first number to below the second. Children in narrow
# groups, since breathing changes fastest in the first years (Fleming et al., Lancet 377, 2011).
AGE_GROUPS = {
    "under 1": (0.0, 1.0),
    "1 to 2": (1.0, 3.0),
    "3 to 5": (3.0, 6.0),
    "6 to 11": (6.0, 12.0),
    "12 to 17": (12.0, 18.0),
    "18 to 64": (18.0, 65.0),
    "65 and over": (65.0, float("inf")),
}

# Continuous (CAS) and discontinuous (DAS) adventitious sounds (SPRSound, section II).
EVENT_FAMILY = {
    NORMAL: NORMAL,
    "Rhonchi": "CAS",
    "Wheeze": "CAS",
    "Stridor": "CAS",
    "Coarse Crackle": "DAS",
    "Fine Crackle": "DAS",
    "Wheeze+Crackle": "CAS & DAS",
}

# What each label is in ICBHI's four classes (Rocha et al., section 2.3: crackles, wheezes, both or neither);
# rhonchi and stridor are continuous sounds, as wheezes are.
TO_ICBHI = {
    **{label: label for label in ICBHI_CYCLES},
    NORMAL: "normal",
    "Rhonchi": "wheeze",
    "Wheeze": "wheeze",
    "Stridor": "wheeze",
    "Coarse Crackle": "crackle",
    "Fine Crackle": "crackle",
    "Wheeze+Crackle": "both",
}

# What other vocabularies and people call a sound. Those of HF_Lung (Hsu et al., PLOS ONE 16(7), 2021), KAUH
# (Fraiwan et al., Data in Brief 35, 2021) and HLS-CMDS (Torabi et al., 2024) are among them; the rest are the
# names that Pasterkamp et al., European Respiratory Journal 47, 2016, lists beside the terms to be used.
# In small letters, with one blank between words.
OTHER_WORDS: dict[str, str] = {
    **dict.fromkeys(("normal breath sounds", "normal breathing", "vesicular", "clear", "none"), NORMAL),
    **dict.fromkeys(("healthy",), NORMAL),
    **dict.fromkeys(("wheezes", "wheezing", "w", "sibilant rhonchi", "high-pitched wheeze"), "Wheeze"),
    **dict.fromkeys(("rhonchus", "ronchi", "low-pitched wheeze", "sonorous rhonchi"), "Rhonchi"),
    **dict.fromkeys(("stridors", "inspiratory stridor"), "Stridor"),
    **dict.fromkeys(("crackles", "crep", "creps", "crepitation", "crepitations", "rales", "rale"), "Crackle"),
    **dict.fromkeys(("c", "d", "discontinuous"), "Crackle"),
    **dict.fromkeys(("fine crackles", "fine rales", "fine crepitations", "velcro"), "Fine Crackle"),
    **dict.fromkeys(("coarse crackles", "coarse rales", "coarse crepitations"), "Coarse Crackle"),
    **dict.fromkeys(("crackles and wheezes", "wheezes and crackles", "crackle+wheeze"), "Wheeze+Crackle"),
    **dict.fromkeys(("crackle and wheeze", "crackles+wheezes", "c+w"), "Wheeze+Crackle"),
    **dict.fromkeys(("abnormal", "anomalous", "pathological"), ADVENTITIOUS),
    **dict.fromkeys(("i", "inhale", "inhalation", "insp", "inspiratory phase"), PHASES[0]),
    **dict.fromkeys(("e", "exhale", "exhalation", "exp", "expiratory phase"), PHASES[1]),
}

TERM_OF_CYCLE = {"normal": NORMAL, "crackle": "Crackle", "wheeze": "Wheeze", "both": "Wheeze+Crackle"}
KNOWN_LABELS = (*SPRSOUND_EVENTS, "Crackle", ADVENTITIOUS, *SPRSOUND_RECORDS[1:], *ICBHI_CYCLES[3:])


def spelling(label: str, vocabulary: Iterable[str]) -> str | None:
    """Return the vocabulary's spelling of a label, or None if the label is none of its words.

    Case, white space and the joining sign do not matter: annotation files write ``Wheeze+Crackle`` and
    ``CAS & DAS``, the challenge ``Wheeze & Crackle``, others ``fine crackle`` or ``FineCrackle``.
    """
    return _spelling(label, tuple(vocabulary))


@lru_cache(maxsize=4096)  # a data set has few labels and many events
def _spelling(label: str, vocabulary: tuple[str, ...]) -> str | None:
    bare = _bare(label)
    return next((word for word in vocabulary if _bare(word) == bare), None)


def _bare(label: str) -> str:
    return re.sub(r"\s", "", label.lower()).replace("&", "+")


_OTHER_BARE = {_bare(word): term for word, term in OTHER_WORDS.items()}


def nearest(label: str, vocabulary: Iterable[str] = KNOWN_LABELS) -> str | None:
    """Return the word that an unknown label may be a slip of, such as ``Wheeze`` for ``Weeze``, or None."""
    bare, by_bare = _bare(label), {_bare(word): word for word in vocabulary}
    if bare in by_bare:
        return None
    # Abnormal is no slip of Normal, so the first letter must be right.
    alike = [word for word in by_bare if word[:1] == bare[:1]]
    import difflib  # for words that are unknown alone

    close = difflib.get_close_matches(bare, alike, 1, cutoff=0.85)
    return by_bare[close[0]] if close else None


def known_term(label: str) -> tuple[str, bool] | None:
    """Return the term that a label of another vocabulary or of free text means, and whether it is sure.

    It is sure where it is a term in another spelling, or stands in `OTHER_WORDS`; not where it is only near
    to a term, such as ``Weeze``. None where there is no such term.
    """
    own = spelling(label, (*KNOWN_LABELS, *PHASES))
    if own is not None:
        return (TERM_OF_CYCLE.get(own, own), True)
    for written in (label.replace("_", " "), label.replace("_", "+")):
        if _bare(written) in _OTHER_BARE:
            return _OTHER_BARE[_bare(written)], True
    near = nearest(label, (*KNOWN_LABELS, *PHASES))
    return None if near is None else (TERM_OF_CYCLE.get(near, near), False)


def to_icbhi(label: str) -> str | None:
    """Map a label of SPRSound or ICBHI, in any spelling, to ICBHI's four classes; None if it is neither's."""
    known = spelling(label, TO_ICBHI)
    return None if known is None else TO_ICBHI[known]


def task_class(task: int, label: str) -> str:
    """Return the class of a challenge's task (11, 12, 21 or 22) of a label; ValueError if it has none."""
    for name, labels in CHALLENGE_TASKS[task].items():
        if label in labels:
            return name
    known = ", ".join(label for labels in CHALLENGE_TASKS[task].values() for label in labels)
    raise ValueError(f"unknown label {label!r} in task {task}; expected one of {known}")


def record_label(event_labels: Iterable[str]) -> str:
    """Return SPRSound's record label (Normal, CAS, DAS, CAS & DAS) of a recording with these event labels."""
    families = {EVENT_FAMILY[label] for label in event_labels} - {NORMAL}
    return "CAS & DAS" if len(families) > 1 else next(iter(families), NORMAL)


def as_record(label: str, records: Sequence[str] = SPRSOUND_RECORDS) -> str | None:
    """Return the record label that a label of a record, an event or a cycle stands for.

    One of the `records` is itself. Of the others, a wheeze makes a recording CAS, a crackle DAS, both
    ``CAS & DAS``, which need not be among the `records`. None if the label is no known one.
    """
    if label in records:
        return label
    known = to_icbhi(label)
    return None if known is None else SPRSOUND_RECORDS[(0, 2, 1, 3)[ICBHI_CYCLES.index(known)]]


def is_adventitious(label: str) -> bool | None:
    """Whether a label of a recording, an event or a cycle is of adventitious sounds.

    None if it tells of neither: Poor Quality, or a word that is none of `KNOWN_LABELS`.
    """
    known = spelling(label, KNOWN_LABELS)
    return None if known in (None, POOR_QUALITY) else known != NORMAL


def combined_cycle(labels: Iterable[str]) -> str:
    """Return the ICBHI class of several cycles together: what any of them holds."""
    held = set(labels)
    crackles, wheezes = bool(held & {"crackle", "both"}), bool(held & {"wheeze", "both"})
    return ICBHI_CYCLES[crackles + 2 * wheezes]


def age_group(age_years: float) -> str | None:
    """Return the group of `AGE_GROUPS` that an age belongs to, None where it is not known (NaN)."""
    return next((name for name, (low, high) in AGE_GROUPS.items() if low <= age_years < high), None)


def vocabulary_index(value: Any, vocabulary: Sequence[str]) -> int:
    """Return a value's place in a vocabulary, from 1, as models take it; 0 where it is none of its words."""
    return vocabulary.index(value) + 1 if isinstance(value, str) and value in vocabulary else 0
