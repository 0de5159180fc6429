"""``laennec deidentify``: recordings without names, tags and times."""

import sys

from laennec.annotations import table
from laennec.audio.samples import counted
from laennec.cli.given import recordings_of, say_left_out
from laennec.cli.tool_arguments import Deidentify
from laennec.clinic.deidentify import Deidentified, deidentify
from laennec.clinic.recordings import about_labels
from laennec.errors import UsageError
from laennec.files import make_folder, printable, refuse_loss, write_text

COLUMNS = ("recording", "written", "removed", "error")


def run(command: Deidentify) -> int:
    """Copy each recording, and list what was taken off.

    Returns the exit code, 1 if a recording could not be copied, or a folder holds none.
    """
    if command.map is not None and command.map.resolve().is_relative_to(command.out.resolve()):
        raise UsageError(f"--map {command.map}: lies in {command.out}, and would be shared with it")
    if command.map is not None:  # before the work, not after it
        refuse_loss(command.map, option="--map")
        make_folder(command.map.absolute().parent)
    recordings = recordings_of(command.files)
    folders = [path for path in command.files if path.is_dir()]
    done: list[Deidentified] = []
    for each in deidentify(list(recordings.names), command.out, command.keep_names, folders):
        done.append(each)
        if each.error:
            print(f"laennec: {printable(each.error)}", file=sys.stderr)
            continue
        print(printable(f"{each.source} → {_names(each)}"))
        for part in each.removed:
            print(printable(f"  without {part}"))
        for note in each.notes:
            print(printable(f"  {note}"))
    if command.map is not None:
        rows = [
            [
                str(each.source),
                " ".join(path.name for path in each.written),
                "; ".join(each.removed),
                each.error,
            ]
            for each in done
        ]
        write_text(command.map, table.write(COLUMNS, rows))
    for line in about_labels(command.files, recordings.names, [own.labels for own in done if not own.error]):
        print(printable(line))
    lost = say_left_out(recordings, "copied")
    failed = sum(bool(each.error) for each in done)
    print(
        f"{len(done) - failed} of {counted(len(done), 'recording', '')} copied; what is spoken in them is "
        "still there"
    )
    return 1 if failed or lost else 0


def _names(done: Deidentified) -> str:
    return " ".join(path.name for path in done.written)
