"""What a reader's edits make of a model's suggestions: pure functions, with the same answer every time.

Edits are only ever appended, and what holds is found by doing them again in their order. An undo takes back
the last edit that is done, a redo does the last one again that was taken back, and both are edits
themselves; any other edit ends what could be done again. So there is no end to either, and nothing is lost.

A reader's work rests on one analysis, the *base*: the one whose suggestions were shown at the first edit.
Another model's analysis moves nothing that somebody has corrected. While a reader has no edits, the newest
analysis is the base. From then on newer suggestions are *offered* beside: each may be accepted, or all of
them adopted, which replaces the suggestions that nobody has decided about. One that covers the same sound as
an event that was decided about, or as a suggestion that was rejected, stays offered, since the reader has
judged that: the same sound is more than half of the time that the two cover together.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from laennec.errors import shown
from laennec.web.edits import ANY, KINDS, Bounds, Edit, EditError, Marked, Suggestion, Work

UNDO, REDO = "undo", "redo"
SAME_S = 0.001  # borders that differ by less are the same


@dataclass(frozen=True)
class State:
    """What holds for one reader of one recording.

    `rejected` are suggestions of which no event is left, `offered` those of a newer analysis.
    """

    events: tuple[Marked, ...]
    rejected: tuple[Suggestion, ...]
    offered: tuple[Suggestion, ...]
    analysis: int | None
    record: str | None
    reviewed: bool
    undo: tuple[int, ...]
    """Edits that hold; the last is what undo takes back."""
    redo: tuple[int, ...]

    def labelled(self) -> tuple[Marked, ...]:
        """The events that the reader answers for: in a reviewed recording all, else those decided about."""
        return tuple(event for event in self.events if self.reviewed or event.status != "suggested")


class _Replay:
    """Edits done one after another."""

    def __init__(
        self,
        suggestions: Sequence[Suggestion],
        edits: Sequence[Edit],
        bounds: Bounds,
        analyses: Sequence[int],
        base: int | None,
    ) -> None:
        self.begin = partial(Work, suggestions, analyses, base, bounds)
        self.analyses = analyses
        self.done, self.undone = stacks(edits)
        self._again()

    def _again(self) -> None:
        self.work = self.begin()
        for edit in self.done:
            with suppress(EditError):
                KINDS[edit.kind](self.work, edit)

    def push(self, edit: Edit) -> None:
        """Do one more; EditError if it cannot be done."""
        back = {UNDO: self.done, REDO: self.undone}.get(edit.kind)
        if back is None:
            if edit.kind not in KINDS:
                raise EditError(f"kind is {shown(edit.kind)}; expected {', '.join((*KINDS, UNDO, REDO))}")
            KINDS[edit.kind](self.work, edit)
            self.done.append(edit)
            self.undone.clear()
            return
        if not back:
            raise EditError(f"there is nothing to {edit.kind}")
        (self.undone if edit.kind == UNDO else self.done).append(back.pop())
        self._again()

    def state(self) -> State:
        work = self.work
        return State(
            events=tuple(sorted(work.events.values(), key=lambda event: event.place)),
            rejected=tuple(work.rejected()),
            offered=tuple(_offered(work, self.analyses)),
            analysis=work.base,
            record=work.record,
            reviewed=work.reviewed,
            undo=tuple(edit.id for edit in self.done),
            redo=tuple(edit.id for edit in self.undone),
        )


def stacks(edits: Sequence[Edit]) -> tuple[list[Edit], list[Edit]]:
    """Return the edits that hold, and those that redo would do again, the next one last."""
    done: list[Edit] = []
    undone: list[Edit] = []
    for edit in edits:
        if edit.kind == UNDO:
            undone += [done.pop()] if done else []
        elif edit.kind == REDO:
            done += [undone.pop()] if undone else []
        elif edit.kind in KINDS:
            done.append(edit)
            undone.clear()
    return done, undone


def replay(
    suggestions: Sequence[Suggestion],
    edits: Sequence[Edit],
    bounds: Bounds = ANY,
    analyses: Sequence[int] | None = None,
    new: Sequence[Edit] = (),
) -> State:
    """Return what holds after a reader's edits of a recording.

    Parameters
    ----------
    suggestions
        Of every analysis of the recording.
    edits
        In their order. One that cannot be done has no effect.
    bounds
        Of the recording; nothing is moved beyond them.
    analyses
        The recording's, the newest last, also those that found nothing; by default those of the suggestions.
    new
        Further edits: EditError (GoneError for an event that is not there) if one of them cannot be done.
    """
    known = sorted({each.analysis for each in suggestions}) if analyses is None else list(analyses)
    made = _Replay(suggestions, edits, bounds, known, base_of([*edits, *new], known))
    for edit in new:
        made.push(edit)
    return made.state()


def base_of(edits: Sequence[Edit], analyses: Sequence[int]) -> int | None:
    """Return the analysis that a reader's work begins with; None where there is none yet."""
    if not edits or not analyses:
        return analyses[-1] if analyses else None
    return edits[0].analysis if edits[0].analysis in analyses else analyses[0]


def _offered(work: Work, analyses: Sequence[int]) -> Iterator[Suggestion]:
    """Yield suggestions of the newest analysis that are neither shown nor the same as one that is."""
    same = {_rounded(each) for each in work.suggestions.values() if each.number in work.shown}
    for each in work.suggestions.values():
        if each.analysis == analyses[-1] and each.number not in work.shown and _rounded(each) not in same:
            yield each


def _rounded(each: Suggestion) -> tuple[Any, ...]:
    return each.channel, round(each.start_s / SAME_S), round(each.end_s / SAME_S), each.label
