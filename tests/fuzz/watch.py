"""The watch over a target's process: what it is at, whether it hangs, how much memory it takes."""

import mmap
import os
import signal
import struct
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.02
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Limits:
    """Of one input. A busy machine lets a process wait, so the time that counts is the processor's."""

    cpu_s: float = 5.0
    wall_s: float = 60.0
    memory_bytes: int = 2 * 2**30


class Board:
    """Memory that a process and its watch share: counts, and the input at hand."""

    HEAD = struct.Struct("<QQQQ")  # inputs begun, accepted, whether one is at hand, its length
    MOST_BYTES = 2**22

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self.MOST_BYTES)

    def begin(self, data: bytes) -> None:
        inputs, accepted, _, _ = self._head
        self._memory[self.HEAD.size : self.HEAD.size + len(data)] = data
        self.HEAD.pack_into(self._memory, 0, inputs + 1, accepted, 1, len(data))

    def end(self, accepted: bool) -> None:
        inputs, earlier, _, length = self._head
        self.HEAD.pack_into(self._memory, 0, inputs, earlier + accepted, 0, length)

    @property
    def _head(self) -> tuple[int, int, int, int]:
        return self.HEAD.unpack_from(self._memory)

    @property
    def inputs(self) -> int:
        return self._head[0]

    @property
    def accepted(self) -> int:
        return self._head[1]

    @property
    def busy(self) -> bool:
        return bool(self._head[2])

    @property
    def data(self) -> bytes:
        """The input at hand."""
        return bytes(self._memory[self.HEAD.size : self.HEAD.size + self._head[3]])


def watched(work: Callable[[], object], board: Board, limits: Limits, log: Path) -> str | None:
    """Do the work in a process of its own; return how its last input ended it, None if it came to its end.

    ``hang``, ``memory`` and ``crash`` are of the input at hand; RuntimeError if it failed between two.
    """
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # into the log
            traceback.print_exc()
        finally:
            os._exit(code)
    at, began, cpu_began = 0, time.monotonic(), 0.0
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        now, cpu = time.monotonic(), _cpu_s(process)
        if board.inputs != at or not board.busy:
            at, began, cpu_began = board.inputs, now, cpu
        hangs = cpu - cpu_began > limits.cpu_s or now - began > limits.wall_s
        if board.busy and (hangs or _memory_bytes(process) > limits.memory_bytes):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return "hang" if hangs else "memory"
        time.sleep(POLL_S)
    if status and board.busy:
        return f"crash ({signal.strsignal(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else 'exit'})"
    if status:
        raise RuntimeError(f"the process ended between two inputs: {log.read_text(errors='replace')[-2000:]}")
    return None


def _cpu_s(process: int) -> float:
    fields = _of(process, "stat").rpartition(")")[2].split()  # man 5 proc; the name before may hold blanks
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def _memory_bytes(process: int) -> int:
    fields = _of(process, "statm").split()
    return int(fields[1]) * PAGE_BYTES if fields else 0


def _of(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except OSError:  # it has just ended
        return ""
