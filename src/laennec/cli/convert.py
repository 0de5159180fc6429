"""``laennec convert``: label files in another format."""

import sys

from laennec.annotations.convert import Converted, convert_all, counted_held, counted_tables
from laennec.annotations.formats import FORMATS
from laennec.audio.samples import counted
from laennec.cli.tool_arguments import Convert
from laennec.errors import UsageError
from laennec.files import printable


def run(command: Convert) -> int:
    """Convert each file, with a line for what is not in it; exit code 1 if one could not be read."""
    if command.to not in FORMATS:
        raise UsageError(f"--to {command.to}: expected one of {', '.join(FORMATS)}")
    failed = lost = done = passed_over = 0
    held: list[Converted] = []
    for each in convert_all(command.files, FORMATS[command.to], command.out, command.terms):
        if each.passed_over:
            passed_over += 1
            continue
        if each.held_by is not None:
            held.append(each)
            continue
        if each.written is None:
            lost += each.source.is_dir()
            failed += not each.source.is_dir()
            print(f"laennec: {printable(each.error)}", file=sys.stderr)
            continue
        done += 1
        print(printable(f"{each.source} → {each.written}"))
        for note in each.notes:
            print(printable(f"  {note}"))
    if passed_over:
        print(counted_tables(passed_over))
    if held:
        print(printable(counted_held(held)))
    if done + failed > 1:
        print(f"{done} of {counted(done + failed, 'file', '')} converted")
    return 1 if failed or lost else 0
