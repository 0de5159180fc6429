"""``laennec dicom``: recordings as DICOM General Audio Waveforms."""

import sys

from laennec.cli.tool_arguments import Dicom
from laennec.clinic.dicom import write_all
from laennec.files import printable


def run(command: Dicom) -> int:
    """Write each recording; exit code 1 if one could not be."""
    failed = 0
    for each in write_all(command.files, command.out, command.position):
        if each.error:
            failed += 1
            print(f"laennec: {printable(each.error)}", file=sys.stderr)
            continue
        print(printable(f"{each.source} → {', '.join(map(str, each.files))}"))
        for note in each.notes:
            print(printable(f"  {note}"))
    return 1 if failed else 0
