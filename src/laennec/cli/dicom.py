"""``laennec dicom``: recordings as DICOM General Audio Waveforms."""

import sys
from pathlib import Path

from laennec.cli.given import recordings_of, say_left_out
from laennec.cli.tool_arguments import Dicom
from laennec.clinic.dicom import write_all
from laennec.clinic.recordings import about_labels
from laennec.files import printable


def run(command: Dicom) -> int:
    """Write each recording; exit code 1 if one could not be, or a folder holds none."""
    recordings = recordings_of(command.files)
    failed, labels = 0, list[Path | None]()
    for each in write_all(list(recordings.names), command.out, command.position):
        if each.error:
            failed += 1
            print(f"laennec: {printable(each.error)}", file=sys.stderr)
            continue
        labels.append(each.labels)
        print(printable(f"{each.source} → {', '.join(map(str, each.files))}"))
        for note in each.notes:
            print(printable(f"  {note}"))
    for line in about_labels(command.files, recordings.names, labels):
        print(printable(line))
    failed += say_left_out(recordings, "written")
    return 1 if failed else 0
