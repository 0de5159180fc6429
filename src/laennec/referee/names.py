"""What the names of files and clips tell: recording, patient, position and device.

Papers cut recordings into clips, augment them and put them into folders, and name the results after the
recording: ``train/101_1b1_Al_sc_Meditron_3_aug2.wav`` is a clip of ``101_1b1_Al_sc_Meditron``. A name is
therefore searched for the name of a recording, and not matched as a whole.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from laennec.annotations.described import ICBHI_PLACES
from laennec.annotations.sprsound import parse_name
from laennec.datasets.icbhi import DEVICES

_ICBHI = re.compile(
    rf"(?<!\d)(?P<patient>\d{{3}})_[^_/\\]+_(?P<place>{'|'.join(ICBHI_PLACES)})_(?:sc|mc)_(?P<device>{'|'.join(DEVICES)})"
)
# Some copies of the database and of its list name another device.
SAME_RECORDING = {"226_1b1_Pl_sc_Meditron": "226_1b1_Pl_sc_LittC2SE"}
_SPRSOUND = re.compile(r"(?<!\d)\d*_\d+(?:\.\d+)?_[01]_p\d_\d+")


@dataclass(frozen=True)
class ClipName:
    """One name as its file has it, and what it tells; what it does not tell is "".

    `rest` is what follows the recording's name: which clip of the recording, which augmented copy.
    """

    written: str
    recording: str = ""
    subject: str = ""
    position: str = ""
    device: str = ""
    rest: str = ""


def _icbhi(name: str) -> ClipName:
    match = _ICBHI.search(name)
    if match is None:
        return ClipName(name)
    position = ICBHI_PLACES[match["place"]]
    recording = SAME_RECORDING.get(match[0], match[0])
    return ClipName(name, recording, match["patient"], position, match["device"], name[match.end() :])


def _sprsound(name: str) -> ClipName:
    match = _SPRSOUND.search(name)
    parsed = parse_name(match[0]) if match else None
    if match is None or parsed is None:
        return ClipName(name)
    # Another device than the one of all recordings is not known, so a device tells nothing.
    return ClipName(name, match[0], parsed.subject or "", parsed.place, "", name[match.end() :])


READERS: dict[str, Callable[[str], ClipName]] = {"icbhi": _icbhi, "sprsound": _sprsound}


def read_names(written: Iterable[str], dataset: str) -> tuple[ClipName, ...]:
    """Read names of files, clips or cycles of a data set, ``icbhi`` or ``sprsound``."""
    read = READERS[dataset]
    return tuple(read(name) for name in written)
