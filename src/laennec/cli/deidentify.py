"""``laennec deidentify``: recordings without names, tags and times."""

import sys
from collections.abc import Iterator, Sequence

from laennec.annotations import table
from laennec.audio.samples import counted
from laennec.cli.tool_arguments import Deidentify
from laennec.clinic.deidentify import Deidentified, deidentify, left_out
from laennec.errors import UsageError
from laennec.files import make_folder, printable, refuse_loss, write_text

COLUMNS = ("recording", "written", "removed", "error")


def run(command: Deidentify) -> int:
    """Copy each recording, and list what was taken off; exit code 1 if one could not be copied."""
    if command.map is not None and command.map.resolve().is_relative_to(command.out.resolve()):
        raise UsageError(f"--map {command.map}: lies in {command.out}, and would be shared with it")
    if command.map is not None:  # before the work, not after it
        refuse_loss(command.map, option="--map")
        make_folder(command.map.absolute().parent)
    done: list[Deidentified] = []
    for each in deidentify(command.files, command.out, command.keep_names):
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
    for line in _about_labels(command, done):
        print(printable(line))
    failed = sum(bool(each.error) for each in done)
    print(
        f"{len(done) - failed} of {counted(len(done), 'recording', '')} copied; what is spoken in them is "
        "still there"
    )
    return 1 if failed else 0


def _about_labels(command: Deidentify, done: Sequence[Deidentified]) -> Iterator[str]:
    """Yield how many recordings have labels, and which label files stay behind."""
    copied = [each for each in done if not each.error]
    labelled = sum(each.labels is not None for each in copied)
    if labelled < len(copied):
        yield (
            f"{counted(len(copied) - labelled, 'recording')} without labels: no label file of the same name "
            "lies in the same folder"
        )
    if others := left_out(command.files, done):
        more = f" and {len(others) - 1} more" if others[1:] else ""
        yield f"Labels left behind, since no recording of their name lies beside them: {others[0]}{more}"


def _names(done: Deidentified) -> str:
    return " ".join(path.name for path in done.written)
