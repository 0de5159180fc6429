"""What is seen of a recording while it goes on: level, quality, and the events found so far."""

from collections import deque
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from laennec.analyze.analysis import Event
from laennec.audio.capture import levels_db
from laennec.audio.quality import Finding
from laennec.audio.samples import Array, counted
from laennec.console import plain, terminal
from laennec.terminal import is_unicode

SHOWN_EVENTS = 8
WIDTH = 40  # of the meter, in characters
LOWEST_DB = -80.0


class Meter:
    """Shows a recording on a terminal; elsewhere it prints the events and changes of quality, a line each."""

    def __init__(self, duration_s: float | None = None) -> None:
        self._console: Console = terminal()
        self._duration_s = duration_s
        self._events: deque[Event] = deque(maxlen=SHOWN_EVENTS)
        self._said: set[str] = set()
        self._found = 0
        self._live = Live(console=self._console, transient=True, refresh_per_second=8)

    def __enter__(self) -> "Meter":
        if self._console.is_terminal:
            self._live.start()
        else:
            print("Recording; Ctrl+C ends it", flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(
        self, block: Array, recorded_s: float, events: Sequence[Event], quality: Sequence[Finding]
    ) -> None:
        """Show what a block of sound has brought."""
        self._events.extend(events)
        self._found += len(events)
        if self._console.is_terminal:
            self._live.update(self._picture(block, recorded_s, quality))
            return
        for event in events:
            print(in_words(event), flush=True)
        now = {finding.message for finding in quality}
        for message in sorted(now - self._said):
            print(f"quality: {message}", flush=True)
        self._said = now

    def _picture(self, block: Array, recorded_s: float, quality: Sequence[Finding]) -> Group:
        mean_db, peak_db = levels_db(block)
        full, empty = ("█", "░") if is_unicode() else ("#", ".")
        filled = round(WIDTH * min(1.0, max(0.0, 1 - peak_db / LOWEST_DB)))
        of = "" if self._duration_s is None else f" of {self._duration_s:.0f} s"
        style = "red" if peak_db > -1 else "green"
        bar = Text.assemble((full * filled, style), empty * (WIDTH - filled))
        head = Text.assemble(
            (f"{recorded_s:7.1f} s{of}  ", "bold"), bar, f"  peak {peak_db:4.0f} dB, mean {mean_db:4.0f} dB"
        )
        lines: list[Text | Table] = [head]
        lines += [plain(f"quality: {finding.message}", "yellow") for finding in quality]
        table = Table(box=None, pad_edge=False, show_header=False)
        for event in self._events:
            table.add_row(plain(in_words(event)))
        lines += [table, Text(f"{counted(self._found, 'event')}; Ctrl+C ends the recording", "dim")]
        return Group(*lines)


def in_words(event: Event) -> str:
    """An event in a line."""
    uncertain = ", uncertain" if event.uncertain else ""
    return f"{event.start_s:7.2f} to {event.end_s:7.2f} s  {event.label} ({event.probability:.0%}{uncertain})"
