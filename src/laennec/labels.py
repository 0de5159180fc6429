"""Label vocabularies of the field and the mappings between them.

The order of a vocabulary is the order of a model's outputs, so it never changes.

Sources: Zhang et al., "SPRSound: Open-Source SJTU Paediatric Respiratory Sound Database", IEEE TBioCAS
16(5), 2022; Zhang et al., "Grand Challenge on Respiratory Sound Classification", IEEE BioCAS 2022; Rocha
et al., "An open access database for the evaluation of respiratory sound classification algorithms",
Physiological Measurement 40(3), 2019; Chen & Zhang, Table 1, for the order of the seven event classes.
"""

SPRSOUND_EVENTS = (
    "Normal",
    "Rhonchi",
    "Wheeze",
    "Stridor",
    "Coarse Crackle",
    "Fine Crackle",
    "Wheeze+Crackle",
)
SPRSOUND_RECORDS = ("Normal", "CAS", "DAS", "CAS & DAS", "Poor Quality")
# What a recording may be of; a model answers for lungs and refuses the rest.
SOUND_KINDS = ("lung", "speech", "music", "noise", "heart")
ICBHI_CYCLES = ("normal", "crackle", "wheeze", "both")

# BioCAS 2022 challenge: task 11 tells normal events from adventitious ones, task 12 tells all seven apart;
# its output format writes "Wheeze & Crackle" where the annotation files write "Wheeze+Crackle".
TASK_11 = ("Normal", "Adventitious")
CHALLENGE_SPELLING = {"Wheeze+Crackle": "Wheeze & Crackle"}

SEXES = ("male", "female")  # SPRSound file names: 0 male, 1 female
POSITIONS = ("left-posterior", "left-lateral", "right-posterior", "right-lateral")  # SPRSound p1 to p4

# Continuous (CAS) and discontinuous (DAS) adventitious sounds (SPRSound, section II).
EVENT_FAMILY = {
    "Normal": "Normal",
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
    "Normal": "normal",
    "Rhonchi": "wheeze",
    "Wheeze": "wheeze",
    "Stridor": "wheeze",
    "Coarse Crackle": "crackle",
    "Fine Crackle": "crackle",
    "Wheeze+Crackle": "both",
}


def to_icbhi(label: str) -> str | None:
    """Map a label of SPRSound or ICBHI, in any capitals, to ICBHI's four classes; None if it is neither's."""
    spellings = {known.lower(): mapped for known, mapped in TO_ICBHI.items()}
    return spellings.get(label.strip().lower())


def to_task_11(label: str) -> str:
    """Map one of the seven event labels to the challenge's task 11 (Normal, Adventitious)."""
    if label not in SPRSOUND_EVENTS:
        raise ValueError(f"unknown event label {label!r}; expected one of {', '.join(SPRSOUND_EVENTS)}")
    return "Normal" if label == "Normal" else "Adventitious"
